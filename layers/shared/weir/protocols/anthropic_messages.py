"""Anthropic's Messages API, as Anthropic itself, Google Vertex and AWS Bedrock (InvokeModel) speak it.

https://platform.claude.com/docs/en/api/messages and /build-with-claude/streaming. Departures of the platforms are
data, in `AnthropicDialect`; those of single models in `anthropic_models`.
"""

from base64 import b64decode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from weir.domain.chat import ChatCall
from weir.domain.completion import NOTHING, Completion, FinishReason
from weir.domain.errors import MalformedReply, ProviderError
from weir.domain.events import (
    ChoiceFields,
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
from weir.protocols import anthropic_request, jsonbytes
from weir.protocols.anthropic_content import CONTENT_BLOCKS, SEALED_BY
from weir.protocols.anthropic_error import error_inside, error_of
from weir.protocols.anthropic_request import ANTHROPIC, BEDROCK, AnthropicDialect, vertex
from weir.protocols.anthropic_usage import usage_of
from weir.protocols.base import StreamDecoder, WireRequest, reading
from weir.protocols.eventstream import EventStreamMessage, EventStreamParser, InvalidEventStream
from weir.protocols.sse import SSEParser

__all__ = ["ANTHROPIC", "BEDROCK", "AnthropicDecoder", "AnthropicDialect", "AnthropicMessages", "vertex"]

FINISH_REASONS: Mapping[str, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",  # a long server-tool turn, to be continued by sending it back
    "compaction": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
"""Total for what is known; any other word is kept raw and maps to None."""

_MESSAGE = frozenset(
    {"type", "id", "role", "model", "content", "usage", "stop_reason", "stop_sequence", "stop_details"}
)
_EVENT = frozenset({"type", "message", "delta", "usage"})
_TOOL_USE = frozenset({"type", "id", "name", "input", "caller"})
_WEB = "web_search_result_location"


@dataclass(frozen=True, slots=True)
class AnthropicMessages:
    """The Messages API in one platform's dialect."""

    dialect: AnthropicDialect = ANTHROPIC

    @property
    def name(self) -> str:
        return "anthropic_messages"

    @property
    def provider(self) -> str:
        return self.dialect.provider

    def render(self, call: ChatCall) -> WireRequest:
        return anthropic_request.render(call, self.dialect)

    def parse(self, body: bytes) -> Completion:
        return collect(reading(self._whole(body), self.provider, body))

    def decoder(self) -> StreamDecoder:
        if self.dialect.framing == "eventstream":
            return InvokeDecoder(self.provider)
        return AnthropicDecoder(self.provider)

    def error(self, status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
        return error_of(status, headers, body, self.provider)

    def _whole(self, body: bytes) -> Iterator[StreamEvent]:
        reply = jsonbytes.loads(body)
        if reply.get("type") == "error" or reply.get("error"):
            raise error_inside(reply, body, self.provider)
        answer = Answer(self.provider)
        yield from answer.begin(reply)
        for index, block in enumerate(reply["content"]):
            yield from answer.open(index, block)
            yield from answer.shut(index)
        yield from answer.end()


class AnthropicDecoder:
    """Server-sent events of a Messages stream, cut anywhere -> domain events."""

    def __init__(self, provider: str) -> None:
        self._provider = provider
        self._sse = SSEParser()
        self._answer = Answer(provider)

    def feed(self, data: bytes) -> Iterator[StreamEvent]:
        for event in self._sse.feed(data):
            yield from reading(self._answer.event(event.data), self._provider, event.data)

    def close(self) -> Iterator[StreamEvent]:
        if not self._answer.ended:
            raise broken_off(self._provider, self._sse.pending)
        yield from ()


class InvokeDecoder:
    """AWS event stream of InvokeModelWithResponseStream, whose chunks wrap the same events in base64."""

    def __init__(self, provider: str) -> None:
        self._provider = provider
        self._frames = EventStreamParser()
        self._answer = Answer(provider)

    def feed(self, data: bytes) -> Iterator[StreamEvent]:
        try:
            messages = self._frames.feed(data)
        except InvalidEventStream as exc:
            raise MalformedReply(f"{self._provider}: {exc}", provider=self._provider, raw=data) from exc
        for message in messages:
            yield from reading(self._message(message), self._provider, message.payload)

    def close(self) -> Iterator[StreamEvent]:
        if not self._answer.ended:
            raise broken_off(self._provider, self._frames.pending)
        yield from ()

    def _message(self, message: EventStreamMessage) -> Iterator[StreamEvent]:
        match message.headers.get(":message-type"):
            case "exception":
                reply = jsonbytes.loads(message.payload or b"{}")
                raise error_inside(reply, message.payload, self._provider, message.headers.get(":exception-type"))
            case "error":
                said = {"code": message.headers.get(":error-code"), "message": message.headers.get(":error-message")}
                raise error_inside({"error": said}, message.payload, self._provider)
            case _ if message.headers.get(":event-type") == "chunk":
                yield from self._answer.event(b64decode(jsonbytes.loads(message.payload)["bytes"]))
            case _:  # event types added later
                return


def broken_off(provider: str, rest: bytes) -> MalformedReply:
    return MalformedReply(f"{provider} broke off before its answer was complete.", provider=provider, raw=rest)


class _Block:
    """One content block while it is open."""

    __slots__ = ("citations", "number", "parts", "raw", "start", "type")

    def __init__(self, raw: Mapping[str, Any], number: int, start: int) -> None:
        self.raw = raw
        self.type: str = raw["type"]
        self.number = number
        self.start = start
        self.parts: list[str] = []
        self.citations: list[Mapping[str, Any]] = list(raw.get("citations") or ())


class Answer:
    """A Messages answer, event by event; a whole body is read as the events it would have been."""

    def __init__(self, provider: str) -> None:
        self._provider = provider
        self._open: dict[int, _Block] = {}
        self._calls = 0
        self._thoughts = 0
        self._written = 0
        self._usage: dict[str, Any] = {}
        self._stop: str | None = None
        self._started = False
        self.ended = False

    def event(self, data: bytes) -> Iterator[StreamEvent]:
        if self.ended:  # nothing that comes after the end changes the answer
            return
        reply = jsonbytes.loads(data)
        match reply.get("type"):
            case "content_block_delta":
                yield from self._delta(self._open[reply["index"]], reply["delta"])
            case "content_block_start":
                yield from self.open(reply["index"], reply["content_block"])
            case "content_block_stop":
                yield from self.shut(reply["index"])
            case "message_start":
                yield from self.begin(reply["message"])
            case "message_delta":
                yield from self._change(reply["delta"], reply.get("usage"))
                yield from _described(reply, _EVENT)
            case "message_stop":
                yield from _described(reply, _EVENT)
                yield from self.end()
            case "error":
                raise error_inside(reply, data, self._provider)
            case _ if reply.get("error"):  # Google's gateway in front of Claude
                raise error_inside(reply, data, self._provider)
            case _:  # ping, and event types added later: the API asks clients to pass over them
                return

    def begin(self, message: Mapping[str, Any]) -> Iterator[StreamEvent]:
        """`message_start`, or a whole answer without its content, which is read block by block."""
        self._started = True
        yield Started(message.get("id"), message.get("model"))
        yield from self._change(message, message.get("usage"))

    def _change(self, delta: Mapping[str, Any], usage: Mapping[str, Any] | None) -> Iterator[StreamEvent]:
        # cumulative: later counts replace earlier ones, where they are said again
        self._usage.update({name: value for name, value in (usage or NOTHING).items() if value is not None})
        self._stop = delta.get("stop_reason") or self._stop
        told = {name: delta[name] for name in ("stop_sequence", "stop_details") if delta.get(name) is not None}
        if told:
            yield ChoiceFields(0, told)
        if delta.keys() - _MESSAGE:
            yield from _described(delta, _MESSAGE)

    def end(self) -> Iterator[StreamEvent]:
        if not self._started:
            raise ValueError("an end without a beginning")
        for index in list(self._open):
            yield from self.shut(index)
        self.ended = True
        yield ChoiceFinished(0, FINISH_REASONS.get(self._stop or ""), self._stop)
        yield Ended(usage_of(self._usage))

    def open(self, index: int, raw: Mapping[str, Any]) -> Iterator[StreamEvent]:
        block = self._open[index] = _Block(raw, 0, self._written)
        match block.type:
            case "text":
                if text := raw["text"]:
                    yield self._text(text)
            case "tool_use":
                block.number = self._calls
                self._calls += 1
                extra = {name: value for name, value in raw.items() if name not in _TOOL_USE and value is not None}
                caller = raw.get("caller")
                if caller is not None and caller.get("type") != "direct":  # "direct" is what a call always was
                    extra["caller"] = caller
                yield ToolCallDelta(0, block.number, raw["id"], raw["name"], extra=extra or NOTHING)
            case "thinking" | "redacted_thinking":
                block.number = self._thoughts
                self._thoughts += 1
                hidden = block.type == "redacted_thinking"
                text, seal = raw.get("thinking") or "", raw["data"] if hidden else raw.get("signature") or None
                if text or seal:
                    yield ThinkingDelta(0, text, block.number, seal, hidden, provider=SEALED_BY)
            case _:  # server tools and what is added later: kept whole, given when the block ends
                pass

    def _delta(self, block: _Block, delta: Mapping[str, Any]) -> Iterator[StreamEvent]:
        match delta["type"]:
            case "text_delta":
                if text := delta["text"]:
                    yield self._text(text)
            case "thinking_delta":
                if text := delta["thinking"]:
                    yield ThinkingDelta(0, text, block.number, provider=SEALED_BY)
            case "signature_delta":
                if seal := delta["signature"]:
                    yield ThinkingDelta(0, "", block.number, seal, provider=SEALED_BY)
            case "input_json_delta":
                if text := delta["partial_json"]:
                    block.parts.append(text)
                    if block.type == "tool_use":
                        yield ToolCallDelta(0, block.number, arguments=text)
            case "citations_delta":
                block.citations.append(delta["citation"])
            case _:  # a kind of delta added later: kept with the block it belongs to
                block.raw = {**block.raw, "deltas": [*block.raw.get("deltas", ()), delta]}

    def shut(self, index: int) -> Iterator[StreamEvent]:
        block = self._open.pop(index)
        match block.type:
            case "text":
                if block.citations:
                    yield MessageFields(0, _cited(block.citations, block.start, self._written))
            case "tool_use":
                if not block.parts:
                    yield ToolCallDelta(0, block.number, arguments=jsonbytes.dumps(block.raw["input"] or {}).decode())
            case "thinking" | "redacted_thinking":
                pass
            case _:
                yield MessageFields(0, {CONTENT_BLOCKS: [_whole_block(block)]})

    def _text(self, text: Any) -> TextDelta:
        self._written += len(text)
        return TextDelta(0, text)


def _whole_block(block: _Block) -> dict[str, Any]:
    written = "".join(block.parts)
    if not written:
        return dict(block.raw)
    try:
        return {**block.raw, "input": jsonbytes.loads(written)}
    except jsonbytes.InvalidJSON:  # cut off by the output limit: what the model wrote is kept
        return {**block.raw, "input": written}


def _described(fields: Mapping[str, Any], named: frozenset[str]) -> Iterator[Described]:
    extra = {name: value for name, value in fields.items() if name not in named and value is not None}
    if extra:
        yield Described(extra=extra)


def _cited(citations: list[Mapping[str, Any]], start: int, end: int) -> dict[str, Any]:
    """Web citations in OpenAI's form, over the characters of the block that bears them; others as they came."""
    annotations: list[dict[str, Any]] = []
    others: list[dict[str, Any]] = []
    for citation in citations:
        if citation["type"] != _WEB:
            others.append({**citation, "start_index": start, "end_index": end})
            continue
        shown = {"url": citation["url"], "title": citation.get("title") or "", "start_index": start, "end_index": end}
        rest = {k: v for k, v in citation.items() if k not in ("type", "url", "title") and v is not None}
        annotations.append({"type": "url_citation", "url_citation": shown, **rest})
    return {name: found for name, found in (("annotations", annotations), ("citations", others)) if found}
