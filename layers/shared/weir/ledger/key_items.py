"""API keys as the engines keep them: JSON for what never changes, milliseconds beside it for what does."""

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

from weir.domain.api_key import SCOPES, ApiKey
from weir.domain.ids import milliseconds
from weir.protocols import jsonbytes

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def to_item(key: ApiKey) -> bytes:
    """Without `revoked_at` and `used_at`."""
    return jsonbytes.dumps(
        {
            "id": key.id,
            "workspace": key.workspace,
            "name": key.name,
            "environment": key.environment,
            "scopes": [scope for scope in SCOPES if scope in key.scopes],
            "digest": base64.b64encode(key.digest).decode(),
            "created_at": milliseconds(key.created_at),
            "expires_at": None if key.expires_at is None else milliseconds(key.expires_at),
            "replaces": key.replaces,
        }
    )


def from_item(item: str | bytes, revoked: int | None, used: int | None) -> ApiKey:
    fields: dict[str, Any] = jsonbytes.loads(item)
    return ApiKey(
        id=fields["id"],
        workspace=fields["workspace"],
        name=fields["name"],
        environment=fields["environment"],
        scopes=frozenset(fields["scopes"]),
        digest=base64.b64decode(fields["digest"]),
        created_at=_instant(fields["created_at"]),
        expires_at=_instant_or_none(fields["expires_at"]),
        replaces=fields["replaces"],
        revoked_at=_instant_or_none(revoked),
        used_at=_instant_or_none(used),
    )


def _instant(milliseconds: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=milliseconds)


def _instant_or_none(milliseconds: int | None) -> datetime | None:
    return None if milliseconds is None else _instant(milliseconds)
