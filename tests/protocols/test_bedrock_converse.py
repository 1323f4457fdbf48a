"""Bedrock's Converse answers, whole and streamed, and its errors."""

import itertools
import json
import random
import struct
import zlib
from collections.abc import Mapping
from typing import Any

import pytest
from botocore.session import Session

from weir.domain.chat import ChatCall, Message, Tool
from weir.domain.completion import AnswerPart, Choice, Completion, Text, Thinking, ToolCall, Usage
from weir.domain.errors import (
    MalformedReply,
    ProviderAuthFailed,
    ProviderError,
    ProviderRejected,
    ProviderThrottled,
    ProviderTimeout,
    ProviderUnavailable,
)
from weir.domain.events import Ended, StreamEvent, ToolCallDelta, collect
from weir.protocols.base import decode
from weir.protocols.bedrock_converse import FINISH_REASONS, BedrockConverse, BedrockDialect
from weir.protocols.bedrock_error import EXCEPTIONS

CONVERSE = BedrockConverse(BedrockDialect())
SEARCH = {"toolUseId": "s1", "name": "nova_code_interpreter", "type": "server_tool_use"}
FOUND = {"toolUseId": "s1", "type": "nova_code_interpreter_result", "status": "success"}
CITATION = {"title": "Rules", "location": {"documentChar": {"documentIndex": 0, "start": 1, "end": 9}}}
IMAGE = {"format": "png", "source": {"bytes": "aGk="}}
USAGE = {
    "inputTokens": 10,
    "outputTokens": 20,
    "totalTokens": 130,
    "cacheReadInputTokens": 60,
    "cacheReadInputTokenCount": 60,
    "cacheWriteInputTokens": 40,
    "cacheDetails": [{"ttl": "5m", "inputTokens": 40}],
    "serverToolUsage": {},
}
METADATA = {
    "usage": USAGE,
    "metrics": {"latencyMs": 321},
    "trace": {"guardrail": {"actionReason": "none"}},
    "performanceConfig": {"latency": "standard"},
    "serviceTier": {"type": "priority"},
}
MESSAGE = {
    "role": "assistant",
    "content": [
        {"reasoningContent": {"reasoningText": {"text": "Hmm, Zürich.", "signature": "canary-seal"}}},
        {"reasoningContent": {"redactedContent": "Y2FuYXJ5"}},
        {"toolUse": {**SEARCH, "input": {"snippet": "1+1"}}},
        {"toolResult": {**FOUND, "content": [{"json": {"out": "2"}}]}},
        {"text": "Let me look. "},
        {"citationsContent": {"content": [{"text": "It says so."}], "citations": [CITATION]}},
        {"toolUse": {"toolUseId": "t1", "name": "weather", "input": {"city": "Zürich"}}},
        {"toolUse": {"toolUseId": "t2", "name": "clock", "input": {}}},
        {"image": IMAGE},
    ],
}
BODY = json.dumps(
    {
        "output": {"message": MESSAGE},
        "stopReason": "tool_use",
        "additionalModelResponseFields": {"stop_sequence": None},
        **METADATA,
    }
).encode()


def frame(headers: Mapping[str, str], payload: bytes) -> bytes:
    block = b"".join(
        bytes([len(name)]) + name.encode() + b"\x07" + struct.pack(">H", len(value)) + value.encode()
        for name, value in headers.items()
    )
    lengths = struct.pack(">II", 16 + len(block) + len(payload), len(block))
    begun = lengths + struct.pack(">I", zlib.crc32(lengths)) + block + payload
    return begun + struct.pack(">I", zlib.crc32(begun))


def event(kind: str, **payload: Any) -> bytes:
    headers = {":event-type": kind, ":content-type": "application/json", ":message-type": "event"}
    return frame(headers, json.dumps({**payload, "p": "abc"}, ensure_ascii=False).encode())


def start(index: int, **block: Any) -> bytes:
    return event("contentBlockStart", contentBlockIndex=index, start=block)


def delta(index: int, **more: Any) -> bytes:
    return event("contentBlockDelta", contentBlockIndex=index, delta=more)


def stop(index: int) -> bytes:
    return event("contentBlockStop", contentBlockIndex=index)


FRAMES = (
    event("messageStart", role="assistant"),
    delta(0, reasoningContent={"text": "Hmm, "}),
    delta(0, reasoningContent={"text": "Zürich."}),
    delta(0, reasoningContent={"signature": "canary-seal"}),
    stop(0),
    delta(1, reasoningContent={"redactedContent": "Y2FuYXJ5"}),
    stop(1),
    start(2, toolUse=SEARCH),
    delta(2, toolUse={"input": '{"snippet":'}),
    delta(2, toolUse={"input": '"1+1"}'}),
    stop(2),
    start(3, toolResult=FOUND),
    delta(3, toolResult=[{"json": {"out": "2"}}]),
    stop(3),
    delta(4, text="Let me "),
    delta(4, text="look. "),
    stop(4),
    delta(5, citation=CITATION),
    delta(5, text="It says so."),
    stop(5),
    start(6, toolUse={"toolUseId": "t1", "name": "weather"}),
    delta(6, toolUse={"input": ""}),
    delta(6, toolUse={"input": '{"city":'}),
    delta(6, toolUse={"input": '"Zürich"}'}),
    stop(6),
    start(7, toolUse={"toolUseId": "t2", "name": "clock"}),
    stop(7),
    start(8, image={"format": "png"}),
    delta(8, image={"source": {"bytes": "aGk="}}),
    stop(8),
    event("somethingNew", why="tomorrow"),
    event("messageStop", stopReason="tool_use", additionalModelResponseFields={"stop_sequence": None}),
    event("metadata", **METADATA),
)
STREAM = b"".join(FRAMES)
PARTS: tuple[AnswerPart, ...] = (
    Thinking("Hmm, Zürich.", "canary-seal", provider="bedrock"),
    Thinking("", "Y2FuYXJ5", redacted=True, provider="bedrock"),
    Text("Let me look. It says so."),
    ToolCall("t1", "weather", '{"city":"Zürich"}'),
    ToolCall("t2", "clock", "{}"),
)
COMPLETION = Completion(
    None,
    None,
    (
        Choice(
            0,
            PARTS,
            "tool_calls",
            "tool_use",
            message_extra={
                "content_blocks": [
                    {"index": 2, "toolUse": {**SEARCH, "input": {"snippet": "1+1"}}},
                    {"index": 3, "toolResult": {**FOUND, "content": [{"json": {"out": "2"}}]}},
                    {"index": 8, "image": IMAGE},
                ],
                "citations": [CITATION],
            },
        ),
    ),
    Usage(110, 20, cached=60, cache_written=40, extra={"cacheDetails": USAGE["cacheDetails"]}),
    service_tier="priority",
    extra={
        "additionalModelResponseFields": {"stop_sequence": None},
        "metrics": METADATA["metrics"],
        "trace": METADATA["trace"],
        "performanceConfig": METADATA["performanceConfig"],
    },
)


def events(*chunks: bytes) -> list[StreamEvent]:
    return list(decode(CONVERSE.decoder(), chunks))


def test_a_whole_answer_is_read() -> None:
    assert CONVERSE.parse(BODY) == COMPLETION


def test_a_stream_says_the_same_as_the_whole_answer() -> None:
    assert collect(events(STREAM)) == COMPLETION


def test_slots_count_the_callers_tools_only() -> None:
    begun = [e for e in events(STREAM) if isinstance(e, ToolCallDelta) and e.id is not None]
    assert begun == [ToolCallDelta(0, 0, "t1", "weather"), ToolCallDelta(0, 1, "t2", "clock")]


def test_any_cut_of_a_stream_gives_the_same_events() -> None:
    expected = events(STREAM)
    assert events(*(STREAM[i : i + 1] for i in range(len(STREAM)))) == expected
    chance = random.Random(7)
    for _ in range(30):
        cuts = [0, *sorted(chance.choices(range(len(STREAM)), k=25)), len(STREAM)]
        assert events(*(STREAM[a:b] for a, b in itertools.pairwise(cuts))) == expected


def test_every_prefix_is_an_error_but_the_one_that_lacks_only_the_counts() -> None:
    words = len(STREAM) - len(FRAMES[-1])
    whole = []
    for end in range(len(STREAM)):
        try:
            events(STREAM[:end])
        except MalformedReply:
            continue
        whole.append(end)
    assert whole == [words]


def test_a_stream_that_ends_after_its_reason_is_whole_with_unknown_usage() -> None:
    answer = collect(events(*FRAMES[:-1]))
    assert answer.choices == COMPLETION.choices
    assert answer.usage is None


def test_counts_that_come_before_the_reason_wait_for_it() -> None:
    *words, reason, counts = FRAMES
    assert events(*words, counts, reason)[-1] == Ended(COMPLETION.usage)


def test_blocks_that_nobody_ended_end_with_the_message() -> None:
    frames = [
        start(0, toolUse={"toolUseId": "t1", "name": "clock"}),
        start(1, toolUse={**SEARCH, "toolUseId": "s2"}),
        event("messageStop", stopReason="tool_use"),
    ]
    assert collect(events(*frames)).choices == (
        Choice(
            0,
            (ToolCall("t1", "clock", "{}"),),
            "tool_calls",
            "tool_use",
            message_extra={"content_blocks": [{"index": 1, "toolUse": {**SEARCH, "toolUseId": "s2"}}]},
        ),
    )


def test_what_follows_the_end_is_not_read() -> None:
    assert events(STREAM, delta(0, text="late")) == events(STREAM)


def test_the_answer_goes_back_into_the_history_as_it_came() -> None:
    (choice,) = COMPLETION.choices
    history = Message("assistant", choice.parts, extra=choice.message_extra)
    results = (Message("tool", (Text("So."),), tool_call_id=id) for id in ("t1", "t2"))
    asked = ChatCall(model="m", messages=(Message("user", (Text("?"),)), history, *results), tools=(Tool("clock"),))
    assert CONVERSE.render(asked).body["messages"][1]["content"] == [
        *MESSAGE["content"][:4],
        {"text": "Let me look. It says so."},
        *MESSAGE["content"][6:],
    ]


@pytest.mark.parametrize("reason", [*FINISH_REASONS, "brand_new"])
def test_every_reason_is_kept_and_the_known_ones_translated(reason: str) -> None:
    answer = CONVERSE.parse(
        json.dumps(
            {"output": {"message": {"role": "assistant", "content": [{"text": "Hi"}]}}, "stopReason": reason}
        ).encode()
    )
    assert answer == Completion(None, None, (Choice(0, (Text("Hi"),), FINISH_REASONS.get(reason), reason),))


def test_reasons_are_those_of_awss_service_model() -> None:
    shape = Session().get_service_model("bedrock-runtime").shape_for("StopReason")
    assert set(FINISH_REASONS) == set(shape.enum)


@pytest.mark.parametrize(
    ("usage", "read"),
    [
        ({"inputTokens": 3, "outputTokens": 4, "totalTokens": 7}, Usage(3, 4)),
        (
            {"inputTokens": 3, "outputTokens": 4, "cacheReadInputTokens": 0, "cacheWriteInputTokens": 0},
            Usage(3, 4, cached=0, cache_written=0),
        ),
        ({"outputTokens": 4}, Usage(0, 4, extra={"inputTokens": None})),
        ({}, None),
    ],
)
def test_usage_counts_the_cache_into_the_prompt_and_says_what_is_unknown(
    usage: dict[str, int], read: Usage | None
) -> None:
    body = {"output": {"message": {"content": []}}, "stopReason": "end_turn", "usage": usage}
    assert CONVERSE.parse(json.dumps(body).encode()).usage == read


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"{}", b'{"output":{}}', BODY[:-3], b'{"output":{"message":1}}']
)
def test_a_body_that_is_no_answer_is_malformed_and_kept(body: bytes) -> None:
    with pytest.raises(MalformedReply) as caught:
        CONVERSE.parse(body)
    assert caught.value.raw == body


@pytest.mark.parametrize(
    "frames",
    [
        [b"HTTP/1.1 502 Bad Gateway"],
        [event("contentBlockDelta", contentBlockIndex=0)],
        [delta(0, toolUse={"input": 1}), event("messageStop")],
        [frame({":event-type": "messageStop", ":message-type": "event"}, b"{broken")],
    ],
)
def test_a_stream_that_is_no_answer_is_malformed(frames: list[bytes]) -> None:
    with pytest.raises(MalformedReply):
        events(*frames)


def described(error: ProviderError) -> tuple[Any, ...]:
    return type(error), str(error), error.status, error.code, error.retry_after, error.raw


@pytest.mark.parametrize(
    ("status", "headers", "body", "kind", "message", "code"),
    [
        (
            400,
            {"x-amzn-errortype": "ValidationException:http://internal.test/coral/"},
            b'{"message":"No such model."}',
            ProviderRejected,
            "No such model.",
            "ValidationException",
        ),
        (
            429,
            {"x-amzn-errortype": "ThrottlingException", "retry-after": "7"},
            b'{"Message":"Slow down."}',
            ProviderThrottled,
            "Slow down.",
            "ThrottlingException",
        ),
        (
            400,
            {},
            b'{"__type":"com.amazon.coral.service#ExpiredTokenException","message":"Expired."}',
            ProviderAuthFailed,
            "Expired.",
            "ExpiredTokenException",
        ),
        (403, {}, b'{"message":"Forbidden"}', ProviderAuthFailed, "Forbidden", None),
        (
            424,
            {"x-amzn-errortype": "ModelErrorException"},
            b'{"originalStatusCode":500,"originalMessage":"Model failed."}',
            ProviderUnavailable,
            "Model failed.",
            "ModelErrorException",
        ),
        (
            408,
            {"x-amzn-errortype": "ModelTimeoutException"},
            b"{}",
            ProviderTimeout,
            "bedrock answered with status 408.",
            "ModelTimeoutException",
        ),
        (502, {}, b"<html>Bad Gateway</html>", ProviderUnavailable, "bedrock answered with status 502.", None),
        (
            404,
            {"x-amzn-errortype": "SomethingNew"},
            b"[]",
            ProviderRejected,
            "bedrock answered with status 404.",
            "SomethingNew",
        ),
    ],
)
def test_an_error_is_known_by_its_name_and_else_by_its_status(
    status: int, headers: dict[str, str], body: bytes, kind: type[ProviderError], message: str, code: str | None
) -> None:
    error = CONVERSE.error(status, headers, body)
    assert described(error) == (kind, message, status, code, headers.get("retry-after"), body)


@pytest.mark.parametrize(
    ("headers", "payload", "kind", "message", "status", "code"),
    [
        (
            {":message-type": "exception", ":exception-type": "throttlingException"},
            b'{"message":"Too many."}',
            ProviderThrottled,
            "Too many.",
            429,
            "ThrottlingException",
        ),
        (
            {":message-type": "exception", ":exception-type": "modelStreamErrorException"},
            b'{"message":"The model stopped.","originalStatusCode":500}',
            ProviderUnavailable,
            "The model stopped.",
            424,
            "ModelStreamErrorException",
        ),
        (
            {":message-type": "exception", ":exception-type": "validationException"},
            b'{"message":"Too long."}',
            ProviderRejected,
            "Too long.",
            400,
            "ValidationException",
        ),
        (
            {":message-type": "error", ":error-code": "InternalFailure", ":error-message": "Sorry."},
            b"",
            ProviderUnavailable,
            "Sorry.",
            500,
            "InternalFailure",
        ),
        (
            {":message-type": "exception", ":exception-type": "brandNewException"},
            b"",
            ProviderUnavailable,
            "bedrock reported an error inside its answer (BrandNewException).",
            None,
            "BrandNewException",
        ),
    ],
)
def test_an_exception_inside_a_stream_is_its_own_error_after_the_words_before_it(
    headers: dict[str, str], payload: bytes, kind: type[ProviderError], message: str, status: int | None, code: str
) -> None:
    seen: list[StreamEvent] = []
    with pytest.raises(ProviderError) as caught:
        seen.extend(decode(CONVERSE.decoder(), [FRAMES[0] + delta(0, text="So ") + frame(headers, payload)]))
    assert described(caught.value) == (kind, message, status, code, None, payload)


def test_every_exception_of_awss_service_model_has_a_class() -> None:
    model = Session().get_service_model("bedrock-runtime")
    operations = [model.operation_model(name) for name in ("Converse", "ConverseStream")]
    names = {shape.name for operation in operations for shape in operation.error_shapes}
    stream = model.operation_model("ConverseStream").output_shape.members["stream"]
    names |= {shape.name for shape in stream.members.values() if shape.metadata.get("exception")}
    assert names <= set(EXCEPTIONS)
