"""A record as Keywords AI's readers see it, whichever way it came in.

What a call logged is shown as it was sent. Both of their Python clients must be able to read every answer, and refuse
more than their servers do, so three things differ (keywordsai-sdk 0.4.99, respan-api 0.1.49): what is null or an empty
message is left out; `input`, `output` and `warnings` are texts, with JSON inside where JSON was sent; identifiers are
texts.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from weir.domain.completion import NOTHING
from weir.domain.errors import LedgerUnavailable
from weir.domain.record import Payload, ProviderAttempt, Record
from weir.http.proxy_params import effective
from weir.http.request_logs import IDENTIFIERS, LogBody
from weir.http.span_fields import log_fields
from weir.protocols import jsonbytes

_TEXTS = ("input", "output", "warnings")
ANNOTATED = ("note", "positive_feedback", "custom_identifier", "metadata")
"""What can be changed after a log was kept."""

_NEVER_EMPTY = ("completion_message", "tool_choice")

_LISTS = ("completion_messages", "tool_calls", "tools")
_OBJECTS = ("completion_message", "response_format")
_NUMBERS = ("temperature", "top_p", "frequency_penalty", "presence_penalty", "max_tokens", "max_completion_tokens", "n")

OLD_LOG_TYPES = frozenset(
    {
        "text",
        "chat",
        "completion",
        "response",
        "embedding",
        "transcription",
        "speech",
        "workflow",
        "task",
        "tool",
        "agent",
        "handoff",
        "guardrail",
        "function",
        "custom",
        "generation",
        "unknown",
        "score",
    }
)
"""keywordsai-sdk refuses a whole page for one row whose `log_type` is another (its LogType; respan's has more)."""

_OBJECTS_BESIDE = ("customer_params", "properties", "variables")
"""What Keywords AI's callers say of a call, which no record holds."""

_CHOICE_WORDS = ("auto", "none", "required")
"""The texts that old clients read in `tool_choice`."""


def log_row(record: Record) -> dict[str, Any]:
    """The record's own fields, for lists. Absent ones are left out. Durations are seconds, costs US dollars."""
    usage, failure = record.claimed_usage, record.failure
    speed = record.speed
    fields: dict[str, Any] = {
        "id": record.id,
        "unique_id": record.id,
        "request_id": record.caller_id,
        "timestamp": utc(record.created_at),
        "environment": record.environment,
        "status": status(record),
        "status_code": record.status_code,
        "model": model_name(record),
        "log_type": log_type(record),
        "answered_model": record.answered_model,
        "provider_id": record.provider,
        "stream": record.stream,
        "cost": float(record.cost) if record.cost is not None else None,
        "prompt_tokens": usage.prompt if usage is not None else None,
        "completion_tokens": usage.completion if usage is not None else None,
        "total_request_tokens": usage.total if usage is not None else None,
        "reasoning_tokens": usage.reasoning if usage is not None else None,
        "prompt_cache_hit_tokens": usage.cached if usage is not None else None,
        "prompt_cache_creation_tokens": usage.cache_written if usage is not None else None,
        "latency": seconds(record.latency_ms),
        "time_to_first_token": seconds(record.first_token_ms),
        "client_latency": seconds(record.client_latency_ms),
        "client_time_to_first_token": seconds(record.client_first_token_ms),
        "tokens_per_second": round(speed, 6) if speed is not None else None,
        "customer_identifier": record.customer_identifier,
        "thread_identifier": record.session_id,
        "session_identifier": record.session_id,
        "custom_identifier": record.custom_identifier,
        "group_identifier": record.group_identifier,
        "trace_unique_id": record.trace_id,
        "span_unique_id": record.span_id,
        "span_parent_id": record.parent_span_id,
        "span_name": record.span_name,
        "span_workflow_name": record.workflow_name,
        "prompt_id": record.prompt_id,
        "prompt_name": record.prompt_name,
        "deployment_name": record.deployment,
        "metadata": record.metadata or None,
        "note": record.note,
        "positive_feedback": record.positive_feedback,
        "error_message": (failure.message or None) if failure is not None else None,
        "error_code": failure.code if failure is not None else None,
        "warnings": "\n".join(record.warnings) or None,
        "cached_from": record.cached_from,
        "cache_key": record.cache_key,
        "finish_reason": record.finish_reason or record.raw_finish_reason,
        "fallback_reason": record.fallback_reason,
        "origin": record.origin,
        "inference_location": record.inference_location,
        "request_type": record.request_type,
        "outcome": record.outcome,
        "application": record.application,
        "intent": record.intent,
        "session_id": record.session_id,
        "reference_id": record.reference_id,
        "user_id": record.user_id,
    }
    return {name: value for name, value in fields.items() if value is not None}


def log_view(record: Record, payload: Payload) -> dict[str, Any]:
    """Everything that is kept of a call. `status`, `environment` and the ids are ours, whatever was sent.

    What can be annotated is shown as it is by now; what has been taken away since is not shown.
    """
    row = log_row(record)
    # What was asked and answered is kept for as long as it was to be, and the record may be kept longer.
    said = {"payload_expired": True} if payload.expired else _as_came(record, payload)
    owned = {name: row[name] for name in ("id", "unique_id", "environment", "status")}
    view = {**row, **said, **owned}
    if record.attempts:
        view["attempts"] = [_attempt(attempt) for attempt in record.attempts]
    for name in ANNOTATED:
        if name in row:
            view[name] = row[name]
        elif view.get(name) not in (None, "", {}):
            del view[name]
    return view


def _attempt(attempt: ProviderAttempt) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "provider_id": attempt.provider,
        "model": attempt.model,
        "outcome": attempt.outcome,
        "status_code": attempt.status,
        "error": attempt.failure,
        "begun": seconds(attempt.begun_ms),
        "time_to_first_token": seconds(attempt.first_token_ms),
        "latency": seconds(attempt.latency_ms),
        "prompt_tokens": attempt.prompt_tokens,
        "completion_tokens": attempt.completion_tokens,
        "cost": float(attempt.cost) if attempt.cost is not None else None,
        "claimed_cost": float(attempt.claimed_cost) if attempt.claimed_cost is not None else None,
        "computed_cost": float(attempt.computed_cost) if attempt.computed_cost is not None else None,
        "estimated_cost": float(attempt.estimated_cost) if attempt.estimated_cost is not None else None,
    }
    return {name: value for name, value in fields.items() if value is not None}


def for_old_client(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """A row without what keywordsai-sdk cannot read."""
    if row.get("log_type", "chat") in OLD_LOG_TYPES:
        return row
    return {name: value for name, value in row.items() if name != "log_type"}


def status(record: Record) -> str:
    return "success" if record.outcome == "complete" else "failed"


def model_name(record: Record) -> str | None:
    return record.model or record.answered_model


def log_type(record: Record) -> str:
    """A log without a type is a chat, as their documentation has it."""
    return record.log_type or "chat"


def utc(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def seconds(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else round(milliseconds / 1000, 6)


def _object(text: bytes) -> Mapping[str, Any]:
    value = jsonbytes.loads(text)
    if not isinstance(value, dict):
        raise LedgerUnavailable("The record is there, its payload cannot be read.")
    return value


def _as_came(record: Record, payload: Payload) -> dict[str, Any]:
    match record.origin:
        case "request_log":
            return _as_logged(_object(payload.request))
        case "trace":
            document = _object(payload.request)
            if "traceId" not in document:  # a log that came as a span, not OpenTelemetry's
                return _as_logged(document)
            return {**_as_logged(log_fields(document)), "span": document}
        case "completion" | "storage":
            return _as_called(payload)


def _as_logged(sent: Mapping[str, Any]) -> dict[str, Any]:
    """Fields without a meaning here come back whatever they are, null included."""
    fields = {name: value for name, value in sent.items() if value is not None or name not in LogBody.model_fields}
    for name, older in (
        ("prompt_messages", "messages"),
        ("latency", "generation_time"),
        ("time_to_first_token", "ttft"),
        ("thread_identifier", "session_identifier"),
    ):
        if name not in fields and older in fields:
            fields[name] = fields[older]
    request = fields.get("full_request")
    for name, value in _parameters(request if request is not None else NOTHING):
        fields.setdefault(name, value)
    messages = fields.get("completion_messages")
    if not fields.get("completion_message") and messages:
        fields["completion_message"] = messages[0]
    for name in _TEXTS:
        if name in fields and not isinstance(fields[name], str):
            fields[name] = jsonbytes.dumps(fields[name]).decode()
    for name in IDENTIFIERS:
        if name in fields:
            fields[name] = str(fields[name])
    return {name: value for name, value in fields.items() if value != {} or name not in _NEVER_EMPTY}


def _as_called(payload: Payload) -> dict[str, Any]:
    """A Chat Completions body, Maitai's envelope around one, or one for embeddings, and what answered it."""
    request = _object(payload.request)
    inner = request.get("params")
    params = inner if isinstance(inner, dict) else request
    told = effective(request)
    fields: dict[str, Any] = {"full_request": request, **dict(_parameters(params))}
    fields |= {name: told[name] for name in _OBJECTS_BESIDE if isinstance(told.get(name), dict)}
    if "messages" not in params and "input" in params:
        given = params["input"]
        if not told.get("log_type"):
            fields["log_type"] = "embedding"
        fields["input"] = given if isinstance(given, str) else jsonbytes.dumps(given).decode()
    if payload.response is not None:
        response = _object(payload.response)
        fields["full_response"] = response
        fields |= _answer(response)
    if payload.reply:  # the provider's own bytes, as far as they came
        fields["provider_reply"] = payload.reply.decode(errors="replace")
    return fields


def _parameters(request: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    """The fields of a log that can be read out of a request; one of another type than readers expect is left there."""
    messages = request.get("prompt_messages", request.get("messages"))
    if _is_objects(messages):
        yield "prompt_messages", messages
    for name in _LISTS:
        if request.get(name) and _is_objects(request[name]):
            yield name, request[name]
    for name in _OBJECTS:
        if isinstance(value := request.get(name), dict) and value:
            yield name, value
    for name in _NUMBERS:
        if isinstance(value := request.get(name), int | float) and not isinstance(value, bool):
            yield name, value
    if isinstance(value := request.get("stop"), str | list) and value:
        yield "stop", value
    if isinstance(value := request.get("stream"), bool):
        yield "stream", value
    match request.get("tool_choice"):
        case {"type": str()} | str() as value if isinstance(value, dict) or value in _CHOICE_WORDS:
            yield "tool_choice", value


def _answer(response: Mapping[str, Any]) -> Mapping[str, Any]:
    choices = response.get("choices")
    if not isinstance(choices, list):
        return NOTHING
    messages = [_message(choice["message"]) for choice in choices if _has_message(choice)]
    if not messages:
        return NOTHING
    fields: dict[str, Any] = {"completion_message": messages[0]}
    if len(messages) > 1:
        fields["completion_messages"] = messages
    if (calls := messages[0].get("tool_calls")) and _is_objects(calls):
        fields["tool_calls"] = calls
    return fields


def _has_message(choice: Any) -> bool:
    return isinstance(choice, dict) and isinstance(choice.get("message"), dict) and bool(choice["message"])


def _message(message: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in message.items() if value is not None}


def _is_objects(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, dict) for item in value)
