"""Thinking that a model writes into its text, however the text is cut."""

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from weir.domain.completion import AnswerPart, Completion, Text, Thinking
from weir.domain.events import StreamEvent, TextDelta, ThinkingDelta, collect
from weir.protocols.base import decode
from weir.protocols.inline_thinking import InlineThinking
from weir.protocols.openai_chat import OpenAIChat, OpenAIDialect
from weir.providers.catalog import CATALOG, own_provider

VENDOR = OpenAIChat(OpenAIDialect(provider="vendor", ends_with_done=True))
AS_IT_CAME = OpenAIChat(OpenAIDialect(provider="vendor", inline_thinking=False, ends_with_done=True))

CASES: dict[str, tuple[AnswerPart, ...]] = {
    "<think>Hm.</think>Noon.": (Thinking("Hm."), Text("Noon.")),
    "<thinking>Hm.</thinking>Noon.": (Thinking("Hm."), Text("Noon.")),
    " \n<think>\nHm.\n</think>\n\n Noon. ": (Thinking("\nHm.\n"), Text("Noon. ")),
    "<think></think>Noon.": (Text("Noon."),),
    "<think>Hm.</think>": (Thinking("Hm."),),
    "<think>Hm.</think> \n": (Thinking("Hm."),),
    "<think>Hm.</thinking></th</think>a</think>": (Thinking("Hm.</thinking></th"), Text("a</think>")),
    "<thinking>Hm.</think></thinking>a": (Thinking("Hm.</think>"), Text("a")),
    "<think>Hm. <think>Hm.</think>a<think>b</think>": (Thinking("Hm. <think>Hm."), Text("a<think>b</think>")),
    "<think>Cut off": (Thinking("Cut off"),),
    "<think>Cut off</thin": (Thinking("Cut off</thin"),),
    "<think>": (),
    "<thi": (Text("<thi"),),
    " ": (Text(" "),),
    " <thinker>Noon.": (Text(" <thinker>Noon."),),
    "Noon. <think>Hm.</think>": (Text("Noon. <think>Hm.</think>"),),
    "<THINK>Noon.": (Text("<THINK>Noon."),),
}


def split(*pieces: str) -> tuple[AnswerPart, ...]:
    return parts(collect(event for events in fed(*pieces) for event in events))


def fed(*pieces: str) -> list[list[StreamEvent]]:
    """The events of each piece, and of the end; what comes once it is over is text."""
    inline = InlineThinking(0)
    events: list[list[StreamEvent]] = []
    for piece in pieces:
        events.append([TextDelta(0, piece)] if inline.over else list(inline.feed(piece)))
    return [*events, [] if inline.over else list(inline.end())]


def parts(completion: Completion) -> tuple[AnswerPart, ...]:
    return completion.choices[0].parts if completion.choices else ()


def whole(message: dict[str, Any], protocol: OpenAIChat = VENDOR, **choice: Any) -> Completion:
    said = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": "stop", **choice}
    return protocol.parse(json.dumps({"id": "c", "created": 1, "model": "m", "choices": [said]}).encode())


def streamed(*deltas: dict[str, Any], protocol: OpenAIChat = VENDOR, logprobs: Any = None) -> Completion:
    choices: list[Any] = [{"index": 0, "delta": delta, "logprobs": logprobs, "finish_reason": None} for delta in deltas]
    choices.append({"index": 0, "delta": {}, "finish_reason": "stop"})
    chunks = [json.dumps({"id": "c", "created": 1, "model": "m", "choices": [choice]}) for choice in choices]
    body = "".join(f"data: {chunk}\n\n" for chunk in [*chunks, "[DONE]"])
    return collect(decode(protocol.decoder(), [body.encode()]))


def cut(text: str, places: list[int]) -> list[str]:
    ends = sorted({min(place, len(text)) for place in places} | {len(text)})
    return [text[start:end] for start, end in zip([0, *ends], ends, strict=False)]


@pytest.mark.parametrize(("text", "expected"), CASES.items())
def test_a_text_is_split_into_its_thinking_and_its_answer(text: str, expected: tuple[AnswerPart, ...]) -> None:
    assert split(text) == split(*text) == expected
    assert parts(whole({"content": text})) == expected
    assert parts(streamed(*({"content": letter} for letter in text))) == expected


TEXTS = st.one_of(
    st.sampled_from([*CASES]),
    st.lists(
        st.sampled_from([" ", "\n", "<think>", "</think>", "<thinking>", "</thinking>", "<", "</thi", "nk>", "Noon."]),
        max_size=8,
    ).map("".join),
)


@given(TEXTS, st.lists(st.integers(0, 60), max_size=12))
@example("<think>Hm.</think>Noon.", [3, 9, 12])
def test_cutting_changes_nothing(text: str, places: list[int]) -> None:
    pieces = cut(text, places)
    assert split(*pieces) == split(text)
    assert streamed(*({"content": piece} for piece in pieces)).choices == whole({"content": text}).choices


@given(TEXTS)
def test_no_more_is_held_back_than_may_be_a_tag(text: str) -> None:
    """What comes only when the text is over was held until then."""
    held = "".join(event.text for event in fed(text)[-1] if isinstance(event, TextDelta | ThinkingDelta))
    assert len(held.lstrip()) < len("</thinking>")


def test_log_probabilities_stay_with_the_text() -> None:
    token: dict[str, Any] = {"content": [{"token": "x", "logprob": -0.1}], "refusal": None}
    pieces = ({"content": piece} for piece in ("<think>", "Hm.", "</think>", "Noon."))
    assert streamed(*pieces, logprobs=token).choices[0].logprobs == {"content": token["content"] * 4, "refusal": None}
    only_thought = streamed({"content": "<think>"}, {"content": "Hm."}, logprobs=token).choices[0]
    assert only_thought.logprobs == {"content": token["content"] * 2, "refusal": None}


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_who_has_a_field_for_thinking_does_not_write_it_into_the_text(field: str) -> None:
    text = "<think>is a tag</think>"
    assert parts(whole({"content": text, field: "Hm."}))[-1] != Thinking("is a tag")
    assert parts(streamed({field: "Hm."}, {"content": text})) == (Thinking("Hm."), Text(text))


def test_text_that_was_held_back_comes_before_the_call_that_follows_it() -> None:
    call = {"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    said = parts(streamed({"content": "\n"}, {"tool_calls": [call]}))
    assert [type(part).__name__ for part in said] == ["Text", "ToolCall"]
    assert parts(whole({"content": "\n", "tool_calls": [call]})) == said


def test_every_choice_has_its_own_thinking() -> None:
    texts = ["<think>A</think>1", "2", "<think>C</think>3"]
    choices = [
        {"index": at, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        for at, text in enumerate(texts)
    ]
    answer = VENDOR.parse(json.dumps({"id": "c", "created": 1, "model": "m", "choices": choices}).encode())
    assert [(choice.thinking, choice.text) for choice in answer.choices] == [("A", "1"), ("", "2"), ("C", "3")]


def test_a_vendor_that_never_does_so_keeps_its_text_to_the_letter() -> None:
    text = "<think>Hm.</think> Noon."
    assert parts(whole({"content": text}, AS_IT_CAME)) == (Text(text),)
    assert parts(streamed({"content": text}, protocol=AS_IT_CAME)) == (Text(text),)


def test_whose_text_is_read_for_thinking() -> None:
    rows = [*CATALOG, own_provider("lab", "http://lab.invalid"), own_provider("llamacpp", "http://own.invalid")]
    protocols = {row.name: row.apis[""]({}) for row in rows if row.name != "vertex"}
    read = {name for name, made in protocols.items() if isinstance(made, OpenAIChat) and made.dialect.inline_thinking}
    assert read == {
        "groq", "together", "fireworks", "openrouter", "cerebras", "sambanova", "perplexity", "ollama", "vllm",
        "llamacpp",
    }  # fmt: skip
