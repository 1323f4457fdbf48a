"""Maitai's Config object: as operators send it, as its clients read it, and what of it holds for a completion."""

import zlib
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StrictBool, model_validator

from weir.domain.completion import NOTHING
from weir.domain.configuration import Application, Intent, IntentGroup, effective
from weir.domain.errors import RequestInvalid
from weir.domain.ids import milliseconds
from weir.http.chat_request import NAME_LIMIT, ChatParams, Name, check_metadata

_SIZE_LIMIT = 100_000
"""Bytes of a config: with an application's and an intent's, a call reads two of them."""

_CLIENT_DEFAULTS: Mapping[str, Any] = {
    "inference_location": 1,
    "evaluation_enabled": True,
    "apply_corrections": False,
    "temperature": 1,
    "streaming": False,
    "response_format": "text",
    "logprobs": False,
    "n": 1,
    "presence_penalty": 0,
    "frequency_penalty": 0,
    "timeout": 0,
    "context_retrieval_enabled": False,
    "safe_mode": False,
    "feedback": (),
    "metadata": NOTHING,
}
"""What maitai-python 1.2.34 takes for absent members. Written out, because 1.1 reads an absent one as 0 or false."""

_PARAMETERS = ("model", "temperature", "stop", "logprobs", "n", "presence_penalty", "frequency_penalty", "top_p")
_UNNAMED = {
    "top_k": "top_k",
    "min_p": "min_p",
    "repetition_penalty": "repetition_penalty",
    "default_chat_template_kwargs": "chat_template_kwargs",
}
"""Config members that are parameters OpenAI does not have, and the names of those."""


class FallbackBody(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True, defer_build=True)

    model: Name | None = None
    strategy: str | None = None
    timeout: Annotated[float, Field(ge=0)] | None = None


class ReasoningBody(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True, defer_build=True)

    effort: str | None = None
    summary: StrictBool | None = None


class CacheOptionsBody(BaseModel):
    """Keywords AI's `cache_by_customer`; which answers may be kept beside whole ones without calls of tools is ours."""

    model_config = ConfigDict(extra="allow", strict=True, defer_build=True)

    cache_by_customer: StrictBool | None = None
    tool_calls: StrictBool | None = None
    truncated: StrictBool | None = None


class ConfigBody(BaseModel):
    """Changes to a config: null takes a value away, what is absent stays. Members without a name here are kept."""

    model_config = ConfigDict(extra="allow", strict=True, defer_build=True)

    inference_location: Literal[0, 1, "CLIENT", "SERVER"] | None = None
    evaluation_enabled: StrictBool | None = None
    apply_corrections: StrictBool | None = None
    model: Annotated[str, Field(min_length=1, max_length=NAME_LIMIT)] | None = None
    temperature: float | None = None
    streaming: StrictBool | None = None
    response_format: Literal["text", "json_object"] | None = None
    stop: str | list[str] | None = None
    logprobs: StrictBool | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    n: Annotated[int, Field(ge=1)] | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    repetition_penalty: float | None = None
    timeout: Annotated[float, Field(ge=0)] | None = None
    context_retrieval_enabled: StrictBool | None = None
    fallback_model: str | None = None
    intent_stability: str | None = None
    safe_mode: StrictBool | None = None
    feedback: list[str] | None = None
    generating_sentinels: StrictBool | None = None
    sentinel_regeneration_enabled: StrictBool | None = None
    fallback_config: FallbackBody | None = None
    extract_request_metadata: StrictBool | None = None
    metadata: dict[str, Any] | None = None
    system_prompt: str | None = None
    reasoning_effort: str | None = None
    reasoning: ReasoningBody | None = None
    default_chat_template_kwargs: dict[str, Any] | None = None
    cache_enabled: StrictBool | None = None
    cache_ttl: Annotated[float, Field(ge=0)] | None = None
    cache_options: CacheOptionsBody | None = None
    disable_session_update_events: StrictBool | None = None

    @model_validator(mode="after")
    def _within_limits(self) -> Self:
        check_metadata(self.metadata)
        if len(self.model_dump_json()) > _SIZE_LIMIT:
            raise RequestInvalid(f"A config may have {_SIZE_LIMIT} bytes.")
        return self


def to_changes(body: ConfigBody) -> Mapping[str, Any]:
    """What was named, null included; the location as the number that the clients read."""
    changes = body.model_dump(exclude_unset=True)
    if isinstance(location := changes.get("inference_location"), str):
        changes["inference_location"] = 0 if location == "CLIENT" else 1
    return changes


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


def application_view(application: Application, intents: tuple[Intent, ...], workspace: str) -> dict[str, Any]:
    """An application as operators see it, with what is set for it and for each intent. Instants are milliseconds."""
    return {
        **_application(application, workspace),
        "meta": application.config,
        "action_types": [intent_view(intent) for intent in intents],
    }


def intent_view(intent: Intent) -> dict[str, Any]:
    return {**_action(intent), "meta": intent.config}


def group_view(group: IntentGroup, workspace: str) -> dict[str, Any]:
    return {
        "id": group.id,
        "intent_name": group.name,
        "company_id": company_id(workspace),
        "date_created": milliseconds(group.created_at),
        "config": group.config,
    }


def client_view(application: Application, intents: tuple[Intent, ...], workspace: str) -> dict[str, Any]:
    """An application as `GET /config/init_sdk` gives it to Maitai's clients, with what holds for calls.

    An intent without a model is left out: a client that knows an intent sends a model and a temperature of its own
    invention where the caller gave none (maitai-python 1.2.34, models/config.py), and would override the application's
    later choice; one that does not know it leaves both to the server.
    """
    known = [(intent, effective(application, intent)) for intent in intents]
    return {
        **_application(application, workspace),
        "meta": _whole(application.config),
        "action_types": [{**_action(intent), "meta": _whole(config)} for intent, config in known if "model" in config],
    }


def company_id(workspace: str) -> int:
    """The workspace as a number: Maitai's clients refuse to start without one, or with 0."""
    return zlib.crc32(workspace.encode()) & 0x7FFFFFFF or 1  # some of them read 32 bits with a sign


def _application(application: Application, workspace: str) -> dict[str, Any]:
    return {
        "id": application.id,
        "application_name": application.name,
        "application_ref_name": application.ref_name,
        "company_id": company_id(workspace),
        "state": "ENABLED",
        "date_created": milliseconds(application.created_at),
    }


def _action(intent: Intent) -> dict[str, Any]:
    return {
        "id": intent.id,
        "action_type": intent.name,
        "application_id": intent.application_id,
        "date_created": milliseconds(intent.created_at),
    }


def _whole(config: Mapping[str, Any]) -> Mapping[str, Any]:
    return {**_CLIENT_DEFAULTS, **config}


def with_defaults(params: ChatParams, config: Mapping[str, Any]) -> ChatParams:
    """`params` with the values of `config` where the caller said nothing, or null.

    Whether to stream is the caller's alone: one that did not ask for a stream cannot read one.
    """
    found: dict[str, Any] = {
        name: config[name] for name in _PARAMETERS if name in config and getattr(params, name) is None
    }
    if "max_tokens" in config and params.max_tokens is None and params.max_completion_tokens is None:
        found["max_tokens"] = config["max_tokens"]
    extra, body = params.model_extra or NOTHING, params.extra_body or NOTHING
    for member, name in _UNNAMED.items():
        if member in config and extra.get(name) is None and name not in body:
            found[name] = config[member]
    if params.response_format is None and config.get("response_format", "text") != "text":
        found["response_format"] = {"type": config["response_format"]}
    if params.reasoning is None and params.reasoning_effort is None:
        found |= {name: config[name] for name in ("reasoning", "reasoning_effort") if name in config}
    prompt = config.get("system_prompt")
    if prompt and not any(message.get("role") in ("system", "developer") for message in params.messages):
        found["messages"] = [{"role": "system", "content": prompt}, *params.messages]
    return params.model_copy(update=found) if found else params
