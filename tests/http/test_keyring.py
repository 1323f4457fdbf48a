"""Keys of the ledger: read once, remembered for ten seconds, refused as soon as they end."""

import asyncio
import threading
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from starlette.datastructures import Headers

from weir.domain.api_key import ApiKey, write_key
from weir.domain.errors import LedgerUnavailable, Unauthorized
from weir.http import auth
from weir.http.auth import MAX_AGE_S, Keyring, Principal, digest_of, presented_key

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
TEXT, WRONG_SECRET, UNKNOWN = write_key(1 << 240 | 7), write_key(1 << 240 | 8), write_key(1 << 241 | 7)
HEADERS = {"authorization": f"Bearer {TEXT}"}
KEY = ApiKey(
    id=TEXT[5:17],
    workspace="acme",
    name="CI",
    environment="test",
    scopes=frozenset({"read"}),
    digest=digest_of(TEXT),
    created_at=NOON - timedelta(days=1),
    used_at=NOON,
)
ACME = Principal("acme", "test", frozenset({"read"}), KEY.id)


@dataclass
class Source:
    """A KeyStore of one key, its reads counted; `gate`, when there is one, holds a read up."""

    key: ApiKey | None = KEY
    refuses: bool = False
    gate: threading.Event | None = None
    reads: list[str] = field(default_factory=list)
    uses: list[tuple[str, datetime]] = field(default_factory=list)

    def find(self, id: str) -> ApiKey | None:
        self.reads.append(id)
        if self.gate is not None:
            assert self.gate.wait(20)
        if self.refuses:
            raise LedgerUnavailable("no")
        return self.key if self.key is not None and self.key.id == id else None

    def note_use(self, id: str, at: datetime) -> None:
        if self.refuses:
            raise LedgerUnavailable("no")
        self.uses.append((id, at))


class World:
    """A keyring over a Source, and its clocks."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.seconds = 100.0
        self.ring = Keyring(
            {"canary-operator": Principal("default")},
            source,
            now=lambda: NOON + timedelta(seconds=self.seconds - 100),
            clock=lambda: self.seconds,
        )

    def asks(self, headers: Any = HEADERS, scope: Any = "read") -> Principal:
        """As a route does."""

        async def ask() -> Principal:
            await self.ring.load(headers)
            return self.ring.authenticate(headers, scope)

        return asyncio.run(ask())


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


def test_a_key_is_read_once_in_ten_seconds() -> None:
    world = World(Source())
    for seconds in (0.0, 5.0, 9.9):
        world.seconds = 100 + seconds
        assert world.asks() == ACME
    assert world.source.reads == [KEY.id]
    world.seconds = 100 + MAX_AGE_S
    assert world.asks() == ACME
    assert world.source.reads == [KEY.id] * 2


def test_a_revoked_key_is_refused_within_ten_seconds() -> None:
    world = World(Source())
    world.asks()
    world.source.key = replace(KEY, revoked_at=NOON)
    world.seconds += MAX_AGE_S - 0.001
    assert world.asks() == ACME
    world.seconds += 0.001
    with pytest.raises(Unauthorized, match="revoked") as refused:
        world.asks()
    assert not refused.value.forbidden


def test_what_this_process_revokes_is_refused_at_once() -> None:
    world = World(Source())
    world.asks()
    world.source.key = replace(KEY, revoked_at=NOON)
    world.ring.forget()
    with pytest.raises(Unauthorized):
        world.asks()


@pytest.mark.parametrize("end", ["expires_at", "revoked_at"])
def test_a_remembered_key_ends_on_time(end: str) -> None:
    changes: dict[str, Any] = {end: NOON + timedelta(seconds=3)}
    world = World(Source(replace(KEY, **changes)))
    world.seconds = 102.999
    assert world.asks() == ACME
    world.seconds = 103.0
    with pytest.raises(Unauthorized, match=r"expired|revoked"):
        world.asks()
    assert world.source.reads == [KEY.id]


@pytest.mark.parametrize("key", [WRONG_SECRET, UNKNOWN])
def test_a_wrong_key_is_read_once_in_ten_seconds_too(key: str) -> None:
    world = World(Source())
    for _ in range(3):
        with pytest.raises(Unauthorized, match="not valid"):
            world.asks(bearer(key))
    assert len(world.source.reads) == 1
    assert world.asks() == ACME


def test_what_is_not_written_as_a_key_is_never_looked_for() -> None:
    world = World(Source())
    for key in ("canary", TEXT[:-1], TEXT + "0", "weir_" + "0" * 59):
        with pytest.raises(Unauthorized, match="not valid"):
            world.asks(bearer(key))
    assert world.asks(bearer("canary-operator")) == Principal("default")
    assert world.source.reads == []


def test_a_new_key_is_good_once_the_memory_of_its_absence_is_old() -> None:
    world = World(Source(key=None))
    with pytest.raises(Unauthorized):
        world.asks()
    world.source.key = KEY
    world.seconds += MAX_AGE_S
    assert world.asks() == ACME


def test_a_wrong_scope_is_forbidden() -> None:
    with pytest.raises(Unauthorized, match="'admin'") as refused:
        World(Source()).asks(scope="admin")
    assert refused.value.forbidden
    assert World(Source()).asks(scope=None) == ACME


def test_wrong_keys_take_bounded_room_and_no_right_ones_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "_CACHED", 10)
    world = World(Source())
    world.asks()
    for number in range(50):
        with pytest.raises(Unauthorized):
            world.asks(bearer(write_key(number << 238)))
    world.asks()
    assert len(world.source.reads) == 51
    assert len(world.ring._unknown) == 10


def test_many_calls_at_once_read_a_key_once() -> None:
    source = Source(gate=threading.Event())
    world = World(source)

    async def all_at_once() -> list[Principal]:
        async def ask() -> Principal:
            await world.ring.load(HEADERS)
            return world.ring.authenticate(HEADERS, "read")

        asking = [asyncio.create_task(ask()) for _ in range(20)]
        gone = asyncio.create_task(ask())
        await asyncio.sleep(0)
        gone.cancel()
        assert source.gate is not None
        source.gate.set()
        return await asyncio.gather(*asking)

    assert asyncio.run(all_at_once()) == [ACME] * 20
    assert source.reads == [KEY.id]


def test_a_remembered_key_does_not_suspend() -> None:
    world = World(Source())
    world.asks()
    for headers in (HEADERS, bearer("canary-operator"), bearer("not-a-key"), {}):
        loading = world.ring.load(headers)
        with pytest.raises(StopIteration):
            loading.send(None)


def test_a_key_is_taken_without_being_loaded_first() -> None:
    world = World(Source())
    assert world.ring.authenticate(HEADERS, "read") == ACME
    assert world.source.reads == [KEY.id]


def test_a_refusing_ledger_is_no_wrong_key_and_the_operators_is_good() -> None:
    world = World(Source(refuses=True))
    with pytest.raises(LedgerUnavailable):
        world.asks()
    assert world.asks(bearer("canary-operator")) == Principal("default")
    world.source.refuses = False
    assert world.asks() == ACME


def test_a_use_is_noted_once_an_hour() -> None:
    world = World(Source(replace(KEY, used_at=None)))
    for minutes in (0, 1, 59, 60, 61):
        world.seconds = 100 + 60 * minutes
        world.asks()
    assert world.source.uses == [(KEY.id, NOON), (KEY.id, NOON + timedelta(hours=1))]


@pytest.mark.parametrize(
    "key",
    [
        replace(KEY, used_at=NOON - timedelta(minutes=59)),
        replace(KEY, used_at=None, expires_at=NOON),
        replace(KEY, used_at=None, digest=digest_of(WRONG_SECRET)),
    ],
)
def test_no_use_is_noted_when_another_process_did_or_there_was_none(key: ApiKey) -> None:
    world = World(Source(key))

    async def load() -> None:
        await world.ring.load(HEADERS)

    asyncio.run(load())
    assert (world.source.reads, world.source.uses) == ([KEY.id], [])


def test_digests_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[bytes, bytes]] = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return one == other

    monkeypatch.setattr("weir.http.auth.hmac.compare_digest", compare)
    with pytest.raises(Unauthorized):
        World(Source()).asks(bearer(WRONG_SECRET))
    assert (KEY.digest, digest_of(WRONG_SECRET)) in compared
    assert (digest_of("canary-operator"), digest_of(WRONG_SECRET)) in compared


@pytest.mark.parametrize(
    "raw",
    [
        [(b"authorization", b"Bearer canary-1")],
        [(b"accept", b"*/*"), (b"x-api-key", b"canary-1"), (b"authorization", b"Bearer canary-2")],
        [(b"x-maitai-api-key", b" canary-1 "), (b"authorization", b"canary-2")],
        [(b"authorization", b"Api-Key canary-1"), (b"authorization", b"Api-Key canary-2")],
        [(b"x-api-key", b""), (b"authorization", b"canary-1")],
    ],
)
def test_the_headers_of_a_request_are_read_as_any_others(raw: list[tuple[bytes, bytes]]) -> None:
    headers = Headers(raw=raw)
    plain = {name: headers[name] for name in headers}
    assert presented_key(headers) == presented_key(plain) == "canary-1"


def test_no_key_is_kept_as_it_is() -> None:
    world = World(Source())
    world.asks()
    with pytest.raises(Unauthorized):
        world.asks(bearer(UNKNOWN))
    kept = repr(vars(world.ring))
    assert not any(text in kept for text in (TEXT, UNKNOWN, "canary-operator"))
