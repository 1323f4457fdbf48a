"""An answer as it arrives, and `collect`, the only place that folds it into a Completion.

`choice` is the index of the answer among `n`; `slot` numbers a choice's tool calls from 0 in their order, whatever the
provider's own block numbers; `block` numbers its thinking blocks the same way.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from weir.domain.completion import (
    NOTHING,
    AnswerPart,
    Choice,
    Completion,
    FinishReason,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    Usage,
)


@dataclass(frozen=True, slots=True)
class Started:
    """The provider began to answer: once, before any piece of the answer itself."""

    id: str | None
    model: str | None
    created: int | None = None


@dataclass(frozen=True, slots=True)
class Described:
    """Facts about the whole answer, whenever the provider gives or changes one. None: nothing said this time."""

    system_fingerprint: str | None = None
    service_tier: str | None = None
    extra: Mapping[str, Any] = NOTHING


@dataclass(frozen=True, slots=True)
class TextDelta:
    choice: int
    text: str
    logprobs: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class RefusalDelta:
    choice: int
    text: str
    logprobs: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class ThinkingDelta:
    """More of thinking block `block`. `seal` is appended to the block's seal: providers send it whole or in pieces."""

    choice: int
    text: str
    block: int = 0
    seal: str | None = None
    redacted: bool = False
    id: str | None = None
    provider: str | None = None


@dataclass(frozen=True, slots=True)
class ToolCallDelta:
    """More of the tool call in `slot`. `id` and `name` come with the first delta of a slot, only once."""

    choice: int
    slot: int
    id: str | None = None
    name: str | None = None
    arguments: str = ""
    seal: str | None = None
    extra: Mapping[str, Any] = NOTHING


@dataclass(frozen=True, slots=True)
class MessageFields:
    """Message fields without a name here. Lists are appended to, texts inside objects joined, the rest replaced."""

    choice: int
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ChoiceFields:
    """Fields of the choice itself without a name here. Later values replace earlier ones."""

    choice: int
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ChoiceFinished:
    choice: int
    reason: FinishReason | None
    raw_reason: str | None


@dataclass(frozen=True, slots=True)
class Ended:
    """The provider said that the answer is whole: last, and once."""

    usage: Usage | None = None


StreamEvent = (
    Started
    | Described
    | TextDelta
    | RefusalDelta
    | ThinkingDelta
    | ToolCallDelta
    | MessageFields
    | ChoiceFields
    | ChoiceFinished
    | Ended
)


def holds_token(events: Iterable[StreamEvent]) -> bool:
    """Whether any of them is a piece of the answer itself."""
    return not all(isinstance(event, Started | Described) for event in events)


class _ChoiceParts:
    """One choice while it grows. Parts keep the order in which they began."""

    def __init__(self) -> None:
        self.order: list[list[Any]] = []
        self.by_key: dict[tuple[str, int], list[Any]] = {}
        self.open_text: list[Any] | None = None
        self.logprobs: dict[str, Any] = {}
        self.message_extra: dict[str, Any] = {}
        self.extra: dict[str, Any] = {}
        self.reason: FinishReason | None = None
        self.raw_reason: str | None = None

    def text(self, kind: str, text: str) -> None:
        part = self.open_text
        if part is None or part[0] != kind:
            part = self.open_text = [kind, []]
            self.order.append(part)
        part[1].append(text)

    def logprob(self, more: Mapping[str, Any]) -> None:
        for name, value in more.items():
            known = self.logprobs.get(name)
            if isinstance(known, list) and isinstance(value, list):
                self.logprobs[name] = known + value
            elif value is not None or name not in self.logprobs:
                self.logprobs[name] = value

    def think(self, event: ThinkingDelta) -> None:
        part = self.by_key.get(("think", event.block))
        if part is None:
            part = self.by_key["think", event.block] = ["think", [], [], False, None, None]
            self.order.append(part)
        self.open_text = None
        part[1].append(event.text)
        if event.seal is not None:
            part[2].append(event.seal)
        part[3] = part[3] or event.redacted
        part[4] = event.id or part[4]
        part[5] = event.provider or part[5]

    def call(self, event: ToolCallDelta) -> None:
        part = self.by_key.get(("call", event.slot))
        if part is None:
            part = self.by_key["call", event.slot] = ["call", "", "", [], [], {}]
            self.order.append(part)
        self.open_text = None
        part[1] = part[1] or event.id or ""
        part[2] = part[2] or event.name or ""
        part[3].append(event.arguments)
        if event.seal is not None:
            part[4].append(event.seal)
        if event.extra:
            part[5].update(event.extra)

    def parts(self) -> tuple[AnswerPart, ...]:
        return tuple(_finished_part(part) for part in self.order)


def _finished_part(part: list[Any]) -> AnswerPart:
    match part[0]:
        case "text":
            return Text("".join(part[1]))
        case "refusal":
            return Refusal("".join(part[1]))
        case "think":
            return Thinking("".join(part[1]), "".join(part[2]) or None, part[3], part[4], part[5])
        case _:
            return ToolCall(part[1], part[2], "".join(part[3]), "".join(part[4]) or None, part[5] or NOTHING)


_WHOLE = frozenset({"id", "type", "format", "name", "index"})
"""Members of an object that name it; everything else that is text comes in pieces."""


def merge_fields(known: dict[str, Any], more: Mapping[str, Any]) -> None:
    """Fold later message fields into earlier ones: lists grow, texts inside objects join, the rest is replaced."""
    for name, value in more.items():
        old = known.get(name)
        if isinstance(old, list) and isinstance(value, list):
            known[name] = old + value
        elif isinstance(old, dict) and isinstance(value, dict):
            known[name] = {**old, **{k: v if k in _WHOLE else _joined(old.get(k), v) for k, v in value.items()}}
        else:
            known[name] = value


def _joined(old: Any, new: Any) -> Any:
    return old + new if isinstance(old, str) and isinstance(new, str) else new


class Collector:
    """Folds events one by one, so that an answer that breaks off can still be kept as far as it came."""

    def __init__(self) -> None:
        self._started: Started | None = None
        self._fingerprint: str | None = None
        self._tier: str | None = None
        self._extra: dict[str, Any] = {}
        self._choices: dict[int, _ChoiceParts] = {}
        self._usage: Usage | None = None
        self.ended = False

    def add(self, event: StreamEvent) -> None:
        match event:
            case TextDelta(choice, text, logprobs):
                grown = self._choice(choice)
                grown.text("text", text)
                if logprobs is not None:
                    grown.logprob(logprobs)
            case ToolCallDelta(choice=choice):
                self._choice(choice).call(event)
            case ThinkingDelta(choice=choice):
                self._choice(choice).think(event)
            case RefusalDelta(choice, text, logprobs):
                grown = self._choice(choice)
                grown.text("refusal", text)
                if logprobs is not None:
                    grown.logprob(logprobs)
            case MessageFields(choice, fields):
                merge_fields(self._choice(choice).message_extra, fields)
            case ChoiceFields(choice, fields):
                self._choice(choice).extra.update(fields)
            case ChoiceFinished(choice, reason, raw_reason):
                grown = self._choice(choice)
                grown.reason, grown.raw_reason = reason, raw_reason
            case Started():
                self._started = event
            case Described(fingerprint, tier, extra):
                self._fingerprint = fingerprint or self._fingerprint
                self._tier = tier or self._tier
                self._extra.update(extra)
            case Ended(usage):
                self._usage = usage
                self.ended = True

    def completion(self) -> Completion:
        """The answer as far as it came; `ended` says whether that is all of it."""
        started = self._started or Started(None, None)
        return Completion(
            started.id,
            started.model,
            tuple(
                Choice(
                    index,
                    c.parts(),
                    c.reason,
                    c.raw_reason,
                    c.logprobs or None,
                    c.message_extra or NOTHING,
                    c.extra or NOTHING,
                )
                for index, c in sorted(self._choices.items())
            ),
            self._usage,
            started.created,
            self._fingerprint,
            self._tier,
            self._extra or NOTHING,
        )

    def _choice(self, index: int) -> _ChoiceParts:
        choice = self._choices.get(index)
        if choice is None:
            choice = self._choices[index] = _ChoiceParts()
        return choice


def collect(events: Iterable[StreamEvent]) -> Completion:
    """Fold a whole answer. Whatever `events` raises passes through."""
    collector = Collector()
    for event in events:
        collector.add(event)
    return collector.completion()
