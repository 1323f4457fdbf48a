"""Keeping keys out of everything that is stored, logged or shown.

Two nets. By place: the fields in which callers send credentials lose their values. By value: every secret that took
part in a call (its API key, the provider's key, whatever the fields above held) is erased wherever else it turns up,
in the provider's answer too.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from weir.protocols import jsonbytes

ERASED = "[erased]"

_CONTAINERS = frozenset(
    {
        "auth_keys",
        "api_keys",
        "customer_credentials",
        "credential_override",
        "credentials",
        "default_headers",
        "default_query",
        "extra_headers",
        "headers",
    }
)
"""Objects whose every text is a credential or may be one; names are kept, so that it shows what was sent."""

_NAMES = re.compile(
    r"(api[-_]?key|apikey|secret|password|passwd|authorization|credential|private[-_]?key|"
    r"access[-_]?key|session[-_]?token|access[-_]?token|auth[-_]?token|bearer|cookie|key_value|key_map)",
    re.IGNORECASE,
)
_CONTENT = frozenset(
    {
        "messages",
        "prompt_messages",
        "completion_message",
        "completion_messages",
        "choices",
        "message_content",
        "content",
        "parameters",
        "schema",
        "input_schema",
    }
)
"""What was said between caller and model is kept to the letter, but for known secrets: it is not ours to edit.

So are JSON schemas: the words of a tool's parameter called `headers` ("string") are no secrets to be erased everywhere.
"""

_SHORTEST = 6
"""A shorter text is no key, and erasing it everywhere would tear holes into ordinary words."""

_TOKENS = tuple(f"{kind}{joint}token" for kind in ("session", "access") for joint in ("", "_", "-"))
_WORDS = ("key", "secret", "passw", "auth", "credential", "bearer", "cookie", "headers", "query", *_TOKENS)
_HINTS = tuple(word.encode() for word in _WORDS)
"""Every name above holds one of these, in lower case; a body without any needs no closer look."""

_ESCAPED_ASCII = re.compile(rb"\\u00[2-7]")


def may_hold_secrets(raw: bytes) -> bool:
    """Whether any member's name may be that of a credential."""
    lowered = raw.lower()
    return any(hint in lowered for hint in _HINTS) or _ESCAPED_ASCII.search(raw) is not None


def find_secrets(body: Any, *, inside: bool = False) -> set[str]:
    """The texts that stand where credentials stand."""
    found: set[str] = set()
    if isinstance(body, dict):
        for name, value in body.items():
            if inside or name in _CONTAINERS:
                found |= find_secrets(value, inside=True)
                if isinstance(value, str) and len(value) >= _SHORTEST:
                    found.add(value)
            elif isinstance(value, str):
                if _NAMES.search(name) and len(value) >= _SHORTEST:
                    found.add(value)
            elif name not in _CONTENT and isinstance(value, dict | list):
                found |= find_secrets(value)
    elif isinstance(body, list):
        for value in body:
            found |= find_secrets(value, inside=inside)
            if inside and isinstance(value, str) and len(value) >= _SHORTEST:
                found.add(value)
    return found


def scrubbed(raw: bytes, body: Any, secrets: Iterable[str]) -> bytes:
    """The JSON text of `body`, which is `raw` parsed, without credentials: `raw` itself if no name hints at any."""
    known = tuple(secrets)
    if may_hold_secrets(raw):
        raw = jsonbytes.dumps(_without(body))
    return erase(raw, known)


def erase(raw: bytes, secrets: Iterable[str]) -> bytes:
    """`raw` without the secrets, in each form in which JSON can hold them."""
    for secret in _longest_first(secrets):
        written = jsonbytes.dumps(secret)[1:-1]
        raw = raw.replace(written, ERASED.encode())
        if "\\" not in secret:  # one that ends in a backslash would take half of an escape with it
            raw = raw.replace(secret.encode(), ERASED.encode())
    return raw


def erase_text(text: str, secrets: Iterable[str]) -> str:
    for secret in _longest_first(secrets):
        text = text.replace(secret, ERASED)
    return text


def _longest_first(secrets: Iterable[str]) -> list[str]:
    """A secret that begins another one would leave the other's end behind."""
    return sorted((secret for secret in secrets if len(secret) >= _SHORTEST), key=len, reverse=True)


def _without(value: Any, *, inside: bool = False) -> Any:
    if isinstance(value, Mapping):
        return {name: _member(name, member, inside) for name, member in value.items()}
    if isinstance(value, list):
        return [_without(member, inside=inside) for member in value]
    return ERASED if inside and isinstance(value, str) and value else value


def _member(name: str, value: Any, inside: bool) -> Any:
    if inside or name in _CONTAINERS:
        return _without(value, inside=True)
    if isinstance(value, str):
        return ERASED if value and _NAMES.search(name) else value
    return value if name in _CONTENT else _without(value)
