"""Completions as Maitai's client reads them: newline-delimited envelopes, without explicit nulls."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from weir.domain.errors import WeirError
from weir.http.errors import one_line
from weir.protocols import jsonbytes

CHUNK_FRAME = (b'{"chat_completion_chunk":', b"}\n")
"""What stands around a chunk on its line."""


def response_line(
    body: dict[str, Any],
    *,
    request_id: str,
    response_ms: float | None,
    cost: Decimal | None = None,
    fallback_reason: str | None = None,
) -> bytes:
    """The one line of a whole answer, without a newline at its end: with one, the client drops its connection.

    `body` is a chat.completion; its `warnings` go beside it, where the client looks for them. Durations are
    milliseconds, `cost` is US dollars.
    """
    usage = {"usage": priced_usage(body["usage"], body["model"], cost)} if "usage" in body else {}
    warnings = {"warning": warning} if (warning := _warning(body.get("warnings") or ())) else {}
    response = {
        **{name: value for name, value in body.items() if name != "warnings"},
        **usage,
        "request_id": request_id,
        "correction_applied": False,
        "response_time": response_ms,
        "fallback_reason": fallback_reason,
    }
    return jsonbytes.dumps({"chat_completion_response": _present(response), **warnings})


def warning_line(warnings: Sequence[str]) -> bytes:
    """What the client shows as a Python warning; nothing if there is none."""
    return jsonbytes.dumps({"warning": _warning(warnings)}) + b"\n" if warnings else b""


def _warning(warnings: Sequence[str]) -> str:
    return "; ".join(warnings)


def priced_usage(usage: Mapping[str, Any], model: str, cost: Decimal | None) -> dict[str, Any]:
    """The client reads `cost` as a number and nothing else; where the cost is not known it is absent."""
    said = {name: value for name, value in usage.items() if name != "cost"}
    return said | {"model": model} | ({} if cost is None else {"cost": float(cost)})


def error_line(error: WeirError) -> bytes:
    """A failure after the status has been sent: the client raises it, and does not start again by itself."""
    return jsonbytes.dumps({"error": one_line(error)}) + b"\n"


def _present(value: Any) -> Any:
    """`value` without the members that are null: the client's models take absence, not null."""
    if isinstance(value, dict):
        return {name: _present(member) for name, member in value.items() if member is not None}
    if isinstance(value, list):
        return [_present(member) for member in value]
    return value
