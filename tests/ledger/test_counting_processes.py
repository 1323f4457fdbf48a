"""Several processes count in one file of SQLite's, on their event loops and off them."""

import asyncio
import multiprocessing
import os
import signal
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from weir.domain.limit import Subject
from weir.ledger.counters import Settlement, Take, Tally, counter_of
from weir.ledger.sqlite_counters import SQLiteCounterStore

ENDS = datetime(2126, 3, 1, 12, 1, tzinfo=UTC)
TOKENS = counter_of("main", Subject("key", "0k3j9x2m4p7q"), "tokens_per_minute", "212603011200", ENDS)
PROCESSES, CALLS, EVERY_S = 3, 400, 0.02
SPAWN = multiprocessing.get_context("spawn")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "counted"


def store(path: Path) -> SQLiteCounterStore:
    return SQLiteCounterStore(path, now=lambda: ENDS)


def calls(path: Path, most: int) -> int:
    """Of a process: how many were let through, each of which uses 2 of the 5 that it sets aside."""
    return asyncio.run(_calls(path, most))


async def _calls(path: Path, most: int) -> int:
    loop, commits_at, admitted = asyncio.get_running_loop(), 0.0, 0
    with closing(store(path)) as counters:
        for _ in range(CALLS):
            take = [Take(TOKENS, 5, held=True, most=most)]
            taken = counters.take_now(take)
            if taken is None:
                taken = await asyncio.to_thread(counters.take, take)
            if not taken.refused:
                admitted += 1
                await asyncio.sleep(0)
                used = [Settlement(TOKENS, -3, -5)]
                if not counters.settle_now(used):
                    await asyncio.to_thread(counters.settle, used)
            if loop.time() >= commits_at:
                commits_at = loop.time() + EVERY_S
                loop.call_at(commits_at, counters.commit)
    return admitted


def killed_amid_it(path: Path) -> None:
    counters = store(path)
    counters.take([Take(TOKENS, 1)])
    counters.take_now([Take(TOKENS, 10)])
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("most", [10**9, 300])
def test_they_count_every_call_once_and_no_more_than_the_limit(path: Path, most: int) -> None:
    with ProcessPoolExecutor(PROCESSES, mp_context=SPAWN) as processes:
        running = [processes.submit(calls, path, most) for _ in range(PROCESSES)]
        admitted = sum(each.result() for each in running)
    with closing(store(path)) as counters:
        assert counters.read([TOKENS]) == (Tally(2 * admitted),)
    assert admitted == PROCESSES * CALLS if most == 10**9 else most - 5 * PROCESSES <= 2 * admitted < most + 5


def test_one_that_is_killed_amid_it_holds_up_nobody(path: Path) -> None:
    process = SPAWN.Process(target=killed_amid_it, args=(path,))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    with closing(store(path)) as counters:
        assert counters.read([TOKENS]) == (Tally(1),)
        counters.take([Take(TOKENS, 1)])
        assert counters.take_now([Take(TOKENS, 1)]) is not None
        assert counters.read([TOKENS]) == (Tally(3),)
