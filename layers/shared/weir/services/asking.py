"""From a caller's body to an Ask: the one way for every completion dialect."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar

from weir.domain.caching import CacheTerms
from weir.domain.chat import ChatCall
from weir.domain.completion import NOTHING
from weir.domain.embedding import EmbeddingCall
from weir.domain.errors import LedgerUnavailable, RequestInvalid
from weir.domain.routing import Routing
from weir.http.auth import Principal
from weir.http.chat_request import CallTags, ChatCompletionBody, ChatParams, SerializedBody, to_call
from weir.http.credentials import provider_keys
from weir.http.embedding_request import EmbeddingBody, EmbeddingParams, to_embedding_call
from weir.http.maitai_config import tagged, with_defaults
from weir.http.proxy_params import NO_PARAMS, effective, to_params, without_words
from weir.http.routing import DEADLINE_PARAMETERS, ROUTING_PARAMETERS, configured_routing, to_routing
from weir.http.scrub import ERASED, find_secrets, holds_any, may_hold_secrets, scrubbed
from weir.http.validation import validated
from weir.protocols import jsonbytes
from weir.services.attempt import Ask, Call
from weir.services.defaults import Defaults

Params = TypeVar("Params", ChatParams, EmbeddingParams)


async def ask_openai(
    raw: bytes,
    body: Any,
    principal: Principal,
    secrets: frozenset[str],
    defaults: Defaults,
    *,
    tags_only: bool = False,
) -> Ask[ChatCall]:
    """The body of the OpenAI routes. `tags_only`: `metadata` are tags there, never OpenAI's parameter of that name.

    Raises RequestInvalid or LedgerUnavailable, as do the others. `secrets` are those of the process and the caller's
    own key.
    """
    request = validated(ChatCompletionBody, body)
    metadata = None if tags_only else request.metadata

    def call(params: ChatParams, model: str, tags: CallTags) -> ChatCall:
        return to_call(params, model, metadata=metadata, drop_unsupported=bool(tags.drop_unsupported))

    return await _ask(request, request, call, raw, body, principal, secrets, defaults, with_defaults, cached=True)


async def ask_maitai(
    raw: bytes,
    body: Any,
    principal: Principal,
    secrets: frozenset[str],
    defaults: Defaults,
    request_id: str | None = None,
) -> Ask[ChatCall]:
    """Maitai's envelope. `request_id` is the caller's X-Request-ID, clean of keys; one in the body comes first."""
    request = validated(SerializedBody, body)
    where = "params."

    def call(params: ChatParams, model: str, tags: CallTags) -> ChatCall:
        return to_call(params, model, where=where, drop_unsupported=bool(tags.drop_unsupported))

    params = request.params
    return await _ask(
        request,
        params,
        call,
        raw,
        body,
        principal,
        secrets,
        defaults,
        partial(with_defaults, text_is_unsaid=True),  # its clients send text where their caller says nothing
        where=where,
        request_id=request_id,
        cached=True,
    )


async def ask_embeddings(
    raw: bytes, body: Any, principal: Principal, secrets: frozenset[str], defaults: Defaults
) -> Ask[EmbeddingCall]:
    """The body of the embedding routes. `metadata` are tags there.

    Of what is configured for an application only the deadlines hold: the rest, its model too, is for completions.
    """
    request = validated(EmbeddingBody, body)

    def call(params: EmbeddingParams, model: str, tags: CallTags) -> EmbeddingCall:
        return to_embedding_call(params, model, drop_unsupported=bool(tags.drop_unsupported))

    return await _ask(
        request, request, call, raw, body, principal, secrets, defaults, lambda params, _: params, routed=False
    )


async def _ask(
    tags: CallTags,
    params: Params,
    call: Callable[[Params, str, CallTags], Call],
    raw: bytes,
    body: Mapping[str, Any],
    principal: Principal,
    secrets: frozenset[str],
    defaults: Defaults,
    filled: Callable[[Params, Mapping[str, Any]], Params],
    *,
    where: str = "",
    request_id: str | None = None,
    routed: bool = True,
    cached: bool = False,
) -> Ask[Call]:
    """`cached`: such a call may be answered from the cache. Not `routed`: of all routing only deadlines hold for it."""
    proxied = effective(body)
    keys = provider_keys({**body, **proxied} if proxied else body)
    secrets = secrets | set(keys.values())
    if params.model is not None and holds_any(params.model, secrets):
        raise RequestInvalid(f"'{where}model' holds an API key.", param=f"{where}model", code="model_not_found")
    if may_hold_secrets(raw):
        secrets = secrets | find_secrets(body)
    kept = scrubbed(raw, body, secrets)
    if kept is not raw:
        body = jsonbytes.loads(kept)
        tags = validated(CallTags, body)
    warnings = _warnings(tags)
    given, told = NO_PARAMS, NOTHING
    if proxied:
        told = effective(body)
        given = to_params(told, cached=cached)
        warnings += given.warnings
        kept = without_words(body) if given.withheld else kept
    try:
        config = await defaults.of(principal.workspace, tags.application_name, tags.intent_name)
    except LedgerUnavailable:
        if params.model is None:
            raise
        config = NOTHING
        warnings += ("the configuration could not be read, and the call went out without its defaults",)
    routing = None
    if proxied or tags.fallback_config or tags.fallback_model or not ROUTING_PARAMETERS.isdisjoint(config):
        place = principal.workspace, tags.application_name, tags.intent_name
        routing, more = _routing(tags, told, config, params.model, place) if routed else _bounded(tags, told, config)
        warnings += more
    if config:
        params, tags = filled(params, config), tagged(tags, config)
    model = params.model or (routing.shares[0].model if routing is not None and routing.shares else None)
    if model is None:
        raise RequestInvalid(
            f"'{where}model' is required: no default model is configured for this call.",
            param=f"{where}model",
            code="missing_required_parameter",
        )
    caller_id = tags.request_id or request_id or None
    cache = None
    if cached and not given.withheld and (told.get("cache_enabled") or config.get("cache_enabled")):
        cache = _cache_terms(told, config)
    return Ask(
        call=call(params, model, tags),
        model=model,
        workspace=principal.workspace,
        environment=principal.environment,
        request=kept,
        key=principal.key,
        secrets=secrets,
        provider_keys=keys,
        headers=_headers(params, where),
        caller_id=None if ERASED in (caller_id or "") else caller_id,  # two erased ids look alike and are not
        application=tags.application_name,
        intent=tags.intent_name,
        session_id=given.thread_identifier or _text(tags.session_id),
        reference_id=_text(tags.reference_id),
        user_id=_text(tags.user_id),
        customer_identifier=given.customer_identifier or _text(tags.customer_identifier),
        metadata=given.metadata or tags.metadata or NOTHING,
        labels=given.labels,
        withheld=given.withheld,
        routing=routing,
        cache=cache,
        warnings=warnings,
    )


def _routing(
    tags: CallTags,
    told: Mapping[str, Any],
    config: Mapping[str, Any],
    model: str | None,
    place: tuple[str | None, ...],
) -> tuple[Routing | None, tuple[str, ...]]:
    if not told and tags.fallback_config is None and tags.fallback_model is None:
        return configured_routing(config, model, place)
    return to_routing(_said(tags, told), config, model=model, no_fallbacks=told.get("disable_fallback") is True)


def _bounded(
    tags: CallTags, told: Mapping[str, Any], config: Mapping[str, Any]
) -> tuple[Routing | None, tuple[str, ...]]:
    """Vectors of two models cannot be compared: a fallback would spoil whatever they are kept in."""
    said = _said(tags, told)
    routing, warnings = to_routing(_deadlines(said), _deadlines(config))
    idle = sorted(name for name in (ROUTING_PARAMETERS - DEADLINE_PARAMETERS) & said.keys() if said[name])
    return routing, warnings + tuple(f"{name} is recorded and has no effect" for name in idle)


def _deadlines(parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    return {name: parameters[name] for name in DEADLINE_PARAMETERS & parameters.keys()}


def _said(tags: CallTags, told: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"fallback_config": tags.fallback_config, "fallback_model": tags.fallback_model, **told}


def _cache_terms(said: Mapping[str, Any], config: Mapping[str, Any]) -> CacheTerms | None:
    from weir.http.cache_params import to_terms  # schemas that most processes for completions never need

    return to_terms(said, config)


def _text(value: str | int | None) -> str | None:
    """Ids may be numbers on the wire; the request keeps them as they came."""
    return str(value) if value is not None and value != "" else None


def _headers(params: ChatParams | EmbeddingParams, where: str) -> Mapping[str, str]:
    headers = params.extra_headers or NOTHING
    for name, value in headers.items():
        if not isinstance(value, str) or not (name + value).isascii() or not (name + value).isprintable():
            raise RequestInvalid(f"'{where}extra_headers.{name}' must be a plain text.", param=f"{where}extra_headers")
    return headers


def _warnings(tags: CallTags) -> tuple[str, ...]:
    """What the caller asked for beyond an answer and a record, and does not get."""
    client_params = tags.client_params or NOTHING
    asked = {
        "evaluation_enabled": tags.evaluation_enabled,
        "apply_corrections": tags.apply_corrections or tags.autocorrect,
        "safe_mode": tags.safe_mode,
        "assistant": tags.assistant,
        "context_retrieval_enabled": tags.context_retrieval_enabled,
        "callback": tags.callback or tags.return_evaluation,
        "client_params.base_url": client_params.get("base_url") or client_params.get("baseUrl"),
    }
    return tuple(f"{name} is recorded and has no effect" for name, value in asked.items() if value)
