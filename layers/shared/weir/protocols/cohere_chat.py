"""Cohere's chat, version 2 (https://docs.cohere.com/reference/chat), and what its version 1 shares with it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from weir.domain.chat import ChatCall
from weir.domain.completion import NOTHING, Completion, FinishReason, Usage
from weir.domain.errors import MalformedReply, ProviderError
from weir.domain.events import (
    ChoiceFinished,
    Described,
    Ended,
    MessageFields,
    Started,
    StreamEvent,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
    collect,
)
from weir.protocols import cohere_request, jsonbytes
from weir.protocols.base import WireRequest, reading
from weir.protocols.cohere_request import PLAN, CohereDialect
from weir.protocols.openai_error import error_in_body, error_of
from weir.protocols.sse import SSEParser

__all__ = ["CohereChat", "CohereDialect"]

FINISH_REASONS: Mapping[str, FinishReason] = {
    "COMPLETE": "stop",
    "STOP_SEQUENCE": "stop",
    "MAX_TOKENS": "length",
    "TOOL_CALL": "tool_calls",
    "ERROR_LIMIT": "length",  # version 1: the context is full
    "ERROR_TOXIC": "content_filter",  # version 1
}
"""Any other word is kept raw and maps to None."""

_FAILURES: Mapping[str, int] = {"ERROR": 500, "TIMEOUT": 504}
"""Finish reasons of an answer that broke off -> the status it would have had."""

_TOP = frozenset({"id", "message", "finish_reason", "usage", "logprobs"})
_MESSAGE = frozenset({"role", "content", "tool_plan", "tool_calls", "citations"})


@dataclass(frozen=True, slots=True)
class CohereChat:
    """Cohere's chat, version 2."""

    dialect: CohereDialect
    path: str = "/v2/chat"

    @property
    def name(self) -> str:
        return "cohere_chat"

    @property
    def provider(self) -> str:
        return self.dialect.provider

    def render(self, call: ChatCall) -> WireRequest:
        body, dropped = cohere_request.render(call, self.dialect)
        return WireRequest(self.path, body, NOTHING, dropped)

    def parse(self, body: bytes) -> Completion:
        return collect(reading(CohereChatDecoder(self.provider).whole(body), self.provider, body))

    def decoder(self) -> "CohereChatDecoder":
        return CohereChatDecoder(self.provider)

    def error(self, status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
        return cohere_error(status, headers, body, self.provider)


class CohereChatDecoder:
    """Events of a v2 stream -> events. `whole` reads a whole answer by the same rules."""

    def __init__(self, provider: str) -> None:
        self._provider = provider
        self._sse = SSEParser()
        self._blocks: dict[int, int] = {}
        self._thoughts = 0
        self._plan: int | None = None
        self._slots: dict[int, int] = {}
        self._calls = 0
        self._logprobs: list[dict[str, Any]] = []
        self._ended = False

    def feed(self, data: bytes) -> Iterator[StreamEvent]:
        for event in self._sse.feed(data):
            if not self._ended and event.data != b"[DONE]":
                yield from reading(self._event(event.data), self._provider, event.data)

    def close(self) -> Iterator[StreamEvent]:
        if not self._ended:
            raise cut_off(self._provider, self._sse.pending)
        yield from ()

    def _event(self, data: bytes) -> Iterator[StreamEvent]:
        event = jsonbytes.loads(data)
        match event.get("type"):
            case "content-delta" | "content-start":
                if event.get("logprobs"):
                    self._logprobs.append(_logprob(event["logprobs"]))
                yield from self._content(event["index"], event["delta"]["message"]["content"])
            case "tool-plan-delta":
                yield from self._planned(event["delta"]["message"]["tool_plan"])
            case "tool-call-start":
                self._slots.pop(event["index"], None)
                yield from self._call(event["index"], event["delta"]["message"]["tool_calls"])
            case "tool-call-delta":
                yield from self._call(event["index"], event["delta"]["message"]["tool_calls"])
            case "citation-start":
                yield MessageFields(0, {"citations": [event["delta"]["message"]["citations"]]})
            case "message-start":
                yield Started(event.get("id"), None)
            case "message-end":
                yield from self._end(event["delta"], data)
            case None if isinstance(event.get("message"), str):
                raise failure(event, 500, data, self._provider)
            case _:  # the ends of blocks, debug, and whatever is added next: nothing that is not said elsewhere
                pass

    def whole(self, body: bytes) -> Iterator[StreamEvent]:
        reply = jsonbytes.loads(body)
        message = reply["message"]
        if isinstance(message, str):  # an error under status 200
            raise failure(reply, 500, body, self._provider)
        yield Started(reply.get("id"), None)
        self._logprobs = [_logprob(item) for item in reply.get("logprobs") or ()]
        if message.get("tool_plan"):
            yield from self._planned(message["tool_plan"])
        for index, content in enumerate(message.get("content") or ()):
            yield from self._content(index, content)
        for index, call in enumerate(message.get("tool_calls") or ()):
            yield from self._call(index, call)
        fields = {name: value for name, value in message.items() if name not in _MESSAGE and value is not None}
        if message.get("citations"):
            fields["citations"] = message["citations"]
        if fields:
            yield MessageFields(0, fields)
        if extra := {name: value for name, value in reply.items() if name not in _TOP and value is not None}:
            yield Described(extra=extra)
        yield from self._end(reply, body)

    def _content(self, index: int, content: Mapping[str, Any]) -> Iterator[StreamEvent]:
        """A block of the answer, or a piece of one."""
        if text := content.get("text"):
            logprobs, self._logprobs = self._logprobs, []
            yield TextDelta(0, text, {"content": logprobs} if logprobs else None)
        elif thinking := content.get("thinking"):
            if index not in self._blocks:
                self._blocks[index], self._thoughts = self._thoughts, self._thoughts + 1
            yield ThinkingDelta(0, thinking, self._blocks[index], provider=self._provider)
        elif content.get("type") not in (None, "text", "thinking"):
            yield MessageFields(0, {"content_parts": [dict(content)]})

    def _planned(self, plan: str) -> Iterator[StreamEvent]:
        """A thought and not text: the plan is what the model tells itself before it calls tools, in the message's
        own field beside the content, which is what it tells the user (https://docs.cohere.com/docs/tool-use-overview).
        """
        if self._plan is None:
            self._plan, self._thoughts = self._thoughts, self._thoughts + 1
        yield ThinkingDelta(0, plan, self._plan, id=PLAN, provider=self._provider)

    def _call(self, index: int, call: Mapping[str, Any]) -> Iterator[StreamEvent]:
        function = call["function"]
        arguments = function.get("arguments") or ""
        slot = self._slots.get(index)
        if slot is not None:
            yield ToolCallDelta(0, slot, arguments=arguments)
            return
        slot = self._slots[index] = self._calls
        self._calls += 1
        yield ToolCallDelta(0, slot, call.get("id") or f"call_{slot}", function["name"], arguments)

    def _end(self, end: Mapping[str, Any], data: bytes) -> Iterator[StreamEvent]:
        reason = end["finish_reason"]
        if reason in _FAILURES:
            raise failure({"message": end.get("error"), **end}, _FAILURES[reason], data, self._provider)
        if self._logprobs:  # of thoughts after which no text came
            yield TextDelta(0, "", {"content": self._logprobs})
        self._ended = True
        yield ChoiceFinished(0, FINISH_REASONS.get(reason), reason)
        yield Ended(usage_of(end.get("usage") or NOTHING))


def usage_of(usage: Mapping[str, Any]) -> Usage | None:
    """`tokens` before `billed_units`: they count what the model read and wrote, as every other provider does, and
    `cached_tokens` and `reasoning_tokens` are parts of them. Billed units leave out Cohere's own prompt; they are kept
    in `extra` for whoever reckons the cost.
    """
    tokens, billed = usage.get("tokens") or NOTHING, usage.get("billed_units") or NOTHING
    counted = tokens or billed
    prompt, completion = _count(counted.get("input_tokens")), _count(counted.get("output_tokens"))
    if prompt is None and completion is None:
        return None
    extra: dict[str, Any] = {"billed_units": dict(billed)} if billed else {}
    named = {"input_tokens", "output_tokens", "reasoning_tokens"}
    extra |= {name: value for name, value in tokens.items() if name not in named and value is not None}
    return Usage(
        prompt or 0,  # left out where nothing was read, as protocol buffers leave out a zero
        completion or 0,
        cached=_count(usage.get("cached_tokens")),
        reasoning=_count(tokens.get("reasoning_tokens")),
        extra=extra or NOTHING,
    )


def _count(value: Any) -> int | None:
    """Cohere's counts are floating-point numbers in its SDK, and sometimes in its answers."""
    return None if value is None else int(value)


def _logprob(item: Mapping[str, Any]) -> dict[str, Any]:
    """One piece of text, which may be several tokens: their logarithms add up to its own."""
    text = item.get("text") or ""
    return {
        "token": text,
        "bytes": list(text.encode()),
        "logprob": sum(item.get("logprobs") or ()),
        "top_logprobs": [],
        "token_ids": item.get("token_ids"),
    }


def cohere_error(status: int, headers: Mapping[str, str], body: bytes, provider: str) -> ProviderError:
    """An HTTP error: {"message"}, and for some {"error_type"}."""
    error = error_of(status, headers, body, provider)
    if error.type is None and body.lstrip()[:1] == b"{":
        try:
            named = jsonbytes.loads(body).get("error_type")
        except jsonbytes.InvalidJSON:
            return error
        error.type = str(named) if named else None
    return error


def failure(reply: Mapping[str, Any], status: int, data: bytes, provider: str) -> ProviderError:
    """An error inside an answer under status 200."""
    message = reply.get("message") or f"{provider} broke off its answer with an error."
    named = {"message": message, "type": reply.get("error_type"), "status": reply.get("status_code") or status}
    return error_in_body({"error": named}, data, provider) or cut_off(provider, data)


def cut_off(provider: str, raw: bytes) -> MalformedReply:
    return MalformedReply(f"{provider} broke off before its answer was complete.", provider=provider, raw=raw)
