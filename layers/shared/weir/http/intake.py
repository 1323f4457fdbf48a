"""Taking in what a caller wants kept: authenticated, read, parsed, and clean of keys before anything else sees it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request

from weir.domain.errors import RequestInvalid
from weir.http.app import parse_json, read_body
from weir.http.auth import Keyring, Principal, Scope, presented_key
from weir.http.chat_request import NAME_LIMIT
from weir.http.scrub import erase_text, find_secrets, may_hold_secrets, scrubbed
from weir.protocols import jsonbytes


@dataclass(frozen=True, slots=True)
class Intake:
    """`raw` is the body without keys, to the letter as it came where it held none; `body` is its parsed form."""

    principal: Principal
    raw: bytes
    body: Any
    secrets: frozenset[str]


async def take(request: Request, keyring: Keyring, scope: Scope | None, secrets: Iterable[str], limit: int) -> Intake:
    """Raises Unauthorized, RequestTooLarge or RequestInvalid."""
    principal = keyring.authenticate(request.headers, scope)
    return clean(principal, request, await read_body(request, limit), secrets)


def clean(principal: Principal, request: Request, raw: bytes, secrets: Iterable[str]) -> Intake:
    """Raises RequestInvalid when `raw` is not JSON."""
    body = parse_json(raw)
    key = presented_key(request.headers)
    known = frozenset({*secrets, *([key] if key else ()), *(find_secrets(body) if may_hold_secrets(raw) else ())})
    kept = scrubbed(raw, body, known)
    return Intake(principal, kept, body if kept is raw else jsonbytes.loads(kept), known)


def header_id(request: Request, name: str, secrets: Iterable[str]) -> str | None:
    """An id that the caller gives in a header. Raises RequestInvalid when it is too long to be one."""
    value = request.headers.get(name, "").strip()
    if len(value) > NAME_LIMIT:
        raise RequestInvalid(f"'{name}' is longer than {NAME_LIMIT} characters.", param=name)
    return erase_text(value, secrets) or None
