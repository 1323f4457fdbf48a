"""Numbers for the calls that a process accepts, given before anything of them is stored.

They say what was accepted without asking what is stored: a number that no record has is a call that was lost between
the two. Each application's calls are numbered by themselves, under a random name of this process.
"""

import heapq
import secrets
from base64 import b32encode
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

_MOST_SERIES = 1_000
"""Applications that a process remembers; one that comes again after it was forgotten gets a new name."""


@dataclass(slots=True)
class _Series:
    writer: str
    last: int = 0
    free: list[int] = field(default_factory=list)


def random_writer() -> str:
    """8 characters, 40 random bits."""
    return b32encode(secrets.token_bytes(5)).decode().lower()


class Numbering:
    """For one event loop: not for several threads at once."""

    def __init__(self, writer: Callable[[], str] = random_writer) -> None:
        self._writer = writer
        self._series: OrderedDict[tuple[str, str | None], _Series] = OrderedDict()

    def next(self, workspace: str, application: str | None) -> str:
        """As a Record's `writer`."""
        series = self._series.get((workspace, application))
        if series is None:
            series = self._series[workspace, application] = _Series(self._writer())
            if len(self._series) > _MOST_SERIES:
                self._series.popitem(last=False)
        self._series.move_to_end((workspace, application))
        if series.free:
            number = heapq.heappop(series.free)
        else:
            number = series.last = series.last + 1
        return f"{series.writer}:{number}"

    def give_back(self, workspace: str, application: str | None, number: str) -> None:
        """The call was on record already, so that this number is nobody's; the next call takes it."""
        series = self._series.get((workspace, application))
        writer, _, text = number.rpartition(":")
        if series is not None and series.writer == writer:
            heapq.heappush(series.free, int(text))
