"""Applications, intents, their groups and what is set for them, over a ConfigStore, with the versions of all that.

Calls block; they are made off the event loop.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from weir.domain.completion import NOTHING
from weir.domain.configuration import (
    WORKSPACE_LEVEL,
    Application,
    Intent,
    IntentGroup,
    Level,
    Snapshot,
    Tree,
    Values,
    levels_of,
)
from weir.domain.errors import Conflict, NotFound, RequestInvalid
from weir.domain.ids import milliseconds
from weir.domain.versions import LevelChange, Version, difference, text_of
from weir.ledger.keys import (
    NEWEST_VERSION_KEY,
    VERSIONS_KEPT,
    WORKSPACE_KEY,
    application_key,
    intent_group_key,
    intent_key,
    version_key,
)
from weir.ledger.ports import ConfigEdit, ConfigStore
from weir.protocols import jsonbytes

LEVEL_LIMIT = 100_000
"""Bytes of what is set at one level, as JSON: a call reads four of them, and a version holds one twice."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EDITS = 10
"""Attempts at an edit that others' edits keep overtaking."""

_VERSION_LEVELS, _VERSION_BYTES = 80, 250_000
"""Of one version: a transaction has up to 100 items, an item up to 400 KB. A larger edit makes several versions."""

_READ_AT_ONCE = 25
"""Versions in one read, which gives 16 MB at most."""

Change = Callable[[Values], Values]


class Author(NamedTuple):
    """Who edits, when, and what for. `expected` is the version that the edit was made for; None takes any."""

    by: str
    at: datetime
    note: str | None = None
    expected: int | None = None


class Configurations:
    """Every method may raise LedgerUnavailable. `limit` is how many a workspace may have when one more is added."""

    def __init__(self, store: ConfigStore) -> None:
        self.store = self._store = store

    def find(
        self, workspace: str, application: str, intent: str | None = None
    ) -> tuple[Application | None, Intent | None]:
        keys = [application_key(application)] + ([] if intent is None else [intent_key(application, intent)])
        found = self._store.get(workspace, *keys)
        return (
            application_from_item(found[keys[0]]) if keys[0] in found else None,
            intent_from_item(found[keys[1]]) if len(keys) > 1 and keys[1] in found else None,
        )

    def of_call(self, workspace: str, application: str | None, intent: str | None) -> Values:
        """What is set at the levels that hold for such a call, those that exist, the nearest last; one read."""
        keys = {level: level_key(level) for level in levels_of(application, intent)}
        found = self._store.get(workspace, *keys.values())
        return {level: _config(found[key]) for level, key in keys.items() if key in found}

    def snapshot(self, workspace: str) -> Snapshot:
        """Everything, in the order of ids."""
        return _snapshot(self._store.all(workspace))

    def all(self, workspace: str) -> tuple[Tree, ...]:
        """Every application with its intents, both in the order of their ids."""
        return self.snapshot(workspace).trees

    def add_application(
        self, workspace: str, ref_name: str, name: str, at: datetime, *, limit: int | None = None
    ) -> Application | None:
        """None when there is one of that ref name, or the limit is reached."""
        id = self._store.next_number(workspace, "applications", limit=limit)
        if id is None:
            return None
        application = Application(id=id, ref_name=ref_name, name=name, created_at=at)
        item = application_to_item(application)
        return application if self._store.put(workspace, application_key(ref_name), item, instead_of=None) else None

    def add_intent(
        self, workspace: str, application: Application, name: str, at: datetime, *, limit: int | None = None
    ) -> Intent | None:
        id = self._store.next_number(workspace, "intents", limit=limit)
        if id is None:
            return None
        intent = Intent(
            id=id, application_id=application.id, application=application.ref_name, name=name, created_at=at
        )
        key = intent_key(application.ref_name, name)
        return intent if self._store.put(workspace, key, intent_to_item(intent), instead_of=None) else None

    def add_group(self, workspace: str, name: str, at: datetime, *, limit: int | None = None) -> IntentGroup | None:
        """None when there is one of that name, or the limit is reached."""
        key = intent_group_key(name)
        if self._store.get(workspace, key):
            return None
        id = self._store.next_number(workspace, "intent groups", limit=limit)
        if id is None:
            return None
        group = IntentGroup(id=id, name=name, created_at=at)
        return group if self._store.put(workspace, key, group_to_item(group), instead_of=None) else None

    def edit_level(
        self, workspace: str, level: Level, change: Callable[[Mapping[str, Any]], Mapping[str, Any]], author: Author
    ) -> Mapping[str, Any]:
        """What is set there afterwards. Raises as `edit` does."""
        edited: dict[Level, Mapping[str, Any]] = {}

        def changed(values: Values) -> Values:
            edited[level] = change(values.get(level, NOTHING))
            return edited

        self.edit(workspace, changed, author, levels=(level,))
        return edited[level]

    def edit(
        self, workspace: str, change: Change, author: Author, *, levels: Collection[Level] | None = None
    ) -> tuple[Version, ...]:
        """Make of the values what `change` says, and a version of it; none when that changes nothing.

        `change` gets what is set at `levels`, everywhere unless they are named, and is called again when another edit
        came between: what it gives for the same values must be the same. A level that is new, but for the workspace's,
        must be known by then. An edit that is too large for one version becomes several, each whole by itself.
        Raises Conflict when the version is not the expected one, or others edit all the time, and RequestInvalid for
        more than a level may hold.
        """
        made: list[Version] = []
        attempts = _EDITS
        while attempts:
            items, newest, before = self._before(workspace, levels)
            if author.expected is not None and newest != author.expected + len(made):
                raise Conflict(f"The configuration is at version {newest}, no longer at {author.expected}.")
            after = change(before)
            changes = difference(before, after)
            if not changes:
                return tuple(made)
            part = _first_part(changes)
            version = Version(number=newest + 1, at=author.at, by=author.by, changes=part, note=author.note)
            edits = [ConfigEdit(NEWEST_VERSION_KEY, jsonbytes.dumps(version.number), items.get(NEWEST_VERSION_KEY))]
            edits += [_edit(items, each.level, after.get(each.level, NOTHING)) for each in part]
            if self._store.put_all(workspace, edits, beside={version_key(version.number): version_to_item(version)}):
                made.append(version)
                if len(part) == len(changes):
                    return tuple(made)
            else:
                attempts -= 1
        raise Conflict("Others are editing the same configuration; try again.")

    def newest_version(self, workspace: str) -> int:
        """Its number; 0 when nothing was ever edited."""
        return _newest(self._store.get(workspace, NEWEST_VERSION_KEY))

    def version(self, workspace: str, number: int) -> Version:
        """Raises NotFound."""
        for version in self._versions(workspace, (number,)):
            return version
        raise NotFound(f"There is no version {number}; the last {VERSIONS_KEPT} are kept.")

    def versions(self, workspace: str, newest: int, limit: int) -> tuple[Version, ...]:
        """Up to `limit` versions from `newest` on, downwards; those that are no longer kept are left out."""
        return tuple(self._versions(workspace, range(newest, max(newest - min(limit, VERSIONS_KEPT), 0), -1)))

    def _versions(self, workspace: str, numbers: Sequence[int]) -> Iterator[Version]:
        for start in range(0, len(numbers), _READ_AT_ONCE):
            keys = {number: version_key(number) for number in numbers[start : start + _READ_AT_ONCE] if number > 0}
            found = self._store.get(workspace, *keys.values()) if keys else {}
            for number, key in keys.items():
                if key in found and (version := version_from_item(found[key])).number == number:
                    yield version

    def _before(self, workspace: str, levels: Collection[Level] | None) -> tuple[dict[str, bytes], int, Values]:
        if levels is None:
            items = self._store.all(workspace)
            return items, _newest(items), _snapshot(items).values
        keys = {level: level_key(level) for level in levels}
        items = self._store.get(workspace, NEWEST_VERSION_KEY, *keys.values())
        return items, _newest(items), {level: _config(items[key]) for level, key in keys.items() if key in items}


def level_key(level: Level) -> str:
    match level.application, level.intent:
        case None, None:
            return WORKSPACE_KEY
        case str() as application, None:
            return application_key(application)
        case None, str() as name:
            return intent_group_key(name)
        case str() as application, str() as intent:
            return intent_key(application, intent)
    raise TypeError(level)


def _edit(items: Mapping[str, bytes], level: Level, config: Mapping[str, Any]) -> ConfigEdit:
    if len(jsonbytes.dumps(config)) > LEVEL_LIMIT:
        raise RequestInvalid(f"What is set for {text_of(level)} may have {LEVEL_LIMIT} bytes as JSON.")
    key = level_key(level)
    if key not in items and level != WORKSPACE_LEVEL:
        raise NotFound(f"There is not {text_of(level)}.")
    fields = jsonbytes.loads(items[key]) if key in items else {}
    return ConfigEdit(key, jsonbytes.dumps({**fields, "config": config}), items.get(key))


def _first_part(changes: tuple[LevelChange, ...]) -> tuple[LevelChange, ...]:
    size = 0
    for place, change in enumerate(changes[:_VERSION_LEVELS]):
        size += len(jsonbytes.dumps(_change_to_item(change)))
        if place and size > _VERSION_BYTES:
            return changes[:place]
    return changes[:_VERSION_LEVELS]


def _newest(items: Mapping[str, bytes]) -> int:
    return int(jsonbytes.loads(items[NEWEST_VERSION_KEY])) if NEWEST_VERSION_KEY in items else 0


def _config(item: bytes) -> Mapping[str, Any]:
    return jsonbytes.loads(item)["config"] or NOTHING


def _snapshot(items: Mapping[str, bytes]) -> Snapshot:
    applications = [application_from_item(item) for key, item in items.items() if key.startswith("a#")]
    intents = [intent_from_item(item) for key, item in items.items() if key.startswith("i#")]
    groups = [group_from_item(item) for key, item in items.items() if key.startswith("g#")]
    by_application: dict[int, list[Intent]] = {application.id: [] for application in applications}
    for intent in sorted(intents, key=lambda intent: intent.id):
        by_application.setdefault(intent.application_id, []).append(intent)
    return Snapshot(
        version=_newest(items),
        config=_config(items[WORKSPACE_KEY]) if WORKSPACE_KEY in items else NOTHING,
        trees=tuple(
            (application, tuple(by_application[application.id]))
            for application in sorted(applications, key=lambda application: application.id)
        ),
        groups=tuple(sorted(groups, key=lambda group: group.id)),
    )


def version_to_item(version: Version) -> bytes:
    return jsonbytes.dumps(
        {
            "n": version.number,
            "at": milliseconds(version.at),
            "by": version.by,
            "note": version.note,
            "changes": [_change_to_item(change) for change in version.changes],
        }
    )


def version_from_item(item: bytes) -> Version:
    fields = jsonbytes.loads(item)
    changes = (
        LevelChange(Level(each["application"], each["intent"]), each["before"], each["after"])
        for each in fields["changes"]
    )
    at = _EPOCH + timedelta(milliseconds=fields["at"])
    return Version(number=fields["n"], at=at, by=fields["by"], changes=tuple(changes), note=fields["note"])


def _change_to_item(change: LevelChange) -> dict[str, Any]:
    return {
        "application": change.level.application,
        "intent": change.level.intent,
        "before": change.before,
        "after": change.after,
    }


def application_to_item(application: Application) -> bytes:
    return jsonbytes.dumps(
        {
            "id": application.id,
            "ref_name": application.ref_name,
            "name": application.name,
            "created_at": milliseconds(application.created_at),
            "config": application.config,
        }
    )


def application_from_item(item: bytes) -> Application:
    return Application(**_fields(item))


def intent_to_item(intent: Intent) -> bytes:
    return jsonbytes.dumps(
        {
            "id": intent.id,
            "application_id": intent.application_id,
            "application": intent.application,
            "name": intent.name,
            "created_at": milliseconds(intent.created_at),
            "config": intent.config,
        }
    )


def intent_from_item(item: bytes) -> Intent:
    return Intent(**_fields(item))


def group_to_item(group: IntentGroup) -> bytes:
    return jsonbytes.dumps(
        {
            "id": group.id,
            "name": group.name,
            "created_at": milliseconds(group.created_at),
            "config": group.config,
        }
    )


def group_from_item(item: bytes) -> IntentGroup:
    return IntentGroup(**_fields(item))


def _fields(item: bytes) -> dict[str, Any]:
    fields: dict[str, Any] = jsonbytes.loads(item)
    instant = _EPOCH + timedelta(milliseconds=fields["created_at"])
    return {**fields, "created_at": instant, "config": fields["config"] or NOTHING}
