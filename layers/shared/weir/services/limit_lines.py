"""Waiting for room that calls of this process will make: what is set aside for them is more than most come to."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Iterable

from weir.ledger.counters import Counter

LONGEST_LINE = 256
"""Calls that wait at one counter; more do not."""


class _Line:
    def __init__(self) -> None:
        self.running = 0
        self.settled = 0
        self.waiting: deque[asyncio.Future[None]] = deque()

    def wake(self) -> None:
        """The first that still waits; it wakes the next one when it is through."""
        while self.waiting:
            first = self.waiting.popleft()
            if not first.done():
                first.set_result(None)
                return


class Lines:
    """Used from one event loop: a line at each counter from which calls of this process have something set aside."""

    def __init__(self) -> None:
        self._lines: dict[Counter, _Line] = {}

    def enter(self, counters: Iterable[Counter]) -> None:
        """A call is about to take something there. It has to leave, whatever becomes of it."""
        for counter in counters:
            self._lines.setdefault(counter, _Line()).running += 1

    def leave(self, counters: Iterable[Counter], *, settled: bool) -> None:
        """`settled`: there may be more room now."""
        for counter in counters:
            line = self._lines[counter]
            line.running -= 1
            line.settled += settled
            if settled or not line.running:
                line.wake()
            if not line.running and not line.waiting:
                del self._lines[counter]


class Place:
    """One call's in the lines, from its first try on."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self._stood: dict[Counter, _Line] = {}
        self._seen: dict[Counter, tuple[_Line, int]] = {}

    def look(self, counters: Iterable[Counter]) -> None:
        """Before a try: what settles from now on is not to be waited for."""
        there = self._lines._lines
        self._seen = {counter: (there[counter], there[counter].settled) for counter in counters if counter in there}

    async def wait(self, counter: Counter, seconds: float) -> bool:
        """True when the call may try again, False when nothing will change that this process knows of."""
        line, settled = self._seen[counter]
        if line.settled != settled:
            return True
        if not line.running or len(line.waiting) >= LONGEST_LINE or seconds <= 0:
            return False
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        (line.waiting.appendleft if counter in self._stood else line.waiting.append)(woken)
        self._stood[counter] = line
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await woken
        return True

    def quit(self) -> None:
        """The call is through: who stands behind it may try."""
        for line in self._stood.values():
            line.wake()
