"""A ChatCall as the body of a Cohere v2 chat request."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from weir.domain.chat import ChatCall, Media, Message, Part, ResponseFormat, Tool, ToolChoice, Unknown, UnknownTool
from weir.domain.completion import NOTHING, Refusal, Text, Thinking, ToolCall
from weir.domain.errors import RequestInvalid
from weir.protocols.answer_fields import ANSWER_FIELDS, CALL_FIELDS, without
from weir.protocols.base import Unsupported


@dataclass(frozen=True, slots=True, kw_only=True)
class CohereDialect:
    """Cohere itself, or a cloud that serves its models under its API and another name."""

    provider: str = "cohere"


PLAN = "tool_plan"
"""The id that marks a thought as Cohere's plan for its tool calls, so that it can be given back as one."""

SAMPLING: Mapping[str, str] = {
    "temperature": "temperature",
    "top_p": "p",
    "seed": "seed",
    "frequency_penalty": "frequency_penalty",
    "presence_penalty": "presence_penalty",
}
"""Our name -> Cohere's, in both versions of its API."""

_ABSENT: Mapping[str, tuple[Any, ...]] = {
    "n": (1,),
    "logit_bias": ({},),
    "top_logprobs": (0,),
    "parallel_tool_calls": (True,),  # Cohere's models call tools side by side, and cannot be told not to
    "user": (),
    "service_tier": ("auto", "default"),
}
"""Parameters without an equivalent -> the values that ask for nothing."""

_OWN = frozenset(
    {"citation_options", "documents", "k", "priority", "raw_prompting", "safety_mode", "strict_tools", "thinking"}
)
"""Parameters of Cohere alone (cohere SDK, v2/client.py), passed on as the caller gave them."""


def render(call: ChatCall, dialect: CohereDialect) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The request body and the names of dropped parameters. Raises RequestInvalid for what cannot be expressed."""
    unsupported = Unsupported(call, dialect.provider)
    body: dict[str, Any] = {"model": call.model, "messages": _Messages(dialect, unsupported).of(call.messages)}
    if call.stream:
        body["stream"] = True
    refuse(call, _ABSENT, unsupported)
    sampling(body, call)
    if call.logprobs:
        body["logprobs"] = True
    if call.tools:
        _tools(body, call, unsupported)
    if call.tool_choice is not None and (choice := _tool_choice(call.tool_choice, call, unsupported)):
        body["tool_choice"] = choice
    if call.response_format is not None:
        body["response_format"] = _format(call.response_format)
    if thinking := _thinking(call, unsupported):
        body["thinking"] = thinking
    own_parameters(body, call, _OWN, unsupported)
    return body, tuple(unsupported.dropped)


def refuse(call: ChatCall, absent: Mapping[str, tuple[Any, ...]], unsupported: Unsupported) -> None:
    """Refuse each of these parameters unless its value asks for nothing."""
    for name, nothing in absent.items():
        value = getattr(call, name)
        if value is not None and value not in nothing:
            unsupported.drop(name)


def sampling(body: dict[str, Any], call: ChatCall) -> None:
    for ours, theirs in SAMPLING.items():
        value = getattr(call, ours)
        if value is not None:
            body[theirs] = value
    if call.output_limit is not None:
        body["max_tokens"] = call.output_limit
    if call.stop:
        body["stop_sequences"] = list(call.stop)


def own_parameters(body: dict[str, Any], call: ChatCall, own: frozenset[str], unsupported: Unsupported) -> None:
    """Pass on the vendor's own parameters and refuse the rest."""
    for name, value in call.extra.items():
        if name in own:
            body[name] = value
        elif name == "top_k":
            body["k"] = value
        elif value is not None and (name, value) != ("modalities", ["text"]):
            unsupported.drop(name)


def _tools(body: dict[str, Any], call: ChatCall, unsupported: Unsupported) -> None:
    tools: list[Tool] = []
    for i, tool in enumerate(call.tools):
        if isinstance(tool, UnknownTool):
            raise unsupported.part(f"tools[{i}]", f"a tool of type {tool.type!r}")
        tools.append(tool)
    body["tools"] = [_tool(tool) for tool in tools]
    strict = [bool(tool.strict) for tool in tools]
    if all(strict):
        body["strict_tools"] = True
    elif any(strict):
        unsupported.drop("tools.function.strict", "it is strict with all functions or with none")


def _tool(tool: Tool) -> dict[str, Any]:
    function: dict[str, Any] = {"name": tool.name}
    if tool.description is not None:
        function["description"] = tool.description
    function["parameters"] = tool.parameters if tool.parameters is not None else {"type": "object", "properties": {}}
    return {"type": "function", "function": function, **tool.extra}


def _tool_choice(choice: ToolChoice, call: ChatCall, unsupported: Unsupported) -> str | None:
    match choice.mode:
        case "auto":
            return None  # it has no word for it: that is what happens when nothing is said
        case "none":
            return "NONE"
        case "required":
            return "REQUIRED"
        case "named" if [tool.name for tool in call.tools if isinstance(tool, Tool)] == [choice.name]:
            return "REQUIRED"  # of one tool
        case "named" | "other":
            unsupported.drop("tool_choice", "it can require some tool, not a certain one")
            return None


def _format(format: ResponseFormat) -> dict[str, Any]:
    """The schema's name and `strict` have no place here: a schema is always followed."""
    if format.type == "json_schema":
        return {"type": "json_object", "json_schema": dict(format.schema or NOTHING), **format.extra}
    return {"type": format.type, **format.extra}


def _thinking(call: ChatCall, unsupported: Unsupported) -> dict[str, Any] | None:
    """Thinking is on or off (https://docs.cohere.com/docs/reasoning); every effort but "none" turns it on.

    A budget is a hard stop, so none is made up for an effort; only a caller's own is passed on.
    """
    if call.reasoning is None:
        return None
    effort = call.reasoning.effort
    thinking: dict[str, Any] = {}
    for name, value in call.reasoning.extra.items():
        if name in ("max_tokens", "token_budget"):
            thinking["token_budget"] = value
        elif name == "enabled":
            effort = effort or ("high" if value else "none")
        elif name != "exclude" or value:
            unsupported.drop(f"reasoning.{name}")
    if not thinking and effort is None and not call.reasoning.summary:
        return None
    return {"type": "disabled" if effort == "none" else "enabled", **thinking}


class _Messages:
    """Messages in Cohere's form. Remembers the calls it has seen, which legacy function results name."""

    def __init__(self, dialect: CohereDialect, unsupported: Unsupported) -> None:
        self._provider = dialect.provider
        self._unsupported = unsupported
        self._ids: dict[str, str] = {}

    def of(self, messages: tuple[Message, ...]) -> list[dict[str, Any]]:
        return [self._message(message, at) for at, message in enumerate(messages)]

    def _message(self, message: Message, at: int) -> dict[str, Any]:
        match message.role:
            case "assistant":
                return self._assistant(message, at)
            case "tool" | "function":
                id = message.tool_call_id or self._ids.get(message.name or "", f"call_{message.name}")
                body = {"role": "tool", "tool_call_id": id}
            case role:
                if message.name is not None:
                    self._unsupported.drop(f"messages[{at}].name")
                body = {"role": "system" if role == "developer" else role}
        return {**body, "content": self._content(message, at), **message.extra}

    def _content(self, message: Message, at: int) -> Any:
        parts = message.parts
        if not message.listed and len(parts) == 1 and isinstance(parts[0], Text) and not parts[0].extra:
            return parts[0].text
        if not parts and not message.listed:
            return ""
        return [self._part(part, message.role, f"messages[{at}].content[{i}]") for i, part in enumerate(parts)]

    def _part(self, part: Part, role: str, where: str) -> dict[str, Any]:
        match part:
            case Text(text, extra):
                return {"type": "text", "text": text, **extra}
            case Media(kind="image") if role == "user":
                return {"type": "image_url", "image_url": {"url": _address(part), **_inner(part)}}
            case Unknown(type="document", fields=fields) if role in ("tool", "function"):
                return dict(fields)
            case Media(kind=kind):
                raise self._unsupported.part(where, kind)
            case Unknown(type=kind):
                raise self._unsupported.part(where, f"a part of type {kind!r}")
            case Refusal() | Thinking() | ToolCall():
                raise self._unsupported.part(where, f"a {type(part).__name__.lower()} part")

    def _assistant(self, message: Message, at: int) -> dict[str, Any]:
        content: list[dict[str, Any]] = []
        calls: list[dict[str, Any]] = []
        plan: list[str] = []
        for i, part in enumerate(message.parts):
            match part:
                case ToolCall():
                    calls.append(self._call(part))
                case Thinking(text=text, id=id, provider=provider):
                    if not text or provider not in (None, self._provider):
                        continue  # another model's thoughts mean nothing to this one
                    if id == PLAN:
                        plan.append(text)
                    else:
                        content.append({"type": "thinking", "thinking": text})
                case Text(text, extra):
                    content.append({"type": "text", "text": text, **extra})
                case Refusal(text):  # it knows no refusals; these are words of the assistant all the same
                    content.append({"type": "text", "text": text})
                case Media() | Unknown():
                    kind = part.kind if isinstance(part, Media) else f"a part of type {part.type!r}"
                    raise self._unsupported.part(f"messages[{at}].content[{i}]", f"{kind} from the assistant")
        body: dict[str, Any] = {"role": "assistant", **_said(content, message.listed, bool(calls))}
        if plan:
            body["tool_plan"] = "".join(plan)
        if calls:
            body["tool_calls"] = calls
        given = message.extra.get("citations")
        # those of other vendors name their places otherwise
        own = (
            [cited for cited in given if isinstance(cited, dict) and "start" in cited]
            if isinstance(given, list)
            else []
        )
        return body | without(message.extra, ANSWER_FIELDS) | ({"citations": own} if own else {})

    def _call(self, call: ToolCall) -> dict[str, Any]:
        id = self._ids[call.name] = call.id or f"call_{call.name}"
        function = {"name": call.name, "arguments": call.arguments}
        return {"id": id, "type": "function", "function": function, **without(call.extra, CALL_FIELDS)}


def _said(content: list[dict[str, Any]], listed: bool, called: bool) -> dict[str, Any]:
    if len(content) == 1 and content[0].keys() == {"type", "text"} and not listed:
        return {"content": content[0]["text"]}
    if content:
        return {"content": content}
    return {} if called else {"content": ""}


def _address(media: Media) -> str:
    if media.content is not None:
        return f"data:{media.media_type or 'application/octet-stream'};base64,{media.content}"
    if media.url is None:
        raise RequestInvalid("An image needs an address or its content.", param="messages")
    return media.url


def _inner(media: Media) -> Mapping[str, Any]:
    inner = media.extra.get("inner", NOTHING)
    return inner if isinstance(inner, Mapping) else NOTHING
