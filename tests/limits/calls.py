"""A call of Ann's, and limits that hold for it by a clock of the test's own."""

from collections.abc import Callable
from datetime import UTC, datetime

from weir.domain.chat import ChatCall
from weir.domain.routing import NO_DEADLINES, Deadlines
from weir.ledger.counters import CounterStore
from weir.runtime.bootstrap import Runtime
from weir.services.attempt import Ask, Recorder
from weir.services.limits import Limits

NOON = datetime(2026, 3, 1, 12, 0, 20, tzinfo=UTC)
ASK = Ask(
    call=ChatCall(model="m", messages=(), max_tokens=100),
    model="openai/m",
    workspace="main",
    environment="prod",
    request=b"{}",
    customer_identifier="ann",
)


def limits_of(
    runtime: Runtime,
    counters: CounterStore,
    now: Callable[[], datetime],
    clock: Callable[[], float],
    deadlines: Deadlines = NO_DEADLINES,
) -> Limits:
    recorder = Recorder(runtime.ledger, frozenset(), now=now, new_id=runtime.new_id, clock=clock)
    return Limits(runtime.limits, counters, recorder, now=now, clock=clock, deadlines=deadlines)
