"""The one HTTP client, at the wire."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import httpx
import pytest

from tests.fast_loop import run_fast
from tests.protocols.openai_chat_cases import CASES, HELLO, streamed
from weir.domain.chat import ChatCall, Message
from weir.domain.completion import Text
from weir.domain.errors import (
    MalformedReply,
    ProviderAuthFailed,
    ProviderRejected,
    ProviderThrottled,
    ProviderTimeout,
    ProviderUnavailable,
)
from weir.domain.events import StreamEvent, collect
from weir.protocols.base import WireRequest
from weir.protocols.openai_chat import OpenAIChat, OpenAIDialect
from weir.providers.access import KeyAccess, KeyHeader
from weir.providers.catalog import Provider
from weir.providers.client import Exchange, ProviderClient
from weir.providers.deadline import DEADLINE
from weir.providers.registry import Target

CALL = ChatCall(model="m", messages=(Message("user", (Text("Hi"),)),))
PLAIN = next(case for case in CASES if case.name == "plain")
Answer = Callable[[httpx.Request], httpx.Response]
Result = TypeVar("Result")


def target(header: KeyHeader = "authorization", key: str | None = "canary-1") -> Target:
    provider = Provider(name="vendor", base_url="https://vendor.example/v1", apis={}, variable="VENDOR")
    protocol = OpenAIChat(OpenAIDialect(provider="vendor", ends_with_done=True))
    return Target(provider, protocol, "m", KeyAccess(header, key))


def run(work: Coroutine[Any, Any, Result]) -> Result:
    return asyncio.run(work)


async def complete(answer: Answer, exchange: Exchange, at: Target | None = None, **headers: str) -> Any:
    return await ProviderClient(httpx.MockTransport(answer)).complete(at or target(), CALL, exchange, headers)


async def stream(answer: Answer, exchange: Exchange, seen: list[StreamEvent]) -> None:
    async with ProviderClient(httpx.MockTransport(answer)).stream(target(), CALL, exchange) as pieces:
        async for events in pieces:
            seen += events


class Pieces(httpx.AsyncByteStream):
    """A body in pieces, which may break off with an error."""

    def __init__(self, data: bytes, size: int, error: Exception | None = None) -> None:
        self._pieces = [data[at : at + size] for at in range(0, len(data), size)]
        self._error = error

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece
        if self._error is not None:
            raise self._error


def test_the_call_is_sent_and_the_answer_read_and_kept() -> None:
    sent: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(200, content=PLAIN.body)

    exchange = Exchange()
    assert run(complete(answer, exchange)) == PLAIN.completion
    (request,) = sent
    assert (request.method, str(request.url)) == ("POST", "https://vendor.example/v1/chat/completions")
    assert json.loads(request.content) == {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
    assert (exchange.status, exchange.reply) == (200, PLAIN.body)


@pytest.mark.parametrize(
    ("place", "key", "header"),
    [
        ("authorization", "canary-1", ("authorization", "Bearer canary-1")),
        ("x-api-key", "canary-1", ("x-api-key", "canary-1")),
        ("api-key", "canary-1", ("api-key", "canary-1")),
        ("x-goog-api-key", "canary-1", ("x-goog-api-key", "canary-1")),
        ("authorization", None, None),
    ],
)
def test_the_key_is_in_its_header_and_nowhere_else(
    place: KeyHeader, key: str | None, header: tuple[str, str] | None
) -> None:
    sent: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(200, content=PLAIN.body)

    run(complete(answer, Exchange(), target(place, key)))
    assert [(n, v) for n, v in sent[0].headers.items() if "canary" in v] == ([header] if header else [])
    assert "canary" not in str(sent[0].url)


def test_a_caller_may_add_headers_and_not_those_of_the_connection_or_the_key() -> None:
    sent: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(200, content=PLAIN.body)

    theirs = {name: "theirs" for name in ("Host", "Authorization", "X-API-Key", "Content-Type", "Content-Length", "TE")}
    run(complete(answer, Exchange(), None, **theirs, **{"OpenAI-Organization": "org-1"}))
    headers = sent[0].headers
    assert [name for name, value in headers.multi_items() if value == "theirs"] == []
    assert (headers["openai-organization"], headers["host"], headers["content-type"]) == (
        "org-1",
        "vendor.example",
        "application/json",
    )


def test_the_protocols_own_header_wins_however_the_caller_spells_it() -> None:
    @dataclass(frozen=True, slots=True)
    class Versioned(OpenAIChat):
        def render(self, call: ChatCall) -> WireRequest:
            return WireRequest("/x", {}, {"vendor-version": "1"})

    sent: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(200, content=PLAIN.body)

    versioned = replace(target(), protocol=Versioned(OpenAIDialect(provider="vendor")))
    run(complete(answer, Exchange(), versioned, **{"Vendor-Version": "2"}))
    assert sent[0].headers.get_list("vendor-version") == ["1"]


@pytest.mark.parametrize("size", [1, 5, 1000])
def test_a_stream_is_read_in_whatever_pieces_it_comes_and_kept(size: int) -> None:
    assert PLAIN.stream is not None
    exchange, seen = Exchange(), list[StreamEvent]()
    body = PLAIN.stream
    run(stream(lambda _: httpx.Response(200, stream=Pieces(body, size)), exchange, seen))
    assert collect(seen) == PLAIN.completion
    assert (exchange.status, exchange.reply) == (200, body)


def test_a_truncated_stream_is_an_error_after_its_events_and_keeps_the_bytes() -> None:
    body = streamed(*HELLO[:2], done=False) + b"data: {"
    exchange, seen = Exchange(), list[StreamEvent]()
    with pytest.raises(MalformedReply, match="vendor broke off"):
        run(stream(lambda _: httpx.Response(200, stream=Pieces(body, 50)), exchange, seen))
    assert (collect(seen).choices[0].text, exchange.reply) == ("Hel", body)


def test_events_before_one_that_cannot_be_read_are_delivered() -> None:
    body = streamed(*HELLO[:2], done=False) + b"data: {\n\n"
    seen = list[StreamEvent]()
    with pytest.raises(MalformedReply):
        run(stream(lambda _: httpx.Response(200, content=body), Exchange(), seen))
    assert collect(seen).choices[0].text == "Hel"


@pytest.mark.parametrize(
    ("error", "kind"),
    [(httpx.ReadTimeout("slow"), ProviderTimeout), (httpx.RemoteProtocolError("lost"), MalformedReply)],
)
def test_a_connection_that_fails_amid_an_answer_keeps_the_bytes(error: Exception, kind: type[Exception]) -> None:
    body = streamed(*HELLO[:2], done=False)
    for read in (complete, lambda answer, exchange: stream(answer, exchange, [])):
        exchange = Exchange()
        with pytest.raises(kind, match="before its answer was complete"):
            run(read(lambda _: httpx.Response(200, stream=Pieces(body, 50, error)), exchange))
        assert exchange.reply == body


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (httpx.ConnectError("refused"), ProviderUnavailable, "vendor could not be reached."),
        (httpx.ConnectTimeout("slow"), ProviderTimeout, "vendor could not be reached within 10 s."),
        (httpx.ReadTimeout("slow"), ProviderTimeout, "vendor did not answer in time."),
        (httpx.RemoteProtocolError("what?"), ProviderUnavailable, "vendor could not be reached."),
    ],
)
def test_no_answer_is_no_reply(error: Exception, kind: type[Exception], message: str) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        raise error

    exchange = Exchange()
    with pytest.raises(kind) as failed:
        run(complete(answer, exchange))
    assert (type(failed.value), str(failed.value), exchange.status, exchange.reply) == (kind, message, None, None)


@pytest.mark.parametrize(
    ("status", "headers", "kind"),
    [
        (400, {}, ProviderRejected),
        (401, {}, ProviderAuthFailed),
        (429, {"Retry-After": "3"}, ProviderThrottled),
        (500, {}, ProviderUnavailable),
    ],
)
def test_a_refusal_is_read_from_either_kind_of_call(
    status: int, headers: dict[str, str], kind: type[Exception]
) -> None:
    body = b'{"error":{"message":"No"}}'
    for read in (complete, lambda answer, exchange: stream(answer, exchange, [])):
        exchange = Exchange()
        with pytest.raises(kind, match="No") as failed:
            run(read(lambda _: httpx.Response(status, headers=headers, stream=Pieces(body, 3)), exchange))
        error = failed.value
        assert isinstance(error, kind)
        assert vars(error)["retry_after"] == headers.get("Retry-After")
        assert (exchange.status, exchange.reply) == (status, body)


class Endless(httpx.AsyncByteStream):
    """A body that comes for ever, a piece every hundredth of a second."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            await asyncio.sleep(0.01)
            yield b": still thinking\n\n"


@pytest.mark.parametrize("ask", [complete, lambda answer, exchange: stream(answer, exchange, [])])
def test_a_provider_that_never_falls_silent_is_cut_off_at_the_deadline(
    ask: Callable[[Answer, Exchange], Coroutine[Any, Any, Any]],
) -> None:
    async def bounded() -> None:
        DEADLINE.set(asyncio.get_running_loop().time() + 0.05)
        await ask(lambda _: httpx.Response(200, stream=Endless()), exchange)

    exchange = Exchange()
    with pytest.raises(ProviderTimeout, match="still answering when the time for this call was over"):
        run_fast(bounded())
    assert (exchange.reply or b"").startswith(b": still thinking")
