"""Whether the archive is as it was written: every hash is computed anew, from the files alone.

docs/archive.md says what is noticed and what is not.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from weir.ledger.archive import Archive
from weir.ledger.archive_format import ArchiveObject, Broken, Chain, MemberKey, Partition, line_hash
from weir.ledger.seals import Seal, Seals, seal_key

Progress = Callable[[int, int], None]
"""How many hours are done, of how many."""


@dataclass(frozen=True, slots=True)
class Break:
    """The first thing that is not as it was written. `member` counts from 1 within its object."""

    key: str
    says: str
    member: int | None = None
    id: str | None = None


@dataclass(slots=True)
class Findings:
    """What was looked at, up to the break if there is one.

    `unfinished` are members that an erasure names and that are still there. `seal` is the last one: its number and
    hash, to be written down elsewhere.
    """

    workspace: str
    hours: int = 0
    objects: int = 0
    members: int = 0
    erased: int = 0
    unfinished: int = 0
    expired: int = 0
    seal: tuple[int, str] | None = None
    broken: Break | None = None


@dataclass(slots=True)
class _Sealed:
    """By object number, the hash it was sealed with and the seal."""

    objects: dict[int, tuple[str, int]] = field(default_factory=dict)


class _Found(Exception):
    """Carries the break out of the loops."""

    def __init__(self, found: Break) -> None:
        super().__init__(found.says)
        self.found = found


def verify(
    archive: Archive,
    seals: Seals,
    workspace: str,
    *,
    since: datetime | None = None,
    before: datetime | None = None,
    kept_since: datetime | None = None,
    anchor: str | None = None,
    progress: Progress = lambda done, of: None,
) -> Findings:
    """The hours of a window, one object in memory at a time. Raises LedgerUnavailable.

    What was before `kept_since` may be gone. `anchor` is the hash of a seal that must be among the seals.
    """
    count = Findings(workspace)
    try:
        sealed = _read_seals(seals, workspace, anchor, count)
        hours = _hours(archive, workspace, sealed, since, before)
        for number, partition in enumerate(hours):
            progress(number, len(hours))
            if kept_since is not None and partition.start < kept_since:
                count.expired += 1
                continue
            _verify_hour(archive, partition, sealed.get(partition, _Sealed()), count)
            count.hours += 1
        progress(len(hours), len(hours))
    except _Found as exc:
        count.broken = exc.found
    return count


def _read_seals(seals: Seals, workspace: str, anchor: str | None, count: Findings) -> Mapping[Partition, _Sealed]:
    found: dict[Partition, _Sealed] = {}
    last: Seal | None = None
    anchored = anchor is None
    for n, (key, seal) in enumerate(_readable(seals, workspace), start=1):
        if key != seal_key(workspace, n):
            raise _Found(Break(seal_key(workspace, n), f"the seal is missing; the next one is {key}"))
        if (seal.workspace, seal.n) != (workspace, n):
            raise _Found(Break(key, f"this is seal {seal.n} of workspace {seal.workspace}"))
        if seal.previous != (None if last is None else last.hash):
            raise _Found(Break(key, "the seal does not follow the one before it: one of the two was changed"))
        for tail in seal.tails:
            partition = Partition(workspace, tail.date, tail.hour)
            found.setdefault(partition, _Sealed()).objects[tail.n] = (tail.hash, n)
        last = seal
        count.seal = (n, seal.hash)
        anchored = anchored or seal.hash == anchor
    if not anchored:
        raise _Found(Break(seal_key(workspace, 1), "no seal has the hash that was written down"))
    return found


def _readable(seals: Seals, workspace: str) -> Iterator[tuple[str, Seal]]:
    try:
        yield from seals.all(workspace)
    except Broken as exc:
        key, _, says = str(exc).partition(" ")
        raise _Found(Break(key, says)) from exc


def _hours(
    archive: Archive,
    workspace: str,
    sealed: Mapping[Partition, _Sealed],
    since: datetime | None,
    before: datetime | None,
) -> list[Partition]:
    """Those that are there and those that were sealed."""
    first = None if since is None else Partition.at(workspace, since)
    wanted = {
        partition
        for partition in sealed
        if (first is None or partition >= first) and (before is None or partition.start < before)
    }
    return sorted(wanted.union(archive.partitions(workspace, since, before)))


def _verify_hour(archive: Archive, partition: Partition, sealed: _Sealed, count: Findings) -> None:
    numbers = archive.objects(partition)
    erasures = _erasures(archive, partition, numbers)
    previous: str | None = None
    for n in range(1, max((*numbers, *sealed.objects), default=0) + 1):
        key = partition.key(n)
        read = _read(archive, partition, n)
        if read is None:
            raise _Found(Break(key, f"the object is missing; {_why_missing(n, numbers, sealed)}"))
        chain = read.chain
        if (chain.partition, chain.n) != (partition, n):
            raise _Found(Break(key, f"this is the object that belongs to {_place(chain)}"))
        if chain.previous != previous:
            raise _Found(Break(key, f"the head does not follow object {n - 1}: one of the two heads was changed"))
        if n in sealed.objects and sealed.objects[n][0] != chain.hash:
            raise _Found(Break(key, f"the head is not the one that seal {sealed.objects[n][1]} names"))
        _verify_members(key, read, erasures, count)
        previous = chain.hash
        count.objects += 1


def _verify_members(
    key: str, read: ArchiveObject, erasures: Mapping[MemberKey, tuple[int, str]], count: Findings
) -> None:
    leaves = read.chain.leaves
    lines = read.lines()
    for number, leaf in enumerate(leaves, start=1):
        try:
            found = line_hash(next(lines))
        except Broken as exc:
            raise _Found(Break(key, str(exc).removeprefix(f"member {number} "), number, leaf.id)) from exc
        after, replacement = erasures.get((leaf.id, leaf.revision), (0, ""))
        named = after > read.chain.n
        count.members += 1
        if named and found == replacement:
            count.erased += 1
        elif found == leaf.sha256:
            count.unfinished += named
        elif named:
            raise _Found(Break(key, "is not what the erasure left of it", number, leaf.id))
        else:
            raise _Found(Break(key, "is not the one that was archived, and no erasure names it", number, leaf.id))


def _erasures(archive: Archive, partition: Partition, numbers: tuple[int, ...]) -> Mapping[MemberKey, tuple[int, str]]:
    """By what is erased, the object that says so and the hash of the line that takes its place."""
    found: dict[MemberKey, tuple[int, str]] = {}
    for n in numbers:
        try:
            head = archive.head(partition, n)
        except Broken:
            return found  # the walk through the objects comes upon it and names it
        for id, revision, sha256 in () if head is None else head.chain.erases:
            if revision is not None and sha256 is not None:
                found[id, revision] = (n, sha256)
    return found


def _read(archive: Archive, partition: Partition, n: int) -> ArchiveObject | None:
    try:
        return archive.read(partition, n)
    except Broken as exc:
        key = partition.key(n)
        raise _Found(Break(key, str(exc).removeprefix(f"{key}: "))) from exc


def _why_missing(n: int, numbers: tuple[int, ...], sealed: _Sealed) -> str:
    behind = min((number for number in numbers if number > n), default=None)
    if behind is not None:
        return f"the chain goes on with {behind}"
    last = min(number for number in sealed.objects if number >= n)
    return f"seal {sealed.objects[last][1]} names object {last}"


def _place(chain: Chain) -> str:
    return f"{chain.partition.date} {chain.partition.hour:02}:00 of {chain.partition.workspace} as number {chain.n}"
