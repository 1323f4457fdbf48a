"""Everything that can go wrong, as classes; what a caller sees of it is decided in `weir.http`.

    WeirError
    |- RequestInvalid            the caller's request cannot be understood or expressed
    |  |- RequestTooLarge        it exceeds what one call may carry
    |  |- FormatUnsupported      it is of a format that the route does not read
    |  `- ModelUnknown           no configured provider answers to that model name
    |- Unauthorized              no key, a wrong key, or a key without the scope
    |- LimitExceeded             a limit or a budget of the workspace is used up
    |- NotFound                  no such record
    |- Conflict                  the same id with another content
    |- NotOffered                an operation of another vendor's API that Weir does not have
    |- LedgerUnavailable         the record could not be made durable
    `- ProviderError             the provider did not give an answer we can use
       |- ProviderRejected       it refused the request (4xx)
       |- ProviderAuthFailed     it refused the key (401, 403), or there is none
       |- ProviderThrottled *    it asked us to slow down (429)
       |- ProviderUnavailable *  it failed (5xx) or could not be reached
       |  `- ProviderTimeout *   it did not answer in time
       `- MalformedReply *       it answered something that is not a complete answer

* = `retryable`. Fallback and retries read that attribute and nothing else.
"""

from typing import ClassVar, Literal


class WeirError(Exception):
    """Base of every error that Weir raises on purpose. `str(error)` is safe to show to the caller."""

    record_id: str | None = None
    """Of the record that tells of it, where nothing else about the call is kept."""


class RequestInvalid(WeirError):
    """The caller's request is wrong; `param` names the field in the caller's own terms, e.g. `messages[0].content`."""

    def __init__(self, message: str, *, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.param = param
        self.code = code


class RequestTooLarge(RequestInvalid):
    """The body is larger than one call may carry: it has at least `size` bytes."""

    def __init__(
        self, message: str, *, param: str | None = None, code: str | None = None, size: int | None = None
    ) -> None:
        super().__init__(message, param=param, code=code)
        self.size = size


class FormatUnsupported(RequestInvalid):
    """The body is of a content type, or packed in a way, that the route does not read."""


class ModelUnknown(RequestInvalid):
    """No configured provider answers to that name; `nearest` are names that do."""

    def __init__(self, model: str, nearest: tuple[str, ...] = (), hint: str = "") -> None:
        near = f" Did you mean {' or '.join(nearest)}?" if nearest else ""
        super().__init__(
            f"The model {model[:200]!r} is not known here.{near}{' ' + hint if hint else ''}",
            param="model",
            code="model_not_found",
        )
        self.model = model
        self.nearest = nearest


class Unauthorized(WeirError):
    """No key, a wrong key, or (`forbidden`) a right key that may not do this."""

    def __init__(self, message: str, *, forbidden: bool = False) -> None:
        super().__init__(message)
        self.forbidden = forbidden


class LimitExceeded(WeirError):
    """A limit stopped the call before its provider was asked. `of` says what is used up.

    There is room again in `retry_after_s` seconds, at least 1; `for_now`, sooner: what is in the way is set aside for
    calls that run.
    """

    def __init__(
        self,
        message: str,
        *,
        of: Literal["requests", "tokens", "spend"],
        retry_after_s: int,
        for_now: bool = False,
    ) -> None:
        super().__init__(message)
        self.of = of
        self.retry_after_s = retry_after_s
        self.for_now = for_now


class NotFound(WeirError):
    """Nothing is kept under that id in the caller's workspace."""


class Conflict(WeirError):
    """The id is taken by something else."""


class NotOffered(WeirError):
    """The callers' clients know such an operation, and Weir does not offer it."""


class LedgerUnavailable(WeirError):
    """The record could not be made durable; nothing was accepted."""


class ProviderError(WeirError):
    """The provider did not give an answer we can use.

    `status` is the provider's HTTP status (or the one it named inside a 200), None when there was none.
    `code`, `type` and `param` are the provider's own words where it gave them. `raw` is its body as it came;
    it may name keys or prompts and goes to the ledger only after scrubbing.
    """

    retryable: ClassVar[bool] = False

    def __init__(
        self,
        message: str,
        *,
        provider: str,
        status: int | None = None,
        code: str | None = None,
        type: str | None = None,
        param: str | None = None,
        retry_after: str | None = None,
        raw: bytes = b"",
    ) -> None:
        super().__init__(message)
        self.provider = provider
        self.status = status
        self.code = code
        self.type = type
        self.param = param
        self.retry_after = retry_after
        self.raw = raw


class ProviderRejected(ProviderError):
    """The provider refused the request as it stands."""


class ProviderAuthFailed(ProviderError):
    """The provider refused the key, or no key is configured for it."""


class ProviderThrottled(ProviderError):
    """The provider asked us to slow down."""

    retryable = True


class ProviderUnavailable(ProviderError):
    """The provider failed or could not be reached."""

    retryable = True


class ProviderTimeout(ProviderUnavailable):
    """The provider did not answer in time."""


class MalformedReply(ProviderError):
    """What came is not a complete answer: cut off, or not in the provider's own format."""

    retryable = True


def provider_error_class(status: int) -> type[ProviderError]:
    """The class of a provider's failure, from its HTTP status alone."""
    if status in (401, 403):
        return ProviderAuthFailed
    if status == 429:
        return ProviderThrottled
    if status in (408, 504):
        return ProviderTimeout
    if 400 <= status < 500:
        return ProviderRejected
    return ProviderUnavailable
