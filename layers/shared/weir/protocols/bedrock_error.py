"""Bedrock's errors: HTTP answers, and exceptions inside an event stream.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html#API_runtime_Converse_Errors and
https://docs.aws.amazon.com/bedrock/latest/APIReference/CommonErrors.html
"""

from collections.abc import Mapping
from typing import Any

from weir.domain.errors import (
    ProviderAuthFailed,
    ProviderError,
    ProviderRejected,
    ProviderThrottled,
    ProviderTimeout,
    ProviderUnavailable,
    provider_error_class,
)
from weir.protocols import jsonbytes
from weir.protocols.eventstream import EventStreamMessage

EXCEPTIONS: Mapping[str, tuple[type[ProviderError], int]] = {
    "AccessDeniedException": (ProviderAuthFailed, 403),
    "ExpiredTokenException": (ProviderAuthFailed, 403),
    "IncompleteSignature": (ProviderAuthFailed, 400),
    "IncompleteSignatureException": (ProviderAuthFailed, 400),
    "InvalidClientTokenId": (ProviderAuthFailed, 403),
    "InvalidSignatureException": (ProviderAuthFailed, 403),
    "MissingAuthenticationToken": (ProviderAuthFailed, 403),
    "MissingAuthenticationTokenException": (ProviderAuthFailed, 403),
    "NotAuthorized": (ProviderAuthFailed, 403),
    "OptInRequired": (ProviderAuthFailed, 403),
    "UnrecognizedClientException": (ProviderAuthFailed, 403),
    "ThrottlingException": (ProviderThrottled, 429),
    "TooManyRequestsException": (ProviderThrottled, 429),
    "ServiceQuotaExceededException": (ProviderThrottled, 400),
    "ModelNotReadyException": (ProviderThrottled, 429),  # AWS's SDKs retry it
    "ModelTimeoutException": (ProviderTimeout, 408),
    "ModelErrorException": (ProviderUnavailable, 424),  # the model failed on a request that Bedrock had accepted
    "ModelStreamErrorException": (ProviderUnavailable, 424),
    "InternalServerException": (ProviderUnavailable, 500),
    "InternalFailure": (ProviderUnavailable, 500),
    "ServiceUnavailableException": (ProviderUnavailable, 503),
    "ServiceUnavailable": (ProviderUnavailable, 503),
    "ResourceNotFoundException": (ProviderRejected, 404),
    "ValidationException": (ProviderRejected, 400),
}
"""An exception's name says more than its status; the status here is for exceptions inside a stream, which have none."""


def error_of(status: int, headers: Mapping[str, str], body: bytes, provider: str) -> ProviderError:
    """An HTTP error answer. A body that is not JSON (a proxy's HTML page) is kept raw and not shown."""
    words = _words(body)
    name = _name(headers.get("x-amzn-errortype") or words.get("__type") or words.get("code"))
    known = EXCEPTIONS.get(name or "")
    kind = known[0] if known is not None else provider_error_class(status)
    return kind(
        _message(words) or f"{provider} answered with status {status}.",
        provider=provider,
        status=status,
        code=name,
        retry_after=headers.get("retry-after"),
        raw=body,
    )


def error_in_stream(message: EventStreamMessage, provider: str) -> ProviderError:
    """A modelled exception (`:exception-type`, with a JSON payload) or an unmodelled error (`:error-code`)."""
    headers = message.headers
    words = _words(message.payload)
    name = _name(headers.get(":exception-type") or headers.get(":error-code")) or ""
    name = name[:1].upper() + name[1:]  # inside a stream they are named as members: throttlingException
    kind, status = EXCEPTIONS.get(name, (ProviderUnavailable, None))
    text = _message(words) or headers.get(":error-message")
    return kind(
        text or f"{provider} reported an error inside its answer{f' ({name})' if name else ''}.",
        provider=provider,
        status=status,
        code=name or None,
        raw=message.payload,
    )


def _name(value: Any) -> str | None:
    """The bare name: a header has an address behind it (`Name:http://…`), a body a package before it (`com.…#Name`)."""
    return str(value).partition(":")[0].rpartition("#")[2] or None if value else None


def _words(body: bytes) -> Mapping[str, Any]:
    try:
        reply = jsonbytes.loads(body)
    except jsonbytes.InvalidJSON:
        return {}
    return reply if isinstance(reply, dict) else {}


def _message(words: Mapping[str, Any]) -> str | None:
    message = words.get("message") or words.get("Message") or words.get("originalMessage")
    return str(message) if message else None
