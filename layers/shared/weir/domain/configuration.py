"""What calls are for, and what holds for them: workspace, applications, intents and groups of these, with defaults."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from weir.domain.completion import NOTHING
from weir.domain.errors import NotFound
from weir.domain.record import Record

LevelKind = Literal["workspace", "application", "intent_group", "intent"]


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


@dataclass(frozen=True, slots=True)
class Level:
    """Whose values they are: the workspace's when it names nothing, an application's, or an intent's of an application.

    An intent without an application is the group of that name.
    """

    application: str | None = None
    intent: str | None = None

    @property
    def kind(self) -> LevelKind:
        if self.application is None:
            return "workspace" if self.intent is None else "intent_group"
        return "application" if self.intent is None else "intent"


WORKSPACE_LEVEL = Level()

Values = Mapping[Level, Mapping[str, Any]]
"""What is set at each level; a level at which nothing is set is absent."""


def levels_of(application: str | None, intent: str | None) -> tuple[Level, ...]:
    """Those that hold for a call, the nearest to it last."""
    if application is None:
        return (WORKSPACE_LEVEL,) if intent is None else (WORKSPACE_LEVEL, Level(None, intent))
    if intent is None:
        return (WORKSPACE_LEVEL, Level(application))
    return (WORKSPACE_LEVEL, Level(application), Level(None, intent), Level(application, intent))


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """All configuration of a workspace as it was at one moment. `version` counts the edits so far."""

    version: int
    config: Mapping[str, Any]
    trees: tuple[Tree, ...]
    groups: tuple[IntentGroup, ...]

    @property
    def values(self) -> Values:
        found = {WORKSPACE_LEVEL: self.config}
        for application, intents in self.trees:
            found[Level(application.ref_name)] = application.config
            found |= {Level(application.ref_name, intent.name): intent.config for intent in intents}
        found |= {Level(None, group.name): group.config for group in self.groups}
        return {level: config for level, config in found.items() if config}

    def levels(self) -> frozenset[Level]:
        """Those that exist, whether or not anything is set there."""
        applications = {Level(application.ref_name) for application, _ in self.trees}
        intents = {Level(intent.application, intent.name) for _, intents in self.trees for intent in intents}
        groups = {Level(None, group.name) for group in self.groups}
        return frozenset({WORKSPACE_LEVEL} | applications | intents | groups)


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


_SAME = (
    frozenset({"reasoning", "reasoning_effort"}),
    frozenset({"fallback_config", "fallback_model", "fallback_models"}),
    frozenset({"model", "load_balance_models"}),
)
"""Names of one thing, or of two that exclude each other: what a nearer level says under one of them hides what a
farther one says under another."""


def effective(configs: Iterable[Mapping[str, Any]]) -> Mapping[str, Any]:
    """What holds for a call: each value as the last of `configs` has it that has it at all, whole."""
    found: Mapping[str, Any] = NOTHING
    for config in configs:
        if config:
            hidden = {name for same in _SAME if not same.isdisjoint(config) for name in same}
            kept = {name: value for name, value in found.items() if name not in hidden}
            found = {**kept, **config} if kept else config
    return found


def changed(config: Mapping[str, Any], changes: Mapping[str, Any]) -> Mapping[str, Any]:
    """`config` with `changes`: None takes a value away, what is not named stays."""
    return {name: value for name, value in {**config, **changes}.items() if value is not None}
