"""Sealed thinking comes back from a caller where the model had it."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from weir.domain.chat import ChatCall, Part
from weir.domain.completion import AnswerPart, Choice, Completion, Text, Thinking, ToolCall
from weir.http.chat_messages import to_messages
from weir.http.chat_reply import completion_body
from weir.protocols.anthropic_messages import AnthropicMessages
from weir.protocols.openai_chat import OpenAIChat, OpenAIDialect


def message(*parts: AnswerPart) -> dict[str, Any]:
    answer = Completion("x", "m", (Choice(0, parts, "stop", "stop"),))
    body: dict[str, Any] = completion_body(answer, id="x", created=0, model="m")["choices"][0]["message"]
    return body


def given_back(*parts: AnswerPart) -> tuple[Part, ...]:
    return to_messages([message(*parts)])[0].parts


def thought(text: str) -> Thinking:
    return Thinking(text, f"canary-{text}", provider="anthropic")


CALL, OTHER = ToolCall("a", "f", "{}"), ToolCall("b", "g", "{}")


@pytest.mark.parametrize(
    "parts",
    [
        (thought("A"), Text("one "), thought("B"), Text("two"), CALL, thought("C"), OTHER),
        (Text("one"), thought("A"), CALL),
        (Text("one"), CALL, thought("A")),
        (CALL, thought("A"), thought("B"), OTHER),
        (thought("A"), thought("B"), Text("one")),
        (Text("one"), thought("A")),
        (thought("A"), Text("")),
    ],
)
def test_thinking_stays_between_what_it_stood_between(parts: Sequence[AnswerPart]) -> None:
    assert given_back(*parts) == tuple(parts)


thoughts = st.builds(
    Thinking,
    st.text("ab", max_size=2),
    st.none() | st.text("xy", min_size=1, max_size=3),
    st.booleans(),
    st.none() | st.just("id-1"),
    st.sampled_from(["anthropic", "gemini", "openai"]),
)
said = st.lists(thoughts | st.text("wé\n", min_size=1, max_size=4).map(Text), max_size=6)
called = st.lists(thoughts | st.just(CALL), max_size=5)


@given(said, called)
def test_any_order_comes_back_if_its_texts_precede_its_calls(
    before: list[AnswerPart], behind: list[AnswerPart]
) -> None:
    parts = [thought("A"), *before, *behind]
    assume(any(isinstance(part, Text | ToolCall) for part in parts))
    assume(not any(isinstance(part, Text) and isinstance(after, Text) for part, after in pairwise(parts)))
    assert given_back(*parts) == tuple(parts)


@given(st.lists(thoughts | st.text("wé", min_size=1, max_size=4).map(Text) | st.just(CALL), max_size=8))
def test_no_order_loses_or_changes_a_word(parts: list[AnswerPart]) -> None:
    def of(kind: type[Part], found: Sequence[Part]) -> list[Part]:
        return [part for part in found if isinstance(part, kind)]

    back = given_back(thought("A"), *parts)
    assert of(Thinking, back) == [thought("A"), *of(Thinking, parts)]
    assert of(ToolCall, back) == of(ToolCall, parts)
    texts = ["".join(part.text for part in found if isinstance(part, Text)) for found in (back, parts)]
    assert texts[0] == texts[1]


def test_a_text_that_the_caller_shortened_keeps_its_thinking_before_the_calls() -> None:
    body = message(thought("A"), Text("one two"), thought("B"), CALL)
    assert to_messages([{**body, "content": "one"}])[0].parts == (thought("A"), Text("one"), thought("B"), CALL)


def test_places_that_are_no_numbers_are_the_beginning() -> None:
    body = message(Text("one"), thought("A"))
    (detail,) = body["reasoning_details"]
    odd = {**body, "reasoning_details": [{**detail, "text_before": "2", "calls_before": None}, "odd"]}
    assert to_messages([odd])[0].parts == (thought("A"), Text("one"))


def test_claude_gets_interleaved_thinking_as_it_gave_it_and_others_get_one_text() -> None:
    parts = (thought("A"), Text("one "), thought("B"), Text("two"), CALL)
    messages = to_messages([{"role": "user", "content": "?"}, message(*parts)])
    call = ChatCall(model="claude-opus-4-6", messages=messages)
    claude = AnthropicMessages().render(call).body["messages"][1]["content"]
    assert [block["type"] for block in claude] == ["thinking", "text", "thinking", "text", "tool_use"]
    vendor = OpenAIChat(OpenAIDialect(provider="vendor")).render(call).body["messages"][1]
    assert (vendor["content"], vendor["reasoning_content"]) == ("one two", "AB")
