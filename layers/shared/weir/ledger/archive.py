"""The archive over a BlobStore: each record at each of its revisions once, however often it is delivered.

The put of an object under the next number of its partition, where nothing was, is the commit. Who comes second reads
what the first has put, and goes on with what is left. docs/decisions/0008-archive.md says why.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from typing import NamedTuple

from weir.ledger.archive_format import (
    ArchiveObject,
    Broken,
    Chain,
    Head,
    Member,
    MemberKey,
    Packed,
    Partition,
    from_line,
    pack,
    placed,
    read_head,
    read_object,
    to_object,
    unpack_line,
)
from weir.ledger.keys import archive_folder
from weir.ledger.ports import BlobStore

OBJECT_SIZE = 8_000_000
"""Compressed bytes after which an object takes no further member: what is held in memory at once."""
OBJECT_MEMBERS = 5_000

_HEAD_GUESS = 65_536
_KNOWN_PARTITIONS = 64
_KNOWN_LEAVES = 50_000
"""Of heads that are kept in memory: about 10 MB."""


class Appended(NamedTuple):
    """The numbers of the objects that were put, and what of the batch the partition did not hold before."""

    objects: tuple[int, ...]
    new: tuple[MemberKey, ...]


class Span(NamedTuple):
    """An object that has members, and between which ids they are."""

    n: int
    first: str
    last: str


@dataclass(slots=True)
class _Known:
    """What this process knows of a partition. Objects are only ever added, so it may be old and is never wrong."""

    n: int = 0
    hash: str | None = None
    spans: list[Span] = field(default_factory=list)
    erased: set[str] = field(default_factory=set)

    def take(self, chain: Chain) -> None:
        self.n, self.hash = chain.n, chain.hash
        if chain.leaves:
            ids = [leaf.id for leaf in chain.leaves]
            self.spans.append(Span(chain.n, min(ids), max(ids)))
        self.erased.update(erasing.id for erasing in chain.erases)


class Archive:
    """Any number of threads and processes may append at once.

    `nonce` gives a random text each time. Every method raises LedgerUnavailable when the store refuses, and Broken
    when it comes upon an object that is none.
    """

    def __init__(
        self,
        blobs: BlobStore,
        *,
        nonce: Callable[[], str],
        object_size: int = OBJECT_SIZE,
        object_members: int = OBJECT_MEMBERS,
    ) -> None:
        self.blobs = blobs
        self._nonce = nonce
        self._object_size, self._object_members = object_size, object_members
        self._partitions: OrderedDict[Partition, _Known] = OrderedDict()
        self._held: OrderedDict[tuple[Partition, int], frozenset[MemberKey]] = OrderedDict()
        self._leaves = 0
        self._lock = threading.Lock()

    def append(self, partition: Partition, members: Iterable[Member]) -> Appended:
        """Durable when it returns. What the partition holds, and what was erased from it, is left out.

        `members` are taken as they are put, so that they need not be in memory together. When it raises, some of them
        may have been appended; the same ones can be given again.
        """
        with self._lock:
            objects: list[int] = []
            new: list[MemberKey] = []
            for batch in self._batches(partition, members):
                n, keys = self._put(partition, batch)
                objects += [n] if n is not None else []
                new += keys
            return Appended(tuple(objects), tuple(new))

    def partitions(
        self, workspace: str, since: datetime | None = None, before: datetime | None = None
    ) -> Iterator[Partition]:
        """In the order of time: those whose hour begins before `before` and ends after `since`."""
        for partition, _ in groupby(self._placed(workspace, since), key=lambda place: place[0]):
            if before is not None and partition.start >= before:
                return
            yield partition

    def objects(self, partition: Partition) -> tuple[int, ...]:
        """The numbers of those that lie there, ascending."""
        places = (placed(partition.workspace, key) for key in self.blobs.list(partition.folder))
        return tuple(place[1] for place in places if place is not None)

    def read(self, partition: Partition, n: int) -> ArchiveObject | None:
        content = self.blobs.get(partition.key(n))
        if content is None:
            return None
        with _naming(partition, n):
            return read_object(content)

    def head(self, partition: Partition, n: int) -> Head | None:
        """Without the members, by a range read."""
        key, size = partition.key(n), _HEAD_GUESS
        while (content := self.blobs.get_range(key, 0, size)) is not None:
            with _naming(partition, n):
                head = read_head(content)
                if head is None and len(content) < size:
                    raise Broken("the head is not whole")
            if head is not None:
                return head
            size *= 4
        return None

    def find(self, workspace: str, id: str) -> tuple[Member, ...]:
        """Every revision of a record, in the order of the archive, by range reads.

        Raises ValueError if the id is not a UUID version 7.
        """
        partition = Partition.of(workspace, id)
        with self._lock:
            known = self._caught_up(partition)
            spans = [span for span in known.spans if span.first <= id <= span.last]
        return tuple(member for span in spans for member in self._read_members(partition, span.n, id))

    def member(self, workspace: str, id: str) -> Member | None:
        """The latest revision of a record."""
        return max(self.find(workspace, id), key=lambda member: member.record.revision, default=None)

    def erased(self, partition: Partition) -> frozenset[str]:
        """The ids that erasures have taken from a partition, as of now."""
        with self._lock:
            return frozenset(self._caught_up(partition).erased)

    def _batches(self, partition: Partition, members: Iterable[Member]) -> Iterator[list[Packed]]:
        """What is new of the members as far as it is known without another look, in objects' sizes."""
        known = self._known(partition)
        batch: dict[MemberKey, Packed] = {}
        size = 0
        for member in members:
            record = member.record
            if Partition.of(record.workspace, record.id) != partition:
                raise ValueError(f"the record {record.id} belongs to another partition")
            if (record.id, record.revision) in batch or record.id in known.erased:
                continue
            packed = pack(member, self._nonce())
            batch[record.id, record.revision] = packed
            size += len(packed.content)
            if size >= self._object_size or len(batch) >= self._object_members:
                yield list(batch.values())
                batch, size = {}, 0
        if batch:
            yield list(batch.values())

    def _put(self, partition: Partition, batch: list[Packed]) -> tuple[int | None, tuple[MemberKey, ...]]:
        known = self._known(partition)
        while batch := self._lacking(partition, known, batch):
            chain = Chain(partition, known.n + 1, known.hash, tuple(packed.leaf for packed in batch))
            content = to_object(chain, [packed.content for packed in batch])
            put = self.blobs.put_new(partition.key(chain.n), content)
            if put:
                self._take(known, chain)
            else:
                self._catch_up(partition, known, until=chain.n)
            if put or known.hash == chain.hash:  # ours after all: only the answer of an earlier attempt was lost
                return chain.n, _keys(chain)
        return None, ()

    def _lacking(self, partition: Partition, known: _Known, batch: list[Packed]) -> list[Packed]:
        if not batch:
            return []
        ids = [packed.leaf.id for packed in batch]
        first, last = min(ids), max(ids)
        near = [span for span in known.spans if span.first <= last and first <= span.last]
        for span in near:
            if batch:
                held = self._held_by(partition, span.n)
                batch = [packed for packed in batch if packed.leaf[:2] not in held]
        return [packed for packed in batch if packed.leaf.id not in known.erased]

    def _held_by(self, partition: Partition, n: int) -> frozenset[MemberKey]:
        if (partition, n) not in self._held:
            head = self.head(partition, n)
            if head is None:
                raise Broken(f"{partition.key(n)} is gone")
            self._hold(head.chain)
        self._held.move_to_end((partition, n))
        return self._held[partition, n]

    def _hold(self, chain: Chain) -> None:
        """Remember which members an object has, at the cost of those that were not asked for lately."""
        self._held[chain.partition, chain.n] = frozenset(_keys(chain))
        self._leaves += len(chain.leaves)
        while len(self._held) > 1 and self._leaves > _KNOWN_LEAVES:
            _, forgotten = self._held.popitem(last=False)
            self._leaves -= len(forgotten)

    def _known(self, partition: Partition) -> _Known:
        known = self._partitions.get(partition)
        if known is None:
            known = _Known()
            for n in self.objects(partition):
                head = self.head(partition, n)
                if head is not None:
                    known.take(head.chain)
            self._partitions[partition] = known
            if len(self._partitions) > _KNOWN_PARTITIONS:
                self._partitions.popitem(last=False)
        self._partitions.move_to_end(partition)
        return known

    def _caught_up(self, partition: Partition) -> _Known:
        known = self._known(partition)
        self._catch_up(partition, known)
        return known

    def _catch_up(self, partition: Partition, known: _Known, *, until: int | None = None) -> None:
        while (until is None or known.n < until) and (head := self.head(partition, known.n + 1)) is not None:
            self._take(known, head.chain)

    def _take(self, known: _Known, chain: Chain) -> None:
        known.take(chain)
        if chain.leaves:
            self._hold(chain)

    def _read_members(self, partition: Partition, n: int, id: str) -> Iterator[Member]:
        head = self.head(partition, n)
        if head is None:
            return
        for leaf, (start, length) in zip(head.chain.leaves, head.ranges(), strict=True):
            if leaf.id == id:
                content = self.blobs.get_range(partition.key(n), start, length)
                with _naming(partition, n):
                    yield from_line(unpack_line(content or b""))

    def _placed(self, workspace: str, since: datetime | None) -> Iterator[tuple[Partition, int]]:
        folder = archive_folder(workspace)
        after = None if since is None else Partition.at(workspace, since).folder
        places = (placed(workspace, key) for key in self.blobs.list(folder, after))
        return (place for place in places if place is not None)


@contextmanager
def _naming(partition: Partition, n: int) -> Iterator[None]:
    """What is Broken inside says which object it is."""
    try:
        yield
    except Broken as exc:
        raise Broken(f"{partition.key(n)}: {exc}") from exc


def _keys(chain: Chain) -> tuple[MemberKey, ...]:
    return tuple((leaf.id, leaf.revision) for leaf in chain.leaves)
