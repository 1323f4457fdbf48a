"""What limits are counted by, and what they need of an engine. Calls block; they are made off the event loop.

A counter counts one measure of one subject in one window. Every engine passes tests/ledger/test_counter_contract.py.
"""

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import NamedTuple, Protocol

from weir.domain.limit import Measure, Subject

_KEPT = timedelta(days=1)
"""How long a counter outlives its window: a call may end long after it began."""


class Counter(NamedTuple):
    """`subject` is a digest: what counts a customer does not name it. `expires` is Unix time."""

    workspace: str
    subject: str
    measure: Measure
    window: str
    expires: int


class Take(NamedTuple):
    """`held`: the amount is an estimate, and what was really used is told by a Settlement. None for `most`: any."""

    counter: Counter
    amount: int
    held: bool = False
    most: int | None = None


class Settlement(NamedTuple):
    """What is added to a counter after the fact, mostly something negative."""

    counter: Counter
    used: int
    held: int = 0


class Tally(NamedTuple):
    """What a counter says: all that was used or is set aside for calls that run, and how much of it the latter is."""

    used: int = 0
    held: int = 0

    @property
    def settled(self) -> int:
        return self.used - self.held


class Taken(NamedTuple):
    """A tally for each take, as it was after it; if one was refused, the last tally is the one that refused it."""

    tallies: tuple[Tally, ...]
    refused: bool = False


class CounterStore(Protocol):
    """Every method raises LedgerUnavailable when the engine refuses."""

    def take(self, takes: Sequence[Take]) -> Taken:
        """All or nothing. A take is refused when its counter has come to its `most`, so it passes by one take at most.

        Of many at once, in whatever processes, none is counted twice or not at all.
        """
        ...

    def take_now(self, takes: Sequence[Take]) -> Taken | None:
        """`take`, on the event loop, or None and nothing is taken where that would have to wait for anything.

        A `commit` has to follow soon: until then others may have to wait for their turn to count, and a process that is
        killed takes it with it.
        """
        ...

    def settle(self, settlements: Sequence[Settlement]) -> None: ...

    def settle_now(self, settlements: Sequence[Settlement]) -> bool:
        """As `take_now`; False when nothing was settled."""
        ...

    def commit(self) -> None:
        """On the event loop. When it raises, what was taken or settled now since the last one may not be counted."""
        ...

    def read(self, counters: Sequence[Counter]) -> tuple[Tally, ...]: ...

    def close(self) -> None: ...


def counter_of(workspace: str, subject: Subject, measure: Measure, window: str, ends: datetime) -> Counter:
    return Counter(workspace, _digest(subject), measure, window, _expiry(ends))


@lru_cache(maxsize=64)
def _expiry(ends: datetime) -> int:
    return int((ends + _KEPT).timestamp())


@lru_cache(maxsize=10_000)
def _digest(subject: Subject) -> str:
    named = ascii(tuple(subject)).encode()  # tells apart whatever names may hold
    return hashlib.blake2b(named, digest_size=16, person=b"weir limit v1").hexdigest()


def returned(takes: Sequence[Take]) -> tuple[Settlement, ...]:
    """What undoes them."""
    return tuple(Settlement(take.counter, -take.amount, -take.amount if take.held else 0) for take in takes)
