"""JSON between bytes and plain values, strict on the way in.

pydantic-core's parser: no NaN or Infinity, no invalid UTF-8 or lone surrogates, at most about 200 levels of nesting,
integers of up to 4,300 digits; about twice as fast as the standard library's, and already among the dependencies.
"""

from math import isfinite
from typing import Any

from pydantic_core import PydanticSerializationError, from_json, to_json


class InvalidJSON(ValueError):
    """The bytes are not JSON; the message gives the reason and the place, never the text."""


def loads(data: bytes | str) -> Any:
    """Raises InvalidJSON. A number beyond a float's range, such as 1e999, is read as infinity."""
    try:
        return from_json(data, allow_inf_nan=False, cache_strings="keys")
    except ValueError as exc:
        raise InvalidJSON(str(exc)) from None


def loads_finite(data: bytes) -> Any:
    """As `loads`, but refuses numbers that could not be written again: for what callers send."""
    value = loads(data)
    if not _finite(value):
        raise InvalidJSON("number out of range")
    return value


def dumps(value: Any) -> bytes:
    """Compact UTF-8 bytes; a number that is none is null. Raises InvalidJSON when the value has no JSON form."""
    try:
        return to_json(value, inf_nan_mode="null")
    except (PydanticSerializationError, ValueError) as exc:
        raise InvalidJSON(str(exc)) from None


def _finite(value: Any) -> bool:
    kind = type(value)
    if kind is float:
        return isfinite(value)
    if kind is dict:
        return all(map(_finite, value.values()))
    return kind is not list or all(map(_finite, value))
