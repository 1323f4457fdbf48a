"""A ChatCall as a Messages request, for Anthropic itself and the clouds that serve Claude."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote

from weir.domain.chat import ChatCall, ResponseFormat, Tool, ToolChoice, UnknownTool
from weir.domain.completion import NOTHING
from weir.domain.errors import RequestInvalid
from weir.protocols.anthropic_content import system_of, turns_of
from weir.protocols.anthropic_models import UNKNOWN_MODEL, ModelFacts, facts_of
from weir.protocols.anthropic_reasoning import reasoning_of
from weir.protocols.base import Unsupported, WireRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class AnthropicDialect:
    """How one platform departs from Anthropic's own Messages API.

    `path` and `stream_path` may hold `{model}`; `in_path` then says that the body must not name it.
    `version` is sent as the header `anthropic-version`, `body_version` in the body. `betas`: where their names go.
    `stream_field`: whether the body asks for a stream, or the path alone does.
    `framing`: how the events of a stream are delimited.
    `media_urls`: whether images and documents may be given by address.
    `service_tier`: whether it has tiers.
    `most_default_output` bounds the output limit that is sent when the caller named none.
    `unknown` is what is assumed of models without a row of their own.
    """

    provider: str
    path: str = "/v1/messages"
    stream_path: str = "/v1/messages"
    in_path: bool = False
    version: str | None = "2023-06-01"
    body_version: str | None = None
    betas: Literal["header", "body"] = "header"
    stream_field: bool = True
    framing: Literal["sse", "eventstream"] = "sse"
    media_urls: bool = True
    service_tier: bool = True
    most_default_output: int | None = None
    unknown: ModelFacts = UNKNOWN_MODEL


ANTHROPIC = AnthropicDialect(provider="anthropic")

BEDROCK = AnthropicDialect(
    provider="bedrock",
    path="/model/{model}/invoke",
    stream_path="/model/{model}/invoke-with-response-stream",
    in_path=True,
    version=None,
    body_version="bedrock-2023-05-31",
    betas="body",
    stream_field=False,
    framing="eventstream",
    media_urls=False,
    service_tier=False,
    # AWS takes max_tokens off the tokens-per-minute quota until the answer is there:
    # https://docs.aws.amazon.com/bedrock/latest/userguide/quotas-token-burndown.html
    most_default_output=16_384,
)
"""https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-anthropic-claude-messages.html"""


def vertex(project: str, location: str) -> AnthropicDialect:
    """https://cloud.google.com/vertex-ai/generative-ai/docs/partner-models/claude"""
    models = f"/v1/projects/{quote(project, safe='')}/locations/{quote(location, safe='')}/publishers/anthropic/models/"
    return AnthropicDialect(
        provider="vertex",
        path=models + "{model}:rawPredict",
        stream_path=models + "{model}:streamRawPredict",
        in_path=True,
        version=None,
        body_version="vertex-2023-10-16",
        media_urls=False,
        service_tier=False,
    )


_OWN = frozenset(
    {
        "top_k",
        "thinking",
        "container",
        "mcp_servers",
        "context_management",
        "output_config",
        "output_format",
        "speed",
        "cache_control",
        "inference_geo",
        "diagnostics",
        "fallbacks",
        "fallback_credit_token",
        "compaction",
        "thread",
        "billing_policy",
        "anthropic_beta",
        "stop_sequences",
    }
)
"""Parameters of the API that OpenAI's form has no name for. They are sent as they came and win over what we made."""

_TOOL_FIELDS = frozenset(
    {"cache_control", "defer_loading", "allowed_callers", "eager_input_streaming", "input_examples", "toolset_name"}
)
_OWN_TOOL = re.compile(r"_\d{8}$")  # bash_20250124, web_search_20250305, …
_TIERS: Mapping[str, str] = {"auto": "auto", "default": "standard_only", "standard_only": "standard_only"}


def render(call: ChatCall, dialect: AnthropicDialect) -> WireRequest:
    """Raises RequestInvalid for what cannot be expressed."""
    unsupported = Unsupported(call, dialect.provider)
    facts = facts_of(call.model, dialect.unknown)
    body: dict[str, Any] = {} if dialect.in_path else {"model": call.model}
    if dialect.body_version is not None:
        body["anthropic_version"] = dialect.body_version
    if (system := system_of(call.messages, unsupported)) is not None:
        body["system"] = system
    body["messages"] = turns_of(call.messages, dialect.media_urls, unsupported)
    thinking, effort = reasoning_of(call, facts, unsupported)
    if thinking.get("type") == "enabled" and _lost_its_thinking(body["messages"]):
        thinking = {}
        unsupported.dropped.append("reasoning")
    body["max_tokens"] = _limit(call, facts, dialect, thinking)
    if call.stop:
        body["stop_sequences"] = list(call.stop)
    if call.stream and dialect.stream_field:
        body["stream"] = True
    if thinking:
        body["thinking"] = thinking
    _tools(body, call, facts, unsupported)
    _sampling(body, call, facts, unsupported)
    if call.user is not None:
        body["metadata"] = {"user_id": call.user}
    _tier(body, call, dialect, unsupported)
    if output := {**effort, **_format(call.response_format, facts, unsupported)}:
        body["output_config"] = output
    _unnamed(call, unsupported)
    headers = {} if dialect.version is None else {"anthropic-version": dialect.version}
    _own(body, headers, call.extra, dialect, unsupported)
    return WireRequest(_path(call, dialect), body, headers or NOTHING, tuple(unsupported.dropped))


def _lost_its_thinking(turns: list[dict[str, Any]]) -> bool:
    """Whether the caller answers a tool call without the thinking that led to it, as clients do that keep only the
    fields they know. With a budget the API refuses that: the last answer must begin with thinking, or thinking be off
    (https://platform.claude.com/docs/en/build-with-claude/extended-thinking). Adaptive thinking asks for no such thing.
    """
    if len(turns) < 2 or turns[-2]["role"] != "assistant":
        return False
    answer, reply = turns[-2]["content"], turns[-1]["content"]
    if isinstance(answer, str) or isinstance(reply, str) or reply[0]["type"] != "tool_result":
        return False
    return answer[0]["type"] not in ("thinking", "redacted_thinking")


def _path(call: ChatCall, dialect: AnthropicDialect) -> str:
    if dialect.in_path and call.model in ("", ".", ".."):
        raise RequestInvalid(f"The model {call.model!r} is not known here.", param="model", code="model_not_found")
    path = dialect.stream_path if call.stream else dialect.path
    return path.replace("{model}", quote(call.model, safe=":@"))


def _limit(call: ChatCall, facts: ModelFacts, dialect: AnthropicDialect, thinking: Mapping[str, Any]) -> int:
    if call.output_limit is not None:
        limit = call.output_limit
    elif dialect.most_default_output is not None:
        limit = min(facts.default_output, dialect.most_default_output)
    else:
        limit = facts.default_output
    budget = thinking.get("budget_tokens", 0)
    if budget >= limit:
        # the budget counts towards max_tokens and must be less; the caller's limit stays whole for the answer itself
        return min(limit + int(budget), max(facts.max_output, int(budget) + 1))
    return limit


def _sampling(body: dict[str, Any], call: ChatCall, facts: ModelFacts, unsupported: Unsupported) -> None:
    """1 is the default of both, so `top_p` 1 says nothing, and neither does temperature 1 where only it is allowed."""
    thinks = body.get("thinking", {}).get("type") in ("enabled", "adaptive")
    temperature, top_p = call.temperature, None if call.top_p == 1 else call.top_p
    why = f"{call.model} takes no sampling parameters"
    if temperature is not None and (facts.sampling == "defaults" or thinks):
        if temperature != 1:
            unsupported.drop("temperature", why if facts.sampling == "defaults" else "it must be 1 while thinking")
        temperature = None
    elif temperature is not None and temperature > 1:
        unsupported.drop("temperature", "it goes from 0 to 1")
        temperature = None
    if top_p is not None:
        if facts.sampling == "defaults":
            unsupported.drop("top_p", why)
        elif thinks and top_p < 0.95:
            unsupported.drop("top_p", "it must be at least 0.95 while thinking")
        elif temperature is not None and facts.sampling == "either":
            unsupported.drop("top_p", f"{call.model} takes it or temperature, not both")
        else:
            body["top_p"] = top_p
    if temperature is not None:
        body["temperature"] = temperature
    if call.extra.get("top_k") is not None and (thinks or facts.sampling == "defaults"):
        unsupported.drop("top_k", why if facts.sampling == "defaults" else "it cannot be set while thinking")


def _tools(body: dict[str, Any], call: ChatCall, facts: ModelFacts, unsupported: Unsupported) -> None:
    tools = [
        tool
        for at, given in enumerate(call.tools)
        if (tool := _tool(given, f"tools[{at}]", facts, unsupported)) is not None
    ]
    if not tools:
        if call.tool_choice is not None and call.tool_choice.mode not in ("none", "auto"):
            unsupported.drop("tool_choice", "there are no tools to choose from")
        return
    body["tools"] = tools
    budget = body.get("thinking", {}).get("type") == "enabled"
    choice = _tool_choice(call.tool_choice, facts, budget, unsupported) if call.tool_choice is not None else None
    if call.parallel_tool_calls is False:
        choice = choice or {"type": "auto"}
        if choice["type"] != "none":
            choice["disable_parallel_tool_use"] = True
    if choice is not None:
        body["tool_choice"] = choice


def _tool(tool: Tool | UnknownTool, where: str, facts: ModelFacts, unsupported: Unsupported) -> dict[str, Any] | None:
    if isinstance(tool, UnknownTool):
        own = _OWN_TOOL.search(tool.type) or tool.type == "mcp_toolset" or "input_schema" in tool.fields
        if own:  # Anthropic's own, in its own form
            return dict(tool.fields)
        unsupported.drop(where, f"a tool of type {tool.type!r}")
        return None
    body: dict[str, Any] = {"name": tool.name}
    if tool.description is not None:
        body["description"] = tool.description
    # the API insists on the type, which OpenAI lets one leave out
    body["input_schema"] = {"type": "object", **(tool.parameters or {"properties": {}})}
    if tool.strict:
        if facts.structured:
            body["strict"] = True
        else:
            unsupported.drop(f"{where}.function.strict")
    for name, value in tool.extra.items():
        if name in _TOOL_FIELDS:
            body[name] = value
        else:
            unsupported.drop(f"{where}.{name}")
    return body


def _tool_choice(
    choice: ToolChoice, facts: ModelFacts, budget: bool, unsupported: Unsupported
) -> dict[str, Any] | None:
    match choice.mode:
        case "none" | "auto":
            return {"type": choice.mode}
        case "other" if choice.fields.get("type") not in ("any", "tool", "auto", "none"):
            unsupported.drop("tool_choice", f"a choice of type {choice.fields.get('type')!r}")
            return None
        case "other":  # Anthropic's own form
            return dict(choice.fields)
        case "required" | "named" if not facts.forced_tools or budget:
            unsupported.drop("tool_choice", "this model cannot be made to call a tool" + " while thinking" * budget)
            return None
        case "required":
            return {"type": "any"}
        case "named":
            return {"type": "tool", "name": choice.name}


def _format(format: ResponseFormat | None, facts: ModelFacts, unsupported: Unsupported) -> dict[str, Any]:
    """`name` and `strict` have no equivalent and need none: the schema is always kept to, and needs no label."""
    if format is None or format.type == "text":
        return {}
    if format.type == "json_object":
        unsupported.drop("response_format", "there is no JSON mode without a schema; use json_schema")
        return {}
    if not facts.structured:
        unsupported.drop("response_format", "this model does not keep to a schema")
        return {}
    if format.schema is None:
        raise RequestInvalid("'response_format.json_schema.schema' is required.", param="response_format")
    schema = dict(format.schema)
    if format.description is not None:
        schema.setdefault("description", format.description)
    return {"format": {"type": "json_schema", "schema": schema}}


def _tier(body: dict[str, Any], call: ChatCall, dialect: AnthropicDialect, unsupported: Unsupported) -> None:
    """OpenAI's "default" is the standard tier; "auto" is the API's own default, too."""
    tier = _TIERS.get(call.service_tier or "")
    if call.service_tier is not None and (tier is None or not dialect.service_tier):
        if call.service_tier != "auto":
            unsupported.drop("service_tier", f"{call.service_tier!r}")
    elif tier is not None:
        body["service_tier"] = tier


def _unnamed(call: ChatCall, unsupported: Unsupported) -> None:
    """Parameters without an equivalent, unless their value means the same as leaving them out."""
    says = {
        "n": call.n not in (None, 1),
        "seed": call.seed is not None,
        "logprobs": bool(call.logprobs),
        "top_logprobs": bool(call.top_logprobs),
        "frequency_penalty": bool(call.frequency_penalty),
        "presence_penalty": bool(call.presence_penalty),
        "logit_bias": bool(call.logit_bias),
    }
    for name, said in says.items():
        if said:
            unsupported.drop(name)


def _own(
    body: dict[str, Any],
    headers: dict[str, str],
    extra: Mapping[str, Any],
    dialect: AnthropicDialect,
    unsupported: Unsupported,
) -> None:
    betas: list[str] = []
    for name, value in extra.items():
        if value is None or name in unsupported.dropped:
            continue
        if name in ("betas", "anthropic_beta"):
            betas += value if isinstance(value, list) else str(value).split(",")
        elif name == "output_config" and isinstance(value, Mapping):
            body[name] = {**body.get(name, {}), **value}
        elif name in _OWN:
            body[name] = value
        elif value is not False and value not in ([], {}) and (name, value) != ("modalities", ["text"]):
            unsupported.drop(name)
    if betas and dialect.betas == "header":
        headers["anthropic-beta"] = ",".join(betas)
    elif betas:
        body["anthropic_beta"] = betas
