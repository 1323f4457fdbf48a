"""Errors in Google's form (google.rpc.Status), as HTTP answers and inside a 200."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from weir.domain.completion import NOTHING
from weir.domain.errors import ProviderAuthFailed, ProviderError, provider_error_class
from weir.protocols import jsonbytes

_HTTP_OF_STATUS: Mapping[str, int] = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "OUT_OF_RANGE": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "ABORTED": 409,
    "ALREADY_EXISTS": 409,
    "RESOURCE_EXHAUSTED": 429,
    "CANCELLED": 499,
    "UNKNOWN": 500,
    "INTERNAL": 500,
    "DATA_LOSS": 500,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}
"""The HTTP mapping that google/rpc/code.proto gives for each code."""


def error_of(status: int, headers: Mapping[str, str], body: bytes, provider: str) -> ProviderError:
    """An HTTP error answer. A body that is not JSON (a proxy's HTML page) is kept raw and not shown."""
    try:
        reply = jsonbytes.loads(body)
    except jsonbytes.InvalidJSON:
        reply = None
    return _error(status, headers, named_error(reply) or NOTHING, body, provider)


def error_in_body(reply: Any, raw: bytes, provider: str) -> ProviderError | None:
    """The error that an answer under status 200 holds, or None. Its class comes from the code or status it names."""
    error = named_error(reply)
    if error is None:
        return None
    code = error.get("code")
    status = code if isinstance(code, int) and 400 <= code < 600 else _HTTP_OF_STATUS.get(str(error.get("status")), 500)
    return _error(status, NOTHING, error, raw, provider)


def named_error(reply: Any) -> Mapping[str, Any] | None:
    """Streams without `alt=sse`, and some proxies, wrap the error object in a list."""
    if isinstance(reply, list) and reply:
        reply = reply[0]
    error = reply.get("error") if isinstance(reply, dict) else None
    return error if isinstance(error, dict) and error else None


def _error(
    status: int, headers: Mapping[str, str], error: Mapping[str, Any], raw: bytes, provider: str
) -> ProviderError:
    reason = _first(error, "ErrorInfo", "reason")
    word = error.get("status")
    # A bad key is INVALID_ARGUMENT under 400 here; only its reason tells it from a bad request.
    kind = ProviderAuthFailed if reason == "API_KEY_INVALID" else provider_error_class(status)
    message = error.get("message")
    return kind(
        str(message) if message else f"{provider} answered with status {status}.",
        provider=provider,
        status=status,
        code=str(reason or word) if reason or word else None,
        type=str(word) if word else None,
        param=_field(error),
        retry_after=headers.get("retry-after") or _delay(error),
        raw=raw,
    )


def _details(error: Mapping[str, Any], kind: str) -> Iterator[Mapping[str, Any]]:
    details = error.get("details")
    for detail in details if isinstance(details, list) else ():
        if isinstance(detail, dict) and str(detail.get("@type")).endswith(f"google.rpc.{kind}"):
            yield detail


def _first(error: Mapping[str, Any], kind: str, field: str) -> Any:
    return next((detail.get(field) for detail in _details(error, kind)), None)


def _field(error: Mapping[str, Any]) -> str | None:
    violations = _first(error, "BadRequest", "fieldViolations")
    named = violations[0].get("field") if isinstance(violations, list) and violations else None
    return str(named) if named else None


def _delay(error: Mapping[str, Any]) -> str | None:
    """RetryInfo's duration ("48.9s") as the whole seconds of a Retry-After header."""
    delay = _first(error, "RetryInfo", "retryDelay")
    try:
        return str(math.ceil(float(delay.removesuffix("s")))) if isinstance(delay, str) else None
    except (ValueError, OverflowError):
        return None
