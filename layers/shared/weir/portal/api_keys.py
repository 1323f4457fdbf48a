"""`/api-keys`: keys of a workspace, and, for the operator, of every other."""

import asyncio
import logging
from datetime import timedelta
from typing import Any

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from weir.http.api_keys import ApiKeyBody, RotationBody, checked_name, expiry, key_view
from weir.http.app import read_body, route
from weir.http.auth import Principal
from weir.http.intake import clean
from weir.http.validation import validated
from weir.ledger.limit_rules import LimitRules
from weir.portal.endpoints import managed
from weir.protocols import jsonbytes
from weir.runtime.bootstrap import WORKSPACE, Runtime
from weir.services.keys import MadeKey, NewKey

logger = logging.getLogger("weir.keys")

_BASE = "/api/v1/api-keys"


class ApiKeys:
    """The endpoints. All need the scope `admin`; another workspace's keys are the operator's alone."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._keys = runtime.keys
        self._limits = LimitRules(runtime.configurations.store)

    async def create(self, request: Request) -> Response:
        principal = self._admin(request)
        asked = validated(ApiKeyBody, await self._body(request, principal))
        new = NewKey(
            workspace=managed(principal, asked.tenant),
            name=checked_name(asked.name, "name"),
            scopes=frozenset(asked.scopes),
            environment=asked.environment,
            expires_at=expiry(asked.expires_at, self._runtime.now()),
        )
        return self._made(await asyncio.to_thread(self._keys.create, new), "api key created")

    async def list(self, request: Request) -> Response:
        principal = self._admin(request)
        workspace = managed(principal, request.query_params.get("tenant"))
        now = self._runtime.now()
        found = [key_view(key, now) for key in await asyncio.to_thread(self._keys.of, workspace)]
        return _json({"data": found, "pagination": {"total": len(found), "offset": 0, "limit": len(found)}})

    async def read(self, request: Request) -> Response:
        found = await asyncio.to_thread(self._keys.find, request.path_params["key_id"], _reach(self._admin(request)))
        return _json({"data": key_view(found, self._runtime.now())})

    async def rotate(self, request: Request) -> Response:
        principal = self._admin(request)
        asked = validated(RotationBody, await self._body(request, principal) or {})
        made = await asyncio.to_thread(
            self._keys.replace,
            request.path_params["key_id"],
            _reach(principal),
            overlap=timedelta(seconds=asked.overlap_seconds),
            expires_at=expiry(asked.expires_at, self._runtime.now()),
            limits=self._limits,
        )
        self._runtime.limits.forget(made.key.workspace)
        return self._made(made, "api key replaced")

    async def revoke(self, request: Request) -> Response:
        principal = self._admin(request)
        revoked = await asyncio.to_thread(self._keys.revoke, request.path_params["key_id"], _reach(principal))
        self._runtime.keyring.forget()
        logger.info("api key revoked", extra={"key": revoked.id, "workspace": revoked.workspace})
        return _json({"data": key_view(revoked, self._runtime.now())})

    def _admin(self, request: Request) -> Principal:
        return self._runtime.keyring.authenticate(request.headers, "admin")

    async def _body(self, request: Request, principal: Principal) -> Any:
        """None if there is none."""
        raw = await read_body(request, self._runtime.settings.body_limit)
        if not raw.strip():
            return None
        return clean(principal, request, raw, self._runtime.secrets).body

    def _made(self, made: MadeKey, event: str) -> Response:
        """The one answer that holds the key."""
        self._runtime.keyring.forget()
        logger.info(event, extra={"key": made.key.id, "workspace": made.key.workspace})
        view = {**key_view(made.key, self._runtime.now()), "key": made.text, "new_tenant": made.new_workspace}
        return _json({"data": view}, 201, {"cache-control": "no-store"})


def mount(app: FastAPI, runtime: Runtime) -> None:
    keys = ApiKeys(runtime)
    one = f"{_BASE}/{{key_id}}"
    asked, rotation = ApiKeyBody.model_json_schema, RotationBody.model_json_schema
    for method, path, endpoint, summary, body in (
        ("POST", _BASE, keys.create, "Create an API key; only this answer has it", asked),
        ("GET", _BASE, keys.list, "List the API keys of a tenant", None),
        ("GET", one, keys.read, "Read what is known of an API key", None),
        ("POST", f"{one}/rotate", keys.rotate, "Replace an API key by a new one", rotation),
        ("DELETE", one, keys.revoke, "Revoke an API key", None),
    ):
        route(app, method, [path], endpoint, dialect="portal", summary=summary, body=body)


def _reach(principal: Principal) -> str | None:
    """None for the operator, who reaches every workspace's keys."""
    return None if principal.workspace == WORKSPACE else principal.workspace


def _json(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(jsonbytes.dumps(body), status, headers, media_type="application/json")
