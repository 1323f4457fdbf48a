"""Lists of request logs: what a caller asks for, and the page it gets."""

import base64
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from weir.domain.errors import RequestInvalid
from weir.domain.ids import is_uuid7, uuid7
from weir.domain.record import Environment, Record
from weir.http.request_log_view import log_row
from weir.http.request_logs import instant

PAGE_SIZE = 50
PAGE_SIZE_LIMIT = 1_000
REACH = 10_000
"""Records that page numbers reach: behind one lie all that are newer, and each is read. A cursor reaches any."""

_UNDERSTOOD = (
    "page",
    "page_size",
    "cursor",
    "sort_by",
    "start_time",
    "end_time",
    "environment",
    "is_test",
    "all_envs",
    "include_fields",
    "fetch_filters",
)
_NEWEST_FIRST = ("-id", "-timestamp")
_LAST_ID_TIME = (1 << 48) - 1
_LOST_PLUS = re.compile(r"(T.*) (\d\d:?\d\d)$")
"""`+02:00` in a query that was not encoded arrives with a space."""


@dataclass(frozen=True, slots=True)
class ListQuery:
    """`before` and `since` bound the ids; `counted` records were on the pages before a cursor's."""

    page: int = 1
    page_size: int = PAGE_SIZE
    before: str | None = None
    since: str | None = None
    counted: int = 0
    environment: Environment | None = None
    fields: frozenset[str] | None = None

    @property
    def skip(self) -> int:
        return (self.page - 1) * self.page_size


def to_query(parameters: Mapping[str, str], environment: Environment) -> ListQuery:
    """`environment` is the key's, whose records are listed unless another is named. Raises RequestInvalid."""
    for name in parameters:
        if name not in _UNDERSTOOD:
            raise RequestInvalid(
                f"'{name[:80]}' is not understood here; a list takes {', '.join(_UNDERSTOOD)}.", param=name[:80]
            )
    if (order := parameters.get("sort_by", "-id")) not in _NEWEST_FIRST:
        raise RequestInvalid(f"'sort_by' must be -id or -timestamp, not {order[:80]!r}: newest first.", param="sort_by")
    size = _number(parameters, "page_size", PAGE_SIZE, PAGE_SIZE_LIMIT)
    page = _number(parameters, "page", 1)
    if page * size > REACH:
        raise RequestInvalid(
            f"'page' times 'page_size' may be {REACH} at most. Go on with the 'cursor' in a page's 'next', or narrow "
            "'start_time' and 'end_time'.",
            param="page",
        )
    before, since = _bound(parameters, "end_time", 1), _bound(parameters, "start_time", 0)
    counted = 0
    if "cursor" in parameters:
        if "page" in parameters:
            raise RequestInvalid("'cursor' and 'page' cannot both be given.", param="cursor")
        last, counted = _from_cursor(parameters["cursor"])
        before = last if before is None else min(last, before)
    fields = frozenset(name.strip() for name in parameters.get("include_fields", "").split(",") if name.strip())
    return ListQuery(page, size, before, since, counted, _environment(parameters, environment), fields or None)


def check_filters(body: Any) -> None:
    """The body of a list call. Raises RequestInvalid for filters: passing over them would show more than was asked."""
    if body is None:
        return
    if not isinstance(body, dict):
        raise RequestInvalid("The request body must be a JSON object.")
    for name, value in body.items():
        if name not in ("filters", "operator"):
            raise RequestInvalid(
                f"'{name[:80]}' is not understood here; a list takes its parameters in the query.", param=name[:80]
            )
        if name == "filters" and value:
            first = next(iter(value)) if isinstance(value, dict) else ""
            raise RequestInvalid(
                f"'filters{'.' + first[:80] if first else ''}': filters are not understood here; a list takes "
                f"{', '.join(_UNDERSTOOD)} in the query.",
                param="filters",
            )


def list_body(
    query: ListQuery,
    parameters: Mapping[str, str],
    path: str,
    records: Iterable[Record],
    matched: int,
    following: str | None,
) -> dict[str, Any]:
    """A page as its readers expect it. `count` is exact on the last page, and a lower bound before it."""
    rows = [log_row(record) for record in records]
    if query.fields is not None:
        rows = [{name: row[name] for name in row if name == "id" or name in query.fields} for row in rows]
    count = query.counted + matched
    kept = {name: value for name, value in parameters.items() if name not in ("page", "cursor")}
    shown = query.counted + min(matched, query.skip + query.page_size)
    return {
        "count": count,
        "next": _link(path, kept, "cursor", _to_cursor(following, shown)) if following is not None else None,
        "previous": _link(path, kept, "page", str(query.page - 1)) if query.page > 1 else None,
        "results": rows,
    }


def _link(path: str, parameters: Mapping[str, str], name: str, value: str) -> str:
    return f"{path}?{urlencode({**parameters, name: value})}"


def _to_cursor(id: str, counted: int) -> str:
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


def _number(parameters: Mapping[str, str], name: str, default: int, most: int | None = None) -> int:
    text = parameters.get(name, "") or str(default)
    if not re.fullmatch(r"\d{1,9}", text, re.ASCII) or int(text) < 1 or (most is not None and int(text) > most):
        limits = f"from 1 to {most}" if most is not None else "from 1 on"
        raise RequestInvalid(f"'{name}' must be a whole number {limits}.", param=name)
    return int(text)


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
