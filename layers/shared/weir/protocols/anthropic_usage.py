"""Token counts of the Messages API."""

from collections.abc import Mapping
from typing import Any

from weir.domain.completion import NOTHING, Usage

_NAMED = frozenset({"input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"})


def usage_of(usage: Mapping[str, Any]) -> Usage | None:
    """None when the counts are missing. `input_tokens` leaves out what was read from or written to the cache, so the
    prompt is the sum of all three: https://platform.claude.com/docs/en/build-with-claude/prompt-caching."""
    given, completion = usage.get("input_tokens"), usage.get("output_tokens")
    if given is None or completion is None:
        return None
    cached, written = usage.get("cache_read_input_tokens"), usage.get("cache_creation_input_tokens")
    details = usage.get("output_tokens_details") or NOTHING
    return Usage(
        given + (cached or 0) + (written or 0),
        completion,
        cached=cached,
        cache_written=written,
        reasoning=details.get("thinking_tokens"),
        extra=_extra(usage),
    )


def _extra(usage: Mapping[str, Any]) -> Mapping[str, Any]:
    extra: dict[str, Any] = {}
    for name, value in usage.items():
        if name == "output_tokens_details":
            value = {k: v for k, v in (value or NOTHING).items() if k != "thinking_tokens" and v is not None} or None
        if name not in _NAMED and value is not None:
            extra[name] = value
    return extra or NOTHING
