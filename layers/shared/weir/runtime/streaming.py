"""A Lambda runtime for ASGI applications that answer in pieces: `python -m weir.runtime.streaming`.

Lambda's own Python runtime sends an answer only when it is whole. The file `bin/weir-stream` of the layer, named by
AWS_LAMBDA_EXEC_WRAPPER, starts this loop in its place: it takes the events of API Gateway's REST API or of a Function
URL, runs the application of the function (`_HANDLER`, as for Lambda itself), and posts the answer piece by piece.
"""

import asyncio
import importlib
import logging
import os
import random
import sys
import time
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any

from weir.providers.trust import begin_reading

if __name__ == "__main__":
    begin_reading()  # while everything else is imported

from weir.runtime.lambda_handler import Handler, usable_s

from mangum.handlers.api_gateway import APIGateway, HTTPGateway
from starlette.types import ASGIApp, Receive

from weir.http.streaming import BROKEN_OFF, PATIENCE
from weir.protocols import jsonbytes
from weir.providers.deadline import DEADLINE
from weir.runtime.observe import Observer
from weir.runtime.runtime_api import Fault, Invocation, RuntimeApi, RuntimeApiError, StreamedReply

logger = logging.getLogger("weir.runtime")

_TRACE = "_X_AMZN_TRACE_ID"

_PATIENCE_S = 60.0
"""How long a caller may wait for the status. API Gateway gives up on a silent stream after five minutes."""

_MANGUM: Any = {"api_gateway_base_path": "/", "text_mime_types": [], "exclude_headers": []}


class Unanswered(RuntimeError):
    """The application returned before its answer was complete."""


@dataclass(frozen=True, slots=True)
class Context:
    """What Lambda's own runtime gives to handlers beside the event; in the scope as `aws.context`."""

    aws_request_id: str
    invoked_function_arn: str
    deadline_ms: int
    function_name: str
    function_version: str
    memory_limit_in_mb: str
    log_group_name: str
    log_stream_name: str

    def get_remaining_time_in_millis(self) -> int:
        return max(0, self.deadline_ms - int(time.time() * 1000))

    @classmethod
    def of(cls, invocation: Invocation, environ: Mapping[str, str]) -> "Context":
        return cls(
            invocation.id,
            invocation.arn,
            invocation.deadline_ms,
            environ.get("AWS_LAMBDA_FUNCTION_NAME", ""),
            environ.get("AWS_LAMBDA_FUNCTION_VERSION", ""),
            environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", ""),
            environ.get("AWS_LAMBDA_LOG_GROUP_NAME", ""),
            environ.get("AWS_LAMBDA_LOG_STREAM_NAME", ""),
        )


class Answer:
    """Where an application's ASGI messages go: to Lambda, begun with the first piece of the body."""

    def __init__(self, api: RuntimeApi, invocation: Invocation) -> None:
        self._api, self._invocation = api, invocation
        self._metadata: Mapping[str, Any] | None = None
        self._reply: StreamedReply | None = None
        self._beginning = asyncio.Lock()
        self._fault: BaseException | None = Unanswered("the application left its answer open")

    @property
    def status(self) -> int | None:
        """None where nothing was answered."""
        return None if self._reply is None or self._metadata is None else self._metadata["statusCode"]

    async def send(self, message: MutableMapping[str, Any]) -> None:
        match message["type"]:
            case "http.response.body":
                reply = self._reply or await self._begin()
                if piece := message.get("body"):
                    await reply.send(piece)
                if not message.get("more_body"):
                    self._fault = None
            case "http.response.start":
                self._metadata = _metadata(message)
            case "weir.broken_off":
                self._fault = message["error"]

    async def _begin(self) -> StreamedReply:
        """Once, even where the heartbeat has something to say while the first piece is on its way."""
        async with self._beginning:
            if self._metadata is None:
                raise Unanswered("the application sent a body before its status")
            if self._reply is None:
                self._reply = await self._api.begin(self._invocation, self._metadata)
            return self._reply

    async def end(self, fault: BaseException | None = None) -> None:
        """The application has returned, or has failed with `fault`. What it left open was not meant to end so."""
        fault = fault or self._fault
        if self._reply is None:
            await self._api.fail(self._invocation, fault or Unanswered("the application did not answer"))
        elif fault is None:
            await self._reply.finish()
        else:
            await self._reply.break_off(fault)


async def serve(app: ASGIApp, api: RuntimeApi, invocation: Invocation, context: Context) -> int | None:
    """Answer one event; the status that was answered. The stream is closed only when the application has returned: its
    record is durable then.
    """
    answer = Answer(api, invocation)
    fault = None
    token = DEADLINE.set(asyncio.get_running_loop().time() + usable_s(invocation.deadline_ms / 1000 - time.time()))
    try:
        event = dict(jsonbytes.loads(invocation.event))
        gateway = HTTPGateway if event.get("version") == "2.0" else APIGateway
        request = gateway(event, context, _MANGUM)  # type: ignore[arg-type]
        scope: dict[str, Any] = {**request.scope, "extensions": {BROKEN_OFF: {}, PATIENCE: {"seconds": _PATIENCE_S}}}
        await app(scope, _receiving(request.body), answer.send)
    except Exception as exc:
        logger.exception("invocation failed")
        fault = exc
    finally:
        DEADLINE.reset(token)
    try:
        await answer.end(fault)
    except (OSError, RuntimeApiError) as exc:
        logger.error("answer not taken", extra={"reason": str(exc)})
    return answer.status if fault is None else None


def _receiving(body: bytes) -> Receive:
    messages = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> MutableMapping[str, Any]:
        if messages:
            return messages.pop()
        await asyncio.Event().wait()  # Lambda does not tell when a caller hangs up
        return {"type": "http.disconnect"}

    return receive


def _metadata(start: Mapping[str, Any]) -> dict[str, Any]:
    """What is told before the body, by
    https://docs.aws.amazon.com/apigateway/latest/developerguide/response-transfer-mode-lambda.html

    A name that occurs several times keeps all its values, in the one form that a Function URL, which knows no
    `multiValueHeaders`, takes as well: with commas, but for cookies.
    """
    found: dict[str, str] = {}
    cookies: list[str] = []
    for raw_name, raw_value in start.get("headers", ()):
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        if name == "set-cookie":
            cookies.append(value)
        else:
            found[name] = f"{found[name]}, {value}" if name in found else value
    metadata: dict[str, Any] = {"statusCode": start["status"], "headers": found}
    if cookies:
        metadata["cookies"] = cookies
    return metadata


async def start(environ: Mapping[str, str]) -> None:
    """Build the application in the init phase, which has the most CPU, then answer for as long as Lambda asks."""
    observer = Observer(environ, environ.get("AWS_LAMBDA_FUNCTION_NAME", ""))
    api = RuntimeApi(environ["AWS_LAMBDA_RUNTIME_API"])
    try:
        handler = _handler(environ["_HANDLER"])
        observer.called(handler.service)
        app = handler.asgi()
    except Exception as exc:
        logger.exception("the function could not start")
        await api.fail_init(Fault.of(exc))
        sys.exit(1)
    if environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start":
        await _across_the_snapshot(api)
    await _loop(app, api, observer, environ)


async def _loop(app: ASGIApp, api: RuntimeApi, observer: Observer, environ: Mapping[str, str]) -> None:
    while True:
        invocation = await api.next_invocation()
        if invocation.trace_id is not None:
            os.environ[_TRACE] = invocation.trace_id
        else:
            os.environ.pop(_TRACE, None)
        with observer.invocation(invocation.id) as observed:
            observed.status = await serve(app, api, invocation, Context.of(invocation, environ))


async def _across_the_snapshot(api: RuntimeApi) -> None:
    """The hooks that were registered, as Lambda's own runtime runs them: before in reverse order, after in order.

    Names, exit codes and kinds of error are those of awslambdaric 4.2.
    """
    try:
        import snapshot_restore_py as hooks
    except ModuleNotFoundError:  # it is Lambda's, and the place where hooks are registered: there are none
        hooks = None

    try:
        for function, arguments, options in reversed(hooks.get_before_snapshot() if hooks else ()):
            function(*arguments, **options)
        await api.restored()
    except Exception as exc:
        logger.exception("a hook before the snapshot failed")
        await api.fail_init(Fault.of(exc, "Runtime.BeforeSnapshotError"))
        sys.exit(64)
    random.seed()  # one snapshot goes on as many processes, which else would all draw the same branch of a split
    try:
        for function, arguments, options in hooks.get_after_restore() if hooks else ():
            function(*arguments, **options)
    except Exception as exc:
        logger.exception("a hook after the restore failed")
        await api.fail_restore(Fault.of(exc, "Runtime.AfterRestoreError"))
        sys.exit(65)


def _handler(handler: str) -> Handler:
    """`handler` is `module.name` of a lambda_handler."""
    module, _, name = handler.rpartition(".")
    found: Handler = getattr(importlib.import_module(module.replace("/", ".")), name)
    return found


if __name__ == "__main__":
    asyncio.run(start(os.environ))
