"""What one invocation of a function counts and measures on its way, where somebody wants to know it."""

from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(slots=True)
class Figures:
    """`provider_s` is the time that was spent waiting for providers, `store_s` the longest that a record took to keep.

    `provider_errors` are failures that are no mistake of the caller's, `spilled` records put aside, `unstored` answers
    whose records could not be kept at all.
    """

    provider_errors: int = 0
    provider_s: float = 0.0
    first_token_ms: float | None = None
    store_s: float | None = None
    spilled: int = 0
    unstored: int = 0


FIGURES: ContextVar[Figures | None] = ContextVar("FIGURES", default=None)
"""Of the invocation under way; None where nobody asks, as in a server on one machine."""
