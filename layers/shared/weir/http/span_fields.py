"""A span as a log of the call it tells of."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from weir.domain.annotation import METADATA_KEYS_LIMIT
from weir.domain.completion import NOTHING
from weir.domain.ids import is_uuid7
from weir.domain.record import Environment, Record
from weir.http.chat_reply import ANSWER_PREFIX
from weir.http.chat_request import METADATA_VALUE_LIMIT, NAME_LIMIT
from weir.http.request_logs import LogFields, to_record
from weir.http.span_conventions import (
    ANSWER_ID,
    APPLICATION,
    CONTENT,
    COUNTS,
    FINISH,
    FINISH_REASONS,
    FIRST_CHUNK,
    INPUT,
    KINDS,
    LOG_TYPE,
    MEDIA_TYPES,
    METADATA,
    NAMES,
    NUMBERS,
    OTHER,
    OUTPUT,
    PARAMETERS,
    PROVIDERS,
    SERVICE,
    STREAM,
    SUMS,
    TAG_LIST,
    TAGS,
    Names,
)
from weir.http.span_messages import Attributes, of_event, parsed, said
from weir.http.validation import validated

Document = Mapping[str, Any]
"""A span as protocols/otlp.py gives it."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NO_COUNT = 10**15
_UNMAPPED_LENGTH = 256
_UNMAPPED_TOTAL = 2_000
"""Characters of attributes without a meaning here that lie in the record; the payload holds every one of them whole."""

_USAGE = (
    "prompt_tokens",
    "completion_tokens",
    "prompt_cache_hit_tokens",
    "prompt_cache_creation_tokens",
    "reasoning_tokens",
)
_CLAIMS = (*_USAGE, "total_tokens", "cost")
_IN_LOG = (
    "model",
    "thread_identifier",
    "customer_identifier",
    "custom_identifier",
    "group_identifier",
    "span_workflow_name",
    "prompt_id",
    "prompt_name",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanLog:
    """A span's log, and what a Record has of it that a log has no field for.

    `gateway_log_id` is the id of a completion that went through a gateway, of which the span is the caller's view.
    `tags` are those of the metadata that the caller gave.
    """

    body: LogFields
    tags: Mapping[str, Any] = NOTHING
    provider: str | None = None
    answered_model: str | None = None
    user_id: str | None = None
    application: str | None = None
    raw_finish_reason: str | None = None
    gateway_log_id: str | None = None


def to_log(span: Document) -> SpanLog:
    """Raises RequestInvalid when the span's fields are beyond what a record may hold."""
    attributes = _attributes(span)
    provider = _name(attributes, NAMES["provider"])
    fields, finish_reason = _read(span)
    return SpanLog(
        body=validated(LogFields, fields),
        tags=_tags(attributes),
        provider=PROVIDERS.get(provider.lower(), provider.lower()) if provider is not None else None,
        answered_model=_answered_model(attributes),
        user_id=_name(attributes, NAMES["user_id"]),
        application=_name(_attributes(span.get("resource", {})), APPLICATION),
        raw_finish_reason=finish_reason,
        gateway_log_id=_name(attributes, NAMES["gateway_log_id"]) or _answered_by_weir(attributes, fields["log_type"]),
    )


def _answered_by_weir(attributes: Attributes, log_type: str) -> str | None:
    """The id of a completion that is in the id of its answer, for tracers that leave the headers of an answer alone.

    OpenLLMetry keeps that id as an attribute, OpenInference the whole answer as a text.
    """
    if log_type in SUMS:
        return None
    answer = parsed(next((attributes[name] for name in OUTPUT if name in attributes), None))
    id = _name(attributes, ANSWER_ID) or (answer.get("id") if isinstance(answer, dict) else None)
    if not isinstance(id, str) or not id.startswith(ANSWER_PREFIX):
        return None
    log_id = id.removeprefix(ANSWER_PREFIX)
    return log_id if is_uuid7(log_id) else None


def span_record(
    log: SpanLog, *, id: str, workspace: str, environment: Environment, created_at: datetime, caller_id: str | None
) -> Record:
    record = to_record(
        log.body,
        id=id,
        workspace=workspace,
        environment=environment,
        created_at=created_at,
        caller_id=caller_id,
        origin="trace",
    )
    return replace(
        record,
        provider=log.provider,
        answered_model=log.answered_model,
        user_id=log.user_id,
        application=log.application,
        finish_reason=FINISH_REASONS.get((log.raw_finish_reason or "").lower()),
        raw_finish_reason=log.raw_finish_reason,
    )


def log_fields(span: Document) -> dict[str, Any]:
    """The fields of a log that the span tells. An attribute of another type than its meaning has is left unread."""
    return _read(span)[0]


def _read(span: Document) -> tuple[dict[str, Any], str | None]:
    """The fields, and the reason why the model ended."""
    attributes = _attributes(span)
    parameters = _parameters(attributes)
    events = [event for event in span.get("events", ()) if isinstance(event, dict)]
    conversation = said(attributes, events)
    names = {name: _name(attributes, NAMES[name]) for name in _IN_LOG}
    names["model"] = _name(parameters, ("model",)) or names["model"]
    log_type = _log_type(attributes, spoken=names["model"] is not None or bool(conversation))
    fields: dict[str, Any] = {
        "trace_unique_id": span["traceId"],
        "span_unique_id": span["spanId"],
        "span_parent_id": span.get("parentSpanId"),
        "span_name": span.get("name"),
        "log_type": log_type,
        **names,
        **_times(span, events),
        **_figures({**parameters, **attributes}, log_type),
        **conversation,
        "input": _text(attributes, INPUT),
        "output": _text(attributes, OUTPUT),
        "stream": _flag(attributes, STREAM),
    }
    reasons = [answer.get("finish_reason") for answer in fields.get("completion_messages", ())]
    answers = [
        {name: value for name, value in answer.items() if name != "finish_reason"}
        for answer in fields.pop("completion_messages", ())
    ]
    if answers:
        fields["completion_message"] = answers[0]
        fields["tool_calls"] = answers[0].get("tool_calls")
    if len(answers) > 1:
        fields["completion_messages"] = answers
    prompt = parsed(attributes.get("respan.prompt"))
    if fields["prompt_id"] is None and isinstance(prompt, dict) and isinstance(prompt.get("prompt_id"), str):
        fields["prompt_id"] = prompt["prompt_id"][:NAME_LIMIT]
    fields |= _failure(span, attributes, events, fields.get("status_code"))
    fields["metadata"] = _metadata(span, attributes, log_type)
    found = {name: value for name, value in fields.items() if value is not None and value != {}}
    return found, _finish_reason([*(attributes.get(name) for name in FINISH), *reasons])


def _parameters(attributes: Attributes) -> Attributes:
    """OpenInference has the call's parameters as a text of JSON; the model in it is the one that was asked for."""
    found = parsed(attributes.get(PARAMETERS))
    return found if isinstance(found, dict) else {}


def _answered_model(attributes: Attributes) -> str | None:
    answered = _name(attributes, NAMES["answered_model"])
    if answered is None and _name(_parameters(attributes), ("model",)) is not None:
        return _name(attributes, NAMES["model"])
    return answered


def _attributes(holder: Mapping[str, Any]) -> Attributes:
    attributes = holder.get("attributes")
    return attributes if isinstance(attributes, dict) else {}


def _name(attributes: Attributes, names: Names) -> str | None:
    """An identifier; a text too long for one is none."""
    for name in names:
        value = attributes.get(name)
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        if isinstance(value, str) and 0 < len(value) <= NAME_LIMIT:
            return value
    return None


def _text(attributes: Attributes, names: Names) -> Any:
    """Texts as they came; OpenTelemetry's own attributes may be objects as well."""
    return next(
        (value for name in names if isinstance(value := attributes.get(name), str | list | dict) and value), None
    )


def _count(attributes: Attributes, names: Names) -> int | None:
    """Some tracers write counts as floating point (JavaScript has no other numbers) or as texts."""
    for name in names:
        value = attributes.get(name)
        if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 16:
            return int(value)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _NO_COUNT:
            return value
    return None


def _number(attributes: Attributes, names: Names) -> float | None:
    for name in names:
        value = attributes.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
    return None


def _flag(attributes: Attributes, names: Names) -> bool | None:
    return next((value for name in names if isinstance(value := attributes.get(name), bool)), None)


def _log_type(attributes: Attributes, *, spoken: bool) -> str:
    """`spoken`: the span names a model or holds what was said to one."""
    if given := _name(attributes, LOG_TYPE):
        return given.lower()
    for name, kinds in KINDS:
        value = attributes.get(name)
        if isinstance(value, str) and (
            kind := kinds.get(value) or kinds.get(value.upper()) or kinds.get(value.lower())
        ):
            return kind
    return "chat" if spoken else OTHER


def _times(span: Document, events: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    started, ended = _nanoseconds(span.get("startTimeUnixNano")), _nanoseconds(span.get("endTimeUnixNano"))
    times: dict[str, Any] = {"start_time": _instant(started), "timestamp": _instant(ended)}
    if started is None:
        return times
    if ended is not None and ended >= started:
        times["latency"] = (ended - started) / 1e9
    chunks = [_nanoseconds(event.get("timeUnixNano")) for event in events if event.get("name") in FIRST_CHUNK]
    if first := min((chunk for chunk in chunks if chunk is not None and chunk >= started), default=None):
        times["time_to_first_token"] = (first - started) / 1e9
    return times


def _nanoseconds(text: Any) -> int | None:
    return int(text) if isinstance(text, str) and text.isdecimal() else None


def _instant(nanoseconds: int | None) -> str | None:
    if nanoseconds is None:
        return None
    instant = _EPOCH + timedelta(microseconds=nanoseconds // 1000)
    return instant.isoformat(timespec="microseconds").replace("+00:00", "Z")


def _figures(attributes: Attributes, log_type: str) -> dict[str, Any]:
    """Counts and costs are those of calls alone: an agent's or a workflow's repeat those of the calls below it."""
    skipped = _CLAIMS if log_type in SUMS else ()
    figures: dict[str, Any] = {
        name: value
        for tables, read in ((COUNTS, _count), (NUMBERS, _number))
        for name, names in tables.items()
        if name not in skipped and (value := read(attributes, names)) is not None
    }
    if figures.get("cost", 0.0) < 0:
        del figures["cost"]
    if (total := figures.pop("total_tokens", None)) is not None:
        figures["usage"] = {"total_tokens": total}
    if log_type == "embedding" and "prompt_tokens" in figures:
        figures.setdefault("completion_tokens", 0)  # a vector is no tokens: tracers leave the count out
    return figures


def _finish_reason(said: Iterable[Any]) -> str | None:
    """The first answer's: the conventions have a list, one for each answer."""
    for value in map(parsed, said):
        first = value[0] if isinstance(value, list) and value else value
        if isinstance(first, str) and 0 < len(first) <= NAME_LIMIT:
            return first
    return None


def _failure(
    span: Document, attributes: Attributes, events: Iterable[Mapping[str, Any]], status_code: int | None
) -> dict[str, Any]:
    status = span.get("status") or {}
    if status.get("code") != "error" and (status_code or 0) < 400:
        return {}
    sources = [attributes, *(of_event(event) for event in events if event.get("name") == "exception")]
    messages = [status.get("message"), *(_text(source, NAMES["error_message"]) for source in sources)]
    return {
        "status": "error",
        "error_message": next((message for message in messages if isinstance(message, str) and message), None),
        "error_code": next((code for source in sources if (code := _name(source, NAMES["error_code"]))), None),
    }


def _tags(attributes: Attributes) -> dict[str, Any]:
    tags: dict[str, Any] = {}
    for name in METADATA:
        if isinstance(found := parsed(attributes.get(name)), dict):
            tags |= found
    for name, value in attributes.items():
        if name not in _READ and (prefix := next((prefix for prefix in TAGS if name.startswith(prefix)), None)):
            tags[name[len(prefix) :]] = value
    if isinstance(listed := parsed(attributes.get(TAG_LIST)), list) and listed:
        tags["tags"] = listed
    kept = [(name, value) for name, value in tags.items() if value is not None and _is_tag(name, value)]
    return dict(kept[:METADATA_KEYS_LIMIT])


def _is_tag(name: str, value: Any) -> bool:
    """Names with an underscore before them are Keywords AI's own, such as its SDK's version."""
    return not name.startswith("_") and 0 < len(name) <= NAME_LIMIT and _size(value) <= METADATA_VALUE_LIMIT


def _metadata(span: Document, attributes: Attributes, log_type: str) -> dict[str, Any]:
    """The tags and, as far as there is room, attributes that mean nothing here."""
    kept = _tags(attributes)
    if service := _name(_attributes(span.get("resource", {})), (SERVICE,)):
        kept.setdefault(SERVICE, service)
    room = _UNMAPPED_TOTAL
    for name, value in attributes.items():
        size = len(name) + _size(value)
        if value not in (None, "", []) and size <= min(room, _UNMAPPED_LENGTH) and not _is_read(name, log_type):
            room -= size if kept.setdefault(name, value) is value else 0
    return dict(list(kept.items())[:METADATA_KEYS_LIMIT])


def _size(value: Any) -> int:
    return len(value) if isinstance(value, str) else len(repr(value))


_CLAIMED = frozenset(name for table in (COUNTS, NUMBERS) for claim in _CLAIMS for name in table.get(claim, ()))
_READ = frozenset(
    {
        *(name for table in (NAMES, COUNTS, NUMBERS) for names in table.values() for name in names),
        *(name for names in (STREAM, INPUT, OUTPUT, FINISH, LOG_TYPE, METADATA) for name in names),
        *(name for name, _ in KINDS),
        "respan.prompt",
        PARAMETERS,
        TAG_LIST,
        *MEDIA_TYPES,
    }
)
_ABOVE = (*(f"{name}." for name in CONTENT), *TAGS)


def _is_read(name: str, log_type: str) -> bool:
    if name in _CLAIMED and log_type in SUMS:
        return False
    return name in _READ or name in CONTENT or name.startswith(_ABOVE)
