"""`reasoning_details`, the message field that OpenRouter introduced for thinking that its provider wants back."""

from collections.abc import Mapping
from typing import Any

from weir.domain.completion import Choice, Thinking

FIELD = "reasoning_details"
_SEALS = ("signature", "data")
_TEXTS = ("text", "summary")


def details_of(choice: Choice) -> list[Any]:
    """The entries of an answer that bears seals: the provider's own where it has this field, else one a block."""
    if isinstance(own := choice.message_extra.get(FIELD), list):
        return _joined(own)
    blocks = [part for part in choice.parts if isinstance(part, Thinking)]
    if not any(block.seal or block.redacted for block in blocks):
        return []
    return [_detail(block, at) for at, block in enumerate(blocks)]


def to_thinking(details: list[Any]) -> list[Thinking]:
    """What `details_of` gave, back from a caller."""
    return [_thinking(detail) for detail in details if isinstance(detail, dict)]


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
