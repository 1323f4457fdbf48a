"""`weir dev`: uvicorn on 127.0.0.1, and what a person wants to know when it is ready."""

import gc
import signal
import socket
import sys
from pathlib import Path

import uvicorn

from weir.runtime.settings import Settings

_HOST = "127.0.0.1"
_YOUNG_OBJECTS = 20_000
"""Containers made since the last collection, some hundred calls' worth; Python's own 700 are not even one's."""
_PROJECT = Path(__file__).resolve().parents[4]


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, welcome: str) -> None:
        super().__init__(config)
        self._welcome = welcome

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        _collect_seldom()
        if self.started:
            print(self._welcome, flush=True)  # noqa: T201 - it is for the person at the terminal


def _collect_seldom() -> None:
    """What was imported stays: not to be looked through again and again. A call leaves few cycles behind."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS, 20, 50)


def serve(settings: Settings) -> int:
    sys.path.insert(0, str(_PROJECT))
    listener = socket.create_server((_HOST, settings.port), backlog=2048)
    url = f"http://{_HOST}:{listener.getsockname()[1]}"
    config = uvicorn.Config(
        "functions.local:create_for_dev",
        factory=True,
        loop="uvloop",
        http="httptools",
        lifespan="on",
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=10,
    )
    server = _Server(config, _welcome(url, settings))
    for number in (signal.SIGINT, signal.SIGTERM):
        # uvicorn ends well on these, and then raises them again for whoever was there before: nobody, so exit code 0
        signal.signal(number, signal.SIG_IGN)
    server.run([listener])
    return 0 if server.started else 1


def _welcome(url: str, settings: Settings) -> str:
    body = '{"model": "demo/echo", "messages": [{"role": "user", "content": "Hello"}]}'
    return f"""
Weir serves {url}
  key   {settings.api_key}
  data  {settings.data_dir.resolve()}

curl {url}/v1/chat/completions -H 'Authorization: Bearer {settings.api_key}' \\
  -H 'Content-Type: application/json' -d '{body}'
"""
