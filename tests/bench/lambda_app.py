"""An application that does nothing but send: what is measured is the runtime around it."""

import time
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

EVENT = b'data: {"choices": [{"index": 0, "delta": {"content": "a few words"}}], "id": "chatcmpl-1"}\n\n'


async def _app(scope: Scope, receive: Receive, send: Send) -> None:
    """As many events as the path says, after a first piece that says when it left, in ns."""
    count = int(scope["path"].strip("/"))
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
    await send({"type": "http.response.body", "body": b"%d" % time.perf_counter_ns(), "more_body": True})
    for _ in range(count):
        await send({"type": "http.response.body", "body": EVENT, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


class Handler:
    service = "bench"

    def asgi(self) -> ASGIApp:
        return _app

    def __call__(self, event: Any, context: Any) -> None:
        raise NotImplementedError("it is served by weir.runtime.streaming")


handler = Handler()
