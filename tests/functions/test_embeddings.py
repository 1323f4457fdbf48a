"""Embeddings, by OpenAI's own Python client and by hand, against a running Weir."""

import base64
import json
import struct
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import openai
import pytest

from tests.functions.conftest import Served
from tests.upstream import Received, Reply, error_reply
from weir.http.embedding_request import EmbeddingBody

ROUTE = "/v1/embeddings"
NUMBERS = (0.5, -1.25, 3.0)
BASE64 = base64.b64encode(struct.pack("<3f", *NUMBERS)).decode()


def answer(*vectors: Any, **fields: Any) -> dict[str, Any]:
    data = [{"object": "embedding", "index": at, "embedding": vector} for at, vector in enumerate(vectors)]
    usage = {"prompt_tokens": 5, "total_tokens": 5}
    return {"object": "list", "data": data, "model": "text-embedding-3-small", "usage": usage, **fields}


def replied(*vectors: Any, **fields: Any) -> Reply:
    return Reply([json.dumps(answer(*vectors, **fields)).encode()])


def records(served: Served) -> int:
    count: int = served.http.get("/api/request-logs?page_size=1000").json()["count"]
    return count


@pytest.fixture
def client(served: Served) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{served.weir.url}/v1", api_key=served.weir.key, max_retries=0) as client:
        yield client


def test_the_client_gets_its_vectors_in_base64_and_the_record_has_all_of_it(
    served: Served, client: openai.OpenAI
) -> None:
    served.upstream.replies["text-embedding-3-small"] = replied(BASE64, BASE64)

    raw = client.embeddings.with_raw_response.create(
        model="text-embedding-3-small",
        input=["one", "two"],
        dimensions=3,
        user="u-1",
        extra_body={"application": "search", "session_id": 5, "request_id": "emb-1", "metadata": {"team": "a"}},
    )

    assert [tuple(item.embedding) for item in raw.parse().data] == [NUMBERS, NUMBERS]
    assert json.loads(raw.content) == answer(BASE64, BASE64)
    received = served.upstream.received[-1]
    assert (received.path, received.headers["authorization"]) == ("/v1/embeddings", "Bearer canary-openai-key")
    assert received.json == {
        "model": "text-embedding-3-small",
        "input": ["one", "two"],
        "encoding_format": "base64",
        "dimensions": 3,
        "user": "u-1",
    }
    log = served.log(raw.headers["x-weir-request-id"])
    assert {name: log[name] for name in ("application", "session_id", "request_id", "metadata", "cost", "origin")} == {
        "application": "search",
        "session_id": "5",
        "request_id": "emb-1",
        "metadata": {"team": "a"},
        "cost": 1e-7,
        "origin": "completion",
    }
    assert (log["model"], log["provider_id"], log["prompt_tokens"], log["total_request_tokens"]) == (
        "text-embedding-3-small",
        "openai",
        5,
        5,
    )
    assert (log["log_type"], log["input"], log["full_response"]) == (
        "embedding",
        '["one","two"]',
        answer(BASE64, BASE64),
    )
    assert json.loads(str(log["provider_reply"])) == answer(BASE64, BASE64)


@pytest.mark.parametrize("given", [list(NUMBERS), BASE64])
@pytest.mark.parametrize(("format", "wanted"), [("float", list(NUMBERS)), ("base64", BASE64), (None, list(NUMBERS))])
def test_the_caller_gets_the_form_it_asked_for_whatever_came(
    served: Served, given: Any, format: str | None, wanted: Any
) -> None:
    served.upstream.replies["forms"] = replied(given)

    response = served.http.post(ROUTE, json={"model": "own-vendor/forms", "input": "x", "encoding_format": format})

    assert response.json() == answer(wanted)


@pytest.mark.parametrize("path", ["/v1/embeddings", "/embeddings/", "/api/embeddings"])
def test_every_route_answers_the_demo_the_same_every_time(served: Served, path: str) -> None:
    first, second = (served.http.post(path, json={"model": "demo/echo", "input": ["a b", "c"]}) for _ in range(2))
    assert first.json() == second.json()
    body = first.json()
    assert (body["model"], body["usage"]) == ("echo", {"prompt_tokens": 3, "total_tokens": 3})
    for item in body["data"]:
        assert sum(number**2 for number in item["embedding"]) == pytest.approx(1, abs=1e-4)
    assert body["data"][0]["embedding"] != body["data"][1]["embedding"]


def test_the_demo_has_as_many_dimensions_as_are_asked_for(client: openai.OpenAI) -> None:
    (item,) = client.embeddings.create(model="demo/echo", input="a", dimensions=5).data
    assert len(item.embedding) == 5
    with pytest.raises(openai.BadRequestError, match="at most 4096"):
        client.embeddings.create(model="demo/echo", input="a", dimensions=10**9)


def test_tokens_reach_a_provider_that_takes_them(served: Served, client: openai.OpenAI) -> None:
    served.upstream.replies["tokens"] = replied([0.5])
    for given, sent in (([1, 2], [[1, 2]]), ([[1, 2]], [[1, 2]])):
        client.embeddings.create(model="openai/tokens", input=given)
        assert served.upstream.received[-1].json["input"] == sent


def test_a_refusal_is_the_clients_own_exception_and_a_record(served: Served, client: openai.OpenAI) -> None:
    message = "Wait a little, canary-openai-key."
    served.upstream.replies["busy"] = error_reply(429, message, code="busy", headers={"retry-after": "7"})

    with pytest.raises(openai.RateLimitError, match=r"Wait a little, \[erased\]\.") as refused:
        client.embeddings.create(model="openai/busy", input="x")

    headers = refused.value.response.headers
    assert headers["retry-after"] == "7"
    log = served.log(headers["x-weir-request-id"])
    assert (log["status_code"], log["outcome"], log["error_code"]) == (429, "error", "busy")
    assert log["log_type"] == "embedding"
    assert "canary" not in json.dumps(log)


def test_an_answer_with_another_number_of_vectors_is_malformed_and_recorded(
    served: Served, client: openai.OpenAI
) -> None:
    served.upstream.replies["short"] = replied([0.5])
    with pytest.raises(openai.InternalServerError, match="1 vectors for 2 inputs") as refused:
        client.embeddings.create(model="openai/short", input=["a", "b"])
    log = served.log(refused.value.response.headers["x-weir-request-id"])
    assert (log["status_code"], json.loads(str(log["provider_reply"]))) == (502, answer([0.5]))


@pytest.mark.parametrize(
    ("fields", "code", "message"),
    [
        ({"timeout": 0.4}, "timeout", "The call was to take 0.4 s at most, and openai had not answered in full."),
        (
            {"respan_params": {"first_token_timeout": 0.4}},
            "first_token_timeout",
            "openai did not begin to answer within 0.4 s.",
        ),
    ],
)
def test_a_deadline_is_a_504_that_names_it_and_a_record(
    served: Served, fields: dict[str, Any], code: str, message: str
) -> None:
    served.upstream.replies["hangs"] = replace(replied([0.5]), hold=threading.Event(), hold_at=-1)
    before = len(served.upstream.received)

    answer = served.http.post(ROUTE, json={"model": "openai/hangs", "input": "x", "fallback_model": "b", **fields})

    assert served.upstream.asked(before).cut_off.wait(10)
    assert (answer.status_code, answer.json()["error"]) == (
        504,
        {"message": message, "type": "timeout_error", "param": None, "code": code},
    )
    log = served.log(answer.headers["x-weir-request-id"])
    assert (log["status_code"], log["error_code"], log["log_type"]) == (504, code, "embedding")
    assert log["warnings"] == "fallback_model is recorded and has no effect"


def test_configured_deadlines_hold_and_nothing_else_that_is_configured(served: Served) -> None:
    served.upstream.replies["hangs"] = replace(replied([0.5]), hold=threading.Event(), hold_at=0)
    configured = {"timeout": 0.4, "fallback_models": ["groq/m"], "retry_params": {"num_retries": 2}, "model": "groq/m"}
    assert served.http.put("/api/v1/config", json=configured).status_code == 200
    try:
        answer = served.http.post(ROUTE, json={"model": "openai/hangs", "input": "x"})
        unnamed = served.http.post(ROUTE, json={"input": "x"})
    finally:
        served.http.put("/api/v1/config", json=dict.fromkeys(configured))
    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "timeout")
    log = served.log(answer.headers["x-weir-request-id"])
    assert (log["model"], "warnings" in log) == ("openai/hangs", False)
    assert (unnamed.status_code, unnamed.json()["error"]["param"]) == (400, "model")


def test_keys_in_the_body_are_never_kept(served: Served) -> None:
    served.upstream.replies["keys"] = replied([0.5], x_echo="canary-callers-own-key")
    body = {"model": "openai/keys", "input": "x", "auth_keys": {"openai_api_key": "canary-callers-own-key"}}

    response = served.http.post(ROUTE, json=body)

    received = served.upstream.received[-1]
    assert (received.headers["authorization"], received.json) == (
        "Bearer canary-callers-own-key",
        {"model": "keys", "input": ["x"]},
    )
    assert "canary" not in json.dumps(served.log(response.headers["x-weir-request-id"]))


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"input": None}, "input"),
        ({"input": ""}, "input"),
        ({"input": []}, "input"),
        ({"input": 5}, "input"),
        ({"input": {"text": "x"}}, "input"),
        ({"input": ["a", ""]}, "input[1]"),
        ({"input": ["a", 5]}, "input[1]"),
        ({"input": ["a", [1]]}, "input[1]"),
        ({"input": [None]}, "input[0]"),
        ({"input": [1, "a"]}, "input[1]"),
        ({"input": [1, -2]}, "input[1]"),
        ({"input": [True]}, "input[0]"),
        ({"input": [1.5]}, "input[0]"),
        ({"input": [[1], []]}, "input[1]"),
        ({"input": [[1], "a"]}, "input[1]"),
        ({"input": [[1, "a"]]}, "input[0][1]"),
        ({"input": [[1]]}, "input[0]"),  # the demo takes texts only
        ({"dimensions": 0}, "dimensions"),
        ({"dimensions": "8"}, "dimensions"),
        ({"encoding_format": "hex"}, "encoding_format"),
        ({"user": 5}, "user"),
        ({"timeout": -1}, "timeout"),
        ({"model": None}, "model"),
        ({"model": "groq/m"}, "model"),
        ({"extra_body": {"input": "y"}}, "extra_body.input"),
        ({"metadata": "x"}, "metadata"),
    ],
)
def test_a_wrong_parameter_is_named_and_nothing_is_stored(served: Served, change: dict[str, Any], field: str) -> None:
    before = records(served)

    response = served.http.post(ROUTE, json={"model": "demo/echo", "input": "x", **change})

    assert (response.status_code, response.json()["error"]["param"]) == (400, field), response.text
    assert records(served) == before


def test_a_body_without_input_is_refused(served: Served) -> None:
    response = served.http.post(ROUTE, json={"model": "demo/echo"})
    assert (response.status_code, response.json()["error"]["param"]) == (400, "input")


def test_an_unknown_model_and_a_wrong_key_are_the_chats_errors(served: Served) -> None:
    unknown = served.http.post(ROUTE, json={"model": "opnai/m", "input": "x"})
    unauthorized = httpx.post(f"{served.weir.url}{ROUTE}", json={"model": "demo/echo", "input": "x"})
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "model_not_found")
    assert (unauthorized.status_code, unauthorized.json()["error"]["code"]) == (401, "invalid_api_key")


def test_the_routes_body_is_described(served: Served) -> None:
    operation = served.http.get("/openapi.json").json()["paths"][ROUTE]["post"]
    assert operation["requestBody"]["content"]["application/json"]["schema"]["required"] == ["input"]
    assert EmbeddingBody.model_json_schema()["required"] == ["input"]


def titan(received: Received) -> Reply:
    """A vector that is the text's length; `bad` is refused."""
    text = received.json["inputText"]
    if text == "bad":
        return Reply([b'{"message": "No."}'], 400)
    return Reply([json.dumps({"embedding": [len(text)], "inputTextTokenCount": 2}).encode()])


def asked_of_titan(served: Served) -> list[str]:
    return [received.json["inputText"] for received in served.upstream.received if received.path.endswith("/invoke")]


def test_texts_for_titan_are_asked_one_by_one_and_answered_in_order(served: Served) -> None:
    served.upstream.replies["/invoke"] = titan
    before = len(asked_of_titan(served))
    texts = ["x" * length for length in range(1, 21)]

    response = served.http.post(ROUTE, json={"model": "bedrock/amazon.titan-embed-text-v2:0", "input": texts})

    assert response.status_code == 200, response.text
    body = response.json()
    assert [item["embedding"] for item in body["data"]] == [[float(length)] for length in range(1, 21)]
    assert (body["model"], body["usage"]) == (
        "amazon.titan-embed-text-v2:0",
        {"prompt_tokens": 40, "total_tokens": 40},
    )
    assert sorted(asked_of_titan(served)[before:]) == texts
    log = served.log(response.headers["x-weir-request-id"])
    assert (log["prompt_tokens"], log["cost"]) == (40, 8e-7)
    assert len(str(log["provider_reply"]).splitlines()) == 20


def test_one_text_that_titan_refuses_fails_the_call_and_begins_no_more(served: Served) -> None:
    served.upstream.replies["/invoke"] = titan
    before = len(asked_of_titan(served))
    texts = ["bad", *["x"] * 20]

    response = served.http.post(ROUTE, json={"model": "bedrock/amazon.titan-embed-text-v2:0", "input": texts})

    assert (response.status_code, response.json()["error"]["message"]) == (400, "No.")
    assert len(asked_of_titan(served)) - before == 8
    log = served.log(response.headers["x-weir-request-id"])
    assert (log["outcome"], len(str(log["provider_reply"]).splitlines())) == ("error", 8)
