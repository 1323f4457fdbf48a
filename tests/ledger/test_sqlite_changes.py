"""SQLite's change feed: what is kept is delivered until it is done, and nothing that came meanwhile is lost."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from tests.ledger.test_contract import NOON, keep, record
from weir.domain.annotation import Annotation
from weir.domain.record import Payload
from weir.ledger import payloads
from weir.ledger.changes import DeadLetter, Unreadable
from weir.ledger.files import FileBlobStore
from weir.ledger.keys import hour_of
from weir.ledger.ports import Entry
from weir.ledger.sqlite import SQLiteRecordStore
from weir.ledger.sqlite_changes import SQLiteChangeFeed, SQLiteDeadLetters

CONTENT = payloads.to_bytes(Payload(b"[1]", b"[2]", b"[3]"))


class Local:
    def __init__(self, folder: Path) -> None:
        self.records = SQLiteRecordStore(folder / "ledger.db")
        self.blobs = FileBlobStore(folder / "blobs")
        self.feed = SQLiteChangeFeed(self.records, self.blobs)
        self.letters = SQLiteDeadLetters(self.records)


@pytest.fixture
def local(tmp_path: Path) -> Iterator[Local]:
    found = Local(tmp_path)
    with closing(found.records):
        yield found


def ids(local: Local, limit: int = 10) -> list[str]:
    return [change.id for change in local.feed.next(limit)]


def test_what_is_kept_is_delivered_until_it_is_done(local: Local) -> None:
    first, second = record(random=1), record(random=2)
    keep(local.records, Entry(first, CONTENT), Entry(second, CONTENT))
    keep(local.records, Entry(first, CONTENT))  # the same again changes nothing
    assert ids(local) == ids(local) == [first.id, second.id]
    local.feed.done(local.feed.next(1))
    (change,) = local.feed.next(10)
    assert (change.record(), change.payload()) == (second, Payload(b"[1]", b"[2]", b"[3]"))
    assert (local.feed.pending(), local.feed.oldest()) == (1, second.id)
    local.feed.done([change])
    assert (local.feed.next(10), local.feed.pending(), local.feed.oldest()) == ([], 0, None)


def test_a_change_that_comes_while_another_is_projected_is_not_lost(local: Local) -> None:
    kept = record()
    keep(local.records, Entry(kept, CONTENT))
    taken = local.feed.next(10)
    local.records.annotate("main", kept.id, Annotation(note="n"))
    local.feed.done(taken)
    (change,) = local.feed.next(10)
    assert change.record() == replace(kept, note="n", revision=1)


def test_of_two_readers_the_slower_takes_nothing_away_that_came_later(local: Local) -> None:
    keep(local.records, Entry(record(random=1)))
    slow, fast = local.feed.next(10), local.feed.next(10)
    local.feed.done(fast)
    keep(local.records, Entry(record(random=2)))
    local.feed.done(slow)
    assert ids(local) == [record(random=2).id]
    assert local.feed.latest() == 2


def test_a_large_payload_is_read_from_its_blob(local: Local) -> None:
    local.blobs.put("payloads/x.gz", CONTENT)
    keep(local.records, Entry(record(), blob_key="payloads/x.gz"))
    (change,) = local.feed.next(10)
    assert change.payload() == Payload(b"[1]", b"[2]", b"[3]")
    assert local.feed.find("main", record().id).payload() == change.payload()


def test_what_is_not_there_any_more_has_no_item(local: Local) -> None:
    assert local.feed.find("main", record().id).record() is None


def test_what_is_set_aside_is_listed_with_its_reason_and_delivered_no_more(local: Local) -> None:
    keep(local.records, Entry(record(random=1), b"torn"), Entry(record(random=2), CONTENT))
    torn, _ = local.feed.next(10)
    with pytest.raises(Unreadable):
        torn.payload()
    local.feed.bury({torn.token: "because"})
    assert ids(local) == [record(random=2).id]
    (letter,) = local.letters.read(10)
    assert letter == DeadLetter(letter.token, "main", record(random=1).id, "because")
    assert local.letters.count() == 1
    local.letters.remove(letter)
    assert (local.letters.count(), local.letters.read(10)) == (0, [])


def test_hours_with_anything_that_waits_or_is_dead_are_unsettled(local: Local) -> None:
    hour = 3_600_000
    kept = [record(NOON + number * hour, number) for number in range(3)]
    keep(local.records, *map(Entry, kept))
    at = [hour_of(each.id) for each in kept]
    assert local.feed.unsettled("main", at[0], at[1]) == frozenset(at[:2])
    first, second, third = local.feed.next(10)
    local.feed.bury({first.token: "because"})
    local.feed.done([second])
    assert local.feed.unsettled("main", at[0], at[2]) == frozenset((at[0], at[2]))
    assert local.feed.unsettled("other", at[0], at[2]) == frozenset()
    local.feed.done([third])
    assert local.feed.unsettled("main", at[1], at[2]) == frozenset()


def test_too_many_that_wait_are_not_looked_through(local: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("weir.ledger.sqlite_changes._MOST_PENDING", 2)
    keep(local.records, *(Entry(record(random=number)) for number in range(3)))
    assert local.feed.unsettled("main", "2026030100", "2026030123") is None


def test_a_record_that_cannot_be_kept_is_no_change(local: Local) -> None:
    keep(local.records, Entry(record(caller_id="a")), Entry(record(random=2, caller_id="a")))
    assert ids(local) == [record().id]
