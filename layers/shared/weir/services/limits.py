"""Limits in force: before a provider is asked, what the call is taken to need is set aside; at its end, settled."""

import asyncio
import logging
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from weir.domain.errors import LedgerUnavailable, LimitExceeded
from weir.domain.limit import (
    OPERATOR,
    Caller,
    Kind,
    Limit,
    Standing,
    Subject,
    amount,
    estimate,
    is_spend,
    kind_of,
    minute_of,
    units,
    used_by,
    window_of,
)
from weir.domain.record import Record
from weir.domain.routing import NO_DEADLINES, Deadlines
from weir.http.errors import limit_code
from weir.ledger.counters import Counter, CounterStore, Settlement, Take, Tally, counter_of
from weir.services.attempt import Ask, Attempt, Call, Recorder
from weir.services.cost import estimated_cost
from weir.services.limit_lines import Lines, Place
from weir.services.limit_rules import LimitBook

logger = logging.getLogger("weir.limits")

NOT_ENFORCED = "the limits could not be enforced: the ledger refused, and the call was made without them"

OUT_OF_REACH_S = 1.0
"""For so long nobody asks a ledger that has refused: an outage costs calls their limits, not their time."""

FULL_FOR_S = 1.0
"""For so long a counter that is full is not asked again: a flood of refused calls costs a write a second."""

COMMIT_EVERY_S = 0.02
"""What is counted on the event loop is written so much later at most, that of many calls at once."""

LONGEST_WAIT_S = 10.0
"""For calls of this process to settle, where only what is set aside for calls is in the way."""

RECORDED_A_MINUTE = 60
"""Refusals by one counter that a process puts on record; the others are counted."""

MOST_NEEDED = 10**18
"""What a call is taken to need at most, whatever it says: engines cannot add up numbers of any size."""

_REMEMBERED = 10_000


class _Counted(NamedTuple):
    """A limit that holds for a call, and the counter of the minute, day or month that it is in."""

    limit: Limit
    counter: Counter
    ends: datetime


class _Counting(NamedTuple):
    minute: datetime
    holding: Sequence[tuple[Limit, Subject]]
    counted: tuple[_Counted, ...]


@dataclass(frozen=True, slots=True)
class Share:
    """A limit that holds for a call, and what the call takes of it."""

    limit: Limit
    take: Take
    ends: datetime

    def standing(self, tally: Tally, at: datetime) -> Standing:
        return Standing(self.limit, tally.used, max(0.0, (self.ends - at).total_seconds()))


@dataclass(slots=True)
class Admission:
    """What the limits say of a call. `refusal`: it may not be made, nothing is set aside for it, `counter` is full."""

    standings: tuple[Standing, ...]
    shares: tuple[Share, ...] = ()
    limits: "Limits | None" = None
    refusal: LimitExceeded | None = None
    counter: Counter | None = None
    _settling: "asyncio.Task[None] | None" = None

    def settle(self, record: Record | None) -> None:
        """With what the call came to; None if it was not made. The first time counts. Raises nothing."""
        shares, self.shares = self.shares, ()
        if shares and self.limits is not None:
            self._settling = self.limits.settle(shares, record)

    async def settled(self) -> None:
        """Returns when nothing is under way any more."""
        if self._settling is not None:
            await self._settling


class _Refusals(NamedTuple):
    minute: datetime
    recorded: int
    left_out: int


class Limits:
    """Used from one event loop. `now` gives UTC instants, `clock` seconds for measuring.

    A ledger that refuses stops no call: it is made without limits, and its record says so.
    """

    def __init__(
        self,
        book: LimitBook,
        counters: CounterStore,
        recorder: Recorder,
        *,
        now: Callable[[], datetime],
        clock: Callable[[], float],
        deadlines: Deadlines = NO_DEADLINES,
    ) -> None:
        """`deadlines` are the process's own, for calls that say nothing else."""
        self._book = book
        self._counters = counters
        self._recorder = recorder
        self._now, self._clock = now, clock
        self._deadlines = deadlines
        self._out_of_reach_until = -math.inf
        self._full: dict[Counter, tuple[float, Tally]] = {}
        self._refusals: dict[Counter, _Refusals] = {}
        self._counting: dict[tuple[str, Caller], _Counting] = {}
        self._commits_at = -math.inf
        self._lines = Lines()

    async def admit(self, attempt: Attempt[Call]) -> Admission | None:
        """What is set aside for the call, noted in the attempt; None if no limit holds for it."""
        ask = attempt.ask
        try:
            rules = await self._book.rules(ask.workspace)
            if not rules:
                return None
            caller = Caller(ask.key or OPERATOR, ask.customer_identifier, ask.application, ask.intent)
            holding = rules.of(caller)
            if not holding:
                return None
            if self._clock() < self._out_of_reach_until:
                attempt.notices += (NOT_ENFORCED,)
                return None
            admission = await self._admission(ask, caller, holding, attempt.accepted_at, self._patience_s(attempt))
        except LedgerUnavailable:
            logger.exception("limits not enforced", extra={"record_id": attempt.id})
            self._out_of_reach_until = self._clock() + OUT_OF_REACH_S
            attempt.notices += (NOT_ENFORCED,)
            return None
        attempt.admission = admission
        attempt.notices += tuple(_warnings(admission.standings))
        return admission

    async def keep_refusal(self, attempt: Attempt[Call], admission: Admission) -> bool:
        """Whether it is on record. Of a flood of refusals only so many a minute are."""
        error = admission.refusal
        if error is None or admission.counter is None:
            return False
        counter = admission.counter._replace(window="", expires=0)
        minute = minute_of(attempt.accepted_at)
        seen = self._refusals.get(counter, _Refusals(minute, 0, 0))
        recorded = seen.recorded if seen.minute == minute else 0
        if recorded >= RECORDED_A_MINUTE:
            self._refusals[counter] = _Refusals(minute, recorded, seen.left_out + 1)
            return False
        if seen.left_out:
            attempt.notices += (f"{seen.left_out} refusals before this one are not on record",)
        _make_room(self._refusals)
        self._refusals[counter] = _Refusals(minute, recorded + 1, 0)
        return await self._recorder.keep_refusal(attempt, error, limit_code(error))

    def settle(self, shares: Sequence[Share], record: Record | None) -> "asyncio.Task[None] | None":
        """What is still under way, if anything is. What cannot be settled counts as it was set aside."""
        settlements = [_settlement(share, record) for share in shares]
        try:
            if not self._counters.settle_now(settlements):
                return asyncio.create_task(self._settle(settlements, record))
            self._commit_soon()
        except LedgerUnavailable:
            _log_unsettled(record)
        self._lines.leave([settlement.counter for settlement in settlements], settled=True)
        return None

    async def _settle(self, settlements: Sequence[Settlement], record: Record | None) -> None:
        try:
            await asyncio.to_thread(self._counters.settle, settlements)
        except LedgerUnavailable:
            _log_unsettled(record)
        finally:
            self._lines.leave([settlement.counter for settlement in settlements], settled=True)

    def _commit_soon(self) -> None:
        """The first of many calls at once sees to it. A loop that ended before its time takes nobody else's with it."""
        loop = asyncio.get_running_loop()
        if loop.time() >= self._commits_at:
            self._commits_at = loop.time() + COMMIT_EVERY_S
            loop.call_at(self._commits_at, self._commit)

    def _commit(self) -> None:
        self._commits_at = -math.inf
        try:
            self._counters.commit()
        except LedgerUnavailable:
            logger.exception("use of the last moment not counted")
            self._out_of_reach_until = self._clock() + OUT_OF_REACH_S

    def _patience_s(self, attempt: Attempt[Call]) -> float:
        """How long the call may wait: not longer than it may take as a whole."""
        routing = attempt.ask.routing
        total_s = (self._deadlines if routing is None else routing.deadlines.over(self._deadlines)).total_s
        if not total_s:
            return LONGEST_WAIT_S
        return min(LONGEST_WAIT_S, total_s - self._recorder.elapsed_ms(attempt) / 1000)

    async def _admission(
        self,
        ask: Ask[Call],
        caller: Caller,
        holding: Sequence[tuple[Limit, Subject]],
        at: datetime,
        patience_s: float,
    ) -> Admission:
        needs = _needs(ask, holding, at)
        place = Place(self._lines)
        until = self._clock() + patience_s
        try:
            while True:
                counted = self._counted(ask.workspace, caller, holding, minute_of(at))
                shares = [_share(each, need) for each, need in zip(counted, needs, strict=True)]
                if (full := self._known_to_be_full(shares, at)) is not None:
                    return full
                admission, may_free = await self._try(shares, place, at)
                if admission.refusal is None or admission.counter is None or not may_free:
                    return admission
                if not await place.wait(admission.counter, until - self._clock()):
                    return admission
                at = self._now()
        finally:
            place.quit()

    def _counted(
        self, workspace: str, caller: Caller, holding: Sequence[tuple[Limit, Subject]], minute: datetime
    ) -> tuple[_Counted, ...]:
        """Most calls come in the minute of the one before."""
        known = self._counting.get((workspace, caller))
        if known is not None and known.minute == minute and known.holding is holding:
            return known.counted
        counted = tuple(_counted_in(minute, workspace, *each) for each in holding)
        _make_room(self._counting)
        self._counting[workspace, caller] = _Counting(minute, holding, counted)
        return counted

    async def _try(self, shares: Sequence[Share], place: Place, at: datetime) -> tuple[Admission, bool]:
        """And whether what refuses may be free again before its window ends."""
        held = [share for share in shares if share.take.held]
        counters = [share.take.counter for share in held]
        self._lines.enter(counters)
        place.look(counters)
        try:
            takes = [share.take for share in shares]
            taken = self._counters.take_now(takes)
            if taken is None:
                taken = await asyncio.to_thread(self._counters.take, takes)
            else:
                self._commit_soon()
        except BaseException:
            self._lines.leave(counters, settled=False)
            raise
        standings = tuple(share.standing(tally, at) for share, tally in zip(shares, taken.tallies, strict=False))
        if not taken.refused:
            return Admission(standings, tuple(held), self), False
        refusing, tally = shares[len(standings) - 1], taken.tallies[-1]
        self._lines.leave(counters, settled=False)
        may_free = refusing.take.held and tally.settled < (refusing.take.most or 0)
        if not may_free:
            _make_room(self._full)
            self._full[refusing.take.counter] = (self._clock() + FULL_FOR_S, tally)
        return _refused(refusing, standings, soon=may_free), may_free

    def _known_to_be_full(self, shares: Sequence[Share], at: datetime) -> Admission | None:
        for share in shares if self._full else ():
            until, tally = self._full.get(share.take.counter, (-math.inf, Tally()))
            if share.take.most is not None and tally.settled >= share.take.most and self._clock() < until:
                return _refused(share, (share.standing(tally, at),), soon=False)
        return None


def _needs(ask: Ask[Call], holding: Sequence[tuple[Limit, Subject]], at: datetime) -> list[int]:
    """What the call is taken to need of each, in what it counts."""
    kinds = [kind_of(limit.measure) for limit, _ in holding]
    needs: dict[Kind, int] = {"requests": 1}
    if "tokens" in kinds or "spend" in kinds:
        tokens = estimate(ask.call)
        needs["tokens"] = tokens.total
        if "spend" in kinds:
            cost = estimated_cost(ask.model, tokens.prompt, tokens.completion, at)
            needs["spend"] = 0 if cost is None else units("spend_per_day", cost)
    return [min(needs[kind], MOST_NEEDED) for kind in kinds]


def _counted_in(minute: datetime, workspace: str, limit: Limit, subject: Subject) -> _Counted:
    window = window_of(limit.measure, minute)
    return _Counted(limit, counter_of(workspace, subject, limit.measure, *window), window.ends)


def _share(counted: _Counted, need: int) -> Share:
    limit, counter, ends = counted
    return Share(limit, Take(counter, need, limit.measure != "requests_per_minute", limit.units), ends)


def _refused(share: Share, standings: tuple[Standing, ...], *, soon: bool) -> Admission:
    """`soon`: what is in the way is only set aside."""
    limit, standing = share.limit, standings[-1]
    retry_after_s = 1 if soon else max(1, math.ceil(standing.resets_in_s))
    what, period = limit.measure.split("_per_")
    most = _shown(limit, limit.units or 0)
    used = _shown(limit, standing.used)
    why = (
        "of which a part is set aside for calls that are being made"
        if soon
        else f"and the {period} ends at {share.ends:%Y-%m-%dT%H:%M:%SZ}"
    )
    message = f"The limit of {what} per {period} for this {limit.subject.per} is reached: {used} of {most} used, {why}."
    error = LimitExceeded(message, of=kind_of(limit.measure), retry_after_s=retry_after_s, for_now=soon)
    return Admission(standings, refusal=error, counter=share.take.counter)


def _settlement(share: Share, record: Record | None) -> Settlement:
    """A call that failed has used what its provider said, or nothing. Of one that ended amid its answer the estimate
    holds where nobody said: its provider asks for what it had made, and its caller has that."""
    take = share.take
    used = 0 if record is None else used_by(share.limit.measure, record)
    if used is None:
        failed = record is not None and record.outcome == "error" and record.first_token_ms is None
        used = 0 if failed else take.amount
    return Settlement(take.counter, used - take.amount, -take.amount)


def _log_unsettled(record: Record | None) -> None:
    logger.exception("use not settled", extra={"record_id": None if record is None else record.id})


def _warnings(standings: Sequence[Standing]) -> Iterator[str]:
    for standing in standings:
        limit, warns_from = standing.limit, standing.limit.warning_units
        if warns_from is not None and standing.used >= warns_from:
            used, level = _shown(limit, standing.used), _shown(limit, warns_from)
            yield f"{limit.measure} of this {limit.subject.per}: {used} used, at or above the warning level {level}"


def _shown(limit: Limit, units: int) -> str:
    return f"{amount(limit.measure, units).normalize():f}" + (" USD" if is_spend(limit.measure) else "")


def _make_room(remembered: dict[Any, Any]) -> None:
    if len(remembered) >= _REMEMBERED:
        remembered.clear()
