"""What the archive's partitions ended with at a time, so that it shows when the end of one is gone.

The chain of a partition tells what is missing before its last object, and nothing of what came after. A seal names
the last object of partitions and its hash. The seals of a workspace are numbered and chained themselves: `previous` is
the SHA-256 of the seal before, as JSON with sorted keys and without spaces. Who could have changed the whole bucket
can be told by the hash of a seal that was written down elsewhere.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, NamedTuple

from weir.ledger.archive_format import Broken, Partition, canonical, pack_line, unpack_line
from weir.ledger.keys import SEALS, seals_folder
from weir.ledger.ports import BlobStore
from weir.protocols import jsonbytes

_SUFFIX = ".json.gz"


class Tail(NamedTuple):
    """The last object of an hour: its number and its hash."""

    date: str
    hour: int
    n: int
    hash: str


@dataclass(frozen=True)
class Seal:
    workspace: str
    n: int
    previous: str | None
    at: datetime
    tails: tuple[Tail, ...]

    @cached_property
    def hash(self) -> str:
        return hashlib.sha256(canonical(self.to_json())).hexdigest()

    def to_json(self) -> dict[str, Any]:
        return {
            "workspace": self.workspace,
            "n": self.n,
            "previous": self.previous,
            "at": self.at.isoformat(),
            "tails": self.tails,
        }


class Seals:
    def __init__(self, blobs: BlobStore) -> None:
        self._blobs = blobs
        self._last: dict[str, Seal] = {}

    def put(self, workspace: str, tails: Iterable[tuple[Partition, int, str]], at: datetime) -> Seal | None:
        """None when the last seal names them all already. Raises LedgerUnavailable, Broken if the last seal is none."""
        found = tuple(sorted(Tail(partition.date, partition.hour, n, hash) for partition, n, hash in tails))
        while True:
            last = self.last(workspace)
            if set(found) <= set(last.tails if last is not None else ()):
                return None
            seal = (
                Seal(workspace, 1, None, at, found)
                if last is None
                else Seal(workspace, last.n + 1, last.hash, at, found)
            )
            if self._blobs.put_new(seal_key(workspace, seal.n), pack_line(canonical(seal.to_json()))):
                self._last[workspace] = seal
                return seal

    def last(self, workspace: str) -> Seal | None:
        known = self._last.get(workspace)
        after = None if known is None else seal_key(workspace, known.n)
        last = max(self._blobs.list(seals_folder(workspace), after), default=None)
        if last is not None:
            self._last[workspace] = self._read(last)
        return self._last.get(workspace)

    def all(self, workspace: str) -> Iterator[tuple[str, Seal]]:
        """Each with its key, in the order of their numbers. Raises Broken where one cannot be read."""
        for key in self._blobs.list(seals_folder(workspace)):
            yield key, self._read(key)

    def workspaces(self) -> Iterator[str]:
        """Those that have seals, also if nothing is left of what was sealed. Raises Broken."""
        after: str | None = None
        while (key := next(self._blobs.list(SEALS, after), None)) is not None:
            folder = key[: key.index("/", len(SEALS)) + 1]
            workspace = self._read(key).workspace
            if seals_folder(workspace) != folder:
                raise Broken(f"{key} is a seal of another workspace")
            yield workspace
            after = f"{folder}~"

    def _read(self, key: str) -> Seal:
        try:
            fields = jsonbytes.loads(unpack_line(self._blobs.get(key) or b""))
            return Seal(
                workspace=fields["workspace"],
                n=fields["n"],
                previous=fields["previous"],
                at=datetime.fromisoformat(fields["at"]).astimezone(UTC),
                tails=tuple(Tail(*tail) for tail in fields["tails"]),
            )
        except (ValueError, KeyError, TypeError) as exc:
            raise Broken(f"{key} is not a seal") from exc


def seal_key(workspace: str, n: int) -> str:
    return f"{seals_folder(workspace)}{n:08}{_SUFFIX}"
