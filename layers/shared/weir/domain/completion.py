"""What a model answered: typed parts, finish reason, usage."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal, Never

FinishReason = Literal["stop", "length", "tool_calls", "content_filter", "function_call"]


class _Empty(dict[str, Any]):
    """A dict that stays empty. Hashable, because Python 3.11 takes no other kind of mapping as a field's default."""

    def _refuse(self, *_: object, **__: object) -> Never:
        raise TypeError("the shared empty mapping cannot be changed")

    __setitem__ = __ior__ = update = setdefault = _refuse

    def __hash__(self) -> int:  # type: ignore[override]
        return 0


NOTHING: Mapping[str, Any] = _Empty()
"""The empty mapping, shared: most answers have no fields beyond those we name."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Token counts. `prompt` includes cached tokens (read and written), `completion` includes reasoning.

    None means that the provider did not say; it is never replaced by 0. `extra` holds the provider's fields that
    have no name here, as they came. `cost` is in US dollars, as the provider claimed it.
    """

    prompt: int
    completion: int
    cached: int | None = None
    cache_written: int | None = None
    reasoning: int | None = None
    prompt_audio: int | None = None
    completion_audio: int | None = None
    accepted_prediction: int | None = None
    rejected_prediction: int | None = None
    cost: Decimal | None = None
    extra: Mapping[str, Any] = NOTHING

    @property
    def total(self) -> int:
        return self.prompt + self.completion


@dataclass(frozen=True, slots=True)
class Text:
    """Written text. In an answer `extra` is empty; in a request it holds fields such as `cache_control`."""

    text: str
    extra: Mapping[str, Any] = NOTHING


@dataclass(frozen=True, slots=True)
class Thinking:
    """Reasoning the model showed, or hid.

    `seal` is what its provider wants back with it (signature, encrypted content, thought signature), opaque to us.
    `redacted` means that the model reasoned and the provider withheld the text; the seal then stands for it.
    `id` is the provider's name of the block where it has one. `provider` says whose seal it is.
    """

    text: str
    seal: str | None = None
    redacted: bool = False
    id: str | None = None
    provider: str | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """The model's own words in refusing."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call the model asks for. `arguments` is the text the model wrote, normally JSON, kept to the letter."""

    id: str
    name: str
    arguments: str
    seal: str | None = None
    extra: Mapping[str, Any] = NOTHING


AnswerPart = Text | Thinking | Refusal | ToolCall


@dataclass(frozen=True, slots=True)
class Choice:
    """One of the answers asked for (`n`), its parts in the order the model gave them.

    `raw_reason` is the provider's own word for why it ended; `reason` is None when we do not know that word.
    `logprobs` is in OpenAI's form. `message_extra` are message fields without a name here (`annotations`, `audio`, …),
    `extra` those of the choice itself (`content_filter_results`, …), as they came.
    """

    index: int
    parts: tuple[AnswerPart, ...]
    reason: FinishReason | None
    raw_reason: str | None
    logprobs: Mapping[str, Any] | None = None
    message_extra: Mapping[str, Any] = NOTHING
    extra: Mapping[str, Any] = NOTHING

    @property
    def text(self) -> str:
        return "".join(part.text for part in self.parts if isinstance(part, Text))

    @property
    def thinking(self) -> str:
        return "".join(part.text for part in self.parts if isinstance(part, Thinking))

    @property
    def refusal(self) -> str:
        return "".join(part.text for part in self.parts if isinstance(part, Refusal))

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        return tuple(part for part in self.parts if isinstance(part, ToolCall))


@dataclass(frozen=True, slots=True)
class Completion:
    """A whole answer. `extra` are the provider's top-level fields without a name here, as they came."""

    id: str | None
    model: str | None
    choices: tuple[Choice, ...]
    usage: Usage | None = None
    created: int | None = None
    system_fingerprint: str | None = None
    service_tier: str | None = None
    extra: Mapping[str, Any] = field(default=NOTHING)
