"""Summaries and groups, summed in the engine or record by record."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from functions.request_log import app as request_log
from tests.functions.test_request_log import log
from tests.functions.watched import watched
from tests.runtime import INGEST_KEY, OTHER_KEY, TEST_KEY, Caller
from weir.runtime.bootstrap import Runtime

SUMMARY = "/api/request-logs/summary/"
GROUPS = "/api/request-logs/groups/"

NONE: dict[str, Any] = {
    "number_of_requests": 0,
    "total_cost": 0.0,
    "total_tokens": 0,
    "total_prompt_tokens": 0,
    "total_completion_tokens": 0,
    "avg_latency": 0.0,
    "avg_tps": 0.0,
    "avg_ttft": 0.0,
    "scores": {},
}
ALL: dict[str, Any] = {
    "number_of_requests": 4,
    "total_cost": 0.3,
    "total_tokens": 33,
    "total_prompt_tokens": 30,
    "total_completion_tokens": 3,
    "avg_latency": 1.0,
    "avg_tps": 6.0,
    "avg_ttft": 0.25,
    "scores": {},
}


@pytest.fixture(params=[True, False], ids=["summed by the engine", "record by record"])
def caller(runtime: Runtime, request: pytest.FixtureRequest) -> Iterator[Caller]:
    counted, store = watched(runtime, sums=request.param)
    with closing(store):
        caller = Caller.of(counted, [request_log.mount])
        log(caller, model="a", cost=0.1, prompt_tokens=10, completion_tokens=1, latency=0.5, ttft=0.25,
            customer_identifier="x", trace_unique_id="t1", usage={"cache_read_input_tokens": 5})  # fmt: skip
        log(caller, model="a", cost=0.2, prompt_tokens=20, completion_tokens=2, latency=1.5, tokens_per_second=10,
            customer_identifier="y", trace_unique_id="t1", thread_identifier="th")  # fmt: skip
        log(caller, model="b", status_code=500)
        log(caller, model="b")
        log(caller.with_key(TEST_KEY), model="b", cost=100)
        log(caller.with_key(OTHER_KEY), model="b", cost=100)
        yield caller


@pytest.mark.parametrize(
    ("parameters", "body", "expected"),
    [
        ({}, None, ALL),
        ({}, {}, ALL),
        ({}, {"filters": {}}, ALL),
        ({"environment": "prod", "start_time": "2026-01-02T03:04:05Z", "end_time": "2026-01-03T00:00:00Z"}, None, ALL),
        ({}, {"filters": {"status_code": {"operator": "", "value": [200, 500]}}}, ALL),
        ({"end_time": "2026-01-02T03:04:04Z"}, None, NONE),
        ({}, {"filters": {"model": {"operator": "", "value": ["nobody"]}}}, NONE),
        ({"environment": "test"}, None, {**NONE, "number_of_requests": 1, "total_cost": 100.0}),
        ({"all_envs": "true"}, None, {**ALL, "number_of_requests": 5, "total_cost": 100.3}),
        ({"start_time": "2026-01-02T03:04:07Z"}, None, {**NONE, "number_of_requests": 2}),
    ],
)
def test_a_summary_has_its_nine_fields_as_numbers(
    caller: Caller, parameters: dict[str, str], body: Any, expected: Any
) -> None:
    for path in (SUMMARY, "/request-logs/summary"):
        answer = caller.post(path, params=parameters, **({} if body is None else {"json": body}))
        assert (answer.status_code, answer.json()) == (200, expected)


def test_groups_are_rows_of_a_page_the_most_requests_first(caller: Caller) -> None:
    answer = caller.get(GROUPS, params={"group_by": "model"})
    assert answer.status_code == 200
    assert answer.json() == {
        "count": 2,
        "next": None,
        "previous": None,
        "results": [
            {
                "model": "a",
                "number_of_requests": 2,
                "total_cost": 0.3,
                "total_tokens": 33,
                "error_count": 0,
                "error_percentage": 0.0,
                "average_cost": 0.15,
                "average_tokens": 16,
                "average_latency": 1.0,
                "average_ttft": 0.25,
                "average_tps": 6.0,
                "cache_hit_percentage": 16.666667,
            },
            {
                "model": "b",
                "number_of_requests": 2,
                "total_cost": 0.0,
                "total_tokens": 0,
                "error_count": 1,
                "error_percentage": 50.0,
            },
        ],
    }


@pytest.mark.parametrize(
    ("group_by", "name", "expected"),
    [
        ("model", "model", {"a": 2, "b": 2}),
        ("provider_id", "provider_id", {None: 4}),
        ("prompt_id", "prompt_id", {None: 4}),
        ("deployment_name", "deployment_name", {None: 4}),
        ("deployment_id", "deployment_id", {None: 4}),
        ("custom_identifier", "custom_identifier", {None: 4}),
        ("customer_identifier", "customer_identifier", {"x": 1, "y": 1, None: 2}),
        ("trace", "trace_unique_id", {"t1": 2, None: 2}),
        ("thread", "thread_identifier", {"th": 1, None: 3}),
    ],
)
def test_every_field_that_one_groups_by(
    caller: Caller, group_by: str, name: str, expected: dict[str | None, int]
) -> None:
    rows = caller.post(GROUPS, params={"group_by": group_by}, json={}).json()["results"]
    assert {row[name]: row["number_of_requests"] for row in rows} == expected


def test_groups_come_in_pages_and_in_the_order_asked_for(caller: Caller) -> None:
    asked = {"group_by": "customer_identifier", "sort_by": "-total_cost", "page_size": "2"}
    first = caller.get(GROUPS, params=asked).json()
    assert [row["customer_identifier"] for row in first["results"]] == ["y", "x"]
    assert (first["count"], first["previous"]) == (3, None)
    assert (
        first["next"] == "/api/request-logs/groups?group_by=customer_identifier&sort_by=-total_cost&page_size=2&page=2"
    )
    second = caller.get(first["next"]).json()
    assert [row["customer_identifier"] for row in second["results"]] == [None]
    assert (second["next"], second["count"]) == (None, 3)
    assert caller.get(GROUPS, params={**asked, "page": "3"}).json()["results"] == []
    cheapest = caller.get(GROUPS, params={**asked, "sort_by": "total_cost"}).json()["results"]
    assert [row["customer_identifier"] for row in cheapest] == [None, "x"]


def test_groups_take_filters_and_a_window(caller: Caller) -> None:
    body = {"filters": {"status_code": {"operator": "not", "value": [500]}}}
    rows = caller.post(GROUPS, params={"end_time": "2026-01-02T03:04:08Z"}, json=body).json()["results"]
    assert {row["model"]: row["number_of_requests"] for row in rows} == {"a": 2, "b": 1}


@pytest.mark.parametrize(
    ("path", "parameters", "body", "named"),
    [
        (GROUPS, {"group_by": "organization_key_id"}, None, "group_by"),
        (GROUPS, {"sort_by": "-name"}, None, "sort_by"),
        (GROUPS, {"page": "0"}, None, "page"),
        (GROUPS, {"cursor": "x"}, None, "cursor"),
        (SUMMARY, {"page": "1"}, None, "page"),
        (SUMMARY, {"start_time": "yesterday"}, None, "start_time"),
        (SUMMARY, {}, {"filters": {"nope": {"value": ["x"]}}}, "filters.nope"),
        (SUMMARY, {}, {"group_by": "model"}, "group_by"),
    ],
)
def test_what_is_not_understood_is_named(
    caller: Caller, path: str, parameters: dict[str, str], body: Any, named: str
) -> None:
    answer = caller.post(path, params=parameters, **({} if body is None else {"json": body}))
    assert (answer.status_code, list(answer.json())) == (400, [named, "error"])


def test_sums_need_a_key_that_may_read(caller: Caller) -> None:
    for path in (SUMMARY, GROUPS):
        assert caller.with_key(None).post(path).status_code == 401
        assert caller.with_key(INGEST_KEY).post(path).status_code == 403
