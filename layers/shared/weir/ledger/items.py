"""A Record as the JSON text that every engine stores. Absent means None; nothing is ever stored as a made-up zero."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from weir.domain.completion import NOTHING, Usage
from weir.domain.ids import milliseconds
from weir.domain.record import Failure, ProviderAttempt, Record
from weir.protocols import jsonbytes

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PLAIN = (
    "id",
    "workspace",
    "environment",
    "origin",
    "inference_location",
    "request_type",
    "caller_id",
    "application",
    "intent",
    "session_id",
    "reference_id",
    "user_id",
    "customer_identifier",
    "provider",
    "model",
    "answered_model",
    "stream",
    "status_code",
    "outcome",
    "finish_reason",
    "raw_finish_reason",
    "price_version",
    "first_token_ms",
    "latency_ms",
    "client_first_token_ms",
    "client_latency_ms",
    "log_type",
    "custom_identifier",
    "group_identifier",
    "trace_id",
    "span_id",
    "parent_span_id",
    "span_name",
    "workflow_name",
    "prompt_id",
    "prompt_name",
    "deployment",
    "tokens_per_second",
    "note",
    "positive_feedback",
    "writer",
    "fallback_reason",
)
_ATTEMPT = (
    "provider",
    "model",
    "outcome",
    "status",
    "failure",
    "begun_ms",
    "first_token_ms",
    "latency_ms",
    "prompt_tokens",
    "completion_tokens",
)
_COSTS = ("claimed_cost", "computed_cost")
_ATTEMPT_COSTS = (*_COSTS, "estimated_cost")
_SHORT = (("cache_key", "ck"), ("cached_from", "cf"))
"""Fields that few records have, and their names in an item."""

_USAGE = (
    "prompt",
    "completion",
    "cached",
    "cache_written",
    "reasoning",
    "prompt_audio",
    "completion_audio",
    "accepted_prediction",
    "rejected_prediction",
)


def to_item(record: Record) -> bytes:
    return jsonbytes.dumps(to_fields(record))


def from_item(text: bytes | str) -> Record:
    return from_fields(jsonbytes.loads(text))


def to_fields(record: Record) -> dict[str, Any]:
    """What to_item writes, as JSON values."""
    item: dict[str, Any] = {name: value for name in _PLAIN if (value := getattr(record, name)) is not None}
    for name, short in _SHORT:
        if (value := getattr(record, name)) is not None:
            item[short] = value
    item["created_at"] = milliseconds(record.created_at)
    if (failure := record.failure) is not None:
        item["failure"] = {
            name: value
            for name in ("kind", "message", "code", "provider_status")
            if (value := getattr(failure, name)) is not None
        }
    if (usage := record.claimed_usage) is not None:
        item["claimed_usage"] = {name: value for name in _USAGE if (value := getattr(usage, name)) is not None}
    item |= _costs(record)
    if record.metadata:
        item["metadata"] = record.metadata
    if record.warnings:
        item["warnings"] = record.warnings
    if record.corrected_at is not None:
        item["corrected_at"] = milliseconds(record.corrected_at)
    if record.session_review:
        item["session_review"] = record.session_review
    if record.attempts:
        item["attempts"] = [_attempt_fields(attempt) for attempt in record.attempts]
    if record.revision:
        item["revision"] = record.revision
    return item


def _costs(priced: Record | ProviderAttempt) -> dict[str, str]:
    names = _COSTS if isinstance(priced, Record) else _ATTEMPT_COSTS
    return {name: str(cost) for name in names if (cost := getattr(priced, name)) is not None}


def _attempt_fields(attempt: ProviderAttempt) -> dict[str, Any]:
    said = {name: value for name in _ATTEMPT if (value := getattr(attempt, name)) is not None}
    return said | _costs(attempt)


def _attempt(item: Mapping[str, Any]) -> ProviderAttempt:
    costs: dict[str, Any] = {name: _decimal(item.get(name)) for name in _ATTEMPT_COSTS}
    return ProviderAttempt(**{name: item[name] for name in _ATTEMPT if name in item}, **costs)


def from_fields(item: Mapping[str, Any]) -> Record:
    """Fields of other names are left aside."""
    failure, usage = item.get("failure"), item.get("claimed_usage")
    return Record(
        **{name: item[name] for name in _PLAIN if name in item},
        created_at=_instant(item["created_at"]),
        failure=None if failure is None else Failure(**failure),
        claimed_usage=None if usage is None else Usage(**usage),
        claimed_cost=_decimal(item.get("claimed_cost")),
        computed_cost=_decimal(item.get("computed_cost")),
        metadata=item.get("metadata", NOTHING),
        warnings=tuple(item.get("warnings", ())),
        corrected_at=_instant(item["corrected_at"]) if "corrected_at" in item else None,
        session_review=item.get("session_review", NOTHING),
        attempts=tuple(map(_attempt, item.get("attempts", ()))),
        cache_key=item.get("ck"),
        cached_from=item.get("cf"),
        revision=item.get("revision", 0),
    )


def _instant(milliseconds: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=milliseconds)


def _decimal(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)
