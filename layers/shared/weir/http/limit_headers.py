"""What limits say in headers: OpenAI's of its rate limits, and warnings."""

import math
from collections.abc import Mapping, Sequence

from weir.domain.limit import Measure, Standing

_KINDS: Mapping[Measure, str] = {"requests_per_minute": "requests", "tokens_per_minute": "tokens"}
"""Budgets have no such header: OpenAI says nothing of what is left of them."""


def limit_headers(standings: Sequence[Standing], notices: Sequence[str]) -> dict[str, str]:
    """Of several limits of a kind, those of the one with the least left.

    Names and forms are those of platform.openai.com/docs/guides/rate-limits, "Rate limits in headers".
    """
    least: dict[str, tuple[int, Standing]] = {}
    for standing in standings:
        kind, remaining = _KINDS.get(standing.limit.measure), standing.remaining
        if kind is not None and remaining is not None and (kind not in least or remaining < least[kind][0]):
            least[kind] = remaining, standing
    headers: dict[str, str] = {}
    for kind, (remaining, standing) in least.items():
        headers[f"x-ratelimit-limit-{kind}"] = str(standing.limit.units)
        headers[f"x-ratelimit-remaining-{kind}"] = str(remaining)
        headers[f"x-ratelimit-reset-{kind}"] = _duration(standing.resets_in_s)
    if notices:
        headers["x-weir-warning"] = "; ".join(notices)
    return headers


def _duration(seconds: float) -> str:
    """As `6m0s` or `42s`."""
    minutes, rest = divmod(math.ceil(seconds), 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"
