"""Filters: every operator over every kind of field, in today's spelling and the older ones."""

import re
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.request_log import app as request_log
from tests.functions.test_request_log import a_record, log
from tests.runtime import START, Caller
from weir.domain.completion import Usage
from weir.domain.errors import RequestInvalid
from weir.domain.record import Failure, Record
from weir.http.request_log_filters import FLAGS, NUMBERS, TEXTS, like, only_text, to_matches
from weir.runtime.bootstrap import Runtime

FULL = a_record(
    caller_id="call-1",
    model="openai/gpt-4o",
    answered_model="gpt-4o-2024",
    provider="openai",
    deployment="blue",
    customer_identifier="Customer 1",
    custom_identifier="custom",
    session_id="thread",
    group_identifier="group",
    trace_id="trace",
    span_id="span",
    parent_span_id="parent",
    span_name="answer",
    workflow_name="shop",
    prompt_id="p1",
    prompt_name="greeting",
    note="checked",
    outcome="error",
    failure=Failure("reported", "It broke at 50%.", "overloaded", 529),
    finish_reason="length",
    application="app",
    fallback_reason="throttled",
    intent="ANSWER",
    reference_id="ref",
    user_id="user",
    log_type="tool",
    status_code=529,
    stream=True,
    positive_feedback=False,
    claimed_usage=Usage(11, 7, cached=3, cache_written=2, reasoning=1),
    claimed_cost=Decimal("0.0025"),
    latency_ms=1750.0,
    first_token_ms=250.0,
    metadata={"plan": "pro", "n": 2, "flag": True, "none": None},
)
BARE = a_record(created_at=START + timedelta(days=1))


def matches(record: Record, name: str, operator: str, value: Any) -> bool:
    question = to_matches({name: {"operator": operator, "value": value}})
    assert question is not None
    return question(record)


@pytest.mark.parametrize("spelling", ["", "=", "==", "eq", "equals", "in"])
@pytest.mark.parametrize("value", ["thread", ["thread"], ["other", "thread"]])
def test_every_spelling_of_equality_takes_one_value_or_several(spelling: str, value: Any) -> None:
    assert matches(FULL, "thread_identifier", spelling, value)
    assert not matches(BARE, "thread_identifier", spelling, value)


@pytest.mark.parametrize(
    ("operator", "value", "full", "bare"),
    [
        ("not", ["Customer 1"], False, True),
        ("not_in", ["a", "Customer 1"], False, True),
        ("not", ["customer 1"], True, True),
        ("contains", ["tomer"], True, False),
        ("contains", ["TOMER"], False, False),
        ("not_contains", ["tomer"], False, True),
        ("icontains", "TOMER", True, False),
        ("iexact", ["CUSTOMER 1"], True, False),
        ("startswith", ["Cust"], True, False),
        ("not_startswith", ["Cust"], False, True),
        ("endswith", ["1"], True, False),
        ("not_endswith", ["1"], False, True),
        ("ilike", ["CUST%_"], True, False),
        ("lt", ["D"], True, True),
        ("lte", ["Customer 1"], True, True),
        ("gt", ["B"], True, False),
        ("gte", ["Customer 1"], True, False),
        ("empty", [""], False, True),
        ("empty", [], False, True),
        ("not_empty", [""], True, False),
        ("notEmpty", [""], True, False),
        ("isnull", [True], False, True),
        ("isnull", "false", True, False),
        ("", [""], False, True),
        ("", [None], False, True),
    ],
)
def test_operators_on_texts(operator: str, value: Any, full: bool, bare: bool) -> None:
    assert matches(FULL, "customer_identifier", operator, value) == full
    assert matches(BARE, "customer_identifier", operator, value) == bare


@pytest.mark.parametrize(
    ("operator", "value", "full"),
    [
        ("", [1.75], True),
        ("in", ["1.75", 2], True),
        ("not", [1.75], False),
        ("lt", [1.75], False),
        ("lte", ["1.75"], True),
        ("gt", ["1.7"], True),
        ("gte", [2], False),
    ],
)
def test_numbers_are_compared_as_numbers_and_an_unknown_one_with_nothing(operator: str, value: Any, full: bool) -> None:
    assert matches(FULL, "latency", operator, value) == full
    assert not matches(BARE, "latency", operator, value)


@pytest.mark.parametrize(
    ("operator", "value", "full", "bare"),
    [
        ("empty", [""], False, True),
        ("not_empty", [""], True, False),
        ("isnull", True, False, True),
    ],
)
@pytest.mark.parametrize("name", ["cost", "positive_feedback", "note"])
def test_whether_a_value_is_known(name: str, operator: str, value: Any, full: bool, bare: bool) -> None:
    assert matches(FULL, name, operator, value) == full
    assert matches(BARE, name, operator, value) == bare


@pytest.mark.parametrize(
    ("name", "operator", "value", "expected"),
    [
        ("metadata__plan", "", ["pro"], True),
        ("metadata__plan", "not", ["free"], True),
        ("metadata__plan", "startswith", ["p"], True),
        ("metadata__n", "", [2], True),
        ("metadata__n", "", ["2"], True),
        ("metadata__flag", "", [True], True),
        ("metadata__absent", "", [""], False),
        ("metadata__absent", "not", ["pro"], False),
        ("metadata__none", "not", ["pro"], False),
        ("metadata__absent", "not_contains", ["pro"], False),
        ("metadata__absent", "empty", [""], True),
        ("metadata__absent", "not_empty", [""], False),
        ("metadata__absent", "isnull", [True], True),
        ("metadata__plan", "isnull", [True], False),
    ],
)
def test_tags_are_texts_and_one_that_is_not_there_matches_nothing(
    name: str, operator: str, value: Any, expected: bool
) -> None:
    assert matches(FULL, name, operator, value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [("2026-01-02T03:04:05Z", True), ("2026-01-02T04:04:05.001+01:00", False), ("2026-01-01", True)],
)
def test_times_are_compared_as_instants(value: str, expected: bool) -> None:
    assert matches(FULL, "timestamp", "gte", [value]) == expected


@pytest.mark.parametrize("name", [*TEXTS, *NUMBERS, *FLAGS])
def test_every_field_can_be_asked_for(name: str) -> None:
    """By its value in a record that has all of them; a record that differs in it does not match."""
    read = TEXTS.get(name) or NUMBERS.get(name) or FLAGS[name]
    value = read(FULL)
    assert value is not None
    assert matches(FULL, name, "", [value])
    same = ("id", "unique_id", "environment", "origin")
    assert matches(BARE, name, "", [value]) == (name in same)


@pytest.mark.parametrize(
    ("filters", "operator", "expected"),
    [
        ({"model": {"value": ["openai/gpt-4o"]}, "note": {"value": ["checked"]}}, None, True),
        ({"model": {"value": ["openai/gpt-4o"]}, "note": {"value": ["other"]}}, None, False),
        ({"model": {"value": ["openai/gpt-4o"]}, "note": {"value": ["other"]}}, "OR", True),
        ({"latency": [{"operator": "gt", "value": [1]}, {"operator": "lt", "value": [2]}]}, None, True),
        ({"latency": [{"operator": "gt", "value": [1]}, {"operator": "lt", "value": [1.5]}]}, "AND", False),
        (
            {"latency": [{"operator": "gt", "value": [9], "connector": "OR"},
                         {"operator": "lt", "value": [2], "connector": "OR"}]},
            None,
            True,
        ),
        (
            {"note": {"value": ["checked"]},
             "bundle": {"connector": "OR", "filter_params": {"model": {"value": ["x"]}, "stream": {"value": [True]}}}},
            None,
            True,
        ),
        (
            {"bundle": {"connector": "AND", "filter_params": {"model": {"value": ["x"]}, "stream": {"value": True}}}},
            None,
            False,
        ),
    ],
)  # fmt: skip
def test_conditions_are_joined(filters: Any, operator: Any, expected: bool) -> None:
    question = to_matches(filters, operator)
    assert question is not None
    assert question(FULL) == expected


@pytest.mark.parametrize(
    ("filters", "operator", "expected"),
    [
        ({"note": {"operator": "", "value": ["x"]}}, None, "x"),
        ({"note": {"value": "x"}}, "OR", "x"),
        ({"note": {"operator": "eq", "value": ["x"]}, "model": {"value": "m"}}, None, "x"),
        ({"note": {"value": ["x"]}, "model": {"value": "m"}}, "OR", None),
        ({"note": {"value": ["x", "y"]}}, None, None),
        ({"note": {"operator": "not", "value": ["x"]}}, None, None),
        ({"note": {"operator": "iexact", "value": ["x"]}}, None, None),
        ({"note": {"value": [""]}}, None, None),
        ({"note": {"filter_params": {"model": {"value": "m"}}, "value": "x"}}, None, None),
        ({"model": {"value": "m"}}, None, None),
        (None, None, None),
    ],
)
def test_one_text_is_asked_for_where_every_record_has_it(filters: Any, operator: Any, expected: str | None) -> None:
    to_matches(filters, operator)
    assert only_text("note", filters, operator) == expected


@pytest.mark.parametrize("filters", [None, {}, {"note": []}, {"bundle": {"filter_params": {}}}])
def test_no_condition_asks_nothing(filters: Any) -> None:
    assert to_matches(filters) is None


@pytest.mark.parametrize(
    ("filters", "named"),
    [
        ([{"field": "model"}], "filters"),
        ({"unheard_of": {"operator": "", "value": ["x"]}}, "filters.unheard_of"),
        ({"organization_key_id": {"operator": "", "value": ["x"]}}, "filters.organization_key_id"),
        ({"scores__1": {"operator": "gt", "value": [1]}}, "filters.scores__1"),
        ({"model": "gpt-4o"}, "filters.model"),
        ({"model": {"operator": "regex", "value": [".*"]}}, "filters.model"),
        ({"model": {"operator": {}, "value": ["x"]}}, "filters.model"),
        ({"model": {"operator": "", "value": []}}, "filters.model"),
        ({"model": {"operator": "", "value": [{}]}}, "filters.model"),
        ({"model": {"operator": "contains", "value": ["a", "b"]}}, "filters.model"),
        ({"model": {"operator": "", "value": ["x"], "operator_function": "mapContainsKey"}}, "filters.model"),
        ({"cost": {"operator": "contains", "value": [1]}}, "filters.cost"),
        ({"cost": {"operator": "gt", "value": ["much"]}}, "filters.cost"),
        ({"cost": {"operator": "gt", "value": [True]}}, "filters.cost"),
        ({"stream": {"operator": "gt", "value": [True]}}, "filters.stream"),
        ({"stream": {"operator": "", "value": ["maybe"]}}, "filters.stream"),
        ({"timestamp": {"operator": "gt", "value": ["yesterday"]}}, "filters.timestamp"),
        ({"note": {"operator": "isnull", "value": ["maybe"]}}, "filters.note"),
        ({"bundle": {"connector": "XOR", "filter_params": {"note": {"value": "n"}}}}, "filters.bundle.connector"),
        ({"note": [{"operator": "", "value": ["x"]}] * 51}, "filters"),
        ({str(n): {"filter_params": {"note": {"value": "n"}}} for n in range(26)}, "filters"),
    ],
)
def test_what_is_not_understood_is_refused_by_name(filters: Any, named: str) -> None:
    with pytest.raises(RequestInvalid) as refused:
        to_matches(filters)
    assert refused.value.param == named


@pytest.mark.parametrize(
    ("text", "pattern", "expected"),
    [
        ("", "", True),
        ("", "%", True),
        ("a", "", False),
        ("abc", "a%", True),
        ("abc", "%c", True),
        ("abc", "%b%", True),
        ("abc", "a_c", True),
        ("abc", "a_", False),
        ("aXbXc", "a%b%c", True),
        ("ab", "%ab%", True),
        ("a" * 5000 + "b", "%a" * 50 + "c", False),
    ],
)
def test_like(text: str, pattern: str, expected: bool) -> None:
    assert like(text, pattern) == expected


@given(st.text("ab%_", max_size=8), st.text("ab", max_size=8))
def test_a_pattern_matches_what_its_regular_expression_does(pattern: str, text: str) -> None:

    expression = "".join({"%": ".*", "_": "."}.get(char, char) for char in pattern)
    assert like(text, pattern) == bool(re.fullmatch(expression, text))


@pytest.fixture
def caller(runtime: Runtime) -> Caller:
    return Caller.of(runtime, [request_log.mount])


@pytest.mark.parametrize(
    ("method", "path", "options"),
    [
        ("POST", "/api/request-logs/list/", {"json": {"filters": {"model": {"operator": "in", "value": ["a"]}}}}),
        ("POST", "/api/request-logs/", {"json": {"filters": {"model": {"operator": "", "value": ["a"]}}}}),
        ("GET", "/request-logs/list", {"params": {"model": "a"}}),
        ("GET", "/request-logs/list", {"params": {"metadata__plan": "pro"}}),
        ("GET", "/api/request-logs/list/", {"params": {"log_type": "tool"}}),
        ("POST", "/api/request-logs/list", {"params": {"prompt_tokens": "3"}, "json": {"filters": {}}}),
    ],
)
def test_a_list_holds_what_was_asked_for(caller: Caller, method: str, path: str, options: Any) -> None:
    log(caller, model="b")
    wanted = log(caller, model="a", log_type="tool", metadata={"plan": "pro"}, prompt_tokens=3, completion_tokens=1)
    log(caller, model="c", metadata={"plan": "free"}, prompt_tokens=4, completion_tokens=1)
    answer = caller.call(method, path, **options)
    assert [row["id"] for row in answer.json()["results"]] == [wanted]
    assert answer.json()["count"] == 1


def test_a_filter_is_of_the_record_as_it_is_now(caller: Caller) -> None:
    id = log(caller)
    caller.call("PATCH", f"/api/request-logs/{id}", json={"positive_feedback": True})
    page = caller.get("/request-logs/list", params={"positive_feedback": "true"}).json()
    assert [row["id"] for row in page["results"]] == [id]
