"""The configuration of a workspace as operators see and edit it: what there is, what is set, and its versions."""

import asyncio
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from weir.domain.completion import NOTHING
from weir.domain.configuration import (
    WORKSPACE_LEVEL,
    Application,
    Directory,
    Intent,
    IntentGroup,
    Level,
    Snapshot,
    Tree,
    Values,
    changed,
)
from weir.domain.errors import Conflict, NotFound
from weir.domain.versions import Version, place_of, restored, text_of
from weir.ledger.configuration import Author, Configurations
from weir.ledger.keys import VERSIONS_KEPT
from weir.services.defaults import Defaults

INTENT_GROUPS_LIMIT = 5_000


class Editor(NamedTuple):
    """Who edits: the id of a key, or OPERATOR. `version` is the one that the edit is meant for; None takes any."""

    by: str
    version: int | None = None


class Configure:
    """Every method may raise LedgerUnavailable. What is edited here, `defaults` of this process sees at once."""

    def __init__(self, configurations: Configurations, defaults: Defaults, *, now: Callable[[], datetime]) -> None:
        self._configurations = configurations
        self._defaults = defaults
        self._now = now

    async def all(self, workspace: str) -> tuple[Tree, ...]:
        return await asyncio.to_thread(self._configurations.all, workspace)

    async def snapshot(self, workspace: str) -> Snapshot:
        return await asyncio.to_thread(self._configurations.snapshot, workspace)

    async def config(self, workspace: str) -> Mapping[str, Any]:
        """What is set for the whole workspace."""
        found = await asyncio.to_thread(self._configurations.of_call, workspace, None, None)
        return found.get(WORKSPACE_LEVEL, NOTHING)

    async def directory(self, workspace: str) -> Directory:
        return Directory(await self.all(workspace))

    async def application(self, workspace: str, id: int) -> Tree:
        """Raises NotFound."""
        return (await self.directory(workspace)).tree(id)

    async def intent(self, workspace: str, application_id: int, id: int) -> Intent:
        """Raises NotFound."""
        return (await self.directory(workspace)).intent_of(application_id, id)

    async def create_application(self, workspace: str, name: str, ref_name: str | None) -> Application:
        """Without a ref name, `name` in snake_case becomes one. Raises Conflict when it is taken."""
        ref_name = ref_name or re.sub(r"\W+", "_", name.strip().lower()).strip("_") or name
        taken = Conflict(f"There is an application {ref_name!r} already.")

        def create() -> Application | None:
            if self._configurations.find(workspace, ref_name)[0] is not None:
                return None
            return self._configurations.add_application(workspace, ref_name, name, self._now())

        application = await asyncio.to_thread(create)
        if application is None:
            raise taken
        return application

    async def create_intent(self, workspace: str, application_id: int, name: str) -> Intent:
        """Raises NotFound or Conflict."""
        application, intents = await self.application(workspace, application_id)
        intent = None
        if all(name != known.name for known in intents):
            intent = await asyncio.to_thread(self._configurations.add_intent, workspace, application, name, self._now())
        if intent is None:
            raise Conflict(f"The application {application_id} has an intent {name!r} already.")
        return intent

    async def groups(self, workspace: str) -> tuple[IntentGroup, ...]:
        return (await self.snapshot(workspace)).groups

    async def group(self, workspace: str, id: int) -> IntentGroup:
        """Raises NotFound."""
        for group in await self.groups(workspace):
            if group.id == id:
                return group
        raise NotFound(f"There is no intent group {id}.")

    async def create_group(self, workspace: str, name: str) -> IntentGroup:
        """Raises Conflict."""
        group = await asyncio.to_thread(
            self._configurations.add_group, workspace, name, self._now(), limit=INTENT_GROUPS_LIMIT
        )
        if group is None:
            raise Conflict(f"There is an intent group {name!r} already, or there are {INTENT_GROUPS_LIMIT}.")
        return group

    async def edit(self, workspace: str, level: Level, changes: Mapping[str, Any], editor: Editor) -> Mapping[str, Any]:
        """None takes a value away, what `changes` does not name stays. What is set there afterwards.

        Raises Conflict, as every edit here, or RequestInvalid for too much.
        """
        return await self._edit_level(workspace, level, lambda config: changed(config, changes), editor)

    async def reset(self, workspace: str, level: Level, editor: Editor) -> Mapping[str, Any]:
        """From then on what is set farther from a call holds."""
        return await self._edit_level(workspace, level, lambda _: NOTHING, editor)

    async def replace(self, workspace: str, values: Values, editor: Editor, *, note: str) -> tuple[Version, ...]:
        """Set everywhere what `values` say, and nothing else. What they name and is not known becomes known."""
        await asyncio.to_thread(self._make_known, workspace, values)
        return await self._edit(workspace, lambda _: values, editor, note)

    async def versions(self, workspace: str, *, before: int | None = None, limit: int) -> tuple[Version, ...]:
        """The newest first; those before version `before`, if it is given. VERSIONS_KEPT are kept."""
        newest = await asyncio.to_thread(self._configurations.newest_version, workspace)
        first = newest if before is None else min(newest, before - 1)
        kept = newest - VERSIONS_KEPT
        return await asyncio.to_thread(self._configurations.versions, workspace, first, min(limit, first - kept))

    async def version(self, workspace: str, number: int) -> Version:
        """Raises NotFound."""
        return await asyncio.to_thread(self._configurations.version, workspace, number)

    async def plan_roll_back(self, workspace: str, number: int) -> tuple[Snapshot, Values]:
        """All as it is, and the values as they were after version `number`. Raises NotFound."""
        snapshot = await self.snapshot(workspace)
        behind = snapshot.version - number
        since = await asyncio.to_thread(self._configurations.versions, workspace, snapshot.version, max(behind, 0))
        if behind < 0 or number < 0 or len(since) != behind:
            raise NotFound(f"There is no version {number} to go back to; the last {VERSIONS_KEPT} are kept.")
        return snapshot, restored(snapshot.values, since)

    async def roll_back(self, workspace: str, number: int, editor: Editor) -> tuple[Version, ...]:
        """Set everywhere what was set after version `number`, by a new version. Raises NotFound."""
        snapshot, values = await self.plan_roll_back(workspace, number)
        expected = Editor(editor.by, snapshot.version if editor.version is None else editor.version)
        return await self._edit(workspace, lambda _: values, expected, f"back to version {number}")

    async def _edit_level(
        self,
        workspace: str,
        level: Level,
        change: Callable[[Mapping[str, Any]], Mapping[str, Any]],
        editor: Editor,
    ) -> Mapping[str, Any]:
        author = Author(editor.by, self._now(), expected=editor.version)
        edited = await asyncio.to_thread(self._configurations.edit_level, workspace, level, change, author)
        self._defaults.forget()
        return edited

    async def _edit(
        self, workspace: str, change: Callable[[Values], Values], editor: Editor, note: str
    ) -> tuple[Version, ...]:
        author = Author(editor.by, self._now(), note, editor.version)
        versions = await asyncio.to_thread(self._configurations.edit, workspace, change, author)
        self._defaults.forget()
        return versions

    def _make_known(self, workspace: str, values: Values) -> None:
        snapshot = self._configurations.snapshot(workspace)
        applications = {application.ref_name: application for application, _ in snapshot.trees}
        for level in sorted(values.keys() - snapshot.levels(), key=place_of):
            name, at = level.application, self._now()
            made: object
            if name is None:
                made = self._configurations.add_group(workspace, level.intent or "", at, limit=INTENT_GROUPS_LIMIT)
            elif level.intent is None:
                made = self._add_application(workspace, name, at, applications)
            else:
                application = applications.get(name) or self._add_application(workspace, name, at, applications)
                made = application and self._configurations.add_intent(workspace, application, level.intent, at)
            if made is None:
                raise Conflict(f"Somebody else is making {text_of(level)} as well, or there are too many; try again.")

    def _add_application(
        self, workspace: str, name: str, at: datetime, known: dict[str, Application]
    ) -> Application | None:
        made = self._configurations.add_application(workspace, name, name, at)
        return None if made is None else known.setdefault(name, made)
