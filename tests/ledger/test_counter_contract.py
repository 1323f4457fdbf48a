"""What every engine does with the counters of limits."""

import errno
import fcntl
import gc
import os
import random
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.ledger.engines import DynamoDBAndS3, Engine, SQLiteAndFiles
from weir.domain.errors import LedgerUnavailable
from weir.domain.limit import Subject
from weir.ledger import sqlite_counters
from weir.ledger.counters import Counter, CounterStore, Settlement, Take, Taken, Tally, counter_of
from weir.ledger.sqlite_counters import SQLiteCounterStore

ENDS = datetime(2126, 3, 1, 12, 1, tzinfo=UTC)
"""Ahead of every engine's own clock: none of them is to be swept away meanwhile."""

BEGUN = ENDS - timedelta(minutes=1)
REQUESTS = counter_of("main", Subject("key", "0k3j9x2m4p7q"), "requests_per_minute", "212603011200", ENDS)
TOKENS = REQUESTS._replace(measure="tokens_per_minute")
SPEND = REQUESTS._replace(measure="spend_per_month", window="212603")


def request(most: int | None = None, counter: Counter = REQUESTS) -> Take:
    return Take(counter, 1, most=most)


def tokens(amount: int, most: int | None = None, counter: Counter = TOKENS) -> Take:
    return Take(counter, amount, held=True, most=most)


def test_what_is_taken_adds_up(counters: CounterStore) -> None:
    assert counters.read([REQUESTS, TOKENS]) == (Tally(), Tally())
    assert counters.take([request(), tokens(10)]) == Taken((Tally(1), Tally(10, 10)))
    assert counters.take([tokens(5), request()]) == Taken((Tally(15, 15), Tally(2)))
    assert counters.read([TOKENS, REQUESTS, SPEND]) == (Tally(15, 15), Tally(2), Tally())


def test_another_process_sees_it_at_once(engine: Engine, counters: CounterStore) -> None:
    counters.take([request()])
    with closing(engine.counters()) as other:
        assert other.take([request()]) == Taken((Tally(2),))
    assert counters.read([REQUESTS]) == (Tally(2),)


def test_a_counter_refuses_from_its_limit_on(counters: CounterStore) -> None:
    taken = [counters.take([request(most=3)]) for _ in range(5)]
    assert taken == [Taken((Tally(used),)) for used in (1, 2, 3)] + [Taken((Tally(3),), refused=True)] * 2
    assert counters.take([request(most=4)]) == Taken((Tally(4),))


def test_the_last_take_may_be_larger_than_what_is_left(counters: CounterStore) -> None:
    assert not counters.take([tokens(99, most=100)]).refused
    assert counters.take([tokens(50, most=100)]) == Taken((Tally(149, 149),))
    assert counters.take([tokens(1, most=100)]) == Taken((Tally(149, 149),), refused=True)


def test_a_limit_of_nothing_admits_nothing(counters: CounterStore) -> None:
    assert counters.take([request(most=0)]) == Taken((Tally(),), refused=True)
    assert counters.read([REQUESTS]) == (Tally(),)


def test_what_is_settled_makes_room(counters: CounterStore) -> None:
    counters.take([tokens(100, most=100)])
    counters.settle([Settlement(TOKENS, -70, -100)])
    assert counters.take([tokens(70, most=100)]) == Taken((Tally(100, 70),))
    counters.settle([Settlement(TOKENS, 25, -70)])
    assert counters.read([TOKENS]) == (Tally(125),)
    assert counters.take([tokens(1, most=100)]) == Taken((Tally(125),), refused=True)


def test_all_is_taken_or_nothing(counters: CounterStore) -> None:
    counters.take([request(), tokens(10)])
    refused = counters.take([request(most=5), tokens(3, most=10), Take(SPEND, 7, held=True)])
    assert refused == Taken((Tally(1), Tally(10, 10)), refused=True)
    assert counters.read([REQUESTS, TOKENS, SPEND]) == (Tally(1), Tally(10, 10), Tally())


def test_counters_are_apart(counters: CounterStore) -> None:
    subject = Subject("intent", "CHAT", "shop")
    subjects = [
        subject,
        Subject("customer", "CHAT", "shop"),
        Subject("intent", "shop", "CHAT"),
        Subject("intent", "CHAT"),
        Subject("intent", "b', 'c", "a"),
        Subject("intent", "c", "a', 'b"),
        Subject("customer", "\N{SNOWMAN}\0" * 300),
    ]
    others = [counter_of("main", named, "requests_per_minute", "212603011200", ENDS) for named in subjects]
    others += [
        counter_of("main#used", subject, "requests_per_minute", "212603011200", ENDS),
        counter_of("größe/%23", subject, "requests_per_minute", "212603011200", ENDS),
        counter_of("main", subject, "requests_per_minute", "212603011201", ENDS),
        counter_of("main", subject, "tokens_per_minute", "212603011200", ENDS),
    ]
    for amount, counter in enumerate(others, start=1):
        counters.take([Take(counter, amount)])
    assert counters.read(others) == tuple(Tally(amount) for amount in range(1, len(others) + 1))


def test_spend_is_counted_to_the_trillionth(counters: CounterStore) -> None:
    million = 10**6 * 10**12
    assert counters.take([Take(SPEND, million, held=True)]) == Taken((Tally(million, million),))
    counters.settle([Settlement(SPEND, 1, -million)])
    assert counters.take([Take(SPEND, 1, most=million)]) == Taken((Tally(million + 1),), refused=True)


def test_of_200_at_once_50_get_in(engine: Engine) -> None:
    stores = [engine.counters() for _ in range(4)]
    with ThreadPoolExecutor(16) as threads:
        taken = list(threads.map(lambda at: stores[at % 4].take([request(most=50), tokens(1)]), range(200)))
    assert sum(not each.refused for each in taken) == 50
    assert stores[0].read([REQUESTS, TOKENS]) == (Tally(50), Tally(50, 50))
    for store in stores:
        store.close()


def test_what_cannot_be_counted_is_said(engine: Engine, counters: CounterStore) -> None:
    counters.take([request()])
    with engine.broken():
        for asked in (
            lambda: counters.take([request()]),
            lambda: counters.settle([Settlement(REQUESTS, 1)]),
            lambda: counters.read([REQUESTS]),
        ):
            with pytest.raises(LedgerUnavailable):
                asked()
    assert counters.take([request()]) == Taken((Tally(2),))


def test_what_is_over_is_swept_away(tmp_path: Path) -> None:
    clock = [BEGUN]
    with closing(SQLiteCounterStore(tmp_path / "counted", now=lambda: clock[0])) as counters:
        begun = int(BEGUN.timestamp())
        old, new = REQUESTS._replace(expires=begun + 100), TOKENS._replace(expires=begun + 1000)
        counters.take([request(counter=old), request(counter=new)])
        clock[0] += timedelta(seconds=101)
        for _ in range(1_000):
            counters.take_now([request(counter=new)])
            counters.commit()
        assert counters.take_now([request(counter=new)]) is None
        counters.take([request(counter=new)])
        assert counters.read([old, new]) == (Tally(), Tally(1_002))


def test_what_can_be_done_now_is_what_would_be_done(tmp_path: Path) -> None:
    with closing(SQLiteCounterStore(tmp_path / "counted", now=lambda: BEGUN)) as counters:
        assert (counters.take_now([request()]), counters.settle_now([Settlement(TOKENS, 1)])) == (None, False)
        counters.take([request(), tokens(10)])
        assert counters.take_now([request(most=2), tokens(5, most=11)]) == Taken((Tally(2), Tally(15, 15)))
        refused = Taken((Tally(2), Tally(15, 15)), refused=True)
        assert counters.take_now([request(), tokens(5, most=11)]) == counters.take([request(), tokens(5, most=11)])
        assert counters.take_now([request(), tokens(5, most=11)]) == refused
        assert counters.settle_now([Settlement(TOKENS, -5, -10)])
        assert counters.read([REQUESTS, TOKENS]) == (Tally(2), Tally(10, 5))


def test_nobody_waits_for_another_process_on_the_event_loop(tmp_path: Path) -> None:
    path = tmp_path / "counted"
    with closing(SQLiteCounterStore(path, now=lambda: BEGUN)) as counters:
        counters.take([request()])
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            assert (counters.take_now([request()]), counters.settle_now([Settlement(TOKENS, 1)])) == (None, False)
            other.execute("ROLLBACK")
        assert counters.take_now([request()]) == Taken((Tally(2),))


def test_what_is_taken_now_is_written_by_a_commit(tmp_path: Path) -> None:
    path = tmp_path / "counted"
    with closing(SQLiteCounterStore(path, now=lambda: BEGUN)) as counters:
        counters.take([request()])
        assert counters.take_now([request(), tokens(5)]) == Taken((Tally(2), Tally(5, 5)))
        assert counters.settle_now([Settlement(TOKENS, -2, -5)])
        assert counters.take_now([request(), tokens(7)]) == Taken((Tally(3), Tally(10, 7)))
        assert written(path) == {"requests_per_minute": (1, 0)}
        counters.commit()
        assert written(path) == {"requests_per_minute": (3, 0), "tokens_per_minute": (10, 7)}
        counters.commit()
        assert counters.read([REQUESTS, TOKENS]) == (Tally(3), Tally(10, 7))


def test_a_store_that_is_closed_or_forgotten_has_written_everything(tmp_path: Path) -> None:
    path = tmp_path / "counted"
    for end in (SQLiteCounterStore.close, lambda _: None):
        counters = SQLiteCounterStore(path, now=lambda: BEGUN)
        before = counters.take([request()]).tallies[0].used
        counters.take_now([request()])
        end(counters)
        del counters
        gc.collect()
        assert written(path) == {"requests_per_minute": (before + 1, 0)}


def test_another_process_waits_for_what_is_not_written_yet(tmp_path: Path) -> None:
    path = tmp_path / "counted"
    with (
        closing(SQLiteCounterStore(path, now=lambda: BEGUN)) as counters,
        closing(SQLiteCounterStore(path, now=lambda: BEGUN)) as other,
        ThreadPoolExecutor(1) as elsewhere,
    ):
        counters.take([request()])
        counters.take_now([request()])
        taken = elsewhere.submit(other.take, [request()])
        counters.commit()
        assert taken.result() == Taken((Tally(3),))


def test_nobody_waits_for_a_process_that_stands_still_while_it_looks_for_company(tmp_path: Path) -> None:
    path = tmp_path / "counted"
    with closing(SQLiteCounterStore(path, now=lambda: BEGUN)) as counters, ThreadPoolExecutor(1) as elsewhere:
        with path.with_name("counted-users").open("w") as users:
            fcntl.flock(users, fcntl.LOCK_EX)
            taken = [elsewhere.submit(take, [request()]) for take in (counters.take, counters.take_now)]
            wait(taken, timeout=30)
            assert [each.done() for each in taken] == [True, True]
        assert written(path) == {"requests_per_minute": (2, 0)}  # that was no time to be taken for alone
        counters.take_now([request()])
        assert written(path) == {"requests_per_minute": (2, 0)}


def test_many_wait_no_longer_than_one_for_a_process_that_stands_still(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "counted"
    monkeypatch.setattr(sqlite_counters, "_WAIT_S", 0.2)
    with closing(SQLiteCounterStore(path, now=lambda: BEGUN)) as counters, ThreadPoolExecutor(20) as threads:
        counters.take([request()])
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            begun = time.monotonic()
            waiting = [threads.submit(counters.take, [request()]) for _ in range(20)]
            assert [type(each.exception()) for each in waiting] == [LedgerUnavailable] * 20
            assert time.monotonic() - begun < 15 * 0.2
        assert counters.take([request()]) == Taken((Tally(2),))


def test_in_company_everything_is_written_at_once(tmp_path: Path) -> None:
    path = tmp_path / "counted"
    with closing(SQLiteCounterStore(path, now=lambda: BEGUN)) as counters:
        with closing(SQLiteCounterStore(path, now=lambda: BEGUN)) as other:
            for each in (counters, other):
                each.take([request()])
            for each in (counters, other, counters, other):
                assert each.take_now([request()]) is not None
                assert each.settle_now([Settlement(TOKENS, 1)])
            assert written(path) == {"requests_per_minute": (6, 0), "tokens_per_minute": (4, 0)}
        counters.take_now([request()])  # alone again
        assert written(path)["requests_per_minute"] == (6, 0)


def test_what_cannot_be_written_is_not_counted(tmp_path: Path) -> None:
    path = tmp_path / "counted"
    with closing(SQLiteCounterStore(path, now=lambda: BEGUN)) as counters:
        counters.take([request()])
        with closing(sqlite3.connect(path)) as other:
            other.execute("CREATE TRIGGER full BEFORE INSERT ON counters BEGIN SELECT RAISE(ABORT, 'full'); END")
        counters.take_now([request()])
        with pytest.raises(LedgerUnavailable):
            counters.commit()
        with closing(sqlite3.connect(path)) as other:
            other.execute("DROP TRIGGER full")
        assert counters.take([request()]) == Taken((Tally(2),))


def test_a_file_that_cannot_be_opened_is_said_and_leaves_nothing_open(tmp_path: Path) -> None:
    def refused(path: Path) -> set[str]:
        with pytest.raises(LedgerUnavailable):
            SQLiteCounterStore(path, now=lambda: BEGUN).take([request()])
        gc.collect()
        return open_files()

    before = open_files()
    (tmp_path / "text").write_bytes(b"not a database " * 100)
    (tmp_path / "counted-users").mkdir()
    assert [refused(path) for path in (tmp_path / "text", tmp_path / "counted", tmp_path / "text" / "counted")] == [
        before
    ] * 3


def test_where_files_cannot_be_locked_everything_is_written_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unsupported(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    path = tmp_path / "counted"
    with closing(SQLiteCounterStore(path, now=lambda: BEGUN)) as counters:
        counters.take([request()])
        monkeypatch.setattr(fcntl, "flock", unsupported)
        assert counters.take_now([request()]) == Taken((Tally(2),))
        assert counters.take([request()]) == Taken((Tally(3),))
        assert counters.take_now([request()]) == Taken((Tally(4),))
        assert written(path) == {"requests_per_minute": (4, 0)}
    with closing(SQLiteCounterStore(path, now=lambda: BEGUN)) as counters:
        assert counters.take([request()]) == Taken((Tally(5),))


def test_a_store_that_cannot_write_its_last_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "counted"
    counters = SQLiteCounterStore(path, now=lambda: BEGUN)
    counters.take([request()])
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TRIGGER full BEFORE INSERT ON counters BEGIN SELECT RAISE(ABORT, 'full'); END")
    counters.take_now([request()])
    counters.close()
    assert caplog.messages == ["use of the last moment not counted"]


def open_files() -> set[str]:
    return set(os.listdir("/dev/fd"))


def test_what_was_counted_is_when_its_log_cannot_be_moved(tmp_path: Path) -> None:
    path = tmp_path / "counted"

    def put_something_in_the_way() -> datetime:
        """When what has expired is swept away, which is just before."""
        path.rename(tmp_path / "elsewhere")
        path.mkdir()
        return BEGUN

    with closing(SQLiteCounterStore(path, now=put_something_in_the_way)) as counters:
        assert counters.take([request()]) == Taken((Tally(1),))
        assert counters.read([REQUESTS]) == (Tally(1),)


def test_a_sum_is_never_too_large_or_less_than_nothing(tmp_path: Path) -> None:
    with closing(SQLiteCounterStore(tmp_path / "counted", now=lambda: BEGUN)) as counters:
        for _ in range(10):
            counters.take([tokens(10**18, most=10**24)])
        assert counters.read([TOKENS]) == (Tally(2**63 - 1, 2**63 - 1),)
        counters.settle([Settlement(TOKENS, -(10**19), -(10**19))])
        assert counters.read([TOKENS]) == (Tally(),)


def written(path: Path) -> dict[str, tuple[int, int]]:
    """As another process sees it, by measure."""
    with closing(sqlite3.connect(path)) as other:
        return {
            measure: (used, held) for measure, used, held in other.execute("SELECT measure, used, held FROM counters")
        }


def test_nothing_is_made_before_something_is_counted(tmp_path: Path) -> None:
    SQLiteCounterStore(tmp_path / "counted", now=lambda: BEGUN).close()
    assert list(tmp_path.iterdir()) == []


def test_an_item_expires_and_names_nobody(dynamodb: DynamoDBAndS3) -> None:
    dynamodb.counters().take(
        [request(counter=counter_of("main", Subject("customer", "ann"), "spend_per_day", "x", ENDS))]
    )
    (_, arguments) = dynamodb.wire.calls[-1]
    assert arguments["ExpressionAttributeValues"][":expires"] == {"N": str(int(ENDS.timestamp()) + 24 * 3600)}
    assert "ann" not in str(arguments)


def test_a_take_is_one_write_and_no_read(dynamodb: DynamoDBAndS3) -> None:
    counters = dynamodb.counters()
    dynamodb.wire.calls.clear()
    counters.take([request(most=1), tokens(5, most=9)])
    counters.take([request(most=1), tokens(5, most=9)])
    counters.settle([Settlement(TOKENS, -1, -5)])
    assert [operation for operation, _ in dynamodb.wire.calls] == ["update_item"] * 4


def test_what_was_taken_before_the_engine_refused_is_given_back(dynamodb: DynamoDBAndS3) -> None:
    counters = dynamodb.counters()
    dynamodb.wire.refuses = lambda _, arguments: "tokens" in str(arguments)
    with pytest.raises(LedgerUnavailable):
        counters.take([request(), tokens(5)])
    assert counters.read([REQUESTS]) == (Tally(),)


@dataclass
class Model:
    """Calls that come, end and fail in any order, and what they came to."""

    counters: CounterStore
    counter: Counter
    most: int
    running: list[tuple[int, int]] = field(default_factory=list)
    used: int = 0

    def begin(self, estimate: int, actual: int) -> None:
        if not self.counters.take([Take(self.counter, estimate, held=True, most=self.most)]).refused:
            self.running.append((estimate, actual))

    def end(self, at: int, *, failed: bool) -> None:
        if self.running:
            estimate, actual = self.running.pop(at % len(self.running))
            used = 0 if failed else actual
            self.counters.settle([Settlement(self.counter, used - estimate, -estimate)])
            self.used += used


_numbers = count()
_calls = st.integers(0, 40).flatmap(lambda estimate: st.tuples(st.just(estimate), st.integers(0, estimate)))
_ends = st.tuples(st.integers(0, 50), st.booleans())


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    most=st.integers(0, 100),
    steps=st.lists(st.one_of(_calls.map(lambda c: ("begin", *c)), _ends.map(lambda e: ("end", *e))), max_size=60),
)
def test_no_order_of_calls_uses_more_than_the_limit_and_one_call(
    sqlite: SQLiteAndFiles, most: int, steps: list[tuple[str, int, int]]
) -> None:
    """As long as none uses more than it was taken to; by what it uses more, the sum may be over, too."""
    with closing(sqlite.counters()) as counters:
        model = Model(counters, TOKENS._replace(window=f"w{next(_numbers)}"), most)
        largest = 0
        for step, first, second in steps:
            if step == "begin":
                largest = max(largest, first)
                model.begin(first, second)
            else:
                model.end(first, failed=bool(second))
            held = sum(estimate for estimate, _ in model.running)
            assert counters.read([model.counter]) == (Tally(model.used + held, held),)
            assert model.used + held <= max(0, most - 1) + largest


def test_nor_do_many_threads(engine: Engine) -> None:
    most, largest = 300, 40
    chance = random.Random(7)
    calls = [(estimate := chance.randint(1, largest), chance.randint(0, estimate)) for _ in range(120)]
    with closing(engine.counters()) as counters, ThreadPoolExecutor(8) as threads:

        def call(each: tuple[int, int]) -> int | None:
            estimate, actual = each
            if counters.take([tokens(estimate, most=most)]).refused:
                return None
            counters.settle([Settlement(TOKENS, actual - estimate, -estimate)])
            return actual

        at_once = list(threads.map(call, calls))
        # What was refused only for what the others held just then is admitted when they hold it no more.
        again = [call(each) for each, used in zip(calls, at_once, strict=True) if used is None]
        used = sum(each for each in at_once + again if each is not None)
        assert counters.read([TOKENS]) == (Tally(used),)
    assert most <= used < most + largest
