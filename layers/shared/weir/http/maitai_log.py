"""The body of Maitai's `PUT /chat/completions/log`: a call in its provider's own format."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

from weir.domain.completion import NOTHING, Completion
from weir.domain.record import Environment, Failure, Payload, Record
from weir.http.chat_reply import ANSWER_PREFIX, completion_body
from weir.http.chat_request import NAME_LIMIT, IdValue, Name, check_metadata
from weir.http.maitai_store import Required, TimingMetrics, id_text, measured
from weir.protocols import jsonbytes


class NativeLogBody(BaseModel):
    """`request` and `response` are the provider's. `sample_rate`, the share of calls that are logged, is kept."""

    model_config = ConfigDict(extra="allow", strict=True, defer_build=True)

    provider: Required
    action_type: Required
    application_ref_name: Required
    request: dict[str, Any] = {}
    response: dict[str, Any] = {}
    timing_metrics: TimingMetrics | None = None
    session_id: IdValue | None = None
    reference_id: IdValue | None = None
    user_id: IdValue | None = None
    request_id: Name | None = None
    metadata: dict[str, Any] | None = None
    sample_rate: float | None = None


def log_record(
    body: NativeLogBody,
    completion: Completion | None,
    *,
    id: str,
    workspace: str,
    environment: Environment,
    created_at: datetime,
    caller_id: str | None,
    failure: Failure | None = None,
    warnings: tuple[str, ...] = (),
) -> Record:
    """Without a completion the answer is a failure, or could not be read. Raises RequestInvalid for long ids."""
    check_metadata(body.metadata)
    usage = completion.usage if completion is not None else None
    choice = completion.choices[0] if completion is not None and completion.choices else None
    first_token_ms, latency_ms = measured(body.timing_metrics)
    return Record(
        id=id,
        workspace=workspace,
        environment=environment,
        created_at=created_at,
        origin="storage",
        inference_location="CLIENT",
        caller_id=caller_id,
        application=body.application_ref_name,
        intent=body.action_type,
        session_id=id_text(body.session_id, "session_id"),
        reference_id=id_text(body.reference_id, "reference_id"),
        user_id=id_text(body.user_id, "user_id"),
        provider=body.provider.lower(),
        model=_name(body.request.get("model")),
        answered_model=_name(completion.model) if completion is not None else None,
        stream=body.request.get("stream") is True,
        status_code=200 if failure is None else failure.provider_status or 500,
        outcome="complete" if failure is None else "error",
        failure=failure,
        finish_reason=choice.reason if choice is not None else None,
        raw_finish_reason=choice.raw_reason if choice is not None else None,
        claimed_usage=replace(usage, cost=None, extra=NOTHING) if usage is not None else None,
        claimed_cost=usage.cost if usage is not None else None,
        first_token_ms=first_token_ms,
        latency_ms=latency_ms,
        metadata=body.metadata or NOTHING,
        warnings=warnings,
    )


def log_payload(scrubbed: Mapping[str, Any], completion: Completion | None, record: Record) -> Payload:
    """The native request stays as `params`. An answer in another form than OpenAI's is kept in both."""
    request, response = scrubbed.get("request", {}), scrubbed.get("response", {})
    beside = {name: value for name, value in scrubbed.items() if name not in ("request", "response")}
    kept, native = jsonbytes.dumps({**beside, "params": request}), jsonbytes.dumps(response)
    if completion is None or isinstance(response.get("choices"), list):
        return Payload(kept, native)
    said = completion_body(
        completion,
        id=ANSWER_PREFIX + record.id,
        created=int(record.created_at.timestamp()),
        model=record.model or "",
        summary=True,
    )
    return Payload(kept, jsonbytes.dumps(said), native)


def _name(value: Any) -> str | None:
    return value[:NAME_LIMIT] if isinstance(value, str) and value else None
