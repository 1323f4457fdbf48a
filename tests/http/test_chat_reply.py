"""What our callers get, in OpenAI's form: whole bodies and whole streams."""

import json
from decimal import Decimal
from typing import Any

import pytest

from weir.domain.completion import Choice, Completion, FinishReason, Refusal, Text, Thinking, ToolCall, Usage
from weir.domain.events import (
    ChoiceFields,
    ChoiceFinished,
    Described,
    Ended,
    MessageFields,
    RefusalDelta,
    Started,
    StreamEvent,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
)
from weir.http.chat_reply import ChunkEncoder, completion_body, error_event, finish_word, usage_body

Json = dict[str, Any]


def body(completion: Completion, **how: Any) -> Json:
    return completion_body(completion, id="chatcmpl-ours", created=1, model="asked", **how)


def choice(*parts: Any, reason: FinishReason | None = "stop", **fields: Any) -> Completion:
    return Completion("c", "m", (Choice(0, parts, reason, reason, **fields),), created=5)


def only(completion: Completion, **how: Any) -> Json:
    """The one choice of the body."""
    (found,) = body(completion, **how)["choices"]
    return dict(found)


def answered(message: Json, reason: str = "stop") -> Json:
    whole = {"role": "assistant", "content": None, "refusal": None, **message}
    return {"index": 0, "message": whole, "logprobs": None, "finish_reason": reason}


def test_a_whole_answer() -> None:
    completion = Completion(
        "chatcmpl-1",
        "m-1",
        (
            Choice(
                0,
                (Thinking("Hm."), Text("Noon.")),
                "stop",
                "stop",
                {"content": [], "refusal": None},
                {"annotations": [1], "content": "never replaces ours"},
                {"content_filter_results": {}, "index": 9},
            ),
            Choice(1, (ToolCall("call_a", "f", "{}"),), "tool_calls", "tool_calls"),
        ),
        Usage(9, 4, cached=0),
        1_750_000_000,
        "fp_1",
        "default",
        {"provider": "Someone", "id": "never replaces ours"},
    )
    assert body(completion) == {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_750_000_000,
        "model": "m-1",
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": "Noon.",
                    "refusal": None,
                    "reasoning_content": "Hm.",
                    "annotations": [1],
                },
                "logprobs": {"content": [], "refusal": None},
                "finish_reason": "stop",
                "content_filter_results": {},
            },
            {
                "index": 1,
                "message": {
                    "role": "assistant",
                    "content": None,
                    "refusal": None,
                    "tool_calls": [{"id": "call_a", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
                },
                "logprobs": None,
                "finish_reason": "tool_calls",
            },
        ],
        "usage": {
            "prompt_tokens": 9,
            "completion_tokens": 4,
            "total_tokens": 13,
            "prompt_tokens_details": {"cached_tokens": 0},
        },
        "system_fingerprint": "fp_1",
        "service_tier": "default",
        "provider": "Someone",
    }


def test_what_the_provider_did_not_say_is_said_by_us_or_left_out() -> None:
    assert body(Completion(None, None, ())) == {
        "id": "chatcmpl-ours",
        "object": "chat.completion",
        "created": 1,
        "model": "asked",
        "choices": [],
    }


def test_created_of_zero_is_said() -> None:
    assert body(Completion(None, None, (), created=0))["created"] == 0


@pytest.mark.parametrize(
    ("completion", "expected"),
    [
        pytest.param(choice(), answered({"content": ""}), id="nothing"),
        pytest.param(choice(Text("a"), Text("b")), answered({"content": "ab"}), id="texts join"),
        pytest.param(choice(Refusal("No.")), answered({"refusal": "No."}), id="refusal"),
        pytest.param(
            choice(Thinking("Hm.", "s", False, "r1", "p"), Thinking("", "hidden", True)),
            answered(
                {
                    "content": "",
                    "reasoning_content": "Hm.",
                    "reasoning_details": [
                        {
                            "index": 0,
                            "format": "p",
                            "id": "r1",
                            "type": "reasoning.text",
                            "text": "Hm.",
                            "signature": "s",
                        },
                        {"index": 1, "type": "reasoning.encrypted", "data": "hidden"},
                    ],
                }
            ),
            id="sealed thinking",
        ),
        pytest.param(
            choice(Thinking("Hm.", "s"), message_extra={"reasoning_details": ["theirs"]}),
            answered({"content": "", "reasoning_content": "Hm.", "reasoning_details": ["theirs"]}),
            id="the provider's own details stay",
        ),
        pytest.param(
            choice(ToolCall("c", "f", "{}", "s"), reason="tool_calls"),
            answered(
                {
                    "tool_calls": [
                        {
                            "id": "c",
                            "type": "function",
                            "function": {"name": "f", "arguments": "{}"},
                            "extra_content": {"google": {"thought_signature": "s"}},
                        }
                    ]
                },
                "tool_calls",
            ),
            id="a sealed call",
        ),
    ],
)
def test_a_choice_is_written_as(completion: Completion, expected: Json) -> None:
    assert only(completion) == expected


def test_the_older_form_holds_the_first_call() -> None:
    calls = choice(ToolCall("c", "f", "{}"), ToolCall("d", "g", "{}"), reason="tool_calls")
    assert only(calls, legacy=True) == answered({"function_call": {"name": "f", "arguments": "{}"}}, "function_call")


def test_a_summary_is_the_thinking_of_the_first_choice() -> None:
    assert body(choice(Thinking("Hm."), Text("Noon.")), summary=True)["reasoning"] == "Hm."
    assert "reasoning" not in body(choice(Text("Noon.")), summary=True)


@pytest.mark.parametrize(
    ("reason", "word", "legacy"),
    [
        ("stop", "stop", "stop"),
        ("length", "length", "length"),
        ("content_filter", "content_filter", "content_filter"),
        ("tool_calls", "tool_calls", "function_call"),
        ("function_call", "tool_calls", "function_call"),
        (None, "stop", "stop"),
    ],
)
def test_a_finish_reason_is_one_of_openais_words(reason: FinishReason | None, word: str, legacy: str) -> None:
    assert (finish_word(reason, False), finish_word(reason, True)) == (word, legacy)


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (Usage(9, 4), {}),
        (
            Usage(
                9, 4, 1, 2, 3, 4, 5, 6, 7, Decimal("0.1"), {"cost": 0.1, "prompt_tokens_details": {"image_tokens": 8}}
            ),
            {
                "prompt_tokens_details": {
                    "image_tokens": 8,
                    "cached_tokens": 1,
                    "cache_write_tokens": 2,
                    "audio_tokens": 4,
                },
                "completion_tokens_details": {
                    "reasoning_tokens": 3,
                    "audio_tokens": 5,
                    "accepted_prediction_tokens": 6,
                    "rejected_prediction_tokens": 7,
                },
                "cost": 0.1,
            },
        ),
    ],
)
def test_usage_is_written_as(usage: Usage, expected: Json) -> None:
    counts = {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}
    assert usage_body(usage) == {**counts, **expected}


def test_an_error_in_a_stream_is_one_event() -> None:
    assert error_event({"message": "Lost"}) == b'data: {"error":{"message":"Lost"}}\n\n'


STARTED = Started("chatcmpl-1", "m-1", 5)


def stream(*events: StreamEvent, **how: Any) -> str:
    return ChunkEncoder(id="chatcmpl-ours", created=1, model="asked", **how).encode(events).decode()


def chunks(*events: StreamEvent, **how: Any) -> list[Json]:
    return [json.loads(line.removeprefix("data: ")) for line in stream(*events, **how).split("\n\n")[:-1]]


def deltas(*events: StreamEvent, **how: Any) -> list[Json]:
    """What the chunks after the first say."""
    return [chunk["choices"][0]["delta"] for chunk in chunks(STARTED, *events, **how)[1:]]


def test_a_whole_stream_to_the_letter() -> None:
    assert stream(STARTED, TextDelta(0, "Grüße"), ChoiceFinished(0, "stop", "stop"), Ended(Usage(9, 4))) == (
        'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":5,"model":"m-1",'
        '"choices":[{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}]}\n\n'
        'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":5,"model":"m-1",'
        '"choices":[{"index":0,"delta":{"content":"Grüße"},"logprobs":null,"finish_reason":null}]}\n\n'
        'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":5,"model":"m-1",'
        '"choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}]}\n\n'
    )


def test_usage_is_null_until_the_last_chunk_when_it_was_asked_for() -> None:
    events: list[StreamEvent] = [STARTED, TextDelta(0, "a"), ChoiceFinished(0, "stop", "stop"), Ended(Usage(9, 4))]
    *before, last = chunks(*events, include_usage=True)
    assert [chunk["usage"] for chunk in before] == [None] * 3
    assert last == {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 5,
        "model": "m-1",
        "choices": [],
        "usage": {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13},
    }


def test_usage_that_nobody_knows_is_not_sent() -> None:
    assert len(chunks(STARTED, ChoiceFinished(0, "stop", "stop"), Ended(None), include_usage=True)) == 2


def test_our_own_id_time_and_model_stand_in() -> None:
    (chunk,) = chunks(Started(None, None))
    assert (chunk["id"], chunk["created"], chunk["model"]) == ("chatcmpl-ours", 1, "asked")


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (ThinkingDelta(0, "Hm."), [{"reasoning_content": "Hm."}]),
        (RefusalDelta(0, "No."), [{"refusal": "No."}]),
        (MessageFields(0, {"audio": {"id": "a"}}), [{"audio": {"id": "a"}}]),
        (
            ToolCallDelta(0, 1, "call_a", "f"),
            [
                {
                    "tool_calls": [
                        {"index": 1, "id": "call_a", "type": "function", "function": {"name": "f", "arguments": ""}}
                    ]
                }
            ],
        ),
        (ToolCallDelta(0, 1, arguments="{}"), [{"tool_calls": [{"index": 1, "function": {"arguments": "{}"}}]}]),
        (
            ToolCallDelta(0, 0, arguments="", seal="s", extra={"x": 1}),
            [
                {
                    "tool_calls": [
                        {
                            "index": 0,
                            "function": {"arguments": ""},
                            "x": 1,
                            "extra_content": {"google": {"thought_signature": "s"}},
                        }
                    ]
                }
            ],
        ),
        (Ended(Usage(1, 1)), []),
    ],
)
def test_an_event_is_written_as(event: StreamEvent, expected: list[Json]) -> None:
    assert deltas(event) == expected


def test_seals_go_out_once_with_the_whole_text_of_their_blocks_when_the_choice_ends() -> None:
    assert deltas(
        ThinkingDelta(0, "H"),
        ThinkingDelta(0, "m.", seal="s", provider="p"),
        ThinkingDelta(0, "", 1, "x", True),
        ThinkingDelta(0, "", seal="t"),
        ChoiceFinished(0, "stop", "stop"),
    ) == [
        {"reasoning_content": "H"},
        {"reasoning_content": "m."},
        {
            "reasoning_details": [
                {"index": 0, "format": "p", "type": "reasoning.text", "text": "Hm.", "signature": "st"},
                {"index": 1, "type": "reasoning.encrypted", "data": "x"},
            ]
        },
        {},
    ]


def test_lists_go_out_once_when_the_choice_ends_and_what_is_late_at_once() -> None:
    assert deltas(
        MessageFields(0, {"annotations": [1], "mood": "good"}),
        MessageFields(0, {"annotations": [2]}),
        ChoiceFinished(0, "stop", "stop"),
        MessageFields(0, {"annotations": [3]}),
    ) == [{"mood": "good"}, {"annotations": [1, 2]}, {}, {"annotations": [3]}]


def test_pieces_of_the_vendors_own_details_become_its_whole_entries() -> None:
    pieces = [
        {"type": "reasoning.text", "index": 0, "format": "f-v1", "text": "H"},
        {"type": "reasoning.text", "index": 0, "format": "f-v1", "text": "m."},
        {"type": "reasoning.text", "index": 0, "format": "f-v1", "signature": "s"},
        {"type": "reasoning.encrypted", "index": 0, "data": "x"},
        {"type": "reasoning.encrypted", "index": 0, "data": "y"},
    ]
    said = deltas(*(MessageFields(0, {"reasoning_details": [p]}) for p in pieces), ChoiceFinished(0, "stop", "stop"))
    text = {"type": "reasoning.text", "index": 0, "format": "f-v1", "text": "Hm.", "signature": "s"}
    assert said == [{"reasoning_details": [text, *pieces[3:]]}, {}]


def test_the_older_form_streams_the_first_call_alone() -> None:
    calls: list[StreamEvent] = [
        ToolCallDelta(0, 0, "call_a", "f", "{"),
        ToolCallDelta(0, 1, "call_b", "g", "[]"),
        ToolCallDelta(0, 0, arguments="}"),
        ChoiceFinished(0, "tool_calls", "tool_calls"),
    ]
    assert deltas(*calls, legacy=True) == [
        {"function_call": {"name": "f", "arguments": "{"}},
        {"function_call": {"arguments": "}"}},
        {},
    ]
    assert chunks(STARTED, *calls, legacy=True)[-1]["choices"][0]["finish_reason"] == "function_call"


def test_every_choice_begins_with_its_role_and_says_it_once() -> None:
    seen = chunks(STARTED, TextDelta(0, "a"), TextDelta(1, "b"), TextDelta(1, "c"))
    assert [(c["choices"][0]["index"], c["choices"][0]["delta"]) for c in seen] == [
        (0, {"role": "assistant", "content": ""}),
        (0, {"content": "a"}),
        (1, {"role": "assistant", "content": "b"}),
        (1, {"content": "c"}),
    ]


def test_facts_ride_on_all_chunks_that_follow_and_the_providers_own_fields_on_the_next() -> None:
    first, second, third = chunks(
        Described("fp_1", "flex", {"provider": "Someone"}), STARTED, TextDelta(0, "a"), TextDelta(0, "b")
    )
    facts = {"system_fingerprint": "fp_1", "service_tier": "flex"}
    frame = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 5, "model": "m-1"}
    assert {k: v for k, v in first.items() if k != "choices"} == {**frame, **facts, "provider": "Someone"}
    assert {k: v for k, v in second.items() if k != "choices"} == {**frame, **facts}
    assert third.keys() == second.keys()


def test_the_providers_fields_never_replace_ours() -> None:
    text = stream(
        Described(extra={"request_id": "theirs", "x": 1}),
        STARTED,
        Ended(Usage(1, 1)),
        include_usage=True,
        fields={"request_id": "ours"},
    )
    assert text.count('"request_id":"ours"') == 2
    assert "theirs" not in text


def test_fields_of_a_choice_stand_beside_its_delta() -> None:
    assert chunks(STARTED, ChoiceFields(0, {"content_filter_results": {}}))[1]["choices"] == [
        {"index": 0, "delta": {}, "logprobs": None, "finish_reason": None, "content_filter_results": {}}
    ]


def test_logprobs_stand_beside_their_delta() -> None:
    assert chunks(STARTED, TextDelta(0, "a", {"content": [{"token": "a"}]}))[1]["choices"] == [
        {"index": 0, "delta": {"content": "a"}, "logprobs": {"content": [{"token": "a"}]}, "finish_reason": None}
    ]


def test_another_frame_and_own_fields_stand_around_every_chunk() -> None:
    text = stream(STARTED, TextDelta(0, "a"), frame=(b'{"chunk":', b"}\n"), fields={"request_id": "r"})
    assert [json.loads(line)["chunk"]["request_id"] for line in text.splitlines()] == ["r", "r"]
