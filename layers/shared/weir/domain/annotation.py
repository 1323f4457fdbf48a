"""What may be said of a record after it was kept."""

from dataclasses import dataclass, replace
from enum import Enum
from typing import Final, Literal

from weir.domain.record import Record


class _Unchanged(Enum):
    UNCHANGED = "unchanged"


UNCHANGED: Final = _Unchanged.UNCHANGED


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotation:
    """Changes to a record, each field by itself: what is not named stays, None takes the value away."""

    client_first_token_ms: float | Literal[_Unchanged.UNCHANGED] | None = UNCHANGED
    client_latency_ms: float | Literal[_Unchanged.UNCHANGED] | None = UNCHANGED


def annotated(record: Record, annotation: Annotation) -> Record:
    if annotation.client_first_token_ms is not UNCHANGED:
        record = replace(record, client_first_token_ms=annotation.client_first_token_ms)
    if annotation.client_latency_ms is not UNCHANGED:
        record = replace(record, client_latency_ms=annotation.client_latency_ms)
    return record
