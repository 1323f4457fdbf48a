"""Which models a call is asked of, in which order and for how long: what a call may say of that, and the plan it makes.

A model is named here as callers name it, `provider/model`. Durations are seconds; None is no limit of that kind.
"""

import hashlib
from dataclasses import dataclass
from typing import Literal

Strategy = Literal["reactive", "timeout", "first_response"]
"""`reactive`: the next model when one fails; `timeout`: also when it has said nothing for so long; `first_response`:
two at once, and the one that answers first."""

LONGEST_PAUSE_S = 60.0
_STEEPEST_S = 8.0
"""What the doubling of pauses ends at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadlines:
    """`connect_s`, `first_token_s` and `between_tokens_s` are those of one request to a provider, `total_s` the call's.

    Of an answer that is not streamed the first token is its first byte, and the others are what follows. 0 says that
    there is no such deadline, whatever is the rule elsewhere.
    """

    connect_s: float | None = None
    first_token_s: float | None = None
    between_tokens_s: float | None = None
    total_s: float | None = None

    def over(self, other: "Deadlines") -> "Deadlines":
        """These, and the other's where nothing is said here."""
        return Deadlines(
            connect_s=_said(self.connect_s, other.connect_s),
            first_token_s=_said(self.first_token_s, other.first_token_s),
            between_tokens_s=_said(self.between_tokens_s, other.between_tokens_s),
            total_s=_said(self.total_s, other.total_s),
        )


NO_DEADLINES = Deadlines()


@dataclass(frozen=True, slots=True)
class Retries:
    """How often the same model is asked again after it failed, and the pause before the first of those."""

    count: int
    first_pause_s: float = 0.2


NO_RETRIES = Retries(0)


@dataclass(frozen=True, slots=True)
class Share:
    """A model's part of the calls that are split between several."""

    model: str
    weight: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Routing:
    """What a call asks beyond one request to one model. `wait_s` is how long the strategy `timeout` waits for each."""

    strategy: Strategy = "reactive"
    fallbacks: tuple[str, ...] = ()
    wait_s: float | None = None
    retries: Retries = NO_RETRIES
    shares: tuple[Share, ...] = ()
    deadlines: Deadlines = NO_DEADLINES


@dataclass(frozen=True, slots=True)
class Plan:
    """Models in the order in which they are asked; those of one round at the same time.

    The first is the one that the call is for: where none answers, the call fails as that one did.
    """

    rounds: tuple[tuple[str, ...], ...]
    wait_s: float | None = None
    retries: Retries = NO_RETRIES

    @property
    def models(self) -> tuple[str, ...]:
        return tuple(model for each in self.rounds for model in each)


def planned(model: str, routing: Routing, key: str) -> Plan:
    """`key` decides a split: the same key always means the same model, as long as the shares stay as they are.

    No model is another's fallback twice, or its own: what is configured for all calls may name the one that is asked.
    """
    first = chosen(routing.shares, key) if routing.shares else model
    fallbacks = tuple(dict.fromkeys(name for name in routing.fallbacks if name != first))
    if routing.strategy == "first_response" and fallbacks:
        rounds = ((first, fallbacks[0]), *((name,) for name in fallbacks[1:]))
    else:
        rounds = ((first,), *((name,) for name in fallbacks))
    wait_s = routing.wait_s if routing.strategy == "timeout" else None
    return Plan(rounds, wait_s, routing.retries)


def chosen(shares: tuple[Share, ...], key: str) -> str:
    """A model by its weight. Keys are spread evenly, whatever they look like."""
    spread = int.from_bytes(hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()[:8], "big") / 2**64
    left = spread * sum(share.weight for share in shares)
    for share in shares:
        left -= share.weight
        if left < 0:
            return share.model
    return shares[-1].model  # what rounding leaves over


def pause_s(retries: Retries, done: int, wanted_s: float | None, chance: float) -> float | None:
    """How long to wait before the retry after `done` others; None when there is to be none.

    Half of the pause is left to `chance` (0 to 1), so that calls which failed together do not come back together. A
    provider that names a time (`wanted_s`) is not asked earlier, and not again if it wants more than a minute.
    """
    if done >= retries.count:
        return None
    own = min(retries.first_pause_s * 2**done, max(_STEEPEST_S, retries.first_pause_s)) * (0.5 + chance / 2)
    pause = max(own, wanted_s or 0)
    return pause if pause <= LONGEST_PAUSE_S else None


def _said(own: float | None, other: float | None) -> float | None:
    return own if own is not None else other
