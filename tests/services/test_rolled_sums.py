"""Sums from rollups and records together are those of the records, wherever the projector has stopped."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.functions.watched import Watched
from tests.ledger.engines import DynamoDBAndS3
from weir.domain.annotation import Annotation
from weir.domain.completion import Usage
from weir.domain.errors import RequestInvalid
from weir.domain.ids import instant_of, milliseconds, uuid7
from weir.domain.record import Environment, Record
from weir.domain.totals import GroupField, Totals, grouped
from weir.http.request_log_query import Window
from weir.ledger.archive import Archive
from weir.ledger.files import FileBlobStore
from weir.ledger.keys import hour_of
from weir.ledger.ledger import Ledger
from weir.ledger.ports import Entry
from weir.ledger.projections import Projections
from weir.ledger.settlement import CheckedSettlement, is_late
from weir.ledger.sqlite import SQLiteRecordStore
from weir.ledger.sqlite_changes import SQLiteChangeFeed
from weir.ledger.sqlite_projection import SQLiteProjectionStore
from weir.runtime.local_projection import project_next
from weir.services import log_queries
from weir.services.log_queries import LogQueries
from weir.services.project import Projector

START = datetime(2026, 3, 1, 22, tzinfo=UTC)
NOW = START + timedelta(hours=6, minutes=30)
GROUPS: tuple[GroupField | None, ...] = (None, "model", "provider", "customer_identifier", "session_id")


def at(hours: float) -> str:
    return uuid7(milliseconds(START + timedelta(hours=hours)), 0)


def made(random: Random, number: int) -> Record:
    id = uuid7(milliseconds(START) + random.randrange(6 * 3_600_000), number)
    return Record(
        id=id,
        workspace="main",
        environment=random.choice(["prod", "test"]),
        created_at=instant_of(id),
        origin="completion",
        inference_location="SERVER",
        provider=random.choice(["openai", None]),
        model=random.choice(["a", "b", None]),
        customer_identifier=random.choice(["x", "y", None]),
        session_id=random.choice(["s", None]),
        outcome=random.choice(["complete", "error"]),
        claimed_usage=Usage(random.randrange(99), 7, cached=random.choice([None, 3])),
        claimed_cost=random.choice([None, Decimal("0.1"), Decimal("0.0000003")]),
        latency_ms=float(random.randrange(9_000)),
        first_token_ms=random.choice([None, 12.5]),
    )


class Local:
    """A ledger on SQLite whose projector works when it is told to."""

    def __init__(self, folder: Path, *, sums: bool) -> None:
        self.records = SQLiteRecordStore(folder / "ledger.sqlite")
        self.blobs = FileBlobStore(folder / "blobs")
        self.feed = SQLiteChangeFeed(self.records, self.blobs)
        self.projections = Projections(SQLiteProjectionStore(self.records), self.feed)
        self.projector = Projector(Archive(self.blobs, nonce=str), self.projections)
        self.watched = Watched(self.records, sums=sums)
        ledger = Ledger(self.watched, self.blobs)
        self.queries = LogQueries(ledger, projections=self.projections, now=lambda: NOW)

    def keep(self, *records: Record) -> None:
        for future in [self.records.submit(Entry(record)) for record in records]:
            future.result(20)

    def totals(self, window: Window, group_by: GroupField | None = None) -> Mapping[str | None, Totals]:
        return asyncio.run(self.queries.totals("main", window, group_by))


@pytest.fixture(params=[True, False], ids=["summed by the engine", "record by record"])
def local(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Local]:
    found = Local(tmp_path, sums=request.param)
    with closing(found.records):
        yield found


def floats(totals: Totals) -> tuple[float, float, float]:
    return totals.latency_ms, totals.first_token_ms, totals.speed


def same(found: Mapping[str | None, Totals], expected: Mapping[str | None, Totals]) -> None:
    assert found.keys() == expected.keys()
    for key, totals in expected.items():
        assert floats(found[key]) == pytest.approx(floats(totals), rel=1e-9, abs=1e-4)
        assert replace(found[key], latency_ms=0, first_token_ms=0, speed=0) == replace(
            totals, latency_ms=0, first_token_ms=0, speed=0
        )


WINDOWS = (
    (None, None),
    (0.0, None),
    (None, 3.0),
    (1.0, 5.0),
    (0.5, 4.25),
    (2.1, 2.9),
    (2.0, 3.0),
    (5.5, 99.0),
    (-500_000.0, 70_000_000.0),
    (90.0, None),
)


@pytest.mark.parametrize("seed", range(6))
def test_a_sum_is_that_of_the_records_wherever_the_projector_has_stopped(local: Local, seed: int) -> None:
    random = Random(seed)
    records: list[Record] = []
    for _ in range(6):
        new = [made(random, len(records) + number) for number in range(random.randrange(12))]
        local.keep(*new)
        records += new
        for record in random.sample(records, min(2, len(records))):
            named = Annotation(customer_identifier=random.choice(["x", "z"]))
            changed = local.records.annotate("main", record.id, named)
            assert changed is not None
            records[records.index(record)] = changed
        for _ in range(random.randrange(3)):
            project_next(local.feed, local.projector, random.randrange(1, 9))
        for since, before in random.sample(WINDOWS, 4):
            environment: Environment | None = random.choice(["prod", "test", None])
            window = Window(
                None if before is None else at(before) if before < 1e6 else uuid7((1 << 48) - 1, 0),
                None if since is None else uuid7(0, 0) if since < -1e5 else at(since),
                environment,
            )
            inside = [
                record
                for record in records
                if (window.since or "") <= record.id < (window.before or "g") and window.includes(record)
            ]
            for group_by in GROUPS:
                found = local.totals(window, group_by)
                same({key: each for key, each in found.items() if each.records}, grouped(inside, group_by))


def test_what_is_projected_is_not_read(local: Local) -> None:
    random = Random(1)
    local.keep(*(made(random, number) for number in range(60)))
    while project_next(local.feed, local.projector):
        pass
    local.totals(Window(at(6), at(0)), "model")
    assert local.watched.read() == 0
    assert sum(each.records for each in local.totals(Window(), "model").values()) == 60
    assert local.watched.read() == 0


def test_a_month_of_cost_by_model_reads_rollups_only(dynamodb: DynamoDBAndS3, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(dynamodb.open()) as records, dynamodb.projections() as store:
        settlement = CheckedSettlement(store)
        projections = Projections(store, settlement)
        random, found = Random(1), []
        for day in range(30):
            record = replace(made(random, day), environment="prod", id=at(24 * day + 0.5))
            projections.take_in("main", hour_of(record.id), 1, [record])
            found.append(record)
        settlement.settle_until("main", None, hour_of(at(24 * 30)))
        ledger = Ledger(records, dynamodb.blobs())
        queries = LogQueries(ledger, projections=projections, now=lambda: START + timedelta(days=31))
        dynamodb.wire.calls.clear()
        window = Window(at(24 * 30), at(0), "prod")
        same(asyncio.run(queries.totals("main", window, "model")), grouped(found, "model"))
        partitions = [_partition(arguments) for _, arguments in dynamodb.wire.calls]
        assert {name.split("#")[1] for name in partitions} == {"rolled", "settled", "rollup"}
        assert len(partitions) == 33  # the first day, what is settled, which days there are, and each of them


def _partition(arguments: Any) -> str:
    return str(arguments["ExpressionAttributeValues"][":pk"]["S"])


def test_what_the_rollups_answer_is_not_bounded_and_the_rest_is(
    dynamodb: DynamoDBAndS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_queries, "SCAN_LIMIT", 5)
    with closing(dynamodb.open()) as records, dynamodb.projections() as store:
        settlement = CheckedSettlement(store)
        projections = Projections(store, settlement)
        random = Random(2)
        records._now = lambda: START
        kept = [replace(made(random, number), id=uuid7(milliseconds(START) + number, number)) for number in range(20)]
        for future in [records.submit(Entry(record)) for record in kept]:
            future.result(20)
        queries = LogQueries(Ledger(records, dynamodb.blobs()), projections=projections, now=lambda: NOW)
        with pytest.raises(RequestInvalid, match="Narrow"):
            asyncio.run(queries.totals("main", Window()))
        projections.take_in("main", hour_of(kept[0].id), 1, kept)
        settlement.settle_until("main", None, hour_of(at(1)))
        found = asyncio.run(queries.totals("main", Window()))
        assert found[None].records == 20


def test_a_record_that_comes_late_unsettles_its_hour_first(dynamodb: DynamoDBAndS3) -> None:
    with closing(dynamodb.open()) as records, dynamodb.projections() as store:
        records._now = lambda: NOW
        settlement = CheckedSettlement(store)
        settlement.settle_until("main", None, hour_of(at(4)))
        assert settlement.unsettled("main", hour_of(at(0)), hour_of(at(5))) == frozenset(
            (hour_of(at(4)), hour_of(at(5)))
        )
        late, fresh = (replace(made(Random(3), 1), id=at(hours)) for hours in (2.5, 6.4))
        assert (is_late(late.id, NOW), is_late(fresh.id, NOW)) == (True, False)
        for record in (late, fresh):
            records.submit(Entry(record)).result(20)
        operations = [arguments["Item"]["sk"]["S"] for name, arguments in dynamodb.wire.calls if name == "put_item"]
        assert [sk for sk in operations if sk.startswith(("late#", "r#"))] == [
            f"late#{hour_of(late.id)}",
            f"r#{late.id}",
            f"r#{fresh.id}",
        ]
        assert settlement.read("main") == (hour_of(at(4)), {hour_of(late.id): NOW})
        assert hour_of(late.id) in (settlement.unsettled("main", hour_of(at(0)), hour_of(at(3))) or ())
        settlement.settle_late("main", hour_of(late.id), NOW - timedelta(seconds=1))  # another mark than the one there
        assert settlement.read("main")[1] != {}
        settlement.settle_late("main", hour_of(late.id), NOW)
        assert settlement.read("main")[1] == {}
