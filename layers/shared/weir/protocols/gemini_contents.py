"""A conversation as Gemini's `systemInstruction` and `contents`.

Thought signatures go back on a part of the kind they came with (https://ai.google.dev/gemini-api/docs/thought-signatures):

- `ToolCall.seal`: the functionCall's own.
- `Thinking` with text, or `redacted`: a thought part, with the seal if there is one.
- `Thinking` without text, not `redacted`: the signature of the text that follows it, or of an empty text part if none
  does. (Streams end with an empty text part that carries nothing else.)

Seals of another provider mean nothing here: such thinking goes as a thought without a signature.
"""

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from weir.domain.chat import ChatCall, Media, Message, Part, Unknown
from weir.domain.completion import NOTHING, Refusal, Text, Thinking, ToolCall
from weir.domain.errors import RequestInvalid
from weir.protocols import jsonbytes
from weir.protocols.answer_fields import ANSWER_FIELDS, CALL_FIELDS
from weir.protocols.base import Unsupported
from weir.protocols.gemini_models import ModelFacts

SEALED_BY = "gemini"
"""`Thinking.provider` of everything sealed by Gemini, whichever of its two doors it came through."""

RAW_PARTS = "content_parts"
"""The message field that keeps parts of an answer without a name in OpenAI's form; they go back whole."""

UNSIGNED = "skip_thought_signature_validator"
"""What Google's page on signatures tells to send for a function call that no Gemini 3 model made."""

# https://ai.google.dev/gemini-api/docs/generate-content/file-input-methods and the pages on images, audio and video
MEDIA_TYPES: Mapping[str, str] = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "heic": "image/heic",
    "heif": "image/heif",
    "gif": "image/gif",
    "bmp": "image/bmp",
    "wav": "audio/wav",
    "mp3": "audio/mp3",
    "aiff": "audio/aiff",
    "aac": "audio/aac",
    "ogg": "audio/ogg",
    "flac": "audio/flac",
    "m4a": "audio/m4a",
    "mp4": "video/mp4",
    "mpeg": "video/mpeg",
    "mpg": "video/mpg",
    "mov": "video/mov",
    "avi": "video/avi",
    "flv": "video/x-flv",
    "webm": "video/webm",
    "wmv": "video/wmv",
    "3gp": "video/3gpp",
    "pdf": "application/pdf",
    "json": "application/json",
    "txt": "text/plain",
    "md": "text/markdown",
    "html": "text/html",
    "htm": "text/html",
    "css": "text/css",
    "csv": "text/csv",
    "xml": "text/xml",
    "rtf": "text/rtf",
}
_YOUTUBE = ("youtube.com", "www.youtube.com", "m.youtube.com", "youtu.be")
_FILES = "https://generativelanguage.googleapis.com/v1beta/"
"""AI Studio names an upload "files/<id>" but wants its whole address in a request."""


class Conversation:
    """Turns messages into contents; consecutive turns of one role become one, as the API wants them."""

    def __init__(self, call: ChatCall, facts: ModelFacts, call_ids: bool, unsupported: Unsupported) -> None:
        self.system: list[dict[str, Any]] = []
        self.contents: list[dict[str, Any]] = []
        self._facts = facts
        self._call_ids = call_ids
        self._unsupported = unsupported
        self._names: dict[str, str] = {}
        turns = [at for at, message in enumerate(call.messages) if message.role == "user"]
        self._turn = turns[-1] if turns else -1
        for at, message in enumerate(call.messages):
            self._message(message, at)
        if not self.contents:
            raise RequestInvalid("Gemini needs a message that is not a system message.", param="messages")

    def _message(self, message: Message, at: int) -> None:
        for name, value in message.extra.items():
            if value and name not in ANSWER_FIELDS:
                self._unsupported.drop(f"messages[{at}].{name}")
        match message.role:
            case "system" | "developer":
                self.system.extend(self._system(message, at))
            case "user":
                if message.name is not None:
                    self._unsupported.drop(f"messages[{at}].name")
                self._add("user", self._parts(message.parts, at))
            case "tool" | "function":
                self._add("user", self._result(message, at))
            case "assistant":
                self._add("model", self._answer(message, at))

    def _add(self, role: str, parts: list[dict[str, Any]]) -> None:
        if not parts:
            return
        if self.contents and self.contents[-1]["role"] == role:
            self.contents[-1]["parts"].extend(parts)
        else:
            self.contents.append({"role": role, "parts": parts})

    def _system(self, message: Message, at: int) -> list[dict[str, Any]]:
        for i, part in enumerate(message.parts):
            if not isinstance(part, Text):
                raise self._unsupported.part(_where(at, i), "anything but text in a system message")
        return self._parts(message.parts, at)

    def _parts(self, parts: Iterable[Part], at: int) -> list[dict[str, Any]]:
        return [self._part(part, _where(at, i)) for i, part in enumerate(parts)]

    def _part(self, part: Part, where: str) -> dict[str, Any]:
        match part:
            case Text(text, extra):
                self._unnamed(extra, where)
                return {"text": text}
            case Refusal(text):
                return {"text": text}
            case Media():
                self._unnamed({name: value for name, value in part.extra.items() if name != "inner"}, where)
                self._detail(part, where)
                return _media(part, where)
            case Unknown(type=type):
                raise self._unsupported.part(where, f"a part of type {type[:100]!r}")
            case Thinking() | ToolCall():
                raise self._unsupported.part(where, "an assistant's part in another role")

    def _unnamed(self, extra: Mapping[str, Any], where: str) -> None:
        for name, value in extra.items():
            if value:
                self._unsupported.drop(f"{where}.{name}")

    def _detail(self, media: Media, where: str) -> None:
        """The resolution of one image can be chosen in v1alpha only; `media_resolution` sets that of all."""
        if _inner(media).get("detail") not in (None, "auto"):
            self._unsupported.drop(f"{where}.detail", "send media_resolution for all images of the call")

    def _answer(self, message: Message, at: int) -> list[dict[str, Any]]:
        # Raw parts are what Google's own tools did before the answer was written, so they come first.
        parts: list[dict[str, Any]] = _raw_parts(message)
        seal: str | None = None
        for i, part in enumerate(message.parts):
            if seal is not None and not isinstance(part, Text | Refusal):
                parts.append({"text": "", "thoughtSignature": seal})
                seal = None
            match part:
                case Thinking():
                    thought, seal = _thinking(part)
                    parts.extend(thought)
                case ToolCall():
                    parts.append(self._call(part, f"messages[{at}].tool_calls"))
                case Text(text="", extra=extra) if not extra:
                    pass  # the API refuses an empty text part that carries nothing
                case _:
                    parts.append({**self._part(part, _where(at, i)), **({"thoughtSignature": seal} if seal else {})})
                    seal = None
        if seal is not None:
            parts.append({"text": "", "thoughtSignature": seal})
        if self._facts.signs_calls and at > self._turn:
            _sign(parts)
        return parts

    def _call(self, call: ToolCall, where: str) -> dict[str, Any]:
        self._names[call.id] = call.name
        seal = call.seal
        for name, value in call.extra.items():
            if name == "extra_content" and isinstance(value, dict):  # how Google's OpenAI endpoint hands it out
                seal = seal or (value.get("google") or NOTHING).get("thought_signature")
            elif value and name not in CALL_FIELDS:
                self._unsupported.drop(f"{where}.{name}")
        part: dict[str, Any] = {"functionCall": {"name": call.name, "args": _args(call, where)}}
        if self._call_ids and call.id:
            part["functionCall"]["id"] = call.id
        if seal:
            part["thoughtSignature"] = seal
        return part

    def _result(self, message: Message, at: int) -> list[dict[str, Any]]:
        """The text goes under "output", the key the API reads results from: as text, since its own structures would
        turn every number into a double."""
        name = self._names.get(message.tool_call_id or "") or message.name
        if name is None:
            raise RequestInvalid(
                f"No earlier message calls a tool under the id {str(message.tool_call_id)[:100]!r}, "
                "and Gemini needs to know which function a result belongs to.",
                param=f"messages[{at}].tool_call_id",
            )
        text: list[str] = []
        inside: list[dict[str, Any]] = []
        beside: list[dict[str, Any]] = []
        for i, part in enumerate(message.parts):
            rendered = self._part(part, _where(at, i))
            if "text" in rendered:
                text.append(rendered["text"])
            elif self._facts.media_in_results and _fits_in_result(rendered):
                inside.append(rendered)
            else:  # older models see it next to the result
                beside.append(rendered)
        result: dict[str, Any] = {"name": name, "response": {"output": "".join(text)}}
        if self._call_ids and message.tool_call_id:
            result["id"] = message.tool_call_id
        if inside:
            result["parts"] = inside
        return [{"functionResponse": result}, *beside]


def _raw_parts(message: Message) -> list[dict[str, Any]]:
    """Other vendors' parts under the same field have a `type`; Gemini's have none."""
    kept = message.extra.get(RAW_PARTS)
    if not isinstance(kept, list):
        return []
    return [dict(part) for part in kept if isinstance(part, dict) and "type" not in part]


def _where(at: int, i: int) -> str:
    return f"messages[{at}].content[{i}]"


def _inner(media: Media) -> Mapping[str, Any]:
    inner = media.extra.get("inner", NOTHING)
    return inner if isinstance(inner, Mapping) else NOTHING


def _thinking(part: Thinking) -> tuple[list[dict[str, Any]], str | None]:
    """The thought part, if it is one, and the signature for the text that follows, if it is that."""
    seal = part.seal if part.provider == SEALED_BY else None
    if part.text or (seal and part.redacted):
        return [{"text": part.text, "thought": True, **({"thoughtSignature": seal} if seal else {})}], None
    return [], seal


def _sign(parts: list[dict[str, Any]]) -> None:
    """One signed call is enough for a step; the model itself signs only the first of parallel calls."""
    calls = [part for part in parts if "functionCall" in part]
    if calls and not any("thoughtSignature" in part for part in calls):
        calls[0]["thoughtSignature"] = UNSIGNED


def _args(call: ToolCall, where: str) -> dict[str, Any]:
    try:
        args = jsonbytes.loads(call.arguments) if call.arguments.strip() else {}
    except jsonbytes.InvalidJSON:
        args = None
    if not isinstance(args, dict):
        raise RequestInvalid(
            f"The arguments of the call to {call.name[:100]!r} are not a JSON object, and Gemini takes nothing else.",
            param=f"{where}.function.arguments",
        )
    return args


def _fits_in_result(part: Mapping[str, Any]) -> bool:
    """https://ai.google.dev/gemini-api/docs/function-calling, "Multimodal function responses": images and documents."""
    media_type = str((part.get("inlineData") or NOTHING).get("mimeType"))
    return media_type in ("image/png", "image/jpeg", "image/webp", "application/pdf", "text/plain")


def _media(media: Media, where: str) -> dict[str, Any]:
    content, media_type = media.content, media.media_type
    if content is None and media.url is not None and media.url.startswith("data:"):
        head, _, content = media.url.partition(",")
        if not head.endswith(";base64"):
            raise RequestInvalid("Only base64 data addresses can be sent to Gemini.", param=where)
        media_type = media_type or head[5:].partition(";")[0] or None
    if content is not None:
        media_type = media_type or _named_type(media)
        if media_type is None:
            raise _untyped("content", where)
        return {"inlineData": {"mimeType": media_type, "data": content}}
    address = media.url or media.file_id
    if address is None:
        raise RequestInvalid("A media part needs an address, its content or the id of an upload.", param=where)
    media_type = media_type or _type_of_address(address) or _named_type(media)
    if media_type is None:
        raise _untyped("address", where)
    return {"fileData": {"mimeType": media_type, "fileUri": _FILES + address if _is_upload(address) else address}}


def _is_upload(address: str) -> bool:
    return address.startswith("files/")


def _named_type(media: Media) -> str | None:
    """By the `format` of an audio part or the name of a file."""
    format = _inner(media).get("format")
    if isinstance(format, str):
        return MEDIA_TYPES.get(format.lower(), f"{media.kind}/{format.lower()}" if media.kind == "audio" else None)
    return _type_of_name(media.name or "")


def _type_of_address(address: str) -> str | None:
    split = urlsplit(address)
    if split.hostname in _YOUTUBE:
        return "video/mp4"  # what Google's own examples send for YouTube
    return _type_of_name(split.path)


def _type_of_name(name: str) -> str | None:
    return MEDIA_TYPES.get(name.rpartition("/")[2].rpartition(".")[2].lower())


def _untyped(what: str, where: str) -> RequestInvalid:
    return RequestInvalid(
        f"Gemini must be told the media type, and the {what} does not show it: "
        "name the file with its extension, or send the content as a data address.",
        param=where,
        code="unsupported_content",
    )
