"""A function's Lambda entry point: its ASGI application behind API Gateway, by Mangum or by weir.runtime.streaming.

What Lambda starts imports this module before any other but the standard library's (isort's sections, pyproject.toml).
"""

import gc
import importlib
import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from weir.runtime.dataclass_code import use_compiled

if TYPE_CHECKING:
    from fastapi import FastAPI

    from weir.http.app import WeirApp
    from weir.runtime.bootstrap import Runtime
    from weir.runtime.observe import Observer

_IN_LAMBDA = "AWS_LAMBDA_RUNTIME_API" in os.environ


def _import_fastapi_unbuilt() -> None:
    """FastAPI makes validators for all of OpenAPI when it is imported, a tenth of the time that takes; who asks for
    the document of the routes is the first to need them, and has them made then.
    """
    from pydantic import BaseModel

    BaseModel.model_config["defer_build"] = True
    try:
        importlib.import_module("fastapi")
    finally:
        del BaseModel.model_config["defer_build"]


if _IN_LAMBDA:
    use_compiled()
    # Until a function is ready nothing becomes garbage; looking for some took a sixth of its start (measured).
    gc.disable()
    _import_fastapi_unbuilt()


_MARGIN_S = 3.0, 30.0
"""Least and most of the time, before Lambda ends the process, that is left to put the record and to tell the caller.
The most is enough for every attempt of a write, see ledger/aws.py."""


def usable_s(left_s: float) -> float:
    """Of the time that Lambda leaves to an invocation, that in which a provider may take part."""
    least, most = _MARGIN_S
    return max(left_s - min(most, max(least, left_s / 10)), 0.1)


ANSWER_LIMIT = 6_291_556 - 32_768
"""Of an answer's body. Lambda takes 6,291,556 bytes of a function that answers whole, headers and all, and says so when
it gets more ("Response payload size exceeded maximum allowed payload size (6291556 bytes).")."""


class Handler:
    """Called with an event it answers whole; what streams takes the application itself."""

    def __init__(self, title: str, mount: "Callable[[FastAPI, Runtime], None]", service: str) -> None:
        """`service` is what logs and metrics call the function."""
        self._title, self._mount = title, mount
        self.service = service
        self._adapter: Callable[[Any, Any], Any] | None = None
        self._observer: Observer | None = None

    def __call__(self, event: Mapping[str, Any], context: Any) -> Any:
        """`context` as Lambda gives it; None elsewhere."""
        adapter = self.adapter()
        if self._observer is None or context is None:
            return self._timed(adapter, event, context)
        with self._observer.invocation(context.aws_request_id) as observed:
            answer = self._timed(adapter, event, context)
            observed.status = answer["statusCode"]
        return answer

    def _timed(self, adapter: Callable[[Any, Any], Any], event: Mapping[str, Any], context: Any) -> Any:
        """What `adapter` answers; a provider may take part in it until shortly before Lambda ends the process."""
        if context is None:
            return adapter(event, context)
        import asyncio

        from weir.providers.deadline import DEADLINE

        left_s = usable_s(context.get_remaining_time_in_millis() / 1000)
        token = DEADLINE.set(asyncio.get_event_loop().time() + left_s)
        try:
            return adapter(event, context)
        finally:
            DEADLINE.reset(token)

    def asgi(self) -> "WeirApp":
        from weir.http.app import create_app
        from weir.runtime.bootstrap import bootstrap

        runtime = bootstrap(os.environ)
        app = create_app(self._title, runtime.keyring)
        self._mount(app, runtime)
        gc.freeze()  # what is there now stays, and need not be looked at again
        gc.enable()
        return app

    def adapter(self) -> Callable[[Any, Any], Any]:
        """The application behind Mangum, made once."""
        if self._adapter is None:
            import asyncio

            from mangum import Mangum
            from mangum.adapter import DEFAULT_TEXT_MIME_TYPES

            # One loop for the life of the container: the connections to providers belong to it.
            asyncio.set_event_loop(asyncio.new_event_loop())
            text_mime_types = [*DEFAULT_TEXT_MIME_TYPES, "application/x-ndjson"]
            if _IN_LAMBDA:
                from weir.runtime.observe import Observer

                self._observer = Observer(os.environ, self.service)
            app = self.asgi()
            app.answer_limit = ANSWER_LIMIT
            self._adapter = Mangum(app, lifespan="off", text_mime_types=text_mime_types)
        return self._adapter


def lambda_handler(title: str, mount: "Callable[[FastAPI, Runtime], None]", service: str) -> Handler:
    """Built in Lambda's init phase, which has the most CPU; elsewhere at the first call: importing does nothing.

    Where a wrapper has put something else in the place of Lambda's runtime, that builds what it needs.
    """
    handler = Handler(title, mount, service)
    if _IN_LAMBDA and "AWS_LAMBDA_EXEC_WRAPPER" not in os.environ:
        handler.adapter()
    return handler
