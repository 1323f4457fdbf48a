"""A ChatCall as the body of a Converse request.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html. The wire has base64 text where the
SDKs take bytes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from weir.domain.chat import ChatCall, Reasoning, ResponseFormat, Tool, UnknownTool
from weir.domain.errors import RequestInvalid
from weir.protocols import jsonbytes
from weir.protocols.base import Unsupported
from weir.protocols.bedrock_messages import cache_point, has_tool_blocks, lost_its_thinking, render_messages
from weir.protocols.bedrock_models import ANSWER_TOKENS, BUDGET_TOKENS, Family, family_of


@dataclass(frozen=True, slots=True, kw_only=True)
class BedrockDialect:
    """How a service departs from Bedrock's own Converse.

    `metadata`: whether OpenAI's `metadata` is sent as `requestMetadata`, for filtering AWS's invocation logs. It takes
    few characters and only texts; otherwise that word is only Weir's tags.
    """

    provider: str = "bedrock"
    metadata: bool = False


_ABSENT: tuple[Any, ...] = (None, False, "", [], {})
_NO_EQUIVALENT = (
    "logprobs",
    "top_logprobs",
    "frequency_penalty",
    "presence_penalty",
    "logit_bias",
    "user",
)
_OPENAI_ONLY = frozenset(
    {
        "audio",
        "modalities",
        "moderation",
        "prediction",
        "prompt_cache_key",
        "prompt_cache_retention",
        "safety_identifier",
        "store",
        "verbosity",
        "web_search_options",
    }
)
"""OpenAI's own parameters: no model's field, so they are refused here instead of by the model."""
_CONVERSE = (
    "guardrailConfig",
    "performanceConfig",
    "promptVariables",
    "requestMetadata",
    "additionalModelResponseFieldPaths",
    "serviceTier",
)
"""Converse's own parameters that OpenAI has no word for; a caller sends them under these names."""
_SERVICE_TIERS = ("default", "flex", "priority", "reserved")


def render(call: ChatCall, dialect: BedrockDialect) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The request body and the names of dropped parameters. Raises RequestInvalid for what cannot be expressed."""
    unsupported = Unsupported(call, dialect.provider)
    family = family_of(call.model)
    system, messages = render_messages(call, unsupported)
    body: dict[str, Any] = {"messages": messages}
    if system:
        body["system"] = system
    model_fields = _reasoning(call, family, unsupported)
    if (model_fields.get("thinking") or {}).get("type") == "enabled" and lost_its_thinking(messages):
        del model_fields["thinking"]  # Claude with a budget refuses such a call, here as on its own API
        unsupported.dropped.append("reasoning")
    limits = _inference(call, model_fields)
    if limits:
        body["inferenceConfig"] = limits
    if tools := _tools(call, family, model_fields, unsupported):
        body["toolConfig"] = tools
    elif has_tool_blocks(messages):
        raise RequestInvalid(
            "Bedrock takes a history with tool calls only together with 'tools'.",
            param="tools",
            code="missing_required_parameter",
        )
    if output := _output(call.response_format, unsupported):
        body["outputConfig"] = output
    _refuse(call, unsupported)
    if call.service_tier is not None and call.service_tier != "auto":
        if call.service_tier in _SERVICE_TIERS:
            body["serviceTier"] = {"type": call.service_tier}
        else:
            unsupported.drop("service_tier", f"it takes {', '.join(_SERVICE_TIERS)}")
    if call.metadata and dialect.metadata:
        body["requestMetadata"] = dict(call.metadata)
    _extra(body, call.extra, model_fields, family, unsupported)
    if model_fields:
        body["additionalModelRequestFields"] = model_fields
    return body, tuple(unsupported.dropped)


def _inference(call: ChatCall, model_fields: Mapping[str, Any]) -> dict[str, Any]:
    limit = call.output_limit
    budget = (model_fields.get("thinking") or {}).get("budget_tokens")
    if limit is None and budget is not None:
        limit = budget + ANSWER_TOKENS
    given = {
        "maxTokens": limit,
        "temperature": call.temperature,
        "topP": call.top_p,
        "stopSequences": list(call.stop) or None,
    }
    return {name: value for name, value in given.items() if value is not None}


def _refuse(call: ChatCall, unsupported: Unsupported) -> None:
    for name in _NO_EQUIVALENT:
        value = getattr(call, name)
        if value not in _ABSENT:  # 0 equals False: a penalty of zero is none
            unsupported.drop(name)
    if call.seed is not None:
        unsupported.drop("seed")
    if call.n is not None and call.n != 1:
        unsupported.drop("n", "it gives one answer")
    if call.parallel_tool_calls is False and call.tools:
        unsupported.drop("parallel_tool_calls")


def _extra(
    body: dict[str, Any],
    extra: Mapping[str, Any],
    model_fields: dict[str, Any],
    family: Family,
    unsupported: Unsupported,
) -> None:
    """Converse's own parameters go where they belong, every other one to the model."""
    for name, value in extra.items():
        if value is None:
            continue
        if name in _CONVERSE:
            body[name] = value
        elif name == "outputConfig" and isinstance(value, Mapping):
            body[name] = {**body.get(name, {}), **value}
        elif name == "additionalModelRequestFields" and isinstance(value, Mapping):
            model_fields.update(value)
        elif name == "top_k" and family.nova:
            model_fields["inferenceConfig"] = {"topK": value}
        elif name in _OPENAI_ONLY:
            if value not in _ABSENT:
                unsupported.drop(name)
        else:
            model_fields[name] = value


def _tools(call: ChatCall, family: Family, model_fields: dict[str, Any], unsupported: Unsupported) -> dict[str, Any]:
    tools: list[dict[str, Any]] = []
    for at, tool in enumerate(call.tools):
        tools += _tool(tool, f"tools[{at}]", unsupported)
    if not tools:
        return {}
    config: dict[str, Any] = {"tools": tools}
    choice = call.tool_choice
    match choice.mode if choice is not None else None:
        case None:
            pass
        case "auto":
            config["toolChoice"] = {"auto": {}}
        case "required":
            config["toolChoice"] = {"any": {}}
        case "named" if choice is not None:
            config["toolChoice"] = {"tool": {"name": choice.name}}
        case "none" if family.anthropic:
            # toolChoice has no "none"; Claude takes its own field as long as toolChoice is absent (pydantic-ai 2.68,
            # providers/bedrock.py, checked by its authors against the service)
            model_fields["tool_choice"] = {"type": "none"}
        case "none":
            unsupported.drop("tool_choice", "it cannot forbid the tools it is given; leave out `tools` instead")
        case _:
            unsupported.drop("tool_choice")
    return config


def _tool(tool: Tool | UnknownTool, where: str, unsupported: Unsupported) -> list[dict[str, Any]]:
    if isinstance(tool, UnknownTool):
        if tool.type == "systemTool" and "systemTool" in tool.fields:  # Converse's own form, e.g. nova_grounding
            return [{"systemTool": tool.fields["systemTool"]}]
        unsupported.drop(where, f"a tool of type '{tool.type}'")
        return []
    spec: dict[str, Any] = {"name": tool.name}
    if tool.description:
        spec["description"] = tool.description
    spec["inputSchema"] = {"json": tool.parameters or {"type": "object", "properties": {}}}
    if tool.strict is not None:
        spec["strict"] = tool.strict
    for name, value in tool.extra.items():
        if name != "cache_control" and value is not None:
            unsupported.drop(f"{where}.{name}")
    return [{"toolSpec": spec}, *cache_point(tool.extra)]


def _output(format: ResponseFormat | None, unsupported: Unsupported) -> dict[str, Any]:
    """A schema is always enforced here, so `strict` says nothing more."""
    if format is None or format.type == "text":
        return {}
    if format.type == "json_object" or format.schema is None:
        unsupported.drop("response_format", "it takes type 'json_schema' with a schema")
        return {}
    schema: dict[str, Any] = {"schema": jsonbytes.dumps(format.schema).decode()}  # a text, unlike a tool's schema
    if format.name is not None:
        schema["name"] = format.name
    if format.description is not None:
        schema["description"] = format.description
    return {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": schema}}}


def _reasoning(call: ChatCall, family: Family, unsupported: Unsupported) -> dict[str, Any]:
    """The model's own fields. A wish to see the reasoning, without an effort, leaves the effort to the model."""
    reasoning = call.reasoning
    if reasoning is None:
        return {}
    for name, value in reasoning.extra.items():
        known = name == "enabled" or (name == "max_tokens" and family.style == "budget")
        if not known and value not in _ABSENT:
            unsupported.drop(f"reasoning.{name}")
    effort = reasoning.effort
    if effort is None:
        return _unmeasured(reasoning, family)
    if effort == "none" and "none" not in family.efforts:
        if family.off is None:
            unsupported.drop("reasoning.effort", f"{call.model} cannot answer without reasoning")
            return {}
        return {"thinking": {"type": family.off}} if family.off else {}
    if family.style == "always":  # it reasons, as asked, but nobody can say how hard: no reason to refuse the call
        unsupported.dropped.append("reasoning.effort")
        return {}
    if effort not in family.efforts:
        known_words = (
            f"{call.model} takes {', '.join(family.efforts)}" if family.efforts else f"not known of {call.model}"
        )
        unsupported.drop("reasoning.effort", known_words)
        return {}
    return _effort(effort, call, reasoning, family, unsupported)


def _effort(
    effort: str, call: ChatCall, reasoning: Reasoning, family: Family, unsupported: Unsupported
) -> dict[str, Any]:
    match family.style:
        case "budget":
            return _budget(effort, call, reasoning, unsupported)
        case "adaptive":
            return {"thinking": _adaptive(reasoning, family), "output_config": {"effort": effort}}
        case "nova":
            return {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": effort}}
        case "reasoning":
            return {"reasoning": {"effort": effort}}
        case "reasoning_effort" | "reasoning_config":
            return {family.style: effort}
        case "always" | "none":
            return {}


def _unmeasured(reasoning: Reasoning, family: Family) -> dict[str, Any]:
    budget = reasoning.extra.get("max_tokens")
    if family.style == "budget" and isinstance(budget, int):
        return {"thinking": {"type": "enabled", "budget_tokens": budget}}
    if not (reasoning.summary or reasoning.extra.get("enabled")):
        return {}
    if family.style == "budget":
        return {"thinking": {"type": "enabled", "budget_tokens": BUDGET_TOKENS["low"]}}
    return {"thinking": _adaptive(reasoning, family)} if family.style == "adaptive" else {}


def _adaptive(reasoning: Reasoning, family: Family) -> dict[str, Any]:
    shown = {"display": "summarized"} if reasoning.summary and family.hides else {}
    return {"type": "adaptive", **shown}


def _budget(effort: str, call: ChatCall, reasoning: Reasoning, unsupported: Unsupported) -> dict[str, Any]:
    """The caller's own budget, or the one its effort stands for as far as the output limit has room for it."""
    budget = reasoning.extra.get("max_tokens")
    if not isinstance(budget, int):
        budget = BUDGET_TOKENS[effort]
        if call.output_limit is not None and call.output_limit <= budget:  # the budget counts towards the limit
            budget = max(call.output_limit // 2, BUDGET_TOKENS["minimal"])
        if call.output_limit is not None and call.output_limit <= budget:
            unsupported.drop(
                "reasoning.effort", f"thinking takes at least {budget} tokens, all that 'max_tokens' gives"
            )
            return {}
    return {"thinking": {"type": "enabled", "budget_tokens": budget}}
