"""What a change feed delivers: that a record was kept or changed, with what the feed knows of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from weir.domain.ids import is_uuid7
from weir.domain.record import Payload, Record
from weir.ledger import payloads


class Unreadable(ValueError):
    """A change that cannot be projected, however often it is tried. The message says why, and nothing of the texts."""


@dataclass(frozen=True, slots=True)
class Change:
    """`token` is the feed's name for this delivery. `content` gives the encoded payload, None if there is none.

    `read` gives the record as it was stored, None if it is not there any more.
    """

    token: str
    workspace: str
    id: str
    read: Callable[[], Record | None]
    content: Callable[[], bytes | None]

    def record(self) -> Record | None:
        """None if it is not there any more. Raises Unreadable or LedgerUnavailable."""
        try:
            record = self.read()
        except (ValueError, KeyError, TypeError, AttributeError) as exc:
            raise Unreadable(f"The record cannot be read ({type(exc).__name__}).") from exc
        if record is None:
            return None
        if not is_uuid7(record.id) or (record.id, record.workspace) != (self.id, self.workspace):
            raise Unreadable("The record is not the one that its key names.")
        return record

    def payload(self) -> Payload | None:
        """None if the record has none. Raises Unreadable or LedgerUnavailable."""
        content = self.content()
        if content is None:
            return None
        try:
            return payloads.from_bytes(content)
        except (ValueError, KeyError, TypeError, AttributeError) as exc:
            raise Unreadable(f"The payload cannot be read ({type(exc).__name__}).") from exc


class DeadLetter(NamedTuple):
    """A change that was set aside. `token` names the letter; workspace and id are empty where they are not known."""

    token: str
    workspace: str
    id: str
    reason: str


class DeadLetters(Protocol):
    """Every method raises LedgerUnavailable."""

    def count(self) -> int: ...

    def read(self, limit: int) -> Sequence[DeadLetter]: ...

    def remove(self, letter: DeadLetter) -> None: ...
