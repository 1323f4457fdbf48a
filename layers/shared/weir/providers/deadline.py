"""Until when a provider may take part in the call that is served."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator
from contextvars import ContextVar

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
