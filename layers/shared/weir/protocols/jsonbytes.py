"""JSON between bytes and plain values, strict on the way in.

pydantic-core's parser: no NaN or Infinity, no invalid UTF-8 or lone surrogates, at most about 200 levels of nesting,
integers of any size; about twice as fast as the standard library's, and already among the dependencies.
"""

from typing import Any

from pydantic_core import PydanticSerializationError, from_json, to_json


class InvalidJSON(ValueError):
    """The bytes are not JSON; the message gives the reason and the place, never the text."""


def loads(data: bytes | str) -> Any:
    """Raises InvalidJSON."""
    try:
        return from_json(data, allow_inf_nan=False, cache_strings="keys")
    except ValueError as exc:
        raise InvalidJSON(str(exc)) from None


def dumps(value: Any) -> bytes:
    """Compact UTF-8 bytes. Raises InvalidJSON when the value has no JSON form."""
    try:
        return to_json(value, inf_nan_mode="constants")
    except (PydanticSerializationError, ValueError) as exc:
        raise InvalidJSON(str(exc)) from None
