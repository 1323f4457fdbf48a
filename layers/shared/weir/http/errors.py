"""Errors as the callers' clients expect them, one shape a dialect."""

from collections.abc import Mapping
from typing import Any, Literal

from starlette.responses import Response

from weir.domain.completion import NOTHING
from weir.domain.errors import (
    Conflict,
    FormatUnsupported,
    LedgerUnavailable,
    LimitExceeded,
    ModelUnknown,
    NotFound,
    NotOffered,
    ProviderError,
    ProviderTimeout,
    RequestInvalid,
    RequestTooLarge,
    Unauthorized,
    WeirError,
)
from weir.protocols import jsonbytes

REQUEST_ID = "x-weir-request-id"
"""The header that names a call's record."""

Dialect = Literal["openai", "maitai", "portal", "request_logs"]


def status_of(error: WeirError) -> int:
    """The HTTP status a caller gets. A provider's 4xx keeps its number; its 5xx become a gateway's 502 to 504."""
    match error:
        case RequestTooLarge():
            return 413
        case FormatUnsupported():
            return 415
        case ModelUnknown() | NotFound():
            return 404
        case RequestInvalid():
            return 400
        case Unauthorized(forbidden=forbidden):
            return 403 if forbidden else 401
        case Conflict():
            return 409
        case LimitExceeded():
            return 429
        case NotOffered():
            return 501
        case LedgerUnavailable():
            return 503
        case ProviderError():
            return _gateway_status(error)
        case _:
            return 500


def _gateway_status(error: ProviderError) -> int:
    match error:
        case ProviderTimeout(status=408):
            return 408
        case ProviderTimeout():
            return 504
        case ProviderError(status=status) if status is not None and 400 <= status < 500:
            return status
        case ProviderError(status=status) if status in (503, 529):
            return 503
        case _:
            return 502


_OPENAI_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "invalid_request_error",
    408: "timeout_error",
    409: "conflict_error",
    413: "invalid_request_error",
    429: "rate_limit_error",
    503: "service_unavailable_error",
    504: "timeout_error",
}


_RATE_LIMIT, _QUOTA = "rate_limit_exceeded", "insufficient_quota"
"""OpenAI's codes for what there is more of in a minute, and for what is paid for."""

_SOON_S = 60
"""What an OpenAI client waits for by itself; where it is longer, it is told not to try again."""


def limit_code(error: LimitExceeded) -> str:
    return _QUOTA if error.of == "spend" and not error.for_now else _RATE_LIMIT


def openai_error(error: WeirError) -> dict[str, Any]:
    """The `error` object of OpenAI's API, with the provider's own words where there are any."""
    status = status_of(error)
    kind = error.type if isinstance(error, ProviderError) else None
    param = error.param if isinstance(error, ProviderError | RequestInvalid) else None
    code = error.code if isinstance(error, ProviderError | RequestInvalid) else None
    if isinstance(error, Unauthorized) and not error.forbidden:
        code = "invalid_api_key"
    if isinstance(error, LimitExceeded):
        code = limit_code(error)
        kind = error.of if error.of != "spend" else _QUOTA if code == _QUOTA else None
    return {
        "message": str(error),
        "type": kind or _OPENAI_TYPES.get(status, "invalid_request_error" if status < 500 else "server_error"),
        "param": param,
        "code": code,
    }


def portal_error(error: WeirError) -> dict[str, Any]:
    """The `error` object that Maitai's command line reads; it fails on any other form."""
    param = error.param if isinstance(error, ProviderError | RequestInvalid) else None
    return {"status": status_of(error), "message": str(error), "details": {"param": param} if param else {}}


def one_line(error: WeirError) -> str:
    """The whole error on one line: Maitai's client shows the first line of a body and nothing else."""
    param = error.param if isinstance(error, ProviderError | RequestInvalid) else None
    text = " ".join(str(error).split())
    return f"{param}: {text}" if param and param not in text else text


def error_reply(error: WeirError, dialect: Dialect, headers: Mapping[str, str] = NOTHING) -> Response:
    """The answer to a failed request.

    Maitai's client takes every status but 400 and 404 as a broken connection and may then call OpenAI by itself; what
    is the caller's own mistake is therefore 400 there, except a wrong key, which no client can work around.
    """
    status = status_of(error)
    extra = dict(headers)
    if error.record_id is not None:
        extra[REQUEST_ID] = error.record_id
    if isinstance(error, ProviderError) and error.retry_after is not None:
        extra["retry-after"] = error.retry_after
    if isinstance(error, LimitExceeded):
        extra["retry-after"] = str(error.retry_after_s)
        if error.retry_after_s > _SOON_S:
            extra["x-should-retry"] = "false"  # openai-python 3.52, _base_client.py
    if dialect == "maitai":
        keeps = (404, 429) if not isinstance(error, Unauthorized) else (401, 403)
        if 400 <= status < 500 and status not in keeps:
            status = 400
        return Response(one_line(error), status, extra, media_type="text/plain; charset=utf-8")
    if dialect == "openai":
        body: dict[str, Any] = {"error": openai_error(error)}
    elif dialect == "portal":
        body = {"error": portal_error(error)}
    elif isinstance(error, RequestInvalid) and error.param and status == 400:
        body = {error.param: [str(error)], "error": one_line(error)}
    elif status == 400:
        body = {"error": one_line(error)}
    else:
        body = {"detail": one_line(error)}
    return Response(jsonbytes.dumps(body), status, extra, media_type="application/json")
