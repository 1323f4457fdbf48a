"""What breaks Maitai's own clients (maitai-python 1.2.34), trap by trap, on every route that they call."""

import copy
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from functions.completion import app as completion_app
from functions.portal import app as portal
from functions.request_log import app as request_log
from functions.storage import app as storage
from tests.functions.test_maitai import SDK_KEY, envelope
from tests.functions.test_storage import DOCUMENTED
from tests.runtime import Caller, fixed_runtime
from tests.upstream import SSE_TYPE, Reply, Script, Upstream, completion, completion_reply, error_reply, stream_reply
from weir.runtime.bootstrap import Runtime

COMPLETE, STORE, LOG = "/chat/completions/serialized", "/chat/completions/response", "/chat/completions/log"
SUBMIT, JUDGE = "/evaluation/submit", "/evaluation/request"
TIMING, ERROR, INIT = "/metrics/timing", "/metrics/increment/python_sdk_error", "/config/init_sdk"
CANARY = "canary-openai-key-of-the-caller"

NATIVE: Any = {
    "provider": "openai",
    "action_type": "CHAT",
    "application_ref_name": "demo_app",
    "request": {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]},
    "response": completion("yo"),
    "timing_metrics": None,
    "session_id": "sess-1",
    "reference_id": 5,
    "user_id": "u",
    "metadata": {"a": 1},
    "sample_rate": 1.0,
}
EVALUATION: Any = {
    "evaluation_content_type": 0,
    "application_id": None,
    "application_ref_name": "demo_app",
    "session_id": "sess-1",
    "reference_id": None,
    "action_type": "CHAT",
    "message_content": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yo"}],
    **DOCUMENTED,
    "timing_metrics": {
        "time_request_start": 10.0,
        "time_pre_request": 0,
        "time_first_chunk": 0,
        "time_request_end": 10.5,
        "request_id": "",
    },
}


@dataclass(frozen=True, slots=True)
class World:
    weir: Caller
    upstream: Upstream
    runtime: Runtime

    def ask(self, script: Script, *, stream: bool = False, headers: Any = None, **fields: Any) -> httpx.Response:
        """One completion of a model whose provider answers by `script`."""
        self.upstream.replies["m"] = script
        return self.weir.post(COMPLETE, json=envelope("openai/m", stream=stream, **fields), headers=headers)

    def logs(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.weir.get("/api/request-logs?page_size=100").json()["results"]
        return found


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with Upstream(keep_alive=False) as upstream:
        environ = {"OPENAI_API_KEY": "canary-own-openai-key", "OPENAI_BASE_URL": f"{upstream.url}/v1"}
        runtime = replace(fixed_runtime(tmp_path), environ=environ)
        mounts = [app.mount for app in (completion_app, storage, portal, request_log)]
        yield World(Caller.of(runtime, mounts), upstream, runtime)
        runtime.ledger.close()


def lines(response: httpx.Response) -> list[dict[str, Any]]:
    return [json.loads(line) for line in response.text.splitlines()]


def nulls_in(value: Any) -> set[str]:
    """The names of all members that are null."""
    members = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    own = {name for name, member in value.items() if member is None} if isinstance(value, dict) else set()
    return own.union(*(nulls_in(member) for member in members))


def test_1_every_line_is_one_envelope_and_nothing_is_an_event(world: World) -> None:
    whole, stream = world.ask(completion_reply()), world.ask(stream_reply("a", "b"), stream=True)
    assert [line.keys() for line in lines(whole)] == [{"chat_completion_response"}]
    assert {tuple(line) for line in lines(stream)} == {("chat_completion_chunk",)}
    assert "data:" not in whole.text + stream.text


@pytest.mark.parametrize("status", [400, 401, 403, 408, 409, 413, 422])
def test_2_what_the_provider_refuses_makes_no_client_call_openai_by_itself(world: World, status: int) -> None:
    assert world.ask(error_reply(status, "No.")).status_code == 400


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", COMPLETE, {}),
        ("POST", COMPLETE, []),
        ("POST", COMPLETE, envelope("openai/m", metadata="tag")),
        ("POST", COMPLETE, envelope("openai/m", session_id="s" * 300)),
        ("PUT", STORE, {}),
        ("PUT", STORE, {**DOCUMENTED, "timing_metrics": 1}),
        ("PUT", LOG, {}),
        ("PUT", LOG, {**NATIVE, "request": "hi"}),
        ("PUT", TIMING, {"time_request_start": "now"}),
        ("POST", SUBMIT, []),
        ("POST", SUBMIT, {"session_id": {}}),
    ],
)
def test_2_and_3_the_callers_mistake_is_400_with_one_line(world: World, method: str, path: str, body: Any) -> None:
    response = world.weir.call(method, path, json=body)
    assert response.status_code == 400
    assert len(response.text.splitlines()) == 1
    assert response.text.strip()


def test_2_too_large_a_body_and_broken_json_are_400(world: World) -> None:
    for path in (COMPLETE, STORE):
        method = "POST" if path == COMPLETE else "PUT"
        assert world.weir.call(method, path, content=b"{" + b" " * 6_000_001).status_code == 400
        assert world.weir.call(method, path, content=b"{nope").status_code == 400


def test_3_a_providers_error_page_is_one_line_too(world: World) -> None:
    page = Reply([b"<html>\n<body>\n\nBad gateway\n</body></html>\n"], 502, {"content-type": "text/html"})
    assert len(world.ask(page).text.splitlines()) == 1
    assert world.ask(error_reply(400, "\n\nLine one.\nLine two.")).text == "Line one. Line two."


def test_4_a_failure_after_the_status_is_an_error_line_and_the_connection_ends_well(world: World) -> None:
    failing = Reply(
        [*stream_reply("Hel").chunks[:2], b'data: {"error": {"message": "Overloaded.", "code": 529}}\n\n'],
        headers=SSE_TYPE,
    )
    response = world.ask(failing, stream=True)
    *chunks, last = lines(response)
    assert chunks
    assert last.keys() == {"error"}
    assert "Unknown error occurred" not in last["error"]  # that would make the client call OpenAI
    cut = lines(world.ask(Reply(stream_reply("Hel").chunks[:2], headers=SSE_TYPE), stream=True))
    assert cut[-1].keys() == {"error"}


def test_5_nothing_is_null_but_what_may_be(world: World) -> None:
    nulls: dict[str, Any] = {name: None for name in ("system_fingerprint", "service_tier", "usage")}
    for response in (
        world.ask(completion_reply(**nulls)),
        world.ask(stream_reply("a"), stream=True),
        world.weir.post(SUBMIT, json=EVALUATION),
        world.weir.put(STORE, json=DOCUMENTED),
        world.weir.get(INIT),
    ):
        assert response.status_code == 200
        assert nulls_in([json.loads(line) for line in response.text.splitlines()]) <= {"logprobs", "finish_reason"}


@pytest.mark.parametrize(
    "names",
    [("auth_keys", "openai_api_key", "key_value"), ("authKeys", "openaiApiKey", "keyValue")],
    ids=["1.2", "1.1"],
)
@pytest.mark.parametrize("path", [COMPLETE, STORE, LOG, SUBMIT, JUDGE])
def test_6_no_key_of_a_payload_is_kept(world: World, tmp_path: Path, path: str, names: tuple[str, str, str]) -> None:
    secrets: dict[str, Any] = {
        names[0]: {names[1]: {**SDK_KEY, names[2]: CANARY}},
        "client_params": {
            "defaultHeaders": {"x-any": "canary-header-1"},
            "default_headers": {"x-any": "canary-header-2"},
        },
    }
    if path == COMPLETE:
        body = envelope("openai/m", **secrets)
        body["params"]["extra_headers"] = {"x-b": "canary-header-3"}
        world.upstream.replies["m"] = completion_reply(f"echo {CANARY}")
        response = world.weir.post(path, json=body)
    else:
        body = copy.deepcopy(NATIVE if path == LOG else EVALUATION)
        place = body["request"] if path == LOG else body["chat_completion_request"]
        place |= secrets
        body["evaluate_request"] = secrets
        response = world.weir.call("POST" if path in (SUBMIT, JUDGE) else "PUT", path, json=body)
    assert response.status_code == 200
    world.runtime.ledger.close()
    stored = b"".join(found.read_bytes() for found in tmp_path.rglob("*") if found.is_file())
    (log,) = fixed_again(tmp_path).get("/api/request-logs?page_size=9").json()["results"]
    shown = fixed_again(tmp_path).get(f"/api/request-logs/{log['id']}").text
    for secret in (CANARY, "canary-header-1", "canary-header-2", "canary-header-3"):
        assert secret not in shown
        assert secret.encode() not in stored


def fixed_again(folder: Path) -> Caller:
    """Another process on the same data."""
    return Caller.of(fixed_runtime(folder), [request_log.mount])


def test_7_a_whole_answer_keeps_the_clients_connection(world: World) -> None:
    response = world.ask(completion_reply())
    assert not response.text.endswith("\n")
    assert int(response.headers["content-length"]) == len(response.content)


def test_8_numbers_nulls_and_empty_texts_are_what_the_client_sends(world: World) -> None:
    fields: dict[str, Any] = {"session_id": 12, "reference_id": 34, "user_id": "", "metadata": {}}
    assert world.ask(completion_reply(), **fields).status_code == 200
    body = copy.deepcopy(DOCUMENTED)
    body["chat_completion_request"] |= {**fields, "params": {**body["chat_completion_request"]["params"], "stop": None}}
    assert world.weir.put(STORE, json=body).status_code == 200
    assert world.weir.put(LOG, json={**NATIVE, **fields}).status_code == 200
    assert world.weir.post(SUBMIT, json={**EVALUATION, **body, **fields}).status_code == 200
    told = [(log["session_id"], log["reference_id"], "user_id" in log) for log in world.logs()]
    assert told == [("12", "34", False)] * 4


def test_9_a_stream_with_a_callback_ends(world: World) -> None:
    """The client hangs all the same; that it is not the server which does can only be seen here."""
    response = world.ask(stream_reply("a"), stream=True, return_evaluation=True)
    assert lines(response)[-1]["chat_completion_chunk"]["choices"][0]["finish_reason"] == "stop"


def test_10_what_a_chunk_cannot_hold_is_in_the_whole_answer_only(world: World) -> None:
    chunks = [line["chat_completion_chunk"] for line in lines(world.ask(stream_reply("a"), stream=True))]
    assert not any({"reasoning", "first_token_time", "response_time"} & chunk.keys() for chunk in chunks)
    assert "response_time" in lines(world.ask(completion_reply()))[0]["chat_completion_response"]


@pytest.mark.parametrize("path", [SUBMIT, JUDGE, f"/api/v1{SUBMIT}", f"/api/v1{JUDGE}"])
def test_evaluation_always_answers_an_object(world: World, path: str) -> None:
    for content in (b"", b"[1]", b"<html>", json.dumps({"session_id": {}}).encode(), json.dumps(EVALUATION).encode()):
        assert isinstance(world.weir.post(path, content=content).json(), dict)
    assert isinstance(world.weir.with_key("canary-wrong").post(path, json=EVALUATION).json(), dict)


def test_a_failed_call_and_the_clients_own_after_it_are_two_records(world: World) -> None:
    assert world.ask(error_reply(500, "Down."), headers={"x-request-id": "req-1"}).status_code == 502
    for _ in range(2):
        answer = world.weir.post(SUBMIT, json={**EVALUATION, "request_id": "req-1"})
        assert answer.json()["request_id"] == "req-1"
    told = [(log["status"], log["inference_location"]) for log in world.logs()]
    assert told == [("success", "CLIENT"), ("failed", "SERVER")]


def test_a_call_that_came_through_here_is_not_stored_again(world: World) -> None:
    id = lines(world.ask(completion_reply()))[0]["chat_completion_response"]["request_id"]
    assert world.weir.post(SUBMIT, json={**EVALUATION, "request_id": id}).status_code == 200
    assert len(world.logs()) == 1
