"""What Anthropic answers, read whole and in pieces. origin = "written", after the API's documentation."""

import base64
import json
import random
import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import pytest

from weir.domain.chat import ChatCall, Message
from weir.domain.completion import Choice, Completion, Text, Thinking, ToolCall, Usage
from weir.domain.errors import (
    MalformedReply,
    ProviderAuthFailed,
    ProviderError,
    ProviderRejected,
    ProviderThrottled,
    ProviderTimeout,
    ProviderUnavailable,
)
from weir.domain.events import StreamEvent, ThinkingDelta, ToolCallDelta, collect
from weir.protocols.anthropic_messages import BEDROCK, FINISH_REASONS, AnthropicMessages, vertex
from weir.protocols.base import WireProtocol, decode

Event = dict[str, Any]

ANTHROPIC = AnthropicMessages()
INVOKE = AnthropicMessages(BEDROCK)

USAGE = {
    "input_tokens": 10,
    "cache_read_input_tokens": 30,
    "cache_creation_input_tokens": 5,
    "cache_creation": {"ephemeral_5m_input_tokens": 5, "ephemeral_1h_input_tokens": 0},
    "output_tokens": 20,
    "output_tokens_details": {"thinking_tokens": 12},
    "service_tier": "standard",
    "server_tool_use": {"web_search_requests": 1},
    "inference_geo": None,
}
COUNTED = Usage(
    45,
    20,
    cached=30,
    cache_written=5,
    reasoning=12,
    extra={
        "cache_creation": {"ephemeral_5m_input_tokens": 5, "ephemeral_1h_input_tokens": 0},
        "service_tier": "standard",
        "server_tool_use": {"web_search_requests": 1},
    },
)
SEARCH = {"type": "server_tool_use", "id": "srv_1", "name": "web_search", "input": {"query": "reef"}}
FOUND = {"type": "web_search_tool_result", "tool_use_id": "srv_1", "content": [{"type": "web_search_result"}]}
WEB = {
    "type": "web_search_result_location",
    "url": "https://sea.example/reef",
    "title": "Reefs",
    "cited_text": "Reefs are",
    "encrypted_index": "enc",
}
PAGE = {"type": "page_location", "document_index": 0, "start_page_number": 1, "end_page_number": 2}
CODE = {"type": "code_execution_20250825", "tool_id": "srv_2"}
NEWS = {"type": "hologram", "content": [1, 2]}


def message(content: Sequence[Event], reason: str | None = "end_turn", **fields: Any) -> Event:
    return {
        "type": "message",
        "id": "msg_1",
        "role": "assistant",
        "model": "claude-haiku-4-5-20251001",
        "content": list(content),
        "stop_reason": reason,
        "stop_sequence": None,
        "usage": USAGE,
        **fields,
    }


def answered(*parts: Any, reason: str = "end_turn", **fields: Any) -> Completion:
    choice = Choice(0, parts, FINISH_REASONS.get(reason), reason, **fields)
    return Completion("msg_1", "claude-haiku-4-5-20251001", (choice,), COUNTED)


def thinking(text: str, seal: str | None, redacted: bool = False) -> Thinking:
    return Thinking(text, seal, redacted, provider="anthropic")


CASES: Mapping[str, tuple[Event, Completion]] = {
    "plain": (message([{"type": "text", "text": "Schöne Grüße 🐠!"}]), answered(Text("Schöne Grüße 🐠!"))),
    "nothing": (message([]), answered()),
    "cut by the limit": (
        message([{"type": "text", "text": "Once"}], "max_tokens"),
        answered(Text("Once"), reason="max_tokens"),
    ),
    "stop sequence": (
        message([{"type": "text", "text": "a"}], "stop_sequence", stop_sequence="END"),
        answered(Text("a"), reason="stop_sequence", extra={"stop_sequence": "END"}),
    ),
    "refusal": (
        message([], "refusal", stop_details={"type": "refusal", "category": "bio", "explanation": "No."}),
        answered(
            reason="refusal", extra={"stop_details": {"type": "refusal", "category": "bio", "explanation": "No."}}
        ),
    ),
    "unknown reason": (message([{"type": "text", "text": "a"}], "tide_out"), answered(Text("a"), reason="tide_out")),
    "thinking, text and two calls": (
        message(
            [
                {"type": "thinking", "thinking": "Two cities.", "signature": "c2VhbA=="},
                {"type": "redacted_thinking", "data": "ZW5j"},
                {"type": "text", "text": "Let me look."},
                {
                    "type": "tool_use",
                    "id": "toolu_1",
                    "name": "weather",
                    "input": {"city": "Oslo"},
                    "caller": {"type": "direct"},
                },
                {"type": "tool_use", "id": "toolu_2", "name": "now", "input": {}},
            ],
            "tool_use",
        ),
        answered(
            thinking("Two cities.", "c2VhbA=="),
            thinking("", "ZW5j", True),
            Text("Let me look."),
            ToolCall("toolu_1", "weather", '{"city":"Oslo"}'),
            ToolCall("toolu_2", "now", "{}"),
            reason="tool_use",
        ),
    ),
    "thinking kept back": (
        message([{"type": "thinking", "thinking": "", "signature": "c2VhbA=="}, {"type": "text", "text": "4"}]),
        answered(thinking("", "c2VhbA=="), Text("4")),
    ),
    "a call from code": (
        message(
            [{"type": "tool_use", "id": "t", "name": "now", "input": {}, "caller": CODE}],
            "tool_use",
        ),
        answered(ToolCall("t", "now", "{}", extra={"caller": CODE}), reason="tool_use"),
    ),
    "server tools, citations and blocks of tomorrow": (
        message(
            [
                {"type": "text", "text": "Searching."},
                SEARCH,
                FOUND,
                NEWS,
                {"type": "text", "text": "Reefs are alive.", "citations": [WEB, PAGE]},
                {"type": "text", "text": " Truly."},
            ],
            "pause_turn",
        ),
        answered(
            Text("Searching.Reefs are alive. Truly."),
            reason="pause_turn",
            message_extra={
                "content_blocks": [SEARCH, FOUND, NEWS],
                "annotations": [
                    {
                        "type": "url_citation",
                        "url_citation": {
                            "url": "https://sea.example/reef",
                            "title": "Reefs",
                            "start_index": 10,
                            "end_index": 26,
                        },
                        "cited_text": "Reefs are",
                        "encrypted_index": "enc",
                    }
                ],
                "citations": [{**PAGE, "start_index": 10, "end_index": 26}],
            },
        ),
    ),
}


def cut(text: str, size: int = 7) -> list[str]:
    return [text[at : at + size] for at in range(0, len(text), size)]


def block_events(index: int, block: Event) -> list[Event]:
    deltas: list[Event] = []
    start = dict(block)
    match block["type"]:
        case "text":
            start = {"type": "text", "text": "", **({"citations": []} if "citations" in block else {})}
            deltas += [{"type": "text_delta", "text": text} for text in cut(block["text"])]
            deltas += [{"type": "citations_delta", "citation": citation} for citation in block.get("citations", ())]
        case "thinking":
            start = {"type": "thinking", "thinking": "", "signature": ""}
            deltas += [{"type": "thinking_delta", "thinking": text} for text in cut(block["thinking"])]
            deltas.append({"type": "signature_delta", "signature": block["signature"]})
        case "tool_use" | "server_tool_use":
            start["input"] = {}
            written = json.dumps(block["input"], separators=(",", ":")) if block["input"] else ""
            deltas += [{"type": "input_json_delta", "partial_json": text} for text in ["", *cut(written)]]
    return [
        {"type": "content_block_start", "index": index, "content_block": start},
        *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": index},
    ]


def streamed(whole: Event) -> list[Event]:
    """The same answer as the events the API would have sent."""
    last = {name: whole[name] for name in ("stop_reason", "stop_sequence", "stop_details") if name in whole}
    first: Event = {name: None if name in last else value for name, value in whole.items()}
    first |= {"content": [], "usage": {**USAGE, "output_tokens": 1}}
    return [
        {"type": "message_start", "message": first},
        {"type": "ping"},
        *(event for index, block in enumerate(whole["content"]) for event in block_events(index, block)),
        {"type": "message_delta", "delta": last, "usage": {"output_tokens": 20, "input_tokens": None}},
        {"type": "message_stop"},
    ]


def sse(events: Sequence[Event]) -> bytes:
    return b"".join(
        f"event: {event['type']}\ndata: {json.dumps(event, ensure_ascii=False)}\n\n".encode() for event in events
    )


def frame(headers: Mapping[str, str], payload: bytes) -> bytes:
    block = b"".join(
        bytes([len(name)]) + name.encode() + b"\x07" + struct.pack(">H", len(value)) + value.encode()
        for name, value in headers.items()
    )
    prelude = struct.pack(">II", 16 + len(block) + len(payload), len(block))
    whole = prelude + struct.pack(">I", zlib.crc32(prelude)) + block + payload
    return whole + struct.pack(">I", zlib.crc32(whole))


def eventstream(events: Sequence[Event]) -> bytes:
    chunk = {":event-type": "chunk", ":content-type": "application/json", ":message-type": "event"}
    return b"".join(
        frame(chunk, json.dumps({"bytes": base64.b64encode(json.dumps(event).encode()).decode()}).encode())
        for event in events
    )


Framing = tuple[AnthropicMessages, Callable[[Sequence[Event]], bytes]]
FRAMINGS: Mapping[str, Framing] = {
    "anthropic": (ANTHROPIC, sse),
    "vertex": (AnthropicMessages(vertex("p", "l")), sse),
    "bedrock": (INVOKE, eventstream),
}
framings = pytest.mark.parametrize("framing", FRAMINGS.values(), ids=FRAMINGS)
cases = pytest.mark.parametrize(("whole", "completion"), CASES.values(), ids=CASES)


def read(protocol: AnthropicMessages, *chunks: bytes) -> list[StreamEvent]:
    return list(decode(protocol.decoder(), chunks))


def reply(*events: Event, protocol: AnthropicMessages = ANTHROPIC) -> Completion:
    return collect(read(protocol, sse(events)))


def test_it_offers_what_a_protocol_must() -> None:
    assert isinstance(ANTHROPIC, WireProtocol)
    assert (INVOKE.name, INVOKE.provider) == ("anthropic_messages", "bedrock")


@cases
def test_a_whole_answer_is_read(whole: Event, completion: Completion) -> None:
    assert ANTHROPIC.parse(json.dumps(whole).encode()) == completion


@framings
@cases
def test_a_stream_gives_the_same_answer(framing: Framing, whole: Event, completion: Completion) -> None:
    protocol, wire = framing
    assert collect(read(protocol, wire(streamed(whole)))) == completion


@framings
@cases
def test_the_cut_of_the_bytes_changes_nothing(framing: Framing, whole: Event, completion: Completion) -> None:
    protocol, wire = framing
    data = wire(streamed(whole))
    events = read(protocol, data)
    assert read(protocol, *(data[at : at + 1] for at in range(len(data)))) == events
    shuffled = random.Random(len(data))
    for _ in range(20):
        ends = [0, *sorted(shuffled.sample(range(len(data)), 12)), len(data)]
        assert read(protocol, *(data[a:b] for a, b in pairwise(ends))) == events
    if wire is sse:
        assert read(protocol, data.replace(b"\n", b"\r\n")) == events


@framings
def test_every_prefix_of_a_stream_is_an_error(framing: Framing) -> None:
    protocol, wire = framing
    data = wire(streamed(CASES["thinking, text and two calls"][0]))
    for end in range(len(data)):
        with pytest.raises(MalformedReply):
            read(protocol, data[:end])


def test_what_comes_after_the_end_changes_nothing() -> None:
    events = streamed(CASES["plain"][0])
    late = {"type": "error", "error": {"type": "api_error", "message": "late"}}
    assert reply(*events, late, {"type": "message_stop"}) == CASES["plain"][1]


def given_back(completion: Completion) -> Any:
    choice = completion.choices[0]
    turn = Message("assistant", choice.parts, listed=True, extra=choice.message_extra)
    sent = ANTHROPIC.render(ChatCall(model="claude-haiku-4-5", messages=(turn,)))
    return sent.body["messages"][0]["content"]


@pytest.mark.parametrize("case", ["plain", "thinking, text and two calls", "thinking kept back", "a call from code"])
def test_an_answer_is_given_back_as_it_came(case: str) -> None:
    whole, completion = CASES[case]
    direct = ("caller", {"type": "direct"})
    assert given_back(completion) == [
        {name: value for name, value in block.items() if (name, value) != direct} for block in whole["content"]
    ]


def test_server_tools_are_given_back_with_their_results_before_the_text() -> None:
    _, completion = CASES["server tools, citations and blocks of tomorrow"]
    text = {"type": "text", "text": "Searching.Reefs are alive. Truly."}
    assert given_back(completion) == [SEARCH, FOUND, NEWS, text]


def test_slots_and_blocks_are_counted_apart_from_the_apis_indexes() -> None:
    events = read(ANTHROPIC, sse(streamed(CASES["thinking, text and two calls"][0])))
    assert [(e.slot, e.id) for e in events if isinstance(e, ToolCallDelta) and e.id] == [(0, "toolu_1"), (1, "toolu_2")]
    assert sorted({e.block for e in events if isinstance(e, ThinkingDelta)}) == [0, 1]


def test_arguments_are_kept_to_the_letter() -> None:
    events = streamed(message([{"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}}], "max_tokens"))
    events[3:-3] = [
        {"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": text}}
        for text in ('{"a" :', " [1,")
    ]
    assert reply(*events).choices[0].parts == (ToolCall("t", "f", '{"a" : [1,'),)


def test_a_server_tools_input_that_was_cut_off_is_kept_as_text() -> None:
    events = streamed(message([SEARCH], "max_tokens"))
    last = max(at for at, event in enumerate(events) if "partial_json" in event.get("delta", {}))
    del events[last]
    assert reply(*events).choices[0].message_extra == {
        "content_blocks": [{**SEARCH, "input": '{"query":"reef'}],
    }


def test_deltas_of_tomorrow_are_kept_with_their_block() -> None:
    events = streamed(message([NEWS]))
    delta = {"type": "hologram_delta", "light": 3}
    events.insert(3, {"type": "content_block_delta", "index": 0, "delta": delta})
    events.insert(3, {"type": "starlight", "value": 1})
    assert reply(*events).choices[0].message_extra == {"content_blocks": [{**NEWS, "deltas": [delta]}]}


def test_what_is_said_about_the_whole_answer_is_kept() -> None:
    events = streamed(message([{"type": "text", "text": "a"}]))
    events[-2]["delta"]["container"] = {"id": "c-1"}
    events[-2]["context_management"] = {"applied_edits": []}
    events[-1]["amazon-bedrock-invocationMetrics"] = {"inputTokenCount": 3}
    assert reply(*events).extra == {
        "container": {"id": "c-1"},
        "context_management": {"applied_edits": []},
        "amazon-bedrock-invocationMetrics": {"inputTokenCount": 3},
    }


def test_counts_are_cumulative_and_never_made_up() -> None:
    events = streamed(message([{"type": "text", "text": "a"}]))
    events[0]["message"]["usage"] = {"input_tokens": 3, "output_tokens": 1}
    events[-2]["usage"] = {"output_tokens": 9, "input_tokens": 7, "cache_read_input_tokens": 0}
    assert reply(*events).usage == Usage(7, 9, cached=0)
    assert ANTHROPIC.parse(json.dumps(message([], usage={"output_tokens": 3})).encode()).usage is None
    assert ANTHROPIC.parse(json.dumps(message([], usage=None)).encode()).usage is None


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("pause_turn", "stop"),
        ("compaction", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("tool_use", "tool_calls"),
        ("refusal", "content_filter"),
        ("tide_out", None),
    ],
)
def test_the_reason_for_the_end_in_both_words(word: str, reason: str | None) -> None:
    choice = ANTHROPIC.parse(json.dumps(message([], word)).encode()).choices[0]
    assert (choice.raw_reason, choice.reason) == (word, reason)


def test_an_end_without_a_reason_is_an_end() -> None:
    events = [event for event in streamed(message([{"type": "text", "text": "a"}])) if event["type"] != "message_delta"]
    assert reply(*events).choices == (Choice(0, (Text("a"),), None, None),)


def test_a_block_still_open_at_the_end_is_shut() -> None:
    events = [event for event in streamed(CASES["thinking, text and two calls"][0]) if "_stop" not in event["type"]]
    assert reply(*events, {"type": "message_stop"}) == CASES["thinking, text and two calls"][1]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b'"text"',
        json.dumps({**message([]), "content": None}).encode(),
        json.dumps(message([{"type": "text"}])).encode(),
        json.dumps(message([{"type": "text", "text": 3}])).encode(),
        json.dumps(message([{"type": "tool_use", "id": "t"}])).encode(),
        json.dumps(message(["text"])).encode(),  # type: ignore[list-item]
    ],
)
def test_a_body_in_another_format_is_malformed_and_kept(body: bytes) -> None:
    with pytest.raises(MalformedReply) as caught:
        ANTHROPIC.parse(body)
    assert caught.value.raw == body


@pytest.mark.parametrize(
    "event",
    [
        {"type": "message_stop"},
        {"type": "content_block_delta", "index": 4, "delta": {"type": "text_delta", "text": "a"}},
        {"type": "content_block_start", "index": 0},
        {"type": "message_start"},
        [],
        "text",
    ],
)
def test_an_event_in_another_format_is_malformed(event: Any) -> None:
    with pytest.raises(MalformedReply):
        read(ANTHROPIC, b"data: " + json.dumps(event).encode() + b"\n\n")


@pytest.mark.parametrize(
    ("type", "status", "kind"),
    [
        ("overloaded_error", 529, ProviderUnavailable),
        ("rate_limit_error", 429, ProviderThrottled),
        ("invalid_request_error", 400, ProviderRejected),
        ("authentication_error", 401, ProviderAuthFailed),
        ("timeout_error", 504, ProviderTimeout),
        ("weather_error", 500, ProviderUnavailable),
    ],
)
def test_an_error_inside_a_stream_has_the_class_of_its_type(type: str, status: int, kind: type[ProviderError]) -> None:
    error = {"type": "error", "error": {"type": type, "message": "Because."}, "request_id": "req_1"}
    for wire in (sse([*streamed(message([]))[:2], error]), json.dumps(error).encode()):
        with pytest.raises(ProviderError) as caught:
            read(ANTHROPIC, wire) if wire.startswith(b"event") else ANTHROPIC.parse(wire)
        assert caught.type is kind
        assert (str(caught.value), caught.value.status, caught.value.type) == ("Because.", status, type)
        assert json.loads(caught.value.raw) == error


def test_googles_own_error_inside_a_stream() -> None:
    error = {"error": {"code": 429, "message": "Quota exceeded.", "status": "RESOURCE_EXHAUSTED"}}
    with pytest.raises(ProviderThrottled) as caught:
        read(AnthropicMessages(vertex("p", "l")), b"data: " + json.dumps(error).encode() + b"\n\n")
    assert (caught.value.status, caught.value.type, caught.value.code) == (429, "RESOURCE_EXHAUSTED", "429")


@pytest.mark.parametrize(
    ("headers", "payload", "status", "kind"),
    [
        ({":message-type": "exception", ":exception-type": "throttlingException"}, b'{"message":"Because."}', 429,
         ProviderThrottled),
        ({":message-type": "exception", ":exception-type": "modelStreamErrorException"}, b'{"message":"Because."}', 424,
         ProviderRejected),
        ({":message-type": "exception", ":exception-type": "internalServerException"}, b'{"message":"Because."}', 500,
         ProviderUnavailable),
        ({":message-type": "error", ":error-code": "InternalError", ":error-message": "Because."}, b"", 500,
         ProviderUnavailable),
    ],
)  # fmt: skip
def test_an_exception_in_an_event_stream(
    headers: dict[str, str], payload: bytes, status: int, kind: type[ProviderError]
) -> None:
    with pytest.raises(ProviderError) as caught:
        read(INVOKE, eventstream(streamed(message([]))[:2]), frame(headers, payload))
    assert (caught.type, str(caught.value), caught.value.status) == (kind, "Because.", status)


def test_a_broken_event_stream_is_malformed() -> None:
    data = bytearray(eventstream(streamed(message([]))))
    data[20] ^= 1
    with pytest.raises(MalformedReply):
        read(INVOKE, bytes(data))


def test_other_events_of_an_event_stream_are_passed_over() -> None:
    other = frame({":message-type": "event", ":event-type": "metrics"}, b"{}")
    assert collect(read(INVOKE, other, eventstream(streamed(CASES["plain"][0])))) == CASES["plain"][1]


@pytest.mark.parametrize(
    ("status", "headers", "body", "kind", "said"),
    [
        (429, {"retry-after": "7"},
         b'{"type":"error","error":{"type":"rate_limit_error","message":"Slow down."},"request_id":"req_1"}',
         ProviderThrottled, ("Slow down.", None, "rate_limit_error", "7")),
        (529, {}, b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}',
         ProviderUnavailable, ("Overloaded", None, "overloaded_error", None)),
        (401, {}, b'{"type":"error","error":{"type":"authentication_error","message":"invalid x-api-key"}}',
         ProviderAuthFailed, ("invalid x-api-key", None, "authentication_error", None)),
        (404, {}, b'{"type":"error","error":{"type":"not_found_error","message":"model: nope"}}',
         ProviderRejected, ("model: nope", None, "not_found_error", None)),
        (400, {"x-amzn-errortype": "ValidationException:http://internal.example/"},
         b'{"message":"Malformed input request"}',
         ProviderRejected, ("Malformed input request", "ValidationException", None, None)),
        (403, {}, b'[{"error":{"code":403,"message":"Denied.","status":"PERMISSION_DENIED"}}]',
         ProviderAuthFailed, ("Denied.", "403", "PERMISSION_DENIED", None)),
        (502, {}, b"<html>canary</html>", ProviderUnavailable,
         ("anthropic answered with status 502.", None, None, None)),
        (500, {}, b'{"error":"plain words"}', ProviderUnavailable, ("plain words", None, None, None)),
        (500, {}, b'{"error":[]}', ProviderUnavailable, ("anthropic answered with status 500.", None, None, None)),
    ],
)  # fmt: skip
def test_an_http_error_has_the_class_of_its_status(
    status: int,
    headers: dict[str, str],
    body: bytes,
    kind: type[ProviderError],
    said: tuple[str, str | None, str | None, str | None],
) -> None:
    error = ANTHROPIC.error(status, headers, body)
    assert type(error) is kind
    assert (str(error), error.code, error.type, error.retry_after) == said
    assert (error.status, error.raw) == (status, body)
