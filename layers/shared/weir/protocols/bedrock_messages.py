"""A ChatCall's messages as Converse's `system` and `messages`.

Converse knows two roles in turn: a tool's result is something the user says, and neighbours of one role become one.
"""

import hashlib
import re
from collections.abc import Mapping
from typing import Any

from weir.domain.chat import ChatCall, Media, Message, Part, Unknown
from weir.domain.completion import Refusal, Text, Thinking, ToolCall
from weir.domain.errors import RequestInvalid
from weir.protocols import jsonbytes
from weir.protocols.answer_fields import ANSWER_FIELDS
from weir.protocols.base import Unsupported
from weir.protocols.bedrock_media import DocumentNames, render_media

_CALL_ID = re.compile(r"[a-zA-Z0-9_.:-]{1,64}")
_OWN_BLOCKS = frozenset({"image", "document", "video", "audio", "guardContent", "searchResult", "cachePoint"})
"""Converse's own content blocks that a caller may write as they are: {"type": "guardContent", "guardContent": {…}}."""
_IN_TOOL_RESULT = frozenset({"json", "text", "image", "document", "video", "searchResult"})
_IN_SYSTEM = frozenset({"guardContent", "cachePoint"})
_SEALED_HERE = frozenset({None, "bedrock", "anthropic"})
"""Whose seals Converse verifies: its own, and Anthropic's, which are the same wherever Claude runs."""

Blocks = list[dict[str, Any]]


def render_messages(call: ChatCall, unsupported: Unsupported) -> tuple[Blocks, Blocks]:
    """`system` and `messages`. Raises RequestInvalid, naming the place, for what Converse cannot take."""
    conversation = _Conversation(unsupported)
    for at, message in enumerate(call.messages):
        conversation.add(message, f"messages[{at}]")
    return conversation.system, conversation.messages


def has_tool_blocks(messages: Blocks) -> bool:
    """Whether the history has calls or results, without whose tools Converse refuses it."""
    return any("toolUse" in block or "toolResult" in block for message in messages for block in message["content"])


def lost_its_thinking(messages: Blocks) -> bool:
    """Whether the last call is answered without the thinking that led to it, which some clients do not keep."""
    if len(messages) < 2 or not any("toolResult" in block for block in messages[-1]["content"]):
        return False
    return not any("reasoningContent" in block for block in messages[-2]["content"][:1])


def cache_point(extra: Mapping[str, Any]) -> Blocks:
    """The block that ends a cached part of the prompt, where `cache_control` (Anthropic's form) asks for one."""
    control = extra.get("cache_control")
    if not isinstance(control, Mapping):
        return []
    ttl = control.get("ttl")
    return [{"cachePoint": {"type": "default", **({"ttl": ttl} if ttl is not None else {})}}]


class _Conversation:
    def __init__(self, unsupported: Unsupported) -> None:
        self.system: Blocks = []
        self.messages: Blocks = []
        self._unsupported = unsupported
        self._names = DocumentNames()
        self._nameless: dict[str, list[str]] = {}
        self._made = 0

    def add(self, message: Message, where: str) -> None:
        match message.role:
            case "system" | "developer":
                self.system += self._system(message, where)
            case "user":
                self._say("user", self._parts(message.parts, where))
            case "assistant":
                self._say("assistant", self._assistant(message, where))
            case "tool" | "function":
                self._say("user", self._result(message, where))
        if message.name is not None and message.role not in ("tool", "function"):
            self._unsupported.drop(f"{where}.name")
        self._refuse_fields(message, where)
        if point := cache_point(message.extra):
            (self.system if message.role in ("system", "developer") else self.messages[-1]["content"]).extend(point)

    def _say(self, role: str, blocks: Blocks) -> None:
        if self.messages and self.messages[-1]["role"] == role:
            self.messages[-1]["content"] += blocks
        else:
            self.messages.append({"role": role, "content": blocks})

    def _system(self, message: Message, where: str) -> Blocks:
        blocks: Blocks = []
        for at, part in enumerate(message.parts):
            match part:
                case Text(text, extra):
                    if text:  # an empty block is refused, and says nothing
                        blocks.append({"text": text})
                    blocks += cache_point(extra)
                case Unknown(type, fields) if type in _IN_SYSTEM:
                    blocks.append({type: fields.get(type)})
                case _:
                    raise self._unsupported.part(f"{where}.content[{at}]", f"{_kind(part)} among the instructions")
        return blocks

    def _parts(self, parts: tuple[Part, ...], where: str) -> Blocks:
        return [block for at, part in enumerate(parts) for block in self._part(part, f"{where}.content[{at}]")]

    def _part(self, part: Part, where: str) -> Blocks:
        match part:
            case Text(text, extra):
                self._refuse_part_fields(extra, where)
                return [*([{"text": text}] if text else []), *cache_point(extra)]
            case Refusal(text):
                return [{"text": text}]
            case Media():
                return [render_media(part, where, self._names, self._unsupported), *cache_point(part.extra)]
            case Unknown(type, fields) if type in _OWN_BLOCKS and isinstance(fields.get(type), Mapping):
                return [{type: fields[type]}]
            case Unknown() | Thinking() | ToolCall():
                raise self._unsupported.part(where, _kind(part))

    def _assistant(self, message: Message, where: str) -> Blocks:
        blocks: Blocks = []
        at = 0
        for part in message.parts:
            match part:
                case Thinking():
                    blocks += _thinking(part)
                case ToolCall():
                    blocks.append({"toolUse": self._call(part, where)})
                case _:
                    blocks += self._part(part, f"{where}.content[{at}]")
                    at += 1
        for block in _content_blocks(message):
            place = block.pop("index", None)
            blocks.insert(place if isinstance(place, int) else len(blocks), block)
        return blocks

    def _call(self, call: ToolCall, where: str) -> dict[str, Any]:
        id = call.id
        if not id:  # the deprecated `function_call` has none: the next result of that name belongs to it
            self._made += 1
            id = f"call_{self._made}"
            self._nameless.setdefault(call.name, []).append(id)
        try:
            arguments = jsonbytes.loads(call.arguments) if call.arguments.strip() else {}
        except jsonbytes.InvalidJSON:
            arguments = None
        if not isinstance(arguments, dict):
            raise RequestInvalid(
                f"Bedrock takes a call's arguments as a JSON object; those of '{call.name}' in {where} are not one.",
                param=f"{where}.tool_calls",
                code="unsupported_content",
            )
        return {"toolUseId": _call_id(id), "name": call.name, "input": arguments}

    def _result(self, message: Message, where: str) -> Blocks:
        id = message.tool_call_id
        if id is None and (waiting := self._nameless.get(message.name or "")):
            id = waiting.pop(0)
        if id is None:
            raise RequestInvalid(
                f"'{where}.tool_call_id' is required.", param=f"{where}.tool_call_id", code="missing_required_parameter"
            )
        content: Blocks = []
        cached: Blocks = []  # a cache point has no place inside a result: it goes behind it
        for at, part in enumerate(message.parts):
            place = f"{where}.content[{at}]"
            match part:
                case Text(text, extra):
                    if text:
                        content.append({"text": text})
                    cached = cache_point(extra) or cached
                case Media(kind="image" | "file" | "video"):
                    content.append(render_media(part, place, self._names, self._unsupported))
                    cached = cache_point(part.extra) or cached
                case Unknown(type, fields) if type in _IN_TOOL_RESULT and type in fields:
                    content.append({type: fields[type]})
                case _:
                    raise self._unsupported.part(place, f"{_kind(part)} in a tool's result")
        result: dict[str, Any] = {"toolUseId": _call_id(id), "content": content}
        if message.extra.get("is_error") is True or message.extra.get("status") == "error":
            result["status"] = "error"
        return [{"toolResult": result}, *cached]

    def _refuse_fields(self, message: Message, where: str) -> None:
        named = {"cache_control"}
        if message.role == "assistant":
            named |= ANSWER_FIELDS
        elif message.role in ("tool", "function"):
            named |= {"is_error", "status"}
        for name, value in message.extra.items():
            if name not in named and value not in (None, "", [], {}):
                self._unsupported.drop(f"{where}.{name}")

    def _refuse_part_fields(self, extra: Mapping[str, Any], where: str) -> None:
        for name, value in extra.items():
            if name not in ("cache_control", "annotations") and value not in (None, "", [], {}):
                self._unsupported.drop(f"{where}.{name}")


def _thinking(part: Thinking) -> Blocks:
    """Only what is sealed goes back: models that seal refuse the rest, the others forget earlier thinking anyway."""
    if part.seal is None or part.provider not in _SEALED_HERE:
        return []
    if part.redacted:
        return [{"reasoningContent": {"redactedContent": part.seal}}]
    return [{"reasoningContent": {"reasoningText": {"text": part.text, "signature": part.seal}}}]


def _content_blocks(message: Message) -> Blocks:
    """Blocks that an answer had and OpenAI's form has no words for; the decoder noted where they stood. Those of
    Anthropic's own API, under the same field, have a `type`, which Converse's have not."""
    blocks = message.extra.get("content_blocks")
    if not isinstance(blocks, list):
        return []
    return [dict(block) for block in blocks if isinstance(block, dict) and "type" not in block]


def _call_id(id: str) -> str:
    """Ids of other vendors may not fit Converse's pattern. They only tie results to calls: any fixed name will do."""
    if _CALL_ID.fullmatch(id):
        return id
    return "call_" + hashlib.sha256(id.encode()).hexdigest()[:40]


def _kind(part: Part) -> str:
    match part:
        case Media(kind=kind):
            return f"{'an' if kind in ('image', 'audio') else 'a'} {kind}"
        case Unknown(type=named):
            return f"a part of type '{named}'"
        case _:
            return f"a {type(part).__name__.lower()} part"
