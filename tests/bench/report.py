"""The figures as a table, each beside what it should be."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from tests.bench.codec import Codec
from tests.bench.load import Load, percentile
from tests.bench.provider import CHUNKS


@dataclass(frozen=True, slots=True)
class Measured:
    """One phase: `<kind>, <direct or Weir>, <connections>`. `cpu_ms` is Weir's processor time for one answer."""

    name: str
    through_weir: bool
    load: Load
    cpu_ms: float | None

    @property
    def figures(self) -> dict[str, float | int | None]:
        return {
            "answered": self.load.answered,
            "refused": self.load.refused,
            "per_second": round(self.load.per_second, 1),
            "p50_ms": round(percentile(self.load.whole_ms, 0.5), 3),
            "p99_ms": round(percentile(self.load.whole_ms, 0.99), 3),
            "first_p50_ms": round(percentile(self.load.first_ms, 0.5), 3),
            "first_p99_ms": round(percentile(self.load.first_ms, 0.99), 3),
            "cpu_ms": None if self.cpu_ms is None else round(self.cpu_ms, 3),
        }


_HEADINGS = ("", "per second", "p50 ms", "p99 ms", "first p50", "first p99", "CPU ms")


def table(measured: Sequence[Measured], rss_mb: float, codec: Codec) -> str:
    rows = [_HEADINGS, *(_row(phase) for phase in measured if not phase.name.endswith("warm-up"))]
    return "".join([*_aligned(rows), "\n", *_aligned(_verdicts(measured, rss_mb, codec))])


def _row(phase: Measured) -> tuple[str, ...]:
    load = phase.load
    times = [percentile(times, share) for times in (load.whole_ms, load.first_ms) for share in (0.5, 0.99)]
    cpu = "" if phase.cpu_ms is None else f"{phase.cpu_ms:.2f}"
    return (phase.name, f"{load.per_second:.0f}", *(f"{time:.2f}" for time in times), cpu)


def _verdicts(measured: Sequence[Measured], rss_mb: float, codec: Codec) -> Iterator[tuple[str, ...]]:
    by_name = {phase.name: phase.load for phase in measured}

    def added(kind: str, connections: int, *, first: bool = False) -> float:
        weir, direct = (by_name[f"{kind}, {way}, {connections}"] for way in ("Weir", "direct"))
        return percentile(weir.first_ms if first else weir.whole_ms, 0.5) - percentile(
            direct.first_ms if first else direct.whole_ms, 0.5
        )

    def share(kind: str) -> str:
        weir, direct = (by_name[f"{kind}, {way}, 16"].per_second for way in ("Weir", "direct"))
        return f"{weir / direct:.0%} of direct"

    yield "what", "measured", "target", ""
    yield "added p50, 1 connection", f"{added('answers', 1):.2f} ms", "<= 2.5 ms", _met(added("answers", 1) <= 2.5)
    rate = by_name["answers, Weir, 16"].per_second
    yield "answers, 16 connections", f"{rate:.0f}/s", ">= 1200/s", _met(rate >= 1200), share("answers")
    first = added("streams", 1, first=True)
    yield "added first chunk, 1 connection", f"{first:.2f} ms", "<= 1.5 ms", _met(first <= 1.5)
    rate = by_name["streams, Weir, 16"].per_second
    yield (
        f"streams of {CHUNKS} chunks, 16 connections",
        f"{rate:.0f}/s",
        ">= 800/s",
        _met(rate >= 800),
        share("streams"),
    )
    rate = by_name["piecewise, Weir, 16"].per_second
    yield "the same, every chunk by itself", f"{rate:.0f}/s", "", "", share("piecewise")
    yield "RSS, peak", f"{rss_mb:.0f} MB", "<= 120 MB", _met(rss_mb <= 120)
    yield "decoder, a chunk", f"{codec.decode_us:.1f} us"
    yield "encoder, a chunk", f"{codec.encode_us:.1f} us"


def _met(met: bool) -> str:
    return "met" if met else "MISSED"


def _aligned(rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Rows as lines, the first column flush left and the others flush right."""
    kept = list(rows)
    count = max(len(row) for row in kept)
    filled = [(*row, *[""] * (count - len(row))) for row in kept]
    widths = [max(len(row[at]) for row in filled) for at in range(count)]
    for row in filled:
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        yield "  ".join(cells).rstrip() + "\n"
