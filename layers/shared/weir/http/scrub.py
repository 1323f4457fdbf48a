"""Keeping keys out of everything that is stored, logged or shown.

Two nets. By place: the fields in which callers send credentials lose their values. By value: every secret that took
part in a call (its API key, the provider's key, whatever the fields above held) is erased wherever else it turns up,
in the provider's answer too.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from weir.domain.record import Record
from weir.protocols import jsonbytes

ERASED = "[erased]"

_CONTAINERS = frozenset(
    {
        "auth_keys",
        "authKeys",
        "api_keys",
        "customer_credentials",
        "credential_override",
        "credentials",
        "default_headers",
        "defaultHeaders",
        "default_query",
        "defaultQuery",
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
    }
)
"""What was said between caller and model is kept to the letter, but for known secrets: it is not ours to edit."""

_PARAMS = frozenset({"respan_params", "keywordsai_params"})
"""Objects that may be written as texts. The routes on which they mean something read them before anything is kept; on
the others nobody knows what such a text holds."""

_SCHEMAS = frozenset({"properties", "$defs", "definitions"})
"""Members of a JSON schema whose members are named by its author: a tool may well have a parameter `headers`."""

_SHORTEST = 6
"""A shorter text is no key, and erasing it everywhere would tear holes into ordinary words."""

_ORDINARY = frozenset(
    {
        "accept",
        "accept-encoding",
        "accept-language",
        "cache-control",
        "connection",
        "content-length",
        "content-type",
        "description",
        "host",
        "http-referer",
        "owner",
        "type",
        "user-agent",
        "x-title",
    }
)
"""Members of containers whose values are no credentials: erased where they stand, not wherever else the words occur."""

_SCHEME = re.compile(r"(?:bearer|api-key|basic|token)\s+(\S+)", re.IGNORECASE)

_WRITTEN = (
    "application",
    "intent",
    "session_id",
    "reference_id",
    "user_id",
    "customer_identifier",
    "model",
    "answered_model",
    "raw_finish_reason",
)
"""A record's fields that hold somebody else's words. `caller_id` is a key, and must be clean before it is one."""

_LONG = 16
"""Characters from which a secret is erased out of names too; a shorter one may be a word like `prompt`."""

_TOKENS = tuple(f"{kind}{joint}token" for kind in ("session", "access") for joint in ("", "_", "-"))
_WORDS = ("key", "secret", "passw", "auth", "credential", "bearer", "cookie", "headers", "query", *_TOKENS)
_HINTS = tuple(word.encode() for word in _WORDS)
"""Every name above holds one of these, in lower case; a body without any needs no closer look."""

_ESCAPED_ASCII = re.compile(rb"\\u00[2-7]|\\/")
"""Escapes that JSON does not need: they can hide a name, or a secret from a search of the text."""


def may_hold_secrets(raw: bytes) -> bool:
    """Whether any member's name may be that of a credential."""
    lowered = raw.lower()
    return any(hint in lowered for hint in _HINTS) or _ESCAPED_ASCII.search(raw) is not None


_HEADER_ATTRIBUTES = frozenset({"header", *_CONTAINERS})
"""OpenTelemetry's attribute for a header is `http.request.header.<name>`."""


def is_place_of_keys(attribute: str) -> bool:
    """Whether a span's attribute may hold a key, by its dotted name, such as `http.request.header.authorization`."""
    return _NAMES.search(attribute) is not None or not _HEADER_ATTRIBUTES.isdisjoint(attribute.split("."))


def texts_of_keys(attribute: str, value: Any) -> set[str]:
    """The keys in the value of such an attribute; a list holds a header's several values."""
    if attribute.rpartition(".")[2].lower() in _ORDINARY:
        return set()
    if isinstance(value, str):
        return _forms(value)
    return find_secrets(value, inside=True)


def find_secrets(body: Any, *, inside: bool = False) -> set[str]:
    """The texts that stand where credentials stand."""
    found: set[str] = set()
    if isinstance(body, dict):
        for name, value in body.items():
            if name in _SCHEMAS and _is_schema(body):
                for schema in value.values() if isinstance(value, dict) else ():
                    found |= find_secrets(schema)
            elif inside or _holds_keys(name, value):
                found |= find_secrets(value, inside=True)
                if isinstance(value, str) and name.lower() not in _ORDINARY:
                    found |= _forms(value)
            elif name not in _CONTENT and isinstance(value, dict | list):
                found |= find_secrets(value)
    elif isinstance(body, list):
        for value in body:
            found |= find_secrets(value, inside=inside)
            if inside and isinstance(value, str):
                found |= _forms(value)
    return found


def _holds_keys(name: str, value: Any) -> bool:
    return name in _CONTAINERS or _NAMES.search(name) is not None or (name in _PARAMS and isinstance(value, str))


def _is_schema(body: Mapping[str, Any]) -> bool:
    return body.get("type") == "object"


def _forms(value: str) -> set[str]:
    """The text, and the key alone where it follows an authorization scheme."""
    scheme = _SCHEME.fullmatch(value.strip())
    return {text for text in (value, scheme[1] if scheme else "") if len(text) >= _SHORTEST}


def scrubbed(raw: bytes, body: Any, secrets: Iterable[str]) -> bytes:
    """The JSON text of `body` without credentials: `raw` itself, its parsed form being `body`, when it holds none.

    The outcome is JSON whatever the secrets are: texts and names change, a number or a word of JSON never does.
    """
    known = _longest_first(secrets)
    if may_hold_secrets(raw):
        body = _without(body)
        raw = jsonbytes.dumps(body)
    if any(form in raw for secret in known for form in _written(secret)):
        raw = jsonbytes.dumps(_erased(body, known))
    return raw


def erase(raw: bytes, secrets: Iterable[str]) -> bytes:
    """`raw`, of whatever format, without the secrets, as they are and in every way in which JSON may write them."""
    escaped = _ESCAPED_ASCII.search(raw) is not None
    for secret in _longest_first(secrets):
        for form in _written(secret):
            raw = raw.replace(form, ERASED.encode())
        if escaped:
            raw = _in_any_escape(secret).sub(ERASED.encode(), raw)
    return raw


def erase_record(record: Record, secrets: Collection[str]) -> Record:
    """`record` without the secrets in what its provider or its caller wrote."""
    found: dict[str, Any] = {
        name: erase_text(text, secrets)
        for name in _WRITTEN
        if (text := getattr(record, name)) is not None and holds_any(text, secrets)
    }
    if record.metadata and (known := [secret for secret in secrets if len(secret) >= _SHORTEST]):
        found["metadata"] = _erased(record.metadata, known)
    if any(holds_any(attempt.model, secrets) for attempt in record.attempts):
        attempts = (replace(attempt, model=erase_text(attempt.model, secrets)) for attempt in record.attempts)
        found["attempts"] = tuple(attempts)
    return replace(record, **found) if found else record


def holds_any(text: str, secrets: Iterable[str]) -> bool:
    return any(len(secret) >= _SHORTEST and secret in text for secret in secrets)


def erase_text(text: str, secrets: Iterable[str]) -> str:
    for secret in _longest_first(secrets):
        text = text.replace(secret, ERASED)
    return text


def _in_any_escape(secret: str) -> re.Pattern[bytes]:
    return re.compile(
        b"".join(rb"(?:%b|%b|\\/)" % _letter(c) if c == "/" else rb"(?:%b|%b)" % _letter(c) for c in secret)
    )


def _letter(letter: str) -> tuple[bytes, bytes]:
    """A character as JSON must write it, and as it may."""
    return re.escape(jsonbytes.dumps(letter)[1:-1]), rb"(?i:\\u%04x)" % ord(letter)


def _longest_first(secrets: Iterable[str]) -> list[str]:
    """A secret that begins another one would leave the other's end behind."""
    return sorted((secret for secret in secrets if len(secret) >= _SHORTEST), key=len, reverse=True)


@lru_cache(maxsize=1024)
def _written(secret: str) -> frozenset[bytes]:
    """As it is and as JSON has it; one with a backslash only so: as it is, it would take half of an escape along."""
    written = jsonbytes.dumps(secret)[1:-1]
    return frozenset({written} if "\\" in secret else {written, secret.encode()})


def _erased(value: Any, secrets: Sequence[str]) -> Any:
    if isinstance(value, str):
        return erase_text(value, secrets)
    if isinstance(value, Mapping):
        long = [secret for secret in secrets if len(secret) >= _LONG]
        return {erase_text(name, long): _erased(member, secrets) for name, member in value.items()}
    if isinstance(value, list):
        return [_erased(member, secrets) for member in value]
    return value


def _without(value: Any, *, inside: bool = False) -> Any:
    if isinstance(value, Mapping):
        schema = _is_schema(value)
        return {
            name: {own: _without(of_it) for own, of_it in member.items()}
            if schema and name in _SCHEMAS and isinstance(member, Mapping)
            else _member(name, member, inside)
            for name, member in value.items()
        }
    if isinstance(value, list):
        return [_without(member, inside=inside) for member in value]
    return ERASED if inside and isinstance(value, str) and value else value


def _member(name: str, value: Any, inside: bool) -> Any:
    if inside or _holds_keys(name, value):
        return _without(value, inside=True)
    return value if name in _CONTENT else _without(value)
