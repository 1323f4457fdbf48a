"""Figures from rollups and records together are those of the records, wherever the projector has stopped."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.services.test_rolled_sums import NOW, START, Local, at, made
from weir.domain.annotation import Annotation
from weir.domain.errors import RequestInvalid
from weir.domain.record import Record
from weir.domain.totals import Totals, total
from weir.ledger.ledger import Ledger
from weir.runtime.local_projection import project_next
from weir.services import analytics
from weir.services.analytics import Analytics, Cell, Figures
from weir.services.reading import Reading, Window

WINDOW = Window(workspace="main", environment="prod")


@pytest.fixture
def local(tmp_path: Path) -> Iterator[Local]:
    found = Local(tmp_path, sums=True)
    with closing(found.records):
        yield found


def call(random: Random, number: int, **fields: Any) -> Record:
    return replace(
        made(random, number),
        application=random.choice(["shop", "desk", None]),
        intent=random.choice(["CHAT", "FIND", None]),
        answered_model=random.choice(["a-1", "b", None]),
        **fields,
    )


def over(local: Local) -> Analytics:
    return Analytics(Reading(Ledger(local.watched, local.blobs)), local.projections, now=lambda: NOW)


def project(local: Local) -> None:
    while project_next(local.feed, local.projector):
        pass


def expected(records: list[Record], of: Callable[[Record], Any]) -> dict[Any, Totals]:
    groups: dict[Any, list[Record]] = {}
    for record in records:
        groups.setdefault(of(record), []).append(record)
    return {key: total(members) for key, members in groups.items()}


def exact(found: Mapping[Any, Totals]) -> dict[Any, Totals]:
    """Sums of durations are kept in whole microseconds."""
    return {
        key: replace(each, latency_ms=round(each.latency_ms, 2), first_token_ms=round(each.first_token_ms, 2), speed=0)
        for key, each in found.items()
    }


def by_model(cell: Cell) -> tuple[str | None, str | None]:
    return cell.model, cell.provider


SPANS: tuple[tuple[float | None, float | None], ...] = ((None, None), (0.0, 6.0), (1.0, 5.0), (0.5, 4.25), (2.1, 2.9))
WINDOWS = (
    WINDOW,
    replace(WINDOW, environment="test"),
    replace(WINDOW, application="shop"),
    replace(WINDOW, application="desk", intent="CHAT"),
    replace(WINDOW, intent="FIND"),
)


@pytest.mark.parametrize("seed", range(6))
def test_figures_are_those_of_the_records_wherever_the_projector_has_stopped(local: Local, seed: int) -> None:
    random = Random(seed)
    records: list[Record] = []
    for _ in range(5):
        new = [call(random, len(records) + number) for number in range(random.randrange(20))]
        local.keep(*new)
        records += new
        for record in random.sample(records, min(2, len(records))):
            changed = local.records.annotate("main", record.id, Annotation(customer_identifier="z"))
            assert changed is not None
            records[records.index(record)] = changed
        for _ in range(random.randrange(4)):
            project_next(local.feed, local.projector, random.randrange(1, 12))
        for window in WINDOWS:
            since, until = (None if hours is None else START + timedelta(hours=hours) for hours in random.choice(SPANS))
            inside = [
                record
                for record in records
                if (since or START) <= record.created_at <= (until or NOW) and window.includes(record)
            ]
            found = asyncio.run(over(local).figures(window, since, until, by_model=True))
            assert found.complete
            assert exact({None: found.totals}) == exact({None: total(inside)})
            assert exact(found.by_day) == exact(
                dict(sorted(expected(inside, lambda each: each.created_at.date().isoformat()).items()))
            )
            assert exact(found.by(by_model)) == exact(
                expected(inside, lambda each: (each.model or each.answered_model, each.provider))
            )
            assert exact(found.by(lambda cell: cell.application)) == exact(
                expected(inside, lambda each: each.application)
            )
            assert last_calls(local, window, found) == newest(inside)


def last_calls(local: Local, window: Window, found: Figures) -> Mapping[str | None, datetime]:
    return asyncio.run(over(local).last_calls(window, found))


def newest(records: list[Record]) -> dict[str | None, datetime]:
    return {record.application: record.created_at for record in sorted(records, key=lambda each: each.id)}


def test_what_is_projected_is_not_read(local: Local) -> None:
    random = Random(1)
    local.keep(*(call(random, number) for number in range(60)))
    project(local)
    before = local.watched.read()
    found = asyncio.run(over(local).figures(WINDOW, None, None))
    assert (local.watched.read() - before, found.totals.records > 20) == (0, True)


def test_only_hours_with_calls_that_asked_for_no_model_are_read_for_figures_by_model(local: Local) -> None:
    random = Random(1)
    calls = [replace(call(random, number), environment="prod", model="a") for number in range(60)]
    first = min(calls, key=lambda each: each.id)
    calls[calls.index(first)] = replace(first, model=None, answered_model="a-1")
    local.keep(*calls)
    project(local)
    found = asyncio.run(over(local).figures(WINDOW, None, None, by_model=True))
    of_that_hour = sum(each.id < at(1) for each in calls)
    assert (local.watched.read(), of_that_hour > 0) == (of_that_hour, True)
    assert {cell.model for cell in found.cells} == {"a", "a-1"}


def test_what_the_rollups_answer_is_not_bounded_and_the_rest_is(local: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(analytics, "SCAN_LIMIT", 5)
    random = Random(2)
    calls = [replace(call(random, number), environment="prod") for number in range(60)]
    local.keep(*calls)
    project(local)
    assert asyncio.run(over(local).figures(WINDOW, START, NOW)).totals.records == 60
    late = [replace(call(random, 60 + number), environment="prod") for number in range(6)]
    in_one_hour = [
        replace(each, id=f"{at(3)[:-6]}{number:06}", created_at=START + timedelta(hours=3))
        for number, each in enumerate(late)
    ]
    local.keep(*in_one_hour)
    with pytest.raises(RequestInvalid):
        asyncio.run(over(local).figures(WINDOW, START, NOW))
    found = asyncio.run(over(local).figures(WINDOW, None, None))
    rolled = [each for each in calls if each.id >= at(4)]
    of_the_hour = sorted(
        (each for each in (*calls, *in_one_hour) if at(3) <= each.id < at(4)), key=lambda each: each.id
    )
    assert (found.complete, found.totals.records) == (False, len(rolled) + 5)
    assert found.since == of_the_hour[-5].created_at
