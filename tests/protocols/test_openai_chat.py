"""Chat Completions: what answers mean, and the laws that hold for every one of them."""

import json
import random
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.protocols.openai_chat_cases import (
    CASES,
    COUNTED,
    FIRST,
    HELLO,
    ORIGIN,
    USAGE,
    USAGES,
    VENDOR,
    WITHOUT_DONE,
    Case,
    Json,
    begun,
    chunk,
    counted,
    delta,
    function,
    said,
    streamed,
    whole,
)
from weir.domain.chat import ChatCall
from weir.domain.completion import Completion, Text, Thinking, ToolCall
from weir.domain.errors import (
    MalformedReply,
    ProviderAuthFailed,
    ProviderError,
    ProviderRejected,
    ProviderThrottled,
    ProviderTimeout,
    ProviderUnavailable,
)
from weir.domain.events import Started, StreamEvent, collect
from weir.http.chat_messages import to_messages
from weir.http.chat_reply import ChunkEncoder, completion_body
from weir.protocols.base import WireProtocol, decode
from weir.protocols.openai_chat import OpenAIChat, OpenAIDialect


def events(stream: bytes, protocol: OpenAIChat = VENDOR) -> list[StreamEvent]:
    return list(decode(protocol.decoder(), [stream]))


def cut(stream: bytes, places: list[int]) -> Iterator[bytes]:
    begin = 0
    for place in [*sorted(places), len(stream)]:
        yield stream[begin:place]
        begin = place


def named(cases: list[Case]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in cases])


every_body = named([case for case in CASES if case.body is not None])
every_stream = named([case for case in CASES if case.stream is not None])


def test_the_cases_say_where_they_come_from() -> None:
    assert ORIGIN == "written"
    assert len({case.name for case in CASES}) == len(CASES)


def test_it_is_a_wire_protocol() -> None:
    protocol: WireProtocol = VENDOR
    assert (protocol.name, protocol.provider) == ("openai_chat", "vendor")


@every_body
def test_a_body_means(case: Case) -> None:
    assert case.body is not None
    assert case.protocol.parse(case.body) == case.completion


@every_stream
def test_a_stream_means(case: Case) -> None:
    assert case.stream is not None
    assert collect(events(case.stream, case.protocol)) == case.completion


@every_stream
def test_any_chunking_gives_the_same_events(case: Case) -> None:
    stream = case.stream or b""
    expected = events(stream, case.protocol)
    dice = random.Random(7)
    for _ in range(20):
        chunks = cut(stream, [dice.randrange(len(stream)) for _ in range(40)])
        assert list(decode(case.protocol.decoder(), chunks)) == expected
    assert list(decode(case.protocol.decoder(), (bytes([byte]) for byte in stream))) == expected


@every_stream
def test_every_prefix_is_an_error(case: Case) -> None:
    """Without an end mark the finish reasons are the end: what is cut off then is at most the usage."""
    stream = case.stream or b""
    end = len(stream) - 1
    if not case.protocol.dialect.ends_with_done:
        end = stream.index(b'"finish_reason": "')
    for length in range(end):
        with pytest.raises(MalformedReply, match="vendor broke off before its answer was complete"):
            events(stream[:length], case.protocol)


@every_stream
def test_an_answer_starts_once_and_first(case: Case) -> None:
    kinds = [type(event) for event in events(case.stream or b"", case.protocol) if type(event).__name__ != "Described"]
    assert kinds.index(Started) == 0
    assert kinds.count(Started) == 1


@named(CASES)
def test_an_answer_given_back_as_history_keeps_text_calls_and_thinking(case: Case) -> None:
    answer = case.completion
    message = completion_body(answer, id="x", created=0, model="m")["choices"][0]["message"]
    (sent,) = case.protocol.render(ChatCall(model="m", messages=to_messages([message]))).body["messages"]
    choice = answer.choices[0]
    calls = [function(c.name, c.arguments, c.id, **c.extra) for c in choice.tool_calls]
    assert (sent.get("content") or "", sent.get("tool_calls", [])) == (choice.text, calls)
    assert (sent.get("reasoning_content", ""), sent.get("refusal", "")) == (choice.thinking, choice.refusal)


@pytest.mark.parametrize(("usage", "expected"), USAGES.values(), ids=USAGES.keys())
def test_usage_means(usage: Json, expected: Any) -> None:
    assert VENDOR.parse(counted(usage)).usage == expected
    assert collect(events(streamed(*HELLO, chunk(usage=usage)))).usage == expected


ERRORS_INSIDE = [
    ({"error": {"message": "Slow down", "code": "rate_limit_exceeded"}}, ProviderThrottled, 429, "Slow down"),
    ({"error": {"message": "No", "type": "invalid_request_error", "param": "n"}}, ProviderRejected, 400, "No"),
    ({"error": {"message": "Full", "code": 529}}, ProviderUnavailable, 529, "Full"),
    ({"error": {"message": "Late", "code": "408"}}, ProviderTimeout, 408, "Late"),
    (
        {"error": {"message": "Bad call", "status_code": 400, "code": "tool_use_failed"}},
        ProviderRejected,
        400,
        "Bad call",
    ),
    ({"error": "overloaded", "status": 503}, ProviderUnavailable, 503, "overloaded"),
    ({"error": {"message": "?"}}, ProviderUnavailable, 500, "?"),
    ({"error": {"status": 503}}, ProviderUnavailable, 503, "vendor reported an error inside its answer."),
    ({"object": "error", "message": "Too long", "code": 400}, ProviderRejected, 400, "Too long"),
]


@pytest.mark.parametrize(("reply", "kind", "status", "message"), ERRORS_INSIDE)
def test_an_error_inside_a_200_is_an_error(reply: Json, kind: type[ProviderError], status: int, message: str) -> None:
    body = json.dumps(reply).encode()
    for read in (
        lambda: VENDOR.parse(body),
        lambda: events(streamed(reply)),
        lambda: events(streamed(*HELLO[:2], reply)),
        lambda: events(body),
    ):
        with pytest.raises(ProviderError) as failed:
            read()
        error = failed.value
        assert (type(error), error.status, str(error), error.provider) == (kind, status, message, "vendor")


def test_a_choice_that_ends_in_an_error_is_an_error() -> None:
    broken = chunk(
        {"index": 0, "delta": {"content": ""}, "finish_reason": "error", "error": {"code": 502, "message": "Lost"}}
    )
    with pytest.raises(ProviderUnavailable, match="Lost"):
        events(streamed(*HELLO[:2], broken))
    with pytest.raises(ProviderUnavailable):
        VENDOR.parse(whole(said("Hel", "error")))


HTTP_ERRORS: list[tuple[int, dict[str, str], bytes, type[ProviderError], str, dict[str, Any]]] = [
    (
        400,
        {},
        b'{"error":{"message":"Bad n","type":"invalid_request_error","param":"n","code":null}}',
        ProviderRejected,
        "Bad n",
        {"type": "invalid_request_error", "param": "n"},
    ),
    (
        401,
        {},
        b'{"error":{"message":"Bad key","code":"invalid_api_key"}}',
        ProviderAuthFailed,
        "Bad key",
        {"code": "invalid_api_key"},
    ),
    (403, {}, b'{"detail":"Not yours"}', ProviderAuthFailed, "Not yours", {}),
    (
        404,
        {},
        b'{"error":{"message":"No such model","code":"model_not_found"}}',
        ProviderRejected,
        "No such model",
        {"code": "model_not_found"},
    ),
    (
        422,
        {},
        b'{"object":"error","message":{"detail":[{"loc":["body"]}]},"type":"invalid"}',
        ProviderRejected,
        '{"detail":[{"loc":["body"]}]}',
        {"type": "invalid"},
    ),
    (
        429,
        {"retry-after": "3"},
        b'{"error":{"message":"Slow down","code":429}}',
        ProviderThrottled,
        "Slow down",
        {"code": "429", "retry_after": "3"},
    ),
    (429, {}, b'{"error":"Slow down"}', ProviderThrottled, "Slow down", {}),
    (408, {}, b"", ProviderTimeout, "vendor answered with status 408.", {}),
    (500, {}, b"Internal Server Error", ProviderUnavailable, "vendor answered with status 500.", {}),
    (502, {}, b"<html><h1>Bad Gateway</h1></html>", ProviderUnavailable, "vendor answered with status 502.", {}),
    (
        401,
        {"content-type": "text/plain; charset=utf-8"},
        b"Denied: no such\nkey\n",
        ProviderAuthFailed,
        "Denied: no such key",
        {},
    ),
    (502, {"content-type": "text/plain"}, b" \n", ProviderUnavailable, "vendor answered with status 502.", {}),
    (504, {}, b"null", ProviderTimeout, "vendor answered with status 504.", {}),
    (529, {}, b'[{"error":{"message":"Full"}}]', ProviderUnavailable, "Full", {}),
    (400, {}, b'"just words"', ProviderRejected, "just words", {}),
    (400, {}, b'{"error":[1]}', ProviderRejected, "vendor answered with status 400.", {}),
]


@pytest.mark.parametrize(("status", "headers", "body", "kind", "message", "words"), HTTP_ERRORS)
def test_an_http_error_means(
    status: int,
    headers: dict[str, str],
    body: bytes,
    kind: type[ProviderError],
    message: str,
    words: dict[str, Any],
) -> None:
    error = VENDOR.error(status, headers, body)
    expected = kind(message, provider="vendor", status=status, raw=body, **words)
    assert (type(error), str(error), vars(error)) == (kind, message, vars(expected))


NOT_ANSWERS = [
    b"",
    b"null",
    b"[]",
    b'"hello"',
    b"<html></html>",
    b"{}",
    b'{"choices":null}',
    b'{"choices":[]}',
    b'{"choices":{}}',
    b'{"choices":[null]}',
    b'{"choices":[{"message":"hello"}]}',
    whole(said("x"), created=1e308 * 10),
    whole(said("x"), created="now"),
    whole(said(7)),
    whole(said("x", refusal={"no": 1})),
    whole(said("x", tool_calls=7)),
    whole(said("x", tool_calls=[function("f", "{}", "id", **{"function": "f"})])),
    whole(said("x", tool_calls=[function({"name": "f"}, "{}", "id")])),  # type: ignore[arg-type]
    whole(said("x", ["stop"])),  # type: ignore[arg-type]
    whole(said("x", index="first")),  # type: ignore[arg-type]
    whole({**said("x"), "logprobs": ["x"]}),
    whole(said("x"), model=["m"]),
]


@pytest.mark.parametrize("body", NOT_ANSWERS)
def test_what_is_not_an_answer_is_malformed_and_keeps_the_bytes(body: bytes) -> None:
    with pytest.raises(MalformedReply) as failed:
        VENDOR.parse(body)
    assert failed.value.raw == body


@pytest.mark.parametrize(
    "event",
    [
        b"hello",
        b"7",
        b"[]",
        b'{"choices":[7]}',
    ],
)
def test_an_event_that_cannot_be_read_is_malformed(event: bytes) -> None:
    with pytest.raises(MalformedReply):
        events(streamed(*HELLO[:2], done=False) + b"data: " + event + b"\n\n" + streamed(*HELLO[2:]))


def test_a_truncated_stream_keeps_the_bytes_that_were_no_event_yet() -> None:
    with pytest.raises(MalformedReply) as failed:
        events(streamed(*HELLO[:2], done=False) + b'data: {"choices"')
    assert failed.value.raw == b'data: {"choices"'


def test_an_end_mark_alone_is_not_an_answer() -> None:
    for protocol in (VENDOR, WITHOUT_DONE):
        with pytest.raises(MalformedReply):
            events(streamed(), protocol)


def test_what_comes_after_the_end_mark_changes_nothing() -> None:
    stream = streamed(*HELLO, COUNTED)
    assert events(stream + streamed(delta(content="!"), COUNTED)) == events(stream)


def test_a_second_finish_reason_changes_nothing() -> None:
    assert events(streamed(*HELLO, delta("length"), COUNTED)) == events(streamed(*HELLO, COUNTED))


def test_without_an_end_mark_every_choice_must_have_finished() -> None:
    two = (delta(content="a"), delta(index=1, content="b"), delta("stop"))
    with pytest.raises(MalformedReply):
        events(streamed(*two, done=False), WITHOUT_DONE)
    assert len(collect(events(streamed(*two, delta("stop", 1), done=False), WITHOUT_DONE)).choices) == 2


def test_sealed_thinking_comes_back_to_the_vendor_that_seals_it() -> None:
    details = [
        {"type": "reasoning.text", "text": "Hm.", "signature": "sig", "format": "anthropic-claude-v1", "index": 0}
    ]
    router = OpenAIChat(OpenAIDialect(provider="openrouter", thinking_field="reasoning", thinking_details=True))
    answer = router.parse(whole(said("Noon.", reasoning="Hm.", reasoning_details=details)))
    assert answer.choices[0].parts == (Text("Noon."), Thinking("Hm."))
    message = completion_body(answer, id="x", created=0, model="m")["choices"][0]["message"]
    (sent,) = router.render(ChatCall(model="m", messages=to_messages([message]))).body["messages"]
    assert sent == {"role": "assistant", "content": "Noon.", "reasoning_details": details}


def test_thinking_shown_only_in_details_is_read_there() -> None:
    answer = VENDOR.parse(whole(said("Noon.", reasoning_details=[{"type": "thinking", "text": "Hm."}])))
    assert answer.choices[0].thinking == "Hm."


def test_a_custom_tool_call_is_kept_as_it_came() -> None:
    call = {"id": "call_a", "type": "custom", "custom": {"name": "sql", "input": "select 1"}}
    answer = VENDOR.parse(whole(said(None, "tool_calls", tool_calls=[call, function("f", "{}", "call_b")])))
    assert answer.choices[0].parts == (ToolCall("call_b", "f", "{}"),)
    assert answer.choices[0].message_extra == {"custom_tool_calls": [call]}


odd = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-1, 600)
    | st.floats(allow_nan=False)
    | st.text(max_size=3)
    | st.just("error"),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["type", "text", "id", "name"]), inner, max_size=2)
    ),
    max_leaves=3,
)
RICH = chunk(
    {
        **delta(content="a", refusal="b", reasoning="c", tool_calls=[{"index": 0, **function("f", "{}", "i")}])[
            "choices"
        ][0],
        "logprobs": {"content": [{"token": "a"}]},
    },
    usage={**USAGE, "prompt_tokens_details": {"cached_tokens": 1}, "cost": 0.1},
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list | tuple) else ()
    for name, member in members:
        yield from places(member, (*path, name))


def changed(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    if isinstance(value, dict):
        return {name: changed(member, path[1:], new) if name == path[0] else member for name, member in value.items()}
    return [changed(member, path[1:], new) if at == path[0] else member for at, member in enumerate(value)]


def written(reply: Any) -> bytes:
    return json.dumps(reply).replace("Infinity", "1e999").encode()


@settings(max_examples=400)
@given(st.sampled_from(list(places(RICH))), odd)
def test_however_odd_an_answer_is_only_provider_errors_come_of_it(path: tuple[Any, ...], new: Any) -> None:
    reply = changed(RICH, path, new)
    stream = streamed(FIRST, done=False) + b"data: " + written(reply) + b"\n\n" + streamed(delta("stop"))
    encoder = ChunkEncoder(id="x", created=0, model="m", include_usage=True)
    try:
        answer: Completion = collect(encoded(events(stream), encoder))
    except ProviderError:
        return
    completion_body(answer, id="x", created=0, model="m")


def encoded(of: list[StreamEvent], encoder: ChunkEncoder) -> Iterator[StreamEvent]:
    for event in of:
        for line in encoder.encode([event]).splitlines():
            assert not line or json.loads(line.removeprefix(b"data: "))
        yield event


def test_calls_of_two_choices_are_counted_apart() -> None:
    calls = [begun(0, "call_a", "f"), chunk({**begun(0, "call_b", "g")["choices"][0], "index": 1})]
    answer = collect(events(streamed(*calls, delta("tool_calls"), delta("tool_calls", 1))))
    assert [choice.parts for choice in answer.choices] == [
        (ToolCall("call_a", "f", ""),),
        (ToolCall("call_b", "g", ""),),
    ]
