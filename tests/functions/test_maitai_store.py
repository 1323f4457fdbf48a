"""What Maitai's clients store and report beside the pair of request and response."""

import copy
import json
import logging
from dataclasses import replace
from typing import Any

import pytest

from functions.request_log import app as request_log
from functions.storage import app as storage
from tests.functions.test_maitai_traps import ERROR, EVALUATION, LOG, NATIVE, STORE, SUBMIT, TIMING
from tests.functions.test_storage import DOCUMENTED, an_id, as_documented, everything, kept
from tests.runtime import START, Caller
from weir.domain.completion import Usage
from weir.domain.record import Failure, Record
from weir.runtime.bootstrap import Runtime


@pytest.fixture
def caller(runtime: Runtime) -> Caller:
    return Caller.of(runtime, [storage.mount, request_log.mount])


def test_an_evaluation_keeps_its_pair_like_the_store_only_call(caller: Caller, runtime: Runtime) -> None:
    answer = caller.post(SUBMIT, json=EVALUATION)
    assert (answer.status_code, answer.json()) == (
        200,
        {
            "id": -1,
            "request_id": an_id(1),
            "evaluation_request_id": an_id(1),
            "session_id": "YOUR_SESSION_ID",
            "date_created": int(START.timestamp() * 1000) + 1000,
            "evaluation_results": [],
            "meta": {},
        },
    )
    record, payload = kept(runtime, an_id(1))
    assert record == as_documented(latency_ms=500.0)
    assert json.loads(payload.response or b"") == EVALUATION["chat_completion_response"]


@pytest.mark.parametrize(
    "change",
    [
        {"chat_completion_request": None, "chat_completion_response": None},
        {"chat_completion_response": {"choices": "none"}},
        {"chat_completion_request": {}},
    ],
)
def test_an_evaluation_whose_pair_cannot_be_read_is_kept_as_it_came(
    caller: Caller, runtime: Runtime, change: dict[str, Any]
) -> None:
    assert caller.post(SUBMIT, json={**EVALUATION, **change}).status_code == 200
    (record,) = everything(runtime)
    assert (record.application, record.intent, record.session_id, record.model) == ("demo_app", "CHAT", "sess-1", None)
    (warning,) = record.warnings
    assert warning.startswith("kept as it came: 'chat_completion_re")
    assert json.loads(kept(runtime, record.id)[1].request)["message_content"] == EVALUATION["message_content"]


@pytest.mark.parametrize("first", [STORE, SUBMIT])
def test_the_same_id_by_two_ways_is_one_record(caller: Caller, runtime: Runtime, first: str) -> None:
    body = copy.deepcopy(EVALUATION)
    body["chat_completion_request"]["request_id"] = "req-1"
    ways = [first, SUBMIT if first == STORE else STORE, first]
    for way in ways:
        assert caller.call("PUT" if way == STORE else "POST", way, json=body).json()["request_id"] == "req-1"
    assert len(everything(runtime)) == 1


def test_what_a_client_of_1_1_stores_is_read_by_todays_names(caller: Caller, runtime: Runtime) -> None:
    body = copy.deepcopy(DOCUMENTED)
    body["chat_completion_request"] |= {
        "auth_keys": {"openaiApiKey": {"keyValue": "canary-old-key", "companyId": "1"}},
        "client_params": {"baseUrl": "https://example.invalid", "azureParams": {}},
        "context_retrieval_enabled": True,
        "context_query": "eggs",
        "assistant": False,
        "fallback_model": "gpt-4o-mini",
    }
    body["chat_completion_response"] = {
        "id": "chatcmpl_example",
        "object": "chat.completion",
        "created": "1730000000",
        "model": "gpt-4o",
        "choices": [
            {
                "finishReason": "tool_calls",
                "message": {"role": "assistant", "toolCalls": [{"id": "c", "function": {"name": "f"}}]},
            }
        ],
        "usage": {"promptTokens": "3", "completionTokens": 2, "totalTokens": "5"},
    }
    body["timing_metrics"] = {"timeRequestStart": 1.5, "timeFirstChunk": 1.75, "timeRequestEnd": 2.0}
    assert caller.put(STORE, json=body).status_code == 200
    record, payload = kept(runtime, an_id(1))
    assert record == as_documented(
        finish_reason="tool_calls",
        raw_finish_reason="tool_calls",
        claimed_usage=Usage(3, 2),
        computed_cost=record.computed_cost,
        price_version=record.price_version,
        first_token_ms=250.0,
        latency_ms=500.0,
    )
    response = json.loads(payload.response or b"")
    assert response["choices"][0]["message"]["tool_calls"] == [{"id": "c", "function": {"name": "f"}}]
    assert (response["created"], response["usage"]["total_tokens"]) == (1730000000, 5)
    assert b"canary" not in payload.request


def test_names_of_todays_clients_are_left_alone(caller: Caller, runtime: Runtime) -> None:
    body = copy.deepcopy(DOCUMENTED)
    body["chat_completion_response"]["extraThing"] = {"someName": 1}
    caller.put(STORE, json=body)
    assert json.loads(kept(runtime, an_id(1))[1].response or b"")["extraThing"] == {"someName": 1}


ANTHROPIC: Any = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-logged",
    "content": [{"type": "thinking", "thinking": "hm", "signature": "s"}, {"type": "text", "text": "yo"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 5, "output_tokens": 7, "cache_read_input_tokens": None, "server_tool_use": None},
}
GEMINI: Any = {
    "candidates": [
        {
            "content": {
                "role": "model",
                "parts": [
                    {"text": "yo", "thought": None},
                    {"function_call": {"id": None, "name": "find", "args": {"some_name": None, "other_name": 1}}},
                ],
            },
            "finish_reason": "STOP",
            "safety_ratings": None,
        }
    ],
    "usage_metadata": {"prompt_token_count": 5, "candidates_token_count": 7, "total_token_count": 12},
    "model_version": "gemini-logged",
    "response_id": "g1",
    "automatic_function_calling_history": [],
    "parsed": None,
}
RESPONSES: Any = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1,
    "model": "gpt-logged",
    "status": "completed",
    "output": [{"type": "message", "id": "m", "role": "assistant", "content": [{"type": "output_text", "text": "yo"}]}],
    "usage": {"input_tokens": 5, "output_tokens": 7, "total_tokens": 12},
}


def native(provider: str, response: Any, **request: Any) -> dict[str, Any]:
    return {**NATIVE, "provider": provider, "request": {"model": "asked", **request}, "response": response}


def as_logged(provider: str, **changes: Any) -> Record:
    return as_documented(
        **{
            "provider": provider,
            "intent": "CHAT",
            "session_id": "sess-1",
            "reference_id": "5",
            "user_id": "u",
            "model": "asked",
            "metadata": {"a": 1},
            **changes,
        }
    )


@pytest.mark.parametrize(
    ("provider", "response", "answered", "reason", "raw"),
    [
        ("anthropic", ANTHROPIC, "claude-logged", "stop", "end_turn"),
        ("Gemini", GEMINI, "gemini-logged", "tool_calls", "STOP"),
        ("openai", RESPONSES, "gpt-logged", "stop", "completed"),
    ],
)
def test_a_call_in_its_providers_format_is_read(
    caller: Caller, runtime: Runtime, provider: str, response: Any, answered: str, reason: str, raw: str
) -> None:
    assert caller.put(LOG, json=native(provider, response)).status_code == 200
    record, payload = kept(runtime, an_id(1))
    assert record == as_logged(
        provider.lower(),
        answered_model=answered,
        finish_reason=reason,
        raw_finish_reason=raw,
        claimed_usage=record.claimed_usage,
    )
    assert record.claimed_usage is not None
    assert (record.claimed_usage.prompt, record.claimed_usage.completion) == (5, 7)
    assert json.loads(payload.response or b"")["choices"][0]["message"]["content"] == "yo"
    assert json.loads(payload.reply or b"") == response  # to the letter
    assert json.loads(payload.request)["params"] == {"model": "asked"}


def test_the_arguments_of_a_logged_call_keep_their_names(caller: Caller, runtime: Runtime) -> None:
    caller.put(LOG, json=native("gemini", GEMINI))
    message = json.loads(kept(runtime, an_id(1))[1].response or b"")["choices"][0]["message"]
    assert json.loads(message["tool_calls"][0]["function"]["arguments"]) == {"some_name": None, "other_name": 1}


@pytest.mark.parametrize("provider", ["openai", "groq", "my-own-gateway"])
def test_a_call_in_openais_format_is_kept_as_it_came(caller: Caller, runtime: Runtime, provider: str) -> None:
    caller.put(LOG, json=native(provider, NATIVE["response"], stream=True))
    record, payload = kept(runtime, an_id(1))
    assert record == as_logged(
        provider,
        answered_model="upstream-1",
        stream=True,
        finish_reason="stop",
        raw_finish_reason="stop",
        claimed_usage=Usage(9, 3),
    )
    assert (json.loads(payload.response or b""), payload.reply) == (NATIVE["response"], None)


@pytest.mark.parametrize(
    ("provider", "response"),
    [("openai", {}), ("openai", {"choices": 5}), ("anthropic", NATIVE["response"]), ("gemini", {"x": [1]})],
)
def test_an_answer_that_cannot_be_read_is_kept_with_a_warning(
    caller: Caller, runtime: Runtime, provider: str, response: Any
) -> None:
    assert caller.put(LOG, json=native(provider, response)).status_code == 200
    record, payload = kept(runtime, an_id(1))
    (warning,) = record.warnings
    assert warning.startswith("kept as it came: ")
    unread = as_logged(provider, answered_model=None, finish_reason=None, raw_finish_reason=None)
    assert record == replace(unread, warnings=(warning,))
    assert json.loads(payload.response or b"") == response


def test_a_logged_error_is_a_failed_call(caller: Caller, runtime: Runtime) -> None:
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    caller.put(LOG, json=native("anthropic", error))
    record = kept(runtime, an_id(1))[0]
    assert (record.outcome, record.status_code) == ("error", 529)
    assert record.failure == Failure("ProviderUnavailable", "Overloaded", provider_status=529)


def test_a_clients_times_are_joined_to_its_call(caller: Caller, runtime: Runtime) -> None:
    caller.put(STORE, json=DOCUMENTED, headers={"x-request-id": "req-1"})
    times = {"time_request_start": 10.0, "time_pre_request": 10.1, "time_first_chunk": 10.25, "time_request_end": 11.0}
    answer = caller.put(TIMING, json={**times, "request_id": "req-1"})
    assert answer.json() == {"request_id": "req-1", "noted": True}
    assert kept(runtime, "req-1")[0] == as_documented(
        caller_id="req-1", client_first_token_ms=250.0, client_latency_ms=1000.0, revision=1
    )
    older = {"timeRequestStart": 10.0, "timeRequestEnd": 12.0, "requestId": "req-1"}
    assert caller.put(TIMING, json=older).status_code == 200
    assert kept(runtime, "req-1")[0].client_latency_ms == 2000.0


@pytest.mark.parametrize("id", ["no-such-id", "", None])
def test_times_of_a_call_that_is_not_there_are_no_error(caller: Caller, id: str | None) -> None:
    answer = caller.put(TIMING, json={"time_request_start": 10.0, "time_request_end": 11.0, "request_id": id})
    assert (answer.status_code, answer.json()["noted"]) == (200, False)


def test_a_clients_failure_is_logged_without_what_it_quotes(caller: Caller, caplog: pytest.LogCaptureFixture) -> None:
    cause = """Traceback (most recent call last):
  File "/home/somebody/canary-folder/app.py", line 3, in ask
    client.put(url, key="canary-key-in-code")
httpx.ConnectError: canary-key-in-message

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "/home/somebody/canary-folder/app.py", line 5, in ask
maitai.exceptions.MaitaiConnectionError: canary-key-in-message
canary_prompt
"""
    report = {"cause": cause, "type": "ERROR", "path": "https://weir.test/chat/completions/serialized?key=canary"}
    with caplog.at_level(logging.WARNING, "weir.clients"):
        for content in (json.dumps(report).encode(), b"[1]", b"nothing", b'{"cause": "canary", "path": "http://["}'):
            assert caller.put(ERROR, content=content).status_code == 200
    told = [(vars(entry)["error"], vars(entry)["route"], vars(entry)["count"]) for entry in caplog.records]
    assert told == [
        ("maitai.exceptions.MaitaiConnectionError", "/chat/completions/serialized", 1),
        ("unknown", "", 2),
        ("unknown", "", 3),
        ("unknown", "", 4),
    ]
    assert "canary" not in caplog.text
    assert caller.with_key("canary-wrong").put(ERROR, json=report).status_code == 401
