"""Errors in OpenAI's form and in the forms its followers use for the same thing."""

from collections.abc import Mapping
from typing import Any

from weir.domain.errors import ProviderError, provider_error_class
from weir.protocols import jsonbytes

_STATUS_OF_CODE: Mapping[str, int] = {
    "rate_limit_exceeded": 429,
    "rate_limit_error": 429,
    "insufficient_quota": 429,
    "too_many_requests": 429,
    "invalid_api_key": 401,
    "authentication_error": 401,
    "permission_error": 403,
    "invalid_request_error": 400,
    "context_length_exceeded": 400,
    "content_filter": 400,
    "tool_use_failed": 400,  # Groq: the model wrote a call that is not JSON
    "json_validate_failed": 400,  # Groq
    "model_not_found": 404,
    "server_error": 500,
    "internal_server_error": 500,
    "api_error": 500,
    "overloaded_error": 529,
    "service_unavailable": 503,
}
"""For errors inside a 200: the provider's own code or type -> the status it would have had."""


_LONGEST_PLAIN_TEXT = 1000
"""Characters. More is no message but a dump of something."""


def error_of(status: int, headers: Mapping[str, str], body: bytes, provider: str) -> ProviderError:
    """An HTTP error answer. A body that is neither JSON nor plain text (a proxy's HTML page) is kept raw, not shown."""
    try:
        reply = jsonbytes.loads(body)
    except jsonbytes.InvalidJSON:
        reply = _plain_text(headers, body)
    words = _words(reply)
    return provider_error_class(status)(
        words.get("message") or f"{provider} answered with status {status}.",
        provider=provider,
        status=status,
        code=words.get("code"),
        type=words.get("type"),
        param=words.get("param"),
        retry_after=headers.get("retry-after"),
        raw=body,
    )


def _plain_text(headers: Mapping[str, str], body: bytes) -> str | None:
    """SambaNova refuses a key in a line of plain text."""
    if not headers.get("content-type", "").startswith("text/plain"):
        return None
    return " ".join(body.decode("utf-8", "replace").split())[:_LONGEST_PLAIN_TEXT]


def error_in_body(reply: Mapping[str, Any], raw: bytes, provider: str) -> ProviderError | None:
    """The error that an answer under status 200 holds, or None. Its class comes from the status or code it names."""
    if not reply.get("error") and reply.get("object") != "error":  # the latter from Mistral and vLLM
        return None
    words = _words(reply)
    named = error if isinstance(error := reply.get("error"), dict) else reply
    status = _status(named, reply)
    return provider_error_class(status)(
        words.get("message") or f"{provider} reported an error inside its answer.",
        provider=provider,
        status=status,
        code=words.get("code"),
        type=words.get("type"),
        param=words.get("param"),
        raw=raw,
    )


def _status(*places: Mapping[str, Any]) -> int:
    for place in places:
        for name in ("status_code", "status", "code"):
            value = place.get(name)
            if isinstance(value, str) and value.isdigit():
                value = int(value)
            if isinstance(value, int) and 400 <= value < 600:
                return value
    for place in places:
        for name in ("code", "type"):
            status = _STATUS_OF_CODE.get(str(place.get(name)))
            if status is not None:
                return status
    return 500


def _words(reply: Any) -> dict[str, str]:
    """message, code, type and param out of an error body in any of the shapes vendors give it."""
    if isinstance(reply, list) and reply:
        reply = reply[0]
    if not isinstance(reply, dict):
        return {"message": reply} if isinstance(reply, str) and reply else {}
    error = reply.get("error") or reply
    if isinstance(error, str):
        error = {**reply, "message": error}
    if not isinstance(error, dict):
        return {}
    message = error.get("message") or error.get("Message") or error.get("detail") or reply.get("message")
    if isinstance(message, dict | list):  # validation details (Mistral, vLLM): JSON reads better than nothing
        message = jsonbytes.dumps(message).decode()
    found = {"message": message, "code": error.get("code"), "type": error.get("type"), "param": error.get("param")}
    return {name: str(value) for name, value in found.items() if value is not None and value != ""}
