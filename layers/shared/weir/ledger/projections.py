"""Rollups and sessions: they take in the archive's objects, whole and in order, and are read back.

Each row says which object of an hour it has last taken in, and is replaced only as it was read. So an object counts
once in every row, whoever takes it in, however often, and wherever a projector was killed.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from weir.domain.errors import LedgerUnavailable
from weir.domain.record import Record
from weir.domain.rollup import Dimensions, Family, Rollup, moves, rollups
from weir.domain.session import Session, sessions
from weir.ledger.keys import (
    Key,
    projected_key,
    rolled_partition,
    rollup_key,
    rollup_partition,
    session_key,
    sessions_partition,
    taken_key,
)
from weir.ledger.ports import ProjectionStore, Replacement
from weir.ledger.projection_items import (
    RollupRow,
    SessionRow,
    from_rollup_item,
    from_session_item,
    to_rollup_item,
    to_session_item,
)
from weir.ledger.settlement import Settlement
from weir.protocols import jsonbytes

_ATTEMPTS = 50
"""At rows that other projectors replace in the meantime: each failure is another's success."""

_LAST = "\x7f"
"""Above every character of a key."""


_Next = Callable[[bytes | None], bytes | None]
"""What is to lie there instead; None if it is there already."""


class HourlyRollup(NamedTuple):
    """`hour` is `YYYYMMDDHH`, UTC."""

    hour: str
    dimensions: Dimensions
    rollup: Rollup


class Projections:
    """Every method raises LedgerUnavailable."""

    def __init__(self, store: ProjectionStore, settlement: Settlement) -> None:
        self.store = self._store = store
        self._settlement = settlement
        self._noted: set[Key] = set()

    def unsettled(self, workspace: str, first: str, last: str) -> frozenset[str] | None:
        """Those of the hours from `first` to `last` whose rollups may lack records; None if there are too many."""
        return self._settlement.unsettled(workspace, first, last)

    def first_day(self, workspace: str) -> str | None:
        """The first day that has rollups, `YYYYMMDD`."""
        found = self._store.between(rolled_partition(workspace), "", _LAST, limit=1)
        return found[0][0] if found else None

    def taken(self, workspace: str, hour: str) -> int:
        """The last object of the hour that has been taken in by all rows; 0 before the first."""
        key = taken_key(workspace, hour)
        found = self._store.get([key])
        return int(found[key]) if key in found else 0

    def take_in(
        self,
        workspace: str,
        hour: str,
        number: int,
        calls: Sequence[Record],
        changed: Sequence[tuple[Record, Record]] = (),
    ) -> None:
        """`calls` are those of the hour's object `number` that no earlier one has, and `changed` those that have been
        taken in, as they were, with what they are now. All objects before have been taken in.
        """
        self._note(workspace, hour[:8])
        sums = dict(rollups(calls))
        for dimensions, rollup in moves(changed).items():
            sums[dimensions] = sums[dimensions] + rollup if dimensions in sums else rollup
        self._replace(
            {
                rollup_key(workspace, hour, dimensions): _with_rollup(dimensions, number, rollup)
                for dimensions, rollup in sums.items()
            }
        )
        self._take_in_sessions(workspace, hour, number, calls, changed)
        self._replace({taken_key(workspace, hour): _at_least(number)})

    def rollups(self, workspace: str, family: Family, first: str, last: str) -> list[HourlyRollup]:
        """Those of the hours from `first` to `last`, both included: one query for the days, and one a day."""
        found = []
        listed = self._store.between(rolled_partition(workspace), first[:8], last[:8])
        for day, _ in listed:
            begin = first[8:] if first[:8] == day else "00"
            end = last[8:] if last[:8] == day else "23"
            for sk, content in self._store.between(
                rollup_partition(workspace, day), f"{family}#{begin}#", f"{family}#{end}#{_LAST}"
            ):
                row = from_rollup_item(content)
                if row.rollup.records:  # else all of it has moved
                    found.append(HourlyRollup(f"{day}{sk.split('#')[1]}", row.dimensions, row.rollup))
        return found

    def session(self, workspace: str, id: str) -> Session | None:
        key = session_key(workspace, id)
        found = self._store.get([key])
        session = from_session_item(found[key]).session if key in found else None
        return session if session is not None and session.calls else None

    def newest_sessions(
        self, workspace: str, application: str | None, *, limit: int, before: str | None = None
    ) -> tuple[Session, ...]:
        """By their first ids, descending, below the first id `before`; None are those of no application."""
        found: list[Session] = []
        pk, last = sessions_partition(workspace, application), before
        while len(found) < limit:
            wanted = limit - len(found) + 1  # one more: `before` itself may be the first
            listed = self._store.between(pk, "", last or _LAST, limit=wanted, descending=True)
            named = {sk: session_key(workspace, jsonbytes.loads(content)) for sk, content in listed if sk != last}
            contents = self._store.get(list(named.values())) if named else {}
            for first_id, key in named.items():
                session = from_session_item(contents[key]).session if key in contents else None
                # else listed before an earlier call came, or all its calls went to another session
                if session is not None and session.first_id == first_id and session.calls:
                    found.append(session)
            if len(listed) < wanted:
                break
            last = listed[-1][0]
        return tuple(found[:limit])

    def restate_session(self, workspace: str, id: str, counted: Callable[[Mapping[str, int]], Session | None]) -> bool:
        """Put in a session's place what `counted` makes of it, or nothing; False if there is none.

        It is given, by hour, the last of the archive's objects that the session has taken in.
        """
        key = session_key(workspace, id)
        for _ in range(_ATTEMPTS):
            old = self._store.get([key]).get(key)
            if old is None:
                return False
            row = from_session_item(old)
            session = counted(row.taken)
            new = None if session is None else to_session_item(SessionRow(session, row.taken))
            if session is not None:  # listed before it says so, as when it takes in calls
                self._store.replace([Replacement(_list_key(workspace, session), None, jsonbytes.dumps(id))])
            if self._store.replace([Replacement(key, old, new)]) == [True]:
                listed = _list_key(workspace, row.session)
                if session is None or listed != _list_key(workspace, session):
                    self._store.replace([Replacement(listed, jsonbytes.dumps(id), None)])
                return True
        raise LedgerUnavailable("Too many change the session at once.")

    def restate_rollups(
        self,
        workspace: str,
        hour: str,
        rows: Collection[Dimensions],
        counted: Callable[[int], Mapping[Dimensions, Rollup] | None],
    ) -> None:
        """Put in the rows' places what `counted` makes of them, given the last object that has been taken in.

        None leaves them as they are. They are replaced only as they were read: a projector may be at work.
        """
        left = {rollup_key(workspace, hour, each): each for each in rows}
        for _ in range(_ATTEMPTS):
            taken = self.taken(workspace, hour)
            found = self._store.get(list(left))
            taken = max([taken, *(from_rollup_item(content).taken for content in found.values())])
            sums = counted(taken) if taken else None
            if sums is None:
                return
            changes = []
            for key, each in left.items():
                new = to_rollup_item(RollupRow(each, taken, sums[each])) if each in sums else None
                if found.get(key) != new:
                    changes.append(Replacement(key, found.get(key), new))
            replaced = self._store.replace(changes)
            left = {change.key: left[change.key] for change, done in zip(changes, replaced, strict=True) if not done}
            if not left:
                return
        raise LedgerUnavailable("Too many change the rollups at once.")

    def forget_customer(self, workspace: str, customer_identifier: str) -> int:
        """Delete the rollups that name a customer. How many there were."""
        deleted = 0
        for day, _ in self._store.between(rolled_partition(workspace), "", _LAST):
            pk = rollup_partition(workspace, day)
            for sk, content in self._store.between(pk, "customers#", f"customers#{_LAST}"):
                if from_rollup_item(content).dimensions.value("customer_identifier") == customer_identifier:
                    deleted += self._store.replace([Replacement(Key(pk, sk), content, None)]) == [True]
        return deleted

    def workspaces(self) -> list[str]:
        """Those of which anything has been taken in."""
        pk = projected_key("").pk
        return [jsonbytes.loads(content) for _, content in self._store.between(pk, "", _LAST)]

    def _note(self, workspace: str, day: str) -> None:
        """Before anything of them is there to be found."""
        marks = [projected_key(workspace), Key(rolled_partition(workspace), day)]
        new = [mark for mark in marks if mark not in self._noted]
        self._store.replace([Replacement(mark, None, jsonbytes.dumps(workspace)) for mark in new])
        self._noted.update(new)

    def _take_in_sessions(
        self,
        workspace: str,
        hour: str,
        number: int,
        calls: Sequence[Record],
        changed: Sequence[tuple[Record, Record]],
    ) -> None:
        """A session is listed under its first call before it says so: none is ever missing in the list."""
        come = dict(sessions([*calls, *(new for old, new in changed if old.session_id != new.session_id)]))
        same = [new for old, new in changed if old.session_id == new.session_id]
        gone = [old for old, new in changed if old.session_id != new.session_id]
        rows: dict[Key, _Next] = {}
        for id in come.keys() | {call.session_id for call in (*same, *gone) if call.session_id is not None}:
            edits = [partial(_known_as, call=call) for call in _in(id, same)]
            edits += [partial(_without, call=call) for call in _in(id, gone)]
            rows[session_key(workspace, id)] = _with_session(hour, number, come.get(id), edits)
        before = {key: from_session_item(content).session for key, content in self._store.get(list(rows)).items()}
        moved = [id for id, session in come.items() if _is_first(session, before.get(session_key(workspace, id)))]
        self._store.replace([Replacement(_list_key(workspace, come[id]), None, jsonbytes.dumps(id)) for id in moved])
        self._replace(rows)
        self._store.replace(
            [
                Replacement(_list_key(workspace, before[session_key(workspace, id)]), jsonbytes.dumps(id), None)
                for id in moved
                if session_key(workspace, id) in before
            ]
        )

    def _replace(self, rows: Mapping[Key, _Next]) -> None:
        left = dict(rows)
        for _ in range(_ATTEMPTS):
            if not left:
                return
            found = self._store.get(list(left))
            changes = [
                Replacement(key, found.get(key), new)
                for key, next in left.items()
                if (new := next(found.get(key))) is not None
            ]
            replaced = self._store.replace(changes)
            left = {change.key: left[change.key] for change, done in zip(changes, replaced, strict=True) if not done}
        if left:
            raise LedgerUnavailable("Too many change the rollups at once.")


def _with_rollup(dimensions: Dimensions, number: int, rollup: Rollup) -> _Next:
    def next(old: bytes | None) -> bytes | None:
        sums = rollup
        if old is not None:
            row = from_rollup_item(old)
            if row.taken >= number:
                return None
            sums = row.rollup + rollup
        return to_rollup_item(RollupRow(dimensions, number, sums))

    return next


def _with_session(hour: str, number: int, come: Session | None, edits: Sequence[Callable[[Session], Session]]) -> _Next:
    def next(old: bytes | None) -> bytes | None:
        if old is None:
            return None if come is None else to_session_item(SessionRow(come, {hour: number}))
        row = from_session_item(old)
        if row.taken.get(hour, 0) >= number:
            return None
        session = row.session if come is None else row.session + come
        for edit in edits:
            session = edit(session)
        return to_session_item(SessionRow(session, {**row.taken, hour: number}))

    return next


def _in(session_id: str, calls: Sequence[Record]) -> list[Session]:
    """Each call as a session of its own."""
    return [sessions([call])[session_id] for call in calls if call.session_id == session_id]


def _known_as(session: Session, call: Session) -> Session:
    return session.of(call)


def _without(session: Session, call: Session) -> Session:
    return session.without(call)


def _at_least(number: int) -> _Next:
    def next(old: bytes | None) -> bytes | None:
        return None if old is not None and int(old) >= number else str(number).encode()

    return next


def _is_first(session: Session, before: Session | None) -> bool:
    return before is None or session.first_id < before.first_id


def _list_key(workspace: str, session: Session) -> Key:
    return Key(sessions_partition(workspace, session.application), session.first_id)
