"""Where each workspace's provider keys lie, over a ConfigStore: one item a workspace. Calls block."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from weir.domain.credential import CredentialReference, References
from weir.domain.errors import Conflict
from weir.domain.ids import milliseconds
from weir.ledger.keys import CREDENTIALS_KEY
from weir.ledger.ports import ConfigStore
from weir.protocols import jsonbytes

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EDITS = 10
"""Attempts at an edit that others' edits keep overtaking."""


class CredentialReferences:
    """Every method may raise LedgerUnavailable."""

    def __init__(self, store: ConfigStore) -> None:
        self._store = store

    def of(self, workspace: str) -> References:
        """One read."""
        item = self._store.get(workspace, CREDENTIALS_KEY).get(CREDENTIALS_KEY)
        return {} if item is None else _from_item(item)

    def edit(self, workspace: str, change: Callable[[References], References]) -> None:
        """Durable when it returns. Raises what `change` does, and Conflict when others edit it all the time."""
        for _ in range(_EDITS):
            old = self._store.get(workspace, CREDENTIALS_KEY).get(CREDENTIALS_KEY)
            new = _to_item(change({} if old is None else _from_item(old)))
            if new == old or self._store.put(workspace, CREDENTIALS_KEY, new, instead_of=old):
                return
        raise Conflict("Others are editing the same credentials; try again.")


def _to_item(references: References) -> bytes:
    return jsonbytes.dumps(
        {
            name: {"ref": each.reference, "at": milliseconds(each.set_at), "op": each.by_operator}
            for name, each in sorted(references.items())
        }
    )


def _from_item(item: bytes) -> References:
    return {
        name: CredentialReference(
            provider=name,
            reference=each["ref"],
            set_at=_EPOCH + timedelta(milliseconds=each["at"]),
            by_operator=each["op"],
        )
        for name, each in jsonbytes.loads(item).items()
    }
