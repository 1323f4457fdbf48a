"""Until when a provider may take part in the call that is served."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TypeVar

from weir.domain.errors import ProviderTimeout
from weir.domain.routing import NO_DEADLINES, Deadlines

Item = TypeVar("Item")

DEADLINE: ContextVar[float | None] = ContextVar("DEADLINE", default=None)
"""In the time of the running event loop; None where nothing ends the process that serves."""


async def in_time(pieces: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    """`pieces` for as long as the deadline allows. Raises TimeoutError."""
    deadline, coming = DEADLINE.get(), aiter(pieces)
    while True:
        async with asyncio.timeout_at(deadline):
            piece = await anext(coming, None)
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

    async def paced(
        self, items: AsyncIterable[Item], provider: str, is_token: Callable[[Item], bool]
    ) -> AsyncIterator[Item]:
        """`items` for as long as there is patience. Raises ProviderTimeout."""
        coming, begun = aiter(items), False
        loop, between_s = asyncio.get_running_loop(), self.deadlines.between_tokens_s
        silent_at: float | None = None
        while True:
            limit = earliest(silent_at, self.until) if begun else self.for_an_answer
            if limit is None:
                item = await anext(coming, None)
            else:
                try:
                    async with asyncio.timeout_at(limit):
                        item = await anext(coming, None)
                except TimeoutError as exc:
                    raise self.run_out(limit, provider, begun=begun) from exc
            if item is None:
                return
            yield item
            if is_token(item):
                begun = True
            if begun and between_s:
                silent_at = loop.time() + between_s

    def run_out(self, limit: float, provider: str, *, begun: bool = False) -> ProviderTimeout:
        """The error that says which deadline ended at `limit`."""
        if limit == self.until:
            seconds, code = self.deadlines.total_s, "timeout"
            message = f"The call was to take {_plain(seconds)} s at most, and {provider} had not answered in full."
        elif begun:
            seconds, code = self.deadlines.between_tokens_s, "between_tokens_timeout"
            message = f"{provider} fell silent for {_plain(seconds)} s before its answer was complete."
        else:
            seconds, code = self.deadlines.first_token_s, "first_token_timeout"
            message = f"{provider} gave no first token within {_plain(seconds)} s."
        return ProviderTimeout(message, provider=provider, code=code)


def earliest(*instants: float | None) -> float | None:
    return min((instant for instant in instants if instant is not None), default=None)


def _plain(seconds: float | None) -> str:
    return f"{seconds or 0:g}"
