"""Maitai's dialect on the completion route: envelopes a line each, and what breaks its client."""

import json
from typing import Any

import pytest

from tests.functions.conftest import Served
from tests.upstream import SSE_TYPE, Reply, completion, error_reply, events

ROUTES = ("/chat/completions/serialized", "/api/v1/chat/completions/serialized")

SDK_KEY: Any = {
    "id": -1,
    "date_created": 0,
    "key_value": None,
    "company_id": 0,
    "description": "",
    "owner": "",
    "type": "",
    "obfuscated": False,
    "key_map": None,
}


def envelope(model: str | None, *, stream: bool = False, **fields: Any) -> dict[str, Any]:
    """What the client sends for `create()` with nothing but the required arguments."""
    return {
        "application_ref_name": "demo_app",
        "session_id": "sess-1",
        "reference_id": None,
        "action_type": "NEW_INTENT",
        "apply_corrections": False,
        "evaluation_enabled": True,
        "params": {
            "messages": [{"role": "user", "content": "hi"}],
            "model": model,
            "stream": stream,
            "temperature": None,
            "extra_headers": {},
            "response_format": {"type": "text"},
        },
        "return_evaluation": False,
        "user_id": "",
        "auth_keys": {f"{name}_api_key": SDK_KEY for name in ("openai", "groq", "anthropic", "azure")},
        "metadata": {},
        "safe_mode": False,
        "return_request": False,
        "fallback_config": None,
        "client_params": {"base_url": None, "default_headers": None, "default_query": None, "azure_params": None},
        **fields,
    }


@pytest.mark.parametrize("route", ROUTES)
def test_a_whole_answer_is_one_line_without_a_newline_and_without_nulls(served: Served, route: str) -> None:
    served.upstream.replies["whole"] = Reply([json.dumps(completion("Hello", service_tier=None)).encode()])

    response = served.http.post(route, json=envelope("openai/whole"))

    assert "\n" not in response.text
    assert "content-length" in response.headers
    assert "null" not in response.text
    answer = response.json()["chat_completion_response"]
    assert answer.pop("response_time") > 0
    assert answer == {
        "id": "chatcmpl-upstream-1",
        "object": "chat.completion",
        "created": 1_760_000_000,
        "model": "upstream-1",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12, "model": "upstream-1"},
        "request_id": response.headers["x-weir-request-id"],
        "correction_applied": False,
    }


@pytest.mark.parametrize("route", ROUTES)
def test_a_stream_is_an_envelope_a_line(served: Served, route: str) -> None:
    served.upstream.replies["lines"] = Reply(events("Hel", "lo"), headers=SSE_TYPE)
    body = envelope("openai/lines", stream=True)
    body["params"]["stream_options"] = {"include_usage": True}

    response = served.http.post(route, json=body)

    chunks = [json.loads(line)["chat_completion_chunk"] for line in response.text.splitlines()]
    id = response.headers["x-weir-request-id"]
    assert {(c["id"], c["object"], c["request_id"]) for c in chunks} == {
        ("chatcmpl-upstream-1", "chat.completion.chunk", id)
    }
    assert [c["choices"][0]["delta"] for c in chunks[:-1]] == [
        {"role": "assistant", "content": ""},
        {"content": "Hel"},
        {"content": "lo"},
        {},
    ]
    assert (chunks[-1]["choices"], chunks[-1]["usage"]["total_tokens"]) == ([], 11)
    assert "[DONE]" not in response.text


@pytest.mark.parametrize(
    ("usage", "cost"),
    [
        ({}, 0.00000315),
        ({"cost": 0.25}, 0.25),
        ({"cost": {"total_cost": 0.5}}, 0.5),
    ],
)
def test_the_answers_cost_is_the_providers_or_else_computed(served: Served, usage: dict[str, Any], cost: float) -> None:
    counts = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}
    sent = completion(model="gpt-4o-mini-2024-07-18", usage={**counts, **usage})
    served.upstream.replies["gpt-4o-mini"] = Reply([json.dumps(sent).encode()])

    response = served.http.post(ROUTES[0], json=envelope("openai/gpt-4o-mini"))

    answer = response.json()["chat_completion_response"]
    assert answer["usage"] == {**counts, "model": "gpt-4o-mini-2024-07-18", "cost": cost}
    assert served.log(response.headers["x-weir-request-id"])["cost"] == cost


def test_a_cost_that_the_client_could_not_read_is_left_out(served: Served) -> None:
    sent = completion(usage={"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12, "cost": {"tokens": 1}})
    served.upstream.replies["costly"] = Reply([json.dumps(sent).encode()])
    answer = served.http.post(ROUTES[0], json=envelope("openai/costly")).json()["chat_completion_response"]
    assert answer["usage"] == {
        "prompt_tokens": 9,
        "completion_tokens": 3,
        "total_tokens": 12,
        "model": "upstream-1",
    }


def test_a_streams_usage_has_its_cost_too(served: Served) -> None:
    served.upstream.replies["gpt-4o-mini"] = Reply(events("Hel", "lo"), headers=SSE_TYPE)
    body = envelope("openai/gpt-4o-mini", stream=True)
    body["params"]["stream_options"] = {"include_usage": True}

    response = served.http.post(ROUTES[0], json=body)

    last = json.loads(response.text.splitlines()[-1])["chat_completion_chunk"]
    counts = {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}
    assert last["usage"] == {**counts, "model": "upstream-1", "cost": 0.00000255}
    assert served.log(response.headers["x-weir-request-id"])["cost"] == 0.00000255


def test_the_envelope_stays_here_and_its_tags_are_the_records(served: Served) -> None:
    served.upstream.replies["tags"] = Reply([json.dumps(completion()).encode()])
    body = envelope("openai/tags", session_id=77, reference_id=5, user_id="u-1", metadata={"k": "v"})

    response = served.http.post(ROUTES[0], json=body)

    assert served.upstream.received[-1].json == {
        "model": "tags",
        "messages": [{"role": "user", "content": "hi"}],
        "response_format": {"type": "text"},
    }
    log = served.log(response.headers["x-weir-request-id"])
    assert {name: log[name] for name in ("application", "intent", "session_id", "reference_id", "user_id")} == {
        "application": "demo_app",
        "intent": "NEW_INTENT",
        "session_id": "77",
        "reference_id": "5",
        "user_id": "u-1",
    }
    assert (log["metadata"], log["inference_location"], log["request_type"]) == ({"k": "v"}, "SERVER", "PROD")


def test_the_callers_provider_key_is_used_and_kept_nowhere(served: Served) -> None:
    served.upstream.replies["brought"] = Reply([json.dumps(completion()).encode()])
    keys = {"openai_api_key": {**SDK_KEY, "key_value": "canary-brought-key"}}

    response = served.http.post(ROUTES[0], json=envelope("openai/brought", auth_keys=keys))

    assert served.upstream.received[-1].headers["authorization"] == "Bearer canary-brought-key"
    assert "canary" not in served.http.get(f"/api/request-logs/{response.headers['x-weir-request-id']}").text


def test_the_callers_request_id_names_the_record_in_header_and_body_alike(served: Served) -> None:
    served.upstream.replies["named"] = Reply([json.dumps(completion()).encode()])

    first = served.http.post(ROUTES[0], json=envelope("openai/named"), headers={"x-request-id": "req-named"})
    again = served.http.post(ROUTES[0], json=envelope("openai/named", request_id="req-named"))

    assert [r.json()["chat_completion_response"]["request_id"] for r in (first, again)] == ["req-named"] * 2
    assert served.log("req-named")["id"] == first.headers["x-weir-request-id"]
    assert again.headers["x-weir-request-id"] == first.headers["x-weir-request-id"]


@pytest.mark.parametrize(
    ("provider_status", "status"), [(400, 400), (401, 400), (403, 400), (404, 404), (422, 400), (429, 429), (500, 502)]
)
def test_a_providers_error_is_one_line(served: Served, provider_status: int, status: int) -> None:
    served.upstream.replies["refuses"] = error_reply(provider_status, "No.\nReally not.")

    response = served.http.post(ROUTES[0], json=envelope("openai/refuses"))

    assert (response.status_code, response.text) == (status, "No. Really not.")


def test_without_a_model_the_call_is_refused(served: Served) -> None:
    response = served.http.post(ROUTES[0], json=envelope(None))
    assert response.status_code == 400
    assert response.text.startswith("'params.model' is required")


def test_reasoning_comes_back_at_the_top_when_it_is_asked_for(served: Served) -> None:
    message = {"role": "assistant", "content": "Boil it.", "reasoning_content": "Eggs need heat."}
    sent = completion(choices=[{"index": 0, "message": message, "finish_reason": "stop"}])
    served.upstream.replies["thinks"] = Reply([json.dumps(sent).encode()])
    body = envelope("groq/thinks")
    body["params"]["reasoning"] = {"effort": "high", "summary": True}

    answer = served.http.post(ROUTES[0], json=body).json()["chat_completion_response"]

    assert answer["reasoning"] == "Eggs need heat."
    assert served.upstream.received[-1].json["reasoning_effort"] == "high"


def test_the_curl_body_of_the_documents_works_verbatim(served: Served) -> None:
    served.upstream.replies["gpt-5"] = Reply([json.dumps(completion("Boil it.")).encode()])
    body = """{
      "application_ref_name": "demo_app", "session_id": "YOUR_SESSION_ID",
      "action_type": "REASONING_DEMO", "evaluation_enabled": true,
      "params": {"messages": [{"role": "user", "content": "Short plan to boil an egg."}],
                 "model": "gpt-5", "stream": false, "reasoning": {"effort": "high", "summary": true}},
      "auth_keys": {}}"""

    response = served.http.post(
        ROUTES[1], content=body, headers={"Content-Type": "application/json", "X-Maitai-Api-Key": served.weir.key}
    )

    assert response.json()["chat_completion_response"]["choices"][0]["message"]["content"] == "Boil it."
    log = served.log(response.headers["x-weir-request-id"])
    assert log["full_request"] == json.loads(body)
    assert (log["session_id"], log["intent"]) == ("YOUR_SESSION_ID", "REASONING_DEMO")
