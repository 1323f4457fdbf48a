"""Cohere's chat, version 1 (https://docs.cohere.com/v1/reference/chat), for models that were left there."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from weir.domain.chat import ChatCall, Message, Tool, UnknownTool
from weir.domain.completion import NOTHING, Completion, Refusal, Text, Thinking, ToolCall
from weir.domain.errors import ProviderError, RequestInvalid
from weir.domain.events import (
    ChoiceFinished,
    Described,
    Ended,
    MessageFields,
    Started,
    StreamEvent,
    TextDelta,
    ToolCallDelta,
    collect,
)
from weir.protocols import jsonbytes
from weir.protocols.base import Unsupported, WireRequest, reading
from weir.protocols.cohere_chat import FINISH_REASONS, cohere_error, cut_off, failure, usage_of
from weir.protocols.cohere_request import CohereDialect, own_parameters, refuse, sampling

__all__ = ["CohereChatV1"]

_ABSENT: Mapping[str, tuple[Any, ...]] = {
    "n": (1,),
    "logit_bias": ({},),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "parallel_tool_calls": (True,),
    "user": (),
    "service_tier": ("auto", "default"),
}
_OWN = frozenset(
    {"citation_quality", "connectors", "conversation_id", "documents", "force_single_step", "k", "max_input_tokens"}
    | {"preamble", "prompt_truncation", "raw_prompting", "safety_mode", "search_queries_only"}
)
_PYTHON_TYPES = {
    "string": "str",
    "integer": "int",
    "number": "float",
    "boolean": "bool",
    "array": "list",
    "object": "dict",
}
_KEPT = ("citations", "documents", "search_queries", "search_results", "is_search_required")
_FAILED = {"ERROR": 500, "TIMEOUT": 504, "USER_CANCEL": 500}


@dataclass(frozen=True, slots=True)
class CohereChatV1:
    """Cohere's chat, version 1."""

    dialect: CohereDialect
    path: str = "/v1/chat"

    @property
    def name(self) -> str:
        return "cohere_chat_v1"

    @property
    def provider(self) -> str:
        return self.dialect.provider

    def render(self, call: ChatCall) -> WireRequest:
        unsupported = Unsupported(call, self.provider)
        body: dict[str, Any] = {"model": call.model, **_conversation(call.messages, unsupported)}
        if call.stream:
            body["stream"] = True
        refuse(call, _ABSENT, unsupported)
        if call.reasoning is not None and call.reasoning.effort != "none":
            unsupported.drop("reasoning")
        if call.tool_choice is not None and call.tool_choice.mode != "auto":
            unsupported.drop("tool_choice")
        sampling(body, call)
        if call.tools:
            body["tools"] = [_tool(tool, i, unsupported) for i, tool in enumerate(call.tools)]
        match call.response_format:
            case None:
                pass
            case format if format.type == "json_schema":
                body["response_format"] = {"type": "json_object", "schema": dict(format.schema or NOTHING)}
            case format:
                body["response_format"] = {"type": format.type}
        own_parameters(body, call, _OWN, unsupported)
        return WireRequest(self.path, body, NOTHING, tuple(unsupported.dropped))

    def parse(self, body: bytes) -> Completion:
        return collect(reading(CohereChatV1Decoder(self.provider).whole(body), self.provider, body))

    def decoder(self) -> "CohereChatV1Decoder":
        return CohereChatV1Decoder(self.provider)

    def error(self, status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
        return cohere_error(status, headers, body, self.provider)


def _conversation(messages: tuple[Message, ...], unsupported: Unsupported) -> dict[str, Any]:
    """The last turn is `message` or `tool_results`, the turns before it are `chat_history`, a first system message is
    the `preamble`. A turn's tool results belong together, each with the call that it answers.
    """
    turns: list[dict[str, Any]] = []
    calls: dict[str, dict[str, Any]] = {}
    body: dict[str, Any] = {}
    for at, message in enumerate(messages):
        where = f"messages[{at}]"
        match message.role:
            case "system" | "developer" if at == 0:
                body["preamble"] = _text(message, where, unsupported)
            case "system" | "developer":
                turns.append({"role": "SYSTEM", "message": _text(message, where, unsupported)})
            case "user":
                turns.append({"role": "USER", "message": _text(message, where, unsupported)})
            case "assistant":
                turns.append(_answer(message, where, calls, unsupported))
            case "tool" | "function":
                call = calls.get(message.tool_call_id or message.name or "")
                if call is None:
                    raise RequestInvalid(f"{where} answers a call that no message before it makes.", param=where)
                result = {"call": call, "outputs": _outputs(_text(message, where, unsupported))}
                if turns and turns[-1]["role"] == "TOOL":
                    turns[-1]["tool_results"].append(result)
                else:
                    turns.append({"role": "TOOL", "tool_results": [result]})
    last = turns.pop() if turns else {"role": "USER", "message": ""}
    if last["role"] == "TOOL":
        body |= {"message": "", "tool_results": last["tool_results"]}
    elif last["role"] == "USER":
        body["message"] = last["message"]
    else:
        raise unsupported.part(f"messages[{len(messages) - 1}]", "a last message that is not the user's or a tool's")
    if turns:
        body["chat_history"] = turns
    return body


def _answer(message: Message, where: str, calls: dict[str, dict[str, Any]], unsupported: Unsupported) -> dict[str, Any]:
    turn: dict[str, Any] = {"role": "CHATBOT", "message": _text(message, where, unsupported)}
    made: list[dict[str, Any]] = []
    for part in message.parts:
        if isinstance(part, ToolCall):
            try:
                parameters = jsonbytes.loads(part.arguments or "{}")
            except jsonbytes.InvalidJSON:
                parameters = None
            if not isinstance(parameters, dict):
                raise unsupported.part(where, f"arguments of {part.name} that are not a JSON object")
            made.append({"name": part.name, "parameters": parameters})
            calls[part.id] = calls[part.name] = made[-1]
    if made:
        turn["tool_calls"] = made
    return turn


def _text(message: Message, where: str, unsupported: Unsupported) -> str:
    """All that this version takes. Thoughts have no place in it and were not part of what was said."""
    words: list[str] = []
    for i, part in enumerate(message.parts):
        match part:
            case Text(text) | Refusal(text):
                words.append(text)
            case Thinking() | ToolCall() if message.role == "assistant":
                pass
            case _:
                raise unsupported.part(f"{where}.content[{i}]", f"a {type(part).__name__.lower()} part")
    return "".join(words)


def _outputs(text: str) -> list[dict[str, Any]]:
    """Results are objects here; a text that is not one is put into one."""
    try:
        value = jsonbytes.loads(text)
    except jsonbytes.InvalidJSON:
        value = None
    if isinstance(value, dict):
        return [value]
    if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        return value
    return [{"output": text}]


def _tool(tool: Tool | UnknownTool, at: int, unsupported: Unsupported) -> dict[str, Any]:
    """Parameters are a flat list with Python's type names; what else a JSON schema says cannot be said."""
    if isinstance(tool, UnknownTool):
        raise unsupported.part(f"tools[{at}]", f"a tool of type {tool.type!r}")
    if tool.strict:
        unsupported.drop(f"tools[{at}].function.strict")
    schema = tool.parameters or NOTHING
    required = schema.get("required") or ()
    definitions: dict[str, Any] = {}
    for name, property in (schema.get("properties") or NOTHING).items():
        for word in sorted(property.keys() - {"type", "description", "title"}):
            unsupported.drop(f"tools[{at}].function.parameters.properties.{name}.{word}")
        kind = property.get("type")
        if kind not in _PYTHON_TYPES:
            raise unsupported.part(f"tools[{at}].function.parameters.properties.{name}", f"the type {kind!r}")
        definitions[name] = {"type": _PYTHON_TYPES[kind], "required": name in required}
        if property.get("description"):
            definitions[name]["description"] = property["description"]
    return {"name": tool.name, "description": tool.description or "", "parameter_definitions": definitions}


class CohereChatV1Decoder:
    """Events of a v1 stream -> events: a line of JSON each, or server-sent events where those were asked for."""

    def __init__(self, provider: str) -> None:
        self._provider = provider
        self._rest = b""
        self._started = False
        self._id: str | None = None
        self._sent: list[str] = []
        self._called = False
        self._ended = False

    def feed(self, data: bytes) -> Iterator[StreamEvent]:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            yield from self._line(line)

    def close(self) -> Iterator[StreamEvent]:
        """The last line needs no end: it is whole if it is JSON."""
        if not self._ended and self._rest.rstrip().endswith(b"}"):
            yield from self._line(self._rest)
        if not self._ended:
            raise cut_off(self._provider, self._rest)

    def _line(self, line: bytes) -> Iterator[StreamEvent]:
        line = line.strip().removeprefix(b"data:").strip()
        if self._ended or not line.startswith(b"{"):  # blank lines, event names, keep-alives
            return
        yield from reading(self._event(line), self._provider, line)

    def _event(self, data: bytes) -> Iterator[StreamEvent]:
        event = jsonbytes.loads(data)
        match event.get("event_type"):
            case "text-generation":
                self._sent.append(event["text"])
                yield TextDelta(0, event["text"])
            case "tool-calls-generation":
                yield from self._calls(event["tool_calls"])
            case "stream-start":
                yield from self._start(event)
            case "stream-end":
                yield from self._end(event["response"], event.get("finish_reason"), event.get("error"), data)
            case None if isinstance(event.get("message"), str):
                raise failure(event, 500, data, self._provider)
            case _:  # searches, citations, pieces of calls and of plans: all of it comes again at the end
                pass

    def whole(self, body: bytes) -> Iterator[StreamEvent]:
        reply = jsonbytes.loads(body)
        if "text" not in reply and isinstance(reply.get("message"), str):
            raise failure(reply, 500, body, self._provider)
        yield from self._end(reply, None, None, body)

    def _start(self, reply: Mapping[str, Any]) -> Iterator[StreamEvent]:
        if not self._started:
            self._started = True
            self._id = reply.get("generation_id") or reply.get("response_id")
            yield Started(self._id, None)

    def _calls(self, calls: list[Mapping[str, Any]]) -> Iterator[StreamEvent]:
        """Calls have no ids here; the caller's next request must be able to name them."""
        if not self._called:
            self._called = bool(calls)
            for slot, call in enumerate(calls):
                arguments = jsonbytes.dumps(call.get("parameters") or {}).decode()
                yield ToolCallDelta(0, slot, f"call_{self._id or 'cohere'}_{slot}", call["name"], arguments)

    def _end(self, reply: Mapping[str, Any], reason: str | None, error: Any, data: bytes) -> Iterator[StreamEvent]:
        reason = reason or reply.get("finish_reason")
        if reason in _FAILED:
            raise failure({"message": error, "error_type": reason}, _FAILED[reason], data, self._provider)
        yield from self._start(reply)
        text, sent = reply["text"], "".join(self._sent)
        if len(text) > len(sent) and text.startswith(sent):
            yield TextDelta(0, text[len(sent) :])
        yield from self._calls(reply.get("tool_calls") or [])
        if fields := {name: reply[name] for name in _KEPT if reply.get(name)}:
            yield MessageFields(0, fields)
        meta = reply.get("meta") or NOTHING
        if meta.get("warnings"):
            yield Described(extra={"warnings": meta["warnings"]})
        finished = FINISH_REASONS.get(reason or "COMPLETE")
        self._ended = True
        yield ChoiceFinished(0, "tool_calls" if self._called and finished == "stop" else finished, reason)
        yield Ended(usage_of(meta))
