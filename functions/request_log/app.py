"""Request logs in Keywords AI's dialect: create one, read one back, list the newest."""

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from weir.http.app import parse_json, read_body, route
from weir.http.auth import Principal
from weir.http.chat_request import validated
from weir.http.intake import clean, header_id
from weir.http.request_log_list import check_filters, list_body, to_query
from weir.http.request_log_view import log_row, log_view
from weir.http.request_logs import WITHHELD, LogBody
from weir.protocols import jsonbytes
from weir.runtime.bootstrap import Runtime
from weir.runtime.lambda_handler import lambda_handler
from weir.services.log import Logs

_BASES = ("/api/request-logs", "/request-logs")


class RequestLogs:
    """The endpoints."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._logs = Logs(runtime.ledger, now=runtime.now, new_id=runtime.new_id)

    async def create(self, request: Request) -> Response:
        principal = self._runtime.keyring.authenticate(request.headers, "ingest")
        return await self._create(request, principal, await self._body(request))

    async def create_or_list(self, request: Request) -> Response:
        """Until 2024 this address listed; a body that holds nothing but `filters` is still that call."""
        raw = await self._body(request)
        if b'"filters"' in raw[:64] and isinstance(body := parse_json(raw), dict) and body.keys() == {"filters"}:
            return await self._list(request, raw)
        return await self._create(request, self._runtime.keyring.authenticate(request.headers, "ingest"), raw)

    async def list(self, request: Request) -> Response:
        return await self._list(request, await self._body(request) if request.method == "POST" else b"")

    async def read(self, request: Request) -> Response:
        principal = self._runtime.keyring.authenticate(request.headers, "read")
        return _json(log_view(*await self._logs.read(principal.workspace, request.path_params["id"])))

    async def _create(self, request: Request, principal: Principal, raw: bytes) -> Response:
        intake = clean(principal, request, raw, self._runtime.secrets)
        body = validated(LogBody, intake.body)
        kept = intake.raw
        if body.disable_log:
            kept = jsonbytes.dumps({name: value for name, value in intake.body.items() if name not in WITHHELD})
        caller_id = body.unique_id or body.request_id or header_id(request, "idempotency-key", intake.secrets)
        logged = await self._logs.keep(
            body, kept, workspace=principal.workspace, environment=principal.environment, caller_id=caller_id
        )
        answer = {"message": "log successful", "id": logged.id, "unique_id": logged.id}
        fields = {"duplicate": True} if logged.record is None else log_row(logged.record)
        return _json(answer | fields)

    async def _list(self, request: Request, raw: bytes) -> Response:
        principal = self._runtime.keyring.authenticate(request.headers, "read")
        if raw.strip():
            check_filters(parse_json(raw))
        query = to_query(request.query_params, principal.environment)
        page = await self._logs.newest(
            principal.workspace,
            size=query.page_size,
            skip=query.skip,
            before=query.before,
            since=query.since,
            environment=query.environment,
        )
        base = "/api/request-logs" if request.url.path.startswith("/api/") else "/request-logs"
        path = f"{base}/list"
        return _json(list_body(query, request.query_params, path, page.records, page.matched, page.following))

    async def _body(self, request: Request) -> bytes:
        return await read_body(request, self._runtime.settings.body_limit)


def mount(app: FastAPI, runtime: Runtime) -> None:
    logs = RequestLogs(runtime)
    schema = LogBody.model_json_schema()
    for method, ends, endpoint, summary, body in (
        ("POST", ("/create",), logs.create, "Log a call made elsewhere", schema),
        ("POST", ("",), logs.create_or_list, "Log a call made elsewhere", schema),
        ("GET", ("", "/list"), logs.list, "List the newest records", None),
        ("POST", ("/list",), logs.list, "List the newest records", None),
        ("GET", ("/{id}",), logs.read, "Read a record with all that is kept of it", None),
    ):
        paths = [base + end for base in _BASES for end in ends]
        route(app, method, paths, endpoint, dialect="request_logs", summary=summary, body=body)


def _json(body: object) -> Response:
    return Response(jsonbytes.dumps(body), media_type="application/json")


handler = lambda_handler("Weir: request logs", mount)
