"""What the provider behind Weir, and behind clients that call it themselves, answers to each model."""

import base64
import json
import struct
import threading
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tests.upstream import (
    SSE_TYPE,
    Received,
    Reply,
    Script,
    chunk,
    completion_reply,
    error_reply,
    event,
    events,
    stream_reply,
)

VECTOR = (0.5, -0.25, 1.0)
_LONGEST_HOLD_S = 20
_LATE_S = 4
"""Long after its client has given up, which waits for a third of a second."""


def _either(received: Received) -> Reply:
    return (
        _said(received, "whole answer") if not received.json.get("stream") else _said(received, "streamed ", "answer")
    )


def _said(received: Received, *pieces: str) -> Reply:
    if not received.json.get("stream"):
        return completion_reply("".join(pieces))
    return stream_reply(*pieces, usage=bool((received.json.get("stream_options") or {}).get("include_usage")))


def _only_to_clients(received: Received) -> Reply:
    if not received.headers.get("user-agent", "").startswith("OpenAI/"):
        return error_reply(500, "Only the client's own call is answered.")
    return _either(received)


def _what_it_was_asked(received: Received) -> Reply:
    return completion_reply(json.dumps(received.json, sort_keys=True))


def _an_object(received: Received) -> Reply:
    return _said(received, '{"city": "Bern", ', '"degrees": 7}')


def _two_choices(received: Received) -> Reply:
    choices = [
        {"index": at, "message": {"role": "assistant", "content": text, "refusal": None}, "finish_reason": "stop"}
        for at, text in enumerate(("first", "second"))
    ]
    return completion_reply(choices=choices)


def _two_calls(received: Received) -> Reply:
    """Two calls of the tool that was offered; an answer once their results are there."""
    if received.json["messages"][-1]["role"] == "tool":
        return _said(received, "7 degrees ", "in Bern")
    name = received.json["tools"][0]["function"]["name"]
    calls: list[dict[str, Any]] = [
        {"id": f"call_{at}", "type": "function", "function": {"name": name, "arguments": json.dumps({"city": city})}}
        for at, city in enumerate(("Bern", "Genève"))
    ]
    if not received.json.get("stream"):
        message = {"role": "assistant", "content": None, "refusal": None, "tool_calls": calls}
        return completion_reply(choices=[{"index": 0, "message": message, "finish_reason": "tool_calls"}])
    bodies = [chunk({"role": "assistant", "content": None})]
    for at, call in enumerate(calls):
        arguments = call["function"]["arguments"]
        begun = {**call, "index": at, "function": {"name": name, "arguments": ""}}
        bodies.append(chunk({"tool_calls": [begun]}))
        for piece in (arguments[:5], arguments[5:]):
            bodies.append(chunk({"tool_calls": [{"index": at, "function": {"arguments": piece}}]}))
    bodies.append(chunk({}, "tool_calls"))
    return Reply([*map(event, bodies), b"data: [DONE]\n\n"], headers=SSE_TYPE)


def _never_ends(received: Received) -> Reply:
    """Begins to answer, and goes on when nobody listens any more."""
    return Reply(events("begun", " and ended"), headers=SSE_TYPE, hold=_hold(_LONGEST_HOLD_S), hold_at=2)


def _late(received: Received) -> Reply:
    return replace(completion_reply("late answer"), hold=_hold(_LATE_S), hold_at=0)


def _hold(seconds: float) -> threading.Event:
    hold = threading.Event()
    timer = threading.Timer(seconds, hold.set)
    timer.daemon = True
    timer.start()
    return hold


def _fails_in_its_stream(received: Received) -> Reply:
    failure = event({"error": {"message": "It broke.", "type": "server_error", "code": "broken"}})
    return Reply([*events("begun")[:2], failure], headers=SSE_TYPE)


class _FailsOnce:
    """One failure, then an answer."""

    def __init__(self) -> None:
        self._failed = False

    def __call__(self, received: Received) -> Reply:
        if self._failed:
            return _either(received)
        self._failed = True
        return error_reply(500, "Once more, please.")


def _vectors(received: Received) -> Reply:
    body = received.json
    texts = body["input"] if isinstance(body["input"], list) else [body["input"]]
    floats = list(VECTOR)[: body.get("dimensions") or len(VECTOR)]
    packed = base64.b64encode(struct.pack(f"<{len(floats)}f", *floats)).decode()
    vector: object = packed if body.get("encoding_format") == "base64" else floats
    found: Mapping[str, Any] = {
        "object": "list",
        "data": [{"object": "embedding", "index": at, "embedding": vector} for at in range(len(texts))],
        "model": body["model"],
        "usage": {"prompt_tokens": 4, "total_tokens": 4},
    }
    return Reply([json.dumps(found).encode()])


_MODELS = {
    "object": "list",
    "data": [
        {"id": name, "object": "model", "created": 1, "owned_by": "script"} for name in ("gpt-either", "gpt-tools")
    ],
}


def scripted() -> Mapping[str, Script]:
    """One client's provider, in its first state."""
    statuses = {f"gpt-status-{number}": _refusal(number) for number in (400, 401, 403, 404, 409, 422, 429, 500, 503)}
    return {
        "gpt-either": _either,
        "gpt-configured": _either,
        "gpt-nameless": completion_reply("whole answer", id=None),
        "gpt-only-to-clients": _only_to_clients,
        "gpt-refused": error_reply(400, "No.\nReally not."),
        "gpt-asked": _what_it_was_asked,
        "gpt-object": _an_object,
        "gpt-choices": _two_choices,
        "gpt-tools": _two_calls,
        "gpt-endless": _never_ends,
        "gpt-late": _late,
        "gpt-broken": _fails_in_its_stream,
        "gpt-cut": Reply(events("begun")[:2], headers=SSE_TYPE, drop=True),
        "gpt-fails-once": _FailsOnce(),
        "text-embedding-3-small": _vectors,
        "/models": Reply([json.dumps(_MODELS).encode()]),
        **statuses,
    }


def _refusal(status: int) -> Reply:
    return error_reply(status, f"Refused with {status}.", headers={"retry-after": "7"} if status == 429 else None)
