"""Maitai's dialect beside completions: what its clients store, report and are configured by. Nothing is run."""

import logging
from dataclasses import replace
from typing import Any

from weir.runtime.lambda_handler import lambda_handler

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from weir.domain.errors import RequestInvalid
from weir.http import maitai_evaluate, maitai_store
from weir.http.app import Schema, route
from weir.http.camel_case import snake_cased
from weir.http.config_views import client_views, company_id
from weir.http.errors import Dialect
from weir.http.intake import Intake, header_id, take
from weir.http.maitai_evaluate import EvaluateBody, evaluate_response
from weir.http.maitai_log import NativeLogBody
from weir.http.maitai_metrics import client_error
from weir.http.maitai_store import StoreBody, TimingMetrics, renamed
from weir.http.validation import validated
from weir.protocols import jsonbytes
from weir.runtime.bootstrap import Runtime
from weir.services.configure import Configure
from weir.services.refusals import Refusals
from weir.services.store import Sender, Store, Stored
from weir.services.timing import Timings

logger = logging.getLogger("weir.clients")


class Storage:
    """The endpoints."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._store = Store(runtime.ledger, runtime.defaults, now=runtime.now, new_id=runtime.new_id)
        self._timings = Timings(runtime.ledger)
        self._configure = Configure(runtime.configurations, runtime.defaults, now=runtime.now)
        self._refusals = Refusals(runtime.ledger, runtime.keyring, now=runtime.now, new_id=runtime.new_id)
        self._client_errors = 0

    async def put_response(self, request: Request) -> Response:
        intake = await self._take(request)
        body = validated(StoreBody, intake.body)
        return _stored(
            await self._store.keep(body, intake.body, _sender(request, intake, maitai_store.caller_id(body)))
        )

    async def log(self, request: Request) -> Response:
        intake = await self._take(request)
        body = validated(NativeLogBody, intake.body)
        return _stored(await self._store.keep_native(body, intake.body, _sender(request, intake, body.request_id)))

    async def evaluate(self, request: Request) -> Response:
        intake = await self._take(request)
        body = validated(EvaluateBody, intake.body)
        sender = _sender(request, intake, maitai_evaluate.caller_id(body))
        stored = await self._store.keep_evaluation(body, intake.body, sender)
        return _json(
            evaluate_response(
                stored.id, stored.request_id, stored.session_id, body.reference_id, at=self._runtime.now()
            )
        )

    async def report_timing(self, request: Request) -> Response:
        intake = await self._take(request)
        metrics = validated(TimingMetrics, snake_cased(intake.body, deep=False))
        noted = await self._timings.note(intake.principal.workspace, metrics)
        return _json({"request_id": metrics.request_id or None, "noted": noted})

    async def report_error(self, request: Request) -> Response:
        """Counted and logged without what it quotes; a report that cannot be read is one, too."""
        runtime = self._runtime
        principal = runtime.keyring.authenticate(request.headers, None)
        try:
            body = (await take(request, runtime.keyring, None, runtime.secrets, runtime.settings.body_limit)).body
        except RequestInvalid:
            body = None
        self._client_errors += 1
        facts = {**client_error(body), "workspace": principal.workspace, "count": self._client_errors}
        logger.warning("a client failed", extra=facts)
        return _json({})

    async def client_config(self, request: Request) -> Response:
        """Any key may read it: Maitai's clients do not start without."""
        workspace = self._runtime.keyring.authenticate(request.headers, None).workspace
        found = client_views(await self._configure.snapshot(workspace), workspace)
        return _json({"company_id": company_id(workspace), "applications": found})

    async def _take(self, request: Request) -> Intake:
        runtime = self._runtime
        taking = take(request, runtime.keyring, "ingest", runtime.secrets, runtime.settings.body_limit)
        intake = await self._refusals.noting(taking, request, "storage")
        return replace(intake, body=renamed(intake.body))


def mount(app: FastAPI, runtime: Runtime) -> None:
    storage = Storage(runtime)
    pair, evaluation = StoreBody.model_json_schema, EvaluateBody.model_json_schema
    native, timing = NativeLogBody.model_json_schema, TimingMetrics.model_json_schema
    # Its client parses what evaluation answers on the caller's own thread, errors too: they must be JSON objects.
    routes: tuple[tuple[str, str, Any, str, Schema | None, Dialect], ...] = (
        ("PUT", "/chat/completions/response", storage.put_response, "Store a request and its response", pair, "maitai"),
        ("PUT", "/chat/completions/log", storage.log, "Store a call in its provider's format", native, "maitai"),
        ("POST", "/evaluation/submit", storage.evaluate, "Store a call to be judged", evaluation, "portal"),
        ("POST", "/evaluation/request", storage.evaluate, "Store a call to be judged", evaluation, "portal"),
        ("PUT", "/metrics/timing", storage.report_timing, "Add a client's own times to a record", timing, "maitai"),
        (
            "PUT",
            "/metrics/increment/python_sdk_error",
            storage.report_error,
            "Report a client failure",
            None,
            "maitai",
        ),
        ("GET", "/config/init_sdk", storage.client_config, "What holds for this client's calls", None, "maitai"),
    )
    for method, path, endpoint, summary, body, dialect in routes:
        route(app, method, (path, f"/api/v1{path}"), endpoint, dialect=dialect, summary=summary, body=body)


def _sender(request: Request, intake: Intake, caller_id: str | None) -> Sender:
    return Sender(
        workspace=intake.principal.workspace,
        environment=intake.principal.environment,
        caller_id=caller_id or header_id(request, "x-request-id", intake.secrets),
    )


def _stored(stored: Stored) -> Response:
    return _json({"request_id": stored.request_id, "session_id": stored.session_id, "id": stored.id, "new": stored.new})


def _json(body: object) -> Response:
    return Response(jsonbytes.dumps(body), media_type="application/json")


handler = lambda_handler("Weir: storage", mount, "storage")
