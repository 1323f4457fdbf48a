"""Requests as the developer API shows them, and the bodies by which they are corrected."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from weir.domain.completion import Usage
from weir.domain.configuration import Application, Intent
from weir.domain.errors import LedgerUnavailable, RequestInvalid
from weir.domain.ids import milliseconds
from weir.domain.record import Payload, Record
from weir.http.portal import present
from weir.http.request_log_view import log_view
from weir.http.validation import validated
from weir.protocols import jsonbytes

Place = tuple[Application | None, Intent | None]

_LOGGED = ("messages", "tools", "tool_choice", "response_format", "temperature", "top_p", "max_tokens", "n", "stop")
"""Parameters of a log that are shown as those of a request."""


class MessageBody(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True, defer_build=True)

    role: str = "assistant"
    content: str | list[dict[str, Any]] | None = None
    tool_calls: list[dict[str, Any]] | None = None


class ChoiceBody(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True, defer_build=True)

    message: MessageBody


class CorrectionBody(BaseModel):
    """The answer that should have been given: `message_content` and `tool_calls`, or a whole chat completion."""

    model_config = ConfigDict(extra="allow", strict=True, defer_build=True)

    message_content: str | None = None
    tool_calls: list[dict[str, Any]] | None = None
    choices: Annotated[list[ChoiceBody], Field(min_length=1)] | None = None


def to_correction(body: Any) -> bytes:
    """A chat completion's JSON text. Raises RequestInvalid when `body` holds no answer."""
    asked = validated(CorrectionBody, body)
    if asked.choices is not None:
        return jsonbytes.dumps(body)
    if asked.message_content is None and not asked.tool_calls:
        raise RequestInvalid("'message_content' is required, or 'tool_calls', or 'choices'.", param="message_content")
    calls = {"tool_calls": asked.tool_calls} if asked.tool_calls else {}
    message = {"role": "assistant", "content": asked.message_content, **calls}
    beside = {name: value for name, value in body.items() if name not in ("message_content", "tool_calls")}
    return jsonbytes.dumps({**beside, "choices": [{"index": 0, "message": message}]})


def request_view(record: Record, place: Place) -> dict[str, Any]:
    """What the record itself holds. `request_id` is the caller's own id where it gave one, `id` always Weir's.

    Instants and durations are milliseconds, costs US dollars; what is not known is absent.
    """
    application, intent = place
    failure = record.failure
    return present(
        {
            "request_id": record.caller_id or record.id,
            "id": record.id,
            "date_created": milliseconds(record.created_at),
            "application_id": application.id if application is not None else None,
            "application_ref_name": record.application,
            "intent_id": intent.id if intent is not None else None,
            "action_type": record.intent,
            "session_id": record.session_id,
            "reference_id": record.reference_id,
            "user_id": record.user_id,
            "customer_identifier": record.customer_identifier,
            "request_type": record.request_type,
            "inference_location": record.inference_location,
            "provider": record.provider,
            "model": record.model,
            "answered_model": record.answered_model,
            "stream": record.stream,
            "outcome": record.outcome,
            "status_code": record.status_code,
            "error": (failure.message or failure.kind) if failure is not None else None,
            "finish_reason": record.finish_reason or record.raw_finish_reason,
            "fallback_reason": record.fallback_reason,
            "usage": _usage(record.claimed_usage),
            "cost": float(record.cost) if record.cost is not None else None,
            "first_token_time": record.first_token_ms,
            "response_time": record.latency_ms,
            "metadata": record.metadata or None,
            "warnings": list(record.warnings) or None,
            "date_corrected": milliseconds(record.corrected_at) if record.corrected_at is not None else None,
        }
    )


def whole_view(record: Record, payload: Payload, correction: bytes | None, place: Place) -> dict[str, Any]:
    """With what was said. `response` is the answer that was given; one that should have been stands beside it."""
    params, response = conversation(record, payload)
    return present(
        {
            **request_view(record, place),
            "params": params,
            "response": response,
            "corrected_response": jsonbytes.loads(correction) if correction is not None else None,
        }
    )


def turn_view(
    record: Record, payload: Payload, correction: bytes | None, place: Place, *, first: bool, last: bool
) -> dict[str, Any]:
    """A turn of a session, with the messages that were new in it: those after the model's last one."""
    whole = whole_view(record, payload, correction, place)
    params = whole.pop("params")
    messages = params.get("messages")
    if isinstance(messages, list):
        params = {**params, "messages": _new(messages)}
    response: dict[str, Any] = {name: whole.pop(name) for name in ("response", "corrected_response") if name in whole}
    return {"request": {**whole, "params": params}, **response, "first": first, "last": last}


def conversation(record: Record, payload: Payload) -> tuple[Mapping[str, Any], Mapping[str, Any] | None]:
    """Parameters and answer in the form of Chat Completions, whichever way the call came in."""
    match record.origin:
        case "request_log" | "trace":
            return _logged(log_view(record, payload))
        case "completion" | "storage":
            request = _object(payload.request)
            inner = request.get("params")
            response = None if payload.response is None else _object(payload.response)
            return (inner if isinstance(inner, dict) else request), response


def _logged(view: Mapping[str, Any]) -> tuple[Mapping[str, Any], Mapping[str, Any] | None]:
    params = {name: view[name] for name in ("model", *_LOGGED) if name in view}
    if "prompt_messages" in view:
        params["messages"] = view["prompt_messages"]
    elif "messages" not in params and "input" in view:
        params["input"] = view["input"]
    if isinstance(response := view.get("full_response"), dict) and "choices" in response:
        return params, response
    messages = view.get("completion_messages") or [view[name] for name in ("completion_message",) if name in view]
    if messages:
        return params, {"choices": [{"index": index, "message": each} for index, each in enumerate(messages)]}
    return params, {"output": view["output"]} if "output" in view else None


def _new(messages: list[Any]) -> list[Any]:
    said = [index for index, each in enumerate(messages) if isinstance(each, dict) and each.get("role") == "assistant"]
    return messages[said[-1] + 1 :] if said else messages


def _usage(usage: Usage | None) -> dict[str, int] | None:
    if usage is None:
        return None
    return present(
        {
            "prompt_tokens": usage.prompt,
            "completion_tokens": usage.completion,
            "total_tokens": usage.total,
            "cached_tokens": usage.cached,
            "cache_write_tokens": usage.cache_written,
            "reasoning_tokens": usage.reasoning,
        }
    )


def _object(text: bytes) -> Mapping[str, Any]:
    value = jsonbytes.loads(text)
    if not isinstance(value, dict):
        raise LedgerUnavailable("The record is there, its payload cannot be read.")
    return value
