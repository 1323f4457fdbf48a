"""How events fold into an answer."""

from collections.abc import Iterator

import pytest

from weir.domain.completion import Choice, Completion, Refusal, Text, Thinking, ToolCall, Usage
from weir.domain.events import (
    ChoiceFields,
    ChoiceFinished,
    Collector,
    Described,
    Ended,
    MessageFields,
    RefusalDelta,
    Started,
    StreamEvent,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
    collect,
)


def folded(*events: StreamEvent) -> Choice:
    """The one choice that the events make."""
    (choice,) = collect(events).choices
    return choice


def test_a_whole_answer_folds_into_one_completion() -> None:
    events: list[StreamEvent] = [
        Described("fp_1", "default", {"region": "eu"}),
        Started("chatcmpl-1", "m-1", 1_750_000_000),
        TextDelta(0, "It is "),
        Described(extra={"region": "us", "took": 3}),
        TextDelta(0, "noon."),
        ChoiceFinished(0, "stop", "stop"),
        Ended(Usage(3, 4)),
    ]
    assert collect(events) == Completion(
        "chatcmpl-1",
        "m-1",
        (Choice(0, (Text("It is noon."),), "stop", "stop"),),
        Usage(3, 4),
        1_750_000_000,
        "fp_1",
        "default",
        {"region": "us", "took": 3},
    )


def test_parts_keep_the_order_in_which_they_began() -> None:
    assert folded(
        ThinkingDelta(0, "Hm", block=0),
        TextDelta(0, "Look"),
        ToolCallDelta(0, 0, "call_a", "look", '{"at":'),
        TextDelta(0, "And"),
        ToolCallDelta(0, 1, "call_b", "listen", "{}"),
        ToolCallDelta(0, 0, arguments='"sky"}'),
        ThinkingDelta(0, ", so", block=0),
        TextDelta(0, " done"),
    ).parts == (
        Thinking("Hm, so"),
        Text("Look"),
        ToolCall("call_a", "look", '{"at":"sky"}'),
        Text("And"),
        ToolCall("call_b", "listen", "{}"),
        Text(" done"),
    )


def test_thinking_between_two_texts_keeps_them_apart() -> None:
    assert folded(TextDelta(0, "a"), ThinkingDelta(0, "b"), TextDelta(0, "c")).parts == (
        Text("a"),
        Thinking("b"),
        Text("c"),
    )


def test_a_thinking_block_gathers_its_seal_and_its_facts() -> None:
    assert folded(
        ThinkingDelta(0, "a", block=1, id="rs_1", provider="p"),
        ThinkingDelta(0, "b", block=1, seal="se"),
        ThinkingDelta(0, "", block=1, seal="al"),
        ThinkingDelta(0, "", block=2, seal="hidden", redacted=True),
    ).parts == (Thinking("ab", "seal", False, "rs_1", "p"), Thinking("", "hidden", True))


def test_a_tool_call_gathers_its_seal_and_its_fields() -> None:
    assert folded(
        ToolCallDelta(0, 0, "call_a", "look", "{}", seal="s", extra={"a": 1}),
        ToolCallDelta(0, 0, extra={"b": 2}),
    ).parts == (ToolCall("call_a", "look", "{}", "s", {"a": 1, "b": 2}),)


def test_a_refusal_is_not_text() -> None:
    choice = folded(TextDelta(0, "Well. "), RefusalDelta(0, "I can"), RefusalDelta(0, "not."))
    assert choice.parts == (Text("Well. "), Refusal("I cannot."))
    assert (choice.text, choice.refusal) == ("Well. ", "I cannot.")


def test_logprobs_grow() -> None:
    choice = folded(
        TextDelta(0, "a", {"content": [{"token": "a"}], "refusal": None}),
        TextDelta(0, "b", {"content": [{"token": "b"}], "refusal": None}),
        RefusalDelta(0, "no", {"content": None, "refusal": [{"token": "no"}]}),
    )
    assert choice.logprobs == {"content": [{"token": "a"}, {"token": "b"}], "refusal": [{"token": "no"}]}


@pytest.mark.parametrize(
    ("fields", "whole"),
    [
        pytest.param([{"annotations": [1]}, {"annotations": [2]}], {"annotations": [1, 2]}, id="lists grow"),
        pytest.param(
            [{"audio": {"id": "a1", "data": "UklG"}}, {"audio": {"id": "a1", "data": "Rg==", "expires_at": 9}}],
            {"audio": {"id": "a1", "data": "UklGRg==", "expires_at": 9}},
            id="texts inside objects join",
        ),
        pytest.param([{"mood": "a"}, {"mood": "b"}], {"mood": "b"}, id="the rest is replaced"),
    ],
)
def test_message_fields_fold(fields: list[dict[str, object]], whole: dict[str, object]) -> None:
    assert folded(*(MessageFields(0, some) for some in fields)).message_extra == whole


def test_choice_fields_are_replaced() -> None:
    assert folded(ChoiceFields(0, {"a": 1, "b": 1}), ChoiceFields(0, {"b": 2})).extra == {"a": 1, "b": 2}


def test_choices_are_kept_apart_and_in_order() -> None:
    completion = collect(
        [
            Started("c", "m"),
            TextDelta(1, "one"),
            TextDelta(0, "ze"),
            ToolCallDelta(1, 0, "id", "f", "{}"),
            TextDelta(0, "ro"),
            ChoiceFinished(1, "tool_calls", "tool_calls"),
            ChoiceFinished(0, None, "whatever"),
            Ended(),
        ]
    )
    assert completion == Completion(
        "c",
        "m",
        (
            Choice(0, (Text("zero"),), None, "whatever"),
            Choice(1, (Text("one"), ToolCall("id", "f", "{}")), "tool_calls", "tool_calls"),
        ),
    )


def test_half_an_answer_can_be_looked_at() -> None:
    collector = Collector()
    collector.add(TextDelta(0, "half"))
    assert collector.completion() == Completion(None, None, (Choice(0, (Text("half"),), None, None),))
    assert not collector.ended
    collector.add(Ended(Usage(1, 1)))
    assert collector.ended


def test_what_the_events_raise_passes_through() -> None:
    def broken() -> Iterator[StreamEvent]:
        yield TextDelta(0, "half")
        raise LookupError("from the wire")

    with pytest.raises(LookupError, match="from the wire"):
        collect(broken())
