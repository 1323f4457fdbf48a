"""Keys in spans: their attributes have dotted names, and hold whole requests as texts of JSON."""

from collections.abc import Mapping
from typing import Any

from weir.http.scrub import ERASED, find_secrets, is_place_of_keys, scrubbed, texts_of_keys
from weir.http.span_conventions import CONTENT
from weir.protocols import jsonbytes

_BELOW_CONTENT = tuple(f"{name}." for name in CONTENT)
_HOLDERS = ("attributes", "resource", "scope", "events", "links")


def without_keys(span: Mapping[str, Any]) -> tuple[dict[str, Any], set[str]]:
    """The span with nothing in the places of keys, and the keys that were there."""
    secrets: set[str] = set()
    return _cleaned(span, secrets), secrets


def _cleaned(holder: Mapping[str, Any], secrets: set[str]) -> dict[str, Any]:
    cleaned = dict(holder)
    for name in _HOLDERS:
        value = holder.get(name)
        if name == "attributes" and isinstance(value, Mapping):
            cleaned[name] = {key: _attribute(key, member, secrets) for key, member in value.items()}
        elif isinstance(value, Mapping):
            cleaned[name] = _cleaned(value, secrets)
        elif isinstance(value, list):
            cleaned[name] = [_cleaned(member, secrets) for member in value]
    return cleaned


def _attribute(name: str, value: Any, secrets: set[str]) -> Any:
    if is_place_of_keys(name):
        secrets |= texts_of_keys(name, value)
        return _erased(value)
    if isinstance(value, Mapping | list):
        secrets |= find_secrets({name: value})
    if not isinstance(value, str) or value[:1] not in ("{", "[") or _is_content(name):
        return value
    try:
        inside = jsonbytes.loads(value)
    except jsonbytes.InvalidJSON:
        return value
    secrets |= find_secrets(inside)
    written = value.encode()
    kept = scrubbed(written, inside, ())
    return value if jsonbytes.loads(kept) == inside else kept.decode()


def _is_content(name: str) -> bool:
    """What was said between caller and model is kept to the letter, but for known secrets."""
    return name in CONTENT or name.startswith(_BELOW_CONTENT)


def _erased(value: Any) -> Any:
    if isinstance(value, str):
        return ERASED if value else value
    if isinstance(value, list):
        return [_erased(member) for member in value]
    if isinstance(value, Mapping):
        return {name: _erased(member) for name, member in value.items()}
    return value
