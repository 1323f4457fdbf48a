"""Messages as the `system` and `messages` of a Messages request: turns of content blocks."""

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from weir.domain.chat import Media, Message, Part, Unknown
from weir.domain.completion import Refusal, Text, Thinking, ToolCall
from weir.domain.errors import RequestInvalid
from weir.protocols import jsonbytes
from weir.protocols.answer_fields import ANSWER_FIELDS, CALL_FIELDS, without
from weir.protocols.base import Unsupported

SEALED_BY = "anthropic"
"""Whose seal Claude's thinking bears, on every platform: signatures made on one are taken by the others."""

_OUR_SEALS = frozenset({SEALED_BY, "anthropic-claude-v1"})  # the second is OpenRouter's name for the same seal

_OWN_BLOCKS = frozenset(
    {
        "image",
        "document",
        "search_result",
        "tool_use",
        "tool_result",
        "redacted_thinking",
        "server_tool_use",
        "web_search_tool_result",
        "web_fetch_tool_result",
        "code_execution_tool_result",
        "bash_code_execution_tool_result",
        "text_editor_code_execution_tool_result",
        "tool_search_tool_result",
        "advisor_tool_result",
        "mcp_tool_use",
        "mcp_tool_result",
        "mcp_tool_listing",
        "container_upload",
        "compaction",
        "fallback",
        "tool_reference",
        "browser_state",
    }
)
"""Blocks of the API that have no OpenAI form; a caller who writes one means it, so it is passed on whole."""

CONTENT_BLOCKS = "content_blocks"
"""The message field that holds an answer's blocks without a name in OpenAI's form. Given back, they are sent again."""

_TEXT = frozenset({"cache_control", "citations"})
_IMAGE = frozenset({"cache_control", "transformations"})
_DOCUMENT = frozenset({"cache_control", "citations", "context", "title"})
_CALL = frozenset({"cache_control", "caller", "toolset_name"})
_RESULT = frozenset({"is_error", "toolset_name"})

_IMAGE_TYPES = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
_FOREIGN_ID = re.compile(r"[^a-zA-Z0-9_-]")

_Block = dict[str, Any]


def system_of(messages: Sequence[Message], unsupported: Unsupported) -> str | list[_Block] | None:
    """Every system and developer text, in order, wherever it stood: the API keeps them apart from the turns."""
    blocks: list[_Block] = []
    for at, message in enumerate(messages):
        if message.role in ("system", "developer"):
            _no_name(message, at, unsupported)
            mine = [
                block
                for index, part in enumerate(message.parts)
                for block in _text_only(part, f"messages[{at}].content[{index}]", unsupported)
            ]
            blocks += _marked(mine, message, at, frozenset(), unsupported)
    if len(blocks) == 1 and blocks[0].keys() == {"type", "text"}:
        return str(blocks[0]["text"])
    return blocks or None


def turns_of(messages: Sequence[Message], media_urls: bool, unsupported: Unsupported) -> list[_Block]:
    """User and assistant turns by turns. Raises RequestInvalid for a part that cannot be expressed."""
    return _Turns(media_urls, unsupported).of(messages)


class _Turns:
    """Renders the messages of one call, remembering the tool calls that later results answer."""

    def __init__(self, media_urls: bool, unsupported: Unsupported) -> None:
        self._media_urls = media_urls
        self._unsupported = unsupported
        self._ids_by_name: dict[str, list[str]] = {}

    def of(self, messages: Sequence[Message]) -> list[_Block]:
        turns: list[tuple[Literal["user", "assistant"], list[_Block], bool]] = []
        for at, message in enumerate(messages):
            if message.role in ("system", "developer"):
                continue
            blocks = self._turn(message, at)
            if not blocks:  # an empty text says nothing, and the API takes no empty turn
                continue
            role: Literal["user", "assistant"] = "assistant" if message.role == "assistant" else "user"
            if turns and turns[-1][0] == role:
                turns[-1] = (role, turns[-1][1] + blocks, True)
            else:
                turns.append((role, blocks, message.listed))
        return [{"role": role, "content": _shortest(blocks, listed)} for role, blocks, listed in turns]

    def _turn(self, message: Message, at: int) -> list[_Block]:
        if message.role in ("tool", "function"):
            return [self._result(message, at)]
        _no_name(message, at, self._unsupported)
        if message.role == "assistant":
            return self._assistant(message, at)
        blocks = self._content(message.parts, f"messages[{at}].content")
        return _marked(blocks, message, at, frozenset(), self._unsupported)

    def _content(self, parts: Sequence[Part], where: str) -> list[_Block]:
        return [block for at, part in enumerate(parts) for block in self._part(part, f"{where}[{at}]")]

    def _part(self, part: Part, where: str) -> list[_Block]:
        match part:
            case Text() | Refusal():
                return _text_only(part, where, self._unsupported)
            case Media(kind="image"):
                return [self._image(part, where)]
            case Media(kind="file"):
                return [self._file(part, where)]
            case Unknown(kind, fields) if kind in _OWN_BLOCKS:
                return [dict(fields)]
            case Unknown(type=kind) | Media(kind=kind):
                raise self._unsupported.part(where, f"a part of type {kind!r}")
            case Thinking() | ToolCall():
                raise self._unsupported.part(where, f"a {type(part).__name__.lower()} part outside an assistant turn")

    def _assistant(self, message: Message, at: int) -> list[_Block]:
        blocks: list[_Block] = []
        for index, part in enumerate(message.parts):
            match part:
                case Thinking():
                    blocks += _thinking(part)
                case ToolCall():
                    blocks.append(self._call(part, at, index))
                case _:
                    blocks += self._part(part, f"messages[{at}].content[{index}]")
        if message.parts and not isinstance(message.parts[0], Thinking):
            # a turn that thought begins with its thinking; between later parts it stays where the model had it
            blocks.sort(key=_is_answer)
        begin = next((i for i, block in enumerate(blocks) if _is_answer(block)), len(blocks))
        # what server tools did came before the text that cites it
        blocks[begin:begin] = self._server_blocks(message, at)
        return _marked(blocks, message, at, ANSWER_FIELDS, self._unsupported)

    def _server_blocks(self, message: Message, at: int) -> list[_Block]:
        """Whatever their type: they came from the API, which knows its own. Converse's blocks, under the same field,
        have a place in place of a type."""
        blocks = message.extra.get(CONTENT_BLOCKS) or []
        if isinstance(blocks, list):
            blocks = [b for b in blocks if not (isinstance(b, dict) and "type" not in b and "index" in b)]
        if not isinstance(blocks, list) or not all(isinstance(b, dict) and "type" in b for b in blocks):
            raise self._unsupported.part(f"messages[{at}].{CONTENT_BLOCKS}", "anything but a list of typed blocks")
        return [dict(block) for block in blocks]

    def _call(self, call: ToolCall, at: int, index: int) -> _Block:
        id = _id(call.id) or f"call_{at}_{index}"  # the deprecated `function_call` has none
        self._ids_by_name.setdefault(call.name, []).append(id)
        where = f"messages[{at}].tool_calls"
        fields = _fields(without(call.extra, CALL_FIELDS, _CALL), _CALL, where, self._unsupported)
        return {"type": "tool_use", "id": id, "name": call.name, "input": _input(call.arguments), **fields}

    def _result(self, message: Message, at: int) -> _Block:
        if message.tool_call_id:
            id = _id(message.tool_call_id)
        elif waiting := self._ids_by_name.get(message.name or ""):  # the deprecated role "function" answers by name
            id = waiting.pop(0)
        else:
            raise RequestInvalid(
                f"'messages[{at}].tool_call_id' must name the call that this result answers.",
                param=f"messages[{at}].tool_call_id",
            )
        blocks = self._content(message.parts, f"messages[{at}].content")
        block: _Block = {"type": "tool_result", "tool_use_id": id}
        if blocks:
            block["content"] = _shortest(blocks, message.listed)
        for name in _RESULT & message.extra.keys():
            block[name] = message.extra[name]
        return _marked([block], message, at, _RESULT, self._unsupported)[0]

    def _image(self, media: Media, where: str) -> _Block:
        source: _Block
        if media.file_id is not None:
            source = {"type": "file", "file_id": media.file_id}
        elif media.content is not None:
            media_type = "image/jpeg" if media.media_type == "image/jpg" else media.media_type
            if media_type not in _IMAGE_TYPES:
                raise self._unsupported.part(where, f"an image of type {media_type!r}")
            source = {"type": "base64", "media_type": media_type, "data": media.content}
        else:
            source = self._address(media, where)
        return {"type": "image", "source": source, **self._media_fields(media, _IMAGE, where)}

    def _file(self, media: Media, where: str) -> _Block:
        media_type = media.media_type
        if media_type is not None and media_type.startswith("image/"):
            return self._image(media, where)
        source: _Block
        if media.file_id is not None:
            source = {"type": "file", "file_id": media.file_id}
        elif media.content is None:
            source = self._address(media, where)
        elif media_type == "application/pdf" or (
            media_type is None and media.content.startswith("JVBERi")
        ):  # base64 of "%PDF-"
            source = {"type": "base64", "media_type": "application/pdf", "data": media.content}
        elif media_type is not None and (media_type.startswith("text/") or media_type == "application/json"):
            source = {"type": "text", "media_type": "text/plain", "data": self._decoded(media.content, where)}
        else:
            raise self._unsupported.part(where, f"a file of type {media_type!r}")
        fields = self._media_fields(media, _DOCUMENT, where)
        if media.name is not None:
            fields.setdefault("title", media.name)
        return {"type": "document", "source": source, **fields}

    def _address(self, media: Media, where: str) -> _Block:
        if media.url is None:
            raise RequestInvalid(f"'{where}' needs an address, its content or a file id.", param=where)
        if not self._media_urls:
            raise self._unsupported.part(where, f"the address of {media.kind} content; send the content itself")
        return {"type": "url", "url": media.url}

    def _decoded(self, content: str, where: str) -> str:
        try:
            return base64.b64decode(content, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            raise RequestInvalid(f"'{where}' is not base64 of a UTF-8 text.", param=where) from None

    def _media_fields(self, media: Media, allowed: frozenset[str], where: str) -> _Block:
        outer = {name: value for name, value in media.extra.items() if name != "inner"}
        inner = dict(media.extra.get("inner") or {})
        if inner.get("detail") == "auto":  # OpenAI's default
            del inner["detail"]
        return {
            **_fields(outer, allowed, where, self._unsupported),
            **_fields(inner, allowed, where, self._unsupported),
        }


def _shortest(blocks: list[_Block], listed: bool) -> str | list[_Block]:
    """A turn's content: results before everything else, as the API wants; one plain text as a string."""
    if not listed and len(blocks) == 1 and blocks[0].keys() == {"type", "text"}:
        return str(blocks[0]["text"])
    return sorted(blocks, key=lambda block: block["type"] != "tool_result")


def _text_only(part: Part, where: str, unsupported: Unsupported) -> list[_Block]:
    match part:
        case Text(text, extra):
            fields = _fields(extra, _TEXT, where, unsupported)
            return [{"type": "text", "text": text, **fields}] if text else []  # the API refuses an empty text block
        case Refusal(text):
            return [{"type": "text", "text": text}] if text else []
        case Media() | Thinking() | ToolCall() | Unknown():
            raise unsupported.part(where, "anything but text")


def _thinking(part: Thinking) -> list[_Block]:
    """A thinking block as it came. One without a seal of Claude's is left out: the API refuses unsigned thinking, and
    another model's thoughts are no part of the answer."""
    if part.seal is None or part.provider not in _OUR_SEALS:
        return []
    if part.redacted:
        return [{"type": "redacted_thinking", "data": part.seal}]
    return [{"type": "thinking", "thinking": part.text, "signature": part.seal}]


def _is_answer(block: _Block) -> bool:
    return block["type"] not in ("thinking", "redacted_thinking")


def _input(arguments: str) -> Mapping[str, Any]:
    try:
        value = jsonbytes.loads(arguments) if arguments.strip() else {}
    except jsonbytes.InvalidJSON:
        value = None
    if isinstance(value, dict):
        return value
    # `input` must be an object; this is how broken arguments are shown to the model that wrote them:
    # https://platform.claude.com/docs/en/agents-and-tools/tool-use/fine-grained-tool-streaming
    return {"INVALID_JSON": arguments}


def _id(id: str) -> str:
    """Ids of other vendors' calls may hold what Anthropic's pattern ^[a-zA-Z0-9_-]+$ refuses."""
    return _FOREIGN_ID.sub("_", id)


def _marked(
    blocks: list[_Block], message: Message, at: int, known: frozenset[str], unsupported: Unsupported
) -> list[_Block]:
    """`cache_control` of a message belongs to its last block; a field that is neither that nor known has no place."""
    extra = {name: value for name, value in message.extra.items() if name not in known}
    marks = _fields(extra, frozenset({"cache_control"}), f"messages[{at}]", unsupported)
    return [*blocks[:-1], {**blocks[-1], **marks}] if blocks and marks else blocks


def _fields(extra: Mapping[str, Any], allowed: frozenset[str], where: str, unsupported: Unsupported) -> _Block:
    fields: _Block = {}
    for name, value in extra.items():
        if name in allowed:
            fields[name] = value
        elif value not in (None, [], {}):
            unsupported.drop(f"{where}.{name}")
    return fields


def _no_name(message: Message, at: int, unsupported: Unsupported) -> None:
    if message.name:
        unsupported.drop(f"messages[{at}].name")
