"""The body of a request log as Keywords AI's clients, old and new, write it."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Any, Self, cast

from pydantic import BaseModel, ConfigDict, Field, StrictBool, model_validator

from weir.domain.completion import NOTHING
from weir.domain.errors import RequestInvalid
from weir.domain.record import Environment, Failure, Labels, Origin, Record
from weir.http.chat_request import METADATA_VALUE_LIMIT, NAME_LIMIT, IdValue, Name, check_metadata
from weir.http.claims import Count, UsageClaim, claimed_usage, dollars, milliseconds

Objects = list[dict[str, Any]]
Note = Annotated[str, Field(max_length=METADATA_VALUE_LIMIT)]

MESSAGE_LIMIT = 500
"""Characters of an error message or a warning that lie in the record itself; the payload holds the whole text."""


class CustomerParams(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True, defer_build=True)

    customer_identifier: IdValue | None = None


class LogFields(BaseModel):
    """One call or one span, made elsewhere. Null is absent; fields without a name here are kept as sent.

    Durations are seconds, costs US dollars. `prompt_unit_price` and `completion_unit_price` are kept, not computed
    with: one page of their protocol means a price per token, another one per million tokens.
    """

    model_config = ConfigDict(extra="allow", strict=True, defer_build=True)

    model: Annotated[str, Field(max_length=NAME_LIMIT)] | None = None
    prompt_messages: Objects | None = None
    messages: Objects | None = None
    completion_message: dict[str, Any] | None = None
    completion_messages: Objects | None = None
    input: str | dict[str, Any] | list[Any] | None = None
    output: str | dict[str, Any] | list[Any] | None = None
    full_request: dict[str, Any] | None = None
    full_response: dict[str, Any] | list[Any] | None = None

    cost: Annotated[float, Field(ge=0)] | None = None
    prompt_tokens: Count | None = None
    completion_tokens: Count | None = None
    reasoning_tokens: Count | None = None
    prompt_cache_hit_tokens: Count | None = None
    prompt_cache_creation_tokens: Count | None = None
    prompt_unit_price: float | None = None
    completion_unit_price: float | None = None
    usage: UsageClaim | None = None

    latency: Annotated[float, Field(ge=0)] | None = None
    generation_time: Annotated[float, Field(ge=0)] | None = None
    time_to_first_token: Annotated[float, Field(ge=0)] | None = None
    ttft: Annotated[float, Field(ge=0)] | None = None
    tokens_per_second: Annotated[float, Field(ge=0)] | None = None
    timestamp: str | None = None
    start_time: str | None = None

    status_code: Count | None = None
    status: str | None = None
    error_message: str | None = None
    error_code: str | None = None
    warnings: str | dict[str, Any] | None = None

    customer_identifier: IdValue | None = None
    customer_params: CustomerParams | None = None
    custom_identifier: IdValue | None = None
    thread_identifier: IdValue | None = None
    session_identifier: IdValue | None = None
    group_identifier: IdValue | None = None
    trace_group_identifier: IdValue | None = None
    unique_id: Name | None = None
    request_id: Name | None = None

    metadata: dict[str, Any] | None = None
    properties: dict[str, Any] | None = None
    variables: dict[str, Any] | None = None
    respan_params: dict[str, Any] | None = None
    keywordsai_params: dict[str, Any] | None = None
    keywordsai_api_controls: dict[str, Any] | None = None

    response_format: dict[str, Any] | None = None
    stream: StrictBool | None = None
    tools: Objects | None = None
    tool_calls: Objects | None = None
    tool_choice: str | dict[str, Any] | None = None
    temperature: float | None = None
    top_p: float | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    max_tokens: Count | None = None
    stop: str | list[str] | None = None

    log_type: str | None = None
    environment: str | None = None
    trace_unique_id: IdValue | None = None
    span_unique_id: IdValue | None = None
    span_parent_id: IdValue | None = None
    span_name: str | None = None
    span_workflow_name: str | None = None
    prompt_id: IdValue | None = None
    prompt_name: str | None = None
    deployment_name: str | None = None
    note: Note | None = None
    is_custom_prompt: StrictBool | None = None
    positive_feedback: StrictBool | None = None
    disable_log: StrictBool | None = None

    @model_validator(mode="after")
    def _within_limits(self) -> Self:
        for name in (*IDENTIFIERS, "log_type"):
            check_length(getattr(self, name), name)
        if self.customer_params is not None:
            check_length(self.customer_params.customer_identifier, "customer_params.customer_identifier")
        for name in ("timestamp", "start_time"):
            if getattr(self, name):
                instant(getattr(self, name), name)
        check_metadata(self.metadata)
        return self


class LogBody(LogFields):
    """A log of a call, which names its model; a span need not."""

    model: Annotated[str, Field(min_length=1, max_length=NAME_LIMIT)]


IDENTIFIERS = (
    "customer_identifier",
    "custom_identifier",
    "thread_identifier",
    "session_identifier",
    "group_identifier",
    "trace_group_identifier",
    "trace_unique_id",
    "span_unique_id",
    "span_parent_id",
    "prompt_id",
)
"""Fields in which old clients also write integers; new ones read nothing but texts."""


def check_length(value: str | int | None, name: str) -> None:
    if len(str(value or "")) > NAME_LIMIT:
        raise RequestInvalid(f"'{name}' is longer than {NAME_LIMIT} characters.", param=name)


def instant(text: str, name: str) -> datetime:
    """An ISO 8601 time, UTC where it names no zone. Raises RequestInvalid."""
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        raise RequestInvalid(
            f"'{name}' must be a time in ISO 8601, such as 2026-01-02T03:04:05Z.", param=name
        ) from None
    return parsed if parsed.tzinfo is not None else parsed.replace(tzinfo=UTC)


def called_at(body: LogFields) -> datetime | None:
    """When the call was made, if the log says so: prices are those of that day."""
    for name, text in (("start_time", body.start_time), ("timestamp", body.timestamp)):
        if text:
            try:
                return instant(text, name).astimezone(UTC)
            except OverflowError:  # hours before the year 1 or after the year 9999
                return None
    return None


def to_record(
    body: LogFields,
    *,
    id: str,
    workspace: str,
    environment: Environment,
    created_at: datetime,
    caller_id: str | None,
    origin: Origin = "request_log",
) -> Record:
    usage = claimed_usage(
        body.usage,
        {
            "prompt_tokens": body.prompt_tokens,
            "completion_tokens": body.completion_tokens,
            "reasoning_tokens": body.reasoning_tokens,
            "prompt_cache_hit_tokens": body.prompt_cache_hit_tokens,
            "cache_creation_input_tokens": body.prompt_cache_creation_tokens,
        },
    )
    failure = _failure(body)
    customer = body.customer_identifier
    if not _given(customer) and body.customer_params is not None:
        customer = body.customer_params.customer_identifier
    thread = body.thread_identifier if _given(body.thread_identifier) else body.session_identifier
    streamed = body.stream if body.stream is not None else (body.full_request or NOTHING).get("stream")
    return Record(
        id=id,
        workspace=workspace,
        environment=environment,
        created_at=created_at,
        origin=origin,
        inference_location="CLIENT",
        caller_id=caller_id,
        session_id=str(thread) if _given(thread) else None,
        customer_identifier=str(customer) if _given(customer) else None,
        model=body.model or None,
        stream=streamed is True,
        status_code=body.status_code if body.status_code is not None else 200,
        outcome="complete" if failure is None else "error",
        failure=failure,
        claimed_usage=replace(usage, cost=None) if usage is not None else None,
        claimed_cost=dollars(body.cost) if body.cost is not None or usage is None else usage.cost,
        first_token_ms=milliseconds(body.time_to_first_token or body.ttft),
        latency_ms=milliseconds(body.latency or body.generation_time),
        metadata=body.metadata or NOTHING,
        warnings=(body.warnings[:MESSAGE_LIMIT],) if isinstance(body.warnings, str) and body.warnings else (),
        tokens_per_second=body.tokens_per_second,
        **labels(body),
    )


def labels(body: LogFields) -> Labels:
    found: dict[str, str | bool | None] = {
        "log_type": body.log_type,
        "custom_identifier": _id(body.custom_identifier),
        "group_identifier": _id(body.group_identifier) or _id(body.trace_group_identifier),
        "trace_id": _id(body.trace_unique_id),
        "span_id": _id(body.span_unique_id),
        "parent_span_id": _id(body.span_parent_id),
        "span_name": _name(body.span_name),
        "workflow_name": _name(body.span_workflow_name),
        "prompt_id": _id(body.prompt_id),
        "prompt_name": _name(body.prompt_name),
        "deployment": _name(body.deployment_name),
        "note": body.note,
        "positive_feedback": body.positive_feedback,
    }
    given = {name: value for name, value in found.items() if value is not None and value != ""}
    return cast(Labels, given)


def _id(value: str | int | None) -> str | None:
    return str(value) if _given(value) else None


def _name(text: str | None) -> str | None:
    """As much of a name as one filters by; the payload holds all of it."""
    return (text or "")[:NAME_LIMIT] or None


def _given(value: str | int | None) -> bool:
    return value is not None and value != ""


def _failure(body: LogFields) -> Failure | None:
    status = body.status_code if body.status_code is not None and body.status_code >= 400 else None
    if status is None and not body.error_message and body.status not in ("error", "failed"):
        return None
    return Failure("reported", (body.error_message or "")[:MESSAGE_LIMIT], body.error_code or None, status)
