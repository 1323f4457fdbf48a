"""The developer API below `/api/v1`: applications with their intents here, the other resources in `weir.portal`."""

from dataclasses import replace
from typing import Any

from weir.runtime.lambda_handler import lambda_handler

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from weir.domain.configuration import Level
from weir.http.app import route
from weir.http.auth import Principal, Scope
from weir.http.config_views import application_view, intent_view
from weir.http.intake import take
from weir.http.maitai_config import ApplicationBody, ConfigBody, IntentBody, to_changes
from weir.http.portal import all_of, data, path_id
from weir.http.validation import validated
from weir.portal import api_keys, credentials, elsewhere, reports
from weir.portal.analytics import AnalyticsPages
from weir.portal.configuration import ConfigurationPages
from weir.portal.endpoints import Desk, editor, mount_all
from weir.portal.intent_groups import IntentGroups
from weir.portal.limits import LimitPages
from weir.portal.models import Models
from weir.portal.requests import Requests
from weir.portal.sessions import SessionPages
from weir.runtime.bootstrap import Runtime
from weir.services.analytics import Analytics
from weir.services.configure import Configure
from weir.services.reading import Reading
from weir.services.sessions import Sessions

_BASE = "/api/v1/applications"


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
        views = found if detailed else [_without(view, "action_types") for view in found]
        return all_of(request, views, also=("detailed",))

    async def create(self, request: Request) -> Response:
        principal, body = await self._body(request)
        workspace = principal.workspace
        asked = validated(ApplicationBody, body)
        application = await self._configure.create_application(
            workspace, asked.application_name, asked.application_ref_name
        )
        return data(application_view(application, (), workspace), 201)

    async def read(self, request: Request) -> Response:
        workspace = self._workspace(request, "read")
        application, intents = await self._configure.application(workspace, path_id(request, "application_id"))
        return data(application_view(application, intents, workspace))

    async def read_config(self, request: Request) -> Response:
        workspace = self._workspace(request, "read")
        application, _ = await self._configure.application(workspace, path_id(request, "application_id"))
        return data(application.config)

    async def edit_config(self, request: Request) -> Response:
        principal, body = await self._body(request)
        return await self._edited(request, principal, await self._level(request, principal), body)

    async def reset_config(self, request: Request) -> Response:
        principal = self._runtime.keyring.authenticate(request.headers, "admin")
        return await self._reset(request, principal, await self._level(request, principal))

    async def list_intents(self, request: Request) -> Response:
        workspace = self._workspace(request, "read")
        _, intents = await self._configure.application(workspace, path_id(request, "application_id"))
        return all_of(request, [intent_view(intent) for intent in intents])

    async def create_intent(self, request: Request) -> Response:
        principal, body = await self._body(request)
        asked = validated(IntentBody, body)
        workspace, application_id = principal.workspace, path_id(request, "application_id")
        intent = await self._configure.create_intent(workspace, application_id, asked.action_type)
        if asked.meta is not None:
            level = Level(intent.application, intent.name)
            config = await self._configure.edit(workspace, level, to_changes(asked.meta), editor(request, principal))
            intent = replace(intent, config=config)
        return data(intent_view(intent), 201)

    async def read_intent(self, request: Request) -> Response:
        workspace = self._workspace(request, "read")
        return data(intent_view(await self._configure.intent(workspace, *_ids(request))))

    async def read_intent_config(self, request: Request) -> Response:
        workspace = self._workspace(request, "read")
        return data((await self._configure.intent(workspace, *_ids(request))).config)

    async def edit_intent_config(self, request: Request) -> Response:
        principal, body = await self._body(request)
        return await self._edited(request, principal, await self._intent_level(request, principal), body)

    async def reset_intent_config(self, request: Request) -> Response:
        principal = self._runtime.keyring.authenticate(request.headers, "admin")
        return await self._reset(request, principal, await self._intent_level(request, principal))

    async def _level(self, request: Request, principal: Principal) -> Level:
        application, _ = await self._configure.application(principal.workspace, path_id(request, "application_id"))
        return Level(application.ref_name)

    async def _intent_level(self, request: Request, principal: Principal) -> Level:
        intent = await self._configure.intent(principal.workspace, *_ids(request))
        return Level(intent.application, intent.name)

    async def _edited(self, request: Request, principal: Principal, level: Level, body: Any) -> Response:
        changes = to_changes(validated(ConfigBody, body))
        return data(await self._configure.edit(principal.workspace, level, changes, editor(request, principal)))

    async def _reset(self, request: Request, principal: Principal, level: Level) -> Response:
        return data(await self._configure.reset(principal.workspace, level, editor(request, principal)))

    def _workspace(self, request: Request, scope: Scope) -> str:
        return self._runtime.keyring.authenticate(request.headers, scope).workspace

    async def _body(self, request: Request) -> tuple[Principal, Any]:
        runtime = self._runtime
        intake = await take(request, runtime.keyring, "admin", runtime.secrets, runtime.settings.body_limit)
        return intake.principal, intake.body


def mount(app: FastAPI, runtime: Runtime) -> None:
    applications = Applications(runtime)
    one, intents = f"{_BASE}/{{application_id}}", f"{_BASE}/{{application_id}}/intents"
    intent = f"{intents}/{{intent_id}}"
    config = ConfigBody.model_json_schema
    for method, path, endpoint, summary, body in (
        ("GET", _BASE, applications.list, "List the applications", None),
        ("POST", _BASE, applications.create, "Create an application", ApplicationBody.model_json_schema),
        ("GET", one, applications.read, "Read an application with its intents", None),
        ("GET", f"{one}/config", applications.read_config, "Read what is set for an application", None),
        ("PUT", f"{one}/config", applications.edit_config, "Set values for an application", config),
        ("POST", f"{one}/config/reset", applications.reset_config, "Set nothing for an application", None),
        ("GET", intents, applications.list_intents, "List an application's intents", None),
        ("POST", intents, applications.create_intent, "Create an intent", IntentBody.model_json_schema),
        ("GET", intent, applications.read_intent, "Read an intent", None),
        ("GET", f"{intent}/config", applications.read_intent_config, "Read what is set for an intent", None),
        ("PUT", f"{intent}/config", applications.edit_intent_config, "Set values for an intent", config),
        ("POST", f"{intent}/config/reset", applications.reset_intent_config, "Set nothing for an intent", None),
    ):
        route(app, method, [path], endpoint, dialect="portal", summary=summary, body=body)
    api_keys.mount(app, runtime)
    credentials.mount(app, runtime)
    reports.mount(app, runtime)
    _mount_resources(app, runtime)


def _mount_resources(app: FastAPI, runtime: Runtime) -> None:
    configure = Configure(runtime.configurations, runtime.defaults, now=runtime.now)
    desk, reading = Desk(runtime), Reading(runtime.ledger)
    for resource in (
        Requests(runtime, desk, configure, reading),
        SessionPages(runtime, desk, configure, reading, Sessions(runtime.ledger, reading)),
        IntentGroups(desk, configure),
        LimitPages(runtime, desk),
        ConfigurationPages(desk, configure),
        Models(runtime, desk, configure),
        AnalyticsPages(desk, configure, Analytics(reading, runtime.projections, now=runtime.now)),
    ):
        mount_all(app, resource.operations())
    elsewhere.mount(app, runtime)


def _ids(request: Request) -> tuple[int, int]:
    return path_id(request, "application_id"), path_id(request, "intent_id")


def _without(view: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in view.items() if key != name}


handler = lambda_handler("Weir: portal", mount, "portal")
