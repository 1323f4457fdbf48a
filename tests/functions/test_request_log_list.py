from typing import Any

import pytest

from functions.request_log import app as request_log
from tests.functions.test_request_log import an_id, log
from tests.runtime import TEST_KEY, Caller
from weir.runtime.bootstrap import Runtime
from weir.services.log_queries import REACH

LIST = "/api/request-logs/list/"


@pytest.fixture
def caller(runtime: Runtime) -> Caller:
    return Caller.of(runtime, [request_log.mount])


def logged(caller: Caller, count: int) -> list[str]:
    """Ids, newest first: one a second, from 03:04:05 on."""
    return [log(caller) for _ in range(count)][::-1]


def ids(body: Any) -> list[str]:
    return [row["id"] for row in body["results"]]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/request-logs/list", None),
        ("GET", "/request-logs", None),
        ("GET", "/api/request-logs/", None),
        ("GET", LIST, None),
        ("POST", LIST, None),
        ("POST", LIST, {}),
        ("POST", "/request-logs/list", {"filters": {}, "operator": "AND"}),
        ("POST", "/api/request-logs/", {"filters": {}}),
    ],
)
def test_the_newest_come_first_at_every_spelling(caller: Caller, method: str, path: str, body: Any) -> None:
    expected = logged(caller, 3)
    answer = caller.call(method, path, **({} if body is None else {"json": body}))
    assert answer.status_code == 200
    assert ids(answer.json()) == expected
    assert {**answer.json(), "results": []} == {"count": 3, "next": None, "previous": None, "results": []}


def test_a_row_holds_the_records_own_fields(caller: Caller) -> None:
    created = caller.post(
        "/request-logs/create", json={"model": "m", "cost": 0.5, "completion_message": {"a": 1}}
    ).json()
    del created["message"]
    assert caller.get(LIST).json()["results"] == [created]


def test_page_numbers_lead_through_and_end_with_an_empty_page(caller: Caller) -> None:
    expected = logged(caller, 5)
    pages = [caller.get(LIST, params={"page": page, "page_size": 2, "sort_by": "-id"}).json() for page in range(1, 5)]
    assert [ids(page) for page in pages] == [expected[:2], expected[2:4], expected[4:], []]
    assert [page["count"] for page in pages] == [3, 5, 5, 5]
    assert [page["next"] is None for page in pages] == [False, False, True, True]
    assert pages[1]["previous"] == "/api/request-logs/list?page_size=2&sort_by=-id&page=1"


def test_next_leads_through_all_and_counts_on(caller: Caller) -> None:
    expected = logged(caller, 5)
    path, seen, counts = "/request-logs/list?page_size=2&environment=prod", list[str](), []
    while path is not None:
        page = caller.get(path).json()
        seen += ids(page)
        counts.append(page["count"])
        path = page["next"]
    assert seen == expected
    assert counts == [3, 5, 5]


def test_a_cursor_is_not_moved_by_what_comes_in_later(caller: Caller) -> None:
    expected = logged(caller, 4)
    following = caller.get(LIST, params={"page_size": 2}).json()["next"]
    log(caller)
    assert ids(caller.get(following).json()) == expected[2:]


@pytest.mark.parametrize(
    ("window", "numbers"),
    [
        ({"start_time": "2026-01-02T03:04:07Z"}, [5, 4, 3]),
        ({"end_time": "2026-01-02T03:04:07Z"}, [3, 2, 1]),
        ({"start_time": "2026-01-02T03:04:06Z", "end_time": "2026-01-02T03:04:08.000Z"}, [4, 3, 2]),
        ({"start_time": "2026-01-02T05:04:08+02:00"}, [5, 4]),
        ({"start_time": "2026-01-02T05:04:08 02:00"}, [5, 4]),
        ({"start_time": "2026-01-02 03:04:08"}, [5, 4]),
        ({"start_time": "0001-01-01T00:00:00Z", "end_time": "9999-12-31T23:59:59Z"}, [5, 4, 3, 2, 1]),
        ({"end_time": "1969-12-31T23:59:59Z"}, []),
        ({"start_time": "", "end_time": ""}, [5, 4, 3, 2, 1]),
    ],
)
def test_a_window_holds_both_its_ends(caller: Caller, window: dict[str, str], numbers: list[int]) -> None:
    logged(caller, 5)
    assert ids(caller.get(LIST, params=window).json()) == [an_id(number, number - 1) for number in numbers]


@pytest.mark.parametrize(
    ("parameters", "key", "environments"),
    [
        ({}, None, ["prod", "prod"]),
        ({}, TEST_KEY, ["test"]),
        ({"environment": "test"}, None, ["test"]),
        ({"environment": "prod"}, TEST_KEY, ["prod", "prod"]),
        ({"is_test": "true"}, None, ["test"]),
        ({"is_test": "false", "all_envs": "false", "fetch_filters": "false"}, None, ["prod", "prod"]),
        ({"all_envs": "true"}, None, ["prod", "test", "prod"]),
    ],
)
def test_the_environment_is_the_keys_unless_another_is_asked_for(
    caller: Caller, parameters: dict[str, str], key: str | None, environments: list[str]
) -> None:
    log(caller)
    log(caller.with_key(TEST_KEY))
    log(caller)
    reader = caller if key is None else caller.with_key(key)
    page = reader.get(LIST, params=parameters).json()
    assert [row["environment"] for row in page["results"]] == environments
    assert page["count"] == len(environments)


def test_rows_can_be_cut_to_the_fields_asked_for(caller: Caller) -> None:
    id = log(caller, cost=0.5)
    page = caller.get(LIST, params={"include_fields": "cost, model,unheard_of"}).json()
    assert page["results"] == [{"id": id, "model": "m", "cost": 0.5}]


@pytest.mark.parametrize(
    ("parameters", "named"),
    [
        ({"unheard_of": "gpt-4o"}, "unheard_of"),
        ({"status_code": "many"}, "filters.status_code"),
        ({"sort_by": "-model"}, "sort_by"),
        ({"sort_by": "-scores__1"}, "sort_by"),
        ({"cursor": "MTox", "sort_by": "cost"}, "cursor"),
        ({"page": "0"}, "page"),
        ({"page": "-1"}, "page"),
        ({"page": "two"}, "page"),
        ({"page": "²"}, "page"),
        ({"page_size": "1001"}, "page_size"),
        ({"page": "101", "page_size": "100"}, "page"),
        ({"start_time": "yesterday"}, "start_time"),
        ({"environment": "staging"}, "environment"),
        ({"all_envs": "maybe"}, "all_envs"),
        ({"cursor": "nonsense"}, "cursor"),
        ({"cursor": "\x00"}, "cursor"),
        ({"cursor": "MTox"}, "cursor"),
    ],
)
def test_what_is_not_understood_is_named_not_passed_over(
    caller: Caller, parameters: dict[str, str], named: str
) -> None:
    answer = caller.get(LIST, params=parameters)
    assert answer.status_code == 400
    assert list(answer.json()) == [named, "error"]


def test_cursor_and_page_exclude_each_other(caller: Caller) -> None:
    logged(caller, 2)
    following = caller.get(LIST, params={"page_size": 1}).json()["next"]
    assert caller.get(f"{following}&page=2").status_code == 400


def test_page_numbers_reach_so_far_and_say_how_to_go_on(caller: Caller) -> None:
    assert caller.get(LIST, params={"page": REACH // 1000, "page_size": 1000}).json()["results"] == []
    answer = caller.get(LIST, params={"page": REACH // 1000 + 1, "page_size": 1000})
    assert answer.status_code == 400
    assert "'cursor'" in answer.json()["error"]
