"""Answers to readers of request logs: a page of rows, a summary, a page of groups."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from weir.domain.errors import RequestInvalid
from weir.domain.record import Environment, Record
from weir.domain.totals import GroupField, Totals
from weir.http.request_log_query import (
    PAGE_SIZE,
    PAGE_SIZE_LIMIT,
    ListQuery,
    Window,
    to_cursor,
    to_window,
    whole_number,
)
from weir.http.request_log_view import log_row

_GROUPS: Mapping[str, tuple[GroupField, str]] = {
    "model": ("model", "model"),
    "provider_id": ("provider", "provider_id"),
    "prompt_id": ("prompt_id", "prompt_id"),
    "deployment_id": ("deployment", "deployment_id"),
    "deployment_name": ("deployment", "deployment_name"),
    "custom_identifier": ("custom_identifier", "custom_identifier"),
    "customer_identifier": ("customer_identifier", "customer_identifier"),
    "trace": ("trace_id", "trace_unique_id"),
    "thread": ("session_id", "thread_identifier"),
}
"""`group_by` -> the record's field, and the row's."""

_GROUP_FIGURES = (
    "number_of_requests",
    "total_cost",
    "total_tokens",
    "error_count",
    "error_percentage",
    "average_cost",
    "average_tokens",
    "average_latency",
    "average_ttft",
    "average_tps",
    "cache_hit_percentage",
)
_COST_PLACES = 10
_PLACES = 6


@dataclass(frozen=True, slots=True)
class GroupQuery:
    """`key` is the row's name of what is grouped by `field`."""

    window: Window
    field: GroupField
    key: str
    page: int
    page_size: int
    sort_by: str
    descending: bool


def to_group_query(parameters: Mapping[str, str], body: Any, environment: Environment) -> GroupQuery:
    """Raises RequestInvalid."""
    window = to_window(parameters, body, environment, also=("group_by", "sort_by", "page", "page_size"))
    found = _GROUPS.get(parameters.get("group_by", "") or "model")
    if found is None:
        raise RequestInvalid(f"'group_by' must be one of {', '.join(_GROUPS)}.", param="group_by")
    order = parameters.get("sort_by", "") or "-number_of_requests"
    if order.removeprefix("-") not in _GROUP_FIGURES:
        raise RequestInvalid(f"'sort_by' must be one of {', '.join(_GROUP_FIGURES)}.", param="sort_by")
    return GroupQuery(
        window,
        *found,
        whole_number(parameters, "page", 1),
        whole_number(parameters, "page_size", PAGE_SIZE, PAGE_SIZE_LIMIT),
        order.removeprefix("-"),
        order.startswith("-"),
    )


def list_body(
    query: ListQuery,
    parameters: Mapping[str, str],
    path: str,
    records: Iterable[Record],
    *,
    count: int,
    shown: int,
    following: str | None,
) -> dict[str, Any]:
    """A page as its readers expect it. `count` is exact on the last page, and a lower bound before it.

    `shown` counts the records up to the page's end. `following` is the id below which the next page begins, in the
    order newest first; None at the end.
    """
    rows = [log_row(record) for record in records]
    if query.fields is not None:
        rows = [{name: row[name] for name in row if name == "id" or name in query.fields} for row in rows]
    if query.order is None:
        more = ("cursor", to_cursor(following, shown)) if following is not None else None
    else:
        more = ("page", str(query.page + 1)) if count > shown and rows else None
    return _page(path, parameters, count, more, query.page, rows)


def summary_body(totals: Totals) -> dict[str, Any]:
    """All nine fields, which respan-api needs as numbers: an average over nothing is 0."""
    return {
        "number_of_requests": totals.records,
        "total_cost": round(float(totals.cost), _COST_PLACES),
        "total_tokens": totals.tokens,
        "total_prompt_tokens": totals.prompt_tokens,
        "total_completion_tokens": totals.completion_tokens,
        "avg_latency": _mean(totals.latency_ms / 1000, totals.timed) or 0.0,
        "avg_tps": _mean(totals.speed, totals.speeds) or 0.0,
        "avg_ttft": _mean(totals.first_token_ms / 1000, totals.first_token_timed) or 0.0,
        "scores": {},
    }


def groups_body(
    query: GroupQuery, parameters: Mapping[str, str], path: str, groups: Mapping[str | None, Totals]
) -> dict[str, Any]:
    """One row a group, the most requests first; a figure that no record of the group has is absent."""
    rows = [_group_row(query.key, key, totals) for key, totals in groups.items()]
    rows.sort(key=lambda row: (row[query.key] is None, row[query.key] or ""))
    rows.sort(key=lambda row: row.get(query.sort_by) or 0, reverse=query.descending)
    start = (query.page - 1) * query.page_size
    shown = rows[start : start + query.page_size]
    more = ("page", str(query.page + 1)) if start + query.page_size < len(rows) else None
    return _page(path, parameters, len(rows), more, query.page, shown)


def _group_row(name: str, key: str | None, totals: Totals) -> dict[str, Any]:
    tokens = _mean(totals.tokens, totals.counted)
    row = {
        "number_of_requests": totals.records,
        "total_cost": round(float(totals.cost), _COST_PLACES),
        "total_tokens": totals.tokens,
        "error_count": totals.errors,
        "error_percentage": round(100 * totals.errors / totals.records, _PLACES),
        "average_cost": round(float(totals.cost / totals.priced), _COST_PLACES) if totals.priced else None,
        "average_tokens": round(tokens) if tokens is not None else None,  # respan-api takes a whole number
        "average_latency": _mean(totals.latency_ms / 1000, totals.timed),
        "average_ttft": _mean(totals.first_token_ms / 1000, totals.first_token_timed),
        "average_tps": _mean(totals.speed, totals.speeds),
        "cache_hit_percentage": _mean(100 * totals.cached_tokens, totals.prompt_tokens),
    }
    return {name: key, **{field: value for field, value in row.items() if value is not None}}


def _mean(sum: float, count: int) -> float | None:
    return round(sum / count, _PLACES) if count else None


def _page(
    path: str, parameters: Mapping[str, str], count: int, more: tuple[str, str] | None, page: int, rows: list[Any]
) -> dict[str, Any]:
    kept = {name: value for name, value in parameters.items() if name not in ("page", "cursor")}
    return {
        "count": count,
        "next": f"{path}?{urlencode({**kept, more[0]: more[1]})}" if more is not None else None,
        "previous": f"{path}?{urlencode({**kept, 'page': page - 1})}" if page > 1 else None,
        "results": rows,
    }
