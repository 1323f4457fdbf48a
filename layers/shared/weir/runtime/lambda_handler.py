"""A function's Lambda entry point: its ASGI application behind API Gateway, by Mangum."""

import os
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from fastapi import FastAPI

from weir.http.app import create_app
from weir.runtime.bootstrap import Runtime, bootstrap

Mount = Callable[[FastAPI, Runtime], None]
Handler = Callable[[Mapping[str, Any], Any], Any]


def lambda_handler(title: str, mount: Mount) -> Handler:
    """Built in Lambda's init phase, which has the most CPU; elsewhere at the first call: importing does nothing."""

    @cache
    def adapter() -> Callable[[Any, Any], Any]:
        import asyncio

        from mangum import Mangum
        from mangum.adapter import DEFAULT_TEXT_MIME_TYPES

        # One loop for the life of the container: the connections to providers belong to it.
        asyncio.set_event_loop(asyncio.new_event_loop())
        runtime = bootstrap(os.environ)
        app = create_app(title, runtime.keyring)
        mount(app, runtime)
        return Mangum(app, lifespan="off", text_mime_types=[*DEFAULT_TEXT_MIME_TYPES, "application/x-ndjson"])

    def handler(event: Mapping[str, Any], context: Any) -> Any:
        return adapter()(event, context)

    if "AWS_LAMBDA_RUNTIME_API" in os.environ:
        adapter()
    return handler
