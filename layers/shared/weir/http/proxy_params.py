"""Keywords AI's parameters of a call, from the three places in which they may stand.

The body's `respan_params` go before the header `X-Data-Respan-Params`, and both before the top level of the body;
`variables` are merged key by key, and there the top level goes first (respan-api 0.1.49, gateway/client.py). Their
server ignores a place that cannot be read; here it is refused, because what it says would be lost without a word.
"""

import base64
import binascii
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from weir.domain.completion import NOTHING
from weir.domain.errors import RequestInvalid
from weir.domain.record import Labels
from weir.http.app import parse_json
from weir.http.chat_request import KEYWORDS_PARAMETERS, is_openais_prompt
from weir.http.routing import ROUTING_PARAMETERS
from weir.http.validation import validated
from weir.protocols import jsonbytes

_HEADERS: Mapping[bytes, str] = {
    b"x-data-keywordsai-params": "X-Data-Keywordsai-Params",
    b"x-data-respan-params": "X-Data-Respan-Params",
}
"""The first is an old name of the second, and so in the body; where both are given the new one goes first."""

_MEMBER, _OLD_MEMBER = "respan_params", "keywordsai_params"

_SHARED = ("customer_identifier", "metadata")
"""Parameters that are fields of Weir's own as well."""

_ALIASES: Mapping[str, tuple[str, ...]] = {
    "thread_identifier": ("session_identifier",),
    "group_identifier": ("trace_group_identifier",),
}

_IN_FORCE = frozenset(
    {
        "custom_identifier",
        "customer_credentials",
        "customer_identifier",
        "customer_params",
        "deployment_name",
        "disable_log",
        "group_identifier",
        "log_type",
        "metadata",
        "note",
        "positive_feedback",
        "prompt_id",
        "prompt_name",
        "properties",
        "session_identifier",
        "span_name",
        "span_parent_id",
        "span_unique_id",
        "span_workflow_name",
        "thread_identifier",
        "trace_group_identifier",
        "trace_unique_id",
    }
)
CACHE_PARAMS = frozenset({"cache_enabled", "cache_options", "cache_ttl"})
"""In force where there is a cache: see cache_params.py."""

_CACHE_OPTIONS = frozenset({"cache_by_customer", "is_cached_by_model", "tool_calls", "truncated"})
"""Other models' answers are never given, whatever `is_cached_by_model` says; `omit_log` has no effect: all calls are
on record."""

_DESCRIPTIVE = frozenset(
    {
        "category",
        "customer_email",
        "customer_name",
        "evaluation_identifier",
        "for_eval",
        "ideal_output",
        "prompt_version_number",
        "span_handoffs",
        "span_path",
        "span_tools",
        "trace_name",
    }
)
"""They ask for nothing but to be kept."""

_SHARE = frozenset({"model", "weight"})
_CUSTOMER = frozenset({"customer_identifier", "name", "email", "metadata"})
"""What of `customer_params` describes; the rest are limits and budgets."""

_AS_IT_IS: Mapping[str, Any] = {"disable_fallback": True, "field_name": "data: ", "delimiter": "\n\n"}
"""What old clients send, and gets what it asks for: routing.py reads the first, and that is how a stream is framed."""

WITHHELD = frozenset(
    {
        "full_request",
        "full_response",
        "messages",
        "prompt_messages",
        "completion_message",
        "completion_messages",
        "input",
        "output",
        "tools",
        "tool_calls",
    }
)
"""Fields that `disable_log` asks not to keep, of a log or a call; figures and identifiers are kept all the same."""

_WARNINGS_LIMIT = 20


@dataclass(frozen=True, slots=True)
class ProxyParams:
    """What holds for a call. None, like an empty text, is unsaid. `withheld`: nothing that was said is to be kept."""

    labels: Labels | None = None
    customer_identifier: str | None = None
    thread_identifier: str | None = None
    metadata: Mapping[str, Any] | None = None
    withheld: bool = False
    warnings: tuple[str, ...] = ()


NO_PARAMS = ProxyParams()


def with_header(raw: bytes, body: Any, headers: Iterable[tuple[bytes, bytes]]) -> tuple[bytes, Any]:
    """The body that says by itself what the request's headers say too, as text and parsed; as it was without them.

    What the header holds goes into `respan_params`, behind what is there. So does an object that is written as a text:
    a key in it must be found. `headers` have their names in lower case. Raises RequestInvalid.
    """
    found = dict(headers)
    if not isinstance(body, dict) or (_HEADERS.keys().isdisjoint(found) and not isinstance(body.get(_MEMBER), str)):
        return raw, body
    places = [_decoded(found[name], said) for name, said in _HEADERS.items() if name in found]
    places += [_object(body.get(_OLD_MEMBER), _OLD_MEMBER), _object(body.get(_MEMBER), _MEMBER)]
    whole: dict[str, Any] = {}
    for place in places:
        whole |= _said(place)
    raw = jsonbytes.dumps({name: value for name, value in body.items() if name != _OLD_MEMBER} | {_MEMBER: whole})
    return raw, parse_json(raw)


def effective(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """The parameters by their names, each from the place that goes first; nothing when there is none but Weir's own."""
    if KEYWORDS_PARAMETERS.isdisjoint(body):
        return NOTHING
    top = {
        name: value
        for name, value in body.items()
        if name in _SHARED
        or (name in KEYWORDS_PARAMETERS and name not in (_MEMBER, _OLD_MEMBER) and not is_openais_prompt(name, value))
    }
    if (session := body.get("session_id")) not in (None, ""):  # Weir's own name of a thread
        top["thread_identifier"] = session
    upper = _said(_object(body.get(_OLD_MEMBER), _OLD_MEMBER)) | _said(_object(body.get(_MEMBER), _MEMBER))
    lower = _said(top)
    ours, theirs = lower.get("variables"), upper.get("variables")
    if isinstance(ours, dict) and isinstance(theirs, dict):
        upper["variables"] = theirs | ours
    return lower | upper


def to_params(found: Mapping[str, Any], *, cached: bool = False) -> ProxyParams:
    """`found` is what `effective` found, scrubbed. Raises RequestInvalid that names the wrong parameter.

    `cached`: the call may be answered from the cache.
    """
    from weir.http.request_logs import LogBody, labels  # a schema that most processes for completions never need

    prompt = found.get("prompt")
    named = {"prompt_id": prompt.get("prompt_id")} if isinstance(prompt, dict) else NOTHING
    fields = {name: found[name] for name in _IN_FORCE & found.keys()}
    body = validated(LogBody, {**named, **fields, "model": "any"})
    return ProxyParams(
        labels=labels(body),
        customer_identifier=_text(body.customer_identifier),
        thread_identifier=_text(body.thread_identifier),
        metadata=body.metadata,
        withheld=body.disable_log is True,
        warnings=tuple(f"{name} is recorded and has no effect" for name in _without_effect(found, cached)),
    )


def without_words(body: Mapping[str, Any]) -> bytes:
    """The request of a call of which only figures and identifiers are to be kept."""
    params = body.get("params")
    inner = {"params": _without(params)} if isinstance(params, dict) else NOTHING
    return jsonbytes.dumps({**_without(body), **inner})


def _without(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name not in WITHHELD}


def _said(place: Mapping[str, Any]) -> dict[str, Any]:
    """A place without its nulls, and with each thing under one name, so that no other place's comes before it."""
    found = {name: value for name, value in place.items() if value is not None}
    for name, others in _ALIASES.items():
        for other in others:
            if found.get(name, "") == "" and found.get(other, "") != "":
                found[name] = found[other]
    customer = found.get("customer_params")
    named = customer.get("customer_identifier") if isinstance(customer, dict) else None
    if found.get("customer_identifier", "") == "" and named is not None:
        found["customer_identifier"] = named
    return found


def _without_effect(found: Mapping[str, Any], cached: bool) -> list[str]:
    in_force = _IN_FORCE | CACHE_PARAMS if cached else _IN_FORCE
    names = [
        name
        for name, value in found.items()
        if value
        and name not in in_force
        and name not in _DESCRIPTIVE
        and name not in ROUTING_PARAMETERS
        and _AS_IT_IS.get(name) != value
    ]
    balanced = found.get("load_balance_models")
    for share in balanced if isinstance(balanced, list) else ():
        names += _beyond(share, "load_balance_models", _SHARE)
    if cached:
        names += _beyond(found.get("cache_options"), "cache_options", _CACHE_OPTIONS)
    names += _beyond(found.get("customer_params"), "customer_params", _CUSTOMER)
    credentials = found.get("customer_credentials")
    for provider, members in credentials.items() if isinstance(credentials, dict) else ():
        names += _beyond(members, f"customer_credentials.{provider}", frozenset({"api_key"}))
    return [name[:80] for name in names[:_WARNINGS_LIMIT]]


def _beyond(members: Any, where: str, known: frozenset[str]) -> list[str]:
    if not isinstance(members, dict):
        return []
    return [f"{where}.{name}" for name, value in members.items() if value and name not in known]


def _decoded(value: bytes, header: str) -> Mapping[str, Any]:
    """Base64, as standard or URL-safe alphabets have it, padded or not; or the JSON itself, as old clients sent it."""
    text = value.strip()
    if not text:
        return NOTHING
    if not text.startswith(b"{"):
        text = text.translate(bytes.maketrans(b"-_", b"+/"))
        try:
            text = base64.b64decode(text.rstrip(b"=") + b"=" * (-len(text.rstrip(b"=")) % 4), validate=True)
        except binascii.Error:
            raise RequestInvalid(f"'{header}' is not base64.", param=header) from None
    try:
        found = jsonbytes.loads_finite(text)
    except jsonbytes.InvalidJSON:
        raise RequestInvalid(f"'{header}' does not hold JSON.", param=header) from None
    if not isinstance(found, dict):
        raise RequestInvalid(f"'{header}' must hold a JSON object.", param=header)
    return found


def _object(value: Any, name: str) -> Mapping[str, Any]:
    """An object, or the JSON text of one; nothing where there is none."""
    if isinstance(value, str) and name == _MEMBER:
        try:
            value = jsonbytes.loads_finite(value.encode()) if value.strip() else None
        except (jsonbytes.InvalidJSON, UnicodeEncodeError):
            value = ""
    if value is None:
        return NOTHING
    if not isinstance(value, dict):
        raise RequestInvalid(f"'{name}' must be an object.", param=name, code="invalid_type")
    return value


def _text(value: str | int | None) -> str | None:
    return str(value) if value is not None and value != "" else None
