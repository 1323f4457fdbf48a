"""An answer that is sent while it is made."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import suppress
from typing import NamedTuple, Protocol

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from weir.domain.errors import ProviderError
from weir.domain.events import StreamEvent

BROKEN_OFF = "weir.broken_off"
"""An ASGI extension: servers that offer it take a message of this type, with the `error`, in place of the body's end,
and break the connection. Elsewhere an answer that failed ends with its error as the last thing said."""

PATIENCE = "weir.patience"
"""An ASGI extension: the `seconds` after which something between here and the caller may give a silent answer up."""


class Events(Protocol):
    """What services.complete.AnswerStream offers."""

    @property
    def ending(self) -> bool: ...

    def __aiter__(self) -> AsyncIterator[list[StreamEvent]]: ...

    async def aclose(self) -> None: ...


class Heartbeat(NamedTuple):
    """What is said when nothing else was for `every_s` to twice that, so that nobody takes the answer for dead."""

    piece: bytes
    every_s: float


class StreamedAnswer(Response):
    """Sends each piece of the answer at once, and `done` when its record is durable.

    A caller who hangs up ends the answer: the provider is cut off at once, and the record says so.
    """

    quiet = True
    """Since the heartbeat has looked the last time."""

    def __init__(
        self,
        events: Events,
        encode: Callable[[list[StreamEvent]], bytes],
        error: Callable[[ProviderError], bytes],
        *,
        done: bytes,
        media_type: str,
        headers: Mapping[str, str],
        heartbeat: Heartbeat | None = None,
    ) -> None:
        super().__init__(None, 200, {"cache-control": "no-cache", **headers}, media_type)
        del self.headers["content-length"]
        self._events, self._encode, self._error, self._done = events, encode, error, done
        self._heartbeat = heartbeat

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
        pulse = None
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            if self._heartbeat is not None:
                pulse = _Pulse(self, self._heartbeat, send)
            await self._send_events(send, breaks=BROKEN_OFF in scope.get("extensions", ()))
        except asyncio.CancelledError:
            if not gone or sender is None or sender.uncancel() > 0:
                raise
        finally:
            watcher.cancel()
            if pulse is not None:
                pulse.stop()
            await self._events.aclose()

    async def _send_events(self, send: Send, *, breaks: bool) -> None:
        try:
            async for events in self._events:
                if piece := self._encode(events):
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
                    self.quiet = False
            last, error = self._done, None
        except ProviderError as exc:
            last, error = self._error(exc), exc
        if error is None or not breaks:
            await send({"type": "http.response.body", "body": last, "more_body": False})
            return
        await send({"type": "http.response.body", "body": last, "more_body": True})
        await send({"type": BROKEN_OFF, "error": error})


class _Pulse:
    """A timer, and only where an answer lasts longer than a beat a task: most answers take no more than the timer."""

    def __init__(self, answer: StreamedAnswer, beat: Heartbeat, send: Send) -> None:
        self._answer, self._beat, self._send = answer, beat, send
        self._task: asyncio.Task[None] | None = None
        self._timer = asyncio.get_running_loop().call_later(beat.every_s, self._begin)

    def _begin(self) -> None:
        self._task = asyncio.create_task(self._beating())

    async def _beating(self) -> None:
        with suppress(OSError):  # whoever sends the answer finds out, too
            while True:
                if self._answer.quiet:
                    await self._send({"type": "http.response.body", "body": self._beat.piece, "more_body": True})
                self._answer.quiet = True
                await asyncio.sleep(self._beat.every_s)

    def stop(self) -> None:
        self._timer.cancel()
        if self._task is not None:
            self._task.cancel()


async def begun(opening: Coroutine[object, object, Events], patience_s: float) -> Events:
    """The answer once it has begun, or after `patience_s` one that is yet to begin. What fails before then raises here,
    and can still be told by its status; what fails later is told as in any answer that has begun.
    """
    task = asyncio.ensure_future(opening)
    try:
        await asyncio.wait((task,), timeout=patience_s)
    except asyncio.CancelledError:
        task.cancel()
        raise
    return task.result() if task.done() else _Late(task)


WATCHED_AFTER_S = 1.0
"""Before that most answers have begun, and nobody has hung up."""


async def unless_gone(opening: Coroutine[object, object, Events], receive: Receive) -> Events:
    """The answer once it has begun. A caller who hangs up before then ends it, as later; the answer is an empty one."""
    loop, sender = asyncio.get_running_loop(), asyncio.current_task()
    watcher: asyncio.Task[None] | None = None
    gone = False

    async def watch() -> None:
        nonlocal gone
        while (await receive())["type"] != "http.disconnect":
            pass
        if sender is not None:
            gone = True
            sender.cancel()

    def begin() -> None:
        nonlocal watcher
        watcher = loop.create_task(watch())

    timer = loop.call_later(WATCHED_AFTER_S, begin)
    try:
        return await opening
    except asyncio.CancelledError:
        if not gone or sender is None or sender.uncancel() > 0:
            raise
        return _Unheard()
    finally:
        timer.cancel()
        if watcher is not None:
            watcher.cancel()


class _Unheard:
    """An answer that nobody waits for any more: it is cut off, and on record, before it has begun."""

    ending = True

    _events: tuple[list[StreamEvent], ...] = ()

    async def __aiter__(self) -> AsyncIterator[list[StreamEvent]]:
        for events in self._events:
            yield events

    async def aclose(self) -> None:
        """Nothing of it is open."""


class _Late:
    """An answer that has not begun: until it has, only the heartbeat is to be heard."""

    def __init__(self, opening: asyncio.Task[Events]) -> None:
        self._opening = opening

    @property
    def ending(self) -> bool:
        return self._begun is not None and self._begun.ending

    @property
    def _begun(self) -> Events | None:
        opening = self._opening
        return opening.result() if opening.done() and not opening.cancelled() and not opening.exception() else None

    async def __aiter__(self) -> AsyncIterator[list[StreamEvent]]:
        async for events in await asyncio.shield(self._opening):
            yield events

    async def aclose(self) -> None:
        """A call that has not begun is cut off, and kept as one whose caller is gone."""
        if not self._opening.done():
            self._opening.cancel()
            await asyncio.wait((self._opening,))
        if (answer := self._begun) is not None:
            await answer.aclose()
