"""What a client sent is what a reader gets, field by field, for each of the ways in."""

import base64
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from functions.completion import app as completion_app
from functions.request_log import app as request_log
from functions.storage import app as storage
from tests.functions.test_storage import everything
from tests.runtime import Caller, fixed_runtime
from tests.upstream import Upstream, completion, completion_reply, stream_reply
from weir.runtime.bootstrap import Runtime

SAID = 'Zwölf Uhr? ⏰\n\t"ja" \\ / \u2028 \U0001f600'
ANSWER = 'Ünïcode ✓ "quoted"\n\U0001f600'
MESSAGES: list[dict[str, Any]] = [
    {"role": "system", "content": "Be brief.", "name": None},
    {"role": "user", "content": [{"type": "text", "text": SAID}]},
]
METADATA: dict[str, Any] = {
    "größe": "✓",
    "count": 3,
    "ratio": 0.1,
    "none": None,
    "flag": False,
    "deep": {"a": [None, 1]},
}
UNKNOWN: dict[str, Any] = {"null": None, "list": [1, "ü", None], "zero": 0, "empty": "", "object": {}}
PARAMS: dict[str, Any] = {"temperature": 0, "top_p": None, "stop": ["\u2028", "✓"], "max_tokens": 7, "seed": None}
CHAT: dict[str, Any] = {"model": "openai/m", "messages": MESSAGES, **PARAMS}
TAGS: dict[str, Any] = {
    "application": "größe",
    "intent": "frage ✓",
    "session_id": 12345678901234567890,
    "reference_id": 0,
    "user_id": "ü-1",
    "customer_identifier": 42,
    "request_id": "req ✓ 1",
    "metadata": METADATA,
    "x_unknown": UNKNOWN,
    "x_null": None,
}
TAGGED: dict[str, Any] = {
    "application": "größe",
    "intent": "frage ✓",
    "session_id": "12345678901234567890",
    "thread_identifier": "12345678901234567890",
    "reference_id": "0",
    "user_id": "ü-1",
    "customer_identifier": "42",
    "request_id": "req ✓ 1",
    "metadata": METADATA,
}
ENVELOPE = {"application_ref_name": TAGS["application"], "action_type": TAGS["intent"]} | {
    name: value for name, value in TAGS.items() if name not in ("application", "intent")
}
RESPONSE = completion(ANSWER, model="gpt-4o", x_unknown=UNKNOWN)
SAID_BY_MODEL = {"role": "assistant", "content": ANSWER}
ASKED: dict[str, Any] = {"prompt_messages": MESSAGES, "temperature": 0, "stop": ["\u2028", "✓"], "max_tokens": 7}

LABELS: dict[str, Any] = {
    "customer_params": {"customer_identifier": 42, "name": "Ünï", "metadata": {"none": None}},
    "thread_identifier": 12345678901234567890,
    "custom_identifier": 0,
    "group_identifier": "g ✓",
    "trace_unique_id": "t",
    "span_unique_id": 9,
    "span_parent_id": "p",
    "span_name": "schritt ✓",
    "span_workflow_name": "fluss",
    "prompt_id": 3,
    "prompt_name": "gruß",
    "note": "line\nline ✓",
    "positive_feedback": False,
    "metadata": METADATA,
    "properties": {"native": 1, "none": None, "deep": {"a": [1.5]}},
}
LABELLED: dict[str, Any] = {
    **LABELS,
    "customer_identifier": "42",
    "thread_identifier": "12345678901234567890",
    "custom_identifier": "0",
    "span_unique_id": "9",
    "prompt_id": "3",
}
LOG: dict[str, Any] = {
    **LABELS,
    "model": "gpt-4o",
    "prompt_messages": MESSAGES,
    "completion_message": SAID_BY_MODEL,
    "full_request": {"temperature": 0, "top_p": None},
    "full_response": {"id": "r", "none": None},
    "prompt_tokens": 0,
    "completion_tokens": 3,
    "cost": 0.0000001,
    "latency": 1.25,
    "time_to_first_token": 0.5,
    "status_code": 200,
    "stream": False,
    "unique_id": "req ✓ 1",
    "x_unknown": UNKNOWN,
    "x_null": None,
    "x_number": 12345678901234567890,
    "temperature": 0.5,
    "frequency_penalty": None,
    "tool_choice": None,
}
LOG_SHOWN = {name: value for name, value in LOG.items() if value is not None and name != "unique_id"} | LABELLED


@dataclass(frozen=True, slots=True)
class Way:
    """One way in. `shown` is what a reader gets of it, member by member; `absent` what was null and is not there."""

    method: str
    path: str
    body: Any
    shown: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)
    absent: tuple[str, ...] = ()


def encoded(params: Any) -> str:
    return base64.b64encode(json.dumps(params, ensure_ascii=False).encode()).decode()


def completed(body: Mapping[str, Any], **shown: Any) -> dict[str, Any]:
    """A call that was made by Weir."""
    return {**ASKED, "full_request": body, "completion_message": SAID_BY_MODEL, "status": "success", **shown}


OPENAI_BODY = {**CHAT, **TAGS}
MAITAI_BODY = {**ENVELOPE, "params": CHAT}
STORED_REQUEST = {**ENVELOPE, "params": {**CHAT, "model": "gpt-4o"}}
TIMES = {"time_request_start": 10.0, "time_first_chunk": 0, "time_request_end": 10.5, "request_id": ""}
NATIVE = {
    "provider": "openai",
    "application_ref_name": TAGS["application"],
    "action_type": TAGS["intent"],
    "request": {**CHAT, "model": "gpt-4o"},
    "response": RESPONSE,
    **{name: TAGS[name] for name in ("session_id", "reference_id", "user_id", "request_id", "metadata", "x_unknown")},
}
NULLS = ("top_p", "seed", "x_null")

WAYS: Mapping[str, Way] = {
    "OpenAI": Way("POST", "/v1/chat/completions", OPENAI_BODY, completed(OPENAI_BODY, **TAGGED), absent=NULLS),
    "OpenAI, streamed": Way(
        "POST",
        "/api/chat/completions",
        OPENAI_BODY | {"stream": True},
        completed(OPENAI_BODY | {"stream": True}, **TAGGED, stream=True),
        absent=NULLS,
    ),
    "Maitai": Way("POST", "/chat/completions/serialized", MAITAI_BODY, completed(MAITAI_BODY, **TAGGED), absent=NULLS),
    "stored": Way(
        "PUT",
        "/chat/completions/response",
        {"chat_completion_request": STORED_REQUEST, "chat_completion_response": RESPONSE, "timing_metrics": TIMES},
        {
            **ASKED,
            **TAGGED,
            "full_request": {"timing_metrics": TIMES, **STORED_REQUEST},
            "full_response": RESPONSE,
            "completion_message": SAID_BY_MODEL,
            "latency": 0.5,
        },
        absent=NULLS,
    ),
    "evaluated": Way(
        "POST",
        "/evaluation/submit",
        {"chat_completion_request": STORED_REQUEST, "chat_completion_response": RESPONSE, "x_beside": UNKNOWN},
        {**ASKED, **TAGGED, "full_request": {"x_beside": UNKNOWN, **STORED_REQUEST}, "full_response": RESPONSE},
        absent=NULLS,
    ),
    "logged in its provider's format": Way(
        "PUT",
        "/chat/completions/log",
        NATIVE,
        {
            **ASKED,
            **{k: v for k, v in TAGGED.items() if k != "customer_identifier"},
            "completion_message": SAID_BY_MODEL,
        },
        absent=("top_p", "seed"),
    ),
    "request log": Way(
        "POST",
        "/api/request-logs/create",
        LOG,
        LOG_SHOWN | {"request_id": "req ✓ 1", "x_null": None},
        absent=("frequency_penalty", "tool_choice"),
    ),
    "request log, by a header's id": Way(
        "POST",
        "/request-logs",
        {name: value for name, value in LOG.items() if name != "unique_id"},
        LOG_SHOWN | {"x_null": None},
        {"idempotency-key": "req-1"},
        ("frequency_penalty", "tool_choice"),
    ),
    "bulk": Way(
        "POST",
        "/api/request-logs/bulk",
        {"logs": [LOG]},
        LOG_SHOWN | {"request_id": "req ✓ 1", "x_null": None},
        absent=("frequency_penalty", "tool_choice"),
    ),
    "old batch": Way("POST", "/api/request-logs/batch/create", {"logs": [LOG]}, LOG_SHOWN),
    "proxy, at the top": Way(
        "POST",
        "/api/chat/completions",
        {**CHAT, **LABELS, "request_id": "req ✓ 1"},
        completed({**CHAT, **LABELS, "request_id": "req ✓ 1"}, **LABELLED),
        absent=NULLS,
    ),
    "proxy, in respan_params": Way(
        "POST",
        "/api/chat/completions",
        {**CHAT, "respan_params": LABELS, "request_id": "req ✓ 1"},
        completed({**CHAT, "respan_params": LABELS, "request_id": "req ✓ 1"}, **LABELLED),
        absent=NULLS,
    ),
    "proxy, in the header": Way(
        "POST",
        "/api/chat/completions",
        {**CHAT, "request_id": "req ✓ 1"},
        completed(
            {**CHAT, "request_id": "req ✓ 1", "respan_params": {**LABELS, "customer_identifier": 42}}, **LABELLED
        ),
        {"X-Data-Respan-Params": encoded(LABELS)},
        NULLS,
    ),
}


@dataclass(frozen=True, slots=True)
class World:
    weir: Caller
    runtime: Runtime


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    reply, stream = completion_reply(ANSWER), stream_reply(*ANSWER)
    with Upstream({"m": lambda r: stream if r.json.get("stream") else reply}, keep_alive=False) as upstream:
        runtime = fixed_runtime(tmp_path, {"OPENAI_API_KEY": "canary-key", "OPENAI_BASE_URL": f"{upstream.url}/v1"})
        yield World(Caller.of(runtime, [app.mount for app in (completion_app, storage, request_log)]), runtime)
        runtime.ledger.close()


@pytest.mark.parametrize("name", WAYS)
def test_what_was_sent_is_what_is_read(world: World, name: str) -> None:
    way = WAYS[name]
    answer = world.weir.call(way.method, way.path, json=way.body, headers=way.headers)
    assert answer.status_code in (200, 201), answer.text
    (record,) = everything(world.runtime)
    log = world.weir.get(f"/api/request-logs/{record.caller_id}").json()
    assert {member: log.get(member, "it is missing") for member in way.shown} == dict(way.shown)
    assert not log.keys() & set(way.absent)
    assert world.weir.get(f"/api/request-logs/{record.id}").json() == log


CLIENT_SIDE: Mapping[str, Callable[[str], tuple[str, str, Any, Mapping[str, str]]]] = {
    "stored": lambda id: ("PUT", "/chat/completions/response", _pair(request_id=id), {}),
    "stored, by the header": lambda id: ("PUT", "/api/v1/chat/completions/response", _pair(), {"x-request-id": id}),
    "judged": lambda id: ("POST", "/evaluation/submit", {**_pair(), "request_id": id}, {}),
    "judged, for a callback": lambda id: ("POST", "/evaluation/request", _pair(request_id=id), {}),
    "logged": lambda id: ("PUT", "/chat/completions/log", {**NATIVE, "request_id": id}, {}),
}


def _pair(**fields: Any) -> dict[str, Any]:
    asked = {name: value for name, value in STORED_REQUEST.items() if name != "request_id"}
    return {"chat_completion_request": asked, "chat_completion_response": {**RESPONSE, **fields}}


def test_a_client_side_call_is_one_record_in_whatever_order_its_routes_tell_of_it(world: World) -> None:
    orders = list(permutations(CLIENT_SIDE))
    for number, order in enumerate(orders):
        answers = [_send(world, CLIENT_SIDE[way](f"req-{number}")) for way in order]
        assert {answer["request_id"] for answer in answers} == {f"req-{number}"}, order
        found = world.weir.get(f"/api/request-logs/req-{number}").json()
        assert ("timing_metrics" in found, found["completion_message"]) == (False, SAID_BY_MODEL), order
    assert world.weir.post("/api/request-logs/summary").json()["number_of_requests"] == len(orders)


def _send(world: World, sent: tuple[str, str, Any, Mapping[str, str]]) -> dict[str, Any]:
    method, path, body, headers = sent
    answer = world.weir.call(method, path, json=body, headers=headers)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told
