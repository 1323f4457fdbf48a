"""Keywords AI's parameters on the routes that call a provider, in each of the places where they may stand."""

import base64
import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from tests.functions.conftest import Served
from tests.upstream import completion_reply, error_reply, stream_reply

EMBEDDING = {
    "object": "list",
    "model": "e",
    "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}],
    "usage": {"prompt_tokens": 1, "total_tokens": 1},
}
MESSAGES = [{"role": "user", "content": "the words"}]
TEXTS = {"model": "openai/proxied", "input": "the words"}
CHAT = {"model": "openai/proxied", "messages": MESSAGES}
ROUTES: Mapping[str, dict[str, Any]] = {
    "/v1/chat/completions": CHAT,
    "/api/chat/completions": CHAT,
    "/chat/completions/serialized": {"params": CHAT},
    "/v1/embeddings": TEXTS,
    "/api/embeddings": TEXTS,
}
PARAMS: Mapping[str, Any] = {
    "customer_params": {"customer_identifier": 42, "name": "Ann Ünicode", "rate_limit": 5},
    "thread_identifier": 7,
    "custom_identifier": "mine ✓",
    "group_identifier": "g",
    "trace_unique_id": "t",
    "span_unique_id": "s",
    "span_parent_id": "p",
    "span_name": "step",
    "span_workflow_name": "flow",
    "prompt_id": "pr",
    "prompt_name": "greeting",
    "note": "seen",
    "positive_feedback": True,
    "properties": {"n": 1, "none": None},
    "customer_credentials": {"openai": {"api_key": "canary-brought-key"}},
    "credential_override": {"openai/proxied": {"api_key": "canary-override-key"}},
    "fallback_models": ["openai/other"],
    "cache_enabled": True,
    "cache_ttl": 60,
    "load_balance_models": [
        {"model": "openai/proxied", "weight": 1, "credentials": {"api_key": "canary-balanced-key"}}
    ],
    "retry_params": {"num_retries": 3, "retry_enabled": True},
}
LOGGED: Mapping[str, Any] = {
    "customer_identifier": "42",
    "thread_identifier": "7",
    "custom_identifier": "mine ✓",
    "group_identifier": "g",
    "trace_unique_id": "t",
    "span_unique_id": "s",
    "span_parent_id": "p",
    "span_name": "step",
    "span_workflow_name": "flow",
    "prompt_id": "pr",
    "prompt_name": "greeting",
    "note": "seen",
    "positive_feedback": True,
    "properties": {"n": 1, "none": None},
    "customer_params": PARAMS["customer_params"],
}
WARNED = {
    "credential_override",
    "load_balance_models.credentials",
    "customer_params.rate_limit",
}
WARNED_OF_VECTORS = {"fallback_models", "load_balance_models", "retry_params", "cache_enabled", "cache_ttl"}
"""Those of two models cannot be compared, and they are not cached."""


def header(params: Any) -> str:
    return base64.b64encode(json.dumps(params, ensure_ascii=False).encode()).decode()


PLACES: Mapping[str, Callable[[Mapping[str, Any]], tuple[dict[str, Any], dict[str, str]]]] = {
    "top": lambda params: (dict(params), {}),
    "respan_params": lambda params: ({"respan_params": dict(params)}, {}),
    "respan_params, a text": lambda params: ({"respan_params": json.dumps(params)}, {}),
    "keywordsai_params": lambda params: ({"keywordsai_params": dict(params)}, {}),
    "header": lambda params: ({}, {"X-Data-Respan-Params": header(params)}),
    "old header": lambda params: ({}, {"X-Data-Keywordsai-Params": header(params)}),
}


def replies(served: Served, path: str) -> None:
    reply = completion_reply()
    if "embeddings" in path:
        reply = type(reply)([json.dumps(EMBEDDING).encode()])
    served.upstream.replies["proxied"] = reply


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize("place", PLACES)
def test_they_hold_wherever_they_stand_and_reach_no_provider(served: Served, path: str, place: str) -> None:
    replies(served, path)
    fields, headers = PLACES[place](PARAMS)
    answer = served.http.post(path, json={**ROUTES[path], **fields}, headers=headers)
    assert answer.status_code == 200, answer.text

    received = served.upstream.received[-1]
    assert received.headers["authorization"] == "Bearer canary-brought-key"
    assert received.json.keys() <= {"model", "messages", "stream", "input"}
    assert b"canary" not in received.body

    log = served.log(answer.headers["x-respan-log-id"])
    assert {name: log[name] for name in LOGGED} == dict(LOGGED)
    warnings = {line.removesuffix(" is recorded and has no effect") for line in str(log["warnings"]).split("\n")}
    assert warnings == WARNED | (WARNED_OF_VECTORS if "embeddings" in path else set())
    kept = log["full_request"]
    assert isinstance(kept, dict)
    assert json.dumps(kept).count("[erased]") == 3
    assert "canary" not in json.dumps(log)


def test_the_place_that_goes_first_decides(served: Served) -> None:
    replies(served, "chat")
    body = {**CHAT, "note": "top", "metadata": {"a": "top"}, "respan_params": {"metadata": {"b": "member"}}}
    answer = served.http.post("/api/chat/completions", json=body, headers=PLACES["header"]({"note": "header"})[1])
    log = served.log(answer.headers["x-respan-log-id"])
    assert (log["note"], log["metadata"]) == ("header", {"b": "member"})


def test_metadata_of_openais_own_still_goes_to_openai(served: Served) -> None:
    replies(served, "chat")
    body = {**CHAT, "metadata": {"a": "openai's"}, "respan_params": {"metadata": {"b": "tag"}}}
    answer = served.http.post("/v1/chat/completions", json=body)
    assert served.upstream.received[-1].json["metadata"] == {"a": "openai's"}
    assert served.log(answer.headers["x-respan-log-id"])["metadata"] == {"b": "tag"}


@pytest.mark.parametrize("path", ROUTES)
def test_a_header_that_cannot_be_read_is_refused_in_the_callers_dialect(served: Served, path: str) -> None:
    asked = len(served.upstream.received)
    answer = served.http.post(path, json=ROUTES[path], headers={"X-Data-Respan-Params": "!"})
    assert answer.status_code == 400
    said = "'X-Data-Respan-Params' is not base64."
    if "serialized" in path:
        assert answer.text == said
    else:
        assert answer.json()["error"] == {
            "message": said,
            "type": "invalid_request_error",
            "param": "X-Data-Respan-Params",
            "code": None,
        }
    assert len(served.upstream.received) == asked


def test_a_wrong_parameter_is_refused_before_a_provider_is_asked(served: Served) -> None:
    asked = len(served.upstream.received)
    answer = served.http.post("/api/chat/completions", json={**CHAT, "respan_params": {"thread_identifier": {"a": 1}}})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "thread_identifier")
    assert len(served.upstream.received) == asked


@pytest.mark.parametrize("path", ROUTES)
def test_a_call_that_is_not_to_be_logged_keeps_its_figures_only(served: Served, path: str) -> None:
    replies(served, path)
    answer = served.http.post(path, json={**ROUTES[path], "disable_log": True, "customer_identifier": "c"})
    log = served.log(answer.headers["x-respan-log-id"])
    assert (log["customer_identifier"], log["prompt_tokens"], log["status"]) == (
        "c",
        1 if "emb" in path else 9,
        "success",
    )
    assert "the words" not in json.dumps(log)
    assert not log.keys() & {"prompt_messages", "completion_message", "full_response", "provider_reply", "input"}


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/chat/completions/serialized"])
@pytest.mark.parametrize("stream", [False, True])
def test_every_answer_names_its_log(served: Served, path: str, stream: bool) -> None:
    chat = {**CHAT, "stream": stream}
    for reply, status in (
        (stream_reply("hi") if stream else completion_reply(), 200),
        (error_reply(429, "Slow down"), 429),
    ):
        served.upstream.replies["proxied"] = reply
        answer = served.http.post(path, json={"params": chat} if "serialized" in path else chat)
        assert answer.status_code == status
        assert answer.headers["X-Respan-Log-Id"] == answer.headers["x-weir-request-id"]
        assert served.log(answer.headers["X-Respan-Log-Id"])["status_code"] == status
