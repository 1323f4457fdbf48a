"""A function call's arguments that arrive piece by piece (Vertex, `streamFunctionCallArguments`).

https://docs.cloud.google.com/vertex-ai/generative-ai/docs/multimodal/function-calling: each piece names its place by
a JSON path (RFC 9535) and holds one value, or more of a string.
"""

import re
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any

_STEP = re.compile(r"""\.([^.\[\]]+)|\[(\d+)\]|\['((?:[^'\\]|\\.)*)'\]|\["((?:[^"\\]|\\.)*)"\]""")
_MOST_ITEMS = 100_000
"""A place further down a list than any model writes to; a wild index must not become memory."""


def grow(args: dict[str, Any], pieces: Iterable[Mapping[str, Any]]) -> None:
    """Put the pieces where they belong. Raises ValueError for a path that leads nowhere."""
    for piece in pieces:
        path = _steps(piece["jsonPath"])
        if "stringValue" in piece:
            _put(args, path, piece["stringValue"], joins=True)
        elif "numberValue" in piece:
            _put(args, path, piece["numberValue"])
        elif "boolValue" in piece:
            _put(args, path, piece["boolValue"])
        elif "nullValue" in piece:
            _put(args, path, None)


def _steps(path: str) -> list[str | int]:
    steps: list[str | int] = []
    at = 1
    while at < len(path):
        step = _STEP.match(path, at)
        if step is None:
            break
        name, index, single, double = step.groups()
        quoted = single if single is not None else double
        steps.append(int(index) if index is not None else name if name is not None else re.sub(r"\\(.)", r"\1", quoted))
        at = step.end()
    if not path.startswith("$") or at < len(path) or not steps:
        raise ValueError("not a path to an argument")
    return steps


def _put(args: dict[str, Any], path: list[str | int], value: Any, *, joins: bool = False) -> None:
    holder: Any = args
    for step, following in pairwise(path):
        inner = _at(holder, step)
        if not isinstance(inner, dict | list):
            inner = [] if isinstance(following, int) else {}
            _set(holder, step, inner)
        holder = inner
    known = _at(holder, path[-1])
    _set(holder, path[-1], known + value if joins and isinstance(known, str) else value)


def _at(holder: Any, step: str | int) -> Any:
    if isinstance(holder, dict) and isinstance(step, str):
        return holder.get(step)
    if isinstance(holder, list) and isinstance(step, int):
        return holder[step] if step < len(holder) else None
    raise ValueError("a path through a value of another kind")


def _set(holder: Any, step: Any, value: Any) -> None:
    if isinstance(holder, list):
        if step > _MOST_ITEMS:
            raise ValueError("an index beyond any list")
        holder.extend([None] * (step + 1 - len(holder)))
    holder[step] = value
