"""`python -m tests.bench.ledger`: how fast the ledger takes records, in what memory, and what its lists read.

Weir has one core to itself, as `weir dev` with its ledger on a disk; the load has another. Nothing is asserted.
"""

import argparse
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tests.bench.load import Load, Question, percentile, put_load
from tests.bench.loops import run
from tests.bench.machine import cores, cpu_seconds, data_folder, on_core, rss_mb
from tests.bench.report import aligned
from tests.weir_process import WeirProcess
from weir.ledger.sqlite import SQLiteRecordStore
from weir.runtime.bootstrap import WORKSPACE

_ROWS = 200
_CONNECTIONS = 16
_SLICE_S = 2.0
_SENTENCE = "The gate at reach {n} was left open after the inspection; it was closed at noon and the log corrected. "
_LISTED = 50


class Stepped(SQLiteRecordStore):
    """Counts the steps that SQLite takes to answer."""

    steps = 0

    def _connect(self) -> sqlite3.Connection:
        connection = super()._connect()
        connection.set_progress_handler(self._step, 1)
        return connection

    def _step(self) -> None:
        self.steps += 1


def main() -> int:
    options = _options()
    weir_core, other_core = cores()
    with data_folder() as folder:
        with on_core(weir_core):
            weir = WeirProcess(folder)
        with weir, on_core(other_core):
            rows = list(_measure(weir, folder / "ledger.sqlite", options.records, options.seconds))
            weir.stop()
    sys.stdout.writelines(aligned([("what", "measured", "target"), *rows]))
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.ledger", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--records", type=int, default=1_000_000, help="to put in bulks (default: a million)")
    parser.add_argument("--seconds", type=float, default=5, help="of single creates (default: 5)")
    return parser.parse_args()


def _measure(weir: WeirProcess, database: Path, records: int, seconds: float) -> Iterator[tuple[str, ...]]:
    bulk = Question("POST", f"{weir.url}/api/request-logs/bulk/", {"logs": [_log(n) for n in range(_ROWS)]}, weir.key)
    single = Question("POST", f"{weir.url}/api/request-logs/create/", _log(0), weir.key)
    _put(bulk, connections=1, seconds=0.3)
    few = _count(database)
    read_of_few = _list(database)
    with _cpu(weir) as cpu:
        load = _put(single, connections=_CONNECTIONS, seconds=seconds)
    yield f"single creates, {_CONNECTIONS} connections", f"{load.per_second:.0f}/s", ">= 1000/s"
    yield "  p50, p99", f"{percentile(load.whole_ms, 0.5):.1f} ms, {percentile(load.whole_ms, 0.99):.1f} ms", ""
    yield "  processor time", f"{cpu[0] * 1000 / max(1, load.answered):.2f} ms each", ""

    acknowledged = few + load.answered
    begun, at_a_tenth = time.perf_counter(), 0.0
    with _cpu(weir) as cpu, _progress(records) as moved:
        put = 0
        while put < records:
            sent = _put(bulk, connections=2, seconds=_SLICE_S).answered * _ROWS
            put += sent
            moved(sent)
            if not at_a_tenth and put >= records / 10:
                at_a_tenth = rss_mb(weir.pid)
    rate = put / (time.perf_counter() - begun)
    yield f"{put} records of 2 KB in bulks of {_ROWS}", f"{rate:.0f}/s", ">= 3000/s"
    yield "  processor time", f"{cpu[0] * 1000 / put:.3f} ms each", ""
    yield "  memory after a tenth, and at the end", f"{at_a_tenth:.0f} MB, {rss_mb(weir.pid):.0f} MB", "flat"
    many = _count(database)
    yield "acknowledged, stored", f"{acknowledged + put}, {many}", "equal"
    for count, (steps, ms) in ((few, read_of_few), (many, _list(database))):
        yield f"the newest {_LISTED} of {count}", f"{steps} steps, {ms:.2f} ms", "the same"


def _log(n: int) -> dict[str, Any]:
    """2 KB of JSON."""
    text = _SENTENCE.format(n=n) * 8
    return {
        "model": "gpt-4o",
        "prompt_messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": text}],
        "completion_message": {"role": "assistant", "content": text},
        "prompt_tokens": 190,
        "completion_tokens": 180,
        "latency": 1.25,
        "customer_identifier": f"customer-{n}",
        "metadata": {"feature": "summary"},
    }


def _put(question: Question, *, connections: int, seconds: float) -> Load:
    return run(put_load(question, connections=connections, seconds=seconds))


def _count(database: Path) -> int:
    with closing(sqlite3.connect(database)) as connection:
        (count,) = connection.execute("SELECT count(*) FROM records").fetchone()
    return int(count)


def _list(database: Path) -> tuple[int, float]:
    with closing(Stepped(database)) as store:
        store.newest(WORKSPACE, limit=1)
        store.steps = 0
        begun = time.perf_counter()
        store.newest(WORKSPACE, limit=_LISTED)
        return store.steps, (time.perf_counter() - begun) * 1000


@contextmanager
def _cpu(weir: WeirProcess) -> Iterator[list[float]]:
    """Its processor time inside, known at the end."""
    before, found = cpu_seconds(weir.pid), [0.0]
    yield found
    found[0] = cpu_seconds(weir.pid) - before


@contextmanager
def _progress(total: int) -> Iterator[Any]:
    columns = (TextColumn("bulks"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("", total=total)
        yield lambda count: progress.advance(task, count)


if __name__ == "__main__":
    sys.exit(main())
