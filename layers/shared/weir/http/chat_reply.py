"""Completions and their chunks in OpenAI's form, as our callers get them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from weir.domain.completion import NOTHING, Choice, Completion, FinishReason, ToolCall, Usage
from weir.domain.events import (
    ChoiceFields,
    ChoiceFinished,
    Collector,
    Described,
    Ended,
    MessageFields,
    RefusalDelta,
    Started,
    StreamEvent,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
)
from weir.http.reasoning_details import FIELD, details_of
from weir.protocols import jsonbytes

ANSWER_PREFIX = "chatcmpl-"
"""Of an answer's own id; the id of the record follows."""

DONE = b"data: [DONE]\n\n"


def completion_body(
    completion: Completion,
    *,
    id: str,
    created: int,
    model: str,
    legacy: bool = False,
    summary: bool = False,
    warnings: Sequence[str] = (),
) -> dict[str, Any]:
    """A `chat.completion`. `id`, `created` and `model` are used where the provider gave none.

    `legacy` answers in the deprecated `function_call` form. `summary` adds the top-level `reasoning` text,
    `warnings` what the caller is to know of the call itself.
    """
    body: dict[str, Any] = {
        "id": completion.id or id,
        "object": "chat.completion",
        "created": completion.created if completion.created is not None else created,
        "model": completion.model or model,
        "choices": [_choice(choice, legacy) for choice in completion.choices],
    }
    if completion.usage is not None:
        body["usage"] = usage_body(completion.usage)
    if completion.system_fingerprint is not None:
        body["system_fingerprint"] = completion.system_fingerprint
    if completion.service_tier is not None:
        body["service_tier"] = completion.service_tier
    if summary and completion.choices and (thinking := completion.choices[0].thinking):
        body["reasoning"] = thinking
    if warnings:
        body["warnings"] = list(warnings)
    for name, value in completion.extra.items():
        body.setdefault(name, value)
    return body


def _choice(choice: Choice, legacy: bool) -> dict[str, Any]:
    calls = choice.tool_calls
    refusal = choice.refusal or None
    message: dict[str, Any] = {
        "role": "assistant",
        "content": choice.text or (None if calls or refusal else ""),
        "refusal": refusal,
    }
    if thinking := choice.thinking:
        message["reasoning_content"] = thinking
    if details := details_of(choice):
        message[FIELD] = details
    if calls and legacy:
        message["function_call"] = {"name": calls[0].name, "arguments": calls[0].arguments}
    elif calls:
        message["tool_calls"] = [_tool_call(call) for call in calls]
    for name, value in choice.message_extra.items():
        message.setdefault(name, value)
    body: dict[str, Any] = {
        "index": choice.index,
        "message": message,
        "logprobs": choice.logprobs,
        "finish_reason": finish_word(choice.reason, legacy),
    }
    for name, value in choice.extra.items():
        body.setdefault(name, value)
    return body


def finish_word(reason: FinishReason | None, legacy: bool) -> str:
    """A reason in OpenAI's own words. One that we do not know is "stop" here; the record keeps the provider's word."""
    match reason:
        case "function_call" | "tool_calls":
            return "function_call" if legacy else "tool_calls"
        case None:
            return "stop"
        case _:
            return reason


def _tool_call(call: ToolCall) -> dict[str, Any]:
    return {
        "id": call.id,
        "type": "function",
        "function": {"name": call.name, "arguments": call.arguments},
        **_call_extra(call.seal, call.extra),
    }


def _call_extra(seal: str | None, extra: Mapping[str, Any]) -> dict[str, Any]:
    """A seal travels in Google's own OpenAI form, so that clients that know it there keep it."""
    fields = dict(extra)
    if seal is not None and "extra_content" not in fields:
        fields["extra_content"] = {"google": {"thought_signature": seal}}
    return fields


def usage_body(usage: Usage) -> dict[str, Any]:
    """OpenAI's `usage`. What the provider did not say is absent; its own further fields stand where they stood."""
    body: dict[str, Any] = {
        "prompt_tokens": usage.prompt,
        "completion_tokens": usage.completion,
        "total_tokens": usage.total,
    }
    prompt = {
        "cached_tokens": usage.cached,
        "cache_write_tokens": usage.cache_written,
        "audio_tokens": usage.prompt_audio,
    }
    completion = {
        "reasoning_tokens": usage.reasoning,
        "audio_tokens": usage.completion_audio,
        "accepted_prediction_tokens": usage.accepted_prediction,
        "rejected_prediction_tokens": usage.rejected_prediction,
    }
    body.update(usage.extra)
    for name, details in (("prompt_tokens_details", prompt), ("completion_tokens_details", completion)):
        said = {**usage.extra.get(name, {}), **{k: v for k, v in details.items() if v is not None}}
        if said:
            body[name] = said
    return body


def error_event(error: Mapping[str, Any]) -> bytes:
    """An error after the stream has begun: OpenAI's clients raise on it, and no [DONE] follows."""
    return b"data: " + jsonbytes.dumps({"error": error}) + b"\n\n"


SSE_FRAME = (b"data: ", b"\n\n")

WriteUsage = Callable[[Usage, str, str | None], Mapping[str, Any]]


class ChunkEncoder:
    """Events -> `chat.completion.chunk`s: one id, one created, role first, usage last when asked.

    `id`, `created` and `model` are used where the provider gives none. `frame` stands around each chunk, `opening`
    before the first; `fields` are in each of them, `warnings` in the first. `write_usage` writes the usage of an answer
    by a model in a service tier.
    """

    def __init__(
        self,
        *,
        id: str,
        created: int,
        model: str,
        include_usage: bool = False,
        legacy: bool = False,
        frame: tuple[bytes, bytes] = SSE_FRAME,
        fields: Mapping[str, Any] = NOTHING,
        write_usage: WriteUsage | None = None,
        warnings: Sequence[str] = (),
        opening: bytes = b"",
    ) -> None:
        self._id, self._created, self._model = id, created, model
        self._include_usage, self._legacy = include_usage, legacy
        self._begun: set[int] = set()
        self._finished: set[int] = set()
        self._held = Collector()
        self._before, self._after = frame
        self._write_usage = write_usage or (lambda usage, model, service_tier: usage_body(usage))
        self._described: dict[str, Any] = dict(fields)
        self._extra: Mapping[str, Any] = {"warnings": list(warnings)} if warnings else NOTHING
        self._opening = opening
        self._write_frame()

    def encode(self, events: Iterable[StreamEvent]) -> bytes:
        return b"".join([piece for event in events for piece in self._pieces(event)])

    def _write_frame(self) -> None:
        """What every chunk begins and ends with; written again only when it changes."""
        head = jsonbytes.dumps(
            {"id": self._id, "object": "chat.completion.chunk", "created": self._created, "model": self._model}
        )
        self._head = self._before + head[:-1]
        self._tail = _inside(self._described) + (b',"usage":null}' if self._include_usage else b"}") + self._after

    def _pieces(self, event: StreamEvent) -> Iterable[bytes]:
        match event:
            case TextDelta(choice, text, logprobs):
                return [self._delta(choice, {"content": text}, logprobs)]
            case ToolCallDelta(slot=slot):
                if self._legacy and slot > 0:  # that form holds one call, as in a whole answer
                    return []
                return [self._delta(event.choice, self._call(event))]
            case ThinkingDelta(choice, text):
                self._held.add(event)
                return [self._delta(choice, {"reasoning_content": text})] if text else []
            case RefusalDelta(choice, text, logprobs):
                return [self._delta(choice, {"refusal": text}, logprobs)]
            case MessageFields():
                return self._fields(event)
            case ChoiceFields(choice, fields):
                return [self._delta(choice, {}, beside=fields)]
            case ChoiceFinished(choice, reason):
                return [*self._lists(choice), self._delta(choice, {}, finish=finish_word(reason, self._legacy))]
            case Started(id, model, created):
                return [self._start(id, model, created)]
            case Described():
                return self._describe(event)
            case Ended(usage):
                return [self._usage(usage)] if self._include_usage and usage is not None else []

    def _start(self, id: str | None, model: str | None, created: int | None) -> bytes:
        self._id, self._model = id or self._id, model or self._model
        self._created = created if created is not None else self._created
        self._write_frame()
        return self._opening + self._delta(0, {"content": ""})

    def _describe(self, event: Described) -> list[bytes]:
        """Facts ride on all chunks that follow, the provider's own fields on the next one only."""
        if event.system_fingerprint is not None:
            self._described["system_fingerprint"] = event.system_fingerprint
        if event.service_tier is not None:
            self._described["service_tier"] = event.service_tier
        self._extra = {**{k: v for k, v in event.extra.items() if k not in self._described}, **self._extra}
        self._write_frame()
        return []

    def _delta(
        self,
        choice: int,
        delta: dict[str, Any],
        logprobs: Mapping[str, Any] | None = None,
        finish: str | None = None,
        beside: Mapping[str, Any] | None = None,
    ) -> bytes:
        if choice not in self._begun:
            self._begun.add(choice)
            delta = {"role": "assistant", **delta}
        extra, self._extra = self._extra, NOTHING
        return b'%b,"choices":[{"index":%d,"delta":%b,"logprobs":%b,"finish_reason":%b%b}]%b%b' % (
            self._head,
            choice,
            jsonbytes.dumps(delta),
            b"null" if logprobs is None else jsonbytes.dumps(dict(logprobs)),
            b"null" if finish is None else b'"%b"' % finish.encode(),
            _inside(beside) if beside else b"",
            _inside(extra) if extra else b"",
            self._tail,
        )

    def _call(self, event: ToolCallDelta) -> dict[str, Any]:
        first = event.id is not None
        if self._legacy:
            name = {"name": event.name} if first else {}
            return {"function_call": {**name, "arguments": event.arguments}}
        call: dict[str, Any] = {"index": event.slot}
        if first:
            call |= {"id": event.id, "type": "function"}
            call["function"] = {"name": event.name, "arguments": event.arguments}
        else:
            call["function"] = {"arguments": event.arguments}
        return {"tool_calls": [call | _call_extra(event.seal, event.extra)]}

    def _fields(self, event: MessageFields) -> list[bytes]:
        """Lists are held until the choice ends: some clients append to them, others (OpenAI's own) merge by an `index`
        that few entries have, and raise without one. Told once and whole, a list is the same to all of them."""
        if event.choice in self._finished:
            return [self._delta(event.choice, dict(event.fields))]
        lists = {name: value for name, value in event.fields.items() if isinstance(value, list)}
        if not lists:
            return [self._delta(event.choice, dict(event.fields))]
        self._held.add(MessageFields(event.choice, lists))
        rest = {name: value for name, value in event.fields.items() if name not in lists}
        return [self._delta(event.choice, rest)] if rest else []

    def _lists(self, index: int) -> list[bytes]:
        """What was held of a choice: its lists, and the seals with the whole text of their blocks."""
        self._finished.add(index)
        choice = next((choice for choice in self._held.completion().choices if choice.index == index), None)
        if choice is None:
            return []
        details = details_of(choice)
        lists = {**choice.message_extra, **({FIELD: details} if details else {})}
        return [self._delta(index, lists)] if lists else []

    def _usage(self, usage: Usage) -> bytes:
        written = self._write_usage(usage, self._model, self._described.get("service_tier"))
        fields = {"choices": [], **self._described, **self._extra, "usage": written}
        return self._head + _inside(fields) + b"}" + self._after


def _inside(fields: Mapping[str, Any]) -> bytes:
    """`,"a":1,"b":2`: members to follow others in an object."""
    return b"," + jsonbytes.dumps(dict(fields))[1:-1] if fields else b""
