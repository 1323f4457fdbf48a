"""The body of Maitai's store-only call: a request and the response it got elsewhere."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any, get_args

from pydantic import BaseModel, ConfigDict, Field

from weir.domain.completion import NOTHING, FinishReason
from weir.domain.errors import RequestInvalid
from weir.domain.record import Environment, Payload, Record
from weir.http.camel_case import snake_cased
from weir.http.chat_request import NAME_LIMIT, IdValue, Name, check_metadata
from weir.http.claims import UsageClaim, claimed_usage
from weir.protocols import jsonbytes

_FINISH_REASONS = frozenset(get_args(FinishReason))

_DUMPED = frozenset({"auth_keys", "client_params", "timing_metrics"})

Required = Annotated[str, Field(min_length=1, max_length=NAME_LIMIT)]


class StoredParams(BaseModel):
    """OpenAI's parameters as they were sent elsewhere: only what the record needs is looked at."""

    model_config = ConfigDict(extra="allow", strict=True, defer_build=True)

    messages: Annotated[list[dict[str, Any]], Field(min_length=1)]
    model: Required
    stream: bool | None = None


class StoredRequest(BaseModel):
    """`chat_completion_request`. Empty ids are the client's way of leaving them open."""

    model_config = ConfigDict(extra="allow", strict=True, defer_build=True)

    application_ref_name: Required
    action_type: Required
    params: StoredParams
    session_id: IdValue | None = None
    reference_id: IdValue | None = None
    user_id: IdValue | None = None
    customer_identifier: IdValue | None = None
    request_id: Name | None = None
    metadata: dict[str, Any] | None = None
    context_retrieval_enabled: bool | None = None
    context_query: str | None = None
    assistant: bool | None = None
    fallback_model: str | None = None


class StoredChoice(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True, defer_build=True)

    finish_reason: str | None = None


class StoredResponse(BaseModel):
    """`chat_completion_response`. Times are milliseconds; 0 means that nobody measured."""

    model_config = ConfigDict(extra="allow", strict=True, defer_build=True)

    choices: list[StoredChoice]
    model: Name | None = None
    request_id: Name | None = None
    usage: UsageClaim | None = None
    first_token_time: float | None = None
    response_time: float | None = None


class TimingMetrics(BaseModel):
    """Unix times in seconds; 0 means that it did not happen."""

    model_config = ConfigDict(extra="allow", strict=True, defer_build=True)

    request_id: Name | None = None
    time_request_start: float | None = None
    time_first_chunk: float | None = None
    time_request_end: float | None = None


class StoreBody(BaseModel):
    """The body of `PUT /chat/completions/response`."""

    model_config = ConfigDict(extra="allow", strict=True, defer_build=True)

    chat_completion_request: StoredRequest
    chat_completion_response: StoredResponse
    timing_metrics: TimingMetrics | None = None


def renamed(body: Any) -> Any:
    """A body of Maitai's clients with the names of today's.

    Clients of 1.1 dump some of its objects as protobuf does: camelCase names, defaults left out, and 64-bit numbers as
    texts (maitai-python 1.1.46, read).
    """
    if not isinstance(body, dict):
        return body
    body = {name: snake_cased(value, deep=False) if name in _DUMPED else value for name, value in body.items()}
    if isinstance(request := body.get("chat_completion_request"), dict):
        body["chat_completion_request"] = renamed(request)
    response = body.get("chat_completion_response")
    if isinstance(response, dict) and not any("_" in name for name in _names(response)):
        body["chat_completion_response"] = _numbered(snake_cased(response))
    return body


def _names(response: Mapping[str, Any]) -> Iterator[str]:
    """The names at the places where today's clients write some with underscores."""
    yield from response
    choices, usage = response.get("choices"), response.get("usage")
    for choice in choices if isinstance(choices, list) else ():
        yield from choice if isinstance(choice, dict) else ()
    yield from usage if isinstance(usage, dict) else ()


def _numbered(response: Mapping[str, Any]) -> dict[str, Any]:
    usage = response.get("usage")
    if isinstance(usage, dict):
        response = {**response, "usage": {name: _number(value) for name, value in usage.items()}}
    return {name: _number(value) if name == "created" else value for name, value in response.items()}


def _number(value: Any) -> Any:
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20 else value


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
        session_id=id_text(asked.session_id, "chat_completion_request.session_id"),
        reference_id=id_text(asked.reference_id, "chat_completion_request.reference_id"),
        user_id=id_text(asked.user_id, "chat_completion_request.user_id"),
        customer_identifier=id_text(asked.customer_identifier, "chat_completion_request.customer_identifier"),
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


def id_text(value: str | int | None, param: str) -> str | None:
    """Ids may be numbers on the wire, and empty when unset. Raises RequestInvalid for one that is too long."""
    if value is None or value == "":
        return None
    if len(str(value)) > NAME_LIMIT:
        raise RequestInvalid(f"'{param}' is longer than {NAME_LIMIT} characters.", param=param)
    return str(value)


def _times(body: StoreBody) -> tuple[float | None, float | None]:
    """First token and whole answer, in milliseconds; the client's clock comes before what its response says."""
    response, timing = body.chat_completion_response, body.timing_metrics
    first, whole = response.first_token_time or None, response.response_time or None
    client_first, client_whole = measured(timing)
    whole, first = client_whole or whole, client_first or first
    return (first if first and first > 0 else None), (whole if whole and whole > 0 else None)


def measured(timing: TimingMetrics | None) -> tuple[float | None, float | None]:
    """First token and whole answer by the client's clock, in milliseconds."""
    if timing is None or not (start := timing.time_request_start):
        return None, None
    return _since(start, timing.time_first_chunk), _since(start, timing.time_request_end)


def _since(start: float, end: float | None) -> float | None:
    return round((end - start) * 1000, 3) if end and end > start else None
