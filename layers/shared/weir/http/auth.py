"""Who is calling: API keys, kept as keyed hashes and compared in constant time."""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from weir.domain.errors import Unauthorized
from weir.domain.record import Environment

Scope = Literal["complete", "ingest", "read", "admin"]
ALL_SCOPES: frozenset[Scope] = frozenset({"complete", "ingest", "read", "admin"})

_SCHEMES = ("bearer ", "api-key ")
_HASH_KEY = b"weir api key v1"


@dataclass(frozen=True, slots=True)
class Principal:
    """What a key stands for."""

    workspace: str
    environment: Environment = "prod"
    scopes: frozenset[Scope] = ALL_SCOPES


class Keyring:
    """The keys this process accepts."""

    def __init__(self, keys: Mapping[str, Principal]) -> None:
        self._by_hash = {_hash(key): principal for key, principal in keys.items()}

    def authenticate(self, headers: Mapping[str, str], scope: Scope | None) -> Principal:
        """`headers` with lower-case names; any key will do where `scope` is None. Raises Unauthorized."""
        key = presented_key(headers)
        if key is None:
            raise Unauthorized("No API key. Send it as 'Authorization: Bearer <key>' or 'x-api-key: <key>'.")
        digest = _hash(key)
        found: Principal | None = None
        for known, principal in self._by_hash.items():  # all of them, so that timing does not tell which one is near
            if hmac.compare_digest(known, digest):
                found = principal
        if found is None:
            raise Unauthorized("The API key is not valid here.")
        if scope is not None and scope not in found.scopes:
            raise Unauthorized(f"The API key does not have the scope '{scope}'.", forbidden=True)
        return found


def presented_key(headers: Mapping[str, str]) -> str | None:
    """`Authorization: Bearer k`, `Authorization: Api-Key k`, `Authorization: k`, `x-api-key` or `X-Maitai-Api-Key`."""
    for name in ("x-api-key", "x-maitai-api-key"):
        if key := headers.get(name, "").strip():
            return key
    value = headers.get("authorization", "").strip()
    for scheme in _SCHEMES:
        if value.lower().startswith(scheme):
            value = value[len(scheme) :].strip()
            break
    return value or None


def _hash(key: str) -> bytes:
    return hashlib.blake2b(key.encode("utf-8", "surrogateescape"), key=_HASH_KEY, digest_size=32).digest()
