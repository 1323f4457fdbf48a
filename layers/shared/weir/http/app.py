"""The ASGI application of a function: routes that answer in their dialect, never by redirect."""

import functools
import json
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route
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


class DirectRoute(Route):
    """A route whose endpoint reads the request itself: validated once, by us, and documented by FastAPI when asked.

    One of FastAPI's own routes takes a millisecond to make, and a function may have a hundred.
    """

    def __init__(self, method: str, path: str, endpoint: Endpoint, summary: str, body: Schema | None) -> None:
        super().__init__(path, endpoint, methods=[method])
        self.methods = {method}  # without HEAD, which Starlette adds to GET
        self._summary, self._body = summary, body

        async def direct(scope: Scope, receive: Receive, send: Send) -> None:
            response = await endpoint(Request(scope, receive, send))
            await response(scope, receive, send)

        self.app = direct

    def documented(self) -> APIRoute:
        (method,) = self.methods or {"GET"}
        name = f"{method.lower()}_{self.path.strip('/').replace('/', '_').replace('{', '').replace('}', '')}"
        extra = None
        if self._body is not None:
            extra = {"requestBody": {"required": True, "content": {"application/json": {"schema": self._body()}}}}
        return APIRoute(
            self.path,
            self.endpoint,
            methods=[method],
            summary=self._summary,
            operation_id=name.replace("-", "_").replace(".", "_"),
            openapi_extra=extra,
            response_model=None,
        )


class WeirApp(FastAPI):
    """FastAPI's routing and document without its stack of middleware, which would cost more than Weir's own work.

    What that stack is for is done elsewhere: errors become answers in `answering`, bodies are limited in `read_body`.
    Trailing slashes are taken off before routing, so nothing redirects. With a `keyring`, a key that is not known yet
    is read before its endpoint asks who is calling.
    """

    keyring: Keyring | None = None
    answer_limit: int | None = None
    """Bytes of a whole answer's body as a text in JSON, where what is outside gives out no more."""

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            routes = [route.documented() if isinstance(route, DirectRoute) else route for route in self.routes]
            self.openapi_schema = get_openapi(title=self.title, version=self.version, routes=routes)
        return self.openapi_schema

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
        app.router.routes.append(DirectRoute(method, path, answering(dialect, endpoint), summary, body))


def answering(dialect: Dialect, endpoint: Endpoint) -> Endpoint:
    """`endpoint`, with its errors turned into answers of the dialect."""

    @functools.wraps(endpoint)
    async def answered(request: Request) -> Response:
        keyring: Keyring | None = request.app.keyring
        try:
            if keyring is not None:
                await keyring.load(request.headers)
            answer = await endpoint(request)
            if request.app.answer_limit is not None:
                _check_size(answer, request.app.answer_limit)
            return answer
        except WeirError as exc:
            return error_reply(exc, dialect)
        except Exception:
            logger.exception("request failed", extra={"path": request.url.path})
            return error_reply(WeirError("Weir failed; the reason is in its log."), dialect)

    return answered


def _check_size(answer: Response, limit: int) -> None:
    """Raises RequestInvalid, which is better than what the caller would get from outside: that it did not work."""
    body = getattr(answer, "body", b"")
    if len(body) <= limit // _LONGEST_ESCAPE:
        return
    try:
        size = len(json.dumps(bytes(body).decode(), ensure_ascii=False).encode())
    except UnicodeDecodeError:
        size = len(body) * 4 // 3
    if size > limit:
        raise RequestInvalid(
            f"The answer is too large for Lambda, which gives out {limit / 1e6:.1f} MB at most: its body has "
            f"{len(body) / 1e6:.1f} MB, and {size / 1e6:.1f} MB as Lambda writes it. Ask for less at once; "
            "`weir export` reads calls of any size."
        )


async def read_body(request: Request, limit: int) -> bytes:
    """The whole body. Raises RequestTooLarge as soon as it is known to be longer than `limit` bytes."""
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > limit:
        raise _too_large(limit, int(announced))
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise _too_large(limit, size)
        chunks.append(chunk)
    return b"".join(chunks)


_LONGEST_ESCAPE = 6
"""Bytes that JSON may take for a character: `\\u0000`."""


def _too_large(limit: int, size: int) -> RequestTooLarge:
    return RequestTooLarge(
        f"The request body is larger than {limit // 1_000_000} MB, the most that AWS Lambda takes. "
        "Send images and files by URL or file id, or shorten the conversation.",
        code="request_too_large",
        size=size,
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
