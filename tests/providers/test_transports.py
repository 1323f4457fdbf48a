"""What httpx's own connections do with an answer, those over aiohttp do as well."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import aclosing

import httpx
import pytest

from tests.fast_loop import run_fast
from tests.upstream import SSE_TYPE, Reply, Upstream, events
from weir.runtime.aiohttp_transport import open_transport


@pytest.mark.parametrize(
    "opened", [lambda: httpx.AsyncHTTPTransport(verify=False), open_transport], ids=["httpx", "aiohttp"]
)
def test_what_came_while_nobody_was_reading_is_read_before_the_connections_end(
    opened: Callable[[], httpx.AsyncBaseTransport],
) -> None:
    """As when a caller is slow to take what came before."""
    chunks, reading, gone = events("one", "two")[:3], threading.Event(), threading.Event()
    read: list[bytes] = []

    async def slowly(upstream: Upstream) -> None:
        request = httpx.Request("POST", upstream.url, json={"model": "drops"})
        async with opened() as transport:
            answer = await transport.handle_async_request(request)
            assert isinstance(answer.stream, httpx.AsyncByteStream)
            async with aclosing(answer.stream):
                pieces = aiter(answer.stream)
                read.append(await anext(pieces))
                reading.set()
                await asyncio.to_thread(upstream.close)
                gone.set()
                await asyncio.sleep(1)  # which passes when all that was sent is here
                async for piece in pieces:
                    read.append(piece)

    upstream = Upstream({"drops": Reply(chunks, headers=SSE_TYPE, drop=True, hold=reading, hold_at=1)})
    with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
        run_fast(slowly(upstream), lambda seconds: gone.is_set() and seconds <= 1)
    assert b"".join(read) == b"".join(chunks)
