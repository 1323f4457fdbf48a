"""Rollups and sessions on every engine: each object counts once, whoever takes it in."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given

from tests import strategies
from tests.ledger.engines import DynamoDBAndS3, Engine
from weir.domain.completion import Usage
from weir.domain.errors import LedgerUnavailable
from weir.domain.ids import instant_of, uuid7
from weir.domain.record import Record
from weir.domain.rollup import Dimensions, Rollup, rollup, rollups
from weir.domain.session import Session, sessions
from weir.ledger.keys import Key, hour_of, rollup_key
from weir.ledger.ports import ProjectionStore, Replacement
from weir.ledger.projection_items import (
    RollupRow,
    SessionRow,
    from_rollup_item,
    from_session_item,
    to_rollup_item,
    to_session_item,
)
from weir.ledger.projections import HourlyRollup, Projections
from weir.ledger.settlement import CheckedSettlement

NOON = int(datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp()) * 1000
AT_NOON = "2026030112"
HOUR = 3_600_000
KEY = Key("main#rollup#20260301", "calls#12#prod")


def call(number: int, milliseconds: int = NOON, **fields: object) -> Record:
    id = uuid7(milliseconds + number, number)
    plain = Record(
        id=id,
        workspace="main",
        environment="prod",
        created_at=instant_of(id),
        origin="completion",
        inference_location="SERVER",
        model="m",
        claimed_usage=Usage(10, 2, cached=1),
        claimed_cost=Decimal("0.1"),
        computed_cost=Decimal("0.2"),
        latency_ms=100.0 + number,
        first_token_ms=10.0,
    )
    return replace(plain, **fields)  # type: ignore[arg-type]


def to_projections(store: ProjectionStore) -> Projections:
    return Projections(store, CheckedSettlement(store))


def dimensions(model: str | None = "m", **other: str) -> Dimensions:
    return Dimensions("calls", ("prod", None, None, None, model))


@pytest.fixture
def projections(projection_store: ProjectionStore) -> Projections:
    return to_projections(projection_store)


def test_an_item_is_replaced_only_as_it_was_read(projection_store: ProjectionStore) -> None:
    assert projection_store.replace([Replacement(KEY, None, b"1"), Replacement(KEY, None, b"2")]) in (
        [True, False],
        [False, True],
    )
    before = projection_store.get([KEY])[KEY]
    assert projection_store.replace([Replacement(KEY, b"x", b"3")]) == [False]
    assert projection_store.replace([Replacement(KEY, before, b"3")]) == [True]
    assert projection_store.get([KEY, Key("main#rollup#20260301", "none")]) == {KEY: b"3"}
    assert projection_store.replace([Replacement(KEY, b"x", None)]) == [False]
    assert projection_store.replace([Replacement(KEY, b"3", None)]) == [True]
    assert projection_store.get([KEY]) == {}
    assert projection_store.replace([]) == []


def test_a_range_is_read_in_order(projection_store: ProjectionStore) -> None:
    for number in range(5):
        projection_store.replace([Replacement(Key("p", str(number)), None, b"%d" % number)])
    projection_store.replace([Replacement(Key("q", "2"), None, b"other")])
    everything = [(str(number), b"%d" % number) for number in range(5)]
    assert projection_store.between("p", "", "9") == everything
    assert projection_store.between("p", "1", "3") == everything[1:4]
    assert projection_store.between("p", "1", "9", limit=2, descending=True) == everything[:2:-1]


def test_more_items_than_one_read_takes(projection_store: ProjectionStore) -> None:
    changes = [Replacement(Key("p", f"{number:04}"), None, b"1") for number in range(450)]
    assert projection_store.replace(changes) == [True] * 450
    assert len(projection_store.get([change.key for change in changes])) == 450


def test_a_broken_engine_says_so(engine: Engine, projection_store: ProjectionStore) -> None:
    with engine.broken():
        with pytest.raises(LedgerUnavailable):
            projection_store.get([KEY])
        with pytest.raises(LedgerUnavailable):
            projection_store.between("p", "", "9")
        with pytest.raises(LedgerUnavailable):
            projection_store.replace([Replacement(KEY, None, b"1")])


def test_objects_are_taken_in_once(projections: Projections) -> None:
    first, second = [call(1), call(2, model="n")], [call(3)]
    for number, calls in ((1, first), (1, first), (2, second), (1, first), (2, second)):
        projections.take_in("main", AT_NOON, number, calls)
    assert projections.taken("main", AT_NOON) == 2
    assert sorted(projections.rollups("main", "calls", AT_NOON, AT_NOON), key=lambda row: str(row.dimensions)) == [
        HourlyRollup(AT_NOON, dimensions("m"), rollup([first[0], *second])),
        HourlyRollup(AT_NOON, dimensions("n"), rollup([first[1]])),
    ]
    (customers,) = projections.rollups("main", "customers", AT_NOON, AT_NOON)
    assert customers.rollup == rollup([*first, *second])


def test_two_at_once_count_nothing_twice(engine: Engine) -> None:
    objects = [[call(number * 10 + each, session_id="s") for each in range(3)] for number in range(4)]
    with ExitStack() as stack:
        stores = [stack.enter_context(engine.projections()) for _ in range(3)]

        def take_all(store: ProjectionStore) -> None:
            for number, calls in enumerate(objects, 1):
                to_projections(store).take_in("main", AT_NOON, number, calls)

        with ThreadPoolExecutor(3) as threads:
            list(threads.map(take_all, stores))
        projections = to_projections(stores[0])
        (row,) = projections.rollups("main", "calls", AT_NOON, AT_NOON)
        everything = [each for calls in objects for each in calls]
        assert row.rollup == rollup(everything)
        assert projections.session("main", "s") == sessions(everything)["s"]


def test_hours_are_read_by_day_and_nothing_beside_them(projections: Projections) -> None:
    for hours in (0, 11, 12, 36):
        found = call(1, NOON + hours * HOUR, model="~~~", customer_identifier="~")
        projections.take_in("main", hour_of(found.id), 1, [found])
    projections.take_in("other", AT_NOON, 1, [call(1)])
    read = {
        (first, last): [row.hour for row in projections.rollups("main", family, first, last)]
        for first, last in (("2026030100", "2026030223"), ("2026030123", "2026030200"), ("2026030113", "2026030222"))
        for family in ("calls", "customers")
    }
    assert read == {
        ("2026030100", "2026030223"): [AT_NOON, "2026030123", "2026030200"],
        ("2026030123", "2026030200"): ["2026030123", "2026030200"],
        ("2026030113", "2026030222"): ["2026030123", "2026030200"],
    }
    assert projections.workspaces() == ["main", "other"]


def test_a_session_over_hours_is_one(projections: Projections) -> None:
    calls = [call(1, user_id="u", application="shop", session_id="s"), call(2, NOON + HOUR, session_id="s")]
    for found in reversed(calls):  # the later hour first
        projections.take_in("main", hour_of(found.id), 1, [found])
    assert projections.session("main", "s") == Session(
        id="s",
        first_id=calls[0].id,
        last_id=calls[1].id,
        environment="prod",
        application="shop",
        user_id="u",
        calls=2,
        tokens={"prompt": 20, "completion": 4, "cached": 2},
        cost=Decimal("0.2"),
    )
    assert projections.newest_sessions("main", "shop", limit=5) == (projections.session("main", "s"),)
    assert projections.newest_sessions("main", None, limit=5) == ()
    assert projections.session("main", "t") is None
    assert projections.session("other", "s") is None


def test_an_applications_sessions_come_newest_first_in_pages(projections: Projections) -> None:
    calls = [call(number, session_id=f"s{number}", application="shop") for number in range(7)]
    projections.take_in("main", AT_NOON, 1, [*calls, call(9, session_id="x", application="other"), call(10)])
    first = projections.newest_sessions("main", "shop", limit=3)
    rest = projections.newest_sessions("main", "shop", limit=10, before=first[-1].first_id)
    assert [[session.id for session in page] for page in (first, rest)] == [
        ["s6", "s5", "s4"],
        ["s3", "s2", "s1", "s0"],
    ]


def test_a_month_of_rollups_is_a_query_a_day(dynamodb: DynamoDBAndS3) -> None:
    with dynamodb.projections() as store:
        projections = to_projections(store)
        for day in range(30):
            found = call(1, NOON + day * 24 * HOUR)
            projections.take_in("main", hour_of(found.id), 1, [found])
        dynamodb.wire.calls.clear()
        assert len(projections.rollups("main", "calls", "2026030112", "2026033012")) == 30
    assert [operation for operation, _ in dynamodb.wire.calls] == ["query"] * 31  # the days, and each of them


@given(strategies.records())
def test_rollups_and_sessions_are_read_as_they_were_written(record: Record) -> None:
    for found, sums in rollups([record]).items():
        row = RollupRow(found, 3, sums)
        assert from_rollup_item(to_rollup_item(row)) == row
    for session in sessions([record]).values():
        kept = SessionRow(session, {"2026030112": 3})
        assert from_session_item(to_session_item(kept)) == kept


def test_an_hours_row_fits_a_write_unit() -> None:
    calls = [
        call(number, latency_ms=50 * 1.05 ** (number % 60), first_token_ms=9.0 + number % 40) for number in range(500)
    ]
    row = RollupRow(Dimensions("calls", ("prod", "shop", "ANSWER_QUESTION", "openai", "gpt-5-mini")), 12, rollup(calls))
    key = rollup_key("main", AT_NOON, row.dimensions)
    assert len(to_rollup_item(row)) + len(key.pk) + len(key.sk) < 1024


def test_nothing_is_taken_in_of_an_empty_object(projections: Projections) -> None:
    projections.take_in("main", AT_NOON, 1, [])
    assert (projections.taken("main", AT_NOON), projections.rollups("main", "calls", AT_NOON, AT_NOON)) == (1, [])
    assert Rollup() + Rollup() == Rollup()


def test_a_call_that_changes_its_customer_and_session_goes_from_one_row_to_the_other(projections: Projections) -> None:
    stays, old = call(1, session_id="s", customer_identifier="a"), call(2, session_id="s", customer_identifier="a")
    new = replace(old, session_id="t", customer_identifier="b", revision=1)
    projections.take_in("main", AT_NOON, 1, [stays, old])
    for _ in range(2):
        projections.take_in("main", AT_NOON, 2, [], [(old, new)])
    rows = {row.dimensions: row.rollup for row in projections.rollups("main", "customers", AT_NOON, AT_NOON)}
    assert rows == {each: sums for each, sums in rollups([stays, new]).items() if each.family == "customers"}
    one, other = projections.session("main", "s"), projections.session("main", "t")
    assert one is not None
    assert (one.calls, one.cost, one.tokens) == (1, Decimal("0.1"), {"prompt": 10, "completion": 2, "cached": 1})
    assert other == sessions([new])["t"]


def test_what_all_calls_have_left_is_not_there(projections: Projections) -> None:
    old = call(1, session_id="s", customer_identifier="a", application="shop")
    projections.take_in("main", AT_NOON, 1, [old])
    projections.take_in("main", AT_NOON, 2, [], [(old, replace(old, session_id=None, customer_identifier=None))])
    assert projections.session("main", "s") is None
    assert projections.newest_sessions("main", "shop", limit=5) == ()
    (row,) = projections.rollups("main", "customers", AT_NOON, AT_NOON)
    assert row.dimensions == Dimensions("customers", ("prod", None))


def test_a_session_is_known_by_what_its_first_call_says_now(projections: Projections) -> None:
    first, second = call(1, session_id="s"), call(2, session_id="s")
    projections.take_in("main", AT_NOON, 1, [first, second])
    changes = [(each, replace(each, customer_identifier=each.id, revision=1)) for each in (first, second)]
    projections.take_in("main", AT_NOON, 2, [], changes)
    session = projections.session("main", "s")
    assert session is not None
    assert (session.customer_identifier, session.calls) == (first.id, 2)
