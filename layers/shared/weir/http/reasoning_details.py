"""`reasoning_details`, the message field that OpenRouter introduced for thinking that its provider wants back."""

from collections.abc import Mapping, Sequence
from typing import Any

from weir.domain.chat import Part
from weir.domain.completion import Choice, Text, Thinking, ToolCall

FIELD = "reasoning_details"
_SEALS = ("signature", "data")
_TEXTS = ("text", "summary")
_TEXT_BEFORE = "text_before"
_CALLS_BEFORE = "calls_before"


def details_of(choice: Choice) -> list[Any]:
    """The entries of an answer that bears seals: the provider's own where it has this field, else one a block."""
    if isinstance(own := choice.message_extra.get(FIELD), list):
        return _joined(own)
    blocks = [part for part in choice.parts if isinstance(part, Thinking)]
    if not any(block.seal or block.redacted for block in blocks):
        return []
    details: list[Any] = []
    text = calls = 0
    for part in choice.parts:
        match part:
            case Text(words):
                text += len(words)
            case ToolCall():
                calls += 1
            case Thinking():
                # said only of thinking amid an answer: OpenAI's form keeps the order of nothing else
                place = {name: count for name, count in ((_TEXT_BEFORE, text), (_CALLS_BEFORE, calls)) if count}
                details.append(_detail(part, len(details)) | place)
    return details


def with_thinking(details: list[Any], answer: Sequence[Part]) -> list[Part]:
    """What `details_of` gave, back from a caller, among the parts of its answer: where the model had it."""
    text = sum(len(part.text) for part in answer if isinstance(part, Text))
    calls = sum(isinstance(part, ToolCall) for part in answer)
    waiting = [
        (min(_count(detail, _TEXT_BEFORE), text), min(_count(detail, _CALLS_BEFORE), calls), _thinking(detail))
        for detail in reversed(details)
        if isinstance(detail, dict)
    ]
    parts: list[Part] = []
    text = calls = 0
    for part in answer:
        rest = part.text if isinstance(part, Text) else ""
        while waiting and waiting[-1][1] <= calls and waiting[-1][0] < text + max(len(rest), 1):
            place, _, thinking = waiting.pop()
            said, rest = rest[: max(place - text, 0)], rest[max(place - text, 0) :]
            text += len(said)
            parts += [Text(said), thinking] if said else [thinking]
        if not isinstance(part, Text):
            parts.append(part)
        elif rest or not part.text:
            parts.append(part if rest == part.text else Text(rest, part.extra))
        text += len(rest)
        calls += isinstance(part, ToolCall)
    return parts + [thinking for _, _, thinking in reversed(waiting)]


def _count(detail: Mapping[str, Any], name: str) -> int:
    count = detail.get(name)
    return count if isinstance(count, int) else 0


def _detail(block: Thinking, at: int) -> dict[str, Any]:
    detail: dict[str, Any] = {"index": at, "format": block.provider, "id": block.id}
    if block.redacted:
        detail |= {"type": "reasoning.encrypted", "data": block.seal, "summary": block.text or None}
    else:
        detail |= {"type": "reasoning.text", "text": block.text, "signature": block.seal}
    return {name: value for name, value in detail.items() if value is not None}


def _thinking(detail: Mapping[str, Any]) -> Thinking:
    hidden = detail.get("type") == "reasoning.encrypted"
    fields = {name: value for name, value in detail.items() if isinstance(value, str)}
    text = fields.get("text") or fields.get("summary") or ""
    seal = fields.get("data") if hidden else fields.get("signature") or fields.get("data")
    return Thinking(text, seal, hidden, fields.get("id"), fields.get("format"))


def _joined(details: list[Any]) -> list[Any]:
    """OpenRouter streams a block in pieces of one type and index; its seal comes with the last of them."""
    whole: list[Any] = []
    growing: dict[tuple[Any, Any], dict[str, Any]] = {}
    for detail in details:
        if not isinstance(detail, dict) or not isinstance(detail.get("index"), int):
            whole.append(detail)
            continue
        key = detail.get("type"), detail["index"]
        known = growing.get(key)
        if known is None:
            known = growing[key] = dict(detail)
            whole.append(known)
        else:
            known |= {name: value for name, value in detail.items() if name not in _TEXTS and value is not None}
            known |= {name: (known.get(name) or "") + detail[name] for name in _TEXTS if detail.get(name)}
        if any(known.get(name) for name in _SEALS):
            del growing[key]
    return whole
