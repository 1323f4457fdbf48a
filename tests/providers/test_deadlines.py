"""Deadlines of one request, where a provider's address takes no connection."""

import asyncio
import socket
from collections.abc import Callable, Iterator

import httpx
import pytest

from weir.domain.chat import ChatCall, Message
from weir.domain.completion import Text
from weir.domain.errors import ProviderTimeout
from weir.domain.routing import Deadlines
from weir.protocols.openai_chat import OpenAIChat, OpenAIDialect
from weir.providers.access import KeyAccess
from weir.providers.catalog import Provider
from weir.providers.client import Exchange, ProviderClient
from weir.providers.deadline import Patience, earliest
from weir.providers.registry import Target
from weir.runtime.aiohttp_transport import open_transport


@pytest.fixture
def full_url() -> Iterator[str]:
    """Somebody listens there and never takes a call: when the queue is full, connecting hangs."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        waiting = []
        for _ in range(4):
            client = socket.socket()
            client.setblocking(False)
            client.connect_ex(server.getsockname())
            waiting.append(client)
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        for client in waiting:
            client.close()


@pytest.mark.parametrize(
    "opened", [lambda: httpx.AsyncHTTPTransport(verify=False), open_transport], ids=["httpx", "aiohttp"]
)
def test_a_connection_that_does_not_come_about_is_given_up(
    full_url: str, opened: Callable[[], httpx.AsyncBaseTransport]
) -> None:
    protocol = OpenAIChat(OpenAIDialect(provider="vendor"))
    provider = Provider(name="vendor", base_url=full_url, apis={}, variable="VENDOR")
    target = Target(provider, protocol, "m", KeyAccess("authorization", "canary-1"))
    call, exchange = ChatCall(model="m", messages=(Message("user", (Text("Hi"),)),)), Exchange()

    async def ask() -> None:
        async with opened() as transport:
            client = ProviderClient(transport, timeout=httpx.Timeout(60))
            await client.complete(target, call, exchange, patience=Patience(Deadlines(connect_s=0.2)))

    with pytest.raises(ProviderTimeout) as failed:
        asyncio.run(ask())
    assert (str(failed.value), failed.value.code) == ("vendor could not be reached within 0.2 s.", "connect_timeout")
    assert exchange.status is None


def test_the_earliest_of_several_instants_may_be_none() -> None:
    assert (earliest(), earliest(None), earliest(None, 2.0, 1.0)) == (None, None, 1.0)
