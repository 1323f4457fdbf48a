"""A ChatCall as the body of a Responses request."""

from collections.abc import Iterator, Mapping
from typing import Any

from weir.domain.chat import (
    ChatCall,
    Media,
    Message,
    Part,
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
from weir.protocols.responses_dialect import ResponsesDialect

SEAL = "reasoning.encrypted_content"
LOGPROBS = "message.output_text.logprobs"

_PLAIN = ("temperature", "top_p", "parallel_tool_calls", "user", "service_tier")
_ABSENT: Mapping[str, tuple[Any, ...]] = {
    "stop": ((),),
    "seed": (),
    "n": (1,),
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "logit_bias": ({},),
}
"""Parameters of Chat Completions without an equivalent here -> the values that ask for nothing."""

_CHAT_ONLY = frozenset({"modalities", "audio", "prediction", "web_search_options", "functions", "function_call"})
_STATEFUL = ("store", "previous_response_id", "conversation", "background")
_OWN_FIELDS = frozenset({"custom_tool_calls", "phase", "provider_items"})
_OWN_CALL_FIELDS = frozenset({"caller", "namespace"})


def render(call: ChatCall, dialect: ResponsesDialect) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The request body and the names of dropped parameters. Raises RequestInvalid for what cannot be expressed."""
    unsupported = Unsupported(call, dialect.provider)
    body: dict[str, Any] = {"model": call.model, "input": list(_Items(dialect, unsupported).of(call.messages))}
    for name in _PLAIN:
        value = getattr(call, name)
        if value is not None:
            body[name] = value
    for name, nothing in _ABSENT.items():
        value = getattr(call, name)
        if value is None or value in nothing:
            continue
        if name in dialect.also:
            body[name] = list(value) if isinstance(value, tuple) else value
        else:
            unsupported.drop(name)
    if call.output_limit is not None:
        body["max_output_tokens"] = call.output_limit
    if call.metadata and dialect.metadata:
        body["metadata"] = dict(call.metadata)
    if call.tools:
        body["tools"] = [_tool(tool) for tool in call.tools]
    if call.tool_choice is not None:
        body["tool_choice"] = _tool_choice(call.tool_choice)
    if call.stream:
        body["stream"] = True
        if options := {name: value for name, value in call.stream_options.items() if name != "include_usage"}:
            body["stream_options"] = options  # usage comes with every stream; there is no option for it
    if reasoning := _reasoning(call):
        body["reasoning"] = reasoning
    _extra(body, call, dialect, unsupported)
    return body, tuple(unsupported.dropped)


def _reasoning(call: ChatCall) -> dict[str, Any]:
    if call.reasoning is None:
        return {}
    reasoning: dict[str, Any] = {}
    if call.reasoning.effort is not None:
        reasoning["effort"] = call.reasoning.effort
    if call.reasoning.summary:
        reasoning["summary"] = "auto"
    return {**reasoning, **call.reasoning.extra}


def _extra(body: dict[str, Any], call: ChatCall, dialect: ResponsesDialect, unsupported: Unsupported) -> None:
    extra = dict(call.extra)
    if dialect.stateless and not any(extra.get(name) is not None for name in _STATEFUL):
        # Chat Completions keep nothing unasked, Responses keep everything for 30 days unless told not to.
        body["store"] = False
    text: dict[str, Any] = {}
    if call.response_format is not None:
        text["format"] = _format(call.response_format)
    if (verbosity := extra.pop("verbosity", None)) is not None:
        text["verbosity"] = verbosity
    if isinstance(given := extra.pop("text", None), Mapping):
        text.update(given)
    if text:
        body["text"] = text
    if extra.get("modalities") == ["text"]:
        del extra["modalities"]
    for name in sorted(_CHAT_ONLY & extra.keys()):
        value = extra.pop(name)
        if value is not None:
            unsupported.drop(name)
    include = _include(body, call, dialect, unsupported)
    include += [name for name in extra.pop("include", None) or () if name not in include]
    if include:
        body["include"] = include
    body.update(extra)


def _include(body: dict[str, Any], call: ChatCall, dialect: ResponsesDialect, unsupported: Unsupported) -> list[str]:
    include: list[str] = []
    known = dialect.seals == "always" and not call.model.startswith(dialect.unsealed_models)
    asked = dialect.seals != "never" and call.reasoning is not None and call.reasoning.effort != "none"
    if known or asked:
        include.append(SEAL)
    if call.logprobs or call.top_logprobs:
        match dialect.logprobs:
            case "include":
                include.append(LOGPROBS)
            case "parameter":
                body["logprobs"] = True
            case "none":
                unsupported.drop("logprobs")
                return include
        if call.top_logprobs is not None:
            body["top_logprobs"] = call.top_logprobs
    return include


def _tool(tool: Tool | UnknownTool) -> dict[str, Any]:
    if isinstance(tool, UnknownTool):
        return _flat(tool.fields)
    rendered: dict[str, Any] = {
        "type": "function",
        "name": tool.name,
        "parameters": tool.parameters if tool.parameters is not None else {"type": "object", "properties": {}},
        # Left out, this API would take it for true and rewrite the schema; Chat Completions take it for false.
        # https://platform.openai.com/docs/guides/migrate-to-responses
        "strict": bool(tool.strict),
        **tool.extra,
    }
    if tool.description is not None:
        rendered["description"] = tool.description
    return rendered


def _flat(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Chat Completions put a tool's fields into an object named like its type; here they lie beside the type."""
    kind = fields.get("type")
    inner = fields.get(kind) if isinstance(kind, str) else None
    if not isinstance(inner, Mapping):
        return dict(fields)
    flat = {**{name: value for name, value in fields.items() if name != kind}, **inner}
    if isinstance(flat.get("format"), Mapping):
        flat["format"] = _flat(flat["format"])
    if isinstance(flat.get("tools"), list):
        flat["tools"] = [_flat(tool) if isinstance(tool, Mapping) else tool for tool in flat["tools"]]
    return flat


def _tool_choice(choice: ToolChoice) -> Any:
    match choice.mode:
        case "named":
            return {"type": "function", "name": choice.name}
        case "other":
            return _flat(choice.fields)
        case mode:
            return mode


def _format(format: ResponseFormat) -> dict[str, Any]:
    if format.type != "json_schema":
        return {"type": format.type, **format.extra}
    rendered: dict[str, Any] = {
        "type": "json_schema",
        "name": format.name or "response",  # required, and shown to the model
        "schema": dict(format.schema or NOTHING),
    }
    if format.strict is not None:
        rendered["strict"] = format.strict
    if format.description is not None:
        rendered["description"] = format.description
    return {**rendered, **format.extra}


class _Items:
    """Messages -> input items. Remembers the calls it has seen, which decide how their results are written."""

    def __init__(self, dialect: ResponsesDialect, unsupported: Unsupported) -> None:
        self._dialect = dialect
        self._unsupported = unsupported
        self._custom: set[str] = set()
        self._ids: dict[str, str] = {}

    def of(self, messages: tuple[Message, ...]) -> Iterator[dict[str, Any]]:
        for at, message in enumerate(messages):
            match message.role:
                case "assistant":
                    yield from self._assistant(message, at)
                case "tool" | "function":
                    yield self._result(message, at)
                case role:
                    if message.name is not None:
                        self._unsupported.drop(f"messages[{at}].name")
                    if role == "developer" and not self._dialect.developer:
                        role = "system"
                    yield {"role": role, "content": self._content(message, at), **message.extra}

    def _result(self, message: Message, at: int) -> dict[str, Any]:
        """`name` is not sent: the call's id says it already. A legacy function result has only the name."""
        id = message.tool_call_id or self._ids.get(message.name or "", f"call_{message.name}")
        kind = "custom_tool_call_output" if id in self._custom else "function_call_output"
        return {"type": kind, "call_id": id, "output": self._content(message, at), **message.extra}

    def _content(self, message: Message, at: int) -> Any:
        parts = message.parts
        if not message.listed and len(parts) == 1 and isinstance(parts[0], Text) and not parts[0].extra:
            return parts[0].text
        if not parts and not message.listed:
            return ""
        return [self._part(part, f"messages[{at}].content[{i}]") for i, part in enumerate(parts)]

    def _part(self, part: Part, where: str) -> dict[str, Any]:
        match part:
            case Text(text, extra):
                return {"type": "input_text", "text": text, **extra}
            case Media(kind="image"):
                return {"type": "input_image", **_image(part), "detail": "auto", **_inner(part), **_outer(part)}
            case Media(kind="file"):
                return {"type": "input_file", **_file(part), **_inner(part), **_outer(part)}
            case Media(kind="audio", content=str(content)) if self._dialect.audio:
                return {"type": "input_audio", "input_audio": {"data": content, **_inner(part)}, **_outer(part)}
            case Media(kind="video") if self._dialect.audio:
                return {"type": "input_video", "video_url": _address(part), **_inner(part), **_outer(part)}
            case Unknown(kind, fields) if kind.startswith("input_"):
                return dict(fields)
            case Media(kind=kind):
                raise self._unsupported.part(where, kind)
            case Unknown(kind):
                raise self._unsupported.part(where, f"a part of type {kind!r}")
            case Refusal() | Thinking() | ToolCall():
                raise self._unsupported.part(where, f"a {type(part).__name__.lower()} part")

    def _assistant(self, message: Message, at: int) -> Iterator[dict[str, Any]]:
        """Items in the order of the parts: reasoning must come before the call or the text that it led to.

        Where the provider's own items (searches, code runs) stood among the parts is not known any more; they come
        before the first call or else before the text.
        """
        extra = without(message.extra, ANSWER_FIELDS, _OWN_FIELDS)
        provided = [dict(item) for item in extra.pop("provider_items", None) or ()]
        custom = [self._custom_call(call) for call in extra.pop("custom_tool_calls", None) or ()]
        spoken: list[Text | Refusal] = []
        for i, part in enumerate(message.parts):
            if isinstance(part, Text | Refusal):
                spoken.append(part)
                continue
            if spoken:
                yield from provided
                yield _said(spoken, message.listed, extra)
                provided, spoken = [], []
            match part:
                case Thinking():
                    yield from self._thought(part)
                case ToolCall():
                    yield from provided
                    provided = []
                    yield self._call(part)
                case Unknown("custom_tool_call", fields):
                    custom.append(self._custom_call(fields))
                case Media() | Unknown():
                    kind = part.kind if isinstance(part, Media) else f"a part of type {part.type!r}"
                    raise self._unsupported.part(f"messages[{at}].content[{i}]", f"{kind} from the assistant")
        yield from provided
        if spoken or not (message.parts or custom or provided):
            yield _said(spoken, message.listed, extra)
        yield from custom

    def _custom_call(self, call: Mapping[str, Any]) -> dict[str, Any]:
        """A call of a tool without a schema, in Chat Completions' form."""
        self._custom.add(call["id"])
        return {"type": "custom_tool_call", "call_id": call["id"], **call["custom"]}

    def _call(self, call: ToolCall) -> dict[str, Any]:
        id = self._ids[call.name] = call.id or f"call_{call.name}"
        own = without(call.extra, CALL_FIELDS, _OWN_CALL_FIELDS)
        return {"type": "function_call", "call_id": id, "name": call.name, "arguments": call.arguments, **own}

    def _thought(self, thinking: Thinking) -> Iterator[dict[str, Any]]:
        """Nothing for another provider's thoughts, which mean nothing here, nor for those that cannot be proven."""
        if thinking.provider not in (None, self._dialect.provider):
            return
        item: dict[str, Any] = {"type": "reasoning"}
        if thinking.id is not None:
            item["id"] = thinking.id
        if thinking.seal is not None:
            summary = [{"type": "summary_text", "text": thinking.text}] if thinking.text else []
            yield {**item, "summary": summary, "encrypted_content": thinking.seal}
        elif self._dialect.open_reasoning and thinking.text:
            yield {**item, "summary": [], "content": [{"type": "reasoning_text", "text": thinking.text}]}


def _said(parts: list[Text | Refusal], listed: bool, extra: Mapping[str, Any]) -> dict[str, Any]:
    """An assistant's earlier words; a plain string where that is enough, which every vendor understands."""
    item: dict[str, Any] = {"role": "assistant"}
    if not parts and not listed:
        item["content"] = ""
    elif len(parts) == 1 and isinstance(parts[0], Text) and not parts[0].extra:
        item["content"] = parts[0].text
    else:
        item["type"] = "message"
        item["content"] = [
            {"type": "output_text", "text": part.text, **part.extra}
            if isinstance(part, Text)
            else {"type": "refusal", "refusal": part.text}
            for part in parts
        ]
    return {**item, **extra}


def _image(media: Media) -> dict[str, Any]:
    return {"file_id": media.file_id} if media.file_id is not None else {"image_url": _address(media)}


def _file(media: Media) -> dict[str, Any]:
    file: dict[str, Any] = {}
    if media.file_id is not None:
        file["file_id"] = media.file_id
    if media.content is not None:
        file["file_data"] = _address(media) if media.media_type else media.content
    elif media.url is not None:
        file["file_url"] = media.url
    if media.name is not None:
        file["filename"] = media.name
    return file


def _address(media: Media) -> str:
    if media.content is not None:
        return f"data:{media.media_type or 'application/octet-stream'};base64,{media.content}"
    if media.url is None:
        raise RequestInvalid("An image or video needs an address or its content.", param="messages")
    return media.url


def _inner(media: Media) -> Mapping[str, Any]:
    inner = media.extra.get("inner", NOTHING)
    return inner if isinstance(inner, Mapping) else NOTHING


def _outer(media: Media) -> dict[str, Any]:
    return {name: value for name, value in media.extra.items() if name != "inner"}
