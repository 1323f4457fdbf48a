"""Rollups add up: the same sums whatever was added to what, and percentiles within 2%."""

import math
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import strategies
from weir.domain.ids import instant_of
from weir.domain.record import Record
from weir.domain.rollup import Dimensions, Rollup, histogram, rollup, rollups
from weir.domain.session import sessions
from weir.domain.totals import exact_sum, total

durations = st.floats(1e-6, 1e9, allow_nan=False)
measured = st.none() | st.floats(0, 1e7).map(lambda value: round(value, 3))
names = st.sampled_from([None, "", "a", "b#c"])
few_records = settings(max_examples=40)


@st.composite
def calls(draw: st.DrawFn) -> Record:
    id = draw(strategies.ids)
    return Record(
        id=id,
        workspace="main",
        created_at=instant_of(id),
        environment=draw(st.sampled_from(["prod", "test"])),
        origin="completion",
        inference_location="SERVER",
        outcome=draw(st.sampled_from(["complete", "error", "cut_off"])),
        application=draw(names),
        intent=draw(names),
        provider=draw(names),
        model=draw(names),
        customer_identifier=draw(names),
        session_id=draw(names),
        claimed_usage=draw(st.none() | strategies.usages),
        claimed_cost=draw(st.none() | strategies.costs),
        computed_cost=draw(st.none() | strategies.costs),
        latency_ms=draw(measured),
        first_token_ms=draw(measured),
        tokens_per_second=draw(measured),
    )


two_lists = st.lists(calls(), max_size=8, unique_by=lambda call: call.id).flatmap(
    lambda found: st.integers(0, len(found)).map(lambda cut: (found[:cut], found[cut:]))
)


def nearest_rank(values: list[float], part: float) -> float:
    return sorted(values)[max(1, math.ceil(part * len(values))) - 1]


@given(values=st.lists(durations, min_size=1, max_size=60), part=st.floats(0, 1))
def test_any_percentile_is_within_two_percent(values: list[float], part: float) -> None:
    exact = nearest_rank(values, part)
    found = histogram(values).percentile(part)
    assert found is not None
    assert abs(found - exact) <= 0.02 * exact


@pytest.mark.parametrize("power", range(-300, 300, 7))
def test_the_bounds_of_buckets_are_within_two_percent_too(power: int) -> None:
    for value in (1.04**power, math.nextafter(1.04**power, 0), math.nextafter(1.04**power, math.inf)):
        found = histogram([value]).percentile(0.5)
        assert found is not None
        assert abs(found - value) <= 0.02 * value


def test_what_takes_no_time_has_its_own_bucket() -> None:
    found = histogram([0.0, 0.0, -1.0, 8.0])
    assert (found.count, found.percentile(0.75)) == (4, 0.0)
    assert found.percentile(1) == pytest.approx(8, rel=0.02)
    assert histogram([]).percentile(0.5) is None


@few_records
@given(halves=two_lists)
def test_a_sum_of_rollups_is_the_rollup_of_all(halves: tuple[list[Record], list[Record]]) -> None:
    one, other = halves
    assert rollup(one) + rollup(other) == rollup([*other, *one])
    assert rollup(one) + Rollup() == rollup(one)


@few_records
@given(records=st.lists(calls(), max_size=5))
def test_a_rollup_has_the_totals_of_its_records(records: list[Record]) -> None:
    found, expected = rollup(records).totals(), total(records)
    floats = ("latency_ms", "first_token_ms", "speed")
    for name in expected.__slots__:
        figure = getattr(expected, name)
        # what is summed in whole microseconds may be off by half a one a record
        assert getattr(found, name) == (pytest.approx(figure, rel=1e-9, abs=0.01) if name in floats else figure)


@few_records
@given(records=st.lists(calls(), max_size=5))
def test_every_record_is_in_one_rollup_of_each_family(records: list[Record]) -> None:
    found = rollups(records)
    for family in ("calls", "customers"):
        parts = [each for dimensions, each in found.items() if dimensions.family == family]
        assert sum(parts, Rollup()) == rollup(records)
    for dimensions in found:
        assert dimensions.value("environment") in ("prod", "test")


def test_costs_are_added_without_rounding() -> None:
    assert exact_sum([Decimal("1e20"), Decimal("1e-20"), Decimal("-1e20")]) == Decimal("1e-20")


def test_dimensions_know_their_fields() -> None:
    dimensions = Dimensions("calls", ("prod", "shop", None, "openai", "gpt"))
    assert [dimensions.value(field) for field in ("model", "intent", "application")] == ["gpt", None, "shop"]


@few_records
@given(lists=two_lists)
def test_a_session_is_the_same_however_its_calls_come(lists: tuple[list[Record], list[Record]]) -> None:
    one, other = lists
    halves, whole = (sessions(one), sessions(other)), sessions([*other, *one])
    for id, session in whole.items():
        first, *rest = [half[id] for half in halves if id in half]
        assert session == sum(rest, first)
    assert {record.session_id for record in [*one, *other]} - {None} == set(whole)
