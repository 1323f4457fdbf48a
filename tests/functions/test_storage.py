import asyncio
import copy
import json
import random
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from functions.request_log import app as request_log
from functions.storage import app as storage
from tests.runtime import INGEST_KEY, KEY, OTHER_KEY, READ_KEY, START, TEST_KEY, Caller
from weir.domain.completion import Usage
from weir.domain.ids import uuid7
from weir.domain.record import Payload, Record
from weir.prices.compiled import PRICE_VERSION
from weir.runtime.bootstrap import Runtime

PATH = "/chat/completions/response"

DOCUMENTED: dict[str, Any] = {
    "chat_completion_request": {
        "application_ref_name": "demo_app",
        "session_id": "YOUR_SESSION_ID",
        "action_type": "SUMMARIZATION",
        "params": {"model": "gpt-4o", "messages": [{"role": "user", "content": "Summarize this text..."}]},
        "metadata": {"source": "byo_client"},
    },
    "chat_completion_response": {
        "id": "chatcmpl_example",
        "object": "chat.completion",
        "created": 1730000000,
        "model": "gpt-4o",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Here is the summary..."},
                "finish_reason": "stop",
                "is_correction": False,
            }
        ],
        "correction_applied": False,
        "first_token_time": 0,
        "response_time": 0,
    },
}
"""The call that Maitai's page on storage shows."""


@pytest.fixture
def caller(runtime: Runtime) -> Caller:
    return Caller.of(runtime, [storage.mount, request_log.mount])


def an_id(number: int, seconds: int = 0) -> str:
    return uuid7(int((START + timedelta(seconds=seconds)).timestamp() * 1000), number)


def with_request(**fields: Any) -> dict[str, Any]:
    body = copy.deepcopy(DOCUMENTED)
    body["chat_completion_request"] |= fields
    return body


def with_response(**fields: Any) -> dict[str, Any]:
    body = copy.deepcopy(DOCUMENTED)
    body["chat_completion_response"] |= fields
    return body


def timing(start: float, first: float, end: float) -> dict[str, float]:
    return {"time_request_start": start, "time_first_chunk": first, "time_request_end": end}


def kept(runtime: Runtime, id: str, workspace: str = "default") -> tuple[Record, Payload]:
    found = asyncio.run(runtime.ledger.get(workspace, id))
    assert found is not None
    return found


def everything(runtime: Runtime) -> tuple[Record, ...]:
    return asyncio.run(runtime.ledger.newest("default", limit=100))


def as_documented(**changes: Any) -> Record:
    record = Record(
        id=an_id(1),
        workspace="default",
        environment="prod",
        created_at=START,
        origin="storage",
        inference_location="CLIENT",
        request_type="PROD",
        application="demo_app",
        intent="SUMMARIZATION",
        session_id="YOUR_SESSION_ID",
        model="gpt-4o",
        answered_model="gpt-4o",
        finish_reason="stop",
        raw_finish_reason="stop",
        metadata={"source": "byo_client"},
    )
    return replace(record, **changes)


@pytest.mark.parametrize("path", [PATH, PATH + "/", "/api/v1" + PATH, "/api/v1" + PATH + "/"])
def test_the_documented_call_is_kept_as_it_came(caller: Caller, runtime: Runtime, path: str) -> None:
    answer = caller.put(path, json=DOCUMENTED)
    assert (answer.status_code, answer.json()) == (
        200,
        {"request_id": an_id(1), "session_id": "YOUR_SESSION_ID", "id": an_id(1), "new": True},
    )
    record, payload = kept(runtime, an_id(1))
    assert record == as_documented()
    assert json.loads(payload.request) == DOCUMENTED["chat_completion_request"]
    assert json.loads(payload.response or b"") == DOCUMENTED["chat_completion_response"]
    assert payload.reply is None


@pytest.mark.parametrize("header", ["x-api-key", "x-maitai-api-key", "authorization"])
def test_every_header_for_the_key_is_taken(caller: Caller, header: str) -> None:
    assert caller.with_key(None).put(PATH, json=DOCUMENTED, headers={header: KEY}).status_code == 200


@pytest.mark.parametrize(
    ("key", "status", "text"),
    [
        (None, 401, "No API key. Send it as 'Authorization: Bearer <key>' or 'x-api-key: <key>'."),
        ("canary-wrong", 401, "The API key is not valid here."),
        (READ_KEY, 403, "The API key does not have the scope 'ingest'."),
    ],
)
def test_without_the_right_key_nothing_is_kept(
    caller: Caller, runtime: Runtime, key: str | None, status: int, text: str
) -> None:
    answer = caller.with_key(key).put(PATH, json=DOCUMENTED)
    assert (answer.status_code, answer.text) == (status, text)
    assert everything(runtime) == ()


def test_a_key_that_may_only_write_can_store(caller: Caller) -> None:
    assert caller.with_key(INGEST_KEY).put(PATH, json=DOCUMENTED).status_code == 200


def test_environment_and_workspace_are_those_of_the_key(caller: Caller, runtime: Runtime) -> None:
    caller.with_key(TEST_KEY).put(PATH, json=DOCUMENTED)
    caller.with_key(OTHER_KEY).put(PATH, json=DOCUMENTED)
    assert everything(runtime) == (as_documented(environment="test"),)
    assert kept(runtime, an_id(2, 1), "other")[0] == as_documented(
        id=an_id(2, 1), workspace="other", created_at=START + timedelta(seconds=1)
    )


def test_a_session_is_made_when_the_caller_leaves_it_open(caller: Caller, runtime: Runtime) -> None:
    answer = caller.put(PATH, json=with_request(session_id="")).json()
    assert answer == {"request_id": an_id(1), "session_id": an_id(2), "id": an_id(1), "new": True}
    assert kept(runtime, an_id(1))[0] == as_documented(session_id=an_id(2))


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (with_request(request_id="req-1"), {}),
        (with_response(request_id="req-1"), {}),
        (with_request(request_id=""), {"x-request-id": "req-1"}),
        (with_request(request_id="req-1"), {"x-request-id": "another"}),
    ],
)
def test_the_same_id_twice_is_one_record_and_the_same_answer(
    caller: Caller, runtime: Runtime, body: dict[str, Any], headers: dict[str, str]
) -> None:
    body = copy.deepcopy(body)
    del body["chat_completion_request"]["session_id"]
    first = caller.put(PATH, json=body, headers=headers).json()
    again = caller.put(PATH, json=body, headers=headers).json()
    assert first == {"request_id": "req-1", "session_id": an_id(2), "id": an_id(1), "new": True}
    assert again == {**first, "new": False}
    assert everything(runtime) == (as_documented(caller_id="req-1", session_id=an_id(2)),)
    assert kept(runtime, "req-1")[0].id == an_id(1)


def test_handing_back_an_id_of_ours_makes_no_second_record(caller: Caller, runtime: Runtime) -> None:
    ours = caller.put(PATH, json=DOCUMENTED).json()["id"]
    assert caller.put(PATH, json=with_response(request_id=ours)).json() == {
        "request_id": ours,
        "session_id": "YOUR_SESSION_ID",
        "id": ours,
        "new": False,
    }
    assert everything(runtime) == (as_documented(),)


@pytest.mark.parametrize(
    ("response", "timing", "first", "whole"),
    [
        ({}, None, None, None),
        ({}, timing(1795225308.25, 1795225308.5, 1795225310.0), 250, 1750),
        ({}, timing(1795225308.25, 0, 1795225310.0), None, 1750),
        ({"first_token_time": 120.5, "response_time": 900}, None, 120.5, 900),
        ({"first_token_time": 1, "response_time": 2}, timing(10, 11, 12), 1000, 2000),
        ({"response_time": 900}, timing(0, 0, 0), None, 900),
        ({"response_time": -1}, timing(12, 0, 11), None, None),
    ],
)
def test_times_come_from_the_clients_clock_then_from_the_response_and_zero_is_unknown(
    caller: Caller,
    runtime: Runtime,
    response: dict[str, Any],
    timing: dict[str, Any] | None,
    first: float | None,
    whole: float | None,
) -> None:
    caller.put(PATH, json={**with_response(**response), "timing_metrics": timing})
    assert kept(runtime, an_id(1))[0] == as_documented(first_token_ms=first, latency_ms=whole)


@pytest.mark.parametrize(
    ("usage", "claimed", "cost", "computed"),
    [
        (None, None, None, None),
        ({"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5, "cost": 0}, Usage(3, 2), None, "0.0000275"),
        ({"prompt_tokens": 0, "completion_tokens": 0, "cost": 0.25}, Usage(0, 0), Decimal("0.25"), "0"),
        ({"prompt_tokens": 3, "total_tokens": 5}, Usage(3, 2), None, "0.0000275"),
        ({"prompt_tokens": 3}, None, None, None),
        (
            {
                "prompt_tokens": 3,
                "completion_tokens": 9,
                "completion_tokens_details": {"reasoning_tokens": 4},
                "prompt_tokens_details": {"cached_tokens": 1},
            },
            Usage(3, 9, cached=1, reasoning=4),
            None,
            "0.00009625",
        ),
    ],
)
def test_usage_is_kept_as_claimed_and_never_made_up(
    caller: Caller,
    runtime: Runtime,
    usage: dict[str, Any] | None,
    claimed: Usage | None,
    cost: Decimal | None,
    computed: str | None,
) -> None:
    caller.put(PATH, json=with_response(usage=usage))
    assert kept(runtime, an_id(1))[0] == as_documented(
        claimed_usage=claimed,
        claimed_cost=cost,
        computed_cost=Decimal(computed) if computed is not None else None,
        price_version=PRICE_VERSION if computed is not None else None,
    )


@pytest.mark.parametrize(
    ("asked", "answered", "computed"),
    [
        ("gpt-4o", "gpt-4o-2024-08-06", "0.0000275"),
        ("anthropic/claude-sonnet-4-5", "claude-sonnet-4-5-20250929", "0.000039"),
        ("openai/responses/gpt-4o", None, "0.0000275"),
        ("openai/our-own-name", "gpt-4o", "0.0000275"),
        ("gpt-4o", "a name that only the provider knows", "0.0000275"),
        ("our-own-name", "gpt-4o", "0.0000275"),
        ("our-own-name", "another", None),
        ("llama-3.3-70b-versatile", "llama-3.3-70b-versatile", None),  # many sell it, at many prices
        ("meta-llama/llama-3.3-70b-instruct", None, None),
        ("gpt-of-tomorrow", None, None),
    ],
)
def test_a_call_made_elsewhere_is_priced_when_its_name_leaves_no_doubt_whose_it_is(
    caller: Caller, runtime: Runtime, asked: str, answered: str | None, computed: str | None
) -> None:
    body = with_response(model=answered, usage={"prompt_tokens": 3, "completion_tokens": 2})
    body["chat_completion_request"]["params"]["model"] = asked
    caller.put(PATH, json=body)
    assert kept(runtime, an_id(1))[0] == as_documented(
        model=asked,
        answered_model=answered,
        claimed_usage=Usage(3, 2),
        computed_cost=Decimal(computed) if computed is not None else None,
        price_version=PRICE_VERSION if computed is not None else None,
    )


def test_what_the_real_client_stores_after_its_own_streamed_inference(caller: Caller, runtime: Runtime) -> None:
    """Integers for ids, empty texts and nulls for what is unset, a folded stream that is still called a chunk."""
    body = with_request(
        session_id=7, reference_id=8, user_id="", request_id=None, auth_keys={}, apply_corrections=False
    )
    body["chat_completion_request"]["params"] |= {"stream": True, "temperature": 1.0, "extra_headers": {}}
    body["chat_completion_response"] |= {
        "object": "chat.completion.chunk",
        "usage": None,
        "request_id": "",
        "reasoning": None,
    }
    body["chat_completion_response"]["choices"] = [
        {"index": 0, "message": {"role": "assistant", "content": "a", "tool_calls": None}, "finish_reason": "end_turn"}
    ]
    body["timing_metrics"] = {
        "time_request_start": 1.5,
        "time_pre_request": 0,
        "time_first_chunk": 1.75,
        "time_request_end": 2.0,
        "request_id": "",
    }
    body["evaluate_request"] = {"any": ["thing"]}
    assert caller.put(PATH, json=body).status_code == 200
    record, payload = kept(runtime, an_id(1))
    assert record == as_documented(
        session_id="7",
        reference_id="8",
        stream=True,
        finish_reason=None,
        raw_finish_reason="end_turn",
        first_token_ms=250.0,
        latency_ms=500.0,
    )
    assert json.loads(payload.request) == {
        **body["chat_completion_request"],
        "timing_metrics": body["timing_metrics"],
        "evaluate_request": body["evaluate_request"],
    }
    assert json.loads(payload.response or b"") == body["chat_completion_response"]


REQUEST, RESPONSE = "chat_completion_request", "chat_completion_response"


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        ((REQUEST,), None, "chat_completion_request"),
        ((RESPONSE,), None, "chat_completion_response"),
        ((REQUEST, "application_ref_name"), None, "chat_completion_request.application_ref_name"),
        ((REQUEST, "application_ref_name"), "", "chat_completion_request.application_ref_name"),
        ((REQUEST, "action_type"), 3, "chat_completion_request.action_type"),
        ((REQUEST, "params"), [], "chat_completion_request.params"),
        ((REQUEST, "params", "model"), None, "chat_completion_request.params.model"),
        ((REQUEST, "params", "messages"), [], "chat_completion_request.params.messages"),
        ((REQUEST, "params", "messages"), "hi", "chat_completion_request.params.messages"),
        ((REQUEST, "params", "messages"), ["hi"], "chat_completion_request.params.messages[0]"),
        ((REQUEST, "session_id"), "s" * 257, "chat_completion_request.session_id"),
        ((REQUEST, "session_id"), {}, "chat_completion_request.session_id"),
        ((REQUEST, "metadata"), "tag", "chat_completion_request.metadata"),
        ((REQUEST, "metadata"), {"long": "x" * 5000}, "chat_completion_request.metadata.long"),
        ((RESPONSE, "choices"), None, "chat_completion_response.choices"),
        ((RESPONSE, "choices"), [1], "chat_completion_response.choices[0]"),
        ((RESPONSE, "usage"), {"prompt_tokens": "3"}, "chat_completion_response.usage.prompt_tokens"),
        (("timing_metrics",), {"time_request_start": "now"}, "timing_metrics.time_request_start"),
    ],
)
def test_a_wrong_field_is_named_on_one_line_and_nothing_is_kept(
    caller: Caller, runtime: Runtime, path: tuple[str, ...], value: Any, named: str
) -> None:
    body = copy.deepcopy(DOCUMENTED)
    place = body
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    answer = caller.put(PATH, json=body)
    assert answer.status_code == 400
    assert f"'{named}'" in answer.text
    assert "\n" not in answer.text
    assert everything(runtime) == ()


def test_what_is_missing_is_named(caller: Caller) -> None:
    body = copy.deepcopy(DOCUMENTED)
    del body[REQUEST]["params"]["model"]
    assert caller.put(PATH, json=body).text == "'chat_completion_request.params.model' is required."


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"[]", "The request body must be a JSON object."),
        (b"", "The request body is not valid JSON: EOF while parsing a value at line 1 column 0."),
    ],
)
def test_what_is_no_object_is_refused(caller: Caller, content: bytes, text: str) -> None:
    answer = caller.put(PATH, content=content)
    assert (answer.status_code, answer.text) == (400, text)


def test_no_key_is_in_any_stored_byte(caller: Caller, runtime: Runtime, tmp_path: Path) -> None:
    keys = [f"canary-secret-{number}-abcdef" for number in range(7)]
    body = with_request(
        auth_keys={"openai_api_key": {"id": -1, "key_value": keys[0], "key_map": {"a": keys[1]}}},
        client_params={"default_headers": {"authorization": f"Bearer {keys[2]}"}},
        metadata={"api_key": keys[3], "note": f"used {keys[0]} and {KEY}"},
    )
    body[REQUEST]["params"] |= {
        "extra_headers": {"x-anything": keys[4]},
        "messages": [{"role": "user", "content": keys[0]}],
    }
    body[RESPONSE]["choices"][0]["message"] = {"role": "assistant", "content": f"your key is {keys[2]}"}
    body["evaluate_request"] = {"auth_keys": {"k": {"key_value": keys[5]}}, "secret": keys[6]}
    headers = {"x-request-id": f"id-{keys[0]}"}
    assert caller.put(PATH, json=body, headers=headers).status_code == 200
    large = copy.deepcopy(body)
    large[RESPONSE]["choices"][0]["message"]["content"] += random.Random(0).randbytes(150_000).hex()
    assert caller.put(PATH, json=large).status_code == 200

    (whole, large_payload), (record, payload) = (kept(runtime, record.id) for record in everything(runtime))
    assert record.metadata == whole.metadata == {"api_key": "[erased]", "note": "used [erased] and [erased]"}
    runtime.ledger.close()
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any("blobs" in path.parts for path in files)
    texts = [text for each in (payload, large_payload) for text in (each.request, each.response or b"")]
    stored = b"".join([*texts, *(path.read_bytes() for path in files)])
    assert not [key for key in [*keys, KEY] if key.encode() in stored]


def test_a_stored_call_is_read_back_as_a_request_log(caller: Caller) -> None:
    body = with_response(usage={"prompt_tokens": 3, "completion_tokens": 2, "cost": 0.5}, response_time=1500)
    id = caller.put(PATH, json=body).json()["id"]
    assert caller.get(f"/api/request-logs/{id}/").json() == {
        "id": id,
        "unique_id": id,
        "timestamp": "2026-01-02T03:04:05.000Z",
        "environment": "prod",
        "status": "success",
        "status_code": 200,
        "log_type": "chat",
        "model": "gpt-4o",
        "answered_model": "gpt-4o",
        "stream": False,
        "prompt_messages": [{"role": "user", "content": "Summarize this text..."}],
        "completion_message": {"role": "assistant", "content": "Here is the summary..."},
        "cost": 0.5,
        "prompt_tokens": 3,
        "completion_tokens": 2,
        "total_request_tokens": 5,
        "tokens_per_second": 1.333333,
        "latency": 1.5,
        "thread_identifier": "YOUR_SESSION_ID",
        "session_identifier": "YOUR_SESSION_ID",
        "session_id": "YOUR_SESSION_ID",
        "metadata": {"source": "byo_client"},
        "finish_reason": "stop",
        "origin": "storage",
        "inference_location": "CLIENT",
        "request_type": "PROD",
        "outcome": "complete",
        "application": "demo_app",
        "intent": "SUMMARIZATION",
        "full_request": body[REQUEST],
        "full_response": body[RESPONSE],
    }
