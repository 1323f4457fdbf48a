"""What may be set for calls, at every level: Maitai's Config object and what Weir has beside it, and how it holds."""

from collections.abc import Iterable, Mapping
from math import isfinite
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StrictBool, model_validator

from weir.domain.completion import NOTHING
from weir.domain.errors import RequestInvalid
from weir.http.chat_request import (
    KEYWORDS_PARAMETERS,
    NAME_LIMIT,
    CallTags,
    ChatParams,
    Whole,
    check_metadata,
    to_call,
)
from weir.http.routing import FALLBACKS_LIMIT, SHARES_LIMIT, FallbackBody, Model, RetryBody, Seconds, ShareBody
from weir.http.scrub import ERASED

_PARAMETERS = (
    "model",
    "temperature",
    "top_p",
    "n",
    "stop",
    "seed",
    "logprobs",
    "presence_penalty",
    "frequency_penalty",
    "logit_bias",
    "service_tier",
)
"""What is a parameter of a completion under the same name, and says something by itself."""

_UNNAMED = {
    "top_k": "top_k",
    "min_p": "min_p",
    "repetition_penalty": "repetition_penalty",
    "default_chat_template_kwargs": "chat_template_kwargs",
}
"""Config members that are parameters OpenAI does not have, and the names of those."""

_NAMED = {*ChatParams.model_fields, *CallTags.model_fields, *KEYWORDS_PARAMETERS, *_UNNAMED.values()}
"""What a request says under a name of its own."""

_LENGTHS = ("max_tokens", "max_completion_tokens")

_CLOSED = ConfigDict(extra="forbid", strict=True, defer_build=True, allow_inf_nan=False)

Penalty = Annotated[float, Field(ge=-2, le=2)]
Share = Annotated[float, Field(ge=0, le=1)]


class ConfiguredFallback(FallbackBody):
    model_config = _CLOSED


class ConfiguredRetries(RetryBody):
    model_config = _CLOSED


class ConfiguredShare(ShareBody):
    model_config = _CLOSED


class ReasoningBody(BaseModel):
    model_config = _CLOSED

    effort: str | None = None
    summary: StrictBool | None = None


class CacheOptionsBody(BaseModel):
    """Keywords AI's `cache_by_customer`; which answers may be kept beside whole ones without calls of tools is ours."""

    model_config = ConfigDict(extra="allow", strict=True, defer_build=True)

    cache_by_customer: StrictBool | None = None
    tool_calls: StrictBool | None = None
    truncated: StrictBool | None = None


class ConfiguredCacheOptions(CacheOptionsBody):
    model_config = _CLOSED


class ConfigBody(BaseModel):
    """Changes to what is set: null takes a value away, what is absent stays.

    The one list of all that can be set: a name is a line here, and one in test_maitai_config.py that says how it holds.
    """

    model_config = ConfigDict(extra="allow", strict=True, defer_build=True, allow_inf_nan=False)

    model: Annotated[str, Field(min_length=1, max_length=NAME_LIMIT)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Share | None = None
    top_k: Annotated[Whole, Field(ge=-1)] | None = None
    min_p: Share | None = None
    n: Annotated[Whole, Field(ge=1, le=128)] | None = None
    stop: str | list[str] | None = None
    seed: Whole | None = None
    max_tokens: Annotated[Whole, Field(ge=1)] | None = None
    max_completion_tokens: Annotated[Whole, Field(ge=1)] | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    repetition_penalty: Annotated[float, Field(gt=0)] | None = None
    logit_bias: dict[str, float] | None = None
    logprobs: StrictBool | None = None
    top_logprobs: Annotated[Whole, Field(ge=0, le=20)] | None = None
    response_format: Literal["text", "json_object"] | dict[str, Any] | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: StrictBool | None = None
    reasoning: ReasoningBody | None = None
    reasoning_effort: str | None = None
    service_tier: str | None = None
    default_chat_template_kwargs: dict[str, Any] | None = None
    extra_body: dict[str, Any] | None = None
    system_prompt: str | None = None
    drop_unsupported: StrictBool | None = None
    metadata: dict[str, Any] | None = None
    fallback_config: ConfiguredFallback | None = None
    fallback_model: Annotated[str, Field(max_length=NAME_LIMIT)] | None = None
    fallback_models: Annotated[list[Model], Field(max_length=FALLBACKS_LIMIT)] | None = None
    retry_params: ConfiguredRetries | None = None
    load_balance_models: Annotated[list[ConfiguredShare], Field(max_length=SHARES_LIMIT)] | None = None
    connect_timeout: Seconds | None = None
    first_token_timeout: Seconds | None = None
    between_tokens_timeout: Seconds | None = None
    timeout: Seconds | None = None
    cache_enabled: StrictBool | None = None
    cache_ttl: Annotated[float, Field(ge=0)] | None = None
    cache_options: ConfiguredCacheOptions | None = None

    inference_location: Literal[0, 1, "CLIENT", "SERVER"] | None = None
    streaming: StrictBool | None = None
    evaluation_enabled: StrictBool | None = None
    apply_corrections: StrictBool | None = None
    safe_mode: StrictBool | None = None
    context_retrieval_enabled: StrictBool | None = None
    intent_stability: str | None = None
    feedback: list[str] | None = None
    generating_sentinels: StrictBool | None = None
    sentinel_regeneration_enabled: StrictBool | None = None
    extract_request_metadata: StrictBool | None = None
    disable_session_update_events: StrictBool | None = None
    prompt_template: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _sound(self) -> Self:
        for name, value in (self.model_extra or NOTHING).items():
            if value is not None:
                raise _unknown(name)
        for name, value in self.model_dump(exclude_none=True).items():
            _check_value(value, name)
        check_metadata(self.metadata)
        _check_extra_body(self.extra_body or NOTHING)
        if self.max_tokens is not None and self.max_completion_tokens is not None:
            raise RequestInvalid("'max_completion_tokens' is 'max_tokens' by its newer name.", param=_LENGTHS[1])
        _check_call(self)
        return self


def to_changes(body: ConfigBody) -> Mapping[str, Any]:
    """What was named, null included; the location as the number that the clients read."""
    changes = body.model_dump(exclude_unset=True)
    for name in ("fallback_config", "retry_params", "reasoning", "cache_options"):
        if changes.get(name) is not None:
            changes[name] = {member: value for member, value in changes[name].items() if value is not None}
    if isinstance(location := changes.get("inference_location"), str):
        changes["inference_location"] = 0 if location == "CLIENT" else 1
    if "max_completion_tokens" in changes:
        length = changes.pop("max_completion_tokens")
        changes["max_tokens"] = changes.get("max_tokens") if length is None else length
    return changes


def _unknown(name: str) -> RequestInvalid:
    import difflib  # whoever completes calls imports this module, and needs it never

    near = difflib.get_close_matches(name, ConfigBody.model_fields, n=1)
    meant = f" Did you mean '{near[0]}'?" if near else ""
    return RequestInvalid(
        f"'{name[:80]}' is no parameter that can be set.{meant} Others that a provider knows go into 'extra_body'.",
        param=name[:80],
    )


def _check_value(value: Any, where: str) -> None:
    """What cannot be kept: a key, and what JSON or TOML has no form for."""
    match value:
        case str() if ERASED in value:
            raise RequestInvalid(
                f"'{where}' holds a key, or stands where keys stand; a configuration must not hold one.", param=where
            )
        case str() | bool() | int():
            pass
        case float() if isfinite(value):
            pass
        case dict():
            for name, member in value.items():
                _check_value(str(name), where)
                _check_value(member, f"{where}.{name[:80]}")
        case list():
            for place, member in enumerate(value):
                _check_value(member, f"{where}[{place}]")
        case None:
            raise RequestInvalid(f"'{where}' is null; inside a value there must be none.", param=where)
        case _:
            raise RequestInvalid(
                f"'{where}' must be a text, a number, true or false, a list or an object.", param=where
            )


def _check_extra_body(extra: Iterable[str]) -> None:
    """It goes to the provider as it is, over whatever else says the same: not over what a request says by itself."""
    for name in extra:
        if name in ConfigBody.model_fields or name in _NAMED:
            raise RequestInvalid(f"'extra_body.{name}' has a name of its own; set that.", param=f"extra_body.{name}")


def _check_call(body: ConfigBody) -> None:
    """What is an object has a form that only a call would find wrong. Raises RequestInvalid."""
    kind = body.response_format
    params = ChatParams(
        messages=[{"role": "user", "content": ""}],
        tools=body.tools,
        tool_choice=body.tool_choice,
        response_format=kind if isinstance(kind, dict) else None,
    )
    to_call(params, "any")


class ApplicationBody(BaseModel):
    """A new application. Callers name it by its ref name, which is made from the name when it is left open."""

    model_config = ConfigDict(extra="ignore", strict=True, defer_build=True)

    application_name: Annotated[str, Field(min_length=1, max_length=NAME_LIMIT)]
    application_ref_name: Annotated[str, Field(min_length=1, max_length=NAME_LIMIT)] | None = None


class IntentBody(BaseModel):
    """A new intent; `action_type` is what callers send."""

    model_config = ConfigDict(extra="ignore", strict=True, defer_build=True)

    action_type: Annotated[str, Field(min_length=1, max_length=NAME_LIMIT)]
    meta: ConfigBody | None = None


class IntentGroupBody(BaseModel):
    """A new group of the intents that have its name, whatever the application."""

    model_config = ConfigDict(extra="ignore", strict=True, defer_build=True)

    intent_name: Annotated[str, Field(min_length=1, max_length=NAME_LIMIT)]


def with_defaults(params: ChatParams, config: Mapping[str, Any], *, text_is_unsaid: bool = False) -> ChatParams:
    """`params` with the values of `config` where the caller said nothing, or null.

    Whether to stream is the caller's alone: one that did not ask for a stream cannot read one. `text_is_unsaid`: a
    `response_format` of text gives way to one that is an object, of which the caller's client cannot know.
    """
    found: dict[str, Any] = {
        name: config[name] for name in _PARAMETERS if name in config and getattr(params, name) is None
    }
    if "max_tokens" in config and params.max_tokens is None and params.max_completion_tokens is None:
        found["max_tokens"] = config["max_tokens"]
    if "top_logprobs" in config and params.top_logprobs is None and found.get("logprobs", params.logprobs):
        found["top_logprobs"] = config["top_logprobs"]
    found |= _provider_parameters(params, config) | _tools(params, config)
    format, said = config.get("response_format", "text"), params.response_format
    if format != "text" and (said is None or (text_is_unsaid and said == _TEXT and not isinstance(format, str))):
        found["response_format"] = {"type": format} if isinstance(format, str) else format
    if params.reasoning is None and params.reasoning_effort is None:
        found |= {name: config[name] for name in ("reasoning", "reasoning_effort") if name in config}
    prompt = config.get("system_prompt")
    if prompt and not any(message.get("role") in ("system", "developer") for message in params.messages):
        found["messages"] = [{"role": "system", "content": prompt}, *params.messages]
    return params.model_copy(update=found) if found else params


_TEXT = {"type": "text"}


def _provider_parameters(params: ChatParams, config: Mapping[str, Any]) -> dict[str, Any]:
    extra, body = params.model_extra or NOTHING, params.extra_body or NOTHING
    found = {
        name: config[member]
        for member, name in _UNNAMED.items()
        if member in config and extra.get(name) is None and name not in body
    }
    if "extra_body" in config:
        open = {name: value for name, value in config["extra_body"].items() if extra.get(name) is None}
        found["extra_body"] = {**open, **body}
    return found


def _tools(params: ChatParams, config: Mapping[str, Any]) -> dict[str, Any]:
    """A choice by name means one of the tools that are set with it; any other holds for the caller's tools, too."""
    own = params.tools is not None or params.functions is not None
    tools = {} if own or "tools" not in config else {"tools": config["tools"]}
    if not tools and not (params.tools or params.functions):
        return {}
    choice = config.get("tool_choice")
    if params.tool_choice is None and params.function_call is None and choice and (tools or isinstance(choice, str)):
        tools["tool_choice"] = choice
    if "parallel_tool_calls" in config and params.parallel_tool_calls is None:
        tools["parallel_tool_calls"] = config["parallel_tool_calls"]
    return tools


def tagged(tags: CallTags, config: Mapping[str, Any]) -> CallTags:
    """`tags` with the values of `config` where the caller said nothing; empty metadata say nothing, either."""
    found: dict[str, Any] = {}
    if "metadata" in config and not tags.metadata:
        found["metadata"] = config["metadata"]
    if "drop_unsupported" in config and tags.drop_unsupported is None:
        found["drop_unsupported"] = config["drop_unsupported"]
    return tags.model_copy(update=found) if found else tags
