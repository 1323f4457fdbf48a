"""What was changed in a configuration, by whom and when, and how it was before."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from weir.domain.configuration import Level, Values


@dataclass(frozen=True, slots=True)
class LevelChange:
    """The values that differ, by name; one that was not set before, or is not set any more, is absent."""

    level: Level
    before: Mapping[str, Any]
    after: Mapping[str, Any]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(sorted({*self.before, *self.after}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One edit of a workspace's configuration. They are numbered from 1, without gaps, in the order of the edits.

    `by` is the id of the key that made it, or OPERATOR. `note` says what it was beside an edit of one level.
    """

    number: int
    at: datetime
    by: str
    changes: tuple[LevelChange, ...]
    note: str | None = None


OPERATOR = "operator"
"""Whoever has the key of the environment, or the ledger itself."""


def difference(before: Values, after: Values) -> tuple[LevelChange, ...]:
    """The changes that make `after` of `before`, in the order of the levels' names."""
    found = []
    for level in sorted({*before, *after}, key=place_of):
        old, new = before.get(level, {}), after.get(level, {})
        names = sorted({*old, *new})
        differing = [n for n in names if (n in old) != (n in new) or not same_json(old.get(n), new.get(n))]
        if differing:
            found.append(
                LevelChange(
                    level, {n: old[n] for n in differing if n in old}, {n: new[n] for n in differing if n in new}
                )
            )
    return tuple(found)


def restored(values: Values, since: Iterable[Version]) -> Values:
    """`values` as they were before the versions `since`, of which none may be left out."""
    found = {level: dict(config) for level, config in values.items()}
    for version in sorted(since, key=lambda version: version.number, reverse=True):
        for change in version.changes:
            config = found.setdefault(change.level, {})
            for name in change.names:
                config.pop(name, None)
            config.update(change.before)
    return {level: config for level, config in found.items() if config}


def place_of(level: Level) -> tuple[int, str, str]:
    """Where a level stands in lists: the workspace, applications each with its intents, groups."""
    match level.kind:
        case "workspace":
            return 0, "", ""
        case "application" | "intent":
            return 1, level.application or "", "" if level.intent is None else f"i{level.intent}"
        case "intent_group":
            return 2, level.intent or "", ""


def text_of(level: Level) -> str:
    match level.kind:
        case "workspace":
            return "the workspace"
        case "application":
            return f"the application {level.application!r}"
        case "intent":
            return f"the intent {level.intent!r} of {level.application!r}"
        case "intent_group":
            return f"the intent group {level.intent!r}"


def same_json(one: Any, other: Any) -> bool:
    """Python holds 1, 1.0 and true for equal; in JSON they are three values."""
    return one == other and json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
