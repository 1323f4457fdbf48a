"""Limits and budgets: how many calls reach the provider, what the others are told, and what is left on record."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from functions.completion import app as completion_app
from functions.portal import app as portal_app
from functions.request_log import app as request_log
from tests.ledger.engines import DynamoDBAndS3, SQLiteAndFiles
from tests.runtime import KEY, Caller, fixed_runtime
from tests.upstream import Received, Reply, Script, Upstream, completion_reply, error_reply, stream_reply
from weir.domain.limit import OUTPUT_TOKENS
from weir.domain.record import Record
from weir.ledger.configuration import Configurations
from weir.ledger.ledger import Ledger
from weir.ledger.limit_rules import LimitRules
from weir.runtime.bootstrap import Runtime
from weir.runtime.settings import Settings
from weir.services import limits as limits_module
from weir.services.complete import Completions
from weir.services.limit_rules import LimitBook
from weir.services.limits import FULL_FOR_S, NOT_ENFORCED, OUT_OF_REACH_S, RECORDED_A_MINUTE

NOON = datetime(2026, 3, 31, 12, 0, 20, tzinfo=UTC)
OPENAI, MAITAI, EMBEDDINGS, LIMITS = (
    "/v1/chat/completions",
    "/chat/completions/serialized",
    "/v1/embeddings",
    "/api/v1/limits",
)
MESSAGES = [{"role": "user", "content": "When?"}]
PROMPT = 6
"""Tokens that MESSAGES are taken to be: four of the message, and two of its text."""

MODEL = "gpt-4o-mini"
CALL_COST = (9 * 150_000 + 3 * 600_000) / 10**12
"""Of an answer of tests.upstream by that model: 0.15 and 0.60 dollars a million."""


class Clock:
    """Of the day, and of what is measured in `seconds`; both move when they are told to."""

    def __init__(self) -> None:
        self.now = NOON
        self.seconds = 0.0

    def __call__(self) -> datetime:
        return self.now


@dataclass(frozen=True, slots=True)
class World:
    runtime: Runtime
    upstream: Upstream
    clock: Clock
    weir: Caller

    def limit(self, measure: str, most: float | None, *, per: str = "key", **fields: Any) -> dict[str, Any]:
        answer = self.weir.post(LIMITS, json={"per": per, "measure": measure, "limit": most, **fields})
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()["data"]
        return made

    def use(self, limit: dict[str, Any], **named: str) -> tuple[Any, Any]:
        answer = self.weir.get(f"{LIMITS}/{limit['id']}/use", params={"name": "operator", **named})
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]["used"], answer.json()["data"]["set_aside"]

    def ask(self, path: str = OPENAI, *, headers: Any = None, **fields: Any) -> httpx.Response:
        return self.weir.post(path, json=asked(path, **fields), headers=headers or {})

    def at_once(self, number: int, path: str = OPENAI, **fields: Any) -> Counter[int]:
        """How many calls are answered with which status."""

        async def ask_all() -> Counter[int]:
            transport = httpx.ASGITransport(app=self.weir.app)
            headers = {"authorization": f"Bearer {self.weir.key}"}
            async with httpx.AsyncClient(transport=transport, base_url="http://weir.test", headers=headers) as client:
                body = asked(path, **fields)
                answers = await asyncio.gather(*(client.post(path, json=body) for _ in range(number)))
            return Counter(answer.status_code for answer in answers)

        return asyncio.run(ask_all())

    def replies(self, script: Script) -> None:
        self.upstream.replies[MODEL] = script

    @property
    def reached(self) -> int:
        return len(self.upstream.received)

    def records(self) -> tuple[Record, ...]:
        return asyncio.run(self.runtime.ledger.newest("default", limit=500))


def asked(path: str = OPENAI, **fields: Any) -> dict[str, Any]:
    if path == EMBEDDINGS:
        return {"model": f"openai/{MODEL}", "input": "When?", **fields}
    tags: dict[str, Any] = {
        name: fields.pop(name) for name in ("customer_identifier", "application", "intent") if name in fields
    }
    chat = {"model": f"openai/{MODEL}", "messages": MESSAGES, **fields}
    return {"params": chat, **tags} if path == MAITAI else chat | tags


def on_engine(runtime: Runtime, engine: DynamoDBAndS3) -> Runtime:
    """The same, with everything that is kept on DynamoDB and S3."""
    environ = {"WEIR_API_KEY": KEY, "WEIR_ENGINE": "dynamodb", "WEIR_TABLE": engine.table, "WEIR_BUCKET": engine.table}
    configurations = Configurations(engine.configuration())
    return replace(
        runtime,
        settings=Settings.from_environ(environ),
        ledger=Ledger(engine.open(), engine.blobs()),
        configurations=configurations,
        limits=LimitBook(LimitRules(configurations.store), now=runtime.now, clock=lambda: 0.0),
    )


Open = Callable[..., World]


@pytest.fixture
def open_world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    with Upstream(keep_alive=False) as upstream:
        upstream.replies[MODEL] = completion_reply()
        opened: list[Runtime] = []

        def open(engine: DynamoDBAndS3 | SQLiteAndFiles | None = None) -> World:
            clock = Clock()
            measured = SimpleNamespace(monotonic=lambda: clock.seconds, perf_counter=time.perf_counter)
            monkeypatch.setattr("weir.runtime.bootstrap.time", measured)
            environ = {"OPENAI_API_KEY": "canary-openai-key", "OPENAI_BASE_URL": f"{upstream.url}/v1"}
            runtime = replace(fixed_runtime(tmp_path, environ), now=clock)
            opened.append(runtime)
            if isinstance(engine, DynamoDBAndS3):
                runtime = on_engine(runtime, engine)
                opened.append(runtime)
            mounts = [function.mount for function in (completion_app, portal_app, request_log)]
            return World(runtime, upstream, clock, Caller.of(runtime, mounts))

        yield open
        for runtime in opened:
            runtime.ledger.close()


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine fifty calls one after the other may take longer than anybody would wait."""
    monkeypatch.setattr(limits_module, "LONGEST_WAIT_S", 120.0)


@pytest.fixture
def world(open_world: Open) -> World:
    return open_world()


@pytest.fixture(params=["sqlite", "dynamodb", "real"])
def anywhere(request: pytest.FixtureRequest, open_world: Open) -> World:
    return open_world(request.getfixturevalue(request.param))


def test_of_200_at_once_50_reach_the_provider(anywhere: World) -> None:
    anywhere.limit("requests_per_minute", 50)
    assert anywhere.at_once(200) == {200: 50, 429: 150}
    assert anywhere.reached == 50


def test_a_budget_of_50_calls_admits_50_of_200_at_once(anywhere: World) -> None:
    """What is set aside for each is a hundred times what it costs: the others wait until it is settled."""
    limit = anywhere.limit("spend_per_day", 50 * CALL_COST)
    answers = anywhere.at_once(200)
    assert answers.keys() == {200, 429}
    assert answers[200] == anywhere.reached
    assert 50 <= anywhere.reached <= 51
    assert anywhere.use(limit) == (pytest.approx(anywhere.reached * CALL_COST), 0)


@pytest.mark.parametrize("stream", [False, True])
def test_tokens_for_50_calls_admit_50_of_200_at_once(anywhere: World, stream: bool) -> None:
    anywhere.replies(stream_reply("No", "on", ".") if stream else completion_reply())
    limit = anywhere.limit("tokens_per_minute", 50 * 12)
    options: dict[str, Any] = {"stream": True, "stream_options": {"include_usage": True}} if stream else {}
    assert anywhere.at_once(200, **options) == {200: 50, 429: 150}
    assert (anywhere.reached, anywhere.use(limit)) == (50, (600, 0))


def test_texts_are_limited_as_well(anywhere: World) -> None:
    answer = {"object": "list", "model": "e", "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}]}
    anywhere.replies(Reply([json.dumps(answer | {"usage": {"prompt_tokens": 2, "total_tokens": 2}}).encode()]))
    limit = anywhere.limit("tokens_per_minute", 20)
    assert anywhere.at_once(40, EMBEDDINGS) == {200: 10, 429: 30}
    assert (anywhere.reached, anywhere.use(limit)) == (10, (20, 0))


def test_what_is_set_aside_is_the_estimate(world: World) -> None:
    tokens, spend = world.limit("tokens_per_minute", 10**6), world.limit("spend_per_month", 10)
    seen: list[Any] = []

    def look(_: Received) -> Reply:
        seen.append((world.use(tokens), world.use(spend)))
        return completion_reply()

    world.replies(look)
    world.ask()
    world.ask(max_tokens=10, n=2)
    cost = [(PROMPT * 0.15 + OUTPUT_TOKENS * 0.6) / 10**6, (PROMPT * 0.15 + 20 * 0.6) / 10**6]
    assert seen == [
        ((PROMPT + OUTPUT_TOKENS,) * 2, (pytest.approx(cost[0]),) * 2),
        ((12 + PROMPT + 20, PROMPT + 20), (pytest.approx(CALL_COST + cost[1]), pytest.approx(cost[1]))),
    ]
    assert (world.use(tokens), world.use(spend)) == ((24, 0), (pytest.approx(2 * CALL_COST), 0))


def test_an_answer_of_any_length_can_be_set_aside(anywhere: World) -> None:
    limit = anywhere.limit("tokens_per_minute", 10**6)
    seen: list[Any] = []

    def look(_: Received) -> Reply:
        seen.append(anywhere.use(limit))
        return completion_reply()

    anywhere.replies(look)
    answers = [anywhere.ask(max_tokens=10**40) for _ in range(2)]
    assert [("x-weir-warning" in answer.headers, answer.status_code) for answer in answers] == [(False, 200)] * 2
    assert seen == [(10**18, 10**18), (12 + 10**18, 10**18)]
    assert anywhere.use(limit) == (24, 0)


def test_a_window_ends_and_the_next_one_is_whole(world: World) -> None:
    world.limit("requests_per_minute", 1)
    world.limit("spend_per_day", CALL_COST, per="customer")
    world.limit("spend_per_month", CALL_COST, per="customer", name="bob")

    def status(at: datetime, **fields: Any) -> int:
        world.clock.now = at
        return world.ask(**fields).status_code

    minute, noon = timedelta(minutes=1), NOON
    assert [status(noon), status(noon + timedelta(seconds=39)), status(noon + timedelta(seconds=40))] == [200, 429, 200]
    assert [status(noon + at * minute, customer_identifier="ann") for at in (2, 3, 719, 720)] == [200, 429, 429, 200]
    april = noon + 12 * 60 * minute
    assert [status(april + at * minute, customer_identifier="bob") for at in (1, 2)] == [200, 429]
    may = april + timedelta(days=30)
    assert [status(may - minute, customer_identifier="bob"), status(may, customer_identifier="bob")] == [429, 200]


@pytest.mark.parametrize(
    ("measure", "kind", "code", "after"),
    [
        ("requests_per_minute", "requests", "rate_limit_exceeded", 40),
        ("tokens_per_minute", "tokens", "rate_limit_exceeded", 40),
        ("spend_per_day", "insufficient_quota", "insufficient_quota", 12 * 3600 - 20),
        ("spend_per_month", "insufficient_quota", "insufficient_quota", 12 * 3600 - 20),
    ],
)
@pytest.mark.parametrize("path", [OPENAI, EMBEDDINGS, "/api/chat/completions"])
def test_openais_clients_are_told_when_to_come_again(
    world: World, path: str, measure: str, kind: str, code: str, after: int
) -> None:
    world.limit(measure, 0)
    answer = world.ask(path)
    error = answer.json()["error"]
    what, period = measure.split("_per_")
    ends = "2026-03-31T12:01:00Z" if after == 40 else "2026-04-01T00:00:00Z"
    unit = " USD" if what == "spend" else ""
    assert (answer.status_code, answer.headers["retry-after"]) == (429, str(after))
    assert answer.headers.get("x-should-retry") == (None if after == 40 else "false")
    assert error == {
        "message": f"The limit of {what} per {period} for this key is reached: 0{unit} of 0{unit} used, "
        f"and the {period} ends at {ends}.",
        "type": kind,
        "param": None,
        "code": code,
    }
    assert world.reached == 0


@pytest.mark.parametrize("stream", [False, True])
def test_maitais_client_is_told_in_one_line(world: World, stream: bool) -> None:
    world.limit("requests_per_minute", 0)
    answer = world.ask(MAITAI, stream=stream)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "40")
    assert answer.text == (
        "The limit of requests per minute for this key is reached: 0 of 0 used, and the minute ends at "
        "2026-03-31T12:01:00Z."
    )


def limit_headers(answer: httpx.Response) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name.startswith(("x-ratelimit", "x-weir-warn"))}


@pytest.mark.parametrize(
    ("path", "stream"), [(OPENAI, False), (OPENAI, True), (MAITAI, False), (MAITAI, True), (EMBEDDINGS, False)]
)
def test_an_answer_says_how_much_is_left(world: World, path: str, stream: bool) -> None:
    answer = {"object": "list", "model": "e", "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}]}
    world.replies(
        Reply([json.dumps(answer | {"usage": {"prompt_tokens": 2, "total_tokens": 2}}).encode()])
        if path == EMBEDDINGS
        else stream_reply("Noon.")
        if stream
        else completion_reply()
    )
    world.limit("requests_per_minute", 60)
    world.limit("requests_per_minute", 50, per="customer")
    world.limit("tokens_per_minute", 150_000)
    options: dict[str, Any] = {"stream": True} if stream else {}
    set_aside = 2 if path == EMBEDDINGS else PROMPT + OUTPUT_TOKENS
    assert limit_headers(world.ask(path, customer_identifier="ann", **options)) == {
        "x-ratelimit-limit-requests": "50",
        "x-ratelimit-remaining-requests": "49",
        "x-ratelimit-reset-requests": "40s",
        "x-ratelimit-limit-tokens": "150000",
        "x-ratelimit-remaining-tokens": str(150_000 - set_aside),
        "x-ratelimit-reset-tokens": "40s",
    }


def test_a_refusal_says_so_too(world: World) -> None:
    world.limit("requests_per_minute", 1)
    world.ask()
    refused = {
        "x-ratelimit-limit-requests": "1",
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": "40s",
    }
    assert [limit_headers(world.ask()) for _ in range(2)] == [refused, refused]


def test_a_providers_failure_says_so_too(world: World) -> None:
    world.replies(error_reply(500, "Down"))
    world.limit("requests_per_minute", 9)
    assert limit_headers(world.ask())["x-ratelimit-remaining-requests"] == "8"


def test_without_limits_nothing_is_said_and_nothing_counted(world: World, tmp_path: Path) -> None:
    world.limit("requests_per_minute", 5, per="customer")
    assert limit_headers(world.ask()) == {}
    assert not (tmp_path / "limits.sqlite").exists()


def test_a_soft_budget_warns_openais_clients_in_a_header(world: World) -> None:
    world.limit("spend_per_day", None, warn_at=0.000003)
    first, second = world.ask(max_tokens=1), world.ask(max_tokens=1)
    assert [answer.status_code for answer in (first, second)] == [200, 200]
    assert "x-weir-warning" not in first.headers
    warning = second.headers["x-weir-warning"]
    assert warning.startswith("spend_per_day of this key: 0.00000")
    assert warning.endswith("USD used, at or above the warning level 0.000003 USD")
    assert [record.warnings for record in world.records()] == [(warning,), ()]
    assert second.json()["warnings"] == [warning]


def test_a_soft_budget_warns_maitais_client_where_it_looks(world: World) -> None:
    world.limit("requests_per_minute", 10, warn_at=1)
    warning = "requests_per_minute of this key: 1 used, at or above the warning level 1"
    assert world.ask(MAITAI).json()["warning"] == warning
    world.replies(stream_reply("Noon."))
    first_line = world.ask(MAITAI, stream=True).text.split("\n")[0]
    assert json.loads(first_line) == {"warning": warning.replace("1 used", "2 used")}


def test_a_refusal_is_on_record_without_its_words(world: World) -> None:
    world.limit("requests_per_minute", 0)
    answer = world.ask(customer_identifier="ann", stream=True)
    (record,) = world.records()
    assert (record.id, record.customer_identifier) == (answer.headers["x-weir-request-id"], "ann")
    assert (record.status_code, record.outcome, record.provider, record.stream) == (429, "error", None, True)
    assert record.failure is not None
    assert (record.failure.kind, record.failure.code) == ("LimitExceeded", "rate_limit_exceeded")
    log = world.weir.get(f"/api/request-logs/{record.id}").json()
    assert (log["status_code"], "When?" in json.dumps(log)) == (429, False)


def test_of_a_flood_of_refusals_some_are_on_record_and_the_rest_are_counted(world: World) -> None:
    world.limit("requests_per_minute", 0)
    assert world.at_once(RECORDED_A_MINUTE + 40) == {429: RECORDED_A_MINUTE + 40}
    assert len(world.records()) == RECORDED_A_MINUTE
    last = world.ask(request_id="mine")
    assert (last.status_code, last.headers["x-weir-stored"]) == (429, "false")
    world.clock.now += timedelta(minutes=1)
    world.ask(request_id="mine")
    assert world.records()[0].warnings == ("41 refusals before this one are not on record",)
    assert (len(world.records()), world.reached) == (RECORDED_A_MINUTE + 1, 0)


def test_a_refused_call_may_be_made_again_under_its_id(world: World) -> None:
    world.limit("requests_per_minute", 1)
    assert [world.ask(request_id=id).status_code for id in ("a", "b", "b")] == [200, 429, 429]
    world.clock.now += timedelta(minutes=1)
    assert [world.ask(request_id="b").status_code for _ in range(2)] == [200, 200]
    assert world.reached == 2


def test_a_repeated_call_is_answered_and_not_counted(world: World) -> None:
    limit = world.limit("requests_per_minute", 1)
    assert [world.ask(request_id="a").status_code for _ in range(3)] == [200] * 3
    assert world.use(limit) == (1, 0)


def test_a_call_that_failed_has_used_a_request_and_nothing_else(world: World) -> None:
    world.replies(error_reply(500, "Down"))
    requests, tokens, spend = (
        world.limit(m, 1000) for m in ("requests_per_minute", "tokens_per_minute", "spend_per_day")
    )
    assert world.ask().status_code == 502
    assert [world.use(limit) for limit in (requests, tokens, spend)] == [(1, 0), (0, 0), (0, 0)]


def test_so_has_one_that_could_not_be_made(world: World) -> None:
    requests, tokens = (world.limit(measure, 2000) for measure in ("requests_per_minute", "tokens_per_minute"))
    assert world.ask(model="openia/again").status_code == 404
    assert [world.use(limit) for limit in (requests, tokens)] == [(1, 0), (0, 0)]


@pytest.mark.parametrize("stream", [False, True])
def test_a_fault_leaves_nothing_set_aside(world: World, stream: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fails(*_: Any) -> None:
        raise KeyError("choices")

    monkeypatch.setattr(Completions, "stream" if stream else "complete", fails)
    spend = world.limit("spend_per_month", 1)
    assert world.ask(stream=stream).status_code == 500
    assert world.use(spend) == (0, 0)


def test_a_stream_that_broke_off_has_used_what_was_set_aside(world: World) -> None:
    """Its provider will ask for what it made, and has not said how much that is."""
    reply = stream_reply("No", "on.")
    world.replies(replace(reply, chunks=reply.chunks[:2], drop=True))
    tokens = world.limit("tokens_per_minute", 2000)
    world.ask(stream=True, max_tokens=50)
    assert world.records()[0].outcome == "cut_off"
    assert world.use(tokens) == (PROMPT + 50, 0)


def test_so_has_one_that_its_callers_own_deadline_ended(world: World) -> None:
    """Else a deadline shortly before the end of each answer would be the way around a budget."""
    reply = stream_reply("No", "on.")
    world.replies(replace(reply, hold=Event(), hold_at=2))
    tokens, spend = world.limit("tokens_per_minute", 2000), world.limit("spend_per_day", 1)
    assert '"between_tokens_timeout"' in world.ask(stream=True, max_tokens=50, between_tokens_timeout=0.05).text
    assert world.records()[0].outcome == "error"
    assert world.use(tokens) == (PROMPT + 50, 0)
    assert world.use(spend) == (pytest.approx((PROMPT * 0.15 + 50 * 0.6) / 10**6), 0)


def test_one_that_it_ended_before_its_first_token_has_used_nothing(world: World) -> None:
    world.replies(replace(stream_reply("No", "on."), hold=Event(), hold_at=-1))
    tokens = world.limit("tokens_per_minute", 2000)
    assert world.ask(stream=True, max_tokens=50, first_token_timeout=0.05).status_code == 504
    assert world.use(tokens) == (0, 0)


def test_an_answer_without_counts_has_used_what_was_set_aside(world: World) -> None:
    world.replies(completion_reply(usage=None))
    tokens, spend = world.limit("tokens_per_minute", 2000), world.limit("spend_per_day", 1)
    world.ask(max_tokens=50)
    assert world.use(tokens) == (PROMPT + 50, 0)
    assert world.use(spend) == (pytest.approx((PROMPT * 0.15 + 50 * 0.6) / 10**6), 0)


def test_the_closest_limit_holds(world: World) -> None:
    world.limit("requests_per_minute", 2, per="customer")
    world.limit("requests_per_minute", 1, per="customer", name="ann")
    world.limit("requests_per_minute", 3, per="intent")
    world.limit("requests_per_minute", 2, per="intent", application="shop")
    world.limit("requests_per_minute", 1, per="intent", application="shop", name="CHAT")

    def admitted(**fields: Any) -> int:
        return [world.ask(**fields).status_code for _ in range(5)].count(200)

    assert [admitted(customer_identifier=name) for name in ("ann", "bob", "cid")] == [1, 2, 2]
    places = [("shop", "CHAT"), ("shop", "MAIL"), ("shop", "CALL"), ("farm", "CHAT")]
    assert [admitted(application=a, intent=i) for a, i in places] == [1, 2, 2, 3]
    assert admitted(application="shop") == admitted() == 5


def test_what_one_limit_refuses_is_taken_from_no_other(anywhere: World) -> None:
    key = anywhere.limit("requests_per_minute", 100)
    anywhere.limit("requests_per_minute", 2, per="customer")
    assert [anywhere.ask(customer_identifier="ann").status_code for _ in range(5)] == [200, 200, 429, 429, 429]
    assert anywhere.use(key) == (2, 0)


def test_each_key_has_its_own(world: World) -> None:
    world.limit("requests_per_minute", 1)
    keys = [world.weir.post("/api/v1/api-keys", json={"name": name}).json()["data"] for name in ("one", "two")]
    world.limit("requests_per_minute", 2, name=keys[1]["prefix"])
    for key, most in ((keys[0], 1), (keys[1], 2)):
        caller = world.weir.with_key(key["key"])
        assert [caller.post(OPENAI, json=asked()).status_code for _ in range(3)].count(200) == most
    assert world.ask().status_code == 200


def test_a_ledger_that_cannot_count_stops_no_call(open_world: Open, dynamodb: DynamoDBAndS3) -> None:
    world = open_world(dynamodb)
    world.limit("requests_per_minute", 1)
    assert world.ask().status_code == 200
    dynamodb.wire.refuses = lambda operation, _: operation == "update_item"
    answers = [world.ask() for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert {answer.headers["x-weir-warning"] for answer in answers} == {NOT_ENFORCED}
    assert [record.warnings for record in world.records()] == [(NOT_ENFORCED,)] * 2 + [()]
    assert updates(dynamodb) == 2  # the second call did not ask again
    world.clock.seconds += OUT_OF_REACH_S
    world.ask()
    assert updates(dynamodb) == 3


def updates(dynamodb: DynamoDBAndS3) -> int:
    return [operation for operation, _ in dynamodb.wire.calls].count("update_item")


def test_limits_that_cannot_be_read_stop_no_call(open_world: Open, dynamodb: DynamoDBAndS3) -> None:
    world = open_world(dynamodb)
    dynamodb.wire.refuses = lambda operation, _: operation == "batch_get_item"
    answer = world.ask()
    assert (answer.status_code, answer.headers["x-weir-warning"]) == (200, NOT_ENFORCED)
    assert world.records()[0].warnings == (NOT_ENFORCED,)


def test_a_call_with_limits_reads_no_table_when_caches_are_warm(open_world: Open, dynamodb: DynamoDBAndS3) -> None:
    """And writes its record, its payload, one update for a request and two for all that is settled."""
    world = open_world(dynamodb)
    tags = {"application": "shop", "intent": "CHAT", "customer_identifier": "ann"}
    world.ask(**tags)
    before = writes_and_reads(world, dynamodb, **tags)
    world.limit("requests_per_minute", 100)
    world.limit("tokens_per_minute", 100_000, per="customer")
    world.limit("spend_per_month", 100, per="intent")
    world.ask(**tags)
    after = writes_and_reads(world, dynamodb, **tags)
    assert before == {"put_item": before["put_item"]}
    assert after == before + Counter(update_item=5)


def writes_and_reads(world: World, dynamodb: DynamoDBAndS3, **fields: Any) -> Counter[str]:
    dynamodb.wire.calls.clear()
    assert world.ask(**fields).status_code == 200
    return Counter(operation for operation, _ in dynamodb.wire.calls)


def test_a_flood_costs_a_write_a_second(open_world: Open, dynamodb: DynamoDBAndS3) -> None:
    world = open_world(dynamodb)
    world.limit("requests_per_minute", 0)
    world.at_once(RECORDED_A_MINUTE)
    dynamodb.wire.calls.clear()
    assert world.at_once(100) == {429: 100}
    assert Counter(operation for operation, _ in dynamodb.wire.calls) == {}
    world.clock.seconds += FULL_FOR_S
    assert [world.ask().status_code for _ in range(3)] == [429] * 3
    assert Counter(operation for operation, _ in dynamodb.wire.calls) == {"update_item": 1}
