"""What is counted on the event loop is written a moment later, that of many calls at once."""

import asyncio
import sqlite3
from collections.abc import Callable, Coroutine, Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.limits.calls import ASK, NOON, limits_of
from tests.runtime import fixed_runtime
from weir.domain.chat import ChatCall
from weir.domain.errors import LedgerUnavailable
from weir.domain.limit import Subject
from weir.ledger.sqlite_counters import SQLiteCounterStore
from weir.services import limits as limits_module
from weir.services.attempt import Attempt
from weir.services.limits import NOT_ENFORCED, Admission

LONG_S, EARLY_S = 600.0, 10.0


class Counters(SQLiteCounterStore):
    """Tells when it has committed; its disk is full while `full`."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, now=lambda: NOON)
        self.commits = 0
        self.committed = asyncio.Event()
        self.full = False

    def commit(self) -> None:
        self.commits += 1
        super().commit()
        self.committed.set()
        if self.full:
            raise LedgerUnavailable("The counters cannot be written.")

    def written(self) -> list[tuple[int, int]]:
        """As another process sees it."""
        with closing(sqlite3.connect(self._path)) as other:
            return other.execute("SELECT used, held FROM counters").fetchall()


class World:
    def __init__(self, folder: Path) -> None:
        self.runtime = fixed_runtime(folder)
        self.counters = Counters(folder / "limits.sqlite")
        self.limits = limits_of(self.runtime, self.counters, now=lambda: NOON, clock=lambda: 0.0)

    async def begin(self) -> None:
        """The first call opens the file, which is not done on the event loop."""
        await self.runtime.limits.add("main", Subject("customer", "ann"), "tokens_per_minute", Decimal(10**6), None)
        await self.admit()
        assert self.counters.written() == [(100, 100)]

    async def admit(self, attempt: Attempt[ChatCall] | None = None) -> Admission:
        admission = await self.limits.admit(attempt or Attempt("id", ASK, NOON, 0.0))
        assert admission is not None
        return admission

    async def is_committed(self) -> None:
        async with asyncio.timeout(30):
            await self.counters.committed.wait()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.counters.close()
    world.runtime.ledger.close()


class Loop(asyncio.SelectorEventLoop):
    """Whose clock is set forward. It calls as early as a coarse clock allows, as every loop does."""

    ahead_s = 0.0

    def __init__(self) -> None:
        super().__init__()
        self._clock_resolution = EARLY_S

    def time(self) -> float:
        return super().time() + self.ahead_s


@pytest.fixture(autouse=True)
def never_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits_module, "COMMIT_EVERY_S", LONG_S)


def run(scenario: Callable[[Loop], Coroutine[Any, Any, None]], ahead_s: float = 0.0) -> None:
    loop = Loop()
    loop.ahead_s = ahead_s
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(scenario(loop))


def test_many_calls_are_written_at_once(world: World) -> None:
    async def scenario(loop: Loop) -> None:
        await world.begin()
        for admission in [await world.admit() for _ in range(5)][1:]:
            admission.settle(None)
        assert (world.counters.commits, world.counters.written()) == (0, [(100, 100)])
        loop.ahead_s += LONG_S
        await world.is_committed()
        assert (world.counters.commits, world.counters.written()) == (1, [(200, 200)])
        world.counters.committed.clear()
        await world.admit()
        loop.ahead_s += LONG_S
        await world.is_committed()
        assert (world.counters.commits, world.counters.written()) == (2, [(300, 300)])

    run(scenario)


def test_a_commit_that_came_early_is_not_the_last(world: World) -> None:
    async def scenario(loop: Loop) -> None:
        await world.begin()
        for used in (200, 300):
            await world.admit()
            world.counters.committed.clear()
            loop.ahead_s += LONG_S - EARLY_S / 2
            await asyncio.sleep(0)  # or the loop sleeps until it is time
            await world.is_committed()
            assert world.counters.written() == [(used, used)]

    run(scenario)


def test_a_loop_that_ended_before_its_time_leaves_it_to_the_next(world: World) -> None:
    async def ends_too_soon(_: Loop) -> None:
        await world.begin()
        await world.admit()

    async def next_one(loop: Loop) -> None:
        await world.admit()
        loop.ahead_s += LONG_S
        await world.is_committed()

    run(ends_too_soon)
    assert (world.counters.commits, world.counters.written()) == (0, [(100, 100)])
    run(next_one, ahead_s=2 * LONG_S)
    assert world.counters.written() == [(300, 300)]


def test_a_disk_that_is_full_is_told_by_the_calls_that_follow(world: World) -> None:
    async def scenario(loop: Loop) -> None:
        await world.begin()
        world.counters.full = True
        await world.admit()
        loop.ahead_s += LONG_S
        await world.is_committed()
        await asyncio.sleep(0)
        attempt = Attempt("id", ASK, NOON, 0.0)
        assert await world.limits.admit(attempt) is None
        assert attempt.notices == (NOT_ENFORCED,)

    run(scenario)
