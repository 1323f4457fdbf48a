"""The same call twice under its caller's id: made once, answered each time, in every dialect, streamed or not."""

import asyncio
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from functions.completion import app as completion_app
from functions.request_log import app as request_log
from functions.storage import app as storage
from tests.functions.test_maitai_traps import EVALUATION, SUBMIT
from tests.runtime import Caller, fixed_runtime
from tests.upstream import Reply, Script, Upstream, completion, completion_reply, error_reply, stream_reply
from weir.domain.errors import LedgerUnavailable
from weir.domain.ids import milliseconds, uuid7
from weir.domain.record import Record
from weir.runtime.bootstrap import Runtime

OPENAI, MAITAI, EMBEDDINGS = "/v1/chat/completions", "/chat/completions/serialized", "/v1/embeddings"
MESSAGES = [{"role": "user", "content": "When?"}]
TOOL_CALLS = [{"id": "call_1", "type": "function", "function": {"name": "clock", "arguments": '{"zone":"UTC"}'}}]
TOLD = completion(
    choices=[
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Noon.", "tool_calls": TOOL_CALLS, "reasoning_content": "So."},
            "logprobs": None,
            "finish_reason": "tool_calls",
        }
    ],
)


@dataclass(frozen=True, slots=True)
class World:
    runtime: Runtime
    upstream: Upstream
    weir: Caller

    def replies(self, script: Script) -> None:
        self.upstream.replies["again"] = script

    def ask(
        self, path: str = OPENAI, *, id: str | None = "req-1", headers: Any = None, **fields: Any
    ) -> httpx.Response:
        chat: dict[str, Any] = {"model": "openai/again", "messages": MESSAGES, **fields}
        named = {} if id is None else {"request_id": id}
        body = {"params": chat, **named} if path == MAITAI else chat | named
        return self.weir.post(path, json=body, headers=headers or {})

    @property
    def asked(self) -> int:
        return len(self.upstream.received)

    def records(self) -> tuple[Record, ...]:
        return asyncio.run(self.runtime.ledger.newest("default", limit=100))

    def log(self, id: str) -> dict[str, Any]:
        answer = self.weir.get(f"/api/request-logs/{id}")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with Upstream(keep_alive=False) as upstream:
        environ = {"OPENAI_API_KEY": "canary-openai-key", "OPENAI_BASE_URL": f"{upstream.url}/v1"}
        runtime = fixed_runtime(tmp_path, environ)
        yield World(runtime, upstream, Caller.of(runtime, [f.mount for f in (completion_app, storage, request_log)]))
        runtime.ledger.close()


def words(answer: httpx.Response, path: str, stream: bool) -> tuple[Any, ...]:
    """Id, text, finish reason, tools and usage of an answer of whichever form."""
    if not stream:
        body = answer.json()
        body = body["chat_completion_response"] if path == MAITAI else body
        choice, usage = body["choices"][0], body["usage"]
        said = choice["message"]
    else:
        lines = [line.removeprefix("data: ") for line in answer.text.split("\n") if line and "[DONE]" not in line]
        chunks = [json.loads(line) for line in lines]
        chunks = [chunk["chat_completion_chunk"] for chunk in chunks] if path == MAITAI else chunks
        body = chunks[0]
        usage = next((chunk["usage"] for chunk in chunks if chunk.get("usage")), None)
        parts = [chunk["choices"][0]["delta"] for chunk in chunks if chunk["choices"]]
        choice = next(c["choices"][0] for c in chunks if c["choices"] and c["choices"][0].get("finish_reason"))
        said = {name: "".join(p.get(name) or "" for p in parts) for name in ("content", "reasoning_content")}
        calls = [call for p in parts for call in p.get("tool_calls") or ()]
        said["tool_calls"] = [{k: v for k, v in call.items() if k != "index"} for call in calls]
    counted = usage and (usage["prompt_tokens"], usage["completion_tokens"])
    return body["id"], said["content"], said["reasoning_content"], said["tool_calls"], choice["finish_reason"], counted


@pytest.mark.parametrize("path", [OPENAI, "/api/chat/completions", MAITAI])
@pytest.mark.parametrize("first_streams", [False, True])
@pytest.mark.parametrize("second_streams", [False, True])
def test_the_second_gets_the_answer_of_the_first(
    world: World, path: str, first_streams: bool, second_streams: bool
) -> None:
    chunks = [
        {**TOLD, "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": d, "finish_reason": reason}]}
        for d, reason in (
            ({"role": "assistant", "reasoning_content": "So."}, None),
            ({"content": "Noon."}, None),
            ({"tool_calls": [{"index": 0, **TOOL_CALLS[0]}]}, None),
            ({}, "tool_calls"),
        )
    ]
    events = [b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks] + [b"data: [DONE]\n\n"]
    streamed = Reply(events, headers={"content-type": "text/event-stream"})
    world.replies(lambda r: streamed if r.json.get("stream") else Reply([json.dumps(TOLD).encode()]))
    options: dict[str, Any] = {"stream_options": {"include_usage": True}}

    first = world.ask(path, stream=first_streams, **(options if first_streams else {}))
    again = world.ask(path, stream=second_streams, **(options if second_streams else {}))

    assert [r.status_code for r in (first, again)] == [200, 200]
    assert words(again, path, second_streams) == words(first, path, first_streams)
    assert words(again, path, second_streams)[1:] == ("Noon.", "So.", TOOL_CALLS, "tool_calls", (9, 3))
    assert again.headers["x-weir-duplicate"] == "true"
    assert "x-weir-duplicate" not in first.headers
    assert again.headers["x-respan-log-id"] == first.headers["x-respan-log-id"]
    assert (world.asked, len(world.records())) == (1, 1)
    if first_streams == second_streams:
        assert again.headers["content-type"] == first.headers["content-type"]


@pytest.mark.parametrize("path", [OPENAI, MAITAI])
def test_a_whole_answer_is_given_back_to_the_letter(world: World, path: str) -> None:
    world.replies(completion_reply("Noon."))
    assert world.ask(path).content == world.ask(path).content


def test_texts_are_embedded_once(world: World) -> None:
    answer = {"object": "list", "model": "e", "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}]}
    world.replies(Reply([json.dumps(answer).encode()]))
    body = {"model": "openai/again", "input": "When?", "request_id": "req-1"}
    first, again = (world.weir.post(EMBEDDINGS, json=body) for _ in range(2))
    assert again.content == first.content
    assert (again.headers["x-weir-duplicate"], world.asked, len(world.records())) == ("true", 1, 1)
    assert world.weir.post(EMBEDDINGS, json=body | {"input": "Where?"}).status_code == 409


def test_the_header_names_it_on_maitais_route(world: World) -> None:
    world.replies(completion_reply())
    named = {"X-Request-ID": "req-1"}
    answers = [world.ask(MAITAI, id=None, headers=named), world.ask(MAITAI, id="req-1"), world.ask(OPENAI)]
    assert [answer.headers.get("x-weir-duplicate") for answer in answers] == [None, "true", "true"]
    assert world.asked == 1


def test_calls_without_an_id_are_all_made(world: World) -> None:
    world.replies(completion_reply())
    assert len({world.ask(id=None).headers["x-weir-request-id"] for _ in range(3)}) == 3
    assert (world.asked, len(world.records())) == (3, 3)


@pytest.mark.parametrize(
    "change",
    [
        {"session_id": "another"},
        {"auth_keys": {"openai_api_key": "canary-brought-key"}},
        {"extra_headers": {"x-any": "canary-header"}},
        {"temperature": None},
        {"note": "seen", "metadata": {"a": 1}},
    ],
)
def test_what_is_no_part_of_the_question_may_differ(world: World, change: dict[str, Any]) -> None:
    """Maitai's client makes up a session for each call that names none."""
    world.replies(completion_reply())
    world.weir.post("/api/chat/completions", json=_body())
    again = world.weir.post("/api/chat/completions", json=_body() | change)
    assert (again.status_code, again.headers.get("x-weir-duplicate"), world.asked) == (200, "true", 1)


def _body() -> dict[str, Any]:
    return {"model": "openai/again", "messages": MESSAGES, "request_id": "req-1"}


@pytest.mark.parametrize(("path", "status"), [(OPENAI, 409), (MAITAI, 400)])
@pytest.mark.parametrize(
    "change",
    [{"temperature": 1}, {"messages": [{"role": "user", "content": "Where?"}]}, {"model": "openai/other"}],
)
def test_another_question_under_the_id_is_refused(world: World, path: str, status: int, change: dict[str, Any]) -> None:
    world.replies(completion_reply())
    first = world.ask(path)
    other = world.ask(path, **change)
    assert (other.status_code, world.asked, len(world.records())) == (status, 1, 1)
    assert f"'req-1' belongs to another call, {first.headers['x-weir-request-id']}" in other.text


@pytest.mark.parametrize(("path", "status"), [(OPENAI, 409), (MAITAI, 400)])
@pytest.mark.parametrize("stream", [False, True])
def test_a_second_at_the_same_time_is_refused_and_answered_later(
    world: World, path: str, status: int, stream: bool
) -> None:
    asked, release = threading.Event(), threading.Event()
    reply = stream_reply("Noon.") if stream else completion_reply("Noon.")

    def slow(_: Any) -> Reply:
        asked.set()
        return replace(reply, hold=release, hold_at=0)

    world.replies(slow)
    with ThreadPoolExecutor(1) as elsewhere:
        waiting = elsewhere.submit(world.ask, path, stream=stream)
        assert asked.wait(20)
        second = world.ask(path, stream=stream)
        release.set()
        first = waiting.result(20)
    assert (first.status_code, second.status_code) == (200, status)
    assert "is being made" in second.text
    assert world.ask(path, stream=stream).headers["x-weir-duplicate"] == "true"
    assert (world.asked, len(world.records())) == (1, 1)


@pytest.mark.parametrize("path", [OPENAI, MAITAI])
def test_a_call_that_failed_is_made_again_and_both_are_on_record(world: World, path: str) -> None:
    world.replies(error_reply(500, "Down"))
    failed = world.ask(path)
    world.replies(completion_reply("Noon."))
    made, again = world.ask(path), world.ask(path)

    assert [answer.status_code for answer in (failed, made, again)] == [502, 200, 200]
    ids = [answer.headers["x-weir-request-id"] for answer in (failed, made, again)]
    assert ids[0] != ids[1] == ids[2]
    assert world.asked == 2
    assert [(r.id, r.outcome, r.caller_id) for r in world.records()] == [
        (ids[1], "complete", "req-1"),
        (ids[0], "error", "req-1"),
    ]
    assert (world.log("req-1")["id"], world.log(ids[0])["status"]) == (ids[1], "failed")


def test_a_stream_that_broke_off_is_made_again(world: World) -> None:
    reply = stream_reply("No", "on.")
    world.replies(replace(reply, chunks=reply.chunks[:2], drop=True))
    assert "[DONE]" not in world.ask(stream=True).text
    world.replies(reply)
    made = world.ask(stream=True)
    assert ("[DONE]" in made.text, made.headers.get("x-weir-duplicate"), world.asked) == (True, None, 2)
    assert [record.outcome for record in world.records()] == ["complete", "cut_off"]


def test_another_question_may_follow_one_that_failed(world: World) -> None:
    world.replies(error_reply(400, "No such temperature"))
    assert world.ask(temperature=3).status_code == 400
    world.replies(completion_reply())
    assert world.ask(temperature=1).status_code == 200


def test_a_call_that_was_not_made_leaves_its_id_free(world: World) -> None:
    assert world.ask(model="openia/again").status_code == 404
    assert world.records() == ()
    world.replies(completion_reply())
    assert world.ask().status_code == 200


def test_a_call_that_was_not_made_gives_the_id_back_to_the_one_that_failed(world: World) -> None:
    world.replies(error_reply(500, "Down"))
    failed = world.ask()
    assert world.ask(model="openia/again").status_code == 404
    assert world.log("req-1")["id"] == failed.headers["x-weir-request-id"]


def test_the_claim_of_a_process_that_died_is_taken_over(world: World) -> None:
    """The runtime's clock is a second later at each look; the claims are as old as their ids say."""
    world.replies(completion_reply())
    now = world.runtime.now()
    for minutes, status in ((14, 409), (16, 200)):
        id = f"req-{minutes}"
        dead = uuid7(milliseconds(now - timedelta(minutes=minutes)), 1)
        assert asyncio.run(world.runtime.ledger.claim("default", id, dead)) == dead
        assert world.ask(id=id).status_code == status
    assert world.ask(id="req-16").headers["x-weir-duplicate"] == "true"


def test_an_answer_that_was_not_to_be_kept_cannot_be_given_again(world: World) -> None:
    world.replies(completion_reply())
    first, again = (world.ask(disable_log=True) for _ in range(2))
    assert (first.status_code, again.status_code, world.asked) == (200, 409, 1)
    assert "was not to be kept" in again.text


def test_what_a_client_stored_under_the_id_is_no_answer_of_ours(world: World) -> None:
    assert world.weir.post(SUBMIT, json={**EVALUATION, "request_id": "req-1"}).status_code == 200
    world.replies(completion_reply())
    assert (world.ask().status_code, world.asked) == (409, 0)


def test_what_a_client_stores_while_the_call_runs_costs_no_record(world: World) -> None:
    """Maitai's client does when it has waited long enough: it asks OpenAI by itself, under the same id."""

    def stores_meanwhile(_: Any) -> Reply:
        world.weir.post(SUBMIT, json={**EVALUATION, "request_id": "req-1"})
        return completion_reply()

    world.replies(stores_meanwhile)
    answer = world.ask()
    assert answer.status_code == 200
    records = {record.origin: record for record in world.records()}
    assert records.keys() == {"storage", "completion"}
    assert world.log("req-1")["id"] == records["storage"].id
    made = records["completion"]
    assert (made.id, made.caller_id) == (answer.headers["x-respan-log-id"], f"req-1 {made.id}")
    assert world.log(made.id)["completion_message"]["content"] == "Hello there"


def test_an_id_of_ours_names_its_call(world: World) -> None:
    world.replies(completion_reply())
    ours = world.ask(id=None).headers["x-weir-request-id"]
    again = world.ask(id=ours)
    assert (again.headers["x-weir-duplicate"], again.headers["x-weir-request-id"], world.asked) == ("true", ours, 1)


def test_a_ledger_that_refuses_a_claim_stops_no_call(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(*_: Any, **__: Any) -> None:
        raise LedgerUnavailable("The ledger cannot be written.")

    world.replies(completion_reply())
    with monkeypatch.context() as patch:
        patch.setattr(type(world.runtime.ledger), "claim", refuse)
        first, second = world.ask(), world.ask()
    assert (first.status_code, second.status_code, world.asked) == (200, 200, 2)
    ids = [answer.headers["x-weir-request-id"] for answer in (first, second)]
    assert [(r.id, r.caller_id) for r in world.records()] == [(ids[1], f"req-1 {ids[1]}"), (ids[0], "req-1")]
    assert world.ask().headers["x-weir-duplicate"] == "true"
