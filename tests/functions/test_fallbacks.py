"""Fallbacks and deadlines as callers ask for them and are told of them, in each dialect."""

import base64
import itertools
import json
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.types import ASGIApp

from functions.completion import app as completion
from tests.functions.conftest import Served
from tests.runtime import Caller, fixed_runtime
from tests.upstream import SSE_TYPE, Reply, Upstream, completion_reply, error_reply, events, stream_reply
from weir.http.streaming import PATIENCE

OPENAI, MAITAI = "/v1/chat/completions", "/chat/completions/serialized"
ROUTES = (OPENAI, MAITAI)
MESSAGES = [{"role": "user", "content": "hi"}]
FALLBACK = {"fallback_models": ["groq/well"]}
BUSY = error_reply(429, "Slow down.")
_numbers = itertools.count()


def body_for(route: str, model: str, stream: bool = False, **fields: Any) -> dict[str, Any]:
    call = {"model": model, "messages": MESSAGES, "stream": stream}
    return {**fields, "params": call} if route == MAITAI else {**fields, **call}


def ask(served: Served, route: str, model: str, **fields: Any) -> httpx.Response:
    return served.http.post(route, json=body_for(route, model, **fields))


def told(answer: httpx.Response) -> tuple[str | None, str | None]:
    return answer.headers.get("x-weir-fallback-reason"), answer.headers.get("x-weir-model")


def untimed(attempts: Any) -> list[dict[str, Any]]:
    timed = ("begun", "latency", "time_to_first_token")
    return [{name: value for name, value in attempt.items() if name not in timed} for attempt in attempts]


@pytest.fixture
def busy(served: Served) -> str:
    """A model that is asked by one test only: after a few failures the process would leave it alone."""
    name = f"busy-{next(_numbers)}"
    served.upstream.replies |= {name: BUSY, "well": completion_reply("well"), "streams": stream_reply("we", "ll")}
    return f"openai/{name}"


@pytest.mark.parametrize("route", ROUTES)
def test_the_answer_and_its_log_say_who_answered_and_why(served: Served, busy: str, route: str) -> None:
    answer = ask(served, route, busy, **FALLBACK)

    assert answer.status_code == 200, answer.text
    assert told(answer) == ("throttled", "groq/well")
    body = answer.json()
    if route == MAITAI:
        assert body["chat_completion_response"]["fallback_reason"] == "throttled"
    log = served.log(answer.headers["x-weir-request-id"])
    assert (log["fallback_reason"], log["model"], log["provider_id"]) == ("throttled", "groq/well", "groq")
    assert untimed(log["attempts"]) == [
        {
            "provider_id": "openai",
            "model": busy,
            "outcome": "failed",
            "status_code": 429,
            "error": "ProviderThrottled",
        },
        {
            "provider_id": "groq",
            "model": "groq/well",
            "outcome": "answered",
            "status_code": 200,
            "prompt_tokens": 9,
            "completion_tokens": 3,
        },
    ]
    assert "warnings" not in log
    shown = served.http.get(f"/api/v1/requests/{log['id']}").json()["data"]
    assert (shown["fallback_reason"], shown["model"]) == ("throttled", "groq/well")


@pytest.mark.parametrize("route", ROUTES)
def test_a_stream_says_it_too(served: Served, busy: str, route: str) -> None:
    answer = ask(served, route, busy, stream=True, fallback_config={"model": "groq/streams", "strategy": "reactive"})

    assert told(answer) == ("throttled", "groq/streams")
    if route == MAITAI:
        chunks = [json.loads(line)["chat_completion_chunk"] for line in answer.text.splitlines()]
        assert {chunk["fallback_reason"] for chunk in chunks} == {"throttled"}
    log = served.log(answer.headers["x-weir-request-id"])
    assert log["completion_message"] == {"role": "assistant", "content": "well"}
    assert [attempt["outcome"] for attempt in untimed(log["attempts"])] == ["failed", "answered"]


@pytest.mark.parametrize("route", ROUTES)
def test_an_answer_of_the_first_model_says_nothing_of_it(served: Served, route: str) -> None:
    answer = ask(served, route, "groq/well", **FALLBACK)
    assert told(answer) == (None, None)
    assert "fallback_reason" not in answer.text
    assert "attempts" not in served.log(answer.headers["x-weir-request-id"])


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("route", ROUTES)
def test_who_asks_again_is_told_it_again(served: Served, busy: str, route: str, stream: bool) -> None:
    id = f"again-{route}-{stream}"
    first = ask(served, route, busy, request_id=id, **FALLBACK)
    again = ask(served, route, busy, request_id=id, stream=stream, **FALLBACK)
    assert again.headers["x-weir-duplicate"] == "true"
    assert told(again) == told(first) == ("throttled", "groq/well")
    assert ("fallback_reason" in again.text) == (route == MAITAI)


def encoded(fields: dict[str, Any]) -> str:
    return base64.b64encode(json.dumps(fields).encode()).decode()


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("place", ["respan_params", "header"])
def test_it_may_be_asked_wherever_keywords_ais_parameters_may_stand(
    served: Served, busy: str, route: str, place: str
) -> None:
    fields: dict[str, Any]
    fields, headers = (
        ({"respan_params": FALLBACK}, {})
        if place == "respan_params"
        else ({}, {"X-Data-Respan-Params": encoded(FALLBACK)})
    )
    answer = served.http.post(route, json=body_for(route, busy, **fields), headers=headers)
    assert told(answer) == ("throttled", "groq/well")


@pytest.mark.parametrize("route", ROUTES)
def test_what_is_configured_holds_until_the_call_says_otherwise(served: Served, busy: str, route: str) -> None:
    name = "routed-maitai" if route == MAITAI else "routed-openai"
    config = {
        "fallback_config": {"model": "groq/well", "strategy": "reactive"},
        "retry_params": {"num_retries": 1, "retry_after": 0.01},
    }
    made = served.http.post("/api/v1/applications", json={"application_name": name, "application_ref_name": name})
    id = made.json()["data"]["id"]
    assert served.http.put(f"/api/v1/applications/{id}/config", json=config).status_code == 200

    configured = ask(served, route, busy, application_ref_name=name)
    own = ask(served, route, busy, application_ref_name=name, fallback_models=["own-vendor/well"])
    without = ask(served, route, busy, application_ref_name=name, disable_fallback=True)

    assert [told(answer)[1] for answer in (configured, own, without)] == ["groq/well", "own-vendor/well", None]
    assert without.status_code == 429
    log = served.log(configured.headers["x-weir-request-id"])
    assert [attempt["model"] for attempt in untimed(log["attempts"])] == [busy, busy, "groq/well"]


def test_a_split_needs_no_model_beside_it_and_keeps_a_session_together(served: Served) -> None:
    served.upstream.replies["well"] = completion_reply("well")
    shares = [{"model": "groq/well", "weight": 1}, {"model": "own-vendor/well", "weight": 1}]
    body = {"messages": MESSAGES, "load_balance_models": shares, "session_id": "s-1"}
    logs = [served.log(served.http.post(OPENAI, json=body).headers["x-weir-request-id"]) for _ in range(3)]
    assert len({str(log["model"]) for log in logs}) == 1
    assert {"fallback_reason", "warnings"}.isdisjoint(logs[0])


@pytest.mark.parametrize("route", ROUTES)
def test_a_configured_split_is_for_calls_that_leave_the_model_open_or_name_one_of_its_own(
    served: Served, route: str
) -> None:
    served.upstream.replies |= {"well": completion_reply("well"), "named": completion_reply("named")}
    name = "split_maitai" if route == MAITAI else "split_openai"
    id = served.http.post("/api/v1/applications", json={"application_name": name}).json()["data"]["id"]
    config = {"load_balance_models": [{"model": "groq/well", "weight": 1}, {"model": "groq/none", "weight": 1e-9}]}
    assert served.http.put(f"/api/v1/applications/{id}/config", json=config).status_code == 200

    def answered(model: str | None) -> Any:
        body = body_for(route, model or "", application_ref_name=name)
        if model is None:
            del (body["params"] if route == MAITAI else body)["model"]
        answer = served.http.post(route, json=body)
        assert answer.status_code == 200, answer.text
        return served.log(answer.headers["x-weir-request-id"])["model"]

    assert [answered(model) for model in (None, "groq/none", "openai/named")] == ["groq/well"] * 2 + ["openai/named"]


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"fallback_models": ["groq/well", 1]}, "fallback_models[1]"),
        ({"fallback_config": {"model": "groq/well", "strategy": "never"}}, "fallback_config.strategy"),
        ({"respan_params": {"retry_params": {"num_retries": 99}}}, "retry_params.num_retries"),
        ({"timeout": "soon"}, "timeout"),
    ],
)
def test_a_wrong_wish_is_a_400_that_names_it(
    served: Served, busy: str, route: str, fields: dict[str, Any], param: str
) -> None:
    answer = ask(served, route, busy, **fields)
    assert answer.status_code == 400
    assert param in answer.text
    if route == OPENAI:
        assert answer.json()["error"]["param"] == param


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("stream", [False, True])
def test_a_deadline_is_a_504_that_names_it(served: Served, route: str, stream: bool) -> None:
    hold = threading.Event()
    served.upstream.replies["hangs"] = Reply(events("late"), headers=SSE_TYPE, hold=hold, hold_at=-1)

    before = len(served.upstream.received)

    answer = ask(served, route, "openai/hangs", stream=stream, first_token_timeout=0.4)

    assert served.upstream.asked(before).cut_off.wait(10)
    assert answer.status_code == 504
    if route == OPENAI:
        assert answer.json() == {
            "error": {
                "message": "openai did not begin to answer within 0.4 s.",
                "type": "timeout_error",
                "param": None,
                "code": "first_token_timeout",
            }
        }
    else:
        assert answer.text == "openai did not begin to answer within 0.4 s."
    log = served.log(answer.headers["x-weir-request-id"])
    assert (log["status_code"], log["error_code"]) == (504, "first_token_timeout")


@pytest.mark.parametrize("route", ROUTES)
def test_a_deadline_amid_a_stream_ends_it_as_any_failure_does(served: Served, route: str) -> None:
    hold = threading.Event()
    served.upstream.replies["stalls"] = Reply(events("heard", "unheard"), headers=SSE_TYPE, hold=hold, hold_at=2)

    answer = ask(served, route, "openai/stalls", stream=True, between_tokens_timeout=0.4)

    assert served.upstream.received[-1].cut_off.wait(10)
    assert answer.status_code == 200
    assert (
        "openai fell silent for 0.4 s before its answer was complete."
        in answer.text.splitlines()[-1 if route == MAITAI else -2]
    )
    assert "[DONE]" not in answer.text
    log = served.log(answer.headers["x-weir-request-id"])
    assert log["completion_message"] == {"role": "assistant", "content": "heard"}
    assert (log["status_code"], log["error_code"]) == (504, "between_tokens_timeout")


def test_a_key_in_a_models_name_is_kept_nowhere(served: Served, busy: str) -> None:
    keys = {"openai_api_key": {"key_value": "canary-brought-key"}}
    fields = {"fallback_models": ["groq/canary-brought-key", "groq/well"], "auth_keys": keys}
    answer = ask(served, OPENAI, busy, **fields)
    assert told(answer) == ("throttled", "groq/well")
    assert "canary" not in json.dumps(served.log(answer.headers["x-weir-request-id"]))


def test_logs_are_found_by_the_reason(served: Served, busy: str) -> None:
    answer = ask(served, OPENAI, busy, customer_identifier="found-by-reason", **FALLBACK)
    filters = {"fallback_reason": {"value": ["throttled"]}, "customer_identifier": {"value": ["found-by-reason"]}}
    found = served.http.post("/api/request-logs/list/", json={"filters": filters}).json()["results"]
    assert [row["id"] for row in found] == [answer.headers["x-weir-request-id"]]
    assert found[0]["fallback_reason"] == "throttled"


class Impatient:
    """An application behind something that gives silent answers up after a moment."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self._app({**scope, "extensions": {PATIENCE: {"seconds": 0.05}}}, receive, send)


def test_a_stream_that_had_to_begin_before_its_answer_names_the_reason_in_its_chunks(tmp_path: Path) -> None:
    with Upstream({"busy": BUSY}, keep_alive=False) as upstream:
        hold = threading.Event()
        upstream.replies["well"] = Reply(events("well"), headers=SSE_TYPE, hold=hold, hold_at=0)
        keys = {f"{name}_API_KEY": f"canary-{name.lower()}-key" for name in ("OPENAI", "GROQ")}
        urls = {f"{name}_BASE_URL": upstream.url for name in ("OPENAI", "GROQ")}
        caller = Caller.of(fixed_runtime(tmp_path, keys | urls), [completion.mount])
        release = threading.Timer(0.5, hold.set)
        release.start()
        body = body_for(MAITAI, "openai/busy", stream=True, **FALLBACK)
        impatient: Any = Impatient(caller.app)
        answer = Caller(impatient).post(MAITAI, json=body)
        release.join()

    assert told(answer) == (None, None)
    chunks = [json.loads(line)["chat_completion_chunk"] for line in answer.text.splitlines()]
    assert {chunk["fallback_reason"] for chunk in chunks} == {"throttled"}
