"""What was erased is gone from everywhere, whatever interrupts the erasure, and does not come back."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from itertools import count
from typing import Any

import pytest

from tests.ledger.engines import Engine
from tests.ledger.memory import MemoryProjections
from tests.ledger.test_archive import held, opened
from tests.ledger.test_contract import HOUR, NOON, record
from tests.ledger.test_spill import Refusing
from weir.domain.record import Payload, Record
from weir.ledger.archive import Archive
from weir.ledger.archive_format import Call, Erased, Member, Partition, without_identity
from weir.ledger.keys import correction_blob_key
from weir.ledger.ledger import Ledger
from weir.ledger.ports import BlobStore
from weir.ledger.projections import Projections
from weir.ledger.seals import Seals
from weir.ledger.settlement import CheckedSettlement
from weir.ledger.spill import Spill
from weir.services.erase import Erasure, Subject, erase, find
from weir.services.put_back import put_back
from weir.services.verify import verify

TWELVE = Partition("main", "2026-03-01", 12)
THIRTEEN = Partition("main", "2026-03-01", 13)
ANN = Subject("main", "customer_identifier", 'Ann "A." Müller')


def a_call(number: int, customer: str | None, *, hour: int = 0, **fields: Any) -> Call:
    found = replace(record(NOON + hour * HOUR + number, number), customer_identifier=customer, **fields)
    return Call(found, Payload(b'{"says":"I am %d"}' % number, b'"answer"'))


ANNS = [a_call(1, ANN.value, caller_id="order-1"), a_call(3, ANN.value, hour=1), a_call(5, ANN.value)]
OTHERS = [a_call(2, "Bob"), a_call(4, None, hour=1), a_call(6, ANN.value, user_id=ANN.value, workspace="other")]
OTHERS[1] = replace(OTHERS[1], payload=Payload(b'{"customer_identifier":"Ann \\"A.\\" M\xc3\xbcller"}'))
SPILLED = a_call(7, ANN.value)
WAITING = a_call(8, "Bob")


class Setup:
    """Calls of Ann's and of others: in the table, in the archive, in both; one of each put aside."""

    def __init__(self, engine: Engine) -> None:
        self._runner = asyncio.Runner()  # a loop for each call takes longer than the calls
        self.store: Any = Refusing(engine.open())
        self.blobs: BlobStore = engine.blobs()
        self.ledger = Ledger(self.store, self.blobs, 10, spill=Spill(self.blobs))  # so that some payloads are blobs
        self.archive = opened(self.blobs)
        derived = MemoryProjections()
        self.projections = Projections(derived, CheckedSettlement(derived))
        for call in (*ANNS[:2], *OTHERS):
            self.keep(call)
        for call in (ANNS[1], OTHERS[0]):
            self.blobs.put(correction_blob_key("main", call.record.id), b"a better answer")
        self.store.refuses = True
        for call in (SPILLED, WAITING):
            self.keep(call)
        self.store.refuses = False
        annotated = Call(replace(ANNS[0].record, note="call Ann back", revision=1))
        self.archive.append(TWELVE, [ANNS[0], OTHERS[0], ANNS[2]])
        self.archive.append(TWELVE, [annotated])
        self.archive.append(THIRTEEN, [OTHERS[1]])

    def keep(self, call: Call) -> None:
        assert call.payload is not None
        self._runner.run(self.ledger.keep(call.record, call.payload))

    def get(self, id: str) -> tuple[Record, Payload] | None:
        return self._runner.run(self.ledger.get("main", id))

    def close(self) -> None:
        self._runner.close()
        self.ledger.close()

    def everything(self) -> bytes:
        """All that lies in the blob store, unpacked."""
        members = [str(list(found.members())) for found in self.objects()]
        spilled = str(list(Spill(self.blobs).waiting()))
        return "\n".join([*members, spilled, *self.blobs.list("")]).encode()

    def objects(self) -> Iterator[Any]:
        archive = opened(self.blobs)
        for partition in (TWELVE, THIRTEEN):
            for n in archive.objects(partition):
                yield archive.read(partition, n)


@pytest.fixture
def setup(engine: Engine) -> Iterator[Setup]:
    setup = Setup(engine)
    with closing(setup):
        yield setup


def left(call: Call, revision: int = 0) -> Erased:
    return Erased(without_identity(replace(call.record, revision=revision)))


def is_erased(setup: Setup) -> None:
    """Nothing of Ann's is anywhere, everything else is where it was, and the archive verifies."""
    archive = opened(setup.blobs)
    expected: list[Member] = [left(ANNS[0]), OTHERS[0], left(ANNS[2]), left(ANNS[0], 1), left(SPILLED)]
    assert held(archive, TWELVE) == expected
    assert held(archive, THIRTEEN) == [OTHERS[1], left(ANNS[1])]
    assert [setup.get(call.record.id) for call in (*ANNS, SPILLED)] == [None] * 4
    assert setup.get("order-1") is None
    for call in (OTHERS[0], OTHERS[1], WAITING):
        assert setup.get(call.record.id) == (call.record, call.payload)
    assert setup.ledger.records.newest("main", limit=10) == (OTHERS[1].record, OTHERS[0].record)
    assert setup.ledger.records.newest("other", limit=10) == (OTHERS[2].record,)
    assert [found.record for found in (SPILLED, *ANNS) if found.record.id in str(list(setup.blobs.list("")))] == []
    assert [text for text in (b"Ann back", b"I am 1", b"I am 5", b"I am 7") if text in setup.everything()] == []
    assert find(setup.ledger, archive, ANN) == {}
    for workspace in ("main", "other"):
        findings = verify(archive, Seals(setup.blobs), workspace)
        assert (findings.broken, findings.unfinished) == (None, 0)


def test_what_is_erased_is_gone_from_everywhere(setup: Setup) -> None:
    assert erase(setup.ledger, setup.archive, setup.projections, ANN) == Erasure(
        calls=4, records=2, payload_blobs=4, put_aside=1, archive_members=3, archive_hours=2
    )
    is_erased(setup)
    assert erase(setup.ledger, setup.archive, setup.projections, ANN) == Erasure()


def test_a_look_first_changes_nothing(setup: Setup) -> None:
    before = setup.everything()
    assert find(setup.ledger, setup.archive, ANN) == {
        TWELVE: {call.record.id for call in (ANNS[0], ANNS[2], SPILLED)},
        THIRTEEN: {ANNS[1].record.id},
    }
    assert setup.everything() == before


@pytest.mark.parametrize(
    ("subject", "calls"),
    [
        (Subject("main", "user_id", ANN.value), 0),
        (Subject("other", "user_id", ANN.value), 1),
        (Subject("main", "session_id", ""), 0),
        (Subject("nobody", "customer_identifier", ANN.value), 0),
    ],
)
def test_only_the_field_and_the_workspace_that_were_meant_are_looked_at(
    setup: Setup, subject: Subject, calls: int
) -> None:
    assert erase(setup.ledger, setup.archive, setup.projections, subject).calls == calls


def test_neither_a_late_projection_nor_what_was_put_aside_brings_it_back(setup: Setup) -> None:
    slow = opened(setup.blobs)  # another projector, which has read the archive before
    slow.append(TWELVE, [WAITING])
    keys = [key for key in setup.blobs.list("spill/") if SPILLED.record.id in key]
    spilled = {key: setup.blobs.get(key) for key in keys}
    erase(setup.ledger, setup.archive, setup.projections, ANN)
    slow.append(TWELVE, [*ANNS[::2], SPILLED, Call(replace(SPILLED.record, revision=1)), a_call(9, "Bob")])
    opened(setup.blobs).append(THIRTEEN, [ANNS[1]])
    for key, content in spilled.items():  # as if it had been read before it was deleted
        setup.blobs.put(key, content or b"")
    asyncio.run(put_back(setup.ledger, opened(setup.blobs)))
    assert find(setup.ledger, opened(setup.blobs), ANN) == {}
    after = [WAITING, SPILLED, a_call(9, "Bob")]
    assert [member.record.id for member in held(slow, TWELVE)][4:] == [call.record.id for call in after]
    assert setup.get(WAITING.record.id) == (WAITING.record, WAITING.payload)


class Killed(Exception):
    """The process is gone."""


class Mortal:
    """Passes calls on until its time has come: the call is made or not, nobody learns of it, and no other follows."""

    def __init__(self, inner: Any, life: "Life") -> None:
        self._inner, self._life = inner, life

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if name == "list" or not callable(found):
            return found

        def call(*arguments: Any, **more: Any) -> Any:
            return self._life.spend(lambda: found(*arguments, **more))

        return call


class Life:
    def __init__(self, calls: int, *, does_the_last: bool) -> None:
        self._left = calls
        self._does_the_last = does_the_last

    def spend(self, call: Callable[[], Any]) -> Any:
        self._left -= 1
        if self._left > 0:
            return call()
        if self._left == 0 and self._does_the_last:
            call()
        raise Killed


@pytest.mark.parametrize("does_the_last", [True, False])
def test_killed_at_any_call_it_goes_on_when_asked_again(sqlite: Engine, does_the_last: bool) -> None:
    for calls in count(1):
        engine = sqlite_of_its_own(sqlite, calls)
        setup = Setup(engine)
        life = Life(calls, does_the_last=does_the_last)
        mortal: Any = Mortal(setup.blobs, life)
        store: Any = Mortal(setup.store, life)
        ledger = Ledger(store, mortal, 10, spill=Spill(mortal))
        try:
            erase(ledger, opened(mortal), setup.projections, ANN)
            finished = True
        except Killed:
            finished = False
            erase(setup.ledger, opened(setup.blobs), setup.projections, ANN)
        is_erased(setup)
        setup.close()
        if finished:
            assert calls > 30
            return


def sqlite_of_its_own(sqlite: Any, number: int) -> Any:
    return type(sqlite)(sqlite._folder / str(number))


def test_two_erasures_at_once_undo_nothing_of_each_other(setup: Setup) -> None:
    """Bob's begins while Ann's has read an object and not yet put it back."""
    bob = Subject("main", "customer_identifier", "Bob")

    class Interrupted:
        def __init__(self, blobs: BlobStore) -> None:
            self._blobs = blobs
            self.interrupt = True

        def __getattr__(self, name: str) -> Any:
            return getattr(self._blobs, name)

        def put(self, key: str, content: bytes) -> None:
            if self.interrupt and key.startswith("archive/"):
                self.interrupt = False
                erase(setup.ledger, opened(self._blobs), setup.projections, bob)
            self._blobs.put(key, content)

    interrupted: Any = Interrupted(setup.blobs)
    erase(setup.ledger, opened(interrupted), setup.projections, ANN)
    assert held(opened(setup.blobs), TWELVE) == [
        *(left(ANNS[0]), left(OTHERS[0]), left(ANNS[2]), left(ANNS[0], 1)),
        *(left(SPILLED), left(WAITING)),
    ]
    assert verify(opened(setup.blobs), Seals(setup.blobs), "main").broken is None


def test_progress_is_told_step_by_step(setup: Setup) -> None:
    told: list[str] = []
    erase(setup.ledger, setup.archive, setup.projections, ANN, progress=lambda what, done, of: told.append(what))
    assert list(dict.fromkeys(told)) == [
        "looking through the records",
        "looking through the archive",
        "naming them in the archive",
        "summing up customers anew",
        "deleting records",
        "rewriting the archive",
    ]


def test_an_erasure_is_sealed_like_any_other_change(engine: Engine) -> None:
    told: list[tuple[Partition, int]] = []
    archive: Archive = opened(engine.blobs(), after_put=lambda partition, n, hash: told.append((partition, n)))
    archive.append(TWELVE, [ANNS[0]])
    archive.name_erased(TWELVE, {ANNS[0].record.id})
    archive.name_erased(TWELVE, {ANNS[0].record.id})
    assert told == [(TWELVE, 1), (TWELVE, 2)]
