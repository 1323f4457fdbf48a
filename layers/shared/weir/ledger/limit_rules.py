"""Limits over a ConfigStore: all of a workspace's in one item, so that a process reads them at once. Calls block."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from weir.domain.errors import Conflict, NotFound, RequestInvalid
from weir.domain.ids import milliseconds
from weir.domain.limit import Limit, Measure, Subject
from weir.ledger.keys import LIMITS_KEY
from weir.ledger.ports import ConfigStore
from weir.protocols import jsonbytes

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EDITS = 10
"""Attempts at an edit that others' edits keep overtaking."""

LIMITS_LIMIT = 1_000
_LARGEST = 300_000
"""Bytes of them all; an item of DynamoDB's ends at 400 KB."""

_Edit = Callable[[tuple[Limit, ...], int], tuple[Limit, ...]]


class LimitRules:
    """Every method may raise LedgerUnavailable, and those that change something Conflict."""

    def __init__(self, store: ConfigStore) -> None:
        self._store = store

    def all(self, workspace: str) -> tuple[Limit, ...]:
        """In the order of their ids."""
        item = self._store.get(workspace, LIMITS_KEY).get(LIMITS_KEY)
        return () if item is None else _from_item(item)[0]

    def add(
        self,
        workspace: str,
        subject: Subject,
        measure: Measure,
        *,
        most: Decimal | None,
        warn_at: Decimal | None,
        at: datetime,
    ) -> Limit:
        """Raises Conflict when the subject has a limit for that measure, RequestInvalid when there are too many."""

        def edit(limits: tuple[Limit, ...], id: int) -> tuple[Limit, ...]:
            if any((limit.subject, limit.measure) == (subject, measure) for limit in limits):
                raise Conflict(f"There is a limit of {measure} for that {subject.per} already.")
            if len(limits) >= LIMITS_LIMIT:
                raise RequestInvalid(f"A workspace may have {LIMITS_LIMIT} limits.")
            new = Limit(id=id, subject=subject, measure=measure, most=most, warn_at=warn_at, created_at=at)
            return (*limits, new)

        return self._edit(workspace, edit)[-1]

    def change(self, workspace: str, id: int, change: Callable[[Limit], Limit]) -> Limit:
        """Raises NotFound."""

        def edit(limits: tuple[Limit, ...], _: int) -> tuple[Limit, ...]:
            one(limits, id)
            return tuple(change(limit) if limit.id == id else limit for limit in limits)

        return one(self._edit(workspace, edit), id)

    def remove(self, workspace: str, id: int) -> None:
        """Raises NotFound."""

        def edit(limits: tuple[Limit, ...], _: int) -> tuple[Limit, ...]:
            gone = one(limits, id)
            return tuple(limit for limit in limits if limit is not gone)

        self._edit(workspace, edit)

    def hand_over(self, workspace: str, old: str, new: str, *, keep: bool, at: datetime) -> None:
        """What is set for the key `old` is set for `new`, and with `keep` for both. Raises RequestInvalid as `add`."""
        there = Subject("key", old)
        if not any(limit.subject == there for limit in self.all(workspace)):
            return

        def edit(limits: tuple[Limit, ...], id: int) -> tuple[Limit, ...]:
            handed = [replace(limit, subject=Subject("key", new)) for limit in limits if limit.subject == there]
            if not keep:
                others = [limit for limit in limits if limit.subject != there]
                return tuple(sorted((*others, *handed), key=lambda limit: limit.id))
            if len(limits) + len(handed) > LIMITS_LIMIT:
                raise RequestInvalid(f"A workspace may have {LIMITS_LIMIT} limits.")
            return (*limits, *(replace(limit, id=id + n, created_at=at) for n, limit in enumerate(handed)))

        self._edit(workspace, edit)

    def _edit(self, workspace: str, edit: _Edit) -> tuple[Limit, ...]:
        for _ in range(_EDITS):
            before = self._store.get(workspace, LIMITS_KEY).get(LIMITS_KEY)
            limits, last = ((), 0) if before is None else _from_item(before)
            edited = edit(limits, last + 1)
            item = _to_item(edited, max(last, *(limit.id for limit in edited)) if edited else last)
            if len(item) > _LARGEST:
                raise RequestInvalid(f"The limits of a workspace may have {_LARGEST} bytes in all.")
            if self._store.put(workspace, LIMITS_KEY, item, instead_of=before):
                return edited
        raise Conflict("Others are editing the same limits; try again.")


def one(limits: Sequence[Limit], id: int) -> Limit:
    """Raises NotFound."""
    for limit in limits:
        if limit.id == id:
            return limit
    raise NotFound(f"There is no limit {id}.")


def _to_item(limits: Sequence[Limit], last: int) -> bytes:
    return jsonbytes.dumps({"last": last, "limits": [_fields(limit) for limit in limits]})


def _from_item(item: bytes) -> tuple[tuple[Limit, ...], int]:
    found = jsonbytes.loads(item)
    return tuple(_limit(fields) for fields in found["limits"]), found["last"]


def _fields(limit: Limit) -> dict[str, Any]:
    """Without what is not set: a thousand of them are to fit."""
    fields = {
        "id": limit.id,
        "per": limit.subject.per,
        "name": limit.subject.name,
        "application": limit.subject.application,
        "measure": limit.measure,
        "most": None if limit.most is None else str(limit.most),
        "warn_at": None if limit.warn_at is None else str(limit.warn_at),
        "created_at": milliseconds(limit.created_at),
    }
    return {name: value for name, value in fields.items() if value is not None}


def _limit(fields: dict[str, Any]) -> Limit:
    return Limit(
        id=fields["id"],
        subject=Subject(fields["per"], fields["name"], fields.get("application")),
        measure=fields["measure"],
        most=_decimal(fields.get("most")),
        warn_at=_decimal(fields.get("warn_at")),
        created_at=_EPOCH + timedelta(milliseconds=fields["created_at"]),
    )


def _decimal(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)
