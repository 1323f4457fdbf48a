"""An answer that is sent while it is made."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Protocol

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from weir.domain.errors import ProviderError
from weir.domain.events import StreamEvent

BROKEN_OFF = "weir.broken_off"
"""An ASGI extension: servers that offer it take a message of this type, with the `error`, in place of the body's end,
and break the connection. Elsewhere an answer that failed ends with its error as the last thing said."""


class Events(Protocol):
    """What services.complete.AnswerStream offers."""

    ending: bool

    def __aiter__(self) -> AsyncIterator[list[StreamEvent]]: ...

    async def aclose(self) -> None: ...


class StreamedAnswer(Response):
    """Sends each piece of the answer at once, and `done` when its record is durable.

    A caller who hangs up ends the answer: the provider is cut off at once, and the record says so.
    """

    def __init__(
        self,
        events: Events,
        encode: Callable[[list[StreamEvent]], bytes],
        error: Callable[[ProviderError], bytes],
        *,
        done: bytes,
        media_type: str,
        headers: Mapping[str, str],
    ) -> None:
        super().__init__(None, 200, {"cache-control": "no-cache", **headers}, media_type)
        del self.headers["content-length"]
        self._events, self._encode, self._error, self._done = events, encode, error, done

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        sender = asyncio.current_task()
        gone = False

        async def watch() -> None:
            nonlocal gone
            while (await receive())["type"] != "http.disconnect":
                pass
            if not self._events.ending and sender is not None:
                gone = True
                sender.cancel()

        watcher = asyncio.create_task(watch())
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            await self._send_events(send, breaks=BROKEN_OFF in scope.get("extensions", ()))
        except asyncio.CancelledError:
            if not gone or sender is None or sender.uncancel() > 0:
                raise
        finally:
            watcher.cancel()
            await self._events.aclose()

    async def _send_events(self, send: Send, *, breaks: bool) -> None:
        try:
            async for events in self._events:
                if piece := self._encode(events):
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
            last, error = self._done, None
        except ProviderError as exc:
            last, error = self._error(exc), exc
        if error is None or not breaks:
            await send({"type": "http.response.body", "body": last, "more_body": False})
            return
        await send({"type": "http.response.body", "body": last, "more_body": True})
        await send({"type": BROKEN_OFF, "error": error})
