"""The ASGI application of a function: routes that answer in their dialect, never by redirect."""

import functools
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from weir import __version__
from weir.domain.errors import RequestInvalid, RequestTooLarge, WeirError
from weir.http.auth import Keyring
from weir.http.errors import Dialect, error_reply
from weir.protocols import jsonbytes

logger = logging.getLogger("weir.http")

_WRAPPINGS = 10
_SAFE_DEPTH = 180
"""Brackets in a body, up to which it cannot be nested too deeply for the parser's limit of about 200."""

Endpoint = Callable[[Request], Awaitable[Response]]
Schema = Callable[[], dict[str, Any]]
"""Makes a JSON schema. Making all of a function's takes longer than most of its start, and few ask for them."""


class DirectRoute(APIRoute):
    """A route whose endpoint reads the request itself: documented by FastAPI, validated once, by us."""

    body_schema: Schema | None = None

    def __init__(self, path: str, endpoint: Endpoint, **options: Any) -> None:
        super().__init__(path, endpoint, **options)

        async def direct(scope: Scope, receive: Receive, send: Send) -> None:
            response = await endpoint(Request(scope, receive, send))
            await response(scope, receive, send)

        self.app = direct


class WeirApp(FastAPI):
    """FastAPI's routing and document without its stack of middleware, which would cost more than Weir's own work.

    What that stack is for is done elsewhere: errors become answers in `answering`, bodies are limited in `read_body`.
    Trailing slashes are taken off before routing, so nothing redirects. With a `keyring`, a key that is not known yet
    is read before its endpoint asks who is calling.
    """

    keyring: Keyring | None = None

    def openapi(self) -> dict[str, Any]:
        for route in self.routes if self.openapi_schema is None else ():
            if isinstance(route, DirectRoute) and route.body_schema is not None:
                content = {"application/json": {"schema": route.body_schema()}}
                route.openapi_extra = {"requestBody": {"required": True, "content": content}}
        return super().openapi()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.middleware_stack is None:
            self.middleware_stack = self.build_middleware_stack()
        scope["app"] = self
        await self.middleware_stack(scope, receive, send)

    def build_middleware_stack(self) -> ASGIApp:
        router = self.router
        found = _without_parameters(router.routes)

        async def routed(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http":
                await router(scope, receive, send)
                return
            if scope["path"].endswith("/") and scope["path"] != "/":
                scope["path"] = scope["path"].rstrip("/") or "/"
            if (route := found.get((scope["method"], scope["path"]))) is not None:
                await route.app(scope, receive, send)
                return
            try:
                await router(scope, receive, send)
            except HTTPException as exc:  # no route, or another method
                await _not_routed(exc)(scope, receive, send)

        return routed


def _without_parameters(routes: Sequence[BaseRoute]) -> dict[tuple[str, str], DirectRoute]:
    """Our routes of a fixed path, by method and path: the router would try hundreds of patterns one after the other.

    A fixed path goes before a pattern that fits it as well.
    """
    found: dict[tuple[str, str], DirectRoute] = {}
    for route in routes:
        if isinstance(route, DirectRoute) and not route.param_convertors:
            for method in route.methods or ():
                found.setdefault((method, route.path), route)
    return found


def create_app(title: str, keyring: Keyring | None = None) -> WeirApp:
    """An application without routes."""
    app = WeirApp(title=title, version=__version__, redirect_slashes=False, docs_url="/docs", redoc_url=None)
    app.router.route_class = DirectRoute
    app.keyring = keyring
    return app


def _not_routed(exc: HTTPException) -> Response:
    message = "This route does not take that method." if exc.status_code == 405 else "There is no such route."
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": "unknown_url"}
    return JSONResponse({"error": error, "detail": message}, exc.status_code, exc.headers)


def route(
    app: FastAPI,
    method: str,
    paths: Sequence[str],
    endpoint: Endpoint,
    *,
    dialect: Dialect,
    summary: str,
    body: Schema | None = None,
) -> None:
    """Answer `method` at every spelling in `paths`; errors leave in `dialect`. `body` describes the request's."""
    for path in paths:
        name = f"{method.lower()}_{path.strip('/').replace('/', '_').replace('{', '').replace('}', '')}"
        app.add_api_route(
            path,
            answering(dialect, endpoint),
            methods=[method],
            summary=summary,
            operation_id=name.replace("-", "_").replace(".", "_"),
            response_model=None,
        )
        made = app.routes[-1]
        if isinstance(made, DirectRoute):
            made.body_schema = body


def answering(dialect: Dialect, endpoint: Endpoint) -> Endpoint:
    """`endpoint`, with its errors turned into answers of the dialect."""

    @functools.wraps(endpoint)
    async def answered(request: Request) -> Response:
        keyring: Keyring | None = request.app.keyring
        try:
            if keyring is not None:
                await keyring.load(request.headers)
            return await endpoint(request)
        except WeirError as exc:
            return error_reply(exc, dialect)
        except Exception:
            logger.exception("request failed", extra={"path": request.url.path})
            return error_reply(WeirError("Weir failed; the reason is in its log."), dialect)

    return answered


async def read_body(request: Request, limit: int) -> bytes:
    """The whole body. Raises RequestTooLarge as soon as it is known to be longer than `limit` bytes."""
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > limit:
        raise _too_large(limit)
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise _too_large(limit)
        chunks.append(chunk)
    return b"".join(chunks)


def _too_large(limit: int) -> RequestTooLarge:
    return RequestTooLarge(
        f"The request body is larger than {limit // 1_000_000} MB, the most that AWS Lambda takes. "
        "Send images and files by URL or file id, or shorten the conversation.",
        code="request_too_large",
    )


def parse_json(body: bytes) -> Any:
    """Raises RequestInvalid; the text itself is never repeated in the message."""
    try:
        value = jsonbytes.loads_finite(body)
    except jsonbytes.InvalidJSON as exc:
        raise RequestInvalid(f"The request body is not valid JSON: {exc}.", code="invalid_json") from None
    if body.count(b"[") + body.count(b"{") > _SAFE_DEPTH:
        _check_depth(body)
    return value


def _check_depth(body: bytes) -> None:
    """A body is stored inside other objects and must be readable there."""
    try:
        jsonbytes.loads(b"[" * _WRAPPINGS + body + b"]" * _WRAPPINGS)
    except jsonbytes.InvalidJSON:
        raise RequestInvalid("The request body is nested too deeply.", code="invalid_json") from None
