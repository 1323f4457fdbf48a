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
    """Raises InvalidJSON."""
    try:
        value = from_json(data, allow_inf_nan=False, cache_strings="keys")
    except ValueError as exc:
        raise InvalidJSON(str(exc)) from None
    if not _finite(value):  # the parser reads 1e999 as infinity, which nobody could write again
        raise InvalidJSON("number out of range")
    return value


def dumps(value: Any) -> bytes:
    """Compact UTF-8 bytes. Raises InvalidJSON when the value has no JSON form."""
    try:
        text = to_json(value, inf_nan_mode="constants")
    except (PydanticSerializationError, ValueError) as exc:
        raise InvalidJSON(str(exc)) from None
    if b"NaN" in text or b"Infinity" in text:
        loads(text)  # raises unless the words stand inside texts
    return text


def _finite(value: Any) -> bool:
    kind = type(value)
    if kind is float:
        return isfinite(value)
    if kind is dict:
        return all(map(_finite, value.values()))
    return kind is not list or all(map(_finite, value))
