"""OpenAI's Responses API, as its own servers and the vendors that follow it speak it.

https://platform.openai.com/docs/api-reference/responses. Departures of single vendors are data, in `ResponsesDialect`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from weir.domain.chat import ChatCall
from weir.domain.completion import NOTHING, Completion, FinishReason
from weir.domain.errors import MalformedReply, ProviderError
from weir.domain.events import (
    ChoiceFinished,
    Described,
    Ended,
    MessageFields,
    RefusalDelta,
    Started,
    StreamEvent,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
    collect,
)
from weir.protocols import jsonbytes, responses_request
from weir.protocols.base import WireRequest, reading
from weir.protocols.openai_error import error_in_body, error_of
from weir.protocols.responses_dialect import ResponsesDialect
from weir.protocols.responses_usage import usage_of
from weir.protocols.sse import SSEParser

__all__ = ["OpenAIResponses", "ResponsesDialect"]

FINISH_REASONS: Mapping[str, FinishReason] = {
    "completed": "stop",  # or "tool_calls", where it holds calls
    "max_output_tokens": "length",
    "max_tokens": "length",
    "max_messages": "length",
    "content_filter": "content_filter",
}
"""The status of a whole answer, or why it is incomplete; any other word is kept raw and maps to None."""

_DELTAS: Mapping[str, tuple[str, str]] = {
    "response.output_text.delta": ("text", "content_index"),
    "response.function_call_arguments.delta": ("arguments", ""),
    "response.reasoning_summary_text.delta": ("summary", "summary_index"),
    "response.reasoning_text.delta": ("reasoning", "content_index"),
    "response.refusal.delta": ("refusal", "content_index"),
}
"""Event type -> which of the item's texts grows, and the field that numbers it."""

_WHOLES: Mapping[str, tuple[str, str, str]] = {
    "response.output_text.done": ("text", "content_index", "text"),
    "response.function_call_arguments.done": ("arguments", "", "arguments"),
    "response.reasoning_summary_text.done": ("summary", "summary_index", "text"),
    "response.reasoning_text.done": ("reasoning", "content_index", "text"),
    "response.refusal.done": ("refusal", "content_index", "refusal"),
}
"""The same for the events that repeat a text whole; the last field holds it."""

_REQUEST_FAULTS = frozenset(
    {"invalid_prompt", "bio_policy", "misalignment_policy_violation", "data_residency_mismatch", "invalid_image"}
    | {"invalid_image_format", "invalid_base64_image", "invalid_image_url", "invalid_image_mode", "image_too_large"}
    | {"image_too_small", "image_parse_error", "image_content_policy_violation", "image_file_too_large"}
    | {"unsupported_image_media_type", "empty_image_file", "failed_to_download_image", "image_file_not_found"}
)
"""Codes of a failed answer that blame the request (openai SDK, types/responses/response_error.py)."""

_TOP = frozenset({"id", "object", "created_at", "model", "output", "output_text", "usage", "service_tier", "error"})
_STATE = frozenset({"status", "incomplete_details", "completed_at", "next_response_ids"})
_ECHO = frozenset(
    {"background", "conversation", "frequency_penalty", "include", "input", "instructions", "max_output_tokens"}
    | {"max_tool_calls", "metadata", "parallel_tool_calls", "presence_penalty", "previous_response_id", "prompt"}
    | {"prompt_cache_key", "prompt_cache_options", "prompt_cache_retention", "reasoning", "safety_identifier", "store"}
    | {"stream", "temperature", "text", "tool_choice", "tools", "top_logprobs", "top_p", "truncation", "user"}
)
"""The request, repeated in every answer and up to three times in a stream; the ledger has it already."""

_CALL = frozenset({"type", "id", "item_id", "output_index", "status", "call_id", "name", "arguments"})


@dataclass(frozen=True, slots=True)
class OpenAIResponses:
    """The Responses API in one vendor's dialect."""

    dialect: ResponsesDialect
    path: str = "/responses"

    @property
    def name(self) -> str:
        return "openai_responses"

    @property
    def provider(self) -> str:
        return self.dialect.provider

    def render(self, call: ChatCall) -> WireRequest:
        body, dropped = responses_request.render(call, self.dialect)
        return WireRequest(self.path, body, NOTHING, dropped)

    def parse(self, body: bytes) -> Completion:
        return collect(reading(self._whole(body), self.provider, body))

    def decoder(self) -> "OpenAIResponsesDecoder":
        return OpenAIResponsesDecoder(self.dialect)

    def error(self, status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
        return error_of(status, headers, body, self.provider)

    def _whole(self, body: bytes) -> Iterator[StreamEvent]:
        reply = jsonbytes.loads(body)
        if "output" not in reply:
            if reply.get("error"):
                raise _failure(reply, body, self.provider)
            raise MalformedReply(f"{self.provider} sent an answer without output.", provider=self.provider, raw=body)
        yield from OpenAIResponsesDecoder(self.dialect).whole(reply, body)


class _Item:
    """One output item while it grows: how much of each of its texts has been passed on."""

    __slots__ = ("begun", "done", "number", "texts", "thought", "words_before")

    def __init__(self) -> None:
        self.texts: dict[tuple[str, int], list[str]] = {}
        self.words_before: dict[int, int] = {}
        self.number = -1  # its slot among the calls or its block among the thoughts
        self.thought: str | None = None
        self.begun = False
        self.done = False


class OpenAIResponsesDecoder:
    """Events of a Responses stream -> events. `whole` reads a whole answer by the same rules.

    Every text may come three times, as deltas, whole when its item is done, and whole again in the last event;
    vendors leave out one or the other. Of each repetition only what is new is passed on.
    """

    def __init__(self, dialect: ResponsesDialect) -> None:
        self._provider = dialect.provider
        self._sse = SSEParser()
        self._items: dict[int | str, _Item] = {}
        self._keys: dict[str, int | str] = {}
        self._started = False
        self._ended = False
        self._calls = 0
        self._thoughts = 0
        self._characters = 0
        self._custom_called = False

    def feed(self, data: bytes) -> Iterator[StreamEvent]:
        for event in self._sse.feed(data):
            if not self._ended and event.data != b"[DONE]":
                yield from reading(self._event(event.data, event.event), self._provider, event.data)

    def close(self) -> Iterator[StreamEvent]:
        if not self._ended:
            raise MalformedReply(
                f"{self._provider} broke off before its answer was complete.",
                provider=self._provider,
                raw=self._sse.pending,
            )
        yield from ()

    def _event(self, data: bytes, name: str | None) -> Iterator[StreamEvent]:
        event = jsonbytes.loads(data)
        type: str = event.get("type") or name or ""
        if not self._started and type.startswith("response."):
            yield from self._start(event.get("response") or NOTHING)
        if (delta := _DELTAS.get(type)) is not None:
            kind, numbered = delta
            item = self._item(event)
            yield from self._more(item, kind, event.get(numbered, 0), event["delta"], event.get("logprobs"))
            return
        if (whole := _WHOLES.get(type)) is not None:
            kind, numbered, field = whole
            yield from self._rest(self._item(event), kind, event.get(numbered, 0), event[field], event.get("logprobs"))
            return
        match type:
            case "response.output_item.added":
                yield from self._added(self._item(event, event["item"]), event["item"])
            case "response.output_item.done":
                yield from self._done(self._item(event, event["item"]), event["item"])
            case "response.completed" | "response.incomplete" | "response.failed":
                yield from self.whole(event["response"], data)
            case "error":
                raise self._error(event, data)
            case _:  # beginnings and ends of parts, provider-side tools at work, and whatever is added next:
                pass  # all of it comes again in its item

    def _error(self, event: Mapping[str, Any], data: bytes) -> ProviderError:
        """OpenAI documents code and message beside the type, and sends them in an object named "error"."""
        named = event.get("error")
        if not isinstance(named, dict):
            named = {name: event.get(name) for name in ("code", "message", "param")}
        return _failure({"error": named}, data, self._provider)

    def _start(self, reply: Mapping[str, Any]) -> Iterator[StreamEvent]:
        if not self._started:
            self._started = True
            created = reply.get("created_at")  # Bedrock sends a float
            yield Started(reply.get("id"), reply.get("model"), None if created is None else int(created))

    def _item(self, event: Mapping[str, Any], raw: Mapping[str, Any] = NOTHING) -> _Item:
        """By its place, or by its id for vendors that do not number; Copilot's ids change from event to event."""
        id = raw.get("id") or event.get("item_id") or ""
        key = event.get("output_index")
        if key is None:
            key = self._keys.get(id, id)
        item = self._items.get(key)
        if item is None:
            item = self._items[key] = _Item()
        if id:
            self._keys[id] = key
        return item

    def _added(self, item: _Item, raw: Mapping[str, Any]) -> Iterator[StreamEvent]:
        """Only a call begins here: whatever else the item holds already is repeated when it is done."""
        if raw.get("type") == "function_call" and raw.get("name"):
            yield from self._begin(item, raw)

    def _begin(self, item: _Item, raw: Mapping[str, Any]) -> Iterator[StreamEvent]:
        if not item.begun:
            item.begun = True
            item.number, self._calls = self._calls, self._calls + 1
            extra = {name: value for name, value in raw.items() if name not in _CALL and value is not None}
            id = raw.get("call_id") or raw.get("id") or raw.get("item_id") or f"call_{item.number}"
            yield ToolCallDelta(0, item.number, id, raw["name"], extra=extra or NOTHING)

    def _more(self, item: _Item, kind: str, index: int, text: str, logprobs: Any) -> Iterator[StreamEvent]:
        """Pass on a piece of one of the item's texts."""
        if kind == "arguments" and not item.begun:
            return  # its name has not come; the arguments come again with it
        known = item.texts.get((kind, index))
        first = known is None
        if known is None:
            known = item.texts[kind, index] = []
        match kind:
            case "text":
                if first:
                    item.words_before[index] = self._characters
                self._characters += len(text)
                if text or logprobs:
                    yield TextDelta(0, text, {"content": _logprobs(logprobs)} if logprobs else None)
            case "arguments":
                yield ToolCallDelta(0, item.number, arguments=text)
            case "refusal":
                yield RefusalDelta(0, text)
            case _:  # both kinds of reasoning text are one thing to a reader; whichever comes first is shown
                if item.thought not in (None, kind):
                    return
                item.thought = kind
                # each part of a summary is a paragraph with its own heading
                yield ThinkingDelta(0, "\n\n" + text if first and len(item.texts) > 1 else text, self._block(item))
        known.append(text)

    def _rest(self, item: _Item, kind: str, index: int, text: str, logprobs: Any = None) -> Iterator[StreamEvent]:
        """Pass on what has not come of a text that is now known whole."""
        known = item.texts.get((kind, index))
        if known is None:
            if text or logprobs:
                yield from self._more(item, kind, index, text, logprobs)
            return
        sent = "".join(known)
        if len(text) > len(sent) and text.startswith(sent):  # else the deltas stand as they came
            yield from self._more(item, kind, index, text[len(sent) :], None)

    def _block(self, item: _Item) -> int:
        """The number of a thought, given to it when it first shows."""
        if item.number < 0:
            item.number, self._thoughts = self._thoughts, self._thoughts + 1
        return item.number

    def _done(self, item: _Item, raw: Mapping[str, Any]) -> Iterator[StreamEvent]:
        if item.done:
            return
        item.done = True
        match raw.get("type"):
            case "message":
                for index, part in enumerate(raw.get("content") or ()):
                    yield from self._part(item, index, part)
                if raw.get("phase"):  # to be sent back with it: models since gpt-5.3-codex expect it
                    yield MessageFields(0, {"phase": raw["phase"]})
            case "function_call":
                yield from self._begin(item, raw)
                yield from self._rest(item, "arguments", 0, raw.get("arguments") or "")
            case "reasoning":
                yield from self._thought(item, raw)
            case "custom_tool_call":
                self._custom_called = True
                call = {"id": raw["call_id"], "type": "custom", "custom": {"name": raw["name"], "input": raw["input"]}}
                yield MessageFields(0, {"custom_tool_calls": [call]})
            case _:  # searches, code runs, images …: whole, so that they can be sent back
                yield MessageFields(0, {"provider_items": [dict(raw)]})

    def _thought(self, item: _Item, raw: Mapping[str, Any]) -> Iterator[StreamEvent]:
        summary = raw.get("summary") or ()
        kind = item.thought or ("summary" if any(part.get("text") for part in summary) else "reasoning")
        for index, part in enumerate(summary if kind == "summary" else raw.get("content") or ()):
            yield from self._rest(item, kind, index, part.get("text") or "")
        # The seal of `output_item.added` is not the final one; that of `output_item.done` is (openai SDK,
        # types/responses/response_reasoning_item_param.py).
        seal = raw.get("encrypted_content") or None
        hidden = item.thought is None
        yield ThinkingDelta(0, "", self._block(item), seal, hidden, raw.get("id") or None, self._provider)

    def _part(self, item: _Item, index: int, part: Mapping[str, Any]) -> Iterator[StreamEvent]:
        match part.get("type"):
            case "output_text":
                logprobs = part.get("logprobs") if ("text", index) not in item.texts else None
                yield from self._rest(item, "text", index, part["text"], logprobs)
                if annotations := part.get("annotations"):
                    yield MessageFields(0, _annotations(annotations, item.words_before.get(index, 0)))
            case "refusal":
                yield from self._rest(item, "refusal", index, part["refusal"])
            case _:
                yield MessageFields(0, {"content_parts": [dict(part)]})

    def whole(self, reply: Mapping[str, Any], data: bytes) -> Iterator[StreamEvent]:
        """The answer itself: the body of one that is not streamed, and the last event of one that is."""
        status = reply.get("status") or "completed"
        if status == "failed" or (reply.get("error") and not reply.get("output")):
            raise _failure(reply, data, self._provider)
        if status == "cancelled":
            raise MalformedReply(f"{self._provider} cancelled the answer.", provider=self._provider, raw=data)
        yield from self._start(reply)
        for index, raw in enumerate(reply.get("output") or ()):
            key = self._keys.get(raw.get("id") or "", index)
            yield from self._done(self._items.get(key) or self._items.setdefault(key, _Item()), raw)
        if described := _described(reply):
            yield described
        why = (reply.get("incomplete_details") or NOTHING).get("reason") or status
        reason = FINISH_REASONS.get(why)
        if reason == "stop" and (self._calls or self._custom_called):
            reason = "tool_calls"
        self._ended = True
        yield ChoiceFinished(0, reason, why)
        usage = reply.get("usage")
        yield Ended(usage_of(usage) if usage else None)


def _failure(reply: Mapping[str, Any], data: bytes, provider: str) -> ProviderError:
    """The error that a failed answer or an error event holds."""
    error = reply.get("error") or {"message": f"{provider} failed and did not say why."}
    if isinstance(error, dict) and error.get("code") in _REQUEST_FAULTS:
        error = {**error, "status": 400}
    found = error_in_body({**reply, "error": error}, data, provider)
    return found or MalformedReply(f"{provider} sent an error that cannot be read.", provider=provider, raw=data)


def _described(reply: Mapping[str, Any]) -> Described | None:
    tier = reply.get("service_tier") or None
    unnamed = reply.keys() - _TOP - _STATE - _ECHO
    extra = {name: reply[name] for name in reply if name in unnamed and reply[name] is not None}
    return Described(None, tier, extra or NOTHING) if tier or extra else None


def _annotations(annotations: list[Mapping[str, Any]], words_before: int) -> dict[str, Any]:
    """Web citations in Chat Completions' form, their places counted from the beginning of the joined text.

    Citations of files have no form there and are kept as they came, under `citations`.
    """
    web: list[dict[str, Any]] = []
    other: list[dict[str, Any]] = []
    for annotation in annotations:
        if annotation.get("type") == "url_citation":
            citation = {name: value for name, value in annotation.items() if name != "type"}
            for place in ("start_index", "end_index"):
                if isinstance(citation.get(place), int):
                    citation[place] += words_before
            web.append({"type": "url_citation", "url_citation": citation})
        else:
            other.append(dict(annotation))
    return {name: found for name, found in (("annotations", web), ("citations", other)) if found}


def _logprobs(logprobs: list[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Chat Completions name a token's bytes always; here they may be left out."""
    return [
        {
            "token": one["token"],
            "bytes": one.get("bytes"),
            "logprob": one["logprob"],
            "top_logprobs": [{"bytes": None, **top} for top in one.get("top_logprobs") or ()],
        }
        for one in logprobs
    ]
