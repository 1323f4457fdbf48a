"""A Lambda runtime for ASGI applications that answer in pieces: `python -m weir.runtime.streaming`.

Lambda's own Python runtime sends an answer only when it is whole. The file `weir-stream` of the layer, named by
AWS_LAMBDA_EXEC_WRAPPER, starts this loop in its place: it takes API Gateway's events, runs the function's application
(`_HANDLER`, as for Lambda's own), and posts each piece of the answer as it is made.
"""

import asyncio
import importlib
import logging
import os
import sys
import time
from collections.abc import Mapping, MutableMapping
from typing import Any

from mangum.handlers.api_gateway import APIGateway
from starlette.types import ASGIApp, Scope

from weir.providers.deadline import DEADLINE
from weir.runtime.runtime_api import Invocation, RuntimeApi, StreamedReply

logger = logging.getLogger("weir.runtime")

_MARGIN_S = 3.0
"""Before Lambda ends the process: time to tell the caller, and to put the record."""

_TRACE = "_X_AMZN_TRACE_ID"


class Answer:
    """Where an application's ASGI messages go: to Lambda, begun with the first piece of the body."""

    def __init__(self, api: RuntimeApi, invocation: Invocation) -> None:
        self._api, self._invocation = api, invocation
        self._metadata: Mapping[str, Any] | None = None
        self._reply: StreamedReply | None = None
        self._ended = False

    async def send(self, message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self._metadata = _metadata(message)
            return
        if message["type"] != "http.response.body":
            return
        reply = self._reply
        if reply is None:
            if self._metadata is None:
                raise RuntimeError("a body before its status")
            reply = self._reply = await self._api.begin(self._invocation, self._metadata)
        if piece := message.get("body", b""):
            await reply.send(piece)
        if not message.get("more_body", False):
            self._ended = True

    async def close(self) -> None:
        """The application is done. A stream that it left open was not meant to end like that."""
        if self._reply is None:
            await self._api.fail(self._invocation, RuntimeError("the application did not answer"))
        elif self._ended:
            await self._reply.finish()
        else:
            await self._reply.break_off(RuntimeError("the application left its answer open"))

    async def fail(self, exc: BaseException) -> None:
        if self._reply is None:
            await self._api.fail(self._invocation, exc)
        else:
            await self._reply.break_off(exc)


async def serve(app: ASGIApp, api: RuntimeApi, invocation: Invocation) -> None:
    """Answer one event. The stream is closed only when the application has returned: its record is durable then."""
    answer = Answer(api, invocation)
    request = APIGateway(dict(invocation.event), None, {"api_gateway_base_path": "/"})  # type: ignore[arg-type,typeddict-item]
    scope: Scope = dict(request.scope)
    body: bytes | None = request.body
    gone = asyncio.Event()

    async def receive() -> MutableMapping[str, Any]:
        nonlocal body
        if body is not None:
            content, body = body, None
            return {"type": "http.request", "body": content, "more_body": False}
        await gone.wait()  # Lambda does not tell when a caller hangs up
        return {"type": "http.disconnect"}

    left_s = invocation.deadline_ms / 1000 - time.time() - _MARGIN_S
    token = DEADLINE.set(asyncio.get_running_loop().time() + max(left_s, 0.1))
    try:
        await app(scope, receive, answer.send)
    except Exception as exc:
        logger.exception("invocation failed", extra={"request_id": invocation.id})
        await answer.fail(exc)
    else:
        await answer.close()
    finally:
        DEADLINE.reset(token)


async def loop(app: ASGIApp, api: RuntimeApi) -> None:
    """Events, one after the other, for as long as Lambda sends some."""
    while True:
        invocation = await api.next_invocation()
        if invocation.trace_id is not None:
            os.environ[_TRACE] = invocation.trace_id
        else:
            os.environ.pop(_TRACE, None)
        await serve(app, api, invocation)


async def start(environ: Mapping[str, str]) -> None:
    """Build the application in the init phase, which has the most CPU, then serve."""
    api = RuntimeApi(environ["AWS_LAMBDA_RUNTIME_API"])
    try:
        app = _application(environ["_HANDLER"])
    except Exception as exc:
        logger.exception("the function could not start")
        await api.fail_init(exc)
        sys.exit(1)
    if environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start":
        await _across_the_snapshot(api)
    await loop(app, api)


async def _across_the_snapshot(api: RuntimeApi) -> None:
    """The hooks that functions have registered, as Lambda's own runtime runs them around its pause."""
    import snapshot_restore_py as hooks

    try:
        for function, arguments, options in hooks.get_before_snapshot():
            function(*arguments, **options)
    except Exception as exc:
        logger.exception("a hook before the snapshot failed")
        await api.fail_init(exc)
        sys.exit(64)
    await api.close()
    await api.restored()
    try:
        for function, arguments, options in hooks.get_after_restore():
            function(*arguments, **options)
    except Exception as exc:
        logger.exception("a hook after the restore failed")
        await api.fail_restore(exc)
        sys.exit(66)


def _application(handler: str) -> ASGIApp:
    """`handler` is `module.name` of a function whose ASGI application `asgi()` builds, see lambda_handler."""
    module, _, name = handler.rpartition(".")
    return getattr(importlib.import_module(module.replace("/", ".")), name).asgi()  # type: ignore[no-any-return]


def _metadata(start: Mapping[str, Any]) -> dict[str, Any]:
    """What API Gateway needs to know before the body; a name that occurs twice keeps all its values."""
    several: dict[str, list[str]] = {}
    for name, value in start.get("headers", ()):
        several.setdefault(name.decode("latin-1"), []).append(value.decode("latin-1"))
    metadata: dict[str, Any] = {"statusCode": start["status"]}
    metadata["headers"] = {name: values[0] for name, values in several.items() if len(values) == 1}
    if multiple := {name: values for name, values in several.items() if len(values) > 1}:
        metadata["multiValueHeaders"] = multiple
    return metadata


if __name__ == "__main__":
    asyncio.run(start(os.environ))
