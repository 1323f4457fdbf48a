"""Requests below /api/v1: listed, read, corrected."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.portal.world import BASE, MILLISECONDS, World, error, record
from tests.runtime import INGEST_KEY, OTHER_KEY, READ_KEY, TEST_KEY
from weir.domain.completion import Usage
from weir.domain.record import Failure, Payload

HELLO: Any = {"role": "user", "content": "hi"}
ANSWER: Any = {
    "id": "r",
    "object": "chat.completion",
    "model": "gpt-4o-2024",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "yo"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
    "first_token_time": 20.5,
    "response_time": 100.0,
}
PAIR: Any = {
    "chat_completion_request": {
        "application_ref_name": "shop",
        "action_type": "CHAT",
        "session_id": 7,
        "reference_id": "ref",
        "user_id": "u",
        "request_id": "mine",
        "metadata": {"plan": "pro"},
        "params": {"messages": [HELLO], "model": "gpt-4o"},
    },
    "chat_completion_response": ANSWER,
}
PARAMS: Any = {"messages": [HELLO], "model": "gpt-4o"}


def stored(world: World) -> dict[str, Any]:
    """PAIR is kept, as application 1 and intent 1; what is shown of it."""
    answer = world.weir.put(f"{BASE}/chat/completions/response", json=PAIR).json()
    return {
        "request_id": "mine",
        "id": answer["id"],
        "date_created": MILLISECONDS,
        "application_id": 1,
        "application_ref_name": "shop",
        "intent_id": 1,
        "action_type": "CHAT",
        "session_id": "7",
        "reference_id": "ref",
        "user_id": "u",
        "request_type": "PROD",
        "inference_location": "CLIENT",
        "model": "gpt-4o",
        "answered_model": "gpt-4o-2024",
        "stream": False,
        "outcome": "complete",
        "status_code": 200,
        "finish_reason": "stop",
        "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
        "cost": 2.25e-05,
        "first_token_time": 20.5,
        "response_time": 100.0,
        "metadata": {"plan": "pro"},
    }


def test_a_stored_call_is_listed_and_read(world: World) -> None:
    row = stored(world)
    whole = {**row, "params": PARAMS, "response": ANSWER}
    pagination = {"total": 1, "offset": 0, "limit": 25}
    assert world.get("/requests") == {"data": [row], "pagination": pagination}
    assert world.get("/requests?include_messages=true") == {"data": [whole], "pagination": pagination}
    assert world.get("/requests/mine") == {"data": whole}
    assert world.get(f"/requests/{row['id']}") == {"data": whole}


def test_a_call_through_weir_is_the_servers(world: World) -> None:
    params = {**PARAMS, "model": "demo/echo"}
    body = {"application_ref_name": "shop", "action_type": "CHAT", "session_id": "s", "params": params}
    assert world.weir.post(f"{BASE}/chat/completions/serialized", json=body).status_code == 200
    (row,) = world.get("/requests")["data"]
    assert (row["inference_location"], row["request_type"], row["provider"]) == ("SERVER", "PROD", "demo")
    whole = world.get(f"/requests/{row['id']}")["data"]
    assert whole["params"] == params
    assert whole["response"]["choices"][0]["message"]["content"].endswith("You said: hi")


@pytest.mark.parametrize("world", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("log", "params", "response"),
    [
        (
            {"prompt_messages": [HELLO], "completion_message": {"role": "assistant", "content": "yo"}},
            {"model": "m", "messages": [HELLO]},
            {"choices": [{"index": 0, "message": {"role": "assistant", "content": "yo"}}]},
        ),
        ({"input": "in", "output": "out"}, {"model": "m", "input": "in"}, {"output": "out"}),
        ({}, {"model": "m"}, None),
    ],
)
def test_a_request_log_is_read_in_the_same_form(world: World, log: Any, params: Any, response: Any) -> None:
    answer = world.weir.post("/api/request-logs/create", json={"model": "m", **log}).json()
    whole = world.get(f"/requests/{answer['id']}")["data"]
    assert (whole["params"], whole.get("response")) == (params, response)


def test_a_span_is_read_in_the_same_form(world: World) -> None:
    attributes = [
        {"key": name, "value": {"stringValue": text}}
        for name, text in (
            ("gen_ai.request.model", "m"),
            ("gen_ai.prompt.0.role", "user"),
            ("gen_ai.prompt.0.content", "hi"),
            ("gen_ai.completion.0.role", "assistant"),
            ("gen_ai.completion.0.content", "yo"),
        )
    ]
    span = {"traceId": "01" * 16, "spanId": "11" * 8, "name": "chat", "attributes": attributes}
    export = {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}
    assert world.weir.post("/v1/traces", json=export).status_code == 200
    (row,) = world.get("/requests?include_messages=true")["data"]
    message = row["response"]["choices"][0]["message"]
    assert (row["params"]["messages"], message["content"]) == ([HELLO], "yo")


def test_a_failure_says_why(world: World) -> None:
    failure = Failure("ProviderThrottled", "Slow down.", "rate_limit", 429)
    cost = Decimal("0.5")
    world.keep([record(1, outcome="error", status_code=429, failure=failure, claimed_cost=cost, warnings=("w",))])
    (row,) = world.get("/requests")["data"]
    shown = {name: row[name] for name in ("outcome", "status_code", "error", "cost", "warnings")}
    assert shown == {"outcome": "error", "status_code": 429, "error": "Slow down.", "cost": 0.5, "warnings": ["w"]}
    assert "application_id" not in row  # a name that nobody has registered has no number


def shops(world: World) -> None:
    """Application 1, shop, with intents 1, CHAT, and 2, FIND; 2, bank, with 3, CHAT. Records 1 to 8, two of each."""
    for name, intents in (("shop", ("CHAT", "FIND")), ("bank", ("CHAT",))):
        id = world.post("/applications", {"application_name": name}, 201)["data"]["id"]
        for intent in intents:
            world.post(f"/applications/{id}/intents", {"action_type": intent}, 201)
    places = [("shop", "CHAT"), ("shop", "FIND"), ("bank", "CHAT"), (None, None)]
    world.keep(
        record(number, application=application, intent=intent)
        for number, (application, intent) in enumerate(places * 2, 1)
    )


@pytest.mark.parametrize(
    ("query", "numbers", "total"),
    [
        ("", [8, 7, 6, 5, 4, 3, 2, 1], 8),
        ("?application_id=1", [6, 5, 2, 1], 4),
        ("?intent_id=2", [6, 2], 2),
        ("?application_id=2&intent_id=3", [7, 3], 2),
        ("?limit=2", [8, 7], 3),
        ("?limit=2&offset=2", [6, 5], 5),
        ("?limit=2&offset=6", [2, 1], 8),
        ("?limit=2&offset=8", [], 8),
        (f"?start_date={MILLISECONDS + 3000}&end_date={MILLISECONDS + 5000}", [5, 4, 3], 3),
        (f"?start_date={MILLISECONDS + 3001}&end_date={MILLISECONDS + 4999}&application_id=1", [], 0),
        (f"?intent_id=1&end_date={MILLISECONDS + 4999}", [1], 1),
        ("?end_date=999999999999999", [8, 7, 6, 5, 4, 3, 2, 1], 8),
        ("?application_id=1&limit=1&offset=1", [5], 4),
    ],
)
def test_a_list_is_of_what_is_asked_for(world: World, query: str, numbers: list[int], total: int) -> None:
    shops(world)
    answer = world.get(f"/requests{query}")
    assert [(row["date_created"] - MILLISECONDS) // 1000 for row in answer["data"]] == numbers
    assert answer["pagination"]["total"] == total


def test_the_requests_of_an_intent_group_are_those_of_its_name(world: World) -> None:
    shops(world)
    id = world.post("/intent-groups", {"intent_name": "CHAT"}, 201)["data"]["id"]
    rows = world.get(f"/intent-groups/{id}/requests?limit=3")["data"]
    assert [(row["application_id"], row["intent_id"]) for row in rows] == [(2, 3), (1, 1), (2, 3)]


@pytest.mark.parametrize("world", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("path", "status", "message", "param"),
    [
        ("/requests?limit=x", 400, "'limit' must be a number from 0.", "limit"),
        ("/requests?limit=0", 400, "'limit' must be a number from 1 to 1000.", "limit"),
        ("/requests?limit=1001", 400, "'limit' must be a number from 1 to 1000.", "limit"),
        ("/requests?limit=101&include_messages=true", 400, "'limit' must be a number from 1 to 100.", "limit"),
        ("/requests?offset=-1", 400, "'offset' must be a number from 0.", "offset"),
        ("/requests?include_messages=maybe", 400, "'include_messages' must be true or false.", "include_messages"),
        ("/requests?start_date=yesterday", 400, "'start_date' must be a number from 0.", "start_date"),
        ("/requests?start_date=2&end_date=1", 400, "'start_date' must not be later than 'end_date'.", "start_date"),
        (
            "/requests?agent_id=1",
            400,
            "The parameter 'agent_id' is not understood here; there are application_id, intent_id, start_date, "
            "end_date, include_messages, offset, limit.",
            "agent_id",
        ),
        ("/requests/mine?x=1", 400, "The parameter 'x' is not understood here; it takes none.", "x"),
        ("/requests?application_id=7", 404, "There is no application 7.", None),
        ("/requests?intent_id=7", 404, "There is no intent 7.", None),
        ("/requests?application_id=1&intent_id=3", 404, "The application 1 has no intent 3.", None),
        ("/requests/no-such-id", 404, "There is no request 'no-such-id'.", None),
        ("/intent-groups/7/requests", 404, "There is no intent group 7.", None),
    ],
)
def test_what_cannot_be_answered_is_refused(
    world: World, path: str, status: int, message: str, param: str | None
) -> None:
    shops(world)
    assert error(world.get(path, status)) == (status, message, param)


def test_another_workspace_and_another_environment_see_nothing(world: World) -> None:
    row = stored(world)
    other = world.weir.with_key(OTHER_KEY)
    assert other.get(f"{BASE}/requests").json()["data"] == []
    for id in ("mine", row["id"]):
        assert other.get(f"{BASE}/requests/{id}").status_code == 404
        assert other.put(f"{BASE}/requests/{id}/response", json={"message_content": "x"}).status_code == 404
    assert other.get(f"{BASE}/requests?application_id=1").status_code == 404
    assert world.weir.with_key(TEST_KEY).get(f"{BASE}/requests").json()["data"] == []
    assert "corrected_response" not in world.get("/requests/mine")["data"]


@pytest.mark.parametrize("world", ["sqlite"], indirect=True)
def test_reading_and_correcting_need_their_scopes(world: World) -> None:
    stored(world)
    correction = {"message_content": "x"}
    assert world.weir.with_key(None).get(f"{BASE}/requests").json()["error"]["status"] == 401
    assert world.weir.with_key(INGEST_KEY).get(f"{BASE}/requests").status_code == 403
    assert world.weir.with_key(READ_KEY).get(f"{BASE}/requests").status_code == 200
    assert world.weir.with_key(READ_KEY).put(f"{BASE}/requests/mine/response", json=correction).status_code == 403
    assert world.weir.with_key(INGEST_KEY).put(f"{BASE}/requests/mine/response", json=correction).status_code == 200


CALL: Any = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        (
            {"message_content": "better"},
            {"choices": [{"index": 0, "message": {"role": "assistant", "content": "better"}}]},
        ),
        (
            {"tool_calls": [CALL], "reviewer": "ann"},
            {
                "reviewer": "ann",
                "choices": [{"index": 0, "message": {"role": "assistant", "content": None, "tool_calls": [CALL]}}],
            },
        ),
        ({**ANSWER, "model": "human"}, {**ANSWER, "model": "human"}),
    ],
)
def test_a_correction_stands_beside_the_answer_that_was_given(world: World, body: Any, answer: Any) -> None:
    row = stored(world)
    world.put("/requests/mine/response", {"message_content": "the first correction"})
    made = world.put("/requests/mine/response", body)["data"]
    at = made["date_corrected"]
    assert MILLISECONDS < at < MILLISECONDS + 60_000
    assert made == {
        **row,
        "date_corrected": at,
        "params": PARAMS,
        "response": ANSWER,
        "corrected_response": answer,
    }
    with world.after_a_restart() as restarted:
        assert restarted.get("/requests/mine") == {"data": made}


@pytest.mark.parametrize("world", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("body", "message", "param"),
    [
        ({}, "'message_content' is required, or 'tool_calls', or 'choices'.", "message_content"),
        ([], "The request body must be a JSON object.", None),
        ({"message_content": 1}, "'message_content' must be a text.", "message_content"),
        ({"choices": [{}]}, "'choices[0].message' is required.", "choices[0].message"),
    ],
)
def test_a_correction_without_an_answer_is_refused(world: World, body: Any, message: str, param: str | None) -> None:
    stored(world)
    assert error(world.put("/requests/mine/response", body, 400)) == (400, message, param)
    assert error(world.put("/requests/none/response", {"message_content": "x"}, 404))[0] == 404


def test_keys_in_a_correction_are_not_kept(world: World) -> None:
    stored(world)
    answer = world.put("/requests/mine/response", {"message_content": "x", "api_key": "canary-in-a-correction"})
    assert answer["data"]["corrected_response"]["api_key"] == "[erased]"


@pytest.mark.parametrize("world", ["sqlite"], indirect=True)
def test_messages_that_are_too_much_for_one_answer_are_refused_with_the_way_out(world: World) -> None:
    long = Payload(b'{"params":{"messages":[{"role":"user","content":"' + b"x" * 1_900_000 + b'"}]}}')
    world.keep([record(number) for number in range(1, 4)], long)
    assert len(world.get("/requests?include_messages=true&limit=2")["data"]) == 2
    assert error(world.get("/requests?include_messages=true", 400))[2] == "limit"


def test_usage_is_shown_as_it_was_claimed(world: World) -> None:
    world.keep([record(1, after=timedelta(hours=1), claimed_usage=Usage(3, 4, cached=1, reasoning=0))])
    (row,) = world.get("/requests")["data"]
    assert row["usage"] == {
        "prompt_tokens": 3,
        "completion_tokens": 4,
        "total_tokens": 7,
        "cached_tokens": 1,
        "reasoning_tokens": 0,
    }
