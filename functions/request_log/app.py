"""Request logs in Keywords AI's dialect: create, list, sum up, read one, annotate; and the spans of traces."""

import asyncio
import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from weir.runtime.lambda_handler import lambda_handler

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from weir.domain.errors import LedgerUnavailable, RequestInvalid, WeirError
from weir.domain.totals import Totals
from weir.http.app import Schema, parse_json, read_body, route
from weir.http.auth import Principal
from weir.http.intake import Intake, clean, header_id
from weir.http.proxy_params import WITHHELD
from weir.http.request_log_bulk import (
    BATCH_LIMIT,
    BULK_LIMIT,
    AnnotationBody,
    batch_body,
    bulk_body,
    row_id,
    to_annotation,
    to_rows,
    to_span_rows,
)
from weir.http.request_log_list import groups_body, list_body, summary_body, to_group_query
from weir.http.request_log_query import to_query, to_window
from weir.http.request_log_view import for_old_client, log_row, log_view
from weir.http.request_logs import LogBody, LogFields
from weir.http.span_intake import error_reply as otlp_error
from weir.http.span_intake import export_reply, take_spans
from weir.http.validation import validated
from weir.protocols import jsonbytes
from weir.runtime.bootstrap import Runtime
from weir.services.log import Logs, ToKeep
from weir.services.log_queries import LogQueries
from weir.services.refusals import Refusals
from weir.services.trace import SpanToKeep, Traces, span_id

_API = "/api/request-logs"
_OLD = "/request-logs"
"""Where keywordsai's client asks; it reads less than others do."""

_SLICE = 50
"""Logs of a bulk that are read in one go, before other requests have their turn."""


class RequestLogs:
    """The endpoints."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._logs = Logs(runtime.ledger, now=runtime.now, new_id=runtime.new_id)
        self._queries = LogQueries(
            runtime.ledger,
            projections=runtime.projections,
            indexes=runtime.settings.indexes,
            now=runtime.now,
        )
        self._traces = Traces(runtime.ledger, now=runtime.now, new_id=runtime.new_id)
        self._refusals = Refusals(runtime.ledger, runtime.keyring, now=runtime.now, new_id=runtime.new_id)

    async def create(self, request: Request) -> Response:
        principal = self._runtime.keyring.authenticate(request.headers, "ingest")
        raw = await self._refusals.noting(self._body(request), request, "request_log")
        return await self._create(request, principal, raw)

    async def create_or_list(self, request: Request) -> Response:
        """Until 2024 this address listed; a body that holds nothing but `filters` is still that call."""
        raw = await self._refusals.noting(self._body(request), request, "request_log")
        if b'"filters"' in raw[:64] and isinstance(body := parse_json(raw), dict) and body.keys() == {"filters"}:
            return await self._list(request, raw)
        return await self._create(request, self._runtime.keyring.authenticate(request.headers, "ingest"), raw)

    async def bulk(self, request: Request) -> Response:
        ids, errors = await self._keep_all(request, BULK_LIMIT)
        return _json(bulk_body(len(ids), errors), 201 if len(errors) < len(ids) else 400)

    async def batch(self, request: Request) -> Response:
        ids, errors = await self._keep_all(request, BATCH_LIMIT)
        return _json(batch_body(ids, errors), 200 if len(errors) < len(ids) else 400)

    async def list(self, request: Request) -> Response:
        return await self._list(request, await self._body(request) if request.method == "POST" else b"")

    async def summary(self, request: Request) -> Response:
        principal, body = await self._question(request)
        window = to_window(request.query_params, body, principal.environment)
        totals = await self._queries.totals(principal.workspace, window)
        return _json(summary_body(totals.get(None, Totals())))

    async def groups(self, request: Request) -> Response:
        principal, body = await self._question(request)
        query = to_group_query(request.query_params, body, principal.environment)
        groups = await self._queries.totals(principal.workspace, query.window, query.field)
        return _json(groups_body(query, request.query_params, f"{_base(request)}/groups", groups))

    async def read(self, request: Request) -> Response:
        principal = self._runtime.keyring.authenticate(request.headers, "read")
        view = log_view(*await self._logs.read(principal.workspace, request.path_params["id"]))
        return _json(for_old_client(view) if _base(request) == _OLD else view)

    async def annotate(self, request: Request) -> Response:
        intake = await self._intake(request)
        annotation = to_annotation(intake.body)
        record = await self._logs.annotate(intake.principal.workspace, request.path_params["id"], annotation)
        return _json({"message": "log updated", "id": record.id, "unique_id": record.id, **intake.body})

    async def annotate_several(self, request: Request) -> Response:
        intake = await self._intake(request)
        rows = to_rows(intake.body, BULK_LIMIT)
        errors: dict[int, WeirError] = {}
        for index, row in enumerate(rows):  # one after the other: two rows may mean the same log
            try:
                id = row_id(row)
                await self._logs.annotate(intake.principal.workspace, id, to_annotation(row, ("unique_id", "id")))
            except WeirError as exc:
                errors[index] = exc
        _raise_if_refused(errors, len(rows))
        return _json(bulk_body(len(rows), errors), 200 if len(errors) < len(rows) else 400)

    async def _create(self, request: Request, principal: Principal, raw: bytes) -> Response:
        intake = clean(principal, request, raw, self._runtime.secrets)
        log = _to_keep(intake.body, intake.raw, header_id(request, "idempotency-key", intake.secrets))
        logged = await self._logs.keep(log, workspace=principal.workspace, environment=principal.environment)
        answer = {"message": "log successful", "id": logged.id, "unique_id": logged.id}
        fields = {"duplicate": True} if logged.record is None else log_row(logged.record)
        return _json(answer | fields)

    async def spans(self, request: Request) -> Response:
        """By OTLP. `X-Respan-Dogfood` asks a server not to trace its own work on the spans: Weir traces nothing."""
        try:
            intake = await take_spans(
                request, self._runtime.keyring, self._runtime.secrets, self._runtime.settings.body_limit
            )
            spans = [SpanToKeep(log, text) for log, text in intake.spans]
            principal = intake.principal
            await self._traces.keep_all(spans, workspace=principal.workspace, environment=principal.environment)
        except WeirError as exc:
            return otlp_error(request, exc)
        return export_reply(request, intake.rejected)

    async def span_logs(self, request: Request) -> Response:
        """Keywords AI's own way: logs with the ids of their trace and span."""
        intake = await self._intake(request)
        rows = to_span_rows(intake.body, BATCH_LIMIT)
        ids, errors = await self._keep_rows(intake, rows, None, _span_to_keep)
        counts = bulk_body(len(ids), errors)
        if ids and len(errors) == len(ids):
            return _json({"error": counts["errors"][0]["error"], **counts}, 400)
        return _json({"message": "traces ingested", **counts})

    async def _keep_all(self, request: Request, most: int) -> tuple[Sequence[str | None], dict[int, WeirError]]:
        intake = await self._refusals.noting(self._intake(request), request, "request_log")
        key = header_id(request, "idempotency-key", intake.secrets)
        return await self._keep_rows(intake, to_rows(intake.body, most), key, _to_keep)

    async def _keep_rows(
        self,
        intake: Intake,
        rows: Sequence[Any],
        key: str | None,
        to_keep: Callable[[Any, bytes | None, str | None], ToKeep],
    ) -> tuple[Sequence[str | None], dict[int, WeirError]]:
        """The id of each log, and why those that have none were not kept. Raises LedgerUnavailable if none could be."""
        ids: list[str | None] = [None] * len(rows)
        errors: dict[int, WeirError] = {}

        async def keep(logs: dict[int, ToKeep]) -> None:
            principal = intake.principal
            results = await self._logs.keep_all(
                list(logs.values()), workspace=principal.workspace, environment=principal.environment
            )
            for index, result in zip(logs, results, strict=True):
                if isinstance(result, LedgerUnavailable):
                    errors[index] = result
                else:
                    ids[index] = result.id

        async with asyncio.TaskGroup() as keeping:
            for start in range(0, len(rows), _SLICE):
                logs: dict[int, ToKeep] = {}
                for index, row in enumerate(rows[start : start + _SLICE], start):
                    try:
                        logs[index] = to_keep(row, None, f"{key}:{index}" if key else None)
                    except WeirError as exc:
                        errors[index] = exc
                keeping.create_task(keep(logs))
                await asyncio.sleep(0)
        _raise_if_refused(errors, len(rows))
        return ids, errors

    async def _list(self, request: Request, raw: bytes) -> Response:
        principal = self._runtime.keyring.authenticate(request.headers, "read")
        query = to_query(request.query_params, parse_json(raw) if raw.strip() else None, principal.environment)
        page = await self._queries.page(principal.workspace, query, _question_key(request, raw, principal))
        body = list_body(
            query,
            request.query_params,
            f"{_base(request)}/list",
            page.records,
            count=page.count,
            shown=page.shown,
            following=page.following,
        )
        if _base(request) == _OLD:
            body["results"] = [for_old_client(row) for row in body["results"]]
        return _json(body)

    async def _question(self, request: Request) -> tuple[Principal, Any]:
        principal = self._runtime.keyring.authenticate(request.headers, "read")
        raw = await self._body(request) if request.method == "POST" else b""
        return principal, parse_json(raw) if raw.strip() else None

    async def _intake(self, request: Request) -> Intake:
        principal = self._runtime.keyring.authenticate(request.headers, "ingest")
        return clean(principal, request, await self._body(request), self._runtime.secrets)

    async def _body(self, request: Request) -> bytes:
        return await read_body(request, self._runtime.settings.body_limit)


def mount(app: FastAPI, runtime: Runtime) -> None:
    logs = RequestLogs(runtime)
    schema = LogBody.model_json_schema
    annotation = AnnotationBody.model_json_schema
    for method, ends, endpoint, summary, body in (
        ("POST", ("/create",), logs.create, "Log a call made elsewhere", schema),
        ("POST", ("",), logs.create_or_list, "Log a call made elsewhere", schema),
        ("POST", ("/bulk",), logs.bulk, f"Log up to {BULK_LIMIT} calls", _several(schema)),
        ("POST", ("/batch/create",), logs.batch, f"Log up to {BATCH_LIMIT} calls", _several(schema)),
        ("GET", ("", "/list"), logs.list, "List records, the newest first", None),
        ("POST", ("/list",), logs.list, "List records that filters ask for", None),
        ("POST", ("/summary",), logs.summary, "Sum records up", None),
        ("GET", ("/groups",), logs.groups, "Sum records up by a field", None),
        ("POST", ("/groups",), logs.groups, "Sum records up by a field", None),
        ("PATCH", ("/batch-update",), logs.annotate_several, "Annotate several records", _several(annotation)),
        ("PATCH", ("/{id}",), logs.annotate, "Annotate a record", annotation),
        ("GET", ("/{id}",), logs.read, "Read a record with all that is kept of it", None),
    ):
        paths = [base + end for base in (_API, _OLD) for end in ends]
        route(app, method, paths, endpoint, dialect="request_logs", summary=summary, body=body)
    exports = [base + path for base in ("/api", "") for path in ("/v1/traces", "/v2/traces")]
    route(app, "POST", exports, logs.spans, dialect="request_logs", summary="Take in spans by OTLP/HTTP")
    ingests = [f"{base}{of}/v1/traces/ingest" for base in ("/api", "") for of in ("", "/integrations", "/openai")]

    def rows() -> dict[str, Any]:
        return {"type": "array", "items": LogFields.model_json_schema()}

    route(
        app,
        "POST",
        ingests,
        logs.span_logs,
        dialect="request_logs",
        summary="Take in spans as a list of logs",
        body=rows,
    )


def _to_keep(fields: Any, raw: bytes | None, key: str | None) -> ToKeep:
    """`raw` is the text of the fields, if it is at hand. Raises RequestInvalid."""
    body = validated(LogBody, fields)
    return ToKeep(body, _text_to_keep(body, fields, raw), body.unique_id or body.request_id or key)


def _span_to_keep(fields: Any, raw: bytes | None, key: str | None) -> ToKeep:
    """A log that says where in a trace it belongs; it need not have called a model. Raises RequestInvalid."""
    body = validated(LogFields, fields)
    for name in ("trace_unique_id", "span_unique_id"):
        if not getattr(body, name):
            raise RequestInvalid(f"'{name}' is required.", param=name)
    id = body.unique_id or body.request_id or span_id(body.trace_unique_id, body.span_unique_id)
    return ToKeep(body, _text_to_keep(body, fields, raw), id, "trace")


def _text_to_keep(body: LogFields, fields: Mapping[str, Any], raw: bytes | None) -> bytes:
    if body.disable_log:
        return jsonbytes.dumps({name: value for name, value in fields.items() if name not in WITHHELD})
    return raw if raw is not None else jsonbytes.dumps(fields)


def _raise_if_refused(errors: dict[int, WeirError], rows: int) -> None:
    """When the ledger took nothing, the whole request may be sent again."""
    if len(errors) == rows:
        for error in errors.values():
            if isinstance(error, LedgerUnavailable):
                raise error


def _question_key(request: Request, raw: bytes, principal: Principal) -> str:
    """Stands for all that a list call asks but the page."""
    asked = [(name, value) for name, value in request.query_params.multi_items() if name != "page"]
    text = f"{principal.environment}\n{urlencode(sorted(asked))}\n".encode() + raw
    return hashlib.sha256(text).hexdigest()


def _base(request: Request) -> str:
    return _API if request.url.path.startswith("/api/") else _OLD


def _several(of_one: Schema) -> Schema:
    """`logs`, a list of what the schema describes."""

    def of_several() -> dict[str, Any]:
        schema = of_one()
        definitions = {"$defs": schema["$defs"]} if "$defs" in schema else {}
        one = {name: value for name, value in schema.items() if name != "$defs"}
        rows = {"type": "array", "minItems": 1, "items": one}
        return {"type": "object", "properties": {"logs": rows}, "required": ["logs"], **definitions}

    return of_several


def _json(body: object, status: int = 200) -> Response:
    return Response(jsonbytes.dumps(body), status, media_type="application/json")


handler = lambda_handler("Weir: request logs", mount, "request_log")
