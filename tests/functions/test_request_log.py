import asyncio
import json
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from functions.request_log import app as request_log
from tests.runtime import INGEST_KEY, KEY, OTHER_KEY, READ_KEY, START, TEST_KEY, Caller
from weir.domain.completion import Usage
from weir.domain.ids import uuid7
from weir.domain.record import Failure, Payload, Record
from weir.http.request_log_view import log_view
from weir.http.request_logs import IDENTIFIERS, LogBody
from weir.prices.compiled import PRICE_VERSION
from weir.runtime.bootstrap import Runtime

CREATE = "/api/request-logs/create/"

DOCUMENTED: dict[str, Any] = {
    "model": "gpt-4o",
    "prompt_messages": [
        {"role": "user", "content": "What is the weather?"},
        {"role": "tool", "tool_call_id": "call_1", "content": "sunny"},
    ],
    "completion_message": {"role": "assistant", "content": "Sunny."},
    "cost": 0.0025,
    "completion_tokens": 7,
    "completion_unit_price": 0.00001,
    "customer_identifier": "customer_1",
    "error_message": "",
    "full_request": {"temperature": 0.5, "stream": False},
    "generation_time": 1.75,
    "metadata": {"language": "en", "nested": {"any": ["thing", 1, None]}},
    "prompt_tokens": 11,
    "prompt_unit_price": 0.000005,
    "response_format": {"type": "text"},
    "status_code": 200,
    "stream": True,
    "tools": [{"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object"}}}],
    "tool_choice": {"type": "function", "function": {"name": "get_weather"}},
    "ttft": 0.25,
    "warnings": "slow",
}
"""Every field of the endpoint's page, none with its default but those whose default says something."""


@pytest.fixture
def caller(runtime: Runtime) -> Caller:
    return Caller.of(runtime, [request_log.mount])


def an_id(number: int, seconds: int = 0) -> str:
    return uuid7(int((START + timedelta(seconds=seconds)).timestamp() * 1000), number)


def log(caller: Caller, **fields: Any) -> str:
    answer = caller.post(CREATE, json={"model": "m", **fields})
    assert answer.status_code == 200, answer.text
    id: str = answer.json()["id"]
    return id


def read(caller: Caller, id: str) -> Any:
    answer = caller.get(f"/api/request-logs/{id}/")
    assert answer.status_code == 200, answer.text
    return answer.json()


def kept(runtime: Runtime, id: str) -> Record:
    found = asyncio.run(runtime.ledger.get("default", id))
    assert found is not None
    return found[0]


def everything(runtime: Runtime) -> tuple[Record, ...]:
    return asyncio.run(runtime.ledger.newest("default", limit=100))


def a_record(**changes: Any) -> Record:
    record = Record(
        id=an_id(1),
        workspace="default",
        environment="prod",
        created_at=START,
        origin="request_log",
        inference_location="CLIENT",
        model="m",
    )
    return replace(record, **changes)


@pytest.mark.parametrize(
    "path",
    [base + end for base in ("/api/request-logs", "/request-logs") for end in ("", "/", "/create", "/create/")],
)
def test_a_log_is_durable_when_it_is_answered_at_every_spelling(caller: Caller, runtime: Runtime, path: str) -> None:
    answer = caller.post(path, json=DOCUMENTED)
    assert answer.status_code == 200
    assert answer.json() == {
        "message": "log successful",
        "id": an_id(1),
        "unique_id": an_id(1),
        "timestamp": "2026-01-02T03:04:05.000Z",
        "environment": "prod",
        "status": "success",
        "status_code": 200,
        "model": "gpt-4o",
        "log_type": "chat",
        "stream": True,
        "tokens_per_second": 4.0,
        "cost": 0.0025,
        "prompt_tokens": 11,
        "completion_tokens": 7,
        "total_request_tokens": 18,
        "latency": 1.75,
        "time_to_first_token": 0.25,
        "customer_identifier": "customer_1",
        "metadata": {"language": "en", "nested": {"any": ["thing", 1, None]}},
        "warnings": "slow",
        "origin": "request_log",
        "inference_location": "CLIENT",
        "request_type": "PROD",
        "outcome": "complete",
    }
    assert everything(runtime) == (
        a_record(
            model="gpt-4o",
            customer_identifier="customer_1",
            stream=True,
            claimed_usage=Usage(11, 7),
            claimed_cost=Decimal("0.0025"),
            computed_cost=Decimal("0.0000975"),
            price_version=PRICE_VERSION,
            first_token_ms=250.0,
            latency_ms=1750.0,
            metadata={"language": "en", "nested": {"any": ["thing", 1, None]}},
            warnings=("slow",),
        ),
    )


def test_a_log_without_a_cost_shows_the_computed_one(caller: Caller) -> None:
    counts = {"prompt_tokens": 1000, "completion_tokens": 100}
    assert caller.post(CREATE, json={"model": "gpt-4o-mini", **counts}).json()["cost"] == 0.00021
    assert "cost" not in caller.post(CREATE, json={"model": "a-model-of-our-own", **counts}).json()
    assert "cost" not in caller.post(CREATE, json={"model": "gpt-4o-mini"}).json()


@pytest.mark.parametrize(
    ("when", "computed"),
    [
        ({}, "0.01"),  # o3 became cheaper on 10 June 2025
        ({"timestamp": "2025-06-09T23:59:59Z"}, "0.05"),
        ({"timestamp": "2025-06-09T23:59:59-01:00"}, "0.01"),
        ({"start_time": "2025-06-09T23:59:59", "timestamp": "2025-06-10T00:00:01"}, "0.05"),
        ({"timestamp": "0001-01-01T00:00:00+14:00"}, "0.01"),
    ],
)
def test_a_log_is_priced_as_of_the_day_of_the_call(
    caller: Caller, runtime: Runtime, when: dict[str, str], computed: str
) -> None:
    id = log(caller, model="openai/o3", prompt_tokens=1000, completion_tokens=1000, **when)
    assert kept(runtime, id).computed_cost == Decimal(computed)


def test_every_documented_field_comes_back_as_it_was_sent(caller: Caller) -> None:
    id = log(caller, **DOCUMENTED)
    shown = read(caller, id)
    assert {name: shown[name] for name in DOCUMENTED} == DOCUMENTED


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("authorization", f"Bearer {KEY}"),
        ("authorization", f"Api-Key {KEY}"),
        ("authorization", KEY),
        ("x-api-key", KEY),
    ],
)
def test_every_spelling_of_the_key_is_taken(caller: Caller, header: str, value: str) -> None:
    assert caller.with_key(None).post(CREATE, json=DOCUMENTED, headers={header: value}).status_code == 200


@pytest.mark.parametrize(
    ("key", "status", "detail"),
    [
        (None, 401, "No API key. Send it as 'Authorization: Bearer <key>' or 'x-api-key: <key>'."),
        ("canary-wrong", 401, "The API key is not valid here."),
        (READ_KEY, 403, "The API key does not have the scope 'ingest'."),
    ],
)
@pytest.mark.parametrize("path", [CREATE, "/api/request-logs/"])
def test_without_the_right_key_nothing_is_kept(
    caller: Caller, runtime: Runtime, path: str, key: str | None, status: int, detail: str
) -> None:
    answer = caller.with_key(key).post(path, json=DOCUMENTED)
    assert (answer.status_code, answer.json()) == (status, {"detail": detail})
    assert everything(runtime) == ()


def test_the_environment_is_the_keys_whatever_the_body_says(caller: Caller, runtime: Runtime) -> None:
    id = log(caller.with_key(TEST_KEY), environment="prod")
    assert kept(runtime, id) == a_record(environment="test")
    assert read(caller, id)["environment"] == "test"


TODAY: dict[str, Any] = {
    "model": "gpt-4o",
    "input": "Hello",
    "output": "Hi",
    "log_type": "generation",
    "usage": {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18, "cache_read_input_tokens": 3},
    "customer_identifier": "c",
    "customer_params": {"customer_identifier": "c", "email": "c@example.com", "name": "C"},
    "custom_identifier": "i",
    "thread_identifier": "th",
    "group_identifier": "g",
    "trace_unique_id": "t",
    "span_unique_id": "s",
    "span_parent_id": "s0",
    "span_name": "answer",
    "span_workflow_name": "shop",
    "prompt_id": "p1",
    "prompt_name": "greeting",
    "is_custom_prompt": True,
    "deployment_name": "blue",
    "properties": {"n": 1, "deep": {"list": [1.5, None]}},
    "variables": {"name": "C"},
    "metadata": {"plan": "pro"},
    "note": "checked",
    "positive_feedback": True,
    "tokens_per_second": 3.5,
    "latency": 2.0,
    "time_to_first_token": 0.5,
    "timestamp": "2026-01-01T00:00:00Z",
    "start_time": "2025-12-31T23:59:58Z",
    "error_code": "none",
    "temperature": 0.5,
    "top_p": 1.0,
    "frequency_penalty": 0.0,
    "presence_penalty": 0.0,
    "max_tokens": 100,
    "stop": ["END"],
    "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
    "respan_params": {"a": 1},
    "linkup_params": {"unknown": "to us"},
    "span_path": "shop.answer",
    "encoding_format": "float",
    "disable_fallback": False,
    "field_name": "data: ",
    "delimiter": "\n\n",
}
"""Fields of today's list and of the old client's, each with a value that tells it from its neighbours."""


def test_what_a_client_sends_today_is_what_a_reader_gets(caller: Caller) -> None:
    shown = read(caller, log(caller, **TODAY))
    assert {name: shown.get(name) for name in TODAY} == TODAY


def test_identifiers_that_are_numbers_are_read_as_texts(caller: Caller) -> None:
    numbers: dict[str, Any] = {name: 7 for name in IDENTIFIERS}
    id = log(caller, **numbers)
    assert {name: read(caller, id)[name] for name in IDENTIFIERS} == dict.fromkeys(IDENTIFIERS, "7")
    (row,) = caller.get("/request-logs/list").json()["results"]
    assert {name: value for name, value in row.items() if name in IDENTIFIERS and value != "7"} == {}


def test_the_old_client_is_not_shown_a_type_that_it_cannot_read(caller: Caller) -> None:
    id = log(caller, log_type="reranker")
    assert read(caller, id)["log_type"] == "reranker"
    assert caller.get("/api/request-logs/list").json()["results"][0]["log_type"] == "reranker"
    assert "log_type" not in caller.get(f"/request-logs/{id}").json()
    assert "log_type" not in caller.get("/request-logs/list").json()["results"][0]


WRONG: dict[str, list[Any]] = {
    "text": [1, True, [], {}],
    "name": [True, [], {}, 1.5],
    "count": ["1", 1.5, True, -1, []],
    "number": ["0.1", True, [], {}],
    "flag": ["true", 1, {}],
    "object": ["{}", [], 1],
    "objects": ["[]", {}, ["text"], 1],
    "text or object": [1, [], True],
}
TYPES = {
    "model": "text",
    "error_message": "text",
    "timestamp": "text",
    "start_time": "text",
    "log_type": "text",
    "customer_identifier": "name",
    "thread_identifier": "name",
    "completion_tokens": "count",
    "prompt_tokens": "count",
    "status_code": "count",
    "cost": "number",
    "generation_time": "number",
    "latency": "number",
    "ttft": "number",
    "time_to_first_token": "number",
    "completion_unit_price": "number",
    "prompt_unit_price": "number",
    "stream": "flag",
    "completion_message": "object",
    "full_request": "object",
    "metadata": "object",
    "response_format": "object",
    "customer_params": "object",
    "usage": "object",
    "prompt_messages": "objects",
    "tools": "objects",
    "tool_choice": "text or object",
    "warnings": "text or object",
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, kind in TYPES.items() for value in WRONG[kind]])
def test_a_wrong_type_is_named_and_nothing_is_kept(caller: Caller, runtime: Runtime, name: str, value: Any) -> None:
    answer = caller.post(CREATE, json={**DOCUMENTED, name: value})
    assert answer.status_code == 400
    named, error = answer.json()
    assert error == "error"
    assert named.startswith(name)
    assert everything(runtime) == ()


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        ({}, {"model": ["'model' is required."], "error": "'model' is required."}),
        ([], {"error": "The request body must be a JSON object."}),
        (
            {"model": "m", "timestamp": "yesterday"},
            {
                "timestamp": ["'timestamp' must be a time in ISO 8601, such as 2026-01-02T03:04:05Z."],
                "error": "'timestamp' must be a time in ISO 8601, such as 2026-01-02T03:04:05Z.",
            },
        ),
        (
            {"model": "m", "usage": {"prompt_tokens": "1"}},
            {
                "usage.prompt_tokens": ["'usage.prompt_tokens' must be a whole number."],
                "error": "'usage.prompt_tokens' must be a whole number.",
            },
        ),
        (
            {"model": "m", "customer_identifier": "c" * 257},
            {
                "customer_identifier": ["'customer_identifier' is longer than 256 characters."],
                "error": "'customer_identifier' is longer than 256 characters.",
            },
        ),
        (
            {"model": "m", "metadata": {str(number): "" for number in range(65)}},
            {
                "metadata": ["'metadata' holds more than 64 keys."],
                "error": "'metadata' holds more than 64 keys.",
            },
        ),
    ],
)
def test_a_refusal_says_what_is_wrong(caller: Caller, runtime: Runtime, body: Any, answer: dict[str, Any]) -> None:
    refused = caller.post(CREATE, json=body)
    assert (refused.status_code, refused.json()) == (400, answer)
    assert everything(runtime) == ()


def test_a_body_beyond_the_limit_is_refused(caller: Caller, runtime: Runtime) -> None:
    limit = runtime.settings.body_limit
    refused = caller.post(CREATE, content=b" " * (limit + 1))
    assert refused.status_code == 413
    (record,) = everything(runtime)
    assert (record.id, record.status_code) == (refused.headers["x-weir-request-id"], 413)


def test_null_is_absent(caller: Caller, runtime: Runtime) -> None:
    id = log(caller, **dict.fromkeys(LogBody.model_fields.keys() - {"model"}))
    assert kept(runtime, id) == a_record()
    assert read(caller, id) == {
        "id": id,
        "unique_id": id,
        "timestamp": "2026-01-02T03:04:05.000Z",
        "environment": "prod",
        "status": "success",
        "status_code": 200,
        "model": "m",
        "log_type": "chat",
        "stream": False,
        "origin": "request_log",
        "inference_location": "CLIENT",
        "request_type": "PROD",
        "outcome": "complete",
    }


@pytest.mark.parametrize(
    ("sent", "changes"),
    [
        ({"generation_time": 1.5, "ttft": 0.5}, {"latency_ms": 1500.0, "first_token_ms": 500.0}),
        ({"latency": 1.5, "time_to_first_token": 0.5}, {"latency_ms": 1500.0, "first_token_ms": 500.0}),
        ({"latency": 1, "generation_time": 2}, {"latency_ms": 1000.0}),
        ({"generation_time": 0, "ttft": 0}, {}),
        ({"thread_identifier": "t"}, {"session_id": "t"}),
        ({"session_identifier": "t"}, {"session_id": "t"}),
        ({"session_identifier": 7}, {"session_id": "7"}),
        ({"customer_identifier": ""}, {}),
        ({"customer_identifier": 0}, {"customer_identifier": "0"}),
        ({"customer_params": {"customer_identifier": "c", "email": "c@example.com"}}, {"customer_identifier": "c"}),
        ({"customer_identifier": "a", "customer_params": {"customer_identifier": "c"}}, {"customer_identifier": "a"}),
        ({"cost": 0}, {"claimed_cost": Decimal("0")}),
        ({"cost": 0.1}, {"claimed_cost": Decimal("0.1")}),
        ({"usage": {"prompt_tokens": 1, "completion_tokens": 2, "cost": 0.5}},
         {"claimed_usage": Usage(1, 2), "claimed_cost": Decimal("0.5")}),
        ({"prompt_tokens": 0, "completion_tokens": 0}, {"claimed_usage": Usage(0, 0)}),
        ({"prompt_tokens": 3}, {}),
        ({"usage": {"input_tokens": 3, "output_tokens": 4, "cache_read_input_tokens": 2}},
         {"claimed_usage": Usage(3, 4, cached=2)}),
        ({"prompt_tokens": 9, "usage": {"prompt_tokens": 3, "total_tokens": 10}}, {"claimed_usage": Usage(9, 1)}),
        ({"prompt_tokens": 3, "completion_tokens": 4, "prompt_cache_hit_tokens": 1, "prompt_cache_creation_tokens": 2},
         {"claimed_usage": Usage(3, 4, cached=1, cache_written=2)}),
        ({"full_request": {"stream": True}}, {"stream": True}),
        ({"status_code": 429}, {"status_code": 429, "outcome": "error", "failure": Failure("reported", "", None, 429)}),
        ({"error_message": "no", "error_code": "e"}, {"outcome": "error", "failure": Failure("reported", "no", "e")}),
        ({"status": "error"}, {"outcome": "error", "failure": Failure("reported", "")}),
        ({"log_type": "tool", "custom_identifier": 7, "group_identifier": "g", "trace_unique_id": 1,
          "span_unique_id": 2, "span_parent_id": 3, "span_name": "s", "span_workflow_name": "w", "prompt_id": 4,
          "prompt_name": "p", "deployment_name": "d", "tokens_per_second": 9.5, "note": "n",
          "positive_feedback": False},
         {"log_type": "tool", "custom_identifier": "7", "group_identifier": "g", "trace_id": "1", "span_id": "2",
          "parent_span_id": "3", "span_name": "s", "workflow_name": "w", "prompt_id": "4", "prompt_name": "p",
          "deployment": "d", "tokens_per_second": 9.5, "note": "n", "positive_feedback": False}),
        ({"custom_identifier": "", "log_type": "", "note": "", "trace_unique_id": "", "span_name": ""}, {}),
        ({"trace_group_identifier": "g"}, {"group_identifier": "g"}),
        ({"span_name": "x" * 300}, {"span_name": "x" * 256}),
        ({"error_message": "x" * 600}, {"outcome": "error", "failure": Failure("reported", "x" * 500)}),
    ],
)  # fmt: skip
def test_what_a_log_says_becomes_its_record(
    caller: Caller, runtime: Runtime, sent: dict[str, Any], changes: dict[str, Any]
) -> None:
    assert kept(runtime, log(caller, **sent)) == a_record(**changes)


@pytest.mark.parametrize("sent", [{"unique_id": "mine"}, {"request_id": "mine"}])
def test_the_same_id_twice_is_one_record(caller: Caller, runtime: Runtime, sent: dict[str, Any]) -> None:
    first = caller.post(CREATE, json={"model": "m", **sent}).json()
    again = caller.post(CREATE, json={"model": "m", **sent})
    assert (again.status_code, again.json()) == (
        200,
        {"message": "log successful", "id": first["id"], "unique_id": first["id"], "duplicate": True},
    )
    assert everything(runtime) == (a_record(caller_id="mine"),)
    assert read(caller, "mine") == read(caller, first["id"])


def test_an_idempotency_key_makes_a_retry_the_same_record(caller: Caller, runtime: Runtime) -> None:
    for _ in range(2):
        caller.post(CREATE, json={"model": "m"}, headers={"idempotency-key": "try-1"})
    assert everything(runtime) == (a_record(caller_id="try-1"),)


def test_another_workspace_neither_sees_the_record_nor_shares_its_id(caller: Caller) -> None:
    id = log(caller, unique_id="mine")
    other = caller.with_key(OTHER_KEY)
    assert other.get(f"/api/request-logs/{id}").status_code == 404
    assert other.get("/api/request-logs/mine").status_code == 404
    assert log(other, unique_id="mine") != id
    assert other.get("/api/request-logs/list").json()["count"] == 1


def test_contents_are_not_kept_when_the_caller_asks_so(caller: Caller, runtime: Runtime) -> None:
    id = log(caller, **DOCUMENTED, disable_log=True)
    shown = read(caller, id)
    assert shown["cost"] == DOCUMENTED["cost"]
    assert not {"prompt_messages", "completion_message", "full_request", "tools"} & shown.keys()


def test_no_key_is_in_any_stored_byte(caller: Caller, runtime: Runtime, tmp_path: Path) -> None:
    keys = [f"canary-secret-{number}-abcdef" for number in range(8)]
    body = {
        **DOCUMENTED,
        "full_request": {"api_key": keys[0], "extra_headers": {"authorization": f"Bearer {keys[1]}"}},
        "metadata": {"api_key": keys[2], "note": f"{keys[0]} {keys[1]}", f"tag {keys[0]}": "value"},
        "customer_credentials": {"openai": {"api_key": keys[3]}},
        "extra_headers": {"x-tenant-key": keys[4]},
        "posthog_integration": {"posthog_api_key": keys[5]},
        "auth_keys": {"groq_api_key": {"key_value": keys[6]}},
        "error_message": f"401: {keys[3]} is not valid",
        "customer_identifier": keys[0],
        "prompt_messages": [{"role": "user", "content": f"{KEY} {keys[4]}"}],
        "unknown": {"deep": [{"client_secret": keys[7]}]},
    }
    answer = caller.post(CREATE, json=body, headers={"idempotency-key": f"id {keys[0]}"})
    assert answer.status_code == 200
    shown = json.dumps(read(caller, answer.json()["id"]))
    listed = caller.get("/request-logs/list").text
    runtime.ledger.close()
    stored = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"gpt-4o" in stored
    for key in [*keys, KEY]:
        assert key.encode() not in stored
        assert key not in shown
        assert key not in listed
        assert key not in answer.text


@pytest.mark.parametrize("path", ["/api/request-logs/nope", "/request-logs/nope/", f"/api/request-logs/{an_id(9)}/"])
def test_an_unknown_id_is_not_found(caller: Caller, path: str) -> None:
    answer = caller.get(path)
    assert (answer.status_code, answer.json()) == (404, {"detail": "Not found."})


@pytest.mark.parametrize("path", ["/api/request-logs/x", "/request-logs/list", "/api/request-logs"])
def test_reading_needs_a_key_that_may_read(caller: Caller, path: str) -> None:
    assert caller.with_key(None).get(path).status_code == 401
    assert caller.with_key(INGEST_KEY).get(path).status_code == 403


OWNED = frozenset({"id", "unique_id", "environment", "status"})
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
NAMES = st.text(min_size=1, max_size=12).filter(lambda name: name not in LogBody.model_fields and name not in OWNED)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(fields=st.dictionaries(NAMES, JSON, max_size=4))
def test_fields_without_a_meaning_here_survive_whatever_they_hold(caller: Caller, fields: dict[str, Any]) -> None:
    shown = read(caller, log(caller, **fields))
    assert {name: shown[name] for name in fields} == fields


def test_what_the_full_request_holds_is_shown_where_the_log_lacks_it(caller: Caller) -> None:
    messages = [{"role": "assistant", "content": "one"}, {"role": "assistant", "content": "two"}]
    calls = [{"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
    request = {
        "messages": [{"role": "user", "content": "hi"}],
        "completion_messages": messages,
        "tool_calls": calls,
        "tools": "not a list",
        "tool_choice": "auto",
        "temperature": 0.5,
    }
    shown = read(caller, log(caller, full_request=request, temperature=1.0))
    assert shown["full_request"] == request
    assert shown["prompt_messages"] == request["messages"]
    assert shown["completion_messages"] == messages
    assert shown["completion_message"] == messages[0]
    assert shown["tool_calls"] == calls
    assert shown["tool_choice"] == "auto"
    assert shown["temperature"] == 1.0
    assert "tools" not in shown


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ({"completion_message": {}}, {}),
        ({"tool_choice": {}}, {}),
        ({"messages": None}, {}),
        ({"warnings": {"a": 1}}, {"warnings": '{"a":1}'}),
        ({"input": ["a"], "output": {"b": 1}}, {"input": '["a"]', "output": '{"b":1}'}),
        ({"input": "a"}, {"input": "a"}),
        ({"custom_identifier": 5}, {"custom_identifier": "5"}),
        ({"messages": [{"role": "user", "content": "hi"}]},
         {"messages": [{"role": "user", "content": "hi"}], "prompt_messages": [{"role": "user", "content": "hi"}]}),
        ({"timestamp": "2025-12-31T23:59:59Z", "start_time": "2025-12-31T23:59:58Z"},
         {"timestamp": "2025-12-31T23:59:59Z", "start_time": "2025-12-31T23:59:58Z"}),
        ({"status_code": 500, "error_message": "x" * 600},
         {"status_code": 500, "error_message": "x" * 600, "status": "failed", "outcome": "error"}),
        ({"generation_time": 0}, {"generation_time": 0, "latency": 0}),
    ],
)  # fmt: skip
def test_old_and_new_clients_can_read_every_answer(caller: Caller, sent: dict[str, Any], shown: dict[str, Any]) -> None:
    bare = read(caller, log(caller))
    answer = read(caller, log(caller, **sent))
    own = {name: answer[name] for name in ("id", "unique_id", "timestamp")}
    assert answer == {**bare, **own, **shown}


COMPLETION = Record(
    id=an_id(1),
    workspace="default",
    environment="prod",
    created_at=START,
    origin="completion",
    inference_location="SERVER",
    provider="openai",
    model="openai/gpt-4o",
    answered_model="gpt-4o-2024",
    session_id="s",
    customer_identifier="c",
    finish_reason="tool_calls",
    claimed_usage=Usage(3, 2, cached=1, reasoning=1),
    computed_cost=Decimal("0.001"),
    first_token_ms=12.5,
    latency_ms=250.0,
    warnings=("seed was left out", "n was left out"),
)
CALLS = [{"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
ASKED = {"model": "openai/gpt-4o", "messages": [{"role": "user", "content": "hi"}], "temperature": 0, "stop": None}
ANSWERED = {
    "object": "chat.completion",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": None, "tool_calls": CALLS}}],
}
SHOWN = {
    "id": an_id(1),
    "unique_id": an_id(1),
    "timestamp": "2026-01-02T03:04:05.000Z",
    "environment": "prod",
    "status": "success",
    "status_code": 200,
    "log_type": "chat",
    "model": "openai/gpt-4o",
    "answered_model": "gpt-4o-2024",
    "provider_id": "openai",
    "stream": False,
    "cost": 0.001,
    "prompt_tokens": 3,
    "completion_tokens": 2,
    "total_request_tokens": 5,
    "reasoning_tokens": 1,
    "prompt_cache_hit_tokens": 1,
    "latency": 0.25,
    "tokens_per_second": 8.0,
    "time_to_first_token": 0.0125,
    "customer_identifier": "c",
    "thread_identifier": "s",
    "session_identifier": "s",
    "session_id": "s",
    "warnings": "seed was left out\nn was left out",
    "finish_reason": "tool_calls",
    "origin": "completion",
    "inference_location": "SERVER",
    "request_type": "PROD",
    "outcome": "complete",
    "prompt_messages": ASKED["messages"],
    "temperature": 0,
    "completion_message": {"role": "assistant", "tool_calls": CALLS},
    "tool_calls": CALLS,
    "full_response": ANSWERED,
}


@pytest.mark.parametrize("body", [ASKED, {"application_ref_name": "a", "params": ASKED}])
def test_a_completion_reads_like_a_log_in_either_dialect(body: dict[str, Any]) -> None:
    payload = Payload(json.dumps(body).encode(), json.dumps(ANSWERED).encode(), b"data: ...")
    assert log_view(COMPLETION, payload) == {**SHOWN, "full_request": body, "provider_reply": "data: ..."}


def test_a_failed_completion_shows_the_providers_own_words() -> None:
    failed = replace(
        COMPLETION,
        status_code=429,
        outcome="error",
        failure=Failure("ProviderThrottled", "slow down", "rate_limit", 429),
        claimed_usage=None,
        computed_cost=None,
        finish_reason=None,
        warnings=(),
    )
    view = log_view(failed, Payload(json.dumps(ASKED).encode(), None, b'{"error":"slow down"}'))
    gone = {"cost", "finish_reason", "warnings", "completion_message", "tool_calls", "full_response"}
    gone |= {name for name in SHOWN if name.endswith("_tokens") or name == "tokens_per_second"}
    assert view == {
        **{name: value for name, value in SHOWN.items() if name not in gone},
        "full_request": ASKED,
        "provider_reply": '{"error":"slow down"}',
        "status": "failed",
        "status_code": 429,
        "outcome": "error",
        "error_message": "slow down",
        "error_code": "rate_limit",
    }


@pytest.mark.parametrize(
    ("request_body", "response"),
    [
        ({"messages": "hi", "tools": {}, "stop": 5, "tool_choice": "any", "params": 3}, {"choices": {}}),
        ({"messages": ["hi"], "n": True, "tool_choice": {}}, {"choices": [None, {"message": None}, {"message": {}}]}),
    ],
)
def test_what_readers_would_choke_on_stays_in_the_raw_bodies(request_body: Any, response: Any) -> None:
    view = log_view(COMPLETION, Payload(json.dumps(request_body).encode(), json.dumps(response).encode()))
    gone = {"prompt_messages", "temperature", "completion_message", "tool_calls"}
    assert view == {
        **{name: value for name, value in SHOWN.items() if name not in gone},
        "full_request": request_body,
        "full_response": response,
    }
