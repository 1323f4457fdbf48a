"""A Chat Completions request as our callers send it: OpenAI's parameters, Maitai's and Weir's own, on any route."""

from collections.abc import Mapping
from typing import Annotated, Any, Self, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, model_validator

from weir.domain.annotation import METADATA_KEYS_LIMIT
from weir.domain.chat import ChatCall, Reasoning, ResponseFormat, Tool, ToolChoice, UnknownTool
from weir.domain.completion import NOTHING
from weir.domain.errors import RequestInvalid
from weir.http.chat_messages import to_messages

NAME_LIMIT = 256
"""Characters of an id or a name that a caller gives: they become parts of keys."""

METADATA_VALUE_LIMIT = 4_096

Name = Annotated[str, Field(max_length=NAME_LIMIT)]
_NOT_EXTRA = frozenset({"model", "messages", "stream", "stream_options"})
"""What decides where a call goes and how its answer is read; `extra_body` is for the provider's own parameters."""

_Value = TypeVar("_Value")

IdValue = Annotated[str | int, Field(union_mode="left_to_right")]

KEYWORDS_PARAMETERS = frozenset(
    {
        "between_tokens_timeout",
        "cache_enabled",
        "cache_options",
        "cache_ttl",
        "category",
        "connect_timeout",
        "credential_override",
        "custom_identifier",
        "customer_credentials",
        "customer_email",
        "customer_name",
        "customer_params",
        "delimiter",
        "deployment_name",
        "disable_fallback",
        "disable_log",
        "eval_params",
        "evaluation_identifier",
        "exclude_models",
        "exclude_providers",
        "fallback_models",
        "field_name",
        "first_token_timeout",
        "for_eval",
        "group_identifier",
        "hyperspell_params",
        "ideal_output",
        "keywordsai_api_controls",
        "keywordsai_params",
        "linkup_params",
        "load_balance_group",
        "load_balance_models",
        "log_type",
        "mem0_params",
        "mock_response",
        "moda_params",
        "model_name_map",
        "models",
        "note",
        "positive_feedback",
        "posthog_integration",
        "prompt",
        "prompt_id",
        "prompt_name",
        "prompt_version_number",
        "properties",
        "request_breakdown",
        "respan_api_controls",
        "respan_params",
        "retries",
        "retry_params",
        "session_identifier",
        "span_handoffs",
        "span_name",
        "span_parent_id",
        "span_path",
        "span_tools",
        "span_unique_id",
        "span_workflow_name",
        "thread_identifier",
        "timeout",
        "trace_group_identifier",
        "trace_name",
        "trace_unique_id",
        "variables",
        "weight",
    }
)
"""Keywords AI's proxy parameters (respan-sdk 2.9.0, param_types.py), and Weir's own deadlines: see proxy_params.py and
routing.py; no provider gets them."""


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


Whole = Annotated[int, BeforeValidator(_whole)]
"""A whole number, however it is written: JavaScript and some clients send 24.0 for 24."""


class CallTags(BaseModel):
    """What a call is for and whose it is: Maitai's envelope fields, taken from the body's top level on every route."""

    model_config = ConfigDict(extra="allow", strict=True, defer_build=True)

    application_ref_name: Name | None = None
    application: Name | None = None
    action_type: Name | None = None
    intent: Name | None = None
    session_id: IdValue | None = None
    reference_id: IdValue | None = None
    user_id: IdValue | None = None
    customer_identifier: IdValue | None = None
    request_id: Name | None = None
    metadata: dict[str, Any] | None = None
    evaluation_enabled: StrictBool | None = None
    apply_corrections: StrictBool | None = None
    autocorrect: StrictBool | None = None
    safe_mode: StrictBool | None = None
    assistant: StrictBool | None = None
    return_evaluation: StrictBool | None = None
    return_request: StrictBool | None = None
    server_side_inference: StrictBool | None = None
    context_retrieval_enabled: StrictBool | None = None
    context_query: str | None = None
    callback: Any = None
    fallback_config: dict[str, Any] | None = None
    fallback_model: str | None = None
    from_workflow: StrictBool | None = None
    auth_keys: dict[str, Any] | None = None
    client_params: dict[str, Any] | None = None
    application_id: Any = None
    timing_metrics: dict[str, Any] | None = None
    drop_unsupported: StrictBool | None = None

    @model_validator(mode="after")
    def _within_limits(self) -> Self:
        for name in ("session_id", "reference_id", "user_id", "customer_identifier"):
            if len(str(getattr(self, name) or "")) > NAME_LIMIT:
                raise RequestInvalid(f"'{name}' is longer than {NAME_LIMIT} characters.", param=name)
        check_metadata(self.metadata)
        return self

    @property
    def application_name(self) -> str | None:
        return self.application_ref_name or self.application or None

    @property
    def intent_name(self) -> str | None:
        return self.action_type or self.intent or None


class ChatParams(BaseModel):
    """OpenAI's parameters. Those without a name here pass through to providers that speak OpenAI's format."""

    model_config = ConfigDict(extra="allow", strict=True, arbitrary_types_allowed=True, defer_build=True)

    messages: Annotated[list[dict[str, Any]], Field(min_length=1)]
    model: Annotated[str, Field(max_length=NAME_LIMIT)] | None = None
    stream: bool | None = None
    stream_options: dict[str, Any] | None = None
    temperature: float | None = None
    top_p: float | None = None
    n: Annotated[Whole, Field(ge=1, le=128)] | None = None
    stop: str | list[str] | None = None
    seed: Whole | None = None
    max_tokens: Annotated[Whole, Field(ge=0)] | None = None
    max_completion_tokens: Annotated[Whole, Field(ge=0)] | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    logit_bias: dict[str, float] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[Whole, Field(ge=0)] | None = None
    user: str | None = None
    service_tier: str | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    functions: list[dict[str, Any]] | None = None
    function_call: str | dict[str, Any] | None = None
    response_format: dict[str, Any] | None = None
    reasoning: dict[str, Any] | None = None
    reasoning_effort: str | None = None
    extra_headers: dict[str, Any] | None = None
    extra_body: dict[str, Any] | None = None


class ChatCompletionBody(ChatParams, CallTags):
    """The body of the OpenAI routes."""


class SerializedBody(CallTags):
    """The body of Maitai's `/chat/completions/serialized`: the envelope, with OpenAI's parameters in `params`."""

    params: ChatParams


def check_metadata(metadata: Mapping[str, Any] | None, name: str = "metadata") -> None:
    """Tags are for filtering, and lie in the record itself. Raises RequestInvalid for what is too much."""
    if metadata is None:
        return
    if len(metadata) > METADATA_KEYS_LIMIT:
        raise RequestInvalid(f"'{name}' holds more than {METADATA_KEYS_LIMIT} keys.", param=name)
    for key, value in metadata.items():
        size = len(value) if isinstance(value, str) else len(repr(value)) if value is not None else 0
        if size > METADATA_VALUE_LIMIT or len(key) > NAME_LIMIT:
            raise RequestInvalid(
                f"'{name}.{key[:80]}' is longer than {METADATA_VALUE_LIMIT} characters; "
                "put long texts into the messages, or store them elsewhere and keep a reference.",
                param=f"{name}.{key[:80]}",
            )


def to_call(
    params: ChatParams,
    model: str,
    *,
    where: str = "",
    metadata: Mapping[str, Any] | None = None,
    drop_unsupported: bool = False,
) -> ChatCall:
    """The call a provider gets. `where` prefixes parameter names in errors (`params.` in Maitai's envelope)."""
    extra = unnamed(params)
    for name, value in (params.extra_body or NOTHING).items():
        if name in _NOT_EXTRA:
            raise RequestInvalid(f"'{where}extra_body' cannot replace '{name}'.", param=f"{where}extra_body.{name}")
        extra[name] = value
    legacy = params.functions is not None and params.tools is None
    tools = [{"type": "function", "function": f} for f in params.functions or ()] if legacy else params.tools or ()
    choice: Any = params.function_call if legacy else params.tool_choice
    if params.stream_options and not params.stream:
        raise RequestInvalid("'stream_options' needs 'stream': true.", param=f"{where}stream_options")
    if params.top_logprobs and not params.logprobs:
        raise RequestInvalid("'top_logprobs' needs 'logprobs': true.", param=f"{where}top_logprobs")
    return ChatCall(
        model=model,
        messages=to_messages(params.messages, where),
        stream=bool(params.stream),
        include_usage=bool((params.stream_options or NOTHING).get("include_usage")),
        stream_options={k: v for k, v in (params.stream_options or NOTHING).items() if k != "include_usage"} or NOTHING,
        tools=tuple(_tool(tool, _place(i, where, legacy), legacy) for i, tool in enumerate(tools)),
        tool_choice=None
        if choice is None
        else _tool_choice(choice, f"{where}{'function_call' if legacy else 'tool_choice'}"),
        parallel_tool_calls=params.parallel_tool_calls,
        legacy_functions=legacy,
        response_format=_response_format(params.response_format, f"{where}response_format"),
        reasoning=_reasoning(params, f"{where}reasoning"),
        max_tokens=params.max_tokens,
        max_completion_tokens=params.max_completion_tokens,
        temperature=params.temperature,
        top_p=params.top_p,
        n=params.n,
        stop=(params.stop,) if isinstance(params.stop, str) else tuple(params.stop or ()),
        seed=params.seed,
        logprobs=params.logprobs,
        top_logprobs=params.top_logprobs,
        frequency_penalty=params.frequency_penalty,
        presence_penalty=params.presence_penalty,
        logit_bias=params.logit_bias,
        user=params.user,
        metadata=metadata,
        service_tier=params.service_tier,
        drop_unsupported=drop_unsupported,
        extra=extra or NOTHING,
    )


def unnamed(params: BaseModel) -> dict[str, Any]:
    """What a provider gets as it came: the parameters without a name here that are nobody else's."""
    return {
        name: value
        for name, value in (params.model_extra or {}).items()
        if value is not None and (name not in KEYWORDS_PARAMETERS or is_openais_prompt(name, value))
    }


def is_openais_prompt(name: str, value: Any) -> bool:
    """OpenAI's Responses have a `prompt`, too, whose member is `id`; that of Keywords AI's has `prompt_id`."""
    return name == "prompt" and isinstance(value, dict) and "id" in value and "prompt_id" not in value


def _place(at: int, where: str, legacy: bool) -> str:
    return f"{where}functions[{at}]" if legacy else f"{where}tools[{at}]"


def _tool(tool: Mapping[str, Any], where: str, legacy: bool) -> Tool | UnknownTool:
    kind = tool.get("type", "function")
    if kind != "function":
        if not isinstance(kind, str):
            raise RequestInvalid(f"'{where}.type' must be a text.", param=f"{where}.type")
        return UnknownTool(kind, tool)
    function = tool.get("function")
    inner = where if legacy else f"{where}.function"
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise RequestInvalid(f"'{inner}.name' is required.", param=f"{inner}.name", code="missing_required_parameter")
    return Tool(
        function["name"],
        _optional(function, "description", str, inner),
        _optional(function, "parameters", dict, inner),
        _optional(function, "strict", bool, inner),
        {k: v for k, v in tool.items() if k not in ("type", "function") and v is not None} or NOTHING,
    )


_KINDS: Mapping[type, str] = {str: "a text", dict: "an object", bool: "true or false"}


def _optional(fields: Mapping[str, Any], name: str, kind: type[_Value], where: str) -> _Value | None:
    value = fields.get(name)
    if value is not None and not isinstance(value, kind):
        raise RequestInvalid(f"'{where}.{name}' must be {_KINDS[kind]}.", param=f"{where}.{name}")
    return value


def _tool_choice(choice: str | Mapping[str, Any], where: str) -> ToolChoice:
    match choice:
        case "none" | "auto" | "required" as mode:
            return ToolChoice(mode)
        case "any":  # Mistral's word for required
            return ToolChoice("required")
        case str():
            raise RequestInvalid(f"'{where}' must be none, auto, required or a named function.", param=where)
        case {"type": "function", "function": {"name": str() as name}} | {"name": str() as name}:
            return ToolChoice("named", name)
        case {"type": str()}:
            return ToolChoice("other", fields=choice)
        case _:
            raise RequestInvalid(f"'{where}' must be none, auto, required or a named function.", param=where)


def _response_format(format: Mapping[str, Any] | None, where: str) -> ResponseFormat | None:
    if format is None:
        return None
    extra = {k: v for k, v in format.items() if k not in ("type", "json_schema") and v is not None} or NOTHING
    match format:
        case {"type": "text" | "json_object" as kind}:
            return ResponseFormat(kind, extra=extra)
        case {"type": "json_schema", "json_schema": dict() as schema}:
            inner = f"{where}.json_schema"
            return ResponseFormat(
                "json_schema",
                _optional(schema, "schema", dict, inner),
                _optional(schema, "name", str, inner),
                _optional(schema, "strict", bool, inner),
                _optional(schema, "description", str, inner),
                extra,
            )
        case {"type": "json_schema"}:
            raise RequestInvalid(f"'{where}.json_schema' is required.", param=f"{where}.json_schema")
        case _:
            raise RequestInvalid(f"'{where}.type' must be text, json_object or json_schema.", param=f"{where}.type")


def _reasoning(params: ChatParams, where: str) -> Reasoning | None:
    """`reasoning: {effort, summary}`, and `reasoning_effort`, its older name."""
    given = params.reasoning
    if given is None:
        return None if params.reasoning_effort is None else Reasoning(params.reasoning_effort)
    effort, summary = _optional(given, "effort", str, where), given.get("summary")
    if summary is not None and not isinstance(summary, bool | str):
        raise RequestInvalid(f"'{where}.summary' must be true or false.", param=f"{where}.summary")
    extra = {k: v for k, v in given.items() if k not in ("effort", "summary") and v is not None}
    return Reasoning(effort or params.reasoning_effort, bool(summary), extra or NOTHING)
