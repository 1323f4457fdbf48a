"""The developer API below `/api/v1`: applications, their intents, what is set for both, and reports."""

from typing import Any

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from weir.domain.errors import NotFound, RequestInvalid
from weir.http.app import route
from weir.http.auth import Scope
from weir.http.chat_request import validated
from weir.http.intake import take
from weir.http.maitai_config import (
    ApplicationBody,
    ConfigBody,
    IntentBody,
    application_view,
    intent_view,
    to_changes,
)
from weir.portal import api_keys
from weir.protocols import jsonbytes
from weir.runtime.bootstrap import Runtime
from weir.runtime.lambda_handler import lambda_handler
from weir.runtime.reports import mount_reports
from weir.services.configure import Configure

_BASE = "/api/v1/applications"
_DIGITS = 15


class Applications:
    """The endpoints. Reading needs the scope `read`, editing `admin`."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._configure = Configure(runtime.configurations, runtime.defaults, now=runtime.now)

    async def list(self, request: Request) -> Response:
        workspace = self._workspace(request, "read")
        detailed = request.query_params.get("detailed", "false").lower() == "true"
        found = [
            application_view(application, intents if detailed else (), workspace)
            for application, intents in await self._configure.all(workspace)
        ]
        return _page(request, found if detailed else [_without(view, "action_types") for view in found])

    async def create(self, request: Request) -> Response:
        workspace, body = await self._body(request)
        asked = validated(ApplicationBody, body)
        application = await self._configure.create_application(
            workspace, asked.application_name, asked.application_ref_name
        )
        return _data(application_view(application, (), workspace), 201)

    async def read(self, request: Request) -> Response:
        workspace = self._workspace(request, "read")
        application, intents = await self._configure.application(workspace, _id(request, "application_id"))
        return _data(application_view(application, intents, workspace))

    async def read_config(self, request: Request) -> Response:
        workspace = self._workspace(request, "read")
        application, _ = await self._configure.application(workspace, _id(request, "application_id"))
        return _data(application.config)

    async def edit_config(self, request: Request) -> Response:
        workspace, body = await self._body(request)
        changes = to_changes(validated(ConfigBody, body))
        edited = await self._configure.edit_application(workspace, _id(request, "application_id"), changes)
        return _data(edited.config)

    async def list_intents(self, request: Request) -> Response:
        workspace = self._workspace(request, "read")
        _, intents = await self._configure.application(workspace, _id(request, "application_id"))
        return _page(request, [intent_view(intent) for intent in intents])

    async def create_intent(self, request: Request) -> Response:
        workspace, body = await self._body(request)
        asked = validated(IntentBody, body)
        config = {} if asked.meta is None else {k: v for k, v in to_changes(asked.meta).items() if v is not None}
        intent = await self._configure.create_intent(
            workspace, _id(request, "application_id"), asked.action_type, config
        )
        return _data(intent_view(intent), 201)

    async def read_intent(self, request: Request) -> Response:
        workspace = self._workspace(request, "read")
        return _data(intent_view(await self._configure.intent(workspace, *_ids(request))))

    async def read_intent_config(self, request: Request) -> Response:
        workspace = self._workspace(request, "read")
        return _data((await self._configure.intent(workspace, *_ids(request))).config)

    async def edit_intent_config(self, request: Request) -> Response:
        workspace, body = await self._body(request)
        changes = to_changes(validated(ConfigBody, body))
        return _data((await self._configure.edit_intent(workspace, *_ids(request), changes)).config)

    async def reset_intent_config(self, request: Request) -> Response:
        workspace = self._workspace(request, "admin")
        return _data((await self._configure.reset_intent(workspace, *_ids(request))).config)

    def _workspace(self, request: Request, scope: Scope) -> str:
        return self._runtime.keyring.authenticate(request.headers, scope).workspace

    async def _body(self, request: Request) -> tuple[str, Any]:
        runtime = self._runtime
        intake = await take(request, runtime.keyring, "admin", runtime.secrets, runtime.settings.body_limit)
        return intake.principal.workspace, intake.body


def mount(app: FastAPI, runtime: Runtime) -> None:
    mount_reports(app, runtime)
    applications = Applications(runtime)
    one, intents = f"{_BASE}/{{application_id}}", f"{_BASE}/{{application_id}}/intents"
    intent = f"{intents}/{{intent_id}}"
    config = ConfigBody.model_json_schema()
    for method, path, endpoint, summary, body in (
        ("GET", _BASE, applications.list, "List the applications", None),
        ("POST", _BASE, applications.create, "Create an application", ApplicationBody.model_json_schema()),
        ("GET", one, applications.read, "Read an application with its intents", None),
        ("GET", f"{one}/config", applications.read_config, "Read what is set for an application", None),
        ("PUT", f"{one}/config", applications.edit_config, "Set values for an application", config),
        ("GET", intents, applications.list_intents, "List an application's intents", None),
        ("POST", intents, applications.create_intent, "Create an intent", IntentBody.model_json_schema()),
        ("GET", intent, applications.read_intent, "Read an intent", None),
        ("GET", f"{intent}/config", applications.read_intent_config, "Read what is set for an intent", None),
        ("PUT", f"{intent}/config", applications.edit_intent_config, "Set values for an intent", config),
        ("POST", f"{intent}/config/reset", applications.reset_intent_config, "Set nothing for an intent", None),
    ):
        route(app, method, [path], endpoint, dialect="portal", summary=summary, body=body)
    api_keys.mount(app, runtime)


def _id(request: Request, name: str) -> int:
    text: str = request.path_params[name]
    if not (text.isascii() and text.isdigit()) or len(text) > _DIGITS:
        raise NotFound(f"'{name}' is a number, and nothing has the id {text[:80]!r}.")
    return int(text)


def _ids(request: Request) -> tuple[int, int]:
    return _id(request, "application_id"), _id(request, "intent_id")


def _data(value: Any, status: int = 200) -> Response:
    return Response(jsonbytes.dumps({"data": value}), status, media_type="application/json")


def _page(request: Request, found: list[Any]) -> Response:
    """All of it, unless the caller asks for a part."""
    offset, limit = _number(request, "offset", 0), _number(request, "limit", len(found))
    body = {
        "data": found[offset : offset + limit],
        "pagination": {"total": len(found), "offset": offset, "limit": limit},
    }
    return Response(jsonbytes.dumps(body), media_type="application/json")


def _number(request: Request, name: str, default: int) -> int:
    text = request.query_params.get(name, "")
    if not text:
        return default
    if not (text.isascii() and text.isdigit()) or len(text) > _DIGITS:
        raise RequestInvalid(f"'{name}' must be a number from 0.", param=name)
    return int(text)


def _without(view: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in view.items() if key != name}


handler = lambda_handler("Weir: portal", mount)
