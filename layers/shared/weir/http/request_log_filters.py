"""Filters of request logs, in today's spelling and the older ones, as a question that is put to a record.

`{"field": {"operator": op, "value": [..]}}`, or a list of such conditions on one field; all must hold, unless the older
`connector` or `operator` says OR. A field that has no value is the empty text to what compares texts; a tag that is not
there (`metadata__KEY`) and a number that is not known match nothing, not even `not`.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from weir.domain.completion import Usage
from weir.domain.errors import RequestInvalid
from weir.domain.record import Record
from weir.http.request_log_view import log_type, model_name, seconds, status, utc
from weir.http.request_logs import instant
from weir.protocols import jsonbytes

Matches = Callable[[Record], bool]

CONDITIONS_LIMIT = 50
_METADATA = "metadata__"


def _of_usage(figure: Callable[[Usage], int | None]) -> Callable[[Record], float | None]:
    return lambda record: None if record.claimed_usage is None else figure(record.claimed_usage)


TEXTS: Mapping[str, Callable[[Record], str | None]] = {
    **dict.fromkeys(("id", "unique_id"), lambda record: record.id),
    "request_id": lambda record: record.caller_id,
    "model": lambda record: model_name(record),
    "answered_model": lambda record: record.answered_model,
    "provider_id": lambda record: record.provider,
    **dict.fromkeys(("deployment_name", "deployment_id"), lambda record: record.deployment),
    "log_type": lambda record: log_type(record),
    "status": lambda record: status(record),
    "environment": lambda record: record.environment,
    "customer_identifier": lambda record: record.customer_identifier,
    "custom_identifier": lambda record: record.custom_identifier,
    **dict.fromkeys(
        ("thread_identifier", "session_identifier", "session_id", "thread"), lambda record: record.session_id
    ),
    **dict.fromkeys(("group_identifier", "trace_group_identifier"), lambda record: record.group_identifier),
    **dict.fromkeys(("trace_unique_id", "trace_id", "trace"), lambda record: record.trace_id),
    **dict.fromkeys(("span_unique_id", "span_id"), lambda record: record.span_id),
    "span_parent_id": lambda record: record.parent_span_id,
    "span_name": lambda record: record.span_name,
    "span_workflow_name": lambda record: record.workflow_name,
    "prompt_id": lambda record: record.prompt_id,
    "prompt_name": lambda record: record.prompt_name,
    "note": lambda record: record.note,
    "error_message": lambda record: record.failure.message if record.failure is not None else None,
    "error_code": lambda record: record.failure.code if record.failure is not None else None,
    "error_class": lambda record: record.failure.kind if record.failure is not None else None,
    "finish_reason": lambda record: record.finish_reason or record.raw_finish_reason,
    "fallback_reason": lambda record: record.fallback_reason,
    "application": lambda record: record.application,
    "intent": lambda record: record.intent,
    "reference_id": lambda record: record.reference_id,
    "user_id": lambda record: record.user_id,
    "origin": lambda record: record.origin,
    "outcome": lambda record: record.outcome,
}
NUMBERS: Mapping[str, Callable[[Record], float | None]] = {
    "status_code": lambda record: record.status_code,
    **dict.fromkeys(("cost", "total_cost"), lambda record: float(record.cost) if record.cost is not None else None),
    **dict.fromkeys(("latency", "generation_time"), lambda record: seconds(record.latency_ms)),
    **dict.fromkeys(("time_to_first_token", "ttft"), lambda record: seconds(record.first_token_ms)),
    "tokens_per_second": lambda record: record.speed,
    **dict.fromkeys(("prompt_tokens", "input_tokens"), _of_usage(lambda usage: usage.prompt)),
    **dict.fromkeys(("completion_tokens", "output_tokens"), _of_usage(lambda usage: usage.completion)),
    **dict.fromkeys(
        ("total_request_tokens", "total_tokens", "all_tokens"),
        _of_usage(lambda usage: usage.total),
    ),
    "reasoning_tokens": _of_usage(lambda usage: usage.reasoning),
    "prompt_cache_hit_tokens": _of_usage(lambda usage: usage.cached),
    "prompt_cache_creation_tokens": _of_usage(lambda usage: usage.cache_written),
}
FLAGS: Mapping[str, Callable[[Record], bool | None]] = {
    "stream": lambda record: record.stream,
    "positive_feedback": lambda record: record.positive_feedback,
}
TIMES = ("timestamp", "created_at")

_OPERATORS: Mapping[str, str] = {
    **{name: name for name in ("lt", "lte", "gt", "gte", "contains", "icontains", "startswith", "endswith")},
    **{name: name for name in ("not_contains", "not_startswith", "not_endswith", "iexact", "ilike", "isnull")},
    **dict.fromkeys(("", "in", "=", "==", "eq", "equals"), "in"),
    **dict.fromkeys(("not", "not_in", "!="), "not_in"),
    **dict.fromkeys(("empty",), "empty"),
    **dict.fromkeys(("not_empty", "notEmpty"), "not_empty"),
}
_ORDERED = ("lt", "lte", "gt", "gte")
_ANY_KIND = ("in", "not_in", "empty", "not_empty", "isnull")


@dataclass(frozen=True, slots=True)
class Condition:
    """One question about one field, named for messages."""

    name: str
    matches: Matches


def to_matches(filters: Any, operator: Any = None) -> Matches | None:
    """What the body of a list call asks for; None when it asks for nothing. Raises RequestInvalid."""
    if _size(filters) > CONDITIONS_LIMIT:  # each is asked of every record that is looked at
        raise RequestInvalid(f"'filters' holds more than {CONDITIONS_LIMIT} conditions.", param="filters")
    conditions = list(_conditions(filters))
    if not conditions:
        return None
    return _joined(conditions, _connector(operator, "operator"))


def only_text(name: str, filters: Any, operator: Any = None) -> str | None:
    """The text that `name` has in every record for which `to_matches` holds of the same; None if there may be others.

    Of `filters` which it has taken.
    """
    if not filters or (len(filters) > 1 and _connector(operator, "operator") == "OR"):
        return None
    asked = filters.get(name)
    match asked:
        case {"filter_params": _}:
            return None
        case {"value": str(text) | [str(text)]} if _OPERATORS[asked.get("operator") or ""] == "in":
            return text or None  # those without a value are asked for by the empty text
        case _:
            return None


def equals(name: str, value: str) -> Matches:
    """An older client's query parameter `name=value`. Raises RequestInvalid."""
    return _condition(name, {"operator": "", "value": [value]}).matches


def all_of(*questions: Matches | None) -> Matches | None:
    asked = [question for question in questions if question is not None]
    if len(asked) < 2:
        return asked[0] if asked else None
    return lambda record: all(question(record) for question in asked)


def is_field(name: str) -> bool:
    return name in TEXTS or name in NUMBERS or name in FLAGS or name.startswith(_METADATA)


def _size(filters: Any) -> int:
    """How many conditions there are, those in bundles included."""
    if not isinstance(filters, dict):
        return 0
    inner = (asked.get("filter_params") if isinstance(asked, dict) else None for asked in filters.values())
    lists = (len(asked) for asked in filters.values() if isinstance(asked, list))
    return len(filters) + sum(lists) + sum(map(_size, inner))


def _conditions(filters: Any) -> Iterator[Condition]:
    if filters is None:
        return
    if not isinstance(filters, dict):
        raise RequestInvalid("'filters' must be an object whose members are fields.", param="filters")
    for name, asked in filters.items():
        if isinstance(asked, dict) and "filter_params" in asked:  # keywordsai-sdk's FilterBundle, under any name
            inner = list(_conditions(asked["filter_params"]))
            if inner:
                yield Condition(name, _joined(inner, _connector(asked.get("connector"), f"filters.{name}.connector")))
        elif isinstance(asked, list):
            several = [_condition(name, one) for one in asked]
            words = {one.get("connector", "AND") for one in asked}
            if several:
                word = _connector("OR" if words == {"OR"} else "AND", name)
                yield Condition(name, _joined(several, word))
        else:
            yield _condition(name, asked)


def _joined(conditions: list[Condition], connector: Literal["AND", "OR"]) -> Matches:
    questions = [condition.matches for condition in conditions]
    if len(questions) == 1:
        return questions[0]
    if connector == "OR":
        return lambda record: any(question(record) for question in questions)
    return lambda record: all(question(record) for question in questions)


def _connector(word: Any, name: str) -> Literal["AND", "OR"]:
    match word:
        case None | "AND" | "and" | "":
            return "AND"
        case "OR" | "or":
            return "OR"
        case _:
            raise RequestInvalid(f"'{name[:80]}' must be AND or OR.", param=name[:80])


def _condition(name: str, asked: Any) -> Condition:
    where = f"filters.{name[:80]}"
    if not isinstance(asked, dict) or asked.keys() - {"operator", "value", "connector"}:
        raise RequestInvalid(f'\'{where}\' must be {{"operator": …, "value": […]}}.', param=where)
    word = "" if asked.get("operator") is None else asked["operator"]
    operator = _OPERATORS.get(word) if isinstance(word, str) else None
    if operator is None:
        known = ", ".join(sorted(name for name in _OPERATORS if name))
        raise RequestInvalid(f"'{where}.operator' {str(word)[:40]!r} is not one of {known}.", param=where)
    value = asked.get("value", [])
    values = value if isinstance(value, list) else [value]
    if operator not in ("in", "not_in", "empty", "not_empty") and len(values) != 1:
        raise RequestInvalid(f"'{where}': the operator '{word}' takes one value.", param=where)
    if operator in ("in", "not_in") and not values:
        raise RequestInvalid(f"'{where}' names no value.", param=where)
    return Condition(name, _question(name, operator, values, where))


def _question(name: str, operator: str, values: list[Any], where: str) -> Matches:
    if name.startswith(_METADATA):
        key = name[len(_METADATA) :]
        absent = operator == "empty" or (operator == "isnull" and _flag(values[0], where))
        return _asking(lambda record: _tag(record, key), _text_test(operator, values, where), absent=absent)
    if operator in ("empty", "not_empty", "isnull") and is_field(name):
        wanted = operator == "empty" or (operator == "isnull" and _flag(values[0], where))
        read = TEXTS.get(name) or NUMBERS.get(name) or FLAGS[name]
        return lambda record: (read(record) in (None, "")) == wanted
    if name in TEXTS:
        text = TEXTS[name]
        return _asking(lambda record: text(record) or "", _text_test(operator, values, where))
    if name in TIMES:
        return _asking(
            lambda record: utc(record.created_at),
            _text_test(operator, [utc(instant(str(value), where)) for value in values], where),
        )
    if name in NUMBERS:
        _check_operator(operator, (*_ORDERED, *_ANY_KIND), where)
        return _asking(NUMBERS[name], _comparison(operator, [_number(value, where) for value in values], where))
    if name in FLAGS:
        _check_operator(operator, _ANY_KIND, where)
        return _asking(FLAGS[name], _comparison(operator, [_flag(value, where) for value in values], where))
    fields = ", ".join([*TEXTS, *NUMBERS, *FLAGS, "timestamp", f"{_METADATA}KEY"])
    raise RequestInvalid(f"'{where}': there is no such field to filter by; there are {fields}.", param=where)


def _asking(read: Callable[[Record], Any], test: Callable[[Any], bool], *, absent: bool = False) -> Matches:
    """`absent` is the answer where the record has no value."""

    def question(record: Record) -> bool:
        value = read(record)
        return absent if value is None else test(value)

    return question


def _tag(record: Record, key: str) -> str | None:
    value = record.metadata.get(key)
    return value if value is None or isinstance(value, str) else jsonbytes.dumps(value).decode()


def _text_test(operator: str, values: list[Any], where: str) -> Callable[[Any], bool]:
    texts = [_text(value, where) for value in values]
    first = texts[0] if texts else ""
    match operator:
        case "contains":
            return lambda text: first in text
        case "not_contains":
            return lambda text: first not in text
        case "icontains":
            return lambda text: first.casefold() in text.casefold()
        case "startswith":
            return lambda text: bool(text.startswith(first))
        case "not_startswith":
            return lambda text: not text.startswith(first)
        case "endswith":
            return lambda text: bool(text.endswith(first))
        case "not_endswith":
            return lambda text: not text.endswith(first)
        case "iexact":
            return lambda text: bool(text.casefold() == first.casefold())
        case "ilike":
            return lambda text: like(text.casefold(), first.casefold())
        case "isnull":
            wanted = _flag(values[0], where)
            return lambda text: (text == "") == wanted
        case "empty":
            return lambda text: bool(text == "")
        case "not_empty":
            return lambda text: bool(text != "")
        case _:
            return _comparison(operator, texts, where)


def _comparison(operator: str, values: list[Any], where: str) -> Callable[[Any], bool]:
    first = values[0] if values else None
    match operator:
        case "in":
            return frozenset(values).__contains__
        case "not_in":
            unwanted = frozenset(values)
            return lambda value: value not in unwanted
        case "lt":
            return lambda value: bool(value < first)
        case "lte":
            return lambda value: bool(value <= first)
        case "gt":
            return lambda value: bool(value > first)
        case "gte":
            return lambda value: bool(value >= first)
        case _:
            raise RequestInvalid(f"'{where}': the operator '{operator}' does not apply to this field.", param=where)


def like(text: str, pattern: str) -> bool:
    """SQL's LIKE: `%` stands for any characters, `_` for one. Takes time in proportion to both lengths, no more."""
    at, place, star, mark = 0, 0, -1, 0
    while at < len(text):
        if place < len(pattern) and pattern[place] == "%":
            star, mark = place, at
            place += 1
        elif place < len(pattern) and pattern[place] in ("_", text[at]):
            at, place = at + 1, place + 1
        elif star >= 0:
            mark += 1
            at, place = mark, star + 1
        else:
            return False
    return pattern[place:].strip("%") == ""


def _check_operator(operator: str, known: tuple[str, ...], where: str) -> None:
    if operator not in known:
        raise RequestInvalid(f"'{where}': the operator '{operator}' does not apply to this field.", param=where)


def _text(value: Any, where: str) -> str:
    match value:
        case str():
            return value
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case int() | float():
            return str(value)
        case _:
            raise RequestInvalid(f"'{where}': a value must be a text or a number.", param=where)


def _number(value: Any, where: str) -> float:
    if not isinstance(value, bool) and isinstance(value, str | int | float):
        try:
            return float(value)
        except (ValueError, OverflowError):
            pass
    raise RequestInvalid(f"'{where}' must be compared with a number.", param=where)


def _flag(value: Any, where: str) -> bool:
    match str(value).lower():
        case "true" | "1":
            return True
        case "false" | "0":
            return False
        case _:
            raise RequestInvalid(f"'{where}' must be compared with true or false.", param=where)
