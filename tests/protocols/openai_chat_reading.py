"""A second reading of Chat Completions, independent of Weir's own: what a recorded answer says, told plainly."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.corpus import Exchange

FINISHES = {
    **{word: "stop" for word in ("stop", "eos", "eos_token", "stop_sequence", "end_turn")},
    **{word: "length" for word in ("length", "max_tokens", "model_length", "insufficient_system_resource")},
    **{word: word for word in ("tool_calls", "content_filter", "function_call")},
}
INLINE = re.compile(r"\s*<(think|thinking)>(.*?)(?:</\1>\s*|\Z)", re.DOTALL)
EVENTS = re.compile(rb"(?:\r\n|\n|\r){2,}")


@dataclass
class ReadCall:
    id: str | None
    name: str
    arguments: str

    def said(self) -> tuple[str, Any]:
        try:
            return self.name, json.loads(self.arguments)
        except ValueError:
            return self.name, self.arguments


@dataclass
class ReadChoice:
    text: str = ""
    thinking: str = ""
    refusal: str = ""
    finish: str | None = None
    calls: list[ReadCall] = field(default_factory=list)
    at: dict[Any, ReadCall] = field(default_factory=dict)
    thought_in: str | None = None

    def add(self, message: dict[str, Any]) -> None:
        self._content(message.get("content"))
        self.refusal += message.get("refusal") or ""
        for name in ("reasoning_content", "reasoning", "reasoning_text"):
            if message.get(name) and self.thought_in in (None, name):
                self.thought_in = name
                self.thinking += message[name]
        if self.thought_in is None:
            for detail in message.get("reasoning_details") or []:
                self.thinking += detail.get("text") or detail.get("summary") or ""
        for call in message.get("tool_calls") or []:
            self._call(call)
        if (message.get("function_call") or {}).get("name") or (message.get("function_call") or {}).get("arguments"):
            self._call({"index": 0, "function": message["function_call"]})

    def _content(self, content: Any) -> None:
        if isinstance(content, dict):
            self.text += json.dumps(content, separators=(",", ":"), ensure_ascii=False)
        elif isinstance(content, list):
            for part in content:
                if part["type"] == "text":
                    self.text += part["text"]
                elif part["type"] in ("thinking", "reasoning"):
                    inner = part.get("thinking") or part.get("summary") or part.get("text") or ""
                    self.thinking += inner if isinstance(inner, str) else "".join(p.get("text", "") for p in inner)
        else:
            self.text += content or ""

    def _call(self, call: dict[str, Any]) -> None:
        function, index, id = call.get("function") or {}, call.get("index"), call.get("id") or None
        known = self.at.get(index)
        if known is None or (index is None and function.get("name")) or (id and known.id and id != known.id):
            known = self.at[index] = ReadCall(id, "", "")
            self.calls.append(known)
        known.id = known.id or id
        known.name = known.name or function.get("name") or ""
        arguments = function.get("arguments")
        known.arguments += (
            arguments if isinstance(arguments, str) else "" if arguments is None else json.dumps(arguments)
        )

    def said(self) -> dict[str, Any]:
        if not self.thinking and (inline := INLINE.match(self.text)):
            self.text, self.thinking = self.text[inline.end() :], inline[2]
        return {
            "text": self.text,
            "thinking": self.thinking,
            "refusal": self.refusal,
            "finish": self.finish,
            "calls": [call.said() for call in self.calls],
        }


@dataclass(frozen=True)
class Reading:
    """`error`: the answer, whatever its HTTP status, is a failure."""

    error: bool
    choices: dict[int, dict[str, Any]]
    usage: dict[str, int | None] | None


def read(exchange: Exchange) -> Reading:
    if exchange.status >= 400:
        return Reading(True, {}, None)
    return read_replies(exchange.body, exchange.streamed)


def read_replies(body: bytes, streamed: bool) -> Reading:
    """The meaning of an answer in Chat Completions' form, a stream's or a whole one's."""
    choices: dict[int, ReadChoice] = {}
    usage: dict[str, Any] | None = None
    for reply in events(body) if streamed else [json.loads(body)]:
        if reply.get("error"):
            return Reading(True, {}, None)
        for at in reply.get("choices") or []:
            choice = choices.setdefault(at.get("index") or 0, ReadChoice())
            choice.add(at.get("delta" if streamed else "message") or {})  # Perplexity's whole answers hold both
            if at.get("finish_reason") and choice.finish is None:
                choice.finish = FINISHES.get(at["finish_reason"], "stop")
        counts = reply.get("usage") or (reply.get("x_groq") or {}).get("usage")
        usage = counts if counts and counts.get("completion_tokens") is not None else usage
    for choice in choices.values():
        choice.finish = choice.finish or "stop"
    return Reading(False, {index: choice.said() for index, choice in choices.items()}, usage and counted(usage))


def events(body: bytes) -> Iterator[dict[str, Any]]:
    for block in EVENTS.split(body):
        data = b"".join(line[5:].strip() for line in block.splitlines() if line.startswith(b"data:"))
        if data and data != b"[DONE]":
            yield json.loads(data)


def counted(usage: dict[str, Any]) -> dict[str, int | None]:
    prompt, completion = usage["prompt_tokens"], usage["completion_tokens"]
    before = usage.get("prompt_tokens_details") or usage.get("prompt_token_details") or {}  # the latter: Writer
    after = usage.get("completion_tokens_details") or usage.get("completion_token_details") or {}
    reasoning = after.get("reasoning_tokens")
    reasoning = usage.get("reasoning_tokens") if reasoning is None else reasoning
    beside = bool(reasoning) and usage.get("total_tokens") == prompt + completion + reasoning
    cached = (
        before.get("cached_tokens"),
        *(usage.get(name) for name in ("prompt_cache_hit_tokens", "cached_tokens", "num_cached_tokens")),
        usage.get("cache_read_input_tokens"),
    )
    return {
        "prompt": prompt,
        "completion": completion + reasoning if beside else completion,
        "reasoning": reasoning,
        "cached": next((count for count in cached if count is not None), None),
    }
