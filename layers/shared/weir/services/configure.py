"""Applications, intents and their groups as operators see and edit them."""

import asyncio
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from weir.domain.completion import NOTHING
from weir.domain.configuration import Application, Directory, Intent, IntentGroup, Tree, changed
from weir.domain.errors import Conflict, NotFound
from weir.ledger.configuration import Configurations
from weir.services.defaults import Defaults

INTENT_GROUPS_LIMIT = 5_000


class Configure:
    """Every method may raise LedgerUnavailable. What is edited here, `defaults` of this process sees at once."""

    def __init__(self, configurations: Configurations, defaults: Defaults, *, now: Callable[[], datetime]) -> None:
        self._configurations = configurations
        self._defaults = defaults
        self._now = now

    async def all(self, workspace: str) -> tuple[Tree, ...]:
        return await asyncio.to_thread(self._configurations.all, workspace)

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

    async def create_intent(
        self, workspace: str, application_id: int, name: str, config: Mapping[str, Any] = NOTHING
    ) -> Intent:
        """Raises NotFound or Conflict."""
        application, intents = await self.application(workspace, application_id)
        intent = None
        if all(name != known.name for known in intents):
            intent = await asyncio.to_thread(self._configurations.add_intent, workspace, application, name, self._now())
        if intent is None:
            raise Conflict(f"The application {application_id} has an intent {name!r} already.")
        return await self._edit_intent(workspace, intent, lambda _: config) if config else intent

    async def edit_application(self, workspace: str, id: int, changes: Mapping[str, Any]) -> Application:
        """None takes a value away, what `changes` does not name stays. Raises NotFound or Conflict."""
        application, _ = await self.application(workspace, id)
        edited = await asyncio.to_thread(
            self._configurations.edit_application,
            workspace,
            application.ref_name,
            lambda config: changed(config, changes),
        )
        self._defaults.forget()
        return edited

    async def reset_application(self, workspace: str, id: int) -> Application:
        """From then on nothing holds but what is set for its intents. Raises NotFound or Conflict."""
        application, _ = await self.application(workspace, id)
        edited = await asyncio.to_thread(
            self._configurations.edit_application, workspace, application.ref_name, lambda _: NOTHING
        )
        self._defaults.forget()
        return edited

    async def groups(self, workspace: str) -> tuple[IntentGroup, ...]:
        return await asyncio.to_thread(self._configurations.groups, workspace)

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

    async def edit_group(self, workspace: str, id: int, changes: Mapping[str, Any]) -> IntentGroup:
        """What is set for a group is kept, and holds for no call yet. Raises NotFound or Conflict."""
        return await self._edit_group(workspace, id, lambda config: changed(config, changes))

    async def reset_group(self, workspace: str, id: int) -> IntentGroup:
        return await self._edit_group(workspace, id, lambda _: NOTHING)

    async def edit_intent(self, workspace: str, application_id: int, id: int, changes: Mapping[str, Any]) -> Intent:
        intent = await self.intent(workspace, application_id, id)
        return await self._edit_intent(workspace, intent, lambda config: changed(config, changes))

    async def reset_intent(self, workspace: str, application_id: int, id: int) -> Intent:
        """From then on the application's values hold."""
        intent = await self.intent(workspace, application_id, id)
        return await self._edit_intent(workspace, intent, lambda _: NOTHING)

    async def _edit_group(
        self, workspace: str, id: int, change: Callable[[Mapping[str, Any]], Mapping[str, Any]]
    ) -> IntentGroup:
        group = await self.group(workspace, id)
        return await asyncio.to_thread(self._configurations.edit_group, workspace, group.name, change)

    async def _edit_intent(
        self, workspace: str, intent: Intent, change: Callable[[Mapping[str, Any]], Mapping[str, Any]]
    ) -> Intent:
        edited = await asyncio.to_thread(
            self._configurations.edit_intent, workspace, intent.application, intent.name, change
        )
        self._defaults.forget()
        return edited
