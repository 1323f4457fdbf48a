"""Until when a provider may take part in the call that is served."""

import asyncio
import time
from collections.abc import AsyncIterable, AsyncIterator
from contextvars import ContextVar

from weir.domain.figures import FIGURES, Figures

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
