"""The body of Maitai's store-only call: a request and the response it got elsewhere."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any, get_args

from pydantic import BaseModel, ConfigDict, Field

from weir.domain.completion import NOTHING, FinishReason
from weir.domain.errors import RequestInvalid
from weir.domain.record import Environment, Payload, Record
from weir.http.chat_request import NAME_LIMIT, IdValue, Name, check_metadata
from weir.http.claims import UsageClaim, claimed_usage
from weir.protocols import jsonbytes

_FINISH_REASONS = frozenset(get_args(FinishReason))

Required = Annotated[str, Field(min_length=1, max_length=NAME_LIMIT)]


class StoredParams(BaseModel):
    """OpenAI's parameters as they were sent elsewhere: only what the record needs is looked at."""

    model_config = ConfigDict(extra="allow", strict=True)

    messages: Annotated[list[dict[str, Any]], Field(min_length=1)]
    model: Required
    stream: bool | None = None


class StoredRequest(BaseModel):
    """`chat_completion_request`. Empty ids are the client's way of leaving them open."""

    model_config = ConfigDict(extra="allow", strict=True)

    application_ref_name: Required
    action_type: Required
    params: StoredParams
    session_id: IdValue | None = None
    reference_id: IdValue | None = None
    user_id: IdValue | None = None
    customer_identifier: IdValue | None = None
    request_id: Name | None = None
    metadata: dict[str, Any] | None = None


class StoredChoice(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True)

    finish_reason: str | None = None


class StoredResponse(BaseModel):
    """`chat_completion_response`. Times are milliseconds; 0 means that nobody measured."""

    model_config = ConfigDict(extra="allow", strict=True)

    choices: list[StoredChoice]
    model: Name | None = None
    request_id: Name | None = None
    usage: UsageClaim | None = None
    first_token_time: float | None = None
    response_time: float | None = None


class TimingMetrics(BaseModel):
    """Unix times in seconds; 0 means that it did not happen."""

    model_config = ConfigDict(extra="allow", strict=True)

    time_request_start: float | None = None
    time_first_chunk: float | None = None
    time_request_end: float | None = None


class StoreBody(BaseModel):
    """The body of `PUT /chat/completions/response`."""

    model_config = ConfigDict(extra="allow", strict=True)

    chat_completion_request: StoredRequest
    chat_completion_response: StoredResponse
    timing_metrics: TimingMetrics | None = None


def caller_id(body: StoreBody) -> str | None:
    """The id under which the caller knows the call, if it named one in the body."""
    return body.chat_completion_request.request_id or body.chat_completion_response.request_id or None


def to_record(
    body: StoreBody, *, id: str, workspace: str, environment: Environment, created_at: datetime, caller_id: str | None
) -> Record:
    """`session_id` is None when the caller gave none. Raises RequestInvalid for ids and tags that are too long."""
    asked, answered = body.chat_completion_request, body.chat_completion_response
    check_metadata(asked.metadata, "chat_completion_request.metadata")
    usage = claimed_usage(answered.usage)
    word = answered.choices[0].finish_reason if answered.choices else None
    first_token_ms, latency_ms = _times(body)
    return Record(
        id=id,
        workspace=workspace,
        environment=environment,
        created_at=created_at,
        origin="storage",
        inference_location="CLIENT",
        caller_id=caller_id,
        application=asked.application_ref_name,
        intent=asked.action_type,
        session_id=_id(asked.session_id, "session_id"),
        reference_id=_id(asked.reference_id, "reference_id"),
        user_id=_id(asked.user_id, "user_id"),
        customer_identifier=_id(asked.customer_identifier, "customer_identifier"),
        model=asked.params.model,
        answered_model=answered.model or None,
        stream=asked.params.stream is True,
        finish_reason=word if word in _FINISH_REASONS else None,
        raw_finish_reason=word,
        claimed_usage=replace(usage, cost=None) if usage is not None else None,
        claimed_cost=(usage.cost or None) if usage is not None else None,  # Maitai's client writes 0 for unknown
        first_token_ms=first_token_ms,
        latency_ms=latency_ms,
        metadata=asked.metadata or NOTHING,
    )


def to_payload(body: Mapping[str, Any]) -> Payload:
    """`body` is the call's whole body, scrubbed. What stands beside request and response is kept with the request."""
    request, response = body["chat_completion_request"], body["chat_completion_response"]
    beside = {name: value for name, value in body.items() if value is not request and value is not response}
    return Payload(jsonbytes.dumps({**beside, **request}), jsonbytes.dumps(response))


def _id(value: str | int | None, name: str) -> str | None:
    if value is None or value == "":
        return None
    if len(str(value)) > NAME_LIMIT:
        param = f"chat_completion_request.{name}"
        raise RequestInvalid(f"'{param}' is longer than {NAME_LIMIT} characters.", param=param)
    return str(value)


def _times(body: StoreBody) -> tuple[float | None, float | None]:
    """First token and whole answer, in milliseconds; the client's clock comes before what its response says."""
    response, timing = body.chat_completion_response, body.timing_metrics
    first, whole = response.first_token_time or None, response.response_time or None
    if timing is not None and (start := timing.time_request_start):
        whole = _since(start, timing.time_request_end) or whole
        first = _since(start, timing.time_first_chunk) or first
    return (first if first and first > 0 else None), (whole if whole and whole > 0 else None)


def _since(start: float, end: float | None) -> float | None:
    return round((end - start) * 1000, 3) if end and end > start else None
