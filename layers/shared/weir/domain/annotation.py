"""What may be said of a record after it was kept."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime
from enum import Enum
from typing import Any, Final

from weir.domain.completion import NOTHING
from weir.domain.errors import RequestInvalid
from weir.domain.record import Record

METADATA_KEYS_LIMIT = 64


class _Unchanged(Enum):
    UNCHANGED = "unchanged"


UNCHANGED: Final = _Unchanged.UNCHANGED


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotation:
    """Changes to a record, each field by itself: what is not named stays, None takes the value away.

    `metadata` is merged into the record's, key by key; None takes a key away.
    """

    note: str | _Unchanged | None = UNCHANGED
    positive_feedback: bool | _Unchanged | None = UNCHANGED
    custom_identifier: str | _Unchanged | None = UNCHANGED
    session_id: str | _Unchanged | None = UNCHANGED
    customer_identifier: str | _Unchanged | None = UNCHANGED
    trace_id: str | _Unchanged | None = UNCHANGED
    span_id: str | _Unchanged | None = UNCHANGED
    parent_span_id: str | _Unchanged | None = UNCHANGED
    span_name: str | _Unchanged | None = UNCHANGED
    workflow_name: str | _Unchanged | None = UNCHANGED
    client_first_token_ms: float | _Unchanged | None = UNCHANGED
    client_latency_ms: float | _Unchanged | None = UNCHANGED
    corrected_at: datetime | _Unchanged = UNCHANGED
    session_review: Mapping[str, Any] | _Unchanged = UNCHANGED
    metadata: Mapping[str, Any] = NOTHING


_FIELDS = tuple(field.name for field in fields(Annotation) if field.name != "metadata")


def annotated(record: Record, annotation: Annotation) -> Record:
    """Of the next revision, if anything changes. Raises RequestInvalid when it would hold more tags than one may."""
    changed = _changed(record, annotation)
    return record if changed == record else replace(changed, revision=record.revision + 1)


def _changed(record: Record, annotation: Annotation) -> Record:
    changes = {name: value for name in _FIELDS if (value := getattr(annotation, name)) is not UNCHANGED}
    record = replace(record, **changes)
    if annotation.metadata:
        gone = {name for name, value in annotation.metadata.items() if value is None}
        merged = {**record.metadata, **annotation.metadata}
        merged = {name: value for name, value in merged.items() if name not in gone}
        if len(merged) > METADATA_KEYS_LIMIT and len(merged) > len(record.metadata):
            raise RequestInvalid(f"'metadata' would hold more than {METADATA_KEYS_LIMIT} keys.", param="metadata")
        record = replace(record, metadata=merged or NOTHING)
    return record
