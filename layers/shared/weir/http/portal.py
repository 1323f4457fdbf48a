"""The developer API's envelope, and the parameters that its routes share."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from weir.domain.errors import NotFound, RequestInvalid
from weir.domain.ids import milliseconds, uuid7
from weir.protocols import jsonbytes

PAGE_LIMIT = 25
LARGEST_PAGE = 1_000
LARGEST_PAGE_WITH_MESSAGES = 100
ANSWER_LIMIT = 5_500_000
"""Bytes of an answer: Lambda gives no more than 6 MB out."""

_DIGITS = 15
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_TIME = 253_402_300_799_000
"""The last second that a date can name."""


@dataclass(frozen=True, slots=True)
class Paging:
    offset: int
    limit: int


@dataclass(frozen=True, slots=True)
class Dates:
    """Both ends count; None where nobody named one."""

    start: datetime | None
    end: datetime | None

    @property
    def since(self) -> str | None:
        """The smallest id of the first millisecond: ids begin with their time."""
        return None if self.start is None else uuid7(milliseconds(self.start), 0)

    @property
    def before(self) -> str | None:
        return None if self.end is None else uuid7(milliseconds(self.end) + 1, 0)


def data(value: Any, status: int = 200) -> Response:
    return _json({"data": value}, status)


def page(found: list[Any], total: int, paging: Paging, *, complete: bool = True) -> Response:
    """`found` is the page, out of `total`; not `complete` says that there may be more than were counted.

    Raises RequestInvalid for a page that is too large to be answered.
    """
    pagination: dict[str, Any] = {"total": total, "offset": paging.offset, "limit": paging.limit}
    if not complete:
        pagination["complete"] = False
    return _json({"data": found, "pagination": pagination}, 200)


def all_of(request: Request, found: list[Any], *, also: tuple[str, ...] = ()) -> Response:
    """All of it, unless the caller asks for a part. `also` are other parameters that the route has."""
    only(request, (*also, "offset", "limit"))
    offset = number(request, "offset", 0)
    limit = number(request, "limit", len(found))
    return page(found[offset : offset + limit], len(found), Paging(offset, limit))


def only(request: Request, names: Iterable[str]) -> None:
    """Raises RequestInvalid for a parameter that would be overlooked, such as a filter that this route has not."""
    known = tuple(names)
    for name in request.query_params:
        if name not in known:
            there = f"there are {', '.join(known)}" if known else "it takes none"
            raise RequestInvalid(f"The parameter '{name[:80]}' is not understood here; {there}.", param=name[:80])


def paging(request: Request, default: int = PAGE_LIMIT, most: int = LARGEST_PAGE) -> Paging:
    limit = number(request, "limit", default)
    if not 1 <= limit <= most:
        raise RequestInvalid(f"'limit' must be a number from 1 to {most}.", param="limit")
    return Paging(number(request, "offset", 0), limit)


def dates(request: Request) -> Dates:
    """`start_date` and `end_date`, in milliseconds since 1970."""
    start, end = (_instant(request, name) for name in ("start_date", "end_date"))
    if start is not None and end is not None and start > end:
        raise RequestInvalid("'start_date' must not be later than 'end_date'.", param="start_date")
    return Dates(start, end)


def number(request: Request, name: str, default: int) -> int:
    text = request.query_params.get(name, "")
    if not text:
        return default
    if not _is_number(text):
        raise RequestInvalid(f"'{name}' must be a number from 0.", param=name)
    return int(text)


def optional_number(request: Request, name: str) -> int | None:
    return number(request, name, 0) if request.query_params.get(name) else None


def flag(request: Request, name: str) -> bool:
    match request.query_params.get(name, "").lower():
        case "true" | "1":
            return True
        case "" | "false" | "0":
            return False
        case _:
            raise RequestInvalid(f"'{name}' must be true or false.", param=name)


def path_id(request: Request, name: str) -> int:
    """Raises NotFound: nothing has an id that is no number."""
    text: str = request.path_params[name]
    if not _is_number(text):
        raise NotFound(f"'{name}' is a number, and nothing has the id {text[:80]!r}.")
    return int(text)


def present(fields: Mapping[str, Any]) -> dict[str, Any]:
    """`fields` without those that are not known."""
    return {name: value for name, value in fields.items() if value is not None}


def _instant(request: Request, name: str) -> datetime | None:
    value = optional_number(request, name)
    return None if value is None else _EPOCH + timedelta(milliseconds=min(value, _LAST_TIME))


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= _DIGITS


def _json(body: Mapping[str, Any], status: int) -> Response:
    text = jsonbytes.dumps(body)
    if len(text) > ANSWER_LIMIT:
        raise RequestInvalid(
            f"This answer would have more than {ANSWER_LIMIT} bytes. Ask for fewer at once with 'limit'.", param="limit"
        )
    return Response(text, status, media_type="application/json")
