"""Messages in OpenAI's form -> typed messages. Every refusal names the place."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from weir.domain.chat import Media, Message, Part, Role, Unknown
from weir.domain.completion import NOTHING, Refusal, Text, Thinking, ToolCall
from weir.domain.errors import RequestInvalid
from weir.http.reasoning_details import FIELD, to_thinking

_ROLES: tuple[Role, ...] = get_args(Role)
_NAMED = frozenset(
    {"role", "content", "name", "tool_call_id", "tool_calls", "refusal", "reasoning_content", "reasoning"}
)
_DATA_URL = re.compile(r"data:([\w.+/-]+)?(?:;[\w=.+-]+)*?(;base64)?,", re.ASCII)


def to_messages(messages: Sequence[Mapping[str, Any]], where: str = "") -> tuple[Message, ...]:
    """Raises RequestInvalid with the place, e.g. `messages[2].content[0].type`."""
    return tuple(_message(message, f"{where}messages[{at}]") for at, message in enumerate(messages))


def _message(message: Mapping[str, Any], where: str) -> Message:
    role: Any = message.get("role")
    if role not in _ROLES:
        raise RequestInvalid(
            f"'{where}.role' must be one of system, developer, user, assistant, tool.", param=f"{where}.role"
        )
    content = message.get("content")
    parts: list[Part] = []
    if role == "assistant":
        parts += _thinking(message)
    if isinstance(content, str):
        if content or role != "assistant" or not message.get("tool_calls"):
            parts.append(Text(content))
    elif isinstance(content, list):
        parts += [_part(part, f"{where}.content[{at}]") for at, part in enumerate(content)]
    elif content is not None:
        raise RequestInvalid(f"'{where}.content' must be a text or a list of parts.", param=f"{where}.content")
    elif role != "assistant":
        raise RequestInvalid(
            f"'{where}.content' is required.", param=f"{where}.content", code="missing_required_parameter"
        )
    if isinstance(refusal := message.get("refusal"), str):
        parts.append(Refusal(refusal))
    if calls := message.get("tool_calls"):
        parts += _calls(calls, f"{where}.tool_calls")
    elif isinstance(function := message.get("function_call"), dict):
        parts.append(ToolCall("", str(function.get("name", "")), str(function.get("arguments", ""))))
    return Message(
        role,
        tuple(parts),
        _text(message, "name", where),
        _text(message, "tool_call_id", where),
        isinstance(content, list),
        {k: v for k, v in message.items() if k not in _NAMED and v is not None} or NOTHING,
    )


def _text(message: Mapping[str, Any], name: str, where: str) -> str | None:
    value = message.get(name)
    if value is not None and not isinstance(value, str):
        raise RequestInvalid(f"'{where}.{name}' must be a text.", param=f"{where}.{name}")
    return value


def _thinking(message: Mapping[str, Any]) -> list[Thinking]:
    """Earlier thinking that the caller gives back: `reasoning_details` hold the seals, the plain fields only text."""
    details = message.get(FIELD)
    if isinstance(details, list) and details:
        return to_thinking(details)
    text = message.get("reasoning_content") or message.get("reasoning")
    return [Thinking(text)] if isinstance(text, str) and text else []


def _calls(calls: Any, where: str) -> list[Part]:
    if not isinstance(calls, list):
        raise RequestInvalid(f"'{where}' must be a list.", param=where)
    found: list[Part] = []
    for at, call in enumerate(calls):
        if isinstance(call, dict) and call.get("type") == "custom":
            found.append(Unknown("custom_tool_call", call))
            continue
        function = call.get("function") if isinstance(call, dict) else None
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            raise RequestInvalid(f"'{where}[{at}].function.name' is required.", param=f"{where}[{at}].function.name")
        arguments = function.get("arguments")
        if arguments is not None and not isinstance(arguments, str):
            raise RequestInvalid(
                f"'{where}[{at}].function.arguments' must be a JSON text.", param=f"{where}[{at}].function.arguments"
            )
        extra = {k: v for k, v in call.items() if k not in ("id", "type", "function", "index") and v is not None}
        found.append(
            ToolCall(str(call.get("id") or ""), function["name"], arguments or "", _call_seal(extra), extra or NOTHING)
        )
    return found


def _call_seal(extra: Mapping[str, Any]) -> str | None:
    """A thought signature that came with the call, in Google's OpenAI form or Maitai's."""
    match extra:
        case {"extra_content": {"google": {"thought_signature": str() as seal}}} | {"thought_signature": str() as seal}:
            return seal
    return None


def _part(part: Any, where: str) -> Part:
    if isinstance(part, str):
        return Text(part)
    if not isinstance(part, dict) or not isinstance(part.get("type"), str):
        raise RequestInvalid(f"'{where}.type' is required.", param=f"{where}.type", code="missing_required_parameter")
    kind: str = part["type"]
    outer = {k: v for k, v in part.items() if k not in ("type", kind) and v is not None}
    match kind:
        case "text":
            text = part.get("text")
            if not isinstance(text, str):
                raise RequestInvalid(f"'{where}.text' must be a text.", param=f"{where}.text")
            return Text(text, outer or NOTHING)
        case "refusal" if isinstance(part.get("refusal"), str):
            return Refusal(part["refusal"])
        case "image_url" | "video_url":
            return _linked(part, kind, outer, where)
        case "input_audio":
            sound = _inside(part, kind, where)
            format = sound.get("format")
            media_type = f"audio/{format}" if isinstance(format, str) else None
            return Media(
                "audio",
                content=_required(sound, "data", f"{where}.{kind}"),
                media_type=media_type,
                extra=_extra(sound, ("data",), outer),
            )
        case "file":
            return _file(_inside(part, kind, where), outer, where)
        case "thinking" if isinstance(part.get("thinking"), str):  # Anthropic's own part, given back as it came
            return Thinking(part["thinking"], part.get("signature"), provider="anthropic")
        case _:
            return Unknown(kind, part)


def _inside(part: Mapping[str, Any], kind: str, where: str) -> Mapping[str, Any]:
    inner = part.get(kind)
    if not isinstance(inner, dict):
        raise RequestInvalid(
            f"'{where}.{kind}' is required.", param=f"{where}.{kind}", code="missing_required_parameter"
        )
    return inner


def _required(inner: Mapping[str, Any], name: str, where: str) -> str:
    value = inner.get(name)
    if not isinstance(value, str):
        raise RequestInvalid(
            f"'{where}.{name}' is required.", param=f"{where}.{name}", code="missing_required_parameter"
        )
    return value


def _linked(part: Mapping[str, Any], kind: str, outer: Mapping[str, Any], where: str) -> Media:
    inner = part.get(kind)
    if isinstance(inner, str):  # Mistral writes the address itself
        inner = {"url": inner}
    if not isinstance(inner, dict):
        raise RequestInvalid(
            f"'{where}.{kind}' is required.", param=f"{where}.{kind}", code="missing_required_parameter"
        )
    url, content, media_type = _address(_required(inner, "url", f"{where}.{kind}"))
    return Media(
        "image" if kind == "image_url" else "video", url, content, media_type, extra=_extra(inner, ("url",), outer)
    )


def _file(inner: Mapping[str, Any], outer: Mapping[str, Any], where: str) -> Media:
    extra = _extra(inner, ("file_id", "file_data", "filename"), outer)
    name = _text(inner, "filename", f"{where}.file")
    if isinstance(id := inner.get("file_id"), str):
        return Media("file", file_id=id, name=name, extra=extra)
    url, content, media_type = _address(_required(inner, "file_data", f"{where}.file"))
    if content is None and url is not None and "://" not in url:  # plain base64
        url, content = None, url
    return Media("file", url, content, media_type, name=name, extra=extra)


def _address(url: str) -> tuple[str | None, str | None, str | None]:
    """(url, None, None), or (None, base64 content, media type) of a data URL."""
    found = _DATA_URL.match(url)
    if found is None or found[2] is None:
        return url, None, None
    return None, url[found.end() :], found[1]


def _extra(inner: Mapping[str, Any], named: tuple[str, ...], outer: Mapping[str, Any]) -> Mapping[str, Any]:
    beside = {k: v for k, v in inner.items() if k not in named and v is not None}
    return {**outer, "inner": beside} if beside else outer or NOTHING
