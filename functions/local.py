"""All functions in one ASGI application: what `make dev` serves."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from functions.completion import app as completion
from functions.portal import app as portal
from functions.request_log import app as request_log
from functions.storage import app as storage
from weir.http.app import create_app, route
from weir.ledger.sqlite import SQLiteRecordStore
from weir.runtime.bootstrap import Runtime, bootstrap
from weir.runtime.local_projection import LocalProjection
from weir.runtime.projection import local_feed, open_projection
from weir.runtime.upkeep import Upkeep


def build(runtime: Runtime) -> FastAPI:
    app = create_app("Weir", runtime.keyring)
    for function in (completion, storage, request_log, portal):
        function.mount(app, runtime)

    async def health(_: Request) -> Response:
        return JSONResponse({"status": "ok"})

    route(app, "GET", ("/health",), health, dialect="openai", summary="200 when Weir serves")
    return app


def start_projection(runtime: Runtime) -> LocalProjection | None:
    """On DynamoDB a function of its own does this."""
    records = runtime.ledger.records
    if not isinstance(records, SQLiteRecordStore):
        return None
    projection = open_projection(runtime.ledger, runtime.projections, runtime.settings)
    return LocalProjection(projection, local_feed(runtime.ledger, records))


def create() -> FastAPI:
    """For uvicorn's --factory."""
    return _serving(bootstrap(os.environ))


def create_for_dev() -> FastAPI:
    """The same for `weir dev`, which nobody else can reach: any WEIR_API_KEY will do."""
    return _serving(bootstrap(os.environ, weak_key_allowed=True))


def _serving(runtime: Runtime) -> FastAPI:
    app = build(runtime)

    @asynccontextmanager
    async def closing(_: FastAPI) -> AsyncIterator[None]:
        projection = start_projection(runtime)
        upkeep = asyncio.create_task(Upkeep(runtime.ledger, runtime.settings.retention).run_for_ever())
        yield
        upkeep.cancel()
        if projection is not None:
            await asyncio.to_thread(projection.close)
        await asyncio.to_thread(runtime.counters.close)
        runtime.ledger.close()

    app.router.lifespan_context = closing
    return app
