"""Names in the two spellings that JSON written by Python and by protobuf or JavaScript has."""

import re
from collections.abc import Collection
from typing import Any

_CAPITAL = re.compile(r"(?<=[a-z0-9])([A-Z])")
_UNDERSCORE = re.compile(r"(?<=[a-z0-9])_([a-z0-9])")


def snake_cased(value: Any, *, deep: bool = True) -> Any:
    """`value` with its names, and if `deep` those of the objects in it, in snake_case."""
    if isinstance(value, dict):
        names = {name: _CAPITAL.sub(r"_\1", name).lower() for name in value}
        return {names[name]: snake_cased(member) if deep else member for name, member in value.items()}
    if isinstance(value, list) and deep:
        return [snake_cased(member) for member in value]
    return value


def camel_cased(value: Any, free: Collection[str] = ()) -> Any:
    """`value` with its names in camelCase and without nulls. Below the names in `free` nothing is touched."""
    if isinstance(value, dict):
        return {
            _UNDERSCORE.sub(lambda found: found[1].upper(), name): member if name in free else camel_cased(member, free)
            for name, member in value.items()
            if member is not None
        }
    if isinstance(value, list):
        return [camel_cased(member, free) for member in value]
    return value
