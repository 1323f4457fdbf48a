"""What the endpoints share: who is asking, what was sent, and how a resource says what it answers."""

from collections.abc import Sequence
from typing import NamedTuple

from fastapi import FastAPI
from starlette.requests import Request

from weir.domain.errors import Unauthorized
from weir.domain.versions import OPERATOR
from weir.http.api_keys import checked_name
from weir.http.app import Endpoint, Schema, route
from weir.http.auth import Principal, Scope
from weir.http.intake import Intake, take
from weir.http.portal import only, optional_number
from weir.runtime.bootstrap import WORKSPACE, Runtime
from weir.services.configure import Editor

BASE = "/api/v1"


class Operation(NamedTuple):
    """One route. `path` is below BASE; `body` describes the request's."""

    method: str
    path: str
    endpoint: Endpoint
    summary: str
    body: Schema | None = None


class Desk:
    """Reads requests for the endpoints."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def reader(self, request: Request) -> Principal:
        """Raises Unauthorized."""
        return self._runtime.keyring.authenticate(request.headers, "read")

    def admin(self, request: Request) -> Principal:
        """Raises Unauthorized."""
        return self._runtime.keyring.authenticate(request.headers, "admin")

    async def take(self, request: Request, scope: Scope) -> Intake:
        """Raises Unauthorized, RequestTooLarge or RequestInvalid."""
        runtime = self._runtime
        return await take(request, runtime.keyring, scope, runtime.secrets, runtime.settings.body_limit)


def editor(request: Request, principal: Principal) -> Editor:
    """Who edits a configuration. `version` in the query is the one that the edit is meant for: at another it is 409."""
    only(request, ("version",))
    return Editor(principal.key or OPERATOR, optional_number(request, "version"))


def mount_all(app: FastAPI, operations: Sequence[Operation]) -> None:
    for method, path, endpoint, summary, body in operations:
        route(app, method, [BASE + path], endpoint, dialect="portal", summary=summary, body=body)


def managed(principal: Principal, tenant: str | None) -> str:
    """The workspace that is meant. Raises Unauthorized when it is not the caller's to manage."""
    if tenant is None or tenant == principal.workspace:
        return principal.workspace
    if principal.workspace != WORKSPACE:
        raise Unauthorized("Only the operator's keys may manage what is another tenant's.", forbidden=True)
    return checked_name(tenant, "tenant")
