"""On what terms a call may be answered with what answered the same call before."""

from dataclasses import dataclass

DEFAULT_TTL_S = 1800.0
"""As long as Keywords AI's proxy keeps an answer when nobody says how long."""

LONGEST_TTL_S = 30 * 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheTerms:
    """`ttl_s`: how old an answer may be, and how long the one to this call is kept.

    `by_customer`: only what was answered to the same customer. `tool_calls` and `truncated` (ended by its length or by
    a filter) allow answers that are not kept otherwise.
    """

    ttl_s: float = DEFAULT_TTL_S
    by_customer: bool = False
    tool_calls: bool = False
    truncated: bool = False
