"""The exact cache: who gets which answer again, in which form, for how long, and what it leaves on record."""

import asyncio
import json
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from functions.completion import app as completion_app
from functions.portal import app as portal
from functions.request_log import app as request_log
from tests.functions.test_repeats import MAITAI, MESSAGES, OPENAI, TOLD, TOOL_CALLS, World, words
from tests.runtime import OTHER_KEY, START, TEST_KEY, Caller, fixed_runtime
from tests.upstream import Reply, Upstream, completion_reply, error_reply, stream_reply
from weir.domain.caching import DEFAULT_TTL_S, LONGEST_TTL_S, CacheTerms
from weir.domain.completion import Usage
from weir.domain.errors import LedgerUnavailable
from weir.domain.ids import milliseconds, uuid7
from weir.domain.record import Record
from weir.domain.retention import Days, Retention
from weir.http.cache_params import to_terms
from weir.ledger.ledger import Ledger
from weir.runtime.bootstrap import open_archive
from weir.services.erase import Subject, erase

CACHED = {"cache_enabled": True, "cache_ttl": 1000}
CACHED_FROM = "x-weir-cached-from"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with Upstream(keep_alive=False) as upstream:
        keys = {"OPENAI_API_KEY": "canary-openai-key", "ANTHROPIC_API_KEY": "canary-anthropic-key"}
        environ = {**keys, "OPENAI_BASE_URL": f"{upstream.url}/v1", "ANTHROPIC_BASE_URL": upstream.url}
        runtime = fixed_runtime(tmp_path, environ)
        found = World(runtime, upstream, Caller.of(runtime, [f.mount for f in (completion_app, request_log, portal)]))
        found.replies(completion_reply("Noon."))
        yield found
        runtime.ledger.close()


def ask(world: World, path: str = OPENAI, **fields: Any) -> httpx.Response:
    """A call that may be cached; in Maitai's envelope the parameters of the cache stand beside the question."""
    chat: dict[str, Any] = {"model": "openai/again", "messages": MESSAGES}
    beside = {**CACHED, **{name: fields.pop(name) for name in list(fields) if name.startswith(("cache", "custom"))}}
    body = {"params": chat | fields, **beside} if path == MAITAI else chat | beside | fields
    return world.weir.post(path, json=body)


def streamed(*deltas: tuple[dict[str, Any], str | None]) -> Reply:
    chunks = [
        {**TOLD, "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": d, "finish_reason": reason}]}
        for d, reason in deltas
    ]
    events = [b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks] + [b"data: [DONE]\n\n"]
    return Reply(events, headers={"content-type": "text/event-stream"})


@pytest.mark.parametrize("second_path", [OPENAI, MAITAI])
@pytest.mark.parametrize("first_streams", [False, True])
@pytest.mark.parametrize("second_streams", [False, True])
def test_the_second_gets_the_answer_of_the_first_in_the_form_it_asks_for(
    world: World, second_path: str, first_streams: bool, second_streams: bool
) -> None:
    stream = streamed(
        ({"role": "assistant", "reasoning_content": "So."}, None),
        ({"content": "Noon."}, None),
        ({"tool_calls": [{"index": 0, **TOOL_CALLS[0]}]}, None),
        ({}, "tool_calls"),
    )
    world.replies(lambda r: stream if r.json.get("stream") else Reply([json.dumps(TOLD).encode()]))
    options: dict[str, Any] = {"stream_options": {"include_usage": True}}
    tools: dict[str, Any] = {"cache_options": {"tool_calls": True}}

    first = ask(world, stream=first_streams, **tools, **(options if first_streams else {}))
    again = ask(world, second_path, stream=second_streams, **tools, **(options if second_streams else {}))

    assert [r.status_code for r in (first, again)] == [200, 200]
    assert words(again, second_path, second_streams) == words(first, OPENAI, first_streams)
    assert words(again, second_path, second_streams)[1:] == ("Noon.", "So.", TOOL_CALLS, "tool_calls", (9, 3))
    assert '"system_fingerprint":"cache"' in again.text
    assert '"system_fingerprint":"cache"' not in first.text
    first_id, id = (answer.headers["x-weir-request-id"] for answer in (first, again))
    assert (again.headers[CACHED_FROM], first.headers.get(CACHED_FROM)) == (first_id, None)
    assert again.headers["x-respan-log-id"] == id != first_id
    assert "x-weir-duplicate" not in again.headers
    assert world.asked == 1
    if second_streams:
        assert again.headers["content-type"].startswith(
            "application/x-ndjson" if second_path == MAITAI else "text/event-stream"
        )


def test_a_hit_is_a_call_of_its_own_on_record_which_cost_nothing(world: World) -> None:
    world.replies(completion_reply("Noon.", model="gpt-4o"))
    ask(world, customer_identifier="first")
    ask(world, customer_identifier="second")
    hit, first = world.records()
    assert first.cost is not None
    assert first.cached_from is None
    assert hit == Record(
        id=hit.id,
        workspace="default",
        environment="prod",
        created_at=hit.created_at,
        origin="completion",
        inference_location="SERVER",
        customer_identifier="second",
        provider="openai",
        model="openai/again",
        answered_model="gpt-4o",
        finish_reason="stop",
        raw_finish_reason="stop",
        claimed_usage=Usage(9, 3),
        claimed_cost=Decimal(0),
        latency_ms=hit.latency_ms,
        cached_from=first.id,
    )
    log = world.log(hit.id)
    assert (log["cached_from"], log["cost"], log["completion_message"]["content"]) == (first.id, 0.0, "Noon.")
    assert log["full_response"]["system_fingerprint"] == "cache"
    assert "provider_reply" not in log


@pytest.mark.parametrize("path", [OPENAI, MAITAI])
@pytest.mark.parametrize("stream", [False, True])
def test_what_limits_told_the_first_caller_is_nothing_to_the_second(world: World, path: str, stream: bool) -> None:
    limit = {"per": "customer", "name": "first", "measure": "requests_per_minute", "warn_at": 1}
    assert world.weir.post("/api/v1/limits", json=limit).status_code == 201
    world.replies(stream_reply("Noon.") if stream else completion_reply("Noon."))
    first = ask(world, path, stream=stream, customer_identifier="first")
    again = ask(world, path, stream=stream, customer_identifier="second")
    assert CACHED_FROM in again.headers
    assert ("warning level" in first.text, "warning" in again.text) == (True, False)
    assert [record.warnings for record in world.records()] == [(), (first.headers["x-weir-warning"],)]


def test_what_was_left_out_is_told_with_the_answer_again(world: World) -> None:
    world.weir.post("/api/v1/limits", json={"per": "key", "measure": "requests_per_minute", "warn_at": 1})
    model: dict[str, Any] = {"model": "anthropic/again", "logprobs": True, "drop_unsupported": True}
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude",
        "content": [{"type": "text", "text": "Noon."}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 9, "output_tokens": 3},
    }
    world.replies(Reply([json.dumps(message).encode()]))
    first, again = (ask(world, **model).json()["warnings"] for _ in range(2))
    assert again == ["logprobs was left out: anthropic cannot take it"] == first[1:]


def test_of_a_split_the_model_that_answered_is_on_record(world: World) -> None:
    world.upstream.replies["other"] = completion_reply("Else.")
    split: dict[str, Any] = {"load_balance_models": [{"model": "openai/other", "weight": 1}]}
    for _ in range(2):
        ask(world, **split)
    hit, first = world.records()
    assert (hit.cached_from, hit.model) == (first.id, "openai/other")


def test_maitais_client_is_told_that_it_cost_nothing(world: World) -> None:
    ask(world)
    answer = ask(world, MAITAI, stream=True, stream_options={"include_usage": True})
    lines = [json.loads(line) for line in answer.text.splitlines()]
    usage = next(line["chat_completion_chunk"]["usage"] for line in lines if line["chat_completion_chunk"].get("usage"))
    assert usage["cost"] == 0


class Counting:
    """The store, and how often it was asked for what."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Any:
        self.calls.append(name)
        return getattr(self._store, name)


def test_a_call_that_does_not_ask_for_it_never_looks(world: World) -> None:
    counting: Any = Counting(world.runtime.ledger.answers)
    world.runtime.ledger.answers = counting
    for _ in range(2):
        assert CACHED_FROM not in ask(world, cache_enabled=False).headers
    assert (counting.calls, world.asked) == ([], 2)
    for _ in range(2):
        ask(world)
    assert counting.calls == ["get", "put", "get"]


@pytest.mark.parametrize(
    "change",
    [
        {"user": "somebody"},
        {"session_id": "s"},
        {"customer_identifier": "c"},
        {"metadata": {"a": "1"}, "application": "shop", "intent": "CHAT"},
        {"safety_identifier": "somebody", "prompt_cache_key": "k"},
        {"temperature": None},
        {"note": "seen", "request_id": "req-1"},
    ],
)
def test_what_changes_no_answer_may_differ(world: World, change: dict[str, Any]) -> None:
    ask(world)
    assert CACHED_FROM in ask(world, **change).headers


TOOL = {"type": "function", "function": {"name": "clock", "parameters": {"type": "object", "properties": {}}}}


@pytest.mark.parametrize(
    "change",
    [
        {"messages": [{"role": "user", "content": "When? "}]},
        {"messages": [{"role": "system", "content": "When?"}]},
        {"messages": [{"role": "user", "content": [{"type": "refusal", "refusal": "When?"}]}]},
        {"model": "openai/other"},
        {"temperature": 0},
        {"seed": 1},
        {"n": 2},
        {"max_tokens": 9},
        {"tools": [TOOL]},
        {"response_format": {"type": "json_object"}},
        {"reasoning_effort": "low"},
        {"any_parameter": 1},
        {"extra_headers": {"x-any": "1"}},
        {"load_balance_models": [{"model": "openai/other", "weight": 1}]},
        {"auth_keys": {"openai_api_key": "canary-brought-key"}},
    ],
)
def test_what_may_change_the_answer_is_another_question(world: World, change: dict[str, Any]) -> None:
    world.upstream.replies["other"] = completion_reply("Else.")
    ask(world)
    for found in (None, "hit"):
        answer = ask(world, **change)
        assert answer.status_code == 200, answer.text
        assert (answer.headers.get(CACHED_FROM) and "hit") == found
    assert world.asked == 2


def test_parameters_may_come_in_any_order(world: World) -> None:
    ask(world, any_parameter=1, other_parameter=2)
    assert CACHED_FROM in ask(world, other_parameter=2, any_parameter=1).headers


@pytest.mark.parametrize("key", [OTHER_KEY, TEST_KEY])
def test_another_workspace_or_environment_asks_for_itself(world: World, key: str) -> None:
    ask(world)
    elsewhere = replace(world, weir=world.weir.with_key(key))
    assert CACHED_FROM not in ask(elsewhere).headers
    assert CACHED_FROM in ask(elsewhere).headers
    assert world.asked == 2


def test_each_customer_may_have_answers_of_its_own(world: World) -> None:
    own: dict[str, Any] = {"cache_options": {"cache_by_customer": True}}
    ask(world)
    hits = [CACHED_FROM in ask(world, customer_identifier=c, **own).headers for c in ("a", "b", "a", "b")]
    assert hits == [False, False, True, True]


def test_an_answer_is_given_for_as_long_as_both_say(world: World) -> None:
    """Each call comes some seconds after the one before."""
    ask(world, cache_ttl=1)
    assert CACHED_FROM not in ask(world).headers
    assert CACHED_FROM not in ask(world, cache_ttl=1).headers
    assert CACHED_FROM not in ask(world).headers
    assert CACHED_FROM in ask(world, cache_ttl=100).headers
    assert CACHED_FROM not in ask(world, cache_ttl=0).headers


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("reason", "option"),
    [("length", "truncated"), ("content_filter", "truncated"), ("tool_calls", "tool_calls")],
)
def test_what_is_cut_short_or_calls_tools_is_kept_only_when_asked_for(
    world: World, reason: str, option: str, stream: bool
) -> None:
    said: dict[str, Any] = {"role": "assistant", "content": "No"}
    if reason == "tool_calls":
        said["tool_calls"] = TOOL_CALLS
    choices = [{"index": 0, "message": said, "finish_reason": reason}]
    deltas = {**said, **({"tool_calls": [{"index": 0, **TOOL_CALLS[0]}]} if "tool_calls" in said else {})}
    world.replies(streamed((deltas, None), ({}, reason)) if stream else completion_reply(choices=choices))
    other = {"truncated": "tool_calls", "tool_calls": "truncated"}[option]
    for options in ({}, {other: True}):
        for _ in range(2):
            assert CACHED_FROM not in ask(world, stream=stream, cache_options=options).headers
    ask(world, stream=stream, cache_options={option: True})
    again = ask(world, stream=stream, cache_options={option: True})
    assert CACHED_FROM in again.headers
    assert again.json()["choices"][0]["finish_reason"] == reason if not stream else f'"{reason}"' in again.text


def test_no_failure_is_ever_given_again(world: World) -> None:
    for reply in (error_reply(400, "No"), error_reply(500, "Down")):
        world.replies(reply)
        assert ask(world, cache_options={"truncated": True, "tool_calls": True}).status_code != 200
    whole = stream_reply("No", "on.")
    world.replies(replace(whole, chunks=whole.chunks[:2], drop=True))
    assert "[DONE]" not in ask(world, stream=True).text
    world.replies(completion_reply())
    assert CACHED_FROM not in ask(world).headers


def test_the_answer_of_a_fallback_is_not_given_again(world: World) -> None:
    world.replies(error_reply(500, "Down"))
    world.upstream.replies["other"] = completion_reply("Else.")
    fallback: dict[str, Any] = {"fallback_models": ["openai/other"], "retry_params": {"num_retries": 0}}
    answers = [ask(world, **fallback) for _ in range(2)]
    assert [(answer.status_code, CACHED_FROM in answer.headers) for answer in answers] == [(200, False)] * 2
    world.replies(completion_reply("Noon."))
    assert [CACHED_FROM in ask(world, **fallback).headers for _ in range(2)] == [False, True]


def test_a_reason_that_only_the_provider_knows_is_no_good_end(world: World) -> None:
    choices = [{"index": 0, "message": {"role": "assistant", "content": "No"}, "finish_reason": "moon_phase"}]
    world.replies(completion_reply(choices=choices))
    assert [CACHED_FROM in ask(world).headers for _ in range(2)] == [False, False]


def test_an_intent_may_have_it_on_and_a_call_may_not_want_it(world: World) -> None:
    weir = world.weir
    application = weir.post("/api/v1/applications", json={"application_name": "shop"}).json()["data"]["id"]
    config = {**CACHED, "cache_options": {"truncated": True}}
    weir.put(f"/api/v1/applications/{application}/config", json=config)
    body = {"model": "openai/again", "messages": MESSAGES, "application": "shop"}
    answers = [weir.post(OPENAI, json={**body, **extra}) for extra in ({}, {}, {"cache_enabled": False})]
    assert [CACHED_FROM in answer.headers for answer in answers] == [False, True, False]


def test_what_is_not_to_be_kept_is_not_cached_either(world: World) -> None:
    assert [CACHED_FROM in ask(world, disable_log=True).headers for _ in range(2)] == [False, False]
    ask(world)
    assert CACHED_FROM not in ask(world, disable_log=True).headers
    assert [record.cache_key is None for record in world.records()] == [True, False, True, True]


def test_an_erased_calls_answer_does_not_live_on(world: World) -> None:
    ask(world, customer_identifier="Ann")
    ask(world, customer_identifier="Bob")
    runtime = world.runtime

    def erased(whose: str) -> None:
        archive = open_archive(runtime.ledger.blobs)
        erase(runtime.ledger, archive, runtime.projections, Subject("default", "customer_identifier", whose))

    erased("Bob")
    assert CACHED_FROM in ask(world).headers
    erased("Ann")
    assert CACHED_FROM not in ask(world).headers


def test_the_answer_of_a_call_that_was_put_aside_is_erased_too(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = world.runtime.ledger

    async def refuse(*_: Any) -> None:
        raise LedgerUnavailable("The ledger cannot be written.")

    with monkeypatch.context() as refusing:
        refusing.setattr(ledger, "_keep", refuse)
        answer = ask(world)
    assert CACHED_FROM in ask(world).headers
    assert ledger.erase("default", answer.headers["x-weir-request-id"]).spilled == 1
    assert CACHED_FROM not in ask(world).headers


def test_an_answer_without_a_record_is_not_given_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(*_: Any, **__: Any) -> None:
        raise LedgerUnavailable("The ledger cannot be written.")

    with monkeypatch.context() as refusing:
        refusing.setattr(world.runtime.ledger, "keep", refuse)
        assert ask(world).headers["x-weir-stored"] == "false"
    assert CACHED_FROM not in ask(world).headers


@pytest.mark.parametrize("method", ["cached", "cache"])
def test_a_cache_out_of_reach_stops_no_call(world: World, monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    async def refuse(*_: Any, **__: Any) -> None:
        raise LedgerUnavailable("The cache is out of reach.")

    monkeypatch.setattr(world.runtime.ledger, method, refuse)
    assert [ask(world).status_code for _ in range(2)] == [200, 200]
    assert (world.asked, len(world.records())) == (2, 2)


def test_a_repeat_of_a_hit_is_that_hit(world: World) -> None:
    ask(world)
    hit, again = (ask(world, request_id="req-1") for _ in range(2))
    assert (hit.headers.get("x-weir-duplicate"), again.headers["x-weir-duplicate"]) == (None, "true")
    assert hit.headers[CACHED_FROM] == again.headers[CACHED_FROM]
    assert (again.content, len(world.records())) == (hit.content, 2)


def test_an_answer_with_a_key_in_it_is_not_given_again(world: World) -> None:
    world.replies(completion_reply("Your key is canary-openai-key"))
    world.replies(completion_reply("Your key is canary-brought-key"))
    brought: dict[str, Any] = {"auth_keys": {"openai_api_key": "canary-brought-key"}}
    assert [CACHED_FROM in ask(world, **brought).headers for _ in range(2)] == [False, False]


def test_what_is_too_large_is_not_given_again(world: World) -> None:
    noise = " ".join(f"{number * 2_654_435_761 % 2**64:x}" for number in range(20_000))
    world.replies(completion_reply(noise))
    assert [CACHED_FROM in ask(world).headers for _ in range(2)] == [False, False]


def test_an_option_that_it_does_not_have_is_told(world: World) -> None:
    log = world.log(ask(world, cache_options={"omit_log": True, "is_cached_by_model": True}).headers["x-respan-log-id"])
    assert log["warnings"] == "cache_options.omit_log is recorded and has no effect"


@pytest.mark.parametrize(
    ("wrong", "param"),
    [({"cache_ttl": "60"}, "cache_ttl"), ({"cache_options": {"truncated": 1}}, "cache_options.truncated")],
)
def test_a_wrong_parameter_is_refused(world: World, wrong: dict[str, Any], param: str) -> None:
    answer = ask(world, **wrong)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


@pytest.mark.parametrize(
    ("said", "config", "terms"),
    [
        ({}, {}, None),
        ({"cache_enabled": False}, {"cache_enabled": True}, None),
        ({"cache_enabled": True}, {}, CacheTerms(ttl_s=DEFAULT_TTL_S)),
        ({"cache_enabled": True, "cache_ttl": 1e12}, {}, CacheTerms(ttl_s=LONGEST_TTL_S)),
        ({"cache_ttl": 9}, {"cache_enabled": True, "cache_ttl": 8}, CacheTerms(ttl_s=9)),
        (
            {"cache_options": {"truncated": False}},
            {"cache_enabled": True, "cache_options": {"truncated": True, "tool_calls": True}},
            CacheTerms(tool_calls=True),
        ),
    ],
)
def test_a_call_goes_before_what_is_set(
    said: Mapping[str, Any], config: Mapping[str, Any], terms: CacheTerms | None
) -> None:
    assert to_terms(said, config) == terms


def test_no_answer_outlives_its_payload(tmp_path: Path) -> None:
    runtime = fixed_runtime(tmp_path)
    ledger = runtime.ledger
    bounded = Ledger(ledger.records, ledger.blobs, retention=Retention(Days(payloads=7)), answers=ledger.answers)
    id = uuid7(milliseconds(START), 1)
    record = Record(
        id=id, workspace="default", environment="prod", created_at=START, origin="completion",
        inference_location="SERVER",
    )  # fmt: skip

    async def found(after: timedelta, of: Ledger) -> bytes | None:
        at: datetime = START + after
        return await of.cached("default", "k" * 32, at)

    async def run() -> None:
        await bounded.cache(record, "k" * 32, b"answer", START + timedelta(days=30))
        assert await found(timedelta(days=6, hours=23), bounded) == b"answer"
        assert await found(timedelta(days=7), bounded) is None
        await bounded.cache(record, "k" * 32, b"answer", START + timedelta(days=1))
        assert await found(timedelta(days=1), bounded) is None

    with closing(ledger):
        asyncio.run(run())
