"""Google's generateContent, as Gemini's two doors speak it: AI Studio and Vertex AI.

https://ai.google.dev/api/generate-content and
https://docs.cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference.

Thought signatures (opaque, wanted back on a part of the kind they came with) travel as seals: that of a function call
in `ToolCallDelta.seal`, that of a thought in its own `ThinkingDelta`. A text part's comes as a `ThinkingDelta` without
text, in a block of its own just before the text it belongs to; an empty thought's as one that is `redacted`. So
`collect` keeps kind and order, and `gemini_contents` gives them back. Texts that follow a signed text unsigned join it.

Parts without a name in OpenAI's form (code and its results, media, Google's own tools) are kept whole, in order, under
the message field `content_parts`; a candidate's metadata under its own names as fields of the choice.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

from weir.domain.chat import ChatCall
from weir.domain.completion import NOTHING, Completion, FinishReason, Usage
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
from weir.protocols import gemini_request, jsonbytes
from weir.protocols.base import WireRequest, reading
from weir.protocols.gemini_args import grow
from weir.protocols.gemini_contents import RAW_PARTS, SEALED_BY
from weir.protocols.gemini_error import error_in_body, error_of
from weir.protocols.gemini_metadata import annotations_of, logprobs_of, usage_of
from weir.protocols.gemini_request import GeminiDialect
from weir.protocols.sse import SSEParser

__all__ = ["Gemini", "GeminiDialect"]

FINISH_REASONS: Mapping[str, FinishReason | None] = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "CONTINUATION": "length",  # the limit of one request, the answer goes on under `continuationToken`
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "LANGUAGE": "content_filter",
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
    "IMAGE_SAFETY": "content_filter",
    "IMAGE_PROHIBITED_CONTENT": "content_filter",
    "IMAGE_RECITATION": "content_filter",
    "MODEL_ARMOR": "content_filter",
    "ESCALATION": "content_filter",
    "PUP_LIMITED_DISABLED": "content_filter",
    # The generation failed, for which OpenAI has no word: neither a whole answer nor one that somebody withheld.
    "MALFORMED_FUNCTION_CALL": None,
    "MALFORMED_RESPONSE": None,
    "UNEXPECTED_TOOL_CALL": None,
    "TOO_MANY_TOOL_CALLS": None,
    "MISSING_THOUGHT_SIGNATURE": None,
    "NO_IMAGE": None,
    "IMAGE_OTHER": None,
    "OTHER": None,
    "FINISH_REASON_UNSPECIFIED": None,
}
"""Every FinishReason of google-genai 3.4; any other word is kept raw and maps to None, too."""

_TOP = frozenset({"candidates", "usageMetadata", "modelVersion", "responseId", "createTime", "error"})
_CANDIDATE = frozenset({"content", "finishReason", "index", "logprobsResult"})
_COLLECTIONS = ("models", "tunedModels", "endpoints")


@dataclass(frozen=True, slots=True)
class Gemini:
    """generateContent through one of its doors."""

    dialect: GeminiDialect

    @property
    def name(self) -> str:
        return "gemini"

    @property
    def provider(self) -> str:
        return self.dialect.provider

    def render(self, call: ChatCall) -> WireRequest:
        body, dropped = gemini_request.render(call, self.dialect)
        verb = "streamGenerateContent?alt=sse" if call.stream else "generateContent"
        return WireRequest(f"{_model_path(call.model, self.dialect)}:{verb}", body, NOTHING, dropped)

    def parse(self, body: bytes) -> Completion:
        return collect(reading(self._whole(body), self.provider, body))

    def decoder(self) -> "GeminiDecoder":
        return GeminiDecoder(self.dialect)

    def error(self, status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
        return error_of(status, headers, body, self.provider)

    def _whole(self, body: bytes) -> Iterator[StreamEvent]:
        reply = jsonbytes.loads(body)
        if error := error_in_body(reply, body, self.provider):
            raise error
        decoder = GeminiDecoder(self.dialect)
        yield from decoder.reply(reply)
        if not decoder.begun:
            raise MalformedReply(
                f"{self.provider} sent an answer without candidates.", provider=self.provider, raw=body
            )
        yield from decoder.end()


def _model_path(model: str, dialect: GeminiDialect) -> str:
    """`model` may name its collection (`tunedModels/x`, Vertex's `endpoints/123`), as Google's own names do."""
    collection, _, id = model.rpartition("/")
    if collection not in _COLLECTIONS:
        collection, id = "models", model
    name = f"{collection}/{quote(id, safe='')}"
    if dialect.platform == "studio":
        return f"/{dialect.version}/{name}"
    place = f"/{dialect.version}/projects/{dialect.project}/locations/{dialect.location}"
    return f"{place}/{name}" if collection == "endpoints" else f"{place}/publishers/google/{name}"


class _Candidate:
    """One answer while it comes."""

    __slots__ = ("args", "block", "blocked", "calls", "finished", "metadata", "reason", "texts", "thought")

    def __init__(self) -> None:
        self.calls = 0
        self.block = -1
        self.thought = False  # the block is a thought that may grow
        self.args: dict[str, Any] | None = None  # of a call that comes in pieces
        self.texts: list[str] = []
        self.metadata: dict[str, Any] = {}
        self.reason: str | None = None
        self.blocked = False
        self.finished = False


class GeminiDecoder:
    """Chunks of a stream -> events. `reply` reads a whole answer by the same rules, it has the same form."""

    def __init__(self, dialect: GeminiDialect) -> None:
        self._provider = dialect.provider
        self._sse = SSEParser()
        self._id: str | None = None
        self._started = False
        self._ended = False
        self._candidates: dict[int, _Candidate] = {}
        self._usage: dict[str, Any] = {}

    def feed(self, data: bytes) -> Iterator[StreamEvent]:
        for event in self._sse.feed(data):
            yield from reading(self._chunk(event.data), self._provider, event.data)

    def close(self) -> Iterator[StreamEvent]:
        """There is no end mark: the answer is whole when every candidate gave its reason to finish. That is told only
        now, because older models give it with every chunk."""
        if self._ended:
            return
        if error := self._bare_error():
            raise error
        if not self._candidates or not all(candidate.finished for candidate in self._candidates.values()):
            raise MalformedReply(
                f"{self._provider} broke off before its answer was complete.",
                provider=self._provider,
                raw=self._sse.pending,
            )
        yield from reading(self.end(), self._provider)

    def _bare_error(self) -> ProviderError | None:
        """An error in the middle of a stream comes as plain JSON without `data:` (google-genai looks for it, too)."""
        rest = self._sse.pending.strip()
        if not rest.startswith((b"{", b"[")):
            return None
        try:
            return error_in_body(jsonbytes.loads(rest), rest, self._provider)
        except jsonbytes.InvalidJSON:
            return None

    def _chunk(self, data: bytes) -> Iterator[StreamEvent]:
        chunk = jsonbytes.loads(data)
        if "candidates" not in chunk and (error := error_in_body(chunk, data, self._provider)):
            raise error
        yield from self.reply(chunk)

    @property
    def begun(self) -> bool:
        return bool(self._candidates)

    def reply(self, reply: Mapping[str, Any]) -> Iterator[StreamEvent]:
        candidates = reply.get("candidates") or ()
        if not self._started and (candidates or reply.get("responseId")):
            self._started = True
            self._id = reply.get("responseId") or None
            yield Started(self._id, reply.get("modelVersion") or None, _seconds(reply.get("createTime")))
        if usage := reply.get("usageMetadata"):  # cumulative where it is repeated: replace, do not add
            self._usage.update(usage)
        if reply.keys() - _TOP and (extra := _unnamed(reply, _TOP)):
            yield Described(extra=extra)
        for candidate in candidates:
            yield from self._candidate(candidate)
        if (feedback := reply.get("promptFeedback")) and (blocked := feedback.get("blockReason")):
            self._block(str(blocked))

    def end(self) -> Iterator[StreamEvent]:
        """What can be said only when everything has come."""
        self._ended = True
        for index, candidate in sorted(self._candidates.items()):
            yield from self._end_call(index, candidate)
            if candidate.metadata and (found := annotations_of("".join(candidate.texts), candidate.metadata)):
                yield MessageFields(index, {"annotations": found})
            yield ChoiceFinished(index, _reason(candidate), candidate.reason)
        yield Ended(self.usage)

    @property
    def usage(self) -> Usage | None:
        return usage_of(self._usage)

    def _block(self, reason: str) -> None:
        """The prompt was refused: no candidate will come (nor more of one that did), so the answer has no content."""
        if not self._candidates:
            self._candidates[0] = _Candidate()
        for candidate in self._candidates.values():
            if not candidate.finished:
                candidate.reason, candidate.blocked, candidate.finished = reason, True, True

    def _candidate(self, candidate: Mapping[str, Any]) -> Iterator[StreamEvent]:
        index = candidate.get("index") or 0
        state = self._candidates.get(index)
        if state is None:
            state = self._candidates[index] = _Candidate()
        result = candidate.get("logprobsResult")
        logprobs = logprobs_of(result) if result else None
        for part in (candidate.get("content") or NOTHING).get("parts") or ():
            text = part.get("text")
            if text is None or "functionCall" in part:
                yield from self._other(index, state, part)
            elif part.get("thought"):
                yield _thought(index, state, text, part.get("thoughtSignature"))
            else:
                yield from _text(index, state, text, part.get("thoughtSignature"), logprobs)
                logprobs = None
        if logprobs is not None:
            yield TextDelta(index, "", logprobs)
        if candidate.keys() - _CANDIDATE and (fields := _unnamed(candidate, _CANDIDATE)):
            state.metadata.update(fields)
            yield ChoiceFields(index, fields)
        if reason := candidate.get("finishReason"):
            state.reason = str(reason)
            state.finished = True

    def _other(self, index: int, state: _Candidate, part: Mapping[str, Any]) -> Iterator[StreamEvent]:
        state.thought = False
        call = part.get("functionCall")
        if call is None:
            yield MessageFields(index, {RAW_PARTS: [dict(part)]})
        else:
            yield from self._call(index, state, call, part.get("thoughtSignature"))

    def _call(self, index: int, state: _Candidate, call: Mapping[str, Any], seal: str | None) -> Iterator[StreamEvent]:
        """In pieces: {name, willContinue}, {partialArgs, willContinue} …, at last {} or one without willContinue."""
        name = call.get("name")
        pieces = call.get("partialArgs") or ()
        goes_on = bool(call.get("willContinue"))
        if name is not None:
            yield from self._end_call(index, state)
            slot = state.calls
            state.calls += 1
            id = call.get("id") or f"call_{self._id or 'weir'}_{index}_{slot}"
            args = call.get("args") or {}
            if not goes_on and not pieces:
                yield ToolCallDelta(index, slot, id, name, jsonbytes.dumps(args).decode(), seal)
                return
            yield ToolCallDelta(index, slot, id, name, seal=seal)
            state.args = dict(args)
        elif seal is not None and state.calls:
            yield ToolCallDelta(index, state.calls - 1, seal=seal)
        if state.args is not None:
            grow(state.args, pieces)
            if not goes_on:
                yield from self._end_call(index, state)

    def _end_call(self, index: int, state: _Candidate) -> Iterator[StreamEvent]:
        """Pieces may come in any order, so the arguments become text only when they are whole."""
        if state.args is not None:
            yield ToolCallDelta(index, state.calls - 1, arguments=jsonbytes.dumps(state.args).decode())
            state.args = None


def _reason(candidate: _Candidate) -> FinishReason | None:
    if candidate.blocked:
        return "content_filter"
    reason = FINISH_REASONS.get(candidate.reason or "")
    return "tool_calls" if reason == "stop" and candidate.calls else reason


def _text(
    index: int, state: _Candidate, text: str, seal: str | None, logprobs: dict[str, Any] | None
) -> Iterator[StreamEvent]:
    state.thought = False
    if seal is not None:
        state.block += 1
        yield ThinkingDelta(index, "", state.block, seal, provider=SEALED_BY)
    if text:
        state.texts.append(text)
    if text or logprobs is not None:
        yield TextDelta(index, text, logprobs)


def _thought(index: int, state: _Candidate, text: str, seal: str | None) -> ThinkingDelta:
    """A signed thought is its own block; a signature alone ends the thought before it, or stands for a hidden one."""
    redacted = bool(seal and not text and not state.thought)
    if not state.thought or (seal and text):
        state.block += 1
    state.thought = seal is None
    return ThinkingDelta(index, text, state.block, seal, redacted, provider=SEALED_BY)


def _unnamed(fields: Mapping[str, Any], named: frozenset[str]) -> dict[str, Any]:
    """Empty values say nothing, and must not replace what an earlier chunk said."""
    return {name: value for name, value in fields.items() if name not in named and value not in (None, {}, [])}


def _seconds(instant: Any) -> int | None:
    return int(datetime.fromisoformat(instant).timestamp()) if isinstance(instant, str) else None
