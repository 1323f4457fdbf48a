"""What a reader of request logs asks for: a window of time, filters, an order, a page."""

import base64
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from weir.domain.errors import RequestInvalid
from weir.domain.ids import is_uuid7, uuid7
from weir.domain.record import Environment, Record
from weir.http.request_log_filters import NUMBERS, Matches, all_of, equals, is_field, only_text, to_matches
from weir.http.request_logs import instant

PAGE_SIZE = 50
PAGE_SIZE_LIMIT = 1_000

_WINDOW = ("start_time", "end_time", "environment", "is_test", "all_envs")
_PAGING = ("page", "page_size", "cursor", "sort_by", "include_fields", "fetch_filters")
_CUSTOMER = "customer_identifier"
_LAST_ID_TIME = (1 << 48) - 1
_LOST_PLUS = re.compile(r"(T.*) (\d\d:?\d\d)$")
"""`+02:00` in a query that was not encoded arrives with a space."""


@dataclass(frozen=True, slots=True)
class Window:
    """`before` and `since` bound the ids. `customer` is the one whose records are asked for, who has an index;
    `matches` is what filters ask of a record beside that, None for nothing.
    """

    before: str | None = None
    since: str | None = None
    environment: Environment | None = None
    matches: Matches | None = None
    customer: str | None = None

    def includes(self, record: Record) -> bool:
        return (
            self.environment in (None, record.environment)
            and self.customer in (None, record.customer_identifier)
            and (self.matches is None or self.matches(record))
        )


@dataclass(frozen=True, slots=True)
class Order:
    """By a figure of the records; those without it come last."""

    of: Callable[[Record], Any]
    descending: bool

    def sort(self, records: list[Record]) -> list[Record]:
        known = [record for record in records if self.of(record) is not None]
        known.sort(key=self.of, reverse=self.descending)
        return known + [record for record in records if self.of(record) is None]


@dataclass(frozen=True, slots=True)
class ListQuery:
    """`order` None is newest first. `counted` records were on the pages before a cursor's."""

    window: Window
    page: int = 1
    page_size: int = PAGE_SIZE
    order: Order | None = None
    counted: int = 0
    by_cursor: bool = False
    fields: frozenset[str] | None = None


def to_query(parameters: Mapping[str, str], body: Any, environment: Environment) -> ListQuery:
    """`environment` is the key's, whose records are listed unless another is named. Raises RequestInvalid."""
    window = to_window(parameters, body, environment, also=_PAGING)
    size = whole_number(parameters, "page_size", PAGE_SIZE, PAGE_SIZE_LIMIT)
    page = whole_number(parameters, "page", 1)
    order = _order(parameters.get("sort_by") or "-id")
    counted = 0
    if "cursor" in parameters:
        for name in ("page", "sort_by"):
            if name in parameters and (name == "page" or order is not None):
                raise RequestInvalid(f"'cursor' and '{name}' cannot both be given.", param="cursor")
        last, counted = _from_cursor(parameters["cursor"])
        window = replace(window, before=last if window.before is None else min(last, window.before))
    fields = frozenset(name.strip() for name in parameters.get("include_fields", "").split(",") if name.strip())
    return ListQuery(window, page, size, order, counted, "cursor" in parameters, fields or None)


def to_window(
    parameters: Mapping[str, str], body: Any, environment: Environment, *, also: tuple[str, ...] = ()
) -> Window:
    """The window of a query and the filters of its body; `also` are other parameters it may have.

    The older clients put filters into the query, a field equal to a value. Raises RequestInvalid.
    """
    asked: list[Matches | None] = []
    customer = None
    for name, value in parameters.items():
        if name in _WINDOW or name in also:
            continue
        if not is_field(name):
            raise RequestInvalid(
                f"'{name[:80]}' is not understood here; there are {', '.join((*_WINDOW, *also))}, "
                "and the fields that filters take.",
                param=name[:80],
            )
        if name == _CUSTOMER and value:
            customer = value
        else:
            asked.append(equals(name, value))
    filters, operator = _body_filters(body)
    matches = to_matches(filters, operator)
    if customer is None and (customer := only_text(_CUSTOMER, filters, operator)) is not None:
        matches = to_matches({name: each for name, each in filters.items() if name != _CUSTOMER}, operator)
    return Window(
        _bound(parameters, "end_time", 1),
        _bound(parameters, "start_time", 0),
        _environment(parameters, environment),
        all_of(*asked, matches),
        customer,
    )


def whole_number(parameters: Mapping[str, str], name: str, default: int, most: int | None = None) -> int:
    text = parameters.get(name, "") or str(default)
    if not re.fullmatch(r"\d{1,9}", text, re.ASCII) or int(text) < 1 or (most is not None and int(text) > most):
        limits = f"from 1 to {most}" if most is not None else "from 1 on"
        raise RequestInvalid(f"'{name}' must be a whole number {limits}.", param=name)
    return int(text)


def to_cursor(id: str, counted: int) -> str:
    return base64.urlsafe_b64encode(f"{id}:{counted}".encode()).decode().rstrip("=")


def _from_cursor(cursor: str) -> tuple[str, int]:
    refusal = RequestInvalid("'cursor' must be one that 'next' of a list gave.", param="cursor")
    try:
        id, _, counted = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii").partition(":")
    except ValueError:
        raise refusal from None
    if not is_uuid7(id) or not re.fullmatch(r"\d{1,15}", counted, re.ASCII):
        raise refusal
    return id, int(counted)


def _body_filters(body: Any) -> tuple[Any, Any]:
    """And the word that joins them."""
    if body is None:
        return None, None
    if not isinstance(body, dict):
        raise RequestInvalid("The request body must be a JSON object.")
    for name in body:
        if name not in ("filters", "operator"):
            raise RequestInvalid(
                f"'{name[:80]}' is not understood here; a list takes its other parameters in the query.",
                param=name[:80],
            )
    return body.get("filters"), body.get("operator")


def _order(text: str) -> Order | None:
    name, descending = text.removeprefix("-"), text.startswith("-")
    if name in ("id", "timestamp"):
        return None if descending else Order(lambda record: record.id, descending=False)
    if name not in NUMBERS:
        raise RequestInvalid(
            f"'sort_by' must be id, timestamp, {', '.join(NUMBERS)}, with '-' for descending.", param="sort_by"
        )
    return Order(NUMBERS[name], descending)


def _bound(parameters: Mapping[str, str], name: str, later: int) -> str | None:
    """The smallest id of the parameter's millisecond, or of one `later`: ids begin with their time."""
    text = parameters.get(name, "")
    if not text:
        return None
    parsed: datetime = instant(_LOST_PLUS.sub(r"\1+\2", text), name)
    return uuid7(min(max(int(parsed.timestamp() * 1000) + later, 0), _LAST_ID_TIME), 0)


def _environment(parameters: Mapping[str, str], own: Environment) -> Environment | None:
    if _flag(parameters, "all_envs"):
        return None
    match parameters.get("environment", ""):
        case "":
            test = _flag(parameters, "is_test")
            return own if test is None else "test" if test else "prod"
        case "prod" | "test" as named:
            return named
        case _:
            raise RequestInvalid("'environment' must be prod or test.", param="environment")


def _flag(parameters: Mapping[str, str], name: str) -> bool | None:
    match parameters.get(name, "").lower():
        case "":
            return None
        case "true" | "1":
            return True
        case "false" | "0":
            return False
        case _:
            raise RequestInvalid(f"'{name}' must be true or false.", param=name)
