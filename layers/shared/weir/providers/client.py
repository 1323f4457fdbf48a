"""The only HTTP client. Sends what a protocol rendered, hands over what arrives, keeps every byte of it."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field

import httpx

from weir.domain.chat import ChatCall
from weir.domain.completion import NOTHING, Completion
from weir.domain.errors import MalformedReply, ProviderError, ProviderTimeout, ProviderUnavailable
from weir.domain.events import StreamEvent
from weir.protocols import jsonbytes
from weir.protocols.base import StreamDecoder, WireRequest
from weir.providers.registry import Target

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
    """`http` is the process's one AsyncClient, with its timeouts and transport; see runtime/bootstrap."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def complete(
        self, target: Target, call: ChatCall, exchange: Exchange, headers: Mapping[str, str] = NOTHING
    ) -> Completion:
        """A whole answer. Raises ProviderError; `exchange` then holds what had come."""
        async with self._answer(target, call, exchange, headers) as response:
            await _read(response, exchange, target.provider.name)
        reply = exchange.reply or b""
        if response.status_code >= 400:
            raise _refusal(target, response, reply)
        return target.provider.protocol.parse(reply)

    @asynccontextmanager
    async def stream(
        self, target: Target, call: ChatCall, exchange: Exchange, headers: Mapping[str, str] = NOTHING
    ) -> AsyncIterator[AsyncIterator[list[StreamEvent]]]:
        """An answer as it arrives: the events of each piece that the connection delivers, as soon as it does.

        Raises ProviderError, before the first events or between later ones.
        """
        async with self._answer(target, call, exchange, headers) as response:
            if response.status_code >= 400:
                await _read(response, exchange, target.provider.name)
                raise _refusal(target, response, exchange.reply or b"")
            yield _events(response, exchange, target.provider.protocol.decoder(), target.provider.name)

    def _answer(
        self, target: Target, call: ChatCall, exchange: Exchange, headers: Mapping[str, str]
    ) -> AbstractAsyncContextManager[httpx.Response]:
        wire = target.provider.protocol.render(call)
        exchange.dropped = wire.dropped
        request = self._http.build_request(
            "POST",
            target.provider.base_url + wire.path,
            content=jsonbytes.dumps(wire.body),
            headers=_headers(target, wire, headers),
        )
        return self._sent(request, exchange, target.provider.name)

    @asynccontextmanager
    async def _sent(self, request: httpx.Request, exchange: Exchange, provider: str) -> AsyncIterator[httpx.Response]:
        try:
            response = await self._http.send(request, stream=True)
        except httpx.TimeoutException as exc:
            raise ProviderTimeout(f"{provider} did not answer in time.", provider=provider) from exc
        except httpx.HTTPError as exc:
            raise ProviderUnavailable(f"{provider} could not be reached.", provider=provider) from exc
        exchange.status = response.status_code
        try:
            yield response
        finally:
            await response.aclose()


def _headers(target: Target, wire: WireRequest, own: Mapping[str, str]) -> dict[str, str]:
    headers = {name.lower(): value for name, value in own.items() if name.lower() not in _HOP_HEADERS}
    headers |= wire.headers
    headers["content-type"] = "application/json"
    match target.provider.auth:
        case _ if target.key is None:
            pass
        case "bearer":
            headers["authorization"] = f"Bearer {target.key}"
        case "none":
            pass
        case name:
            headers[name] = target.key
    return headers


async def _read(response: httpx.Response, exchange: Exchange, provider: str) -> None:
    try:
        async for chunk in response.aiter_bytes():
            exchange.chunks.append(chunk)
    except httpx.HTTPError as exc:
        raise _broken(exc, provider) from exc


async def _events(
    response: httpx.Response, exchange: Exchange, decoder: StreamDecoder, provider: str
) -> AsyncIterator[list[StreamEvent]]:
    """Events that a piece held before the one that cannot be read are delivered before the error is raised."""
    try:
        async for chunk in response.aiter_bytes():
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
    except httpx.HTTPError as exc:
        raise _broken(exc, provider) from exc
    if rest := list(decoder.close()):
        yield rest


def _broken(exc: httpx.HTTPError, provider: str) -> ProviderError:
    if isinstance(exc, httpx.TimeoutException):
        return ProviderTimeout(f"{provider} fell silent before its answer was complete.", provider=provider)
    return MalformedReply(f"{provider} broke off before its answer was complete.", provider=provider)


def _refusal(target: Target, response: httpx.Response, body: bytes) -> ProviderError:
    return target.provider.protocol.error(response.status_code, response.headers, body)
