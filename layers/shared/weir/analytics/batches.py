"""The calls of an hour of the archive, so many at a time that they fit in memory, in the order of their ids."""

import sqlite3
import struct
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from weir.ledger.archive import Archive
from weir.ledger.archive_format import Broken, Partition

BATCH_SIZE = 4_000_000
"""Bytes of lines after which a batch takes no further call."""

BATCH_CALLS = 2_000

_INDEX = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA cache_size = -4096;
CREATE TABLE members (
    id TEXT NOT NULL, revision INTEGER NOT NULL, object INTEGER NOT NULL, start INTEGER NOT NULL,
    length INTEGER NOT NULL, PRIMARY KEY (id, revision)
) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Batch:
    """`content` are gzip members, a line each: everything that the hour has of each call that is in it.

    `longest` is the length of the longest line, `done` the part of the hour, up to 1, that ends with this batch.
    """

    content: bytes
    longest: int
    done: float


class _Place(NamedTuple):
    """Where a member of the archive lies."""

    id: str
    object: int
    start: int
    length: int


def batches(archive: Archive, partition: Partition, *, spill: Path) -> Iterator[Batch]:
    """Where its members lie is kept in a file in `spill` meanwhile. Raises LedgerUnavailable, and Broken."""
    index = spill / "members.sqlite"
    index.unlink(missing_ok=True)  # of an hour that was cut off
    with closing(sqlite3.connect(index, isolation_level=None)) as connection:
        connection.executescript(_INDEX)
        _fill(connection, archive, partition)
        found = connection.execute("SELECT id, object, start, length FROM members ORDER BY id, revision")
        ((whole,),) = connection.execute("SELECT total(length) FROM members")
        contents: list[bytes] = []
        calls = size = longest = read = 0
        for _, places in groupby(map(_Place._make, found), key=lambda place: place.id):
            for place in places:
                content = _read(archive, partition, place)
                line = _unpacked_size(content)
                contents.append(content)
                size, longest, read = size + line, max(longest, line), read + place.length
            calls += 1
            if size >= BATCH_SIZE or calls >= BATCH_CALLS:
                yield Batch(b"".join(contents), longest, read / whole)
                contents, calls, size, longest = [], 0, 0, 0
        if contents:
            yield Batch(b"".join(contents), longest, 1.0)
    index.unlink()


def _fill(connection: sqlite3.Connection, archive: Archive, partition: Partition) -> None:
    """From the heads alone; the members are not read."""
    for n in archive.objects(partition):
        head = archive.head(partition, n)
        if head is not None:
            connection.execute("BEGIN")
            connection.executemany(
                "INSERT OR IGNORE INTO members VALUES (?, ?, ?, ?, ?)",
                (
                    (leaf.id, leaf.revision, n, start, length)
                    for leaf, (start, length) in zip(head.chain.leaves, head.ranges(), strict=True)
                ),
            )
            connection.execute("COMMIT")


def _read(archive: Archive, partition: Partition, place: _Place) -> bytes:
    content = archive.blobs.get_range(partition.key(place.object), place.start, place.length)
    if content is None or len(content) != place.length:
        raise Broken(f"{partition.key(place.object)}: the object is not as long as its head says")
    return content


def _unpacked_size(content: bytes) -> int:
    """As the last four bytes of a gzip member give it (RFC 1952)."""
    (size,) = struct.unpack("<I", content[-4:])
    return int(size)
