"""API keys as the developer API has them: what is asked for, and what is shown. Times are milliseconds."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from weir.domain.api_key import SCOPES, ApiKey, Scope
from weir.domain.errors import RequestInvalid
from weir.domain.ids import milliseconds
from weir.domain.record import Environment
from weir.http.scrub import ERASED

NAME_LIMIT = 100
"""Characters of a key's or a tenant's name."""

OVERLAP_LIMIT_S = 30 * 24 * 3600

DEFAULT_SCOPES: tuple[Scope, ...] = ("complete", "ingest", "read")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_TIME = 253_402_300_799_000
"""The last second that a date can name."""

_Label = Annotated[str, Field(min_length=1, max_length=NAME_LIMIT)]
_Time = Annotated[int, Field(ge=0, le=_LAST_TIME, description="milliseconds since 1970")]


class ApiKeyBody(BaseModel):
    """A new key. `tenant` is the workspace it is for, the caller's own when left open; a new name is a new one."""

    model_config = ConfigDict(extra="forbid", strict=True, defer_build=True)

    name: _Label
    tenant: _Label | None = None
    scopes: Annotated[list[Scope], Field(min_length=1)] = list(DEFAULT_SCOPES)
    environment: Environment = "prod"
    expires_at: _Time | None = None


class RotationBody(BaseModel):
    """The key that is replaced is good for so much longer; the new one lives as long as the old one was to."""

    model_config = ConfigDict(extra="forbid", strict=True, defer_build=True)

    overlap_seconds: Annotated[int, Field(ge=0, le=OVERLAP_LIMIT_S)] = 0
    expires_at: _Time | None = None


def checked_name(text: str, param: str) -> str:
    """`text`, if it can be shown on one line and read back. Raises RequestInvalid."""
    if not text.isprintable() or text != text.strip() or not text:
        raise RequestInvalid(
            f"'{param}' must be printable text without spaces at its ends.", param=param, code="invalid_value"
        )
    if len(text) > NAME_LIMIT:
        raise RequestInvalid(f"'{param}' is longer than {NAME_LIMIT} characters.", param=param, code="invalid_value")
    if ERASED in text:
        raise RequestInvalid(f"'{param}' holds a key.", param=param, code="invalid_value")
    return text


def expiry(time: int | None, now: datetime) -> datetime | None:
    """Raises RequestInvalid for a time that has passed."""
    if time is None:
        return None
    instant = _EPOCH + timedelta(milliseconds=time)
    if instant <= now:
        raise RequestInvalid("'expires_at' has passed; it is in milliseconds.", param="expires_at")
    return instant


def key_view(key: ApiKey, now: datetime) -> dict[str, Any]:
    """All but the key itself, of which only the beginning is known any more."""
    return {
        "id": key.id,
        "name": key.name,
        "tenant": key.workspace,
        "environment": key.environment,
        "scopes": [scope for scope in SCOPES if scope in key.scopes],
        "prefix": f"weir_{key.id}",
        "state": key.state(now),
        "date_created": milliseconds(key.created_at),
        "expires_at": _time(key.expires_at),
        "revoked_at": _time(key.revoked_at),
        "last_used_at": _time(key.used_at),
        "replaces": key.replaces,
    }


def _time(instant: datetime | None) -> int | None:
    return None if instant is None else milliseconds(instant)
