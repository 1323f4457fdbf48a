"""A configuration as TOML: `[workspace]`, `[applications.<name>]` with `.intents.<name>`, `[intent_groups.<name>]`.

A file says all that is set, and is written in one order, so that it can be kept under version control.
"""

import re
import tomllib
from collections.abc import Collection, Iterator, Mapping
from datetime import date, time
from math import isfinite
from typing import Any

from weir.domain.configuration import WORKSPACE_LEVEL, Level, Values
from weir.domain.errors import RequestInvalid, WeirError
from weir.http.chat_request import NAME_LIMIT
from weir.http.config_views import tree_view
from weir.http.maitai_config import ConfigBody, to_changes
from weir.http.scrub import ERASED, find_secrets, holds_any, scrubbed
from weir.http.validation import validated
from weir.protocols import jsonbytes

Path = tuple[str, ...]


class ConfigFileInvalid(WeirError):
    """The message has a line for each thing that is wrong, with the place."""


class _Problem(Exception):
    def __init__(self, path: Path, said: str) -> None:
        super().__init__(said)
        self.path = path


def to_toml(values: Values) -> str:
    import tomli_w  # of the local requirements, as whoever has the command

    tree = tree_view(values)
    # A text over several lines is written as such, where that keeps it to the letter: tomli-w writes \r\n as \n then.
    several_lines = b"\\r\\n" not in jsonbytes.dumps(tree)
    return tomli_w.dumps(tree, multiline_strings=several_lines)


def from_toml(text: str, name: str, secrets: Collection[str]) -> Values:
    """What the file `name` says is set. `secrets` must not be in it. Raises ConfigFileInvalid."""
    try:
        tree = tomllib.loads(text)
    except (ValueError, RecursionError) as exc:
        raise ConfigFileInvalid(f"{name}: {exc}") from None
    values: dict[Level, Mapping[str, Any]] = {}
    problems: list[_Problem] = []
    for path, level, config in _levels(tree, problems):
        try:
            found = _config(path, config, secrets)
        except _Problem as exc:
            problems.append(exc)
        else:
            if found:
                values[level] = found
    if problems:
        raise ConfigFileInvalid("\n".join(_told(text, name, problem) for problem in problems))
    return values


def dotted(path: Path) -> str:
    """A path as TOML writes it in a header."""
    return ".".join(step if re.fullmatch(r"[A-Za-z0-9_-]+", step) else jsonbytes.dumps(step).decode() for step in path)


def path_of(level: Level) -> Path:
    match level.application, level.intent:
        case str() as application, None:
            return "applications", application
        case str() as application, str() as intent:
            return "applications", application, "intents", intent
        case None, str() as name:
            return "intent_groups", name
    return ("workspace",)


def _levels(tree: Mapping[str, Any], problems: list[_Problem]) -> Iterator[tuple[Path, Level, Any]]:
    for name, table in tree.items():
        match name:
            case "workspace":
                yield (name,), WORKSPACE_LEVEL, table
            case "applications":
                for path, application, member in _named((name,), table, problems):
                    intents = member.pop("intents", {}) if isinstance(member, dict) else {}
                    yield path, Level(application), member
                    for inner, intent, config in _named((*path, "intents"), intents, problems):
                        yield inner, Level(application, intent), config
            case "intent_groups":
                for path, group, config in _named((name,), table, problems):
                    yield path, Level(None, group), config
            case _:
                said = "there are workspace, applications and intent_groups"
                problems.append(_Problem((name,), f"is nothing that a configuration has; {said}"))


def _named(path: Path, table: Any, problems: list[_Problem]) -> Iterator[tuple[Path, str, Any]]:
    if not isinstance(table, dict):
        problems.append(_Problem(path, "must be a table"))
        return
    for name, member in table.items():
        if 0 < len(name) <= NAME_LIMIT:
            yield (*path, name), name, member
        else:
            problems.append(_Problem((*path, name), f"a name has 1 to {NAME_LIMIT} characters"))


def _config(path: Path, config: Any, secrets: Collection[str]) -> Mapping[str, Any]:
    if not isinstance(config, dict):
        raise _Problem(path, "must be a table")
    if any(ERASED in step or holds_any(step, secrets) for step in path):
        raise _Problem(path, "is a name that holds a key")
    _require_json(path, config)
    known = {*secrets, *find_secrets(config)}
    try:
        return to_changes(validated(ConfigBody, jsonbytes.loads(scrubbed(jsonbytes.dumps(config), config, known))))
    except RequestInvalid as exc:
        raise _Problem((*path, *_steps(exc.param or "", config)), str(exc)) from None


def _require_json(path: Path, value: Any) -> None:
    match value:
        case dict():
            for name, member in value.items():
                _require_json((*path, name), member)
        case list():
            for member in value:
                _require_json(path, member)
        case date() | time():
            raise _Problem(path, "is a date or a time, which no parameter is; write it as a text")
        case float() if not isfinite(value):
            raise _Problem(path, "is no finite number")


def _steps(param: str, config: Mapping[str, Any]) -> Iterator[str]:
    """The names in `param`, such as `tools[0].function`, as far as the tables go."""
    inner: Any = config
    for step in param.split("."):
        name = step.partition("[")[0]
        if not isinstance(inner, dict) or name not in inner:
            return
        yield name
        inner = inner[name] if name == step else None


def _told(text: str, name: str, problem: _Problem) -> str:
    return f"{name}:{_line_of(text, problem.path)}: {dotted(problem.path)}: {problem}"


def _line_of(text: str, path: Path) -> int:
    """Where it begins. tomllib tells no places: the first lines that hold it are looked for, by halves."""
    lines = text.split("\n")

    def whole(count: int) -> int:
        """The smallest number of lines from `count` on that are TOML: a value may go over several."""
        while count < len(lines) and _parsed(lines[:count]) is None:
            count += 1
        return count

    low, high = 0, len(lines)
    while high - low > 1:
        middle = (low + high) // 2
        if _holds(_parsed(lines[: whole(middle)]), path):
            high = middle
        else:
            low = middle
    while low and _parsed(lines[:low]) is None:
        low -= 1
    return low + 1


def _parsed(lines: list[str]) -> Mapping[str, Any] | None:
    try:
        return tomllib.loads("\n".join(lines) + "\n")
    except ValueError:
        return None


def _holds(tree: Mapping[str, Any] | None, path: Path) -> bool:
    inner: Any = tree
    for step in path:
        if not isinstance(inner, dict) or step not in inner:
            return False
        inner = inner[step]
    return True
