"""What was accepted and is not kept is named, and so is what is kept and not archived."""

import asyncio
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from pathlib import Path

import pytest

from tests.ledger.engines import DynamoDBAndS3, Engine, SQLiteAndFiles
from tests.ledger.test_projections import call
from weir.domain.annotation import Annotation
from weir.domain.completeness import Gap, HourCheck, Run, Stored, gaps, stored
from weir.domain.errors import LedgerUnavailable
from weir.domain.ids import instant_of, milliseconds, uuid7
from weir.domain.record import Payload, Record
from weir.http.completeness_view import completeness_body
from weir.ledger.archive import Archive
from weir.ledger.dynamodb_stream import DynamoDBStream
from weir.ledger.ledger import Ledger
from weir.ledger.numbering import Numbering, random_writer
from weir.ledger.ports import Entry, RecordStore
from weir.ledger.projections import Projections
from weir.ledger.settlement import CheckedSettlement, hours
from weir.ledger.spill import Spill
from weir.ledger.sqlite_changes import SQLiteChangeFeed
from weir.services.completeness import Completeness, from_check_item, to_check_item
from weir.services.erase import Subject, erase
from weir.services.project import Projector
from weir.services.redrive import Finds

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
AT_NOON = "2026030112"


def numbered(number: int, writer: str | None = None, *, minutes: float = 0.0, **fields: object) -> Record:
    """The number is also the record's; its time is that many milliseconds past noon, and `minutes`."""
    start = milliseconds(NOON + timedelta(minutes=minutes))
    return call(number, start, writer=writer or f"w:{number}", application="shop", **fields)


def check(hour: str, *records: Record) -> HourCheck:
    return HourCheck(hour, NOON, True, stored(records, frozenset()))


class TestGaps:
    def test_a_missing_number_is_a_gap_between_two_ids(self) -> None:
        one, two, five = numbered(1), numbered(2), numbered(5)
        assert gaps([check(AT_NOON, five, one, two)]) == [Gap("shop", "w", two.id, five.id, 2)]

    def test_nothing_is_missing_where_the_numbers_go_on(self) -> None:
        assert gaps([check(AT_NOON, numbered(2), numbered(1), numbered(3))]) == []

    def test_a_number_may_be_in_the_hour_before_or_after(self) -> None:
        """An id is made when a call begins, its number when it is kept."""
        before = check("2026030111", numbered(1), numbered(3))
        after = check(AT_NOON, numbered(2), numbered(4), numbered(6))
        assert gaps([before, after]) == [Gap("shop", "w", numbered(4).id, numbered(6).id, 1)]

    def test_every_writer_and_application_counts_by_itself(self) -> None:
        records = [numbered(1, "a:1"), numbered(2, "b:7"), replace(numbered(3, "a:9"), application=None)]
        assert gaps([check(AT_NOON, *records)]) == []

    @pytest.mark.parametrize("writer", ["", "w", "w:", "w:x", "w:-1", "w:¹"])
    def test_a_writer_that_is_none_says_nothing(self, writer: str) -> None:
        assert stored([replace(numbered(1), writer=writer)], frozenset())["shop"].runs == {}


def test_runs_and_what_is_archived_are_told() -> None:
    one, two, four = numbered(1), numbered(2), numbered(4)
    assert stored([four, two, one], frozenset((one.id,))) == {
        "shop": Stored(3, 1, {"w": (Run(1, 2, one.id, two.id), Run(4, 4, four.id, four.id))})
    }


def test_what_was_erased_leaves_no_gap() -> None:
    one, two, three = numbered(1), numbered(2), numbered(3)
    found = stored([one, three], frozenset(), elsewhere=[two])
    assert found == {"shop": Stored(2, 0, {"w": (Run(1, 3, one.id, three.id),)})}


def test_a_check_is_read_as_it_was_written() -> None:
    found = HourCheck(AT_NOON, NOON, False, stored([numbered(1), numbered(3)], frozenset()), (numbered(1).id,))
    assert from_check_item(to_check_item(found)) == found


class TestNumbering:
    def test_each_application_has_a_series(self) -> None:
        writers = count()
        numbering = Numbering(lambda: f"w{next(writers)}")
        asked = [("main", "shop"), ("main", None), ("main", "shop"), ("other", "shop"), ("main", "shop")]
        assert [numbering.next(*each) for each in asked] == ["w0:1", "w1:1", "w0:2", "w2:1", "w0:3"]

    def test_what_is_given_back_is_taken_again(self) -> None:
        numbering = Numbering(lambda: "w")
        numbers = [numbering.next("main", None) for _ in range(3)]
        numbering.give_back("main", None, numbers[1])
        numbering.give_back("main", None, "another:7")
        assert [numbering.next("main", None) for _ in range(2)] == ["w:2", "w:4"]

    def test_an_application_that_was_forgotten_begins_anew(self) -> None:
        writers = count()
        numbering = Numbering(lambda: f"w{next(writers)}")
        for number in range(1_001):
            numbering.next("main", str(number))
        assert numbering.next("main", "0") == "w1001:1"
        assert numbering.next("main", "1000") == "w1000:2"

    def test_names_are_short_and_random(self) -> None:
        assert len({random_writer() for _ in range(100)}) == 100
        assert len(random_writer()) == 8


def test_a_repeated_call_takes_no_number_and_a_refused_one_does(tmp_path: Path) -> None:
    engine = SQLiteAndFiles(tmp_path)
    with closing(engine.open()) as records:
        ledger = Ledger(records, engine.blobs(), numbering=Numbering(lambda: "w"))

        async def keep(number: int, caller_id: str | None = None) -> str | None:
            record = call(number, milliseconds(NOON), caller_id=caller_id)
            kept = await ledger.keep(record, Payload(b"{}"))
            found = await ledger.get("main", kept.id)
            return found[0].writer if found is not None else None

        assert [asyncio.run(keep(1, "a")), asyncio.run(keep(2, "a")), asyncio.run(keep(3))] == ["w:1", "w:1", "w:2"]
        with engine.refusing_records(), pytest.raises(LedgerUnavailable):
            asyncio.run(keep(4))
        assert asyncio.run(keep(5)) == "w:4"


class World:
    """A ledger, its archive and rollups, and a clock that is set by hand."""

    def __init__(self, engine: Engine, records: RecordStore, store: Projections, feed: Finds) -> None:
        self.now = NOON + timedelta(minutes=30)
        self.records, self.projections, self.feed = records, store, feed
        self.blobs = engine.blobs()
        archive = Archive(self.blobs, nonce=str)
        self.projector = Projector(archive, store)
        self.spill = Spill(engine.blobs())
        self.completeness = Completeness(records, archive, store, now=lambda: self.now, spill=self.spill)
        self.settlement = CheckedSettlement(store.store)

    def keep(self, *records: Record) -> None:
        for future in [self.records.submit(Entry(record)) for record in records]:
            future.result(20)

    def project(self, *records: Record) -> None:
        assert not self.projector.project([self.feed.find("main", record.id) for record in records]).refused

    def run(self) -> None:
        self.completeness.run("main", self.projector, self.feed)


@pytest.fixture(params=["sqlite", "dynamodb"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    if request.param == "sqlite":
        local = SQLiteAndFiles(tmp_path)
        with local.projections() as store, closing(local.open()) as records:
            yield World(local, records, _projections(store), SQLiteChangeFeed(records, local.blobs()))
        return
    engine: DynamoDBAndS3 = request.getfixturevalue("dynamodb")
    with engine.projections() as store, closing(engine.open()) as table:
        world = World(engine, table, _projections(store), DynamoDBStream(engine.wire, engine.table, engine.blobs()))
        table._now = lambda: world.now
        yield world


def _projections(store: object) -> Projections:
    return Projections(store, CheckedSettlement(store))  # type: ignore[arg-type]


def test_a_report_says_what_is_accepted_stored_archived_and_missing(world: World) -> None:
    one, two, five = numbered(1), numbered(2), numbered(5)
    world.keep(one, two, five)
    world.project(one, two)
    (report,) = world.completeness.report("main", AT_NOON, AT_NOON)
    body = completeness_body([report])
    assert body == {
        "complete": False,
        "data": [
            {
                "hour": "2026-03-01T12:00:00Z",
                "checked_at": "2026-03-01T12:30:00.000Z",
                "complete": False,
                "applications": [
                    {
                        "application": "shop",
                        "accepted": 5,
                        "stored": 3,
                        "archived": 2,
                        "rolled_up": 2,
                        "usage": {
                            "told": 2,
                            "not_told": 0,
                            "prompt_tokens": 20,
                            "completion_tokens": 4,
                            "compared": 2,
                            "claimed_cost": 0.2,
                            "computed_cost": 0.4,
                        },
                    }
                ],
                "not_archived": (five.id,),
                "gaps": [{"application": "shop", "after": two.id, "before": five.id, "missing": 2}],
            }
        ],
    }
    assert world.completeness.report("other", AT_NOON, AT_NOON) == []
    assert world.completeness.report("main", "2026030110", "2026030111") == []


def test_what_was_put_aside_is_not_lost(world: World) -> None:
    one, two, three = numbered(1), numbered(2), numbered(3)
    world.keep(one, three)
    (report,) = world.completeness.report("main", AT_NOON, AT_NOON)
    assert [gap.missing for gap in report.gaps] == [1]
    world.spill.put(two, Payload(b"{}"))
    (report,) = world.completeness.report("main", AT_NOON, AT_NOON)
    assert report.gaps == ()


@pytest.mark.parametrize("where", ["archived", "in the table", "put aside"])
def test_what_was_erased_is_not_lost_wherever_it_was(world: World, where: str) -> None:
    one, two, three = (numbered(number, user_id=f"u{number}") for number in (1, 2, 3))
    world.keep(one, three)
    world.project(one, three)
    if where == "put aside":
        world.spill.put(two, Payload(b"{}"))
    else:
        world.keep(two)
    if where == "archived":
        world.project(two)
    ledger = Ledger(world.records, world.blobs, spill=world.spill)
    erase(ledger, Archive(world.blobs, nonce=str), world.projections, Subject("main", "user_id", "u2"))
    world.project(one, two, three)
    (report,) = world.completeness.report("main", AT_NOON, AT_NOON)
    assert (report.complete, report.check.settled, report.rolled_up["shop"].records) == (True, True, 3)


def test_what_came_back_after_it_was_erased_is_named_until_it_is_erased_again(world: World) -> None:
    """As when a process that put it back was killed before it looked whether it may."""
    two = numbered(2, user_id="u2")
    world.keep(two)
    world.project(two)
    ledger, archive = Ledger(world.records, world.blobs), Archive(world.blobs, nonce=str)
    found = []
    for _ in range(2):
        erase(ledger, archive, world.projections, Subject("main", "user_id", "u2"))
        found.append(world.completeness.check("main", AT_NOON).not_archived)
        world.keep(two)
        found.append(world.completeness.check("main", AT_NOON).not_archived)
    assert found == [(), (two.id,), (), (two.id,)]


def test_a_run_projects_what_was_missed_and_settles_the_hours_that_have_ended(world: World) -> None:
    one, two, later = numbered(1), numbered(2), numbered(3, minutes=60)
    world.keep(one, two, later)
    world.project(one)
    world.now = NOON + timedelta(hours=1, minutes=20)  # too early
    world.run()
    assert world.settlement.read("main") == (AT_NOON, {})
    world.now = NOON + timedelta(hours=1, minutes=30)
    world.run()
    assert world.settlement.read("main") == ("2026030113", {})
    (report,) = world.completeness.report("main", AT_NOON, AT_NOON)
    assert report.complete
    assert report.check.settled
    assert report.rolled_up["shop"].cost == Decimal("0.2")
    assert [row.rollup.records for row in world.projections.rollups("main", "calls", AT_NOON, "2026030113")] == [2]


@pytest.mark.parametrize("world", ["dynamodb"], indirect=True)  # on SQLite the change table tells
def test_a_late_record_is_taken_in_before_its_hour_is_settled_again(world: World) -> None:
    world.keep(one := numbered(1))
    world.project(one)
    world.now = NOON + timedelta(hours=2)
    world.run()
    assert world.settlement.unsettled("main", AT_NOON, AT_NOON) == frozenset()
    world.keep(numbered(2))
    assert world.settlement.unsettled("main", AT_NOON, AT_NOON) == frozenset((AT_NOON,))
    world.run()  # its put may be under way
    assert world.settlement.unsettled("main", AT_NOON, AT_NOON) == frozenset((AT_NOON,))
    world.now += timedelta(minutes=11)
    world.run()
    assert world.settlement.unsettled("main", AT_NOON, AT_NOON) == frozenset()
    (row,) = world.projections.rollups("main", "calls", AT_NOON, AT_NOON)
    assert row.rollup.records == 2


@pytest.mark.parametrize("world", ["dynamodb"], indirect=True)
def test_a_record_that_goes_to_another_customer_unsettles_its_hour_first(world: World) -> None:
    world.keep(one := numbered(1))
    world.project(one)
    world.now = NOON + timedelta(hours=2)
    world.run()
    world.records.annotate("main", one.id, Annotation(note="of no matter to sums"))
    assert world.settlement.unsettled("main", AT_NOON, AT_NOON) == frozenset()
    world.records.annotate("main", one.id, Annotation(customer_identifier="another"))
    assert world.settlement.unsettled("main", AT_NOON, AT_NOON) == frozenset((AT_NOON,))
    world.now += timedelta(minutes=11)
    world.run()
    assert world.settlement.unsettled("main", AT_NOON, AT_NOON) == frozenset()
    (row,) = world.projections.rollups("main", "customers", AT_NOON, AT_NOON)
    assert row.dimensions.value("customer_identifier") == "another"


def test_an_hour_that_cannot_be_made_whole_holds_up_no_other(world: World) -> None:
    good, later = numbered(1), numbered(2, minutes=60)
    world.keep(good, later)
    world.project(good, later)
    id = uuid7(milliseconds(NOON) + 99, 99)
    torn = Entry(replace(numbered(3), id=id, created_at=instant_of(id)), inline=b"\x1f\x8btorn")
    world.records.submit(torn).result(20)
    world.now = NOON + timedelta(hours=3)
    world.run()
    until, late = world.settlement.read("main")
    assert (until, list(late)) == ("2026030114", [AT_NOON])
    first, second = world.completeness.report("main", AT_NOON, "2026030113")
    assert (first.check.not_archived, first.complete) == ((id,), False)
    assert (second.check.not_archived, second.complete) == ((), True)


def test_hours_go_over_days() -> None:
    assert hours("2026022822", "2026030101") == ["2026022822", "2026022823", "2026030100", "2026030101"]
    assert hours("2026030101", "2026030100") == []
