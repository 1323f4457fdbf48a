"""Until when a provider may take part in the call that is served."""

import asyncio
import time
from collections.abc import AsyncIterable, AsyncIterator, Callable
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from weir.domain.errors import ProviderTimeout
from weir.domain.figures import FIGURES, Figures
from weir.domain.routing import NO_DEADLINES, Deadlines

Item = TypeVar("Item")

DEADLINE: ContextVar[float | None] = ContextVar("DEADLINE", default=None)
"""In the time of the running event loop; None where nothing ends the process that serves."""


async def in_time(pieces: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    """`pieces` for as long as the deadline allows; waiting for them is the provider's time. Raises TimeoutError."""
    deadline, coming = DEADLINE.get(), aiter(pieces)
    figures = FIGURES.get() or Figures()
    while True:
        begun = time.perf_counter()
        try:
            async with asyncio.timeout_at(deadline):
                piece = await anext(coming, None)
        finally:
            figures.provider_s += time.perf_counter() - begun
        if piece is None:
            return
        yield piece


@dataclass(frozen=True, slots=True)
class Patience:
    """How long one request may take by its call's own deadlines.

    `first_token_at` and `until`, the end of the whole call, are in the time of the running event loop; `deadlines` say
    in seconds what they came from.
    """

    deadlines: Deadlines = NO_DEADLINES
    first_token_at: float | None = None
    until: float | None = None

    @property
    def for_an_answer(self) -> float | None:
        return earliest(self.first_token_at, self.until)

    def anew(self) -> "Patience":
        """For a request that begins now."""
        first_s = self.deadlines.first_token_s
        return replace(self, first_token_at=asyncio.get_running_loop().time() + first_s) if first_s else self

    async def paced(
        self, items: AsyncIterable[Item], provider: str, is_token: Callable[[Item], bool]
    ) -> AsyncIterator[Item]:
        """`items` for as long as there is patience. Raises ProviderTimeout."""
        coming, begun, silent_at = aiter(items), False, None
        alarm, between_s = _Alarm(), self.deadlines.between_tokens_s
        limit: float | None
        try:
            while True:
                limit = earliest(silent_at, self.until) if begun else self.for_an_answer
                item = await alarm.wait(coming, limit)
                if item is None:
                    return
                yield item
                begun = begun or is_token(item)
                if begun and between_s:
                    silent_at = alarm.loop.time() + between_s
        except _RunOut as exc:
            raise self.run_out(limit, provider, begun=begun) from exc
        finally:
            alarm.stop()

    def run_out(self, limit: float | None, provider: str, *, begun: bool = False) -> ProviderTimeout:
        """The error that says which deadline ended at `limit`."""
        if limit == self.until:
            seconds, code = self.deadlines.total_s, "timeout"
            message = f"The call was to take {_plain(seconds)} s at most, and {provider} had not answered in full."
        elif begun:
            seconds, code = self.deadlines.between_tokens_s, "between_tokens_timeout"
            message = f"{provider} fell silent for {_plain(seconds)} s before its answer was complete."
        else:
            seconds, code = self.deadlines.first_token_s, "first_token_timeout"
            message = f"{provider} did not begin to answer within {_plain(seconds)} s."
        return ProviderTimeout(message, provider=provider, code=code)


class _RunOut(Exception):
    """No TimeoutError: the connection, and DEADLINE, raise these."""


class _Alarm:
    """`asyncio.timeout_at` for many waits in turn, with one timer: setting one for each takes longer than their chunks.

    The waits may be those of several tasks, one after the other.
    """

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._limit = 0.0
        self._waiting: asyncio.Task[Any] | None = None
        self._rang = False

    async def wait(self, coming: AsyncIterator[Item], limit: float | None) -> Item | None:
        """The next item, None after the last. Raises _RunOut at `limit`."""
        task = asyncio.current_task(self.loop)
        if limit is None or task is None:
            return await anext(coming, None)
        self._limit = limit
        if self._timer is None or limit < self._timer.when():
            self._set(limit)
        cancelled, self._waiting = task.cancelling(), task
        try:
            return await anext(coming, None)
        except asyncio.CancelledError:
            if self._rang and task.uncancel() <= cancelled:
                raise _RunOut from None
            raise
        finally:
            self._waiting = None

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _set(self, limit: float) -> None:
        self.stop()
        self._timer = self.loop.call_at(limit, self._ring)

    def _ring(self) -> None:
        """Where an item came in time the limit has moved on, and so does the timer."""
        self._timer = None
        if self._waiting is None:
            return
        if self.loop.time() < self._limit:
            self._set(self._limit)
        else:
            self._rang = True
            self._waiting.cancel()  # what it waits for is in `wait`, so it is there that this arrives


def end_of_call(deadlines: Deadlines, elapsed_ms: float) -> float | None:
    """When a call's total deadline is over, which was begun so long ago; in the time of the running event loop."""
    total_s = deadlines.total_s
    return asyncio.get_running_loop().time() + total_s - elapsed_ms / 1000 if total_s else None


def earliest(*instants: float | None) -> float | None:
    return min((instant for instant in instants if instant is not None), default=None)


def _plain(seconds: float | None) -> str:
    return f"{seconds or 0:g}"
