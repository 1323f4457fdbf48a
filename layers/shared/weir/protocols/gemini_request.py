"""A ChatCall as the body of a generateContent request.

https://ai.google.dev/api/generate-content, and the vendor's own SDK (google-genai), whose `_to_mldev` and `_to_vertex`
converters say which of the two doors takes which field.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from weir.domain.chat import ChatCall, ResponseFormat, Tool, ToolChoice, UnknownTool
from weir.protocols.base import Unsupported
from weir.protocols.gemini_contents import Conversation
from weir.protocols.gemini_models import facts_of, thinking_config


@dataclass(frozen=True, slots=True, kw_only=True)
class GeminiDialect:
    """One of the two doors to Gemini.

    `platform`: AI Studio's API, or Vertex AI, which also needs `project` and `location` (they are part of its path; the
    host is not: "global" and the regions have hosts of their own). `version` is the first segment of the path.
    `call_ids`: whether function calls and results have ids. Vertex has them in v1beta1 only: FunctionCall of
    google.cloud.aiplatform.v1 has no such field and the API refuses unknown ones.
    """

    provider: str
    platform: Literal["studio", "vertex"] = "studio"
    version: str = "v1beta"
    project: str | None = None
    location: str | None = None
    call_ids: bool = True


_TOP = frozenset({"safetySettings", "cachedContent", "labels", "continuationToken"})
_TOP_OF: Mapping[str, frozenset[str]] = {
    "studio": frozenset({"store"}),
    "vertex": frozenset({"modelArmorConfig", "outputConfig"}),
}
_CONFIG = frozenset(
    {
        "topK",
        "topP",
        "candidateCount",
        "maxOutputTokens",
        "stopSequences",
        "frequencyPenalty",
        "presencePenalty",
        "responseLogprobs",
        "temperature",
        "seed",
        "responseModalities",
        "speechConfig",
        "mediaResolution",
        "imageConfig",
        "responseMimeType",
        "responseSchema",
        "responseJsonSchema",
        "audioTranscriptionConfig",
        "enableAffectiveDialog",
        "translationConfig",
    }
)
_CONFIG_OF: Mapping[str, frozenset[str]] = {
    "studio": frozenset({"enableEnhancedCivicAnswers"}),
    "vertex": frozenset({"audioTimestamp", "routingConfig", "modelConfig"}),
}
_TOOLS = frozenset(
    {
        "googleSearch",
        "googleSearchRetrieval",
        "googleMaps",
        "enterpriseWebSearch",
        "codeExecution",
        "urlContext",
        "fileSearch",
        "retrieval",
        "computerUse",
        "mcpServers",
        "parallelAiSearch",
        "exaAiSearch",
    }
)
_PLAIN: Mapping[str, str] = {"temperature": "temperature", "top_p": "topP", "seed": "seed"}
_PENALTIES: Mapping[str, str] = {"frequency_penalty": "frequencyPenalty", "presence_penalty": "presencePenalty"}
_SERVICE_TIERS: Mapping[str, str] = {
    "default": "standard",
    "standard": "standard",
    "flex": "flex",
    "priority": "priority",
}


def render(call: ChatCall, dialect: GeminiDialect) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The request body and the names of dropped parameters. Raises RequestInvalid for what cannot be expressed."""
    unsupported = Unsupported(call, dialect.provider)
    facts = facts_of(call.model)
    conversation = Conversation(call, facts, dialect.call_ids, unsupported)
    body: dict[str, Any] = {"contents": conversation.contents}
    if conversation.system:
        body["systemInstruction"] = {"parts": conversation.system}
    config = _config(call, unsupported)
    if call.response_format is not None:
        config.update(_response_format(call.response_format, unsupported))
    if call.reasoning is not None and (thinking := thinking_config(call.reasoning, facts, unsupported)):
        config["thinkingConfig"] = thinking
    _tools(body, call, unsupported)
    _service_tier(body, call, unsupported)
    _unequalled(call, unsupported)
    _extra(body, config, call, dialect, unsupported)
    if config:
        body["generationConfig"] = config
    return body, tuple(unsupported.dropped)


def _config(call: ChatCall, unsupported: Unsupported) -> dict[str, Any]:
    config = {field: value for name, field in _PLAIN.items() if (value := getattr(call, name)) is not None}
    config.update({field: value for name, field in _PENALTIES.items() if (value := getattr(call, name))})
    if call.output_limit is not None:
        config["maxOutputTokens"] = call.output_limit
    if call.stop:
        config["stopSequences"] = list(call.stop)
    if call.n is not None and call.n != 1:
        config["candidateCount"] = call.n
    if call.logprobs or call.top_logprobs:
        config["responseLogprobs"] = True
    if call.top_logprobs:
        config["logprobs"] = call.top_logprobs
    return config


def _unequalled(call: ChatCall, unsupported: Unsupported) -> None:
    """`metadata` is not among these: it is Weir's own word for tags. Labels are for bills, too narrow for a user."""
    if call.parallel_tool_calls is False and call.tools:
        unsupported.drop("parallel_tool_calls", "the model decides whether to make several calls at once")
    if call.logit_bias:
        unsupported.drop("logit_bias")
    if call.user is not None:
        unsupported.drop("user")
    for name, value in call.stream_options.items():
        if value and name != "include_usage":  # usage comes with every stream
            unsupported.drop(f"stream_options.{name}")


def _service_tier(body: dict[str, Any], call: ChatCall, unsupported: Unsupported) -> None:
    if call.service_tier is None or call.service_tier == "auto":
        return
    tier = _SERVICE_TIERS.get(call.service_tier)
    if tier is None:
        unsupported.drop("service_tier", f"it knows {', '.join(_SERVICE_TIERS)}")
    else:
        body["serviceTier"] = tier


def _response_format(format: ResponseFormat, unsupported: Unsupported) -> dict[str, Any]:
    """A schema is always enforced here, so `strict` asks for nothing more, and its `name` is only a label of OpenAI's.

    `responseJsonSchema` takes JSON schema; `responseSchema` only a part of OpenAPI's.
    """
    for name, value in format.extra.items():
        if value:
            unsupported.drop(f"response_format.{name}")
    if format.type == "text":
        return {}
    config: dict[str, Any] = {"responseMimeType": "application/json"}
    if format.schema:
        schema = dict(format.schema)
        if format.description is not None:
            schema.setdefault("description", format.description)
        config["responseJsonSchema"] = schema
    return config


def _tools(body: dict[str, Any], call: ChatCall, unsupported: Unsupported) -> None:
    declarations: list[dict[str, Any]] = []
    tools: list[dict[str, Any]] = []
    for i, tool in enumerate(call.tools):
        if isinstance(tool, Tool):
            declarations.append(_declaration(tool, i, unsupported))
        elif (own := _own_tool(tool)) is not None:
            tools.append(own)
        else:
            unsupported.drop(f"tools[{i}]", f"a tool of type {tool.type[:100]!r}")
    if declarations:
        tools.insert(0, {"functionDeclarations": declarations})
    if tools:
        body["tools"] = tools
    if calling := _calling(call, unsupported):
        body["toolConfig"] = {"functionCallingConfig": calling}


def _declaration(tool: Tool, i: int, unsupported: Unsupported) -> dict[str, Any]:
    """`parametersJsonSchema` takes JSON schema as callers write it ($ref, anyOf, additionalProperties, type lists);
    `parameters` only a part of OpenAPI 3.0 and would need a translation that loses some of that. One excludes the
    other (FunctionDeclaration in the API reference); google-genai has sent the former since 1.9."""
    for name, value in tool.extra.items():
        if value:
            unsupported.drop(f"tools[{i}].{name}")
    declaration: dict[str, Any] = {"name": tool.name}
    if tool.description is not None:
        declaration["description"] = tool.description
    if tool.parameters:
        declaration["parametersJsonSchema"] = tool.parameters
    return declaration


def _own_tool(tool: UnknownTool) -> dict[str, Any] | None:
    """A tool in Gemini's form: {"googleSearch": {}}, or with its name as the type."""
    fields = {camel: value for name, value in tool.fields.items() if (camel := _camel(name)) in _TOOLS}
    if not fields and _camel(tool.type) in _TOOLS:
        fields = {_camel(tool.type): {name: value for name, value in tool.fields.items() if name != "type"}}
    return fields or None


def _calling(call: ChatCall, unsupported: Unsupported) -> dict[str, Any] | None:
    """VALIDATED is AUTO with the arguments held to their schema, which ANY does as well: what `strict` asks for."""
    strict = any(isinstance(tool, Tool) and tool.strict for tool in call.tools)
    choice = call.tool_choice or ToolChoice("auto")
    match choice.mode:
        case "auto":
            return {"mode": "VALIDATED"} if strict else None
        case "none":
            return {"mode": "NONE"} if call.tools else None
        case "required":
            return {"mode": "ANY"}
        case "named":
            return {"mode": "ANY", "allowedFunctionNames": [choice.name]}
        case "other":
            allowed = _allowed(choice.fields)
            if allowed is None:
                unsupported.drop("tool_choice")
            return allowed


def _allowed(fields: Mapping[str, Any]) -> dict[str, Any] | None:
    """OpenAI's `allowed_tools`; AUTO takes no list of names, VALIDATED does."""
    allowed = fields.get("allowed_tools")
    if not isinstance(allowed, dict) or not isinstance(allowed.get("tools"), list):
        return None
    names = [(tool.get("function") or {}).get("name") for tool in allowed["tools"] if isinstance(tool, dict)]
    if not names or not all(isinstance(name, str) for name in names):
        return None
    return {"mode": "ANY" if allowed.get("mode") == "required" else "VALIDATED", "allowedFunctionNames": names}


def _extra(
    body: dict[str, Any], config: dict[str, Any], call: ChatCall, dialect: GeminiDialect, unsupported: Unsupported
) -> None:
    """Also under `google`, where Google's OpenAI endpoint takes them, and as a whole `generationConfig`."""
    for name, value in _spread(call.extra):
        field = _camel(name)
        if value is None or value == {} or value == []:
            continue
        if field == "thinkingConfig" and isinstance(value, dict):
            known = config.get(field) or {}
            config[field] = {**known, **{_camel(key): inner for key, inner in value.items()}}
        elif field == "toolConfig" and isinstance(value, dict):
            _tool_config(body, value)
        elif field == "modalities" and isinstance(value, list):
            config["responseModalities"] = [str(modality).upper() for modality in value]
        elif field in _TOP | _TOP_OF[dialect.platform]:
            body[field] = value
        elif field in _CONFIG | _CONFIG_OF[dialect.platform]:
            config[field] = value
        else:
            unsupported.drop(name)


def _spread(extra: Mapping[str, Any]) -> list[tuple[str, Any]]:
    pairs: list[tuple[str, Any]] = []
    for name, value in extra.items():
        if _camel(name) in ("google", "generationConfig") and isinstance(value, dict):
            pairs.extend(_spread(value))
        else:
            pairs.append((name, value))
    return pairs


def _tool_config(body: dict[str, Any], given: Mapping[str, Any]) -> None:
    """What tool_choice said stays unless the caller's own config names the same field."""
    known = body.get("toolConfig") or {}
    fields = {_camel(name): value for name, value in given.items()}
    calling = fields.get("functionCallingConfig")
    if isinstance(calling, dict):
        inner = {_camel(name): value for name, value in calling.items()}
        fields["functionCallingConfig"] = {**(known.get("functionCallingConfig") or {}), **inner}
    body["toolConfig"] = {**known, **fields}


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word[:1].upper() + word[1:] for word in rest)
