"""Calls that wait for others to settle, and what limits do while the ledger refuses."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from tests.limits.calls import ASK, NOON, limits_of
from tests.runtime import fixed_runtime
from weir.domain.chat import ChatCall
from weir.domain.completion import Usage
from weir.domain.errors import LedgerUnavailable
from weir.domain.limit import Measure, Subject
from weir.domain.record import Record
from weir.domain.routing import NO_DEADLINES, Deadlines, Routing
from weir.ledger.counters import Settlement, Take, Taken
from weir.ledger.sqlite_counters import SQLiteCounterStore
from weir.runtime.bootstrap import Runtime
from weir.services import limit_lines
from weir.services import limits as limits_module
from weir.services.attempt import Attempt
from weir.services.limits import FULL_FOR_S, LONGEST_WAIT_S, NOT_ENFORCED, OUT_OF_REACH_S, Admission, Limits

ANN = Subject("customer", "ann")
DONE = Record(
    id="r",
    workspace="main",
    environment="prod",
    created_at=NOON,
    origin="completion",
    inference_location="SERVER",
    claimed_usage=Usage(5, 5),
)
"""A call for which 100 tokens were set aside, and which came to 10."""


class Counters(SQLiteCounterStore):
    """Counts takes; refuses everything while `down`. In a thread, as on a network."""

    quick_to_settle = False
    after_take: Callable[[], object] | None = None

    def __init__(self, path: Path) -> None:
        super().__init__(path, now=lambda: NOON)
        self.takes = 0
        self.down = False

    def take(self, takes: Sequence[Take]) -> Taken:
        self.takes += 1
        self._check()
        taken = super().take(takes)
        if self.after_take is not None:
            self.after_take()
        return taken

    def take_now(self, takes: Sequence[Take]) -> Taken | None:
        return None

    def settle_now(self, settlements: Sequence[Settlement]) -> bool:
        return self.quick_to_settle and super().settle_now(settlements)

    def settle(self, settlements: Sequence[Settlement]) -> None:
        self._check()
        super().settle(settlements)

    def _check(self) -> None:
        if self.down:
            raise LedgerUnavailable("The counters cannot be written.")


class World:
    """One process; `elsewhere` is another one that counts in the same file. One clock for both."""

    def __init__(self, folder: Path) -> None:
        self.runtime: Runtime = fixed_runtime(folder)
        self.counters = Counters(folder / "limits.sqlite")
        self.now = NOON
        self.seconds = 0.0
        self.here, self.elsewhere = self.process(), self.process()

    def process(self, deadlines: Deadlines = NO_DEADLINES) -> Limits:
        return limits_of(self.runtime, self.counters, lambda: self.now, lambda: self.seconds, deadlines)

    async def limit(self, most: int, measure: Measure = "tokens_per_minute") -> None:
        await self.runtime.limits.add("main", ANN, measure, Decimal(most), None)

    async def admit(self, limits: Limits | None = None, attempt: Attempt[ChatCall] | None = None) -> Admission:
        attempt = attempt or self.attempt()
        admission = await (limits or self.here).admit(attempt)
        assert admission is not None
        return admission

    def attempt(self) -> Attempt[ChatCall]:
        return Attempt("id", ASK, self.now, 0.0)

    async def waits(self) -> "asyncio.Task[Admission]":
        """A call that stands in line by now."""
        before = len(self._line())
        task = asyncio.ensure_future(self.admit())
        while len(self._line()) == before:
            assert not task.done()
            await asyncio.sleep(0)
        return task

    def _line(self) -> Sequence[object]:
        lines = list(self.here._lines._lines.values())
        return lines[0].waiting if lines else ()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.counters.close()
    world.runtime.ledger.close()


Scenario = Callable[[World], Awaitable[None]]


def run(world: World, scenario: Scenario) -> None:
    async def ran() -> None:
        async with asyncio.timeout(0.5 * LONGEST_WAIT_S):  # who waits is woken, and does not wake by itself
            await scenario(world)

    asyncio.run(ran())


async def settle(admission: Admission) -> None:
    admission.settle(DONE)
    await admission.settled()


def refused_for(admission: Admission) -> tuple[int, bool] | None:
    error = admission.refusal
    return None if error is None else (error.retry_after_s, error.for_now)


def test_a_call_waits_for_one_that_runs(world: World) -> None:
    async def scenario(world: World) -> None:
        await world.limit(50)
        first = await world.admit()
        second = await world.waits()
        await settle(first)
        assert refused_for(await second) is None

    run(world, scenario)


def test_all_that_wait_go_as_far_as_there_is_room_in_their_order(world: World) -> None:
    async def scenario(world: World) -> None:
        await world.limit(30)
        first = await world.admit()
        waiting = [await world.waits() for _ in range(4)]
        await settle(first)
        for call in waiting[:2]:
            admission = await call
            assert not any(later.done() for later in waiting[waiting.index(call) + 1 :])
            await settle(admission)
        assert [refused_for(await call) for call in waiting[2:]] == [(40, False)] * 2

    run(world, scenario)


def test_one_settlement_may_make_room_for_many(world: World) -> None:
    async def scenario(world: World) -> None:
        await world.limit(500)
        large = Attempt("large", replace(ASK, call=replace(ASK.call, max_tokens=1000)), world.now, 0.0)
        first = await world.admit(attempt=large)
        waiting = [await world.waits() for _ in range(3)]
        await settle(first)
        assert [refused_for(await call) for call in waiting] == [None] * 3

    run(world, scenario)


def test_what_settles_while_a_call_is_being_refused_is_not_missed(world: World) -> None:
    async def scenario(world: World) -> None:
        await world.limit(50)
        first = await world.admit()
        loop, world.counters.quick_to_settle = asyncio.get_running_loop(), True
        world.counters.after_take = lambda: loop.call_soon_threadsafe(first.settle, DONE)
        assert refused_for(await world.admit()) is None

    run(world, scenario)


def test_who_hangs_up_while_waiting_leaves_the_turn_to_the_next(world: World) -> None:
    async def scenario(world: World) -> None:
        await world.limit(50)
        first = await world.admit()
        gone, next_one = await world.waits(), await world.waits()
        gone.cancel()
        await settle(first)
        assert refused_for(await next_one) is None
        assert gone.cancelled()

    run(world, scenario)


def test_a_call_of_another_process_is_not_waited_for(world: World) -> None:
    async def scenario(world: World) -> None:
        await world.limit(50)
        first = await world.admit(world.elsewhere)
        assert refused_for(await world.admit()) == (1, True)
        await settle(first)
        assert refused_for(await world.admit()) is None

    run(world, scenario)


def test_nobody_waits_for_ever_or_in_a_line_without_end(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(world: World) -> None:
        await world.limit(50)
        first = await world.admit()
        monkeypatch.setattr(limit_lines, "LONGEST_LINE", 1)
        waiting = await world.waits()
        assert refused_for(await world.admit()) == (1, True)
        monkeypatch.setattr(limits_module, "LONGEST_WAIT_S", 0.0)
        monkeypatch.setattr(limit_lines, "LONGEST_LINE", 10)
        assert refused_for(await world.admit()) == (1, True)
        await settle(first)
        assert refused_for(await waiting) is None

    run(world, scenario)


def test_who_has_waited_long_enough_is_refused(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(world: World) -> None:
        await world.limit(50)
        await world.admit()
        monkeypatch.setattr(limits_module, "LONGEST_WAIT_S", 0.001)
        waiting = await world.waits()
        world.seconds = 1
        assert refused_for(await waiting) == (1, True)

    run(world, scenario)


@pytest.mark.parametrize("own", [True, False], ids=["the call's", "the process's"])
def test_nobody_waits_longer_than_the_call_may_take(world: World, own: bool) -> None:
    """A call that may take no time any more does not begin to wait."""
    deadlines = Deadlines(total_s=2)
    ask = replace(ASK, routing=Routing(deadlines=deadlines)) if own else ASK
    limits = world.here if own else world.process(deadlines)

    async def scenario(world: World) -> None:
        await world.limit(50)
        await world.admit(limits)
        late = Attempt("late", ask, world.now, world.seconds)
        world.seconds += 2
        assert refused_for(await world.admit(limits, late)) == (1, True)

    run(world, scenario)


def test_who_waits_into_the_next_minute_is_counted_there(world: World) -> None:
    async def scenario(world: World) -> None:
        await world.limit(50)
        first = await world.admit()
        waiting = await world.waits()
        world.now += timedelta(minutes=1)
        await settle(first)
        (standing,) = (await waiting).standings
        assert (standing.used, standing.resets_in_s) == (100, 40)

    run(world, scenario)


def test_what_a_killed_process_had_set_aside_is_free_in_the_next_window(world: World) -> None:
    async def scenario(world: World) -> None:
        await world.limit(50)
        await world.admit(world.elsewhere)  # and is never heard of again
        assert refused_for(await world.admit()) == (1, True)
        world.now += timedelta(seconds=40)
        assert refused_for(await world.admit()) is None

    run(world, scenario)


def test_a_full_counter_is_asked_once_a_second(world: World) -> None:
    async def scenario(world: World) -> None:
        await world.limit(1, "requests_per_minute")
        assert [refused_for(await world.admit()) for _ in range(4)] == [None, *[(40, False)] * 3]
        assert world.counters.takes == 2
        world.seconds += FULL_FOR_S
        await world.admit()
        assert world.counters.takes == 3

    run(world, scenario)


def test_a_limit_that_is_raised_holds_at_once(world: World) -> None:
    async def scenario(world: World) -> None:
        await world.limit(0, "requests_per_minute")
        assert refused_for(await world.admit()) == (40, False)
        await world.runtime.limits.change("main", 1, lambda limit: replace(limit, most=Decimal(1)))
        assert refused_for(await world.admit()) is None

    run(world, scenario)


def test_a_ledger_that_refused_is_left_alone_for_a_second(world: World) -> None:
    async def scenario(world: World) -> None:
        await world.limit(50)
        world.counters.down = True
        attempts = [world.attempt() for _ in range(3)]
        assert [await world.here.admit(attempt) for attempt in attempts] == [None] * 3
        assert {attempt.notices for attempt in attempts} == {(NOT_ENFORCED,)}
        assert world.counters.takes == 1
        world.counters.down, world.seconds = False, OUT_OF_REACH_S
        assert refused_for(await world.admit()) is None

    run(world, scenario)


def test_what_cannot_be_settled_counts_as_it_was_set_aside(world: World) -> None:
    async def scenario(world: World) -> None:
        await world.limit(50)
        first = await world.admit()
        waiting = await world.waits()
        world.counters.down = True
        await settle(first)
        world.counters.down = False
        assert refused_for(await waiting) == (1, True)

    run(world, scenario)
