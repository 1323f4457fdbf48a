"""The archive over a BlobStore: each record at each of its revisions once, however often it is delivered.

The put of an object under the next number of its partition, where nothing was, is the commit. Who comes second reads
what the first has put, and goes on with what is left. docs/decisions/0008-archive.md says why.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from typing import NamedTuple

from weir.ledger.archive_format import (
    ArchiveObject,
    Broken,
    Chain,
    Erasing,
    Head,
    Member,
    MemberKey,
    Packed,
    Partition,
    from_line,
    left_of,
    line_hash,
    pack,
    pack_line,
    placed,
    read_head,
    read_object,
    to_object,
    unpack_line,
)
from weir.ledger.keys import ARCHIVE, archive_folder
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

    `nonce` gives a random text each time. `after_put` is told of each object that was put, and its hash. Every method
    raises LedgerUnavailable when the store refuses, and Broken when it comes upon an object that is none.
    """

    def __init__(
        self,
        blobs: BlobStore,
        *,
        nonce: Callable[[], str],
        after_put: Callable[[Partition, int, str], None] = lambda partition, n, hash: None,
        object_size: int = OBJECT_SIZE,
        object_members: int = OBJECT_MEMBERS,
    ) -> None:
        self.blobs = blobs
        self._nonce, self._after_put = nonce, after_put
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

    def workspaces(self) -> Iterator[str]:
        """Those that have an archive, by the name in their first object's head."""
        after: str | None = None
        while (key := next(self.blobs.list(ARCHIVE, after), None)) is not None:
            folder = key[: key.index("/", len(ARCHIVE)) + 1]
            head = self._head(key)
            if head is None or archive_folder(head.chain.partition.workspace) != folder:
                raise Broken(f"{key}: the head names another workspace")
            yield head.chain.partition.workspace
            after = f"{folder}~"

    def tail(self, partition: Partition) -> tuple[int, str] | None:
        """Number and hash of the last object."""
        n = max(self.objects(partition), default=None)
        head = None if n is None else self.head(partition, n)
        return None if head is None else (head.chain.n, head.chain.hash)

    def objects(self, partition: Partition) -> tuple[int, ...]:
        """The numbers of those that lie there, ascending."""
        places = (placed(partition.workspace, key) for key in self.blobs.list(partition.folder))
        return tuple(place[1] for place in places if place is not None)

    def read(self, partition: Partition, n: int) -> ArchiveObject | None:
        content = self.blobs.get(partition.key(n))
        if content is None:
            return None
        with _naming(partition.key(n)):
            return read_object(content)

    def head(self, partition: Partition, n: int) -> Head | None:
        """Without the members, by a range read."""
        return self._head(partition.key(n))

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

    def holds(self, partition: Partition, ids: Sequence[str], *, before: int | None = None) -> Mapping[str, int]:
        """Those of the ids that the partition holds, or that its objects below `before` do, with the last revision."""
        if not ids:
            return {}
        wanted, first, last = frozenset(ids), min(ids), max(ids)
        found: dict[str, int] = {}
        with self._lock:
            for span in self._caught_up(partition).spans:
                if span.first <= last and first <= span.last and (before is None or span.n < before):
                    for id, revision in self._held_by(partition, span.n):
                        if id in wanted:
                            found[id] = max(revision, found.get(id, 0))
        return found

    def latest_before(self, partition: Partition, n: int, id: str) -> Member | None:
        """The newest revision of a record that the objects below `n` hold."""
        with self._lock:
            spans = [span for span in self._caught_up(partition).spans if span.n < n and span.first <= id <= span.last]
        members = (member for span in spans for member in self._read_members(partition, span.n, id))
        return max(members, key=lambda member: member.record.revision, default=None)

    def name_erased(self, partition: Partition, ids: Collection[str]) -> None:
        """Say in the chain that these ids are erased. Durable when it returns; from then on no append takes them in."""
        with self._lock:
            while True:
                known = self._caught_up(partition)
                named = {id for id in ids if id not in known.erased}
                if not named:
                    return
                chain = Chain(partition, known.n + 1, known.hash, (), self._erasings(partition, known, named))
                if self._commit(known, chain, to_object(chain, [])):
                    return

    def blank(self, partition: Partition) -> int:
        """Put what is left of them in the place of members that erasures name. How many there were.

        Until nothing is left to do: who blanks at the same time may have put back what this one took away.
        """
        blanked = 0
        while some := sum(self._blank(partition, n, erasures) for n, erasures in self._erased_in(partition)):
            blanked += some
        return blanked

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
            if self._commit(known, chain, content):
                return chain.n, _keys(chain)
        return None, ()

    def _commit(self, known: _Known, chain: Chain, content: bytes) -> bool:
        """Whether the object is there now, as the partition's next; else what is there instead has been read."""
        if self.blobs.put_new(chain.partition.key(chain.n), content):
            self._take(known, chain)
        else:
            self._catch_up(chain.partition, known, until=chain.n)
            if known.hash != chain.hash:  # else it is ours after all: the answer of an earlier attempt was lost
                return False
        self._after_put(chain.partition, chain.n, chain.hash)
        return True

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

    def _head(self, key: str) -> Head | None:
        size = _HEAD_GUESS
        while (content := self.blobs.get_range(key, 0, size)) is not None:
            with _naming(key):
                head = read_head(content)
                if head is None and len(content) < size:
                    raise Broken("the head is not whole")
            if head is not None:
                return head
            size *= 4
        return None

    def _erasings(self, partition: Partition, known: _Known, ids: set[str]) -> tuple[Erasing, ...]:
        found: list[Erasing] = []
        first, last = min(ids), max(ids)
        for span in known.spans:
            if span.first <= last and first <= span.last and (read := self.read(partition, span.n)) is not None:
                with _naming(partition.key(span.n)):
                    found += [
                        Erasing(leaf.id, leaf.revision, line_hash(left_of(line)))
                        for leaf, line in zip(read.chain.leaves, read.lines(), strict=True)
                        if leaf.id in ids
                    ]
        held = {erasing.id for erasing in found}
        return (*found, *(Erasing(id, None, None) for id in sorted(ids - held)))

    def _erased_in(self, partition: Partition) -> list[tuple[int, dict[MemberKey, str]]]:
        """The objects that have members which later objects erase, with the hash of what is to be left of each."""
        heads = [head for n in self.objects(partition) if (head := self.head(partition, n)) is not None]
        named = {
            (erasing.id, erasing.revision): (head.chain.n, erasing.sha256)
            for head in heads
            for erasing in head.chain.erases
        }
        found: list[tuple[int, dict[MemberKey, str]]] = []
        for head in heads:
            erased: dict[MemberKey, str] = {}
            for leaf in head.chain.leaves:
                n, sha256 = named.get((leaf.id, leaf.revision), (0, None))
                if n > head.chain.n and sha256 is not None:
                    erased[leaf.id, leaf.revision] = sha256
            if erased:
                found.append((head.chain.n, erased))
        return found

    def _blank(self, partition: Partition, n: int, erased: Mapping[MemberKey, str]) -> int:
        read = self.read(partition, n)
        if read is None:
            return 0
        blanked = 0
        packed: list[bytes] = []
        with _naming(partition.key(n)):
            for leaf, line, (start, length) in zip(read.chain.leaves, read.lines(), read.head.ranges(), strict=True):
                content = read.content[start : start + length]
                sha256 = erased.get((leaf.id, leaf.revision))
                if sha256 is not None and line_hash(line) != sha256:
                    left = left_of(line)
                    if line_hash(left) != sha256:
                        raise Broken(f"what is left of {leaf.id} is not what its erasure names")
                    content = pack_line(left)
                    blanked += 1
                packed.append(content)
        if blanked:
            self.blobs.put(partition.key(n), to_object(read.chain, packed))
        return blanked

    def _read_members(self, partition: Partition, n: int, id: str) -> Iterator[Member]:
        head = self.head(partition, n)
        if head is None:
            return
        for leaf, (start, length) in zip(head.chain.leaves, head.ranges(), strict=True):
            if leaf.id == id:
                content = self.blobs.get_range(partition.key(n), start, length)
                with _naming(partition.key(n)):
                    yield from_line(unpack_line(content or b""))

    def _placed(self, workspace: str, since: datetime | None) -> Iterator[tuple[Partition, int]]:
        folder = archive_folder(workspace)
        after = None if since is None else Partition.at(workspace, since).folder
        places = (placed(workspace, key) for key in self.blobs.list(folder, after))
        return (place for place in places if place is not None)


@contextmanager
def _naming(key: str) -> Iterator[None]:
    """What is Broken inside says which object it is."""
    try:
        yield
    except Broken as exc:
        raise Broken(f"{key}: {exc}") from exc


def _keys(chain: Chain) -> tuple[MemberKey, ...]:
    return tuple((leaf.id, leaf.revision) for leaf in chain.leaves)
