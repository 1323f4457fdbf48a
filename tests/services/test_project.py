"""Whatever is delivered, however often, in whatever parts and order, and wherever a projector dies: it counts once."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from itertools import count
from random import Random
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.ledger.memory import Faults, Faulty, Killed, MemoryBlobs, MemoryProjections
from weir.domain.completion import Usage
from weir.domain.errors import LedgerUnavailable
from weir.domain.ids import instant_of, uuid7
from weir.domain.record import Payload, Record
from weir.domain.rollup import rollups
from weir.domain.session import sessions
from weir.ledger import payloads
from weir.ledger.archive import Archive
from weir.ledger.archive_format import Partition
from weir.ledger.changes import Change
from weir.ledger.items import from_item
from weir.ledger.keys import hour_of
from weir.ledger.projections import Projections
from weir.ledger.settlement import CheckedSettlement
from weir.services.project import Outcome, Projector

NOON = int(datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp()) * 1000
HOUR = 3_600_000
APPLICATIONS = ("shop", "desk", None)


def call(number: int, **fields: object) -> Record:
    """Every third one is an hour later."""
    id = uuid7(NOON + number + (HOUR if number % 3 == 2 else 0), number)
    plain = Record(
        id=id,
        workspace="main",
        environment="prod",
        created_at=instant_of(id),
        origin="completion",
        inference_location="SERVER",
        application=APPLICATIONS[number % 3],
        model=f"m{number % 2}",
        session_id=f"s{number % 4}" if number % 4 else None,
        customer_identifier=f"c{number % 2}",
        outcome="error" if number % 5 == 0 else "complete",
        claimed_usage=Usage(number, 1),
        claimed_cost=Decimal(number) / 7,
        latency_ms=float(number),
    )
    return replace(plain, **fields)  # type: ignore[arg-type]


_tokens = count()


def change(record: Record, payload: Payload | None = None) -> Change:
    content = payloads.to_bytes(payload or Payload(b'{"n":1}', b"[]"))
    return Change(str(next(_tokens)), record.workspace, record.id, lambda: record, lambda: content)


class World:
    """One archive and its rollups, and any number of projectors over them."""

    def __init__(self) -> None:
        self.blobs, self.store = MemoryBlobs(), MemoryProjections()
        self._nonces = count()

    def projector(self, faults: Faults | None = None) -> Projector:
        """A process that knows nothing yet."""
        faults = faults or Faults()
        store = Faulty.of(self.store, faults)
        archive = Archive(Faulty.of(self.blobs, faults), nonce=lambda: str(next(self._nonces)), object_members=3)
        return Projector(archive, Projections(store, CheckedSettlement(store)))

    def copy(self) -> "World":
        other = World()
        other.blobs.contents |= self.blobs.contents
        other.store.contents |= self.store.contents
        return other

    @property
    def projections(self) -> Projections:
        return Projections(self.store, CheckedSettlement(self.store))

    def counts_once(self, latest: Sequence[Record]) -> None:
        """Archive, rollups and sessions hold these records, at these revisions, and nothing twice."""
        archive = Archive(self.blobs, nonce=str)
        hours = sorted({hour_of(record.id) for record in latest})
        for record in latest:
            members = archive.find("main", record.id)
            revisions = [member.record.revision for member in members]
            assert len(revisions) == len(set(revisions))
            assert max(members, key=lambda member: member.record.revision).record == record
            assert sum(getattr(member, "payload", None) is not None for member in members) == 1
        for hour in hours:
            mine = [record for record in latest if hour_of(record.id) == hour]
            found = [
                row for family in ("calls", "customers") for row in self.projections.rollups("main", family, hour, hour)
            ]
            assert {row.dimensions: row.rollup for row in found} == rollups(mine)
            partition = Partition.of("main", mine[0].id)
            assert self.projections.taken("main", hour) == max(archive.objects(partition))
        for id, session in sessions(latest).items():
            assert self.projections.session("main", id) == session
        for application in APPLICATIONS:
            listed = self.projections.newest_sessions("main", application, limit=100)
            mine_ = [each for each in sessions(latest).values() if each.application == application]
            assert listed == tuple(sorted(mine_, key=lambda each: each.first_id, reverse=True))


def delivered(world: World, changes: Sequence[Change]) -> None:
    assert world.projector().project(changes) == Outcome()


def test_a_batch_counts_once() -> None:
    world, records = World(), [call(number) for number in range(20)]
    delivered(world, [change(record) for record in records])
    world.counts_once(records)


def test_a_batch_that_comes_again_in_parts_and_backwards_counts_once() -> None:
    world, records = World(), [call(number) for number in range(12)]
    changes = [change(record) for record in records]
    delivered(world, changes[:7])
    delivered(world, changes[::-1])
    for each in changes:
        delivered(world, [each])
    world.counts_once(records)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (2, 0, 1), (2, 2, 0)])
@pytest.mark.parametrize("together", [True, False])
def test_a_changed_record_counts_once_whichever_change_comes_first(order: Sequence[int], together: bool) -> None:
    world = World()
    revisions = [
        call(4, revision=number, customer_identifier=f"c{number}", session_id="s" if number else None)
        for number in range(3)
    ]
    changes = [change(revisions[number]) for number in order]
    for batch in [changes] if together else [[each] for each in changes]:
        delivered(world, batch)
    world.counts_once([revisions[2]])


def test_what_cannot_be_read_is_dead_and_the_rest_goes_on() -> None:
    world, records = World(), [call(number) for number in range(4)]
    good = [change(record) for record in records]
    torn = replace(change(call(7)), content=lambda: b"\x1f\x8btorn")
    bad = {
        replace(change(call(4)), read=partial(from_item, b"{")): "The record cannot be read (InvalidJSON).",
        replace(change(call(5)), read=partial(from_item, b"{}")): "The record cannot be read (KeyError).",
        replace(change(call(6)), workspace="other"): "The record is not the one that its key names.",
        torn: "The payload cannot be read (ValueError).",
    }
    outcome = world.projector().project([*bad, *good, replace(change(call(8)), read=lambda: None)])
    assert outcome == Outcome(dead={each.token: reason for each, reason in bad.items()})
    world.counts_once(records)


def test_a_broken_archive_kills_what_belongs_there_and_nothing_else() -> None:
    world = World()
    delivered(world, [change(call(0))])
    key = Partition.of("main", call(0).id).key(1)
    world.blobs.contents[key] = b"not an object"
    outcome = world.projector().project([here := change(call(1)), change(call(2))])
    assert list(outcome.dead) == [here.token]
    assert outcome.refused == set()
    assert [row.hour for row in world.projections.rollups("main", "calls", "2026030113", "2026030113")]


@pytest.mark.parametrize("killed", [False, True])
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("done", [0, 4, 9])
def test_a_fault_at_any_call_loses_nothing_and_counts_nothing_twice(killed: bool, after: bool, done: int) -> None:
    """Every position in turn; the batch is delivered again, to a new process if the first was killed.

    `done` records have been projected before; the last of them comes again.
    """
    begun, records = World(), [call(number) for number in range(10)]
    delivered(begun, [change(record) for record in records[:done]])
    changed = call(2, revision=1, customer_identifier="another")
    changes = [change(record) for record in [*records[max(done - 1, 0) :], changed]]
    latest = [changed if record.id == changed.id else record for record in records]
    for position in count():
        world, plan = begun.copy(), Faults(position, after=after, killed=killed)
        projector = world.projector(plan)
        try:
            outcome = projector.project(changes)
        except Killed:
            projector = world.projector()
        else:
            if plan.calls <= position:
                break
            changes_left = [each for each in changes if each.token in outcome.refused]
            assert changes_left, "who is refused says so"
        assert projector.project(changes) == Outcome()
        world.counts_once(latest)
    assert position > 25


@pytest.mark.parametrize("seed", range(60))
def test_two_projectors_whose_calls_are_interleaved_count_once(seed: int) -> None:
    """At a random call of the first, the second projects everything."""
    world, records, random = World(), [call(number) for number in range(8)], Random(seed)
    changes = [change(record) for record in records]
    at = random.randrange(60)

    class Interrupted(Faults):
        def pass_through(self, call: object) -> object:
            self.calls += 1
            if self.calls == at:
                world.projector().project(random.sample(changes, random.randint(1, 8)))
            return call()  # type: ignore[operator]

    assert world.projector(Interrupted()).project(changes) == Outcome()
    world.counts_once(records)


class Deliveries(RuleBasedStateMachine):
    """Records that are kept and changed, and a feed that delivers at least once, to projectors that fail."""

    @initialize()
    def begin(self) -> None:
        self.world = World()
        self.latest: dict[str, Record] = {}
        self.changes: list[Change] = []
        self.undelivered: set[str] = set()
        self.projectors = [self.world.projector() for _ in range(2)]

    @rule(number=st.integers(0, 11))
    def keep(self, number: int) -> None:
        record = call(number)
        if record.id not in self.latest:
            self._change(record)

    @rule(number=st.integers(0, 11))
    def annotate(self, number: int) -> None:
        record = self.latest.get(call(number).id)
        if record is not None:
            place: dict[str, Any] = (
                {} if record.revision else {"session_id": record.session_id or "found", "customer_identifier": "c9"}
            )
            self._change(replace(record, revision=record.revision + 1, note=f"{record.revision}", **place))

    @rule(
        which=st.integers(0, 1),
        random=st.randoms(use_true_random=False),
        at=st.none() | st.integers(0, 40),
        after=st.booleans(),
        killed=st.booleans(),
    )
    def deliver(self, which: int, random: Random, at: int | None, after: bool, killed: bool) -> None:
        batch = random.sample(self.changes, random.randint(0, len(self.changes)))
        projector = self.projectors[which]
        if at is not None:  # a new process, which is about to fail
            projector = self.projectors[which] = self.world.projector(Faults(at, after=after, killed=killed))
        try:
            outcome = projector.project(batch)
        except Killed:
            self.projectors[which] = self.world.projector()
            return
        assert not outcome.dead
        self.undelivered -= {each.token for each in batch} - outcome.refused

    @invariant()
    def nothing_counts_twice(self) -> None:
        if hasattr(self, "world"):
            rows = self.world.projections.rollups("main", "calls", "2026030112", "2026030113")
            assert sum(row.rollup.records for row in rows) <= len(self.latest)

    def teardown(self) -> None:
        if hasattr(self, "world") and self.changes:
            left = [each for each in self.changes if each.token in self.undelivered]
            self.projectors[0] = self.world.projector()
            assert self.projectors[0].project(left) == Outcome()
            for id in self.latest:  # a death between archive and rollups is caught up with by the next delivery
                self.projectors[0].catch_up(Partition.of("main", id))
            self.world.counts_once(list(self.latest.values()))

    def _change(self, record: Record) -> None:
        self.latest[record.id] = record
        each = change(record)
        self.changes.append(each)
        self.undelivered.add(each.token)


TestDeliveries = Deliveries.TestCase


def test_a_refusal_names_what_comes_again() -> None:
    world, plan = World(), Faults(0)
    changes = [change(call(0)), change(call(2))]  # of two hours: the first is refused, the second is done
    outcome = world.projector(plan).project(changes)
    assert outcome == Outcome(refused={changes[0].token})
    with pytest.raises(LedgerUnavailable):
        world.projector(Faults(0)).catch_up(Partition.of("main", call(0).id))
