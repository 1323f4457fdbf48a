"""`/credentials`: where a workspace's keys for its providers lie, and, for the operator, every other's."""

import asyncio
import logging
from typing import Any

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from weir.http.app import route
from weir.http.auth import Principal
from weir.http.credential_references import CredentialBody, checked_provider, reference_view
from weir.http.intake import take
from weir.http.validation import validated
from weir.portal.endpoints import managed
from weir.protocols import jsonbytes
from weir.runtime.bootstrap import WORKSPACE, Runtime, open_credentials
from weir.services.credentials import Editor

logger = logging.getLogger("weir.credentials")

_BASE = "/api/v1/credentials"


class CredentialPages:
    """The endpoints. All need the scope `admin`; another workspace's are the operator's alone."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._credentials = open_credentials(runtime.settings, runtime.configurations)

    async def list(self, request: Request) -> Response:
        editor = _editor(self._admin(request), request.query_params.get("tenant"))
        found = await asyncio.to_thread(self._credentials.of, editor.workspace)
        views = [reference_view(each, operator=editor.operator) for each in found]
        return _json({"data": views, "pagination": {"total": len(views), "offset": 0, "limit": len(views)}})

    async def set(self, request: Request) -> Response:
        runtime = self._runtime
        intake = await take(request, runtime.keyring, "admin", runtime.secrets, runtime.settings.body_limit)
        asked = validated(CredentialBody, intake.body)
        editor = _editor(intake.principal, asked.tenant)
        provider = checked_provider(request.path_params["provider"])
        found = await asyncio.to_thread(self._credentials.set, editor, provider, asked.reference)
        self._edited("credential named", editor, provider)
        return _json({"data": reference_view(found, operator=editor.operator)})

    async def remove(self, request: Request) -> Response:
        editor = _editor(self._admin(request), request.query_params.get("tenant"))
        provider = checked_provider(request.path_params["provider"])
        found = await asyncio.to_thread(self._credentials.remove, editor, provider)
        self._edited("credential removed", editor, provider)
        return _json({"data": reference_view(found, operator=editor.operator)})

    def _admin(self, request: Request) -> Principal:
        return self._runtime.keyring.authenticate(request.headers, "admin")

    def _edited(self, event: str, editor: Editor, provider: str) -> None:
        if self._runtime.lending is not None:
            self._runtime.lending.forget()
        logger.info(event, extra={"workspace": editor.workspace, "provider": provider, "operator": editor.operator})


def mount(app: FastAPI, runtime: Runtime) -> None:
    pages = CredentialPages(runtime)
    one, schema = f"{_BASE}/{{provider}}", CredentialBody.model_json_schema
    for method, path, endpoint, summary, body in (
        ("GET", _BASE, pages.list, "List where a tenant's provider keys lie", None),
        ("PUT", one, pages.set, "Say where the key for a provider lies", schema),
        ("DELETE", one, pages.remove, "Use the operator's key for a provider again", None),
    ):
        route(app, method, [path], endpoint, dialect="portal", summary=summary, body=body)


def _editor(principal: Principal, tenant: str | None) -> Editor:
    """Raises Unauthorized when the tenant is not the caller's to manage."""
    workspace = managed(principal, tenant)
    return Editor(workspace, operator=principal.workspace == WORKSPACE)


def _json(body: Any) -> Response:
    return Response(jsonbytes.dumps(body), media_type="application/json")
