"""The only HTTP client. Sends what a protocol rendered, hands over what arrives, keeps every byte of it."""

import asyncio
import time
from collections.abc import AsyncIterable, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import httpx

from weir import __version__
from weir.domain.chat import ChatCall
from weir.domain.completion import NOTHING, Completion
from weir.domain.embedding import EmbeddingCall, Embeddings
from weir.domain.errors import (
    MalformedReply,
    ProviderError,
    ProviderTimeout,
    ProviderUnavailable,
    provider_error_class,
)
from weir.domain.events import StreamEvent, holds_token
from weir.domain.figures import FIGURES
from weir.protocols import jsonbytes
from weir.protocols.base import StreamDecoder, WireRequest
from weir.protocols.embedding import WireReply
from weir.providers.access import Access
from weir.providers.catalog import Provider
from weir.providers.deadline import DEADLINE, Patience, in_time
from weir.providers.registry import EmbeddingTarget, Target

_USER_AGENT = f"weir/{__version__}"

_AT_ONCE = 8
"""Requests that one call for embeddings may have under way, where it takes several."""

_HOP_HEADERS = frozenset(
    {
        "host",
        "connection",
        "content-length",
        "content-type",
        "transfer-encoding",
        "accept-encoding",
        "authorization",
        "x-api-key",
        "api-key",
        "x-goog-api-key",
        "te",
        "upgrade",
    }
)
"""Headers that a caller may not set on the provider's request: they are the connection's, or carry the key."""


@dataclass(slots=True)
class Exchange:
    """What went over the wire; filled as it happens, so that half an answer is still kept."""

    status: int | None = None
    chunks: list[bytes] = field(default_factory=list)
    dropped: tuple[str, ...] = ()

    @property
    def reply(self) -> bytes | None:
        return b"".join(self.chunks) if self.status is not None else None


class ProviderClient:
    """Speaks to providers over httpx's transports, not its AsyncClient.

    What the client adds is not wanted here: cookies that would travel between callers, redirects that would carry keys
    elsewhere, environment lookups. `local` are other transports for single providers, by name: those that answer
    inside the process, or are particular about the spelling of a URL. `now` dates signatures.
    """

    def __init__(
        self,
        transport: httpx.AsyncBaseTransport,
        *,
        timeout: httpx.Timeout | None = None,
        local: Mapping[str, httpx.AsyncBaseTransport] = NOTHING,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._transport = transport
        self._local = local
        self._now = now
        self._timeout = (timeout or httpx.Timeout(600, connect=10)).as_dict()

    async def complete(
        self,
        target: Target,
        call: ChatCall,
        exchange: Exchange,
        headers: Mapping[str, str] = NOTHING,
        patience: Patience | None = None,
    ) -> Completion:
        """A whole answer. Raises ProviderError; `exchange` then holds what had come."""
        response = await self._ask(target, call, exchange, headers, patience)
        return target.protocol.parse(await _whole(target, response, exchange, patience))

    async def embed(
        self,
        target: EmbeddingTarget,
        call: EmbeddingCall,
        exchange: Exchange,
        headers: Mapping[str, str] = NOTHING,
        patience: Patience | None = None,
    ) -> Embeddings:
        """A vector for each input. Raises ProviderError; `exchange` then holds what had come.

        Several requests' answers are lines of the exchange; after one that fails no more are begun. Each has the whole
        `patience` for its first byte.
        """
        wires = target.protocol.render(call)
        exchange.dropped = wires[0].dropped
        replies: list[WireReply] = []
        for at in range(0, len(wires), _AT_ONCE):
            asked = [(wire, Exchange()) for wire in wires[at : at + _AT_ONCE]]
            each = None if patience is None else patience.anew()
            work = [self._embed(target, wire, part, headers, each) for wire, part in asked]
            outcomes = await asyncio.gather(*work, return_exceptions=True)
            for _, part in asked:
                if part.status is not None:
                    exchange.status = part.status
                    exchange.chunks += [b"\n", *part.chunks] if exchange.chunks else part.chunks
            for outcome in outcomes:
                if isinstance(outcome, BaseException):
                    raise outcome
                replies.append(outcome)
        return target.protocol.parse(replies)

    async def _embed(
        self,
        target: EmbeddingTarget,
        wire: WireRequest,
        exchange: Exchange,
        headers: Mapping[str, str],
        patience: Patience | None,
    ) -> WireReply:
        response = await self._post(target, wire, exchange, headers, patience)
        return WireReply(await _whole(target, response, exchange, patience), response.headers)

    @asynccontextmanager
    async def stream(
        self,
        target: Target,
        call: ChatCall,
        exchange: Exchange,
        headers: Mapping[str, str] = NOTHING,
        patience: Patience | None = None,
    ) -> AsyncIterator[AsyncIterator[list[StreamEvent]]]:
        """An answer as it arrives: the events of each piece that the connection delivers, as soon as it does.

        Raises ProviderError, before the first events or between later ones.
        """
        response = await self._ask(target, call, exchange, headers, patience)
        provider = target.provider.name
        try:
            if response.status_code >= 400:
                await _read(response, exchange, provider, patience)
                raise _refusal(target, response, exchange.reply or b"")
            events = _events(response, exchange, target.protocol.decoder(), provider)
            yield events if patience is None else patience.paced(events, provider, holds_token)
        finally:
            await response.aclose()

    async def _ask(
        self,
        target: Target,
        call: ChatCall,
        exchange: Exchange,
        headers: Mapping[str, str],
        patience: Patience | None,
    ) -> httpx.Response:
        wire = target.protocol.render(call)
        exchange.dropped = wire.dropped
        return await self._post(target, wire, exchange, headers, patience)

    async def _post(
        self,
        target: Target | EmbeddingTarget,
        wire: WireRequest,
        exchange: Exchange,
        headers: Mapping[str, str],
        patience: Patience | None,
    ) -> httpx.Response:
        body = jsonbytes.dumps(wire.body)
        request = await self._request("POST", target.provider, target.access, wire.path, body, _headers(wire, headers))
        if patience is None:
            return await self._send(request, exchange, target.provider.name)
        if connect_s := patience.deadlines.connect_s:
            request.extensions["timeout"] = {**self._timeout, "connect": connect_s}
        if (limit := patience.for_an_answer) is None:
            return await self._send(request, exchange, target.provider.name)
        try:
            async with asyncio.timeout_at(limit):
                return await self._send(request, exchange, target.provider.name)
        except TimeoutError as exc:
            raise patience.run_out(limit, target.provider.name) from exc

    async def _request(
        self, method: str, provider: Provider, access: Access, path: str, body: bytes, headers: Mapping[str, str]
    ) -> httpx.Request:
        url = provider.base_url + path
        if access.waits:
            proof = await asyncio.to_thread(access.headers, method, url, headers, body, self._now())
        else:
            proof = access.headers(method, url, headers, body, self._now())
        extensions = {"timeout": self._timeout}
        return httpx.Request(method, _parsed(url), headers={**headers, **proof}, content=body, extensions=extensions)

    async def get_json(self, provider: Provider, access: Access, path: str, timeout_s: float) -> Any:
        """What `GET` of a path answers. Raises ProviderError."""
        exchange = Exchange()
        request = await self._request("GET", provider, access, path, b"", {"accept": "application/json"})
        request.extensions["timeout"] = httpx.Timeout(timeout_s).as_dict()
        response = await self._send(request, exchange, provider.name)
        try:
            await _read(response, exchange, provider.name)
        finally:
            await response.aclose()
        if response.status_code != 200:
            raise provider_error_class(response.status_code)(
                f"{provider.name} answered with status {response.status_code}.", provider=provider.name
            )
        try:
            return jsonbytes.loads(exchange.reply or b"")
        except jsonbytes.InvalidJSON as exc:
            raise MalformedReply(f"{provider.name} sent something else than JSON.", provider=provider.name) from exc

    async def _send(self, request: httpx.Request, exchange: Exchange, provider: str) -> httpx.Response:
        """The answer from its first line on; whoever gets it closes it."""
        transport = self._local.get(provider, self._transport)
        figures = FIGURES.get()
        begun = time.perf_counter() if figures is not None else 0.0
        try:
            async with asyncio.timeout_at(DEADLINE.get()):
                response = await transport.handle_async_request(request)
        except httpx.ConnectTimeout as exc:
            within = f" within {request.extensions['timeout']['connect']:g} s"
            raise ProviderTimeout(
                f"{provider} could not be reached{within}.", provider=provider, code="connect_timeout"
            ) from exc
        except (httpx.TimeoutException, TimeoutError) as exc:
            raise ProviderTimeout(f"{provider} did not answer in time.", provider=provider) from exc
        except httpx.HTTPError as exc:
            raise ProviderUnavailable(f"{provider} could not be reached.", provider=provider) from exc
        finally:
            if figures is not None:
                figures.provider_s += time.perf_counter() - begun
        exchange.status = response.status_code
        return response


@lru_cache(maxsize=256)
def _parsed(url: str) -> httpx.URL:
    """Most calls of a process go to few addresses, and reading one takes longer than decoding a chunk."""
    return httpx.URL(url)


def _headers(wire: WireRequest, own: Mapping[str, str]) -> dict[str, str]:
    headers = {name.lower(): value for name, value in own.items() if name.lower() not in _HOP_HEADERS}
    return {**headers, **wire.headers, "content-type": "application/json", "user-agent": _USER_AGENT}


async def _whole(
    target: Target | EmbeddingTarget, response: httpx.Response, exchange: Exchange, patience: Patience | None
) -> bytes:
    """The reply, if it is an answer."""
    try:
        await _read(response, exchange, target.provider.name, patience)
    finally:
        await response.aclose()
    reply = exchange.reply or b""
    if response.status_code >= 400:
        raise _refusal(target, response, reply)
    return reply


async def _read(response: httpx.Response, exchange: Exchange, provider: str, patience: Patience | None = None) -> None:
    pieces = _pieces(response)
    try:
        async for chunk in pieces if patience is None else patience.paced(pieces, provider, bool):
            exchange.chunks.append(chunk)
    except (httpx.HTTPError, TimeoutError) as exc:
        raise _broken(exc, provider) from exc


async def _events(
    response: httpx.Response, exchange: Exchange, decoder: StreamDecoder, provider: str
) -> AsyncIterator[list[StreamEvent]]:
    """Events that a piece held before the one that cannot be read are delivered before the error is raised."""
    try:
        async for chunk in _pieces(response):
            exchange.chunks.append(chunk)
            events: list[StreamEvent] = []
            try:
                events.extend(decoder.feed(chunk))
            except ProviderError:
                if events:
                    yield events
                raise
            if events:
                yield events
    except (httpx.HTTPError, TimeoutError) as exc:
        raise _broken(exc, provider) from exc
    if rest := list(decoder.close()):
        yield rest


def _pieces(response: httpx.Response) -> AsyncIterable[bytes]:
    """The answer's bytes as they come. Those that are not packed need none of httpx's layers, which take their time."""
    pieces: AsyncIterable[bytes]
    if "content-encoding" not in response.headers and isinstance(response.stream, httpx.AsyncByteStream):
        pieces = response.stream
    else:
        pieces = response.aiter_bytes()
    return pieces if DEADLINE.get() is None else in_time(pieces)


def _broken(exc: httpx.HTTPError | TimeoutError, provider: str) -> ProviderError:
    if isinstance(exc, TimeoutError):
        return ProviderTimeout(
            f"{provider} was still answering when the time for this call was over.", provider=provider
        )
    if isinstance(exc, httpx.TimeoutException):
        return ProviderTimeout(f"{provider} fell silent before its answer was complete.", provider=provider)
    return MalformedReply(f"{provider} broke off before its answer was complete.", provider=provider)


def _refusal(target: Target | EmbeddingTarget, response: httpx.Response, body: bytes) -> ProviderError:
    return target.protocol.error(response.status_code, response.headers, body)
