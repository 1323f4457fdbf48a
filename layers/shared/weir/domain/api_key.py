"""API keys: how one is written, what it stands for, and until when it is good."""

import re
import zlib
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, get_args

from weir.domain.record import Environment

Scope = Literal["complete", "ingest", "read", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
"""In the order in which they are shown."""

State = Literal["active", "expired", "revoked"]

RANDOM_BITS = 300
_SECRET_BITS = 238
_ID_LENGTH, _SECRET_LENGTH, _CHECK_LENGTH = 12, 40, 6
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_LOWER = 36
"""The first so many digits: an id is dictated and typed."""

_KEY = re.compile(r"(weir_([0-9a-z]{12})_[0-9A-Za-z]{40})([0-9A-Za-z]{6})", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A key as it is kept: never its text, only the digest of it.

    `revoked_at` may lie ahead: a key that was replaced may be good for a while longer. `used_at` is off by up to the
    hour or so for which one use stands.
    """

    id: str
    workspace: str
    name: str
    environment: Environment
    scopes: frozenset[Scope]
    digest: bytes = field(repr=False)
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    used_at: datetime | None = None
    replaces: str | None = None

    @property
    def may_end(self) -> bool:
        return self.expires_at is not None or self.revoked_at is not None

    def state(self, at: datetime) -> State:
        if self.revoked_at is not None and at >= self.revoked_at:
            return "revoked"
        return "expired" if self.expires_at is not None and at >= self.expires_at else "active"


def write_key(random: int) -> str:
    """`weir_<id>_<secret><check>`, from RANDOM_BITS random bits. The check tells a slip of the pen from a wrong key."""
    id = _written(random >> _SECRET_BITS & (1 << (RANDOM_BITS - _SECRET_BITS)) - 1, _LOWER, _ID_LENGTH)
    secret = _written(random & (1 << _SECRET_BITS) - 1, len(_DIGITS), _SECRET_LENGTH)
    return (text := f"weir_{id}_{secret}") + _check(text)


def read_id(key: str) -> str | None:
    """The id in a key's text; None when Weir has never made such a key. Whether it is good is another question."""
    found = _KEY.fullmatch(key)
    return found[2] if found is not None and _check(found[1]) == found[3] else None


def _check(text: str) -> str:
    return _written(zlib.crc32(text.encode()), len(_DIGITS), _CHECK_LENGTH)


def _written(number: int, base: int, length: int) -> str:
    digits = ""
    for _ in range(length):
        number, digit = divmod(number, base)
        digits = _DIGITS[digit] + digits
    return digits
