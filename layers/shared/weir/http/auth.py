"""Who is calling: API keys, kept as keyed hashes and compared in constant time."""

import asyncio
import functools
import hashlib
import hmac
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, Protocol

from starlette.datastructures import Headers

from weir.domain.api_key import SCOPES, ApiKey, Scope, read_id
from weir.domain.errors import LedgerUnavailable, Unauthorized
from weir.domain.record import Environment

__all__ = ["ALL_SCOPES", "MAX_AGE_S", "KeySource", "Keyring", "Principal", "Scope", "digest_of", "presented_key"]

logger = logging.getLogger("weir.keys")

ALL_SCOPES: frozenset[Scope] = frozenset(SCOPES)

MAX_AGE_S = 10.0
"""How long a process may go on with what it has read: a key made, replaced or revoked elsewhere is so here by then."""

USE_NOTED = timedelta(hours=1)
"""How far the time of a key's last use may lag behind."""

_CACHED = 10_000
"""Known keys, and as many unknown ones: no number of wrong keys takes more memory, or a right one's place."""

_SCHEMES = ("bearer ", "api-key ")
_PLACES = frozenset((b"x-api-key", b"x-maitai-api-key", b"authorization"))

_HASH = hashlib.blake2b(key=b"weir api key v1", digest_size=32)
"""Copied for each key, which takes a third of the time of making it.

Its own key tells these digests from others. It need not be secret: an API key has 238 random bits, and nobody finds
those by trying.
"""


@dataclass(frozen=True, slots=True)
class Principal:
    """What a key stands for. `key` is its id; the operator's own, of the environment, have none."""

    workspace: str
    environment: Environment = "prod"
    scopes: frozenset[Scope] = ALL_SCOPES
    key: str | None = None


class KeySource(Protocol):
    """What is asked of a KeyStore. Both calls block, and may raise LedgerUnavailable."""

    def find(self, id: str) -> ApiKey | None: ...

    def note_use(self, id: str, at: datetime) -> None: ...


class _Known(NamedTuple):
    """`key` is None for a digest that is no key's. `until`, by the keyring's clock, is when it must be read again."""

    until: float
    key: ApiKey | None
    principal: Principal


_NOBODY = Principal("", scopes=frozenset())


class Keyring:
    """The keys this process accepts: the operator's own, and those of `source`, each remembered for MAX_AGE_S.

    Used from one event loop. `clock` gives seconds for measuring ages, `now` the time of day.
    """

    def __init__(
        self,
        keys: Mapping[str, Principal],
        source: KeySource | None = None,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._own = {digest_of(key): principal for key, principal in keys.items()}
        self._source = source
        self._now, self._clock = now, clock
        self._known: dict[bytes, _Known] = {}
        self._unknown: dict[bytes, _Known] = {}
        self._reading: dict[bytes, asyncio.Future[_Known]] = {}
        self._noted: dict[str, datetime] = {}

    async def load(self, headers: Mapping[str, str]) -> None:
        """Read the presented key now, off the event loop, if `authenticate` would have to; else do nothing.

        Raises LedgerUnavailable. Many calls at once with one key read it once.
        """
        if self._source is None or (key := presented_key(headers)) is None:
            return
        digest = digest_of(key)
        if digest in self._own or self._remembered(digest) is not None or (id := read_id(key)) is None:
            return
        reading = self._reading.get(digest)
        if reading is None:
            reading = self._reading[digest] = asyncio.ensure_future(self._read(self._source, id, digest))
            reading.add_done_callback(functools.partial(self._settle, digest))
        await asyncio.shield(reading)  # who hangs up does not take the answer from the others

    def authenticate(self, headers: Mapping[str, str], scope: Scope | None) -> Principal:
        """`headers` with lower-case names; any key will do where `scope` is None. Raises Unauthorized.

        Blocks for a read, and may raise LedgerUnavailable, only when `load` was not called or too long ago.
        """
        key = presented_key(headers)
        if key is None:
            raise Unauthorized("No API key. Send it as 'Authorization: Bearer <key>' or 'x-api-key: <key>'.")
        found = self._own_principal(digest := digest_of(key)) or self._stored_principal(key, digest)
        if found is None:
            raise Unauthorized("The API key is not valid here.")
        if scope is not None and scope not in found.scopes:
            raise Unauthorized(f"The API key does not have the scope '{scope}'.", forbidden=True)
        return found

    def forget(self) -> None:
        """What this process has changed itself holds at once."""
        self._known.clear()
        self._unknown.clear()

    def _own_principal(self, digest: bytes) -> Principal | None:
        found: Principal | None = None
        for known, principal in self._own.items():  # all of them, so that timing does not tell which one is near
            if hmac.compare_digest(known, digest):
                found = principal
        return found

    def _stored_principal(self, key: str, digest: bytes) -> Principal | None:
        if self._source is None:
            return None
        known = self._remembered(digest)
        if known is None:
            if (id := read_id(key)) is None:
                return None
            known = self._remember(digest, self._clock(), self._source.find(id))
        if known.key is None:
            return None
        if known.key.may_end and (state := known.key.state(self._now())) != "active":
            raise Unauthorized(f"The API key is {state}.")
        return known.principal

    def _remembered(self, digest: bytes) -> _Known | None:
        """Finding a digest in a dict tells nobody how near a wrong one came: it is the hash of the whole key."""
        known = self._known.get(digest) or self._unknown.get(digest)
        return known if known is not None and self._clock() < known.until else None

    async def _read(self, source: KeySource, id: str, digest: bytes) -> _Known:
        asked_at = self._clock()  # what is revoked while the answer is on its way is not in it
        known = self._remember(digest, asked_at, await asyncio.to_thread(source.find, id))
        if known.key is not None and self._is_to_be_noted(known.key):
            asyncio.get_running_loop().run_in_executor(None, self._note, source, id, self._noted[id])
        return known

    def _settle(self, digest: bytes, reading: "asyncio.Future[_Known]") -> None:
        self._reading.pop(digest, None)
        if not reading.cancelled():
            reading.exception()  # everybody may have hung up, and asyncio wants it looked at

    def _remember(self, digest: bytes, asked_at: float, found: ApiKey | None) -> _Known:
        until = asked_at + MAX_AGE_S
        if found is not None and hmac.compare_digest(found.digest, digest):
            self._unknown.pop(digest, None)
            known = _Known(until, found, Principal(found.workspace, found.environment, found.scopes, found.id))
            return _put(self._known, digest, known)
        self._known.pop(digest, None)
        return _put(self._unknown, digest, _Known(until, None, _NOBODY))

    def _is_to_be_noted(self, key: ApiKey) -> bool:
        now = self._now()
        last = max((at for at in (key.used_at, self._noted.get(key.id)) if at is not None), default=None)
        if key.state(now) != "active" or (last is not None and now - last < USE_NOTED):
            return False
        if len(self._noted) >= _CACHED:
            self._noted.clear()
        self._noted[key.id] = now
        return True

    def _note(self, source: KeySource, id: str, at: datetime) -> None:
        """In a thread beside the call: nobody waits for it, and the call does not fail with it."""
        try:
            source.note_use(id, at)
        except LedgerUnavailable:
            logger.exception("use of a key not noted", extra={"key": id})


def presented_key(headers: Mapping[str, str]) -> str | None:
    """`Authorization: Bearer k`, `Authorization: Api-Key k`, `Authorization: k`, `x-api-key` or `X-Maitai-Api-Key`."""
    given = _given(headers)
    for name in (b"x-api-key", b"x-maitai-api-key"):
        if key := given.get(name, "").strip():
            return key
    value = given.get(b"authorization", "").strip()
    for scheme in _SCHEMES:
        if value.lower().startswith(scheme):
            value = value[len(scheme) :].strip()
            break
    return value or None


def digest_of(key: str) -> bytes:
    hash = _HASH.copy()
    hash.update(key.encode("utf-8", "surrogateescape"))
    return hash.digest()


def _given(headers: Mapping[str, str]) -> Mapping[bytes, str]:
    """The headers that may hold a key, the first of each name. Headers.get would look through all of them each time."""
    if isinstance(headers, Headers):
        return {name: value.decode("latin-1") for name, value in reversed(headers.raw) if name in _PLACES}
    return {name: headers.get(name.decode(), "") for name in _PLACES}


def _put(cache: dict[bytes, _Known], digest: bytes, known: _Known) -> _Known:
    """The longest unread goes when there is no more room."""
    cache.pop(digest, None)
    if len(cache) >= _CACHED:
        del cache[next(iter(cache))]
    cache[digest] = known
    return known
