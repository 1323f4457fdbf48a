"""What calls are for, and what holds for them: applications, their intents and groups of these, each with defaults."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from weir.domain.completion import NOTHING
from weir.domain.errors import NotFound
from weir.domain.record import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """One purpose within an application; `name` is what callers send as `action_type`.

    `config` holds what is set for it, by the names that Maitai's Config object has; what is not set is absent.
    """

    id: int
    application_id: int
    application: str
    name: str
    created_at: datetime
    config: Mapping[str, Any] = NOTHING


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """`ref_name` is what callers send, and never changes. `config` is as an Intent's, for all of its intents."""

    id: int
    ref_name: str
    name: str
    created_at: datetime
    config: Mapping[str, Any] = NOTHING


@dataclass(frozen=True, slots=True, kw_only=True)
class IntentGroup:
    """The intents of one name, in whatever application they are. `config` is as an Intent's."""

    id: int
    name: str
    created_at: datetime
    config: Mapping[str, Any] = NOTHING


Tree = tuple[Application, tuple[Intent, ...]]


class Directory:
    """The applications of a workspace and their intents, by the ids and by the names that records have."""

    def __init__(self, trees: Iterable[Tree]) -> None:
        self._trees = {application.id: (application, intents) for application, intents in trees}
        self._intents = {intent.id: intent for _, intents in self._trees.values() for intent in intents}
        self._applications_by_name = {application.ref_name: application for application, _ in self._trees.values()}
        self._intents_by_name = {(intent.application, intent.name): intent for intent in self._intents.values()}

    @property
    def trees(self) -> tuple[Tree, ...]:
        return tuple(self._trees.values())

    def tree(self, application_id: int) -> Tree:
        """Raises NotFound."""
        if application_id not in self._trees:
            raise NotFound(f"There is no application {application_id}.")
        return self._trees[application_id]

    def application(self, id: int) -> Application:
        return self.tree(id)[0]

    def application_named(self, ref_name: str) -> Application | None:
        return self._applications_by_name.get(ref_name)

    def intent(self, id: int) -> Intent:
        """Raises NotFound. Ids of intents are those of the workspace, whatever the application."""
        if id not in self._intents:
            raise NotFound(f"There is no intent {id}.")
        return self._intents[id]

    def intent_of(self, application_id: int, id: int) -> Intent:
        """Raises NotFound."""
        for intent in self.tree(application_id)[1]:
            if intent.id == id:
                return intent
        raise NotFound(f"The application {application_id} has no intent {id}.")

    def intents_named(self, name: str) -> tuple[Intent, ...]:
        return tuple(intent for intent in self._intents.values() if intent.name == name)

    def place(self, record: Record) -> tuple[Application | None, Intent | None]:
        """What a record's names stand for; None for what is not known yet, or was never named."""
        application, intent = record.application or "", record.intent or ""
        return self._applications_by_name.get(application), self._intents_by_name.get((application, intent))


def effective(application: Application | None, intent: Intent | None) -> Mapping[str, Any]:
    """What holds for a call: the intent's own values, then the application's."""
    if application is None:
        return NOTHING if intent is None else intent.config
    if intent is None or not intent.config:
        return application.config
    return {**application.config, **intent.config} if application.config else intent.config


def changed(config: Mapping[str, Any], changes: Mapping[str, Any]) -> Mapping[str, Any]:
    """`config` with `changes`: None takes a value away, what is not named stays."""
    return {name: value for name, value in {**config, **changes}.items() if value is not None}
