"""A ChatCall as the body of a Chat Completions request."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from weir.domain.chat import (
    ChatCall,
    Media,
    Message,
    Part,
    Reasoning,
    ResponseFormat,
    Tool,
    ToolChoice,
    Unknown,
    UnknownTool,
)
from weir.domain.completion import NOTHING, Refusal, Text, Thinking, ToolCall
from weir.domain.errors import RequestInvalid
from weir.protocols.answer_fields import ANSWER_FIELDS, CALL_FIELDS, without
from weir.protocols.base import Unsupported
from weir.protocols.openai_history import with_short_ids, with_tool_calls


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAIDialect:
    """How one vendor departs from OpenAI's Chat Completions.

    `max_tokens_field`: the only name it knows for the output limit; None passes on whichever the caller used.
    `reasoning`: "effort" takes `reasoning_effort`; "object" takes OpenRouter's `reasoning`; "none" has no parameter for
    it. `thinking_field`: under which name it wants earlier thinking back in an assistant message; None: not at all.
    `stream_options`: whether it takes them; vendors that do not send usage with every stream unasked.
    `thinking_details`: whether it takes `reasoning_details` back, the list that holds the seals.
    `own_fields`: which other fields of an answer (ANSWER_FIELDS, CALL_FIELDS) it takes back; the others are left out.
    `seed_field`: its name for `seed`.
    `metadata`: whether it takes OpenAI's `metadata` (elsewhere that word is only Weir's tags).
    `developer`: whether it knows the role "developer"; otherwise "system" is sent, which means the same to it.
    `unsupported`: parameters that it has no field for. `functions`: whether it knows the deprecated form of tools.
    `call_id_length`: how long the ids of tool calls must be, letters and digits only; None: as they come.
    `inline_thinking`: whether its models may write their thinking into the text (see inline_thinking.py).
    `ends_with_done`: whether its streams always end with [DONE], so that one without it was cut off.
    """

    provider: str
    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] | None = None
    reasoning: Literal["effort", "object", "none"] = "effort"
    thinking_field: str | None = "reasoning_content"
    thinking_details: bool = False
    own_fields: frozenset[str] = frozenset()
    stream_options: bool = True
    seed_field: str = "seed"
    metadata: bool = False
    developer: bool = False
    unsupported: frozenset[str] = frozenset()
    functions: bool = True
    call_id_length: int | None = None
    inline_thinking: bool = True
    ends_with_done: bool = False


_OPENROUTERS = re.compile(r"-v\d+$|^unknown$")
_PLAIN = (
    "temperature",
    "top_p",
    "frequency_penalty",
    "presence_penalty",
    "logprobs",
    "top_logprobs",
    "logit_bias",
    "parallel_tool_calls",
    "user",
    "service_tier",
    "n",
)
"""Parameters that are sent under their own names whenever the caller gave them."""


def render(call: ChatCall, dialect: OpenAIDialect) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The request body and the names of dropped parameters. Raises RequestInvalid for what cannot be expressed."""
    unsupported = Unsupported(call, dialect.provider)
    messages = call.messages if dialect.functions else with_tool_calls(call.messages)
    if dialect.call_id_length is not None:
        messages = with_short_ids(messages, dialect.call_id_length)
    body: dict[str, Any] = {
        "model": call.model,
        "messages": [_message(m, i, dialect, unsupported) for i, m in enumerate(messages)],
    }
    for name in _PLAIN:
        value = getattr(call, name)
        if value is not None and name not in dialect.unsupported:
            body[name] = value
        elif value and not (name == "n" and value == 1):  # 0, false, {} and one answer ask for nothing
            unsupported.drop(name)
    if call.seed is not None:
        body[dialect.seed_field] = call.seed
    _limit(body, call, dialect)
    if call.stop:
        body["stop"] = list(call.stop)
    if call.stream:
        body["stream"] = True
        if dialect.stream_options:  # usage is asked for always: the ledger wants it, the caller may not
            body["stream_options"] = {**call.stream_options, "include_usage": True}
    _tools(body, call, legacy=call.legacy_functions and dialect.functions)
    if call.response_format is not None:
        body["response_format"] = _response_format(call.response_format)
    if call.reasoning is not None:
        _reasoning(body, call.reasoning, dialect, unsupported)
    if call.metadata and dialect.metadata:
        body["metadata"] = dict(call.metadata)
    body.update(call.extra)
    return body, tuple(unsupported.dropped)


def _limit(body: dict[str, Any], call: ChatCall, dialect: OpenAIDialect) -> None:
    if dialect.max_tokens_field is not None:
        if call.output_limit is not None:
            body[dialect.max_tokens_field] = call.output_limit
        return
    if call.max_tokens is not None:
        body["max_tokens"] = call.max_tokens
    if call.max_completion_tokens is not None:
        body["max_completion_tokens"] = call.max_completion_tokens


def _reasoning(body: dict[str, Any], reasoning: Reasoning, dialect: OpenAIDialect, unsupported: Unsupported) -> None:
    """`summary` needs no parameter here: vendors of this format show their reasoning or do not."""
    if dialect.reasoning == "object":
        body["reasoning"] = {**({"effort": reasoning.effort} if reasoning.effort else {}), **reasoning.extra}
        if not body["reasoning"]:
            body["reasoning"] = {"enabled": True}
        return
    if reasoning.effort is not None:
        if dialect.reasoning == "effort":
            body["reasoning_effort"] = reasoning.effort
        else:
            unsupported.drop("reasoning.effort")
    for name in reasoning.extra:
        unsupported.drop(f"reasoning.{name}")


def _tools(body: dict[str, Any], call: ChatCall, *, legacy: bool) -> None:
    if legacy:
        body["functions"] = [_function(tool) for tool in call.tools if isinstance(tool, Tool)]
        if call.tool_choice is not None:
            named = call.tool_choice.mode == "named"
            body["function_call"] = {"name": call.tool_choice.name} if named else call.tool_choice.mode
        return
    if call.tools:
        body["tools"] = [_tool(tool) for tool in call.tools]
    if call.tool_choice is not None:
        body["tool_choice"] = _tool_choice(call.tool_choice)


def _tool(tool: Tool | UnknownTool) -> dict[str, Any]:
    if isinstance(tool, UnknownTool):
        return dict(tool.fields)
    return {"type": "function", "function": _function(tool), **tool.extra}


def _function(tool: Tool) -> dict[str, Any]:
    function: dict[str, Any] = {"name": tool.name}
    if tool.description is not None:
        function["description"] = tool.description
    if tool.parameters is not None:
        function["parameters"] = tool.parameters
    if tool.strict is not None:
        function["strict"] = tool.strict
    return function


def _tool_choice(choice: ToolChoice) -> Any:
    match choice.mode:
        case "named":
            return {"type": "function", "function": {"name": choice.name}}
        case "other":
            return dict(choice.fields)
        case mode:
            return mode


def _response_format(format: ResponseFormat) -> dict[str, Any]:
    if format.type != "json_schema":
        return {"type": format.type, **format.extra}
    schema: dict[str, Any] = {"name": format.name or "answer"}
    if format.description is not None:
        schema["description"] = format.description
    if format.schema is not None:
        schema["schema"] = format.schema
    if format.strict is not None:
        schema["strict"] = format.strict
    return {"type": "json_schema", "json_schema": schema, **format.extra}


def _message(message: Message, at: int, dialect: OpenAIDialect, unsupported: Unsupported) -> dict[str, Any]:
    role = "system" if message.role == "developer" and not dialect.developer else message.role
    body: dict[str, Any] = {"role": role}
    if message.name is not None:
        body["name"] = message.name
    if message.tool_call_id is not None:
        body["tool_call_id"] = message.tool_call_id
    if message.role == "assistant":
        _assistant(body, message, at, dialect, unsupported)
    else:
        body["content"] = _content(message.parts, message.listed, at, unsupported)
    if message.extra:
        body.update(without(message.extra, ANSWER_FIELDS, dialect.own_fields | {"function_call"}))
    return body


def _assistant(
    body: dict[str, Any], message: Message, at: int, dialect: OpenAIDialect, unsupported: Unsupported
) -> None:
    content: list[Part] = []
    calls: list[Mapping[str, Any]] = []
    thinking: list[str] = []
    for part in message.parts:
        match part:
            case ToolCall(id, name, arguments, _, extra):
                function = {"name": name, "arguments": arguments}
                own = without(extra, CALL_FIELDS, dialect.own_fields) if extra else extra
                named = {"id": id} if id else {}
                calls.append({**named, "type": "function", "function": function, **own})
            case Unknown(type="custom_tool_call", fields=fields):
                calls.append(fields)
            case Thinking(text=text):
                thinking.append(text)
            case Refusal(text=text) if "refusal" not in dialect.own_fields:
                content.append(Text(text))
            case Refusal(text=text) if not message.listed:
                body["refusal"] = text
            case _:
                content.append(part)
    if isinstance(custom := message.extra.get("custom_tool_calls"), list):
        calls += custom
    body["content"] = _content(tuple(content), message.listed, at, unsupported) if content else None
    if calls and "function_call" in message.extra:
        return  # the deprecated form, passed on as it came
    if calls:
        body["tool_calls"] = calls
    elif not content and "refusal" not in body:
        body["content"] = ""
    details = _own_details(message.extra.get("reasoning_details")) if dialect.thinking_details else []
    if details:
        body["reasoning_details"] = details
    elif thinking and dialect.thinking_field is not None:
        body[dialect.thinking_field] = "".join(thinking)


def _own_details(details: Any) -> list[Any]:
    """OpenRouter's entries. Its formats bear a version ("anthropic-claude-v1"); those that Weir made for the seals of
    other protocols are named like a provider, and nobody behind OpenRouter could verify them under that name."""
    if not isinstance(details, list):
        return []
    return [
        entry
        for entry in details
        if isinstance(entry, dict) and _OPENROUTERS.search(str(entry.get("format") or "unknown"))
    ]


def _content(parts: tuple[Part, ...], listed: bool, at: int, unsupported: Unsupported) -> Any:
    if not listed and len(parts) == 1 and isinstance(parts[0], Text) and not parts[0].extra:
        return parts[0].text
    if not parts and not listed:
        return ""
    return [_part(part, f"messages[{at}].content[{i}]", unsupported) for i, part in enumerate(parts)]


def _part(part: Part, where: str, unsupported: Unsupported) -> dict[str, Any]:
    match part:
        case Text(text, extra):
            return {"type": "text", "text": text, **extra}
        case Refusal(text):
            return {"type": "refusal", "refusal": text}
        case Media(kind="image"):
            return {"type": "image_url", "image_url": {"url": _address(part), **_inner(part)}, **_outer(part)}
        case Media(kind="video"):
            return {"type": "video_url", "video_url": {"url": _address(part), **_inner(part)}, **_outer(part)}
        case Media(kind="audio", content=content) if content is not None:
            return {"type": "input_audio", "input_audio": {"data": content, **_inner(part)}, **_outer(part)}
        case Media(kind="file"):
            return {"type": "file", "file": _file(part), **_outer(part)}
        case Unknown(fields=fields):
            return dict(fields)
        case Media() | Thinking() | ToolCall():
            raise unsupported.part(where, f"a {type(part).__name__.lower()} part")


def _address(media: Media) -> str:
    if media.content is not None:
        return f"data:{media.media_type or 'application/octet-stream'};base64,{media.content}"
    if media.url is None:
        raise RequestInvalid("An image or video needs an address or its content.", param="messages")
    return media.url


def _file(media: Media) -> dict[str, Any]:
    file: dict[str, Any] = dict(_inner(media))
    if media.file_id is not None:
        file["file_id"] = media.file_id
    if media.content is not None:
        file["file_data"] = _address(media) if media.media_type else media.content
    elif media.url is not None:
        file["file_data"] = media.url
    if media.name is not None:
        file["filename"] = media.name
    return file


def _inner(media: Media) -> Mapping[str, Any]:
    inner = media.extra.get("inner", NOTHING)
    return inner if isinstance(inner, Mapping) else NOTHING


def _outer(media: Media) -> dict[str, Any]:
    return {name: value for name, value in media.extra.items() if name != "inner"}
