"""Methods of dataclasses, compiled when the layer was built: `compile-dataclasses` beside the layer's Makefile.

`@dataclass` writes a class's methods as a text and compiles it whenever the module is imported, which .pyc files do not
spare: 0.4 ms for each of the 170 in a function's start, a sixth of it all (measured). A text that the build has not
seen is compiled as ever, so that whatever a build knows of, the classes are the same.
"""

import dataclasses
import marshal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

COMPILED = Path(__file__).with_suffix(".marshal")
"""The cache tag of the Python whose code it is, and from texts to code that is marshalled in turn: a start does not pay
for classes that it does not import."""


def use_compiled(compiled: Path = COMPILED) -> None:
    """From now on, in this process. Nothing happens where no such code was left, as outside Lambda."""
    try:
        written_for, code = marshal.loads(compiled.read_bytes())  # noqa: S302  # Weir's own build wrote it
    except FileNotFoundError:
        return
    if written_for == sys.implementation.cache_tag:
        vars(dataclasses)["exec"] = _executing(code)


def _executing(compiled: Mapping[str, bytes]) -> Any:
    """Stands before the builtin in the one module that is given texts of methods."""

    def execute(text: str, variables: dict[str, Any], names: dict[str, Any]) -> None:
        # What the builtin would be given is a text of dataclasses' own making; the code is that of the same text.
        code = compiled.get(text)
        exec(text if code is None else marshal.loads(code), variables, names)  # noqa: S102, S302

    return execute
