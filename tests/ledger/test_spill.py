"""What the record store refuses is put aside, found there, and put back once."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.ledger.engines import Engine, SQLiteAndFiles
from tests.ledger.test_archive import opened
from tests.ledger.test_contract import NOON, record
from weir.domain.errors import LedgerUnavailable
from weir.domain.ids import instant_of, uuid7
from weir.domain.record import Payload, Record
from weir.ledger.archive_format import Chain, Erasing, Partition, to_object
from weir.ledger.ledger import Ledger
from weir.ledger.ports import BlobStore, Entry, Kept, RecordStore
from weir.ledger.spill import Backlog, Spill
from weir.services.keep import keep_once
from weir.services.put_back import PutBack, put_back

PAYLOAD = Payload(b'{"n":1}', b'"answer"')


class Refusing:
    """A record store that takes nothing and gives nothing while it is told to refuse."""

    def __init__(self, store: RecordStore) -> None:
        self._store = store
        self.refuses = False
        self.close = store.close

    def submit(self, entry: Entry) -> "Future[Kept]":
        if not self.refuses:
            return self._store.submit(entry)
        refused: Future[Kept] = Future()
        refused.set_exception(LedgerUnavailable("The table is out of reach."))
        return refused

    def __getattr__(self, name: str) -> Any:
        if self.refuses:
            raise LedgerUnavailable("The table is out of reach.")
        return getattr(self._store, name)


class Setup:
    def __init__(self, engine: Engine, inline_limit: int = 100_000) -> None:
        self.store: Any = Refusing(engine.open())
        self.blobs: BlobStore = engine.blobs()
        self.spill = Spill(self.blobs)
        self.ledger = Ledger(self.store, self.blobs, inline_limit, spill=self.spill)

    def keep(self, record: Record, payload: Payload = PAYLOAD) -> Kept:
        return asyncio.run(keep_once(self.ledger, record, payload))

    def get(self, id: str) -> tuple[Record, Payload] | None:
        return asyncio.run(self.ledger.get("main", id))

    def put_back(self) -> PutBack:
        return asyncio.run(put_back(self.ledger, opened(self.blobs)))

    def newest(self) -> tuple[Record, ...]:
        return asyncio.run(self.ledger.newest("main", limit=10))


@pytest.fixture
def setup(engine: Engine) -> Iterator[Setup]:
    setup = Setup(engine)
    with closing(setup.ledger):
        yield setup


def test_what_is_refused_is_put_aside_found_and_put_back(setup: Setup) -> None:
    setup.store.refuses = True
    spilled = record(random=1, caller_id="order-1")
    assert setup.keep(spilled) == Kept(spilled.id, new=True)
    assert setup.get(spilled.id) == (spilled, PAYLOAD)
    assert setup.get("order-1") == (spilled, PAYLOAD)
    assert setup.spill.backlog() == Backlog(1, instant_of(spilled.id))
    assert setup.put_back() == PutBack(refusal="The table is out of reach.")
    setup.store.refuses = False
    assert setup.get(spilled.id) == (spilled, PAYLOAD)
    assert setup.newest() == ()
    assert setup.put_back() == PutBack(stored=1)
    assert setup.newest() == (spilled,)
    assert [setup.get(id) for id in (spilled.id, "order-1")] == [(spilled, PAYLOAD)] * 2
    assert list(setup.blobs.list("spill/")) == []
    assert setup.put_back() == PutBack()
    assert setup.spill.backlog() == Backlog(0, None)


def test_two_attempts_with_one_callers_id_are_one_record(setup: Setup) -> None:
    setup.store.refuses = True
    first, again = record(random=1, caller_id="order-1"), record(NOON + 1000, random=2, caller_id="order-1")
    assert setup.keep(first) == Kept(first.id, new=True)
    assert setup.keep(again, Payload(b"2")) == Kept(first.id, new=False)
    setup.store.refuses = False
    setup.put_back()
    assert setup.newest() == (first,)
    assert setup.get("order-1") == (first, PAYLOAD)


def test_who_was_told_an_id_finds_the_record_by_it_though_another_attempt_came_first(setup: Setup) -> None:
    first, again = record(random=1, caller_id="order-1"), record(NOON + 1000, random=2, caller_id="order-1")
    setup.keep(first)
    setup.store.refuses = True
    assert setup.keep(again, Payload(b"2")) == Kept(again.id, new=True)  # nobody could know
    setup.store.refuses = False
    assert setup.put_back() == PutBack(stored=1)
    assert setup.newest() == (first,)
    assert [setup.get(id) for id in (first.id, "order-1", again.id)] == [(first, PAYLOAD)] * 3


def test_an_attempt_that_died_between_its_two_puts_is_gone_on_with(setup: Setup) -> None:
    setup.store.refuses = True
    first, again = record(random=1, caller_id="order-1"), record(NOON + 1000, random=2, caller_id="order-1")
    setup.keep(first)
    for key in list(setup.blobs.list("spill/main/records/")):
        setup.blobs.delete(key)
    assert setup.keep(again) == Kept(first.id, new=True)
    assert setup.get("order-1") == (replace(again, id=first.id, created_at=first.created_at), PAYLOAD)


def test_the_report_of_a_call_that_was_put_aside_is_no_second_record(setup: Setup) -> None:
    setup.store.refuses = True
    ours = replace(record(random=1), origin="completion")
    theirs = record(NOON + 1000, random=2, caller_id=ours.id)
    assert asyncio.run(setup.ledger.keep(ours, PAYLOAD)) == Kept(ours.id, new=True)
    setup.keep(theirs, Payload(b"2"))
    setup.store.refuses = False
    assert setup.put_back() == PutBack(stored=2)
    assert setup.newest() == (ours,)
    assert [setup.get(id) for id in (ours.id, theirs.id)] == [(ours, PAYLOAD)] * 2


def test_a_run_that_was_killed_before_it_forgot_changes_nothing_the_next_time(setup: Setup) -> None:
    setup.store.refuses = True
    failed = replace(record(random=1, caller_id="order-1"), origin="completion", outcome="error")
    asyncio.run(setup.ledger.keep(failed, PAYLOAD))
    setup.store.refuses = False
    left = {key: setup.blobs.get(key) for key in setup.blobs.list("spill/")}
    setup.put_back()
    for key, content in left.items():
        setup.blobs.put(key, content or b"")
    assert setup.put_back() == PutBack(stored=1)
    assert setup.newest() == (failed,)
    assert list(setup.blobs.list("spill/")) == []


def test_many_are_put_back_by_several_at_once(setup: Setup) -> None:
    setup.store.refuses = True
    spilled = [record(NOON + n, n, caller_id=f"order-{n}") for n in range(70)]
    for each in spilled:
        setup.keep(each)
    setup.store.refuses = False

    async def both() -> None:
        await asyncio.gather(*(put_back(setup.ledger, opened(setup.blobs)) for _ in range(2)))

    asyncio.run(both())
    assert asyncio.run(setup.ledger.newest("main", limit=100)) == tuple(reversed(spilled))
    assert list(setup.blobs.list("spill/")) == []


def test_what_was_erased_while_it_was_put_aside_does_not_come_back(setup: Setup) -> None:
    setup.store.refuses = True
    erased, other = record(random=1), record(random=2)
    setup.keep(erased)
    setup.keep(other)
    setup.store.refuses = False
    partition = Partition.of("main", erased.id)
    chain = Chain(partition, 1, None, (), (Erasing(erased.id, None, None),))
    setup.blobs.put(partition.key(1), to_object(chain, []))
    assert setup.put_back() == PutBack(stored=1, erased=1)
    assert setup.newest() == (other,)
    assert setup.get(erased.id) is None


def test_what_cannot_be_read_stays_and_keeps_nothing_else_back(setup: Setup) -> None:
    setup.store.refuses = True
    good = record(random=2)
    setup.keep(good)
    setup.store.refuses = False
    setup.blobs.put(f"spill/main/records/{uuid7(NOON, 1)}.json.gz", b"poison")
    assert setup.put_back() == PutBack(stored=1)
    assert setup.newest() == (good,)
    assert setup.spill.backlog() == Backlog(1, instant_of(uuid7(NOON, 1)))


def test_a_large_payload_comes_back_whole(engine: Engine) -> None:
    setup = Setup(engine, inline_limit=10)
    setup.store.refuses = True
    spilled = record(random=1)
    setup.keep(spilled)
    setup.store.refuses = False
    setup.put_back()
    assert setup.get(spilled.id) == (spilled, PAYLOAD)
    setup.ledger.close()


def test_when_both_refuse_nothing_is_promised(dynamodb: Engine) -> None:
    setup = Setup(dynamodb)
    setup.store.refuses = True
    with dynamodb.broken(), pytest.raises(LedgerUnavailable, match="The table is out of reach"):
        setup.keep(record())
    setup.store.refuses = False
    assert setup.newest() == ()
    setup.ledger.close()


def test_without_such_a_place_a_refusal_is_one(tmp_path: Path) -> None:
    engine = SQLiteAndFiles(tmp_path)
    store: Any = Refusing(engine.open())
    store.refuses = True
    ledger = Ledger(store, engine.blobs())
    for each in (record(), record(caller_id=uuid7(NOON, 5))):
        with pytest.raises(LedgerUnavailable):
            asyncio.run(keep_once(ledger, each, PAYLOAD))
    assert asyncio.run(put_back(ledger, opened(engine.blobs()))) == PutBack()
    ledger.close()


@pytest.mark.parametrize("caller_id", [".hidden", "..", "a/b", "", "#", "x" * 3000])
def test_any_callers_id_can_be_put_aside(sqlite: Engine, caller_id: str) -> None:
    spill = Spill(sqlite.blobs())
    found = record(caller_id=caller_id, workspace="..")
    assert spill.put(found, PAYLOAD) == Kept(found.id, new=True)
    assert spill.get("..", caller_id) == (found, PAYLOAD)
    assert list(spill.waiting()) == [(found, PAYLOAD)]
