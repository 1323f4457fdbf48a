"""Sessions as the developer API shows them, and what may be said of one."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from weir.domain.errors import RequestInvalid
from weir.domain.ids import milliseconds
from weir.domain.record import Record
from weir.domain.totals import total
from weir.http.chat_request import NAME_LIMIT
from weir.http.config_views import company_id
from weir.http.portal import present
from weir.http.portal_figures import figures
from weir.http.portal_requests import Place
from weir.http.validation import validated

_FEEDBACK = ("PENDING", "CORRECT", "INCORRECT")
"""Maitai's numbers of them are their places here (maitai-python 1.2.34, maitai_models/session.py)."""

_TEXT_LIMIT = 1_000
_REVIEWER_LIMIT = 8

_Word = Annotated[str, Field(max_length=NAME_LIMIT)]


class FeedbackBody(BaseModel):
    """`feedback` is 0 or PENDING, 1 or CORRECT, 2 or INCORRECT; `reviewer` says who says so, in names of their own."""

    model_config = ConfigDict(extra="forbid", strict=True, defer_build=True)

    feedback: Literal[0, 1, 2, "PENDING", "CORRECT", "INCORRECT"]
    reviewer: Annotated[dict[_Word, _Word], Field(max_length=_REVIEWER_LIMIT)] | None = None
    comment: Annotated[str, Field(max_length=_TEXT_LIMIT)] | None = None
    application_id: int | None = None


def to_review(body: Any, at: datetime) -> Mapping[str, Any]:
    """Raises RequestInvalid."""
    if isinstance(body, dict) and isinstance(word := body.get("feedback"), bool | str):
        if isinstance(word, bool):
            raise RequestInvalid("'feedback' must be 0, 1 or 2, or the words for them.", param="feedback")
        body = {**body, "feedback": word.upper()}
    asked = validated(FeedbackBody, body)
    given = asked.feedback
    return present(
        {
            "feedback": _FEEDBACK.index(given) if isinstance(given, str) else given,
            "reviewer": asked.reviewer,
            "comment": asked.comment,
            "date_reviewed": milliseconds(at),
        }
    )


def session_view(
    id: str, records: Sequence[Record], *, complete: bool, review: Mapping[str, Any], place: Place, workspace: str
) -> dict[str, Any]:
    """`records` ascend. `complete` is False where there are more of them than the figures are over."""
    application, _ = place
    totals = total(records)
    return present(
        {
            "session_id": id,
            "company_id": company_id(workspace),
            "application_id": application.id if application is not None else None,
            "application_ref_name": records[0].application,
            "application_name": application.name if application is not None else None,
            "date_created": milliseconds(records[0].created_at),
            "date_ended": milliseconds(records[-1].created_at),
            "request_count": totals.records,
            "fault_count": totals.errors,
            "cost": float(totals.cost) if totals.priced else None,
            "complete": complete,
            **review,
        }
    )


def summary_view(id: str, records: Sequence[Record], *, complete: bool) -> dict[str, Any]:
    """Figures over a session, in all and by the model that was asked for."""
    totals = total(records)
    models: dict[str, list[Record]] = {}
    for record in records:
        models.setdefault(record.model or record.answered_model or "", []).append(record)
    return {
        "session_id": id,
        "date_created": milliseconds(records[0].created_at),
        "date_ended": milliseconds(records[-1].created_at),
        "complete": complete,
        **figures(totals),
        "models": [present({"model": name or None}) | figures(total(of_it)) for name, of_it in sorted(models.items())],
        "intents": sorted({record.intent for record in records if record.intent is not None}),
    }
