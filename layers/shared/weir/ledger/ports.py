"""What the ledger needs of an engine. Calls block; they are made off the event loop.

Every engine passes tests/ledger/test_contract.py.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol

from weir.domain.annotation import Annotation
from weir.domain.api_key import ApiKey
from weir.domain.record import Environment, Record
from weir.domain.retention import Retention
from weir.domain.totals import GroupField, Totals
from weir.ledger.keys import Key


@dataclass(frozen=True, slots=True)
class Entry:
    """A record and where its payload is: `inline` (encoded, see payloads.py) or under `blob_key` in the BlobStore.

    `claimed`: its caller_id was claimed for it before, by RecordStore.claim, and is not claimed again.
    """

    record: Record
    inline: bytes | None = None
    blob_key: str | None = None
    claimed: bool = False


class Kept(NamedTuple):
    """Under which id the record is kept; `new` is False when it was there already, and nothing was written."""

    id: str
    new: bool


class RecordStore(Protocol):
    def submit(self, entry: Entry) -> "Future[Kept]":
        """Put once. The future resolves when the record survives a crash, and never before.

        The same `record.id`, or the same `record.caller_id` in the workspace, is the same record: the first one stays.
        If an earlier attempt claimed a caller_id and died before its record was stored, the record is stored under
        the id claimed then, which is the one returned. The future raises LedgerUnavailable when the engine refuses;
        it cannot be cancelled.
        """
        ...

    def claim(self, workspace: str, caller_id: str, id: str | None, *, instead_of: str | None = None) -> str | None:
        """Let `caller_id` stand for the record `id`, which may be yet to come, and say what it stands for now.

        Only if it stands for nothing, for `instead_of`, or for `id` already; durable when it returns. None for `id`
        makes it stand for nothing again, if it stands for `instead_of`. Raises LedgerUnavailable.
        """
        ...

    def get(self, workspace: str, id: str) -> Entry | None:
        """By our id or by the caller's. Reads its own writes."""
        ...

    def newest(
        self, workspace: str, *, limit: int, before: str | None = None, since: str | None = None
    ) -> tuple[Record, ...]:
        """Records in descending order of id, that is, of time of acceptance.

        Only those with ids below `before` and from `since` on, where they are given; no other is read.
        """
        ...

    def of_session(
        self, workspace: str, session_id: str, *, limit: int, after: str | None = None
    ) -> tuple[Record, ...]:
        """The turns of a session in order of id, from the first or from beyond the id `after`.

        This and the two below may miss what was kept within the last second or so. They raise RequestInvalid when the
        ledger is set up without the index they need.
        """
        ...

    def of_customer(
        self,
        workspace: str,
        customer_identifier: str,
        *,
        limit: int,
        before: str | None = None,
        since: str | None = None,
    ) -> tuple[Record, ...]:
        """As `newest`, of one customer."""
        ...

    def of_intent(
        self,
        workspace: str,
        application: str,
        intent: str,
        *,
        limit: int,
        before: str | None = None,
        since: str | None = None,
    ) -> tuple[Record, ...]:
        """As `newest`, of one intent of an application."""
        ...

    def annotate(self, workspace: str, id: str, annotation: Annotation) -> Record | None:
        """Change a record, found by our id or the caller's, and give it as it is now; None if there is none.

        Durable when it returns. Of two annotations at once neither is lost; a field that both name has the value of
        the later. Raises RequestInvalid when the record may not hold that, LedgerUnavailable when the engine refuses.
        """
        ...

    def delete(self, workspace: str, id: str) -> bool:
        """Delete the record of that id of ours, its payload where that lies beside it, and what its caller's id claims.

        False when there is no such record; what an attempt at one has left there is deleted all the same. Durable when
        it returns, and all at once. Raises LedgerUnavailable.
        """
        ...

    def expire(self, retention: Retention, now: datetime, *, go_on: Callable[[], bool] = lambda: True) -> int:
        """Delete records and payloads whose time is over, until `go_on` says no. How many.

        An engine that does so by itself says 0: it goes by the retention that it was opened with.
        """
        ...

    def totals(
        self,
        workspace: str,
        *,
        group_by: GroupField | None = None,
        before: str | None = None,
        since: str | None = None,
        environment: Environment | None = None,
    ) -> Mapping[str | None, Totals] | None:
        """Sums over all records of a window, by the values of a field, or all under None without one.

        None if the engine can do no more than read every record, which the caller does as well.
        """
        ...

    def close(self) -> None:
        """Finish what was submitted, then release everything."""
        ...


class BlobStore(Protocol):
    """Contents under keys: names joined by '/', of which the last begins with no dot.

    Whatever returns has survived a crash. Every method raises LedgerUnavailable when the engine refuses; a `list` may
    do so half-way.
    """

    def put(self, key: str, content: bytes) -> None:
        """In the place of what lies there, if something does. Nobody ever reads a part of it."""
        ...

    def put_new(self, key: str, content: bytes) -> bool:
        """False, and nothing is written, when something lies there. Of many at once one is told True at most.

        That one may be told False as well, if the answer to its first attempt was lost: what lies there says whose
        it is.
        """
        ...

    def get(self, key: str) -> bytes | None: ...

    def get_range(self, key: str, start: int, length: int) -> bytes | None:
        """Up to `length` bytes (1 or more) from `start` on: fewer where the content ends. None if nothing is there."""
        ...

    def list(self, prefix: str, after: str | None = None) -> Iterator[str]:
        """The keys that begin with `prefix` and come after `after`, in the order of their characters, as they are read.

        What is put or deleted in the meantime may be among them or not.
        """
        ...

    def delete(self, key: str) -> None:
        """Also when nothing is there."""
        ...


class ConfigEdit(NamedTuple):
    key: str
    content: bytes
    instead_of: bytes | None


class ConfigStore(Protocol):
    """What callers and operators have set up: small JSON items of a workspace, by the keys that keys.py gives.

    Every method raises LedgerUnavailable when the engine refuses.
    """

    def get(self, workspace: str, *keys: str) -> dict[str, bytes]:
        """Those that exist. Reads its own writes."""
        ...

    def all(self, workspace: str) -> dict[str, bytes]:
        """Everything but the versions."""
        ...

    def put(self, workspace: str, key: str, content: bytes, *, instead_of: bytes | None) -> bool:
        """Durable when it returns True.

        False, and nothing is written, when something else than `instead_of` lies there; None stands for nothing.
        """
        ...

    def put_all(self, workspace: str, edits: Sequence[ConfigEdit], *, beside: Mapping[str, bytes]) -> bool:
        """All of it, up to 100 items, or nothing: False where `put` of an edit would say so. Durable when True.

        What is `beside` is put whatever lies there.
        """
        ...

    def next_number(self, workspace: str, sequence: str, *, limit: int | None = None) -> int | None:
        """1, 2, … and never the same again, though one may go unused; None when it would exceed `limit`."""
        ...


class Replacement(NamedTuple):
    """`new` is to lie under the key instead of `old`; None stands for nothing."""

    key: Key
    old: bytes | None
    new: bytes | None


class ProjectionStore(Protocol):
    """What is derived from the archive: small JSON items, by the keys that keys.py gives.

    Every method raises LedgerUnavailable when the engine refuses.
    """

    def get(self, keys: Collection[Key]) -> dict[Key, bytes]:
        """Those that exist. Reads its own writes."""
        ...

    def between(
        self, pk: str, first: str, last: str, *, limit: int | None = None, descending: bool = False
    ) -> list[tuple[str, bytes]]:
        """Sort keys and contents of a partition, from `first` to `last`, in their order."""
        ...

    def replace(self, changes: Sequence[Replacement]) -> list[bool]:
        """Each by itself: False, and nothing is written, where something else than `old` lies."""
        ...


class AnswerStore(Protocol):
    """Answers that may be given again, by digests of what was asked. Every method raises LedgerUnavailable."""

    def get(self, workspace: str, key: str, at: datetime) -> bytes | None:
        """One read; nothing that has expired by `at`. Reads its own writes, and those of every process before it."""
        ...

    def put(self, workspace: str, key: str, content: bytes, expires: datetime) -> None:
        """In the place of what lies there. Deleted some time after it `expires`."""
        ...

    def delete(self, workspace: str, key: str) -> None:
        """Also when nothing is there. Durable when it returns."""
        ...

    def expire(self, at: datetime, *, go_on: Callable[[], bool] = lambda: True) -> int:
        """Delete what has expired by `at`, and say how many; an engine that does so by itself says 0."""
        ...


class KeyStore(Protocol):
    """API keys, found by their ids. Every method raises LedgerUnavailable when the engine refuses."""

    def find(self, id: str) -> ApiKey | None:
        """One read. Reads its own writes, and those of every process before it."""
        ...

    def add(self, key: ApiKey) -> bool:
        """Durable when it returns; True if it is the first key of its workspace. Raises Conflict if the id is taken."""
        ...

    def revoke(self, id: str, at: datetime) -> ApiKey | None:
        """Durable when it returns what the key is now; None if there is none.

        `at` may lie ahead. Of two times the earlier one counts.
        """
        ...

    def note_use(self, id: str, at: datetime) -> None:
        """Unless a later use is known already, or there is no such key."""
        ...

    def of(self, workspace: str) -> tuple[ApiKey, ...]:
        """The oldest first, those that are no longer good too."""
        ...

    def workspaces(self) -> tuple[str, ...]:
        """Those that have had a key, by name."""
        ...
