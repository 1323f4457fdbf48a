"""OpenAI's Chat Completions, as its own servers and the vendors that follow it speak it.

https://platform.openai.com/docs/api-reference/chat. Departures of single vendors are data, in `OpenAIDialect`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from weir.domain.chat import ChatCall
from weir.domain.completion import NOTHING, Completion, FinishReason
from weir.domain.errors import MalformedReply, ProviderError
from weir.domain.events import (
    ChoiceFields,
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
from weir.protocols import jsonbytes, openai_request
from weir.protocols.base import WireRequest, not_its_format, reading
from weir.protocols.inline_thinking import InlineThinking
from weir.protocols.openai_error import error_in_body, error_of
from weir.protocols.openai_request import OpenAIDialect
from weir.protocols.openai_usage import usage_of
from weir.protocols.sse import SSEParser

__all__ = ["OpenAIChat", "OpenAIDialect"]

FINISH_REASONS: Mapping[str, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "content_filter": "content_filter",
    "function_call": "function_call",
    "eos": "stop",  # Together, Hugging Face
    "eos_token": "stop",  # Hugging Face text-generation-inference
    "stop_sequence": "stop",
    "end_turn": "stop",
    "max_tokens": "length",
    "model_length": "length",  # Mistral
    "insufficient_system_resource": "length",  # DeepSeek: cut off by its own load
}
"""Total for what is known; any other word is kept raw and maps to None."""

_TOP = frozenset(
    {
        "id",
        "object",
        "created",
        "model",
        "choices",
        "usage",
        "system_fingerprint",
        "service_tier",
        "error",
        "obfuscation",
    }
)
_CHOICE = frozenset({"index", "delta", "message", "finish_reason", "logprobs", "native_finish_reason", "text"})
_THINKING_FIELDS = ("reasoning_content", "reasoning", "reasoning_text")
_SHOW_THINKING = frozenset({*_THINKING_FIELDS, "reasoning_details"})
_MESSAGE = frozenset({"content", "tool_calls", "function_call", *_THINKING_FIELDS})


@dataclass(frozen=True, slots=True)
class OpenAIChat:
    """Chat Completions in one vendor's dialect. `path` may hold `{model}`, the name quoted (Azure's deployments)."""

    dialect: OpenAIDialect
    path: str = "/chat/completions"

    @property
    def name(self) -> str:
        return "openai_chat"

    @property
    def provider(self) -> str:
        return self.dialect.provider

    def render(self, call: ChatCall) -> WireRequest:
        body, dropped = openai_request.render(call, self.dialect)
        return WireRequest(self.path.replace("{model}", quote(call.model, safe="")), body, NOTHING, dropped)

    def parse(self, body: bytes) -> Completion:
        return collect(reading(self._whole(body), self.provider, body))

    def decoder(self) -> "OpenAIChatDecoder":
        return OpenAIChatDecoder(self.dialect)

    def error(self, status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
        return error_of(status, headers, body, self.provider)

    def _whole(self, body: bytes) -> Iterator[StreamEvent]:
        reply = jsonbytes.loads(body)
        if isinstance(reply, dict) and (error := error_in_body(reply, body, self.provider)):
            raise error
        decoder = OpenAIChatDecoder(self.dialect)
        choices = reply["choices"]
        yield from decoder.reply(reply, "message")
        if not choices or decoder.unfinished_without_reason:
            raise MalformedReply(f"{self.provider} sent an answer without choices.", provider=self.provider, raw=body)
        yield Ended(decoder.usage)


class _Calls:
    """One choice's tool calls: vendors' indexes and ids -> slots from 0."""

    __slots__ = ("begun", "by_index", "ids")

    def __init__(self) -> None:
        self.by_index: dict[int, int] = {}
        self.ids: list[str | None] = []
        self.begun: list[bool] = []

    def slot(self, index: int | None, id: str | None, name: str) -> int:
        """A new id under a used index is a new call: some vendors leave every index at 0.

        Without an index, a name begins a call, and what has none belongs to the last one.
        """
        last = len(self.ids) - 1 if self.ids and not name else None
        slot = self.by_index.get(index) if index is not None else last
        if slot is not None and id and self.ids[slot] and id != self.ids[slot]:
            slot = None
        if slot is None:
            slot = len(self.ids)
            self.ids.append(None)
            self.begun.append(False)
            if index is not None:
                self.by_index[index] = slot
        self.ids[slot] = self.ids[slot] or id
        return slot


class OpenAIChatDecoder:
    """Chunks of a Chat Completions stream -> events. `reply` reads a whole answer by the same rules."""

    def __init__(self, dialect: OpenAIDialect) -> None:
        self._dialect = dialect
        self._sse = SSEParser()
        self._id: str | None = None
        self._started = False
        self._fingerprint: str | None = None
        self._tier: str | None = None
        self._extra: dict[str, Any] = {}
        self._calls: dict[int, _Calls] = {}
        self._open: dict[int, bool] = {}
        self._thinking_field: dict[int, str] = {}
        self._inline: dict[int, InlineThinking] = {}
        """Of the choices whose text may still begin with thinking, or is in the middle of it."""
        self._usage: dict[str, Any] | None = None
        self._ended = False

    def feed(self, data: bytes) -> Iterator[StreamEvent]:
        for event in self._sse.feed(data):
            if event.data == b"[DONE]":
                yield from reading(self._end(), self._dialect.provider)
            elif not self._ended:
                chunk = self._loads(event.data)
                if (text := self._only_text(chunk)) is not None:
                    yield text
                else:
                    yield from reading(self._chunk(chunk, event.data), self._dialect.provider, event.data)

    def close(self) -> Iterator[StreamEvent]:
        if self._ended:
            return
        if self._dialect.ends_with_done or not self._complete:
            raise self._error_instead() or self._cut_off()
        yield from reading(self._end(), self._dialect.provider)

    def _loads(self, data: bytes) -> Any:
        try:
            return jsonbytes.loads(data)
        except jsonbytes.InvalidJSON as exc:
            raise not_its_format(exc, self._dialect.provider, data) from exc

    def _only_text(self, chunk: Any) -> TextDelta | None:
        """A piece of text for an open choice and nothing else, as nearly every chunk is. None sends it the long way."""
        match chunk:
            case {"choices": [{"delta": {"content": str() as text} as delta} as choice]} if text and len(delta) == 1:
                index = choice.get("index")
            case _:
                return None
        usual = (
            self._open.get(index) is True
            and index not in self._inline
            and choice.get("finish_reason") is None
            and choice.get("logprobs") is None
            and choice.keys() <= _CHOICE
            and chunk.keys() <= _TOP
            and not chunk.get("usage")
            and not chunk.get("error")
            and chunk.get("system_fingerprint") in (None, self._fingerprint)
            and chunk.get("service_tier") in (None, self._tier)
        )
        return TextDelta(index, text) if usual else None

    def _chunk(self, chunk: Any, data: bytes) -> Iterator[StreamEvent]:
        if error := error_in_body(chunk, data, self._dialect.provider):
            raise error
        yield from self.reply(chunk, "delta")

    def _end(self) -> Iterator[StreamEvent]:
        if not self._open:
            raise self._cut_off()
        if not self._ended:
            self._ended = True
            for index, unfinished in self._open.items():
                if unfinished:  # [DONE] without a reason (Snowflake): whole, and not said why
                    yield from self._text_is_over(index)
                    yield ChoiceFinished(index, None, None)
            yield Ended(self.usage)

    def _error_instead(self) -> ProviderError | None:
        """The error that came as a plain JSON body in place of a stream."""
        try:
            reply = jsonbytes.loads(self._sse.pending)
        except jsonbytes.InvalidJSON:
            return None
        return error_in_body(reply, self._sse.pending, self._dialect.provider) if isinstance(reply, dict) else None

    @property
    def _complete(self) -> bool:
        return bool(self._open) and not any(self._open.values())

    def _cut_off(self) -> MalformedReply:
        return MalformedReply(
            f"{self._dialect.provider} broke off before its answer was complete.",
            provider=self._dialect.provider,
            raw=self._sse.pending,
        )

    def reply(self, reply: Mapping[str, Any], member: str) -> Iterator[StreamEvent]:
        choices = reply.get("choices") or ()
        if described := self._described(reply):
            yield described
        if not self._started and (choices or reply.get("id")):
            self._started = True
            self._id = _word(reply.get("id"))
            yield Started(self._id, _word(reply.get("model")), _whole_seconds(reply.get("created")))
        usage = reply.get("usage") or (reply.get("x_groq") or NOTHING).get("usage")
        if usage and usage.get("completion_tokens") is not None:  # cumulative where it is repeated: replace, do not add
            self._usage = usage
        for choice in choices:
            index = int(choice.get("index") or 0)
            if index not in self._open:
                self._open[index] = True
                if self._dialect.inline_thinking:
                    self._inline[index] = InlineThinking(index)
            message = choice.get(member)
            logprobs = choice.get("logprobs")
            if logprobs is not None and not isinstance(logprobs, dict):
                raise TypeError("logprobs")
            if message or logprobs:
                yield from self._message(index, message or NOTHING, logprobs)
            if choice.keys() - _CHOICE and (fields := _unnamed(choice, _CHOICE)):
                yield ChoiceFields(index, fields)
            reason = choice.get("finish_reason")
            if reason is not None and not isinstance(reason, str):
                raise TypeError("finish_reason")
            if reason is not None and (reason or member == "message") and self._open[index]:
                yield from self._text_is_over(index)
                self._open[index] = False
                raw = _word(choice.get("native_finish_reason")) or reason
                if reason == "error":  # OpenRouter: the answer broke off at the provider behind it
                    raise self._broken_choice(choice, reply)
                yield ChoiceFinished(index, FINISH_REASONS.get(reason), raw)
            elif member == "message":
                yield from self._text_is_over(index)
                self._open[index] = False
                yield ChoiceFinished(index, None, None)

    @property
    def usage(self) -> Any:
        return usage_of(self._usage) if self._usage else None

    @property
    def unfinished_without_reason(self) -> bool:
        return not self._open

    def _described(self, reply: Mapping[str, Any]) -> Described | None:
        fingerprint, tier = _word(reply.get("system_fingerprint")), _word(reply.get("service_tier"))
        fingerprint = fingerprint if fingerprint and fingerprint != self._fingerprint else None
        tier = tier if tier and tier != self._tier else None
        extra: Mapping[str, Any] = NOTHING
        if reply.keys() - _TOP:
            extra = {k: v for k, v in reply.items() if k not in _TOP and v is not None and self._extra.get(k) != v}
        if fingerprint is None and tier is None and not extra:
            return None
        self._fingerprint = fingerprint or self._fingerprint
        self._tier = tier or self._tier
        self._extra.update(extra)
        return Described(fingerprint, tier, extra)

    def _message(self, index: int, message: Mapping[str, Any], logprobs: Any) -> Iterator[StreamEvent]:
        fields: dict[str, Any] | None = None
        if index in self._inline and self._inline[index].undecided and _shows_thinking(message):
            yield from self._text_is_over(index)  # whoever has a field for thinking does not write it into the text
        for name, value in message.items():
            if value is None or name == "role":
                continue
            if name == "content" and isinstance(value, str):
                if value or logprobs:
                    yield from self._text(index, value, logprobs)
                    logprobs = None
            elif name == "refusal":
                if value:
                    yield from self._text_is_over(index)
                    yield RefusalDelta(index, _text(value), logprobs)
                    logprobs = None
            elif name in _MESSAGE:
                yield from self._member(index, name, value)
            else:
                fields = fields or {}
                fields[name] = value
        if logprobs is not None:
            yield from self._text(index, "", logprobs)
        if fields:
            yield from self._shown_in_details(index, message)
            yield MessageFields(index, fields)

    def _text(self, index: int, text: str, logprobs: Any) -> Iterator[StreamEvent]:
        inline = self._inline.get(index)
        if inline is None:
            yield TextDelta(index, text, logprobs)
            return
        yield from inline.feed(text, logprobs)
        if inline.over:
            del self._inline[index]

    def _text_is_over(self, index: int) -> Iterator[StreamEvent]:
        """What comes now is no thinking in the text, and no text that was held back to see whether it is."""
        if (inline := self._inline.pop(index, None)) is not None:
            yield from inline.end()

    def _member(self, index: int, name: str, value: Any) -> Iterator[StreamEvent]:
        match name:
            case "content":
                yield from self._content(index, value)
            case "tool_calls":
                if value:
                    yield from self._text_is_over(index)
                for call in value:
                    yield from self._call(index, call)
            case "function_call":
                if value.get("name") or value.get("arguments"):  # Snowflake fills every field with nothing
                    yield from self._text_is_over(index)
                    yield from self._call(index, {"index": 0, "function": value})
            case _:
                yield from self._thinking(index, name, value)

    def _shown_in_details(self, index: int, message: Mapping[str, Any]) -> Iterator[StreamEvent]:
        """Thinking that only `reasoning_details` show (Snowflake); elsewhere they repeat what a plain field says."""
        if not any(message.get(name) for name in _THINKING_FIELDS):
            for detail in message.get("reasoning_details") or ():
                yield from self._thinking(index, "reasoning_details", detail.get("text") or detail.get("summary"))

    def _thinking(self, index: int, name: str, value: Any) -> Iterator[StreamEvent]:
        """OpenRouter and others send the same text under two names: the first name that says something counts."""
        if value and isinstance(value, str) and self._thinking_field.setdefault(index, name) == name:
            yield ThinkingDelta(index, value)

    def _content(self, index: int, content: Any) -> Iterator[StreamEvent]:
        """A list of parts (Mistral, Databricks), or an object (Cloudflare's JSON mode), in place of a text."""
        yield from self._text_is_over(index)
        if isinstance(content, dict):
            yield TextDelta(index, jsonbytes.dumps(content).decode())
            return
        unnamed: list[Any] = []
        for part in content:
            kind = part.get("type") if isinstance(part, dict) else "text"
            if isinstance(part, str):
                yield TextDelta(index, part)
            elif kind in ("thinking", "reasoning"):
                inner = part.get("thinking") or part.get("summary") or part.get("text") or []
                texts = [inner] if isinstance(inner, str) else [piece.get("text", "") for piece in inner]
                if text := "".join(texts):
                    yield ThinkingDelta(index, text, seal=_word(part.get("signature")))
            elif isinstance(part.get("text"), str):
                yield TextDelta(index, part["text"])
            else:
                unnamed.append(part)
        if unnamed:  # references, images: kept whole beside the text
            yield MessageFields(index, {"content_parts": unnamed})

    def _call(self, index: int, call: Mapping[str, Any]) -> Iterator[StreamEvent]:
        if call.get("type") == "custom" and not call.get("function"):
            yield MessageFields(index, {"custom_tool_calls": [dict(call)]})
            return
        calls = self._calls.get(index)
        if calls is None:
            calls = self._calls[index] = _Calls()
        function = call.get("function") or NOTHING
        id, name = _word(call.get("id")), _text(function.get("name") or "")
        slot = calls.slot(call.get("index"), id, name)
        arguments = function.get("arguments")
        if arguments is None:
            arguments = ""
        elif not isinstance(arguments, str):  # Ollama and others send the object itself
            arguments = jsonbytes.dumps(arguments).decode()
        extra = _unnamed(call, _CALL) if call.keys() - _CALL else NOTHING
        if calls.begun[slot]:
            if arguments or extra:
                yield ToolCallDelta(index, slot, arguments=arguments, extra=extra)
            return
        calls.begun[slot] = True
        yield ToolCallDelta(index, slot, id or _made_id(self._id, index, slot), name, arguments, extra=extra)

    def _broken_choice(self, choice: Mapping[str, Any], reply: Mapping[str, Any]) -> ProviderError:
        body = {"error": choice.get("error") or {"message": "The answer broke off with an error."}}
        raw = jsonbytes.dumps(dict(reply))
        return error_in_body(body, raw, self._dialect.provider) or self._cut_off()


_CALL = frozenset({"index", "id", "type", "function"})


def _shows_thinking(message: Mapping[str, Any]) -> bool:
    return any(message.get(name) for name in _SHOW_THINKING)


def _unnamed(fields: Mapping[str, Any], named: frozenset[str]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name not in named and value is not None}


def _text(value: Any) -> str:
    """Raises TypeError for what is no text: an answer that holds it cannot be read."""
    if not isinstance(value, str):
        raise TypeError(type(value).__name__)
    return value


def _word(value: Any) -> str | None:
    """An id or a name; empty ones say nothing, numbers are written out."""
    return _text(str(value) if isinstance(value, int) else value) if value else None


def _whole_seconds(created: float | None) -> int | None:
    """SambaNova sends fractions, which OpenAI's clients do not take."""
    return None if created is None else int(created)


def _made_id(answer: str | None, choice: int, slot: int) -> str:
    """An id for a call whose vendor gave none; the caller's next request must be able to name it."""
    return f"call_{answer or 'weir'}_{choice}_{slot}"
