"""A fault at any call to the stores: nothing acknowledged is lost, nothing is there twice, nothing counts twice.

These are samples; `make nightly` runs every position of many scenarios. docs/faults.md says what is injected.
"""

from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any

import pytest

from tests.faults.injection import Position
from tests.faults.runs import Violated, positions, run
from tests.faults.scenario import FULL, Call, Scenario, Step, any_scenario
from tests.faults.storages import OnDynamoDB, OnSQLite, Opening
from weir.domain.rollup import Dimensions, Rollup
from weir.ledger import projections, sqlite_writes
from weir.ledger.archive import Archive
from weir.ledger.ports import Kept
from weir.ledger.projection_items import RollupRow, from_rollup_item, to_rollup_item
from weir.ledger.spill import Spill

_SAMPLE: Mapping[str, int] = {"sqlite": 485, "dynamodb": 20}

SHORT: Scenario = (
    Step("keep", (Call(1, named=True, leaves=True),)),
    Step("bulk", (Call(2, named=True, large=True), Call(3))),
    Step("project"),
    Step("annotate", (Call(1, named=True, leaves=True),)),
    Step("move", (Call(2, named=True, large=True),)),
    Step("put back"),
    Step("erase"),
    Step("project"),
)
"""For the engine that takes twenty times as long."""


def _sample(opening: Opening, scenario: Scenario, size: int, seed: int = 1) -> list[Position]:
    found = positions(opening, scenario)
    return Random(seed).sample(found, size)


def test_the_samples_are_at_least_500_runs_with_a_fault() -> None:
    assert sum(_SAMPLE.values()) >= 500


@pytest.mark.parametrize("part", range(5), ids=lambda part: f"{_SAMPLE['sqlite'] // 5}_runs_{part}")
def test_with_a_fault_at_any_call_to_sqlite_and_files_nothing_is_lost_or_counted_twice(part: int) -> None:
    size = _SAMPLE["sqlite"]
    injected = _sample(OnSQLite(), FULL, size)[part::5]
    assert len(injected) == size // 5
    _run_all(injected)


@pytest.mark.parametrize("runs", [_SAMPLE["dynamodb"]])
def test_with_a_fault_at_any_request_to_dynamodb_and_s3_nothing_is_lost_or_counted_twice(
    moto: tuple[Any, Any], runs: int
) -> None:
    opening = OnDynamoDB(*moto)
    injected = _sample(opening, SHORT, runs)
    assert len(injected) == runs
    for position in injected:
        run(opening, SHORT, position)


def test_every_operation_works_on_dynamodb_without_a_fault(moto: tuple[Any, Any]) -> None:
    assert {position.kind for position in positions(OnDynamoDB(*moto), FULL)} >= {"part done", "carried out twice"}


def test_a_scenario_is_the_same_for_the_same_seed() -> None:
    assert [any_scenario(seed) for seed in range(20)] == [any_scenario(seed) for seed in range(20)]


def _counts_again(dimensions: Dimensions, number: int, rollup: Rollup) -> Callable[[bytes | None], bytes | None]:
    def next(old: bytes | None) -> bytes | None:
        before = Rollup() if old is None else from_rollup_item(old).rollup
        return to_rollup_item(RollupRow(dimensions, number, before + rollup))

    return next


_MUTATIONS: Mapping[str, tuple[Any, str, Any]] = {
    "rollups forget what they took in": (projections, "_with_rollup", _counts_again),
    "the archive forgets what it holds": (Archive, "_lacking", lambda archive, partition, known, batch: batch),
    "what is put aside is thrown away": (Spill, "put", lambda spill, record, payload: Kept(record.id, new=True)),
    "a caller's id is not remembered": (
        sqlite_writes,
        "claim",
        lambda connection, workspace, caller_id, id, instead_of=None: id,
    ),
}


@pytest.mark.parametrize("mutation", _MUTATIONS)
def test_code_that_loses_or_counts_twice_is_found_out(mutation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    injected = _sample(OnSQLite(), FULL, 300)
    monkeypatch.setattr(*_MUTATIONS[mutation])
    with pytest.raises(Violated):
        _run_all(injected)


def _run_all(injected: Sequence[Position]) -> None:
    for position in injected:
        run(OnSQLite(), FULL, position)
