"""`python -m tests.bench.formats`: what reading one chunk of a provider's stream costs, in every format.

Each decoder reads the same answer, chunk by chunk as a connection would deliver it; the fastest round of many counts.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

from tests.bench.machine import cores, on_core
from tests.bench.report import aligned
from tests.bench.written import Stream, streams

_PIECES = 300
THOUGHTS = [f"The gauge rose {at} mm " for at in range(_PIECES)]
TEXTS = [f"reach {at} is clear, " for at in range(_PIECES)]
ARGUMENTS = ['{"levels":[0', *(f", {at}.25" for at in range(_PIECES - 2)), "]}"]
_HEADINGS = ("us a chunk", "thinking", "text", "arguments")


@dataclass(frozen=True, slots=True)
class Cost:
    """Microseconds a chunk that holds one piece of the kind; None where the format does not stream it."""

    thinking: float | None
    text: float | None
    arguments: float | None


def measure(stream: Stream, seconds: float) -> Cost:
    """The runs of one answer, each by its fastest round."""
    rounds = [_round(stream)]
    stop = time.perf_counter() + seconds
    while time.perf_counter() < stop:
        rounds.append(_round(stream))
    return Cost(*(None if taken[0] is None else min(filter(None, taken)) for taken in zip(*rounds, strict=True)))


def _round(stream: Stream) -> list[float | None]:
    feed = stream.protocol.decoder().feed
    taken: list[float | None] = []
    for before, run in (
        (stream.begin, stream.thoughts),
        (stream.open_text, stream.texts),
        (stream.open_call, stream.arguments),
    ):
        for chunk in before:
            list(feed(chunk))
        begun = time.perf_counter()
        for chunk in run:
            list(feed(chunk))
        taken.append((time.perf_counter() - begun) * 1e6 / len(run) if run else None)
    return taken


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.formats", description="Microseconds a chunk of a stream, in every format."
    )
    parser.add_argument("--seconds", type=float, default=1, help="of each format (default: 1)")
    options = parser.parse_args()
    rows: list[Sequence[str]] = [_HEADINGS]
    with on_core(cores()[0]):
        for stream in streams(THOUGHTS, TEXTS, ARGUMENTS):
            cost = measure(stream, options.seconds)
            figures = (
                "-" if figure is None else f"{figure:.1f}" for figure in (cost.thinking, cost.text, cost.arguments)
            )
            rows.append((f"{stream.protocol.name} ({stream.protocol.provider})", *figures))
    sys.stdout.write("".join(aligned(rows)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
