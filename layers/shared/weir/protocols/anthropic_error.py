"""Errors of the Messages API, as Anthropic, Google Cloud and AWS put them."""

from collections.abc import Mapping
from typing import Any

from weir.domain.errors import ProviderError, provider_error_class
from weir.protocols import jsonbytes

_STATUS_OF_TYPE: Mapping[str, int] = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "conflict_error": 409,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
    "validationException": 400,
    "throttlingException": 429,
    "modelTimeoutException": 408,
    "modelStreamErrorException": 424,
    "internalServerException": 500,
    "serviceUnavailableException": 503,
}
"""Anthropic's types (https://platform.claude.com/docs/en/api/errors) and the exceptions of InvokeModel's stream
(https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ResponseStream.html) -> the status they stand for.
"""


def error_of(status: int, headers: Mapping[str, str], body: bytes, provider: str) -> ProviderError:
    """An HTTP error answer. A body that is not JSON (a proxy's HTML page) is kept raw and not shown."""
    try:
        reply = jsonbytes.loads(body)
    except jsonbytes.InvalidJSON:
        reply = None
    words = _words(reply)
    aws = headers.get("x-amzn-errortype", "").partition(":")[0]  # "ThrottlingException:http://…"
    return provider_error_class(status)(
        words.get("message") or f"{provider} answered with status {status}.",
        provider=provider,
        status=status,
        code=words.get("code") or aws or None,
        type=words.get("type"),
        retry_after=headers.get("retry-after"),
        raw=body,
    )


def error_inside(reply: Mapping[str, Any], raw: bytes, provider: str, type: str | None = None) -> ProviderError:
    """An error under status 200. Its class comes from its type, or from the number it gives as its code."""
    words = _words(reply)
    type = type or words.get("type")
    status = _STATUS_OF_TYPE.get(type or "")
    if status is None:
        code = words.get("code", "")
        status = int(code) if code.isdigit() and 400 <= int(code) < 600 else 500
    return provider_error_class(status)(
        words.get("message") or f"{provider} reported an error inside its answer.",
        provider=provider,
        status=status,
        code=words.get("code"),
        type=type,
        raw=raw,
    )


def _words(reply: Any) -> dict[str, str]:
    """message, type and code out of `{"error": {type, message}}` (Anthropic), `{"error": {code, message, status}}`,
    alone or in a list (Google), or `{"message"}` (AWS)."""
    if isinstance(reply, list) and reply:
        reply = reply[0]
    if not isinstance(reply, dict):
        return {}
    error = reply.get("error", reply)
    if isinstance(error, str):
        error = {"message": error}
    if not isinstance(error, dict):
        return {}
    found = {
        "message": error.get("message") or error.get("Message"),
        "type": error.get("status") or (error.get("type") if error is not reply else None) or error.get("__type"),
        "code": error.get("code"),
    }
    return {name: str(value) for name, value in found.items() if value is not None and value != ""}
