"""Limits of a workspace: kept by every engine, and read once in ten seconds."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from tests.ledger.engines import Engine
from weir.domain.errors import Conflict, LedgerUnavailable, NotFound, RequestInvalid
from weir.domain.limit import EACH, Caller, Limit, Measure, Subject
from weir.ledger import limit_rules
from weir.ledger.configuration import Configurations
from weir.ledger.limit_rules import LimitRules
from weir.ledger.sqlite_config import SQLiteConfigStore
from weir.services.limit_rules import MAX_AGE_S, UNREAD_FOR_S, LimitBook

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
ANN = Subject("customer", "ann \N{SNOWMAN}")
CALLER = Caller("k", ANN.name)


@pytest.fixture(params=["sqlite", "dynamodb", "real"])
def engine(request: pytest.FixtureRequest) -> Engine:
    found: Engine = request.getfixturevalue(request.param)
    return found


def add(
    rules: LimitRules,
    subject: Subject = ANN,
    measure: Measure = "spend_per_day",
    *,
    workspace: str = "main",
    most: Decimal | None = Decimal("12.50"),
    warn_at: Decimal | None = None,
) -> Limit:
    return rules.add(workspace, subject, measure, most=most, warn_at=warn_at, at=NOON)


@pytest.mark.parametrize("keep", [False, True])
def test_a_key_hands_its_limits_over_to_the_one_that_replaces_it(engine: Engine, keep: bool) -> None:
    rules = LimitRules(engine.configuration())
    old, new, later = Subject("key", "old"), Subject("key", "new"), NOON + timedelta(days=1)
    named = add(rules, old, warn_at=Decimal(1))
    others = add(rules), add(rules, Subject("key", "other")), add(rules, Subject("key", EACH))
    rules.hand_over("main", "none", "new", keep=keep, at=later)
    rules.hand_over("main", "old", "new", keep=keep, at=later)
    if keep:
        handed = replace(named, id=5, subject=new, created_at=later)
        assert rules.all("main") == (named, *others, handed)
    else:
        assert rules.all("main") == (replace(named, subject=new), *others)
    assert add(rules, Subject("key", "next")).id == (6 if keep else 5)


def test_a_limit_is_kept_as_it_was_set(engine: Engine) -> None:
    rules = LimitRules(engine.configuration())
    assert rules.all("main") == ()
    first = add(rules)
    second = add(rules, Subject("intent", EACH, "shop"), most=None, warn_at=Decimal("0.000000000001"))
    assert first == Limit(id=1, subject=ANN, measure="spend_per_day", most=Decimal("12.50"), created_at=NOON)
    assert LimitRules(engine.configuration()).all("main") == (first, second)
    assert rules.all("other") == ()


def test_there_is_one_limit_a_subject_and_measure(engine: Engine) -> None:
    rules = LimitRules(engine.configuration())
    add(rules)
    with pytest.raises(Conflict, match="There is a limit of spend_per_day for that customer already"):
        add(rules)
    add(rules, measure="spend_per_month")
    add(rules, workspace="other")


def test_a_limit_is_changed_and_removed_and_its_number_not_given_again(engine: Engine) -> None:
    rules = LimitRules(engine.configuration())
    first, second = add(rules), add(rules, Subject("key", EACH))
    changed = rules.change("main", second.id, lambda limit: replace(limit, most=Decimal(7)))
    assert rules.all("main") == (first, changed)
    rules.remove("main", second.id)
    assert add(rules, Subject("key", EACH)).id == 3
    for missing in (lambda: rules.remove("main", 2), lambda: rules.change("main", 2, lambda limit: limit)):
        with pytest.raises(NotFound, match="There is no limit 2"):
            missing()


def test_of_edits_at_once_none_is_lost(engine: Engine) -> None:
    rules = LimitRules(engine.configuration())
    with ThreadPoolExecutor(4) as threads:
        made = list(threads.map(lambda n: add(rules, Subject("customer", f"c{n}")), range(8)))
    assert rules.all("main") == tuple(sorted(made, key=lambda limit: limit.id))
    assert {limit.id for limit in made} == set(range(1, 9))


def test_limits_and_other_configuration_share_an_engine(engine: Engine) -> None:
    configurations = Configurations(engine.configuration())
    add(LimitRules(configurations.store))
    assert configurations.snapshot("main").trees == ()


def test_there_is_an_end_to_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rules = LimitRules(SQLiteConfigStore(tmp_path / "ledger.sqlite"))
    monkeypatch.setattr(limit_rules, "LIMITS_LIMIT", 2)
    for name in ("a", "b"):
        add(rules, Subject("customer", name))
    with pytest.raises(RequestInvalid, match="may have 2 limits"):
        add(rules)


class CountingStore(SQLiteConfigStore):
    """Counts reads; refuses everything while `down`."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.reads = 0
        self.down = False

    def get(self, workspace: str, *keys: str) -> dict[str, bytes]:
        self.reads += 1
        if self.down:
            raise LedgerUnavailable("The configuration cannot be read.")
        return super().get(workspace, *keys)


class Process:
    """A book of limits, and the clock it goes by."""

    def __init__(self, store: CountingStore) -> None:
        self.store = store
        self.seconds = 0.0
        self.book = LimitBook(LimitRules(store), now=lambda: NOON, clock=lambda: self.seconds)

    async def most(self) -> Decimal | None:
        found = (await self.book.rules("main")).of(CALLER)
        return found[0][0].most if found else None


@pytest.fixture
def process(tmp_path: Path) -> Process:
    return Process(CountingStore(tmp_path / "ledger.sqlite"))


@pytest.fixture
def loop() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


def test_the_ledger_is_asked_once_in_ten_seconds(process: Process, loop: asyncio.Runner) -> None:
    elsewhere = LimitRules(process.store)
    assert loop.run(process.most()) is None
    add(elsewhere)
    process.store.reads = 0
    process.seconds = MAX_AGE_S - 0.001
    assert (loop.run(process.most()), process.store.reads) == (None, 0)
    process.seconds = MAX_AGE_S
    assert [loop.run(process.most()) for _ in range(3)] == [Decimal("12.50")] * 3
    assert process.store.reads == 1


def test_many_at_once_ask_once(process: Process, loop: asyncio.Runner) -> None:
    add(LimitRules(process.store))
    process.store.reads = 0

    async def ask_all() -> list[Decimal | None]:
        return await asyncio.gather(*(process.most() for _ in range(20)))

    assert loop.run(ask_all()) == [Decimal("12.50")] * 20
    assert process.store.reads == 1


def test_who_hangs_up_does_not_take_the_answer_from_the_others(process: Process, loop: asyncio.Runner) -> None:
    add(LimitRules(process.store))

    async def ask_two() -> Decimal | None:
        first, second = (asyncio.ensure_future(process.most()) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        return await second

    assert loop.run(ask_two()) == Decimal("12.50")


def test_what_held_still_holds_when_the_ledger_refuses(process: Process, loop: asyncio.Runner) -> None:
    add(LimitRules(process.store))
    assert loop.run(process.most()) == Decimal("12.50")
    process.store.down, process.seconds = True, MAX_AGE_S
    process.store.reads = 0
    assert [loop.run(process.most()) for _ in range(2)] == [Decimal("12.50")] * 2
    assert process.store.reads == 1


def test_what_was_never_read_is_not_known(process: Process, loop: asyncio.Runner) -> None:
    process.store.down = True
    for _ in range(3):
        with pytest.raises(LedgerUnavailable):
            loop.run(process.most())
    assert process.store.reads == 1
    process.store.down, process.seconds = False, UNREAD_FOR_S
    assert loop.run(process.most()) is None


def test_what_this_process_edits_holds_at_once(process: Process, loop: asyncio.Runner) -> None:
    assert loop.run(process.most()) is None
    limit = loop.run(process.book.add("main", ANN, "spend_per_day", Decimal(5), None))
    assert loop.run(process.most()) == Decimal(5)
    loop.run(process.book.change("main", limit.id, lambda limit: replace(limit, most=Decimal(6))))
    assert loop.run(process.most()) == Decimal(6)
    loop.run(process.book.remove("main", limit.id))
    assert loop.run(process.most()) is None


def test_what_was_read_before_an_edit_does_not_hold_after_it(process: Process, loop: asyncio.Runner) -> None:
    async def edit_while_reading() -> Decimal | None:
        reading = asyncio.ensure_future(process.most())
        await asyncio.sleep(0)
        await process.book.add("main", ANN, "spend_per_day", Decimal(5), None)
        await reading
        return await process.most()

    assert loop.run(edit_while_reading()) == Decimal(5)
