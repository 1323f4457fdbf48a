"""Histories as a vendor wants them that takes Chat Completions, but not every form in which a call may be written."""

import re
from dataclasses import replace
from hashlib import sha256

from weir.domain.chat import Message
from weir.domain.completion import NOTHING, ToolCall

_ALPHANUMERIC = re.compile(r"[A-Za-z0-9]+")


def with_tool_calls(messages: tuple[Message, ...]) -> tuple[Message, ...]:
    """The deprecated `function_call` and role "function" as tool calls and their results.

    They had no ids: each call gets one from its place, and a result belongs to the last call of its name before it.
    """
    ids: dict[str, str] = {}
    found: list[Message] = []
    for at, message in enumerate(messages):
        if message.role == "function":
            id = ids.get(message.name or "", f"call_{at}")
            message = replace(message, role="tool", name=None, tool_call_id=id)
        elif "function_call" in message.extra:
            extra = {name: value for name, value in message.extra.items() if name != "function_call"} or NOTHING
            parts = tuple(replace(p, id=f"call_{at}") if isinstance(p, ToolCall) else p for p in message.parts)
            ids.update((p.name, p.id) for p in parts if isinstance(p, ToolCall))
            message = replace(message, parts=parts, extra=extra)
        found.append(message)
    return tuple(found)


def with_short_ids(messages: tuple[Message, ...], length: int) -> tuple[Message, ...]:
    """Call ids of another spelling respelled, in the call and in its result alike."""
    return tuple(
        replace(
            message,
            parts=tuple(
                replace(part, id=_short(part.id, length)) if isinstance(part, ToolCall) else part
                for part in message.parts
            ),
            tool_call_id=_short(message.tool_call_id, length) if message.tool_call_id is not None else None,
        )
        for message in messages
    )


def _short(id: str, length: int) -> str:
    if len(id) == length and _ALPHANUMERIC.fullmatch(id):
        return id
    return sha256(id.encode()).hexdigest()[:length]
