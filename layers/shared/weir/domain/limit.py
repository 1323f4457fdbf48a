"""Limits: how much a key, a customer or an intent may use in a minute, a day or a month."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Literal, NamedTuple, get_args

from weir.domain.chat import ChatCall, Media, Message, Tool
from weir.domain.completion import Refusal, Text, Thinking, ToolCall
from weir.domain.embedding import EmbeddingCall
from weir.domain.record import Record

Measure = Literal["requests_per_minute", "tokens_per_minute", "spend_per_day", "spend_per_month"]
MEASURES: tuple[Measure, ...] = get_args(Measure)
"""In the order in which they are taken from: what is refused most often, and costs least, comes first."""

Kind = Literal["requests", "tokens", "spend"]

Per = Literal["key", "customer", "intent"]
PERS: tuple[Per, ...] = get_args(Per)

EACH = "*"
"""In the place of a name: for each that has no limit of its own for that measure."""

OPERATOR = "operator"
"""The name of the key in WEIR_API_KEY, which has no id. No id of a key is as short."""

OUTPUT_TOKENS = 1_000
"""What a call that names no limit of its own is taken to answer, until it is known."""

MEDIA_TOKENS = 1_000
"""What an image, a sound or a file is taken to be."""

_CHARACTERS_A_TOKEN = 4
_MESSAGE_TOKENS = 4
_REMEMBERED = 10_000
_DOLLAR = 10**12
"""Spend is counted in whole trillionths: so are the sums of the ledger."""


class Subject(NamedTuple):
    """What a limit is for, or whose use is counted. `name` is a key's id, a customer_identifier, or an intent's name.

    EACH for `application` stands for every intent of every application.
    """

    per: Per
    name: str
    application: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """One rule. Amounts are requests, tokens or US dollars; at least one of the two is set.

    From `most` on, calls are refused; from `warn_at` on, they are answered with a warning.
    """

    id: int
    subject: Subject
    measure: Measure
    most: Decimal | None = None
    warn_at: Decimal | None = None
    created_at: datetime
    units: int | None = field(init=False, repr=False, compare=False)
    """`most` as it is counted, reckoned once: every call asks for it."""
    warning_units: int | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name, given in (("units", self.most), ("warning_units", self.warn_at)):
            object.__setattr__(self, name, None if given is None else units(self.measure, given))


class Caller(NamedTuple):
    """Whose call it is, by everything that a limit can name."""

    key: str
    customer: str | None = None
    application: str | None = None
    intent: str | None = None


class Rules:
    """The limits of a workspace."""

    def __init__(self, limits: Iterable[Limit] = ()) -> None:
        self._by_subject: dict[Subject, dict[Measure, Limit]] = {}
        for limit in limits:
            self._by_subject.setdefault(limit.subject, {})[limit.measure] = limit
        self._found: dict[Caller, tuple[tuple[Limit, Subject], ...]] = {}

    def __bool__(self) -> bool:
        return bool(self._by_subject)

    def of(self, caller: Caller) -> tuple[tuple[Limit, Subject], ...]:
        """Those that hold for a call, and whose use of it each counts, in the order of MEASURES.

        Of a measure's limits for one kind of subject the one that names it most closely holds.
        """
        found = self._found.get(caller)
        if found is None:
            each = ((limit, names[0]) for names in _names(caller) for limit in self._closest(names).values())
            found = tuple(sorted(each, key=lambda limited: MEASURES.index(limited[0].measure)))
            if len(self._found) >= _REMEMBERED:
                self._found.clear()
            self._found[caller] = found
        return found

    def _closest(self, names: tuple[Subject, ...]) -> dict[Measure, Limit]:
        found: dict[Measure, Limit] = {}
        for name in reversed(names):
            found |= self._by_subject.get(name, {})
        return found


def _names(caller: Caller) -> Iterator[tuple[Subject, ...]]:
    """How each subject of the call may be named, the closest first, which is its own."""
    yield Subject("key", caller.key), Subject("key", EACH)
    if caller.customer is not None:
        yield Subject("customer", caller.customer), Subject("customer", EACH)
    if caller.application is not None and caller.intent is not None:
        yield (
            Subject("intent", caller.intent, caller.application),
            Subject("intent", EACH, caller.application),
            Subject("intent", EACH, EACH),
        )


class Window(NamedTuple):
    """A minute, a day or a month of UTC. `name` sorts by time."""

    name: str
    ends: datetime


def minute_of(at: datetime) -> datetime:
    return at.replace(second=0, microsecond=0)


@lru_cache(maxsize=64)
def window_of(measure: Measure, minute: datetime) -> Window:
    """The one that a minute of UTC is in."""
    match measure:
        case "requests_per_minute" | "tokens_per_minute":
            return Window(f"{minute:%Y%m%d%H%M}", minute + timedelta(minutes=1))
        case "spend_per_day":
            return Window(f"{minute:%Y%m%d}", minute.replace(hour=0, minute=0) + timedelta(days=1))
        case "spend_per_month":
            first = minute.replace(day=1, hour=0, minute=0)
            return Window(f"{minute:%Y%m}", (first + timedelta(days=32)).replace(day=1))


class Standing(NamedTuple):
    """How much of a limit was used when a call was admitted or refused, in what it is counted in."""

    limit: Limit
    used: int
    resets_in_s: float

    @property
    def remaining(self) -> int | None:
        return None if self.limit.units is None else max(0, self.limit.units - self.used)


def units(measure: Measure, amount: Decimal) -> int:
    """As it is counted: whole requests or tokens, trillionths of a dollar."""
    return round(amount * _DOLLAR) if is_spend(measure) else int(amount)


def amount(measure: Measure, units: int) -> Decimal:
    return Decimal(units) / _DOLLAR if is_spend(measure) else Decimal(units)


def is_spend(measure: Measure) -> bool:
    return kind_of(measure) == "spend"


def kind_of(measure: Measure) -> Kind:
    match measure:
        case "requests_per_minute":
            return "requests"
        case "tokens_per_minute":
            return "tokens"
        case "spend_per_day" | "spend_per_month":
            return "spend"


def used_by(measure: Measure, record: Record) -> int | None:
    """What a call has used in the end; None if nobody knows."""
    if measure == "requests_per_minute":
        return 1
    if measure == "tokens_per_minute":
        own = record.claimed_usage
        if not record.attempts:
            return None if own is None else own.total
        # The record's own tokens are those of one attempt, whichever way that has ended.
        known = sum((tried.prompt_tokens or 0) + (tried.completion_tokens or 0) for tried in record.attempts)
        return known or None if own is None else known
    return None if record.cost is None else units(measure, record.cost)


class Estimate(NamedTuple):
    """Tokens that a call is taken to need, before it is made."""

    prompt: int
    completion: int

    @property
    def total(self) -> int:
        return self.prompt + self.completion


def estimate(call: ChatCall | EmbeddingCall) -> Estimate:
    """Of the prompt, a token for every four bytes; of the answer, as many as the call allows."""
    if isinstance(call, EmbeddingCall):
        tokens = (_tokens(text) if isinstance(text, str) else len(text) for text in call.inputs)
        return Estimate(sum(tokens), 0)
    prompt = sum(_message_tokens(message) for message in call.messages) + sum(
        _tokens(str(_shape(t))) for t in call.tools
    )
    limit = call.output_limit if call.output_limit is not None else OUTPUT_TOKENS
    return Estimate(prompt, limit * (call.n or 1))


def _shape(tool: object) -> object:
    return (tool.name, tool.description, tool.parameters) if isinstance(tool, Tool) else tool


def _message_tokens(message: Message) -> int:
    tokens = _MESSAGE_TOKENS
    for part in message.parts:
        match part:
            case Text(text=text) | Thinking(text=text) | Refusal(text=text):
                tokens += _tokens(text)
            case ToolCall(name=name, arguments=arguments):
                tokens += _tokens(name) + _tokens(arguments)
            case Media():
                tokens += MEDIA_TOKENS
            case _:
                tokens += _tokens(str(part.fields))
    return tokens


def _tokens(text: str) -> int:
    """Bytes, not characters: a character of Chinese is about a token."""
    length = len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
    return -(-length // _CHARACTERS_A_TOKEN)
