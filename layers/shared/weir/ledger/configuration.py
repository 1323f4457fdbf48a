"""Applications, intents and their groups over a ConfigStore. Calls block; they are made off the event loop."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from weir.domain.completion import NOTHING
from weir.domain.configuration import Application, Intent, IntentGroup
from weir.domain.errors import Conflict, LedgerUnavailable
from weir.domain.ids import milliseconds
from weir.ledger.keys import application_key, intent_group_key, intent_key
from weir.ledger.ports import ConfigStore
from weir.protocols import jsonbytes

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EDITS = 10
"""Attempts at an edit that others' edits keep overtaking."""

Change = Callable[[Mapping[str, Any]], Mapping[str, Any]]


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

    def all(self, workspace: str) -> tuple[tuple[Application, tuple[Intent, ...]], ...]:
        """Every application with its intents, both in the order of their ids."""
        items = self._store.all(workspace)
        applications = [application_from_item(item) for key, item in items.items() if key.startswith("a#")]
        intents = [intent_from_item(item) for key, item in items.items() if key.startswith("i#")]
        intents.sort(key=lambda intent: intent.id)
        return tuple(
            (application, tuple(intent for intent in intents if intent.application_id == application.id))
            for application in sorted(applications, key=lambda application: application.id)
        )

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

    def groups(self, workspace: str) -> tuple[IntentGroup, ...]:
        """In the order of their ids."""
        items = self._store.all(workspace)
        groups = [group_from_item(item) for key, item in items.items() if key.startswith("g#")]
        return tuple(sorted(groups, key=lambda group: group.id))

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

    def edit_group(self, workspace: str, name: str, change: Change) -> IntentGroup:
        return group_from_item(self._edit(workspace, intent_group_key(name), change))

    def edit_application(self, workspace: str, ref_name: str, change: Change) -> Application:
        """Change the config of one that exists. Raises Conflict when others edit it all the time."""
        item = self._edit(workspace, application_key(ref_name), change)
        return application_from_item(item)

    def edit_intent(self, workspace: str, application: str, name: str, change: Change) -> Intent:
        return intent_from_item(self._edit(workspace, intent_key(application, name), change))

    def _edit(self, workspace: str, key: str, change: Change) -> bytes:
        for _ in range(_EDITS):
            found = self._store.get(workspace, key)
            if key not in found:
                raise LedgerUnavailable("The configuration that is being edited is gone.")
            fields = jsonbytes.loads(found[key])
            item = jsonbytes.dumps({**fields, "config": change(fields["config"])})
            if item == found[key] or self._store.put(workspace, key, item, instead_of=found[key]):
                return item
        raise Conflict("Others are editing the same configuration; try again.")


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
