"""Several logs in one request, and changes to logs that are kept."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, StrictBool

from weir.domain.annotation import UNCHANGED, Annotation
from weir.domain.completion import NOTHING
from weir.domain.errors import RequestInvalid, WeirError
from weir.http.chat_request import IdValue, check_metadata
from weir.http.errors import one_line
from weir.http.request_logs import Note, check_length
from weir.http.validation import validated

BULK_LIMIT = 500
BATCH_LIMIT = 5_000
"""The older route's."""

CHANGEABLE = ("metadata", "note", "positive_feedback", "custom_identifier")


class AnnotationBody(BaseModel):
    """What may be changed after a log was kept. `metadata` is merged; null takes a value, or a key of it, away."""

    model_config = ConfigDict(extra="allow", strict=True, defer_build=True)

    metadata: dict[str, Any] | None = None
    note: Note | None = None
    positive_feedback: StrictBool | None = None
    custom_identifier: IdValue | None = None


def to_rows(body: Any, most: int) -> Sequence[Any]:
    """The members of `logs`, whatever each is. Raises RequestInvalid."""
    rows = body.get("logs") if isinstance(body, dict) else None
    if not isinstance(rows, list) or not rows:
        raise RequestInvalid("'logs' must be a list with at least one log.", param="logs")
    if len(rows) > most:
        raise RequestInvalid(f"'logs' holds {len(rows)} logs, and may hold {most}.", param="logs")
    return rows


def to_span_rows(body: Any, most: int) -> Sequence[Any]:
    """The members of a list, or of `data`, as the exporters of agents' frameworks have it. Raises RequestInvalid."""
    rows = body.get("data") if isinstance(body, dict) else body
    if not isinstance(rows, list):
        raise RequestInvalid("The request body must be a list of spans, or an object with such a list as 'data'.")
    if len(rows) > most:
        raise RequestInvalid(f"The list holds {len(rows)} spans, and may hold {most}.")
    return rows


def to_annotation(body: Any, ids: Sequence[str] = ()) -> Annotation:
    """`ids` are fields that may be there too because they say which log is meant. Raises RequestInvalid."""
    changes = validated(AnnotationBody, body)
    for name in changes.model_extra or ():
        if name not in ids:
            raise RequestInvalid(f"'{name[:80]}' cannot be changed; {', '.join(CHANGEABLE)} can.", param=name[:80])
    if not changes.model_fields_set:
        raise RequestInvalid(f"There is nothing to change; {', '.join(CHANGEABLE)} can be.")
    if "metadata" in changes.model_fields_set and changes.metadata is None:
        raise RequestInvalid("'metadata' must be an object; null for a key of it takes that away.", param="metadata")
    check_metadata(changes.metadata)
    check_length(changes.custom_identifier, "custom_identifier")
    custom = changes.custom_identifier
    said = changes.model_fields_set
    return Annotation(
        note=(changes.note or None) if "note" in said else UNCHANGED,
        positive_feedback=changes.positive_feedback if "positive_feedback" in said else UNCHANGED,
        custom_identifier=(
            (str(custom) if custom not in (None, "") else None) if "custom_identifier" in said else UNCHANGED
        ),
        metadata=changes.metadata if changes.metadata is not None else NOTHING,
    )


def row_id(row: Any) -> str:
    """Which log a row of a batch update means. Raises RequestInvalid."""
    if not isinstance(row, dict):
        raise RequestInvalid("A row must be a JSON object.")
    for name in ("unique_id", "id"):
        if isinstance(row.get(name), str) and row[name]:
            return str(row[name])
    raise RequestInvalid("'unique_id' is required.", param="unique_id")


def bulk_body(count: int, errors: Mapping[int, WeirError]) -> dict[str, Any]:
    return {
        "success_count": count - len(errors),
        "error_count": len(errors),
        "errors": [{"index": index, "error": one_line(error)} for index, error in sorted(errors.items())],
    }


def batch_body(ids: Sequence[str | None], errors: Mapping[int, WeirError]) -> dict[str, Any]:
    """The older route's, in the order of the rows."""
    return {
        "results": [
            {"id": id, "status": "success"}
            if index not in errors
            else {"id": None, "status": "error", "error": one_line(errors[index])}
            for index, id in enumerate(ids)
        ]
    }
