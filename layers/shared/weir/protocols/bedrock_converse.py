"""Amazon Bedrock's Converse and ConverseStream, one format for all the models it serves.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

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
from weir.protocols import bedrock_request, jsonbytes
from weir.protocols.base import WireRequest, reading
from weir.protocols.bedrock_error import error_in_stream, error_of
from weir.protocols.bedrock_request import BedrockDialect
from weir.protocols.eventstream import EventStreamMessage, EventStreamParser, InvalidEventStream

__all__ = ["BedrockConverse", "BedrockDialect"]

FINISH_REASONS: Mapping[str, FinishReason | None] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
    "malformed_model_output": None,  # OpenAI has no word for a model that went astray
    "malformed_tool_use": None,
}
"""Total for what is known; any other word is kept raw and maps to None."""

_NAMED_USAGE = frozenset(
    {
        "inputTokens",
        "outputTokens",
        "totalTokens",
        "cacheReadInputTokens",
        "cacheWriteInputTokens",
        "cacheReadInputTokenCount",  # the same two under their older names, which the service still sends
        "cacheWriteInputTokenCount",
    }
)


@dataclass(frozen=True, slots=True)
class BedrockConverse:
    """Converse. Requests are signed (providers/sigv4) or carry a bearer key; neither is the protocol's business."""

    dialect: BedrockDialect

    @property
    def name(self) -> str:
        return "bedrock_converse"

    @property
    def provider(self) -> str:
        return self.dialect.provider

    def render(self, call: ChatCall) -> WireRequest:
        """The model is part of the path; an ARN has slashes, so it is quoted whole."""
        body, dropped = bedrock_request.render(call, self.dialect)
        verb = "converse-stream" if call.stream else "converse"
        return WireRequest(f"/model/{quote(call.model, safe='')}/{verb}", body, NOTHING, dropped)

    def parse(self, body: bytes) -> Completion:
        return collect(reading(self._whole(body), self.provider, body))

    def decoder(self) -> "BedrockDecoder":
        return BedrockDecoder(self.dialect)

    def error(self, status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
        return error_of(status, headers, body, self.provider)

    def _whole(self, body: bytes) -> Iterator[StreamEvent]:
        reply = jsonbytes.loads(body)
        message, reason = reply["output"]["message"], reply["stopReason"]
        yield Started(None, None)
        answer = _Answer()
        for index, block in enumerate(message["content"]):
            yield from answer.block(index, block)
        yield ChoiceFinished(0, FINISH_REASONS.get(reason), reason)
        if described := _described(reply):
            yield described
        yield Ended(_usage_of(reply.get("usage")))


class BedrockDecoder:
    """A ConverseStream response -> events."""

    def __init__(self, dialect: BedrockDialect) -> None:
        self._provider = dialect.provider
        self._frames = EventStreamParser()
        self._answer = _Answer()
        self._started = False
        self._finished = False
        self._ended = False
        self._usage: Usage | None = None
        self._counted = False

    def feed(self, data: bytes) -> Iterator[StreamEvent]:
        try:
            messages = self._frames.feed(data)
        except InvalidEventStream as exc:
            raise MalformedReply(
                f"{self._provider} sent a stream that cannot be read: {exc}.",
                provider=self._provider,
                raw=self._frames.pending,
            ) from exc
        for message in messages:
            if not self._ended:
                yield from reading(self._event(message), self._provider, message.payload)

    def close(self) -> Iterator[StreamEvent]:
        """The reason ends the words; the counts come in an event of their own behind it.

        A stream that ends cleanly between the two is a whole answer whose usage is unknown. One that ends inside a
        further event was cut off: that event may have been an exception.
        """
        yield from self.feed(b"")
        if self._ended:
            return
        if not self._finished or self._frames.pending:
            raise MalformedReply(
                f"{self._provider} broke off before its answer was complete.",
                provider=self._provider,
                raw=self._frames.pending,
            )
        self._ended = True
        yield Ended(None)

    def _event(self, message: EventStreamMessage) -> Iterator[StreamEvent]:
        headers = message.headers
        if headers.get(":message-type", "event") != "event" or ":exception-type" in headers:
            raise error_in_stream(message, self._provider)
        kind = headers.get(":event-type")
        event = jsonbytes.loads(message.payload)
        if not self._started:
            self._started = True
            yield Started(None, None)
        match kind:
            case "contentBlockDelta":
                yield from self._answer.delta(event["contentBlockIndex"], event["delta"])
            case "contentBlockStart":
                yield from self._answer.start(event["contentBlockIndex"], event["start"])
            case "contentBlockStop":
                yield from self._answer.stop(event["contentBlockIndex"])
            case "messageStop":
                yield from self._answer.stop_all()
                reason = event["stopReason"]
                yield ChoiceFinished(0, FINISH_REASONS.get(reason), reason)
                if described := _described(event):
                    yield described
                self._finished = True
            case "metadata":
                if described := _described(event):
                    yield described
                self._usage = _usage_of(event.get("usage"))
                self._counted = True
            case _:
                pass  # messageStart, and whatever is added next
        if self._finished and self._counted:
            self._ended = True
            yield Ended(self._usage)


class _Answer:
    """The one choice: Converse's numbered content blocks -> slots, thinking blocks and text."""

    def __init__(self) -> None:
        self._slots: dict[int, int] = {}
        self._silent: set[int] = set()
        self._thoughts: dict[int, int] = {}
        self._raw: dict[int, dict[str, Any]] = {}

    def block(self, index: int, block: Mapping[str, Any]) -> Iterator[StreamEvent]:
        """A whole block."""
        match block:
            case {"text": str(text)}:
                if text:
                    yield TextDelta(0, text)
            case {"toolUse": dict(call)} if call.get("type") != "server_tool_use":
                yield from self.start(index, block)
                arguments = call.get("input")
                yield from self._arguments(index, jsonbytes.dumps(arguments).decode() if arguments else "")
                yield from self.stop(index)
            case {"reasoningContent": {"reasoningText": {"text": str(text)} as shown}}:
                yield self._thinking(index, text, shown.get("signature"))
            case {"reasoningContent": {"redactedContent": str(seal)}}:
                yield self._thinking(index, "", seal, redacted=True)
            case {"citationsContent": dict(cited)}:
                for piece in cited.get("content") or ():
                    yield TextDelta(0, piece.get("text") or "")
                if citations := cited.get("citations"):
                    yield MessageFields(0, {"citations": [dict(citation) for citation in citations]})
            case _:  # images, the service's own tools and their results, whatever is added next: kept as they came
                yield MessageFields(0, {"content_blocks": [{"index": index, **block}]})

    def start(self, index: int, start: Mapping[str, Any]) -> Iterator[StreamEvent]:
        match start:
            case {"toolUse": dict(call)} if call.get("type") != "server_tool_use":
                slot = self._slots[index] = len(self._slots)
                self._silent.add(index)
                yield ToolCallDelta(0, slot, call["toolUseId"], call["name"])
            case _:
                self._raw[index] = {kind: dict(fields) for kind, fields in start.items()}

    def delta(self, index: int, delta: Mapping[str, Any]) -> Iterator[StreamEvent]:
        match delta:
            case {"text": str(text)}:
                if text:
                    yield TextDelta(0, text)
            case {"toolUse": {"input": str(arguments)}} if index in self._slots:
                yield from self._arguments(index, arguments)
            case {"reasoningContent": {"text": str(text)}}:
                yield self._thinking(index, text)
            case {"reasoningContent": {"signature": str(seal)}}:
                yield self._thinking(index, "", seal)
            case {"reasoningContent": {"redactedContent": str(seal)}}:
                yield self._thinking(index, "", seal, redacted=True)
            case {"citation": dict(citation)}:
                yield MessageFields(0, {"citations": [citation]})
            case _:
                _grow(self._raw.setdefault(index, {}), delta)

    def stop(self, index: int) -> Iterator[StreamEvent]:
        if index in self._silent:
            yield from self._arguments(index, "{}")
        if (raw := self._raw.pop(index, None)) is not None:
            yield MessageFields(0, {"content_blocks": [{"index": index, **_parsed(raw)}]})

    def stop_all(self) -> Iterator[StreamEvent]:
        """The end of the message ends the blocks that were not ended one by one."""
        for index in sorted(self._silent | self._raw.keys()):
            yield from self.stop(index)

    def _arguments(self, index: int, arguments: str) -> Iterator[StreamEvent]:
        if arguments:
            self._silent.discard(index)
            yield ToolCallDelta(0, self._slots[index], arguments=arguments)

    def _thinking(self, index: int, text: str, seal: str | None = None, redacted: bool = False) -> ThinkingDelta:
        number = self._thoughts.setdefault(index, len(self._thoughts))
        return ThinkingDelta(0, text, number, seal or None, redacted, provider="bedrock")


def _grow(block: dict[str, Any], delta: Mapping[str, Any]) -> None:
    """A block without a name here, from its deltas: a list is a result's content, fields beside it are its own."""
    for kind, more in delta.items():
        known = block.setdefault(kind, {})
        if isinstance(more, list):
            known["content"] = known.get("content", []) + more
        elif isinstance(more, dict):
            for name, value in more.items():
                old = known.get(name)
                known[name] = old + value if isinstance(old, str) and isinstance(value, str) else value
        else:
            block[kind] = more


def _parsed(block: dict[str, Any]) -> dict[str, Any]:
    """The service's own tool calls stream their input as JSON text; whole answers have it as an object."""
    match block:
        case {"toolUse": {"input": str(text)} as call}:
            try:
                return {**block, "toolUse": {**call, "input": jsonbytes.loads(text)}}
            except jsonbytes.InvalidJSON:
                return block
    return block


def _described(reply: Mapping[str, Any]) -> Described | None:
    """Facts beside the answer, in the whole reply or in the two last events of a stream."""
    named = ("metrics", "trace", "performanceConfig", "additionalModelResponseFields")
    extra = {name: reply[name] for name in named if reply.get(name) is not None}
    tier = (reply.get("serviceTier") or NOTHING).get("type")
    return Described(None, tier, extra or NOTHING) if extra or tier else None


def _usage_of(usage: Mapping[str, Any] | None) -> Usage | None:
    """`inputTokens` leaves out what the cache holds; our prompt counts it.

    A count without its counterpart is not thrown away: the missing one is 0, and `extra` says that it was missing.
    """
    if not usage or not ("inputTokens" in usage or "outputTokens" in usage):
        return None
    cached = _first(usage.get("cacheReadInputTokens"), usage.get("cacheReadInputTokenCount"))
    written = _first(usage.get("cacheWriteInputTokens"), usage.get("cacheWriteInputTokenCount"))
    extra: dict[str, Any] = {name: value for name, value in usage.items() if name not in _NAMED_USAGE and value}
    extra |= {name: None for name in ("inputTokens", "outputTokens") if usage.get(name) is None}
    return Usage(
        (usage.get("inputTokens") or 0) + (cached or 0) + (written or 0),
        usage.get("outputTokens") or 0,
        cached=cached,
        cache_written=written,
        extra=extra or NOTHING,
    )


def _first(*values: int | None) -> int | None:
    return next((value for value in values if value is not None), None)
