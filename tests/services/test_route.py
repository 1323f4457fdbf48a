"""Fallbacks, retries, races and deadlines against a provider on 127.0.0.1 that does what a test tells it to.

Time passes only while that provider is silent: no deadline is over before what it has said was heard.
"""

import asyncio
import itertools
import json
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import httpx
import pytest

from tests.fast_loop import run_fast
from tests.upstream import SSE_TYPE, Received, Reply, Upstream, completion, completion_reply, error_reply, events
from weir.domain.chat import ChatCall, Message
from weir.domain.completion import Text
from weir.domain.errors import (
    MalformedReply,
    ModelUnknown,
    ProviderAuthFailed,
    ProviderError,
    ProviderRejected,
    ProviderThrottled,
    ProviderTimeout,
    ProviderUnavailable,
)
from weir.domain.events import TextDelta
from weir.domain.ids import milliseconds, uuid7
from weir.domain.record import ProviderAttempt, Record
from weir.domain.routing import NO_DEADLINES, Deadlines, Retries, Routing, Share
from weir.ledger.ledger import Ledger
from weir.providers.catalog import DEMO
from weir.providers.client import ProviderClient
from weir.providers.deadline import DEADLINE
from weir.providers.demo import DemoTransport
from weir.providers.models import ModelList
from weir.providers.registry import Registry
from weir.runtime.aiohttp_transport import open_transport
from weir.runtime.bootstrap import open_stores
from weir.runtime.settings import Settings
from weir.services.attempt import Ask, Attempt, Recorder
from weir.services.circuits import FAILURES, Circuits
from weir.services.complete import Completions
from weir.services.route import Router

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
FIRST, SECOND, THIRD = "openai/first", "groq/second", "own-vendor/third"
BUSY = error_reply(429, "Slow down.")
BROKEN = error_reply(500, "It broke.")
JSON_OR_EVENTS = ["whole", "stream"]
_SOON_S = 1.0
"""The deadlines of these tests end sooner; what libraries set for themselves ends later, and never here."""

_numbers = itertools.count(1)


def answer(text: str, how: str, **options: Any) -> Reply:
    if how == "whole":
        return replace(completion_reply(text), **options)
    return Reply(events(text, usage=True), headers=SSE_TYPE, **options)


def in_turn(*replies: Reply) -> Callable[[Received], Reply]:
    """A reply for each request, the last one for all that follow."""
    coming = itertools.chain(replies, itertools.repeat(replies[-1]))
    return lambda _: next(coming)


@dataclass
class Told:
    """What came of a call: the text, or what was heard of it before the error; and what the ledger has of it."""

    heard: str = ""
    error: ProviderError | None = None
    record: Record | None = None
    attempt: Attempt[ChatCall] | None = None

    @property
    def kept(self) -> Record:
        assert self.record is not None
        return self.record

    @property
    def attempts(self) -> tuple[ProviderAttempt, ...]:
        """Without their times, which no test can know."""
        return tuple(replace(each, begun_ms=0, first_token_ms=None, latency_ms=None) for each in self.kept.attempts)


class Silence(threading.Event):
    """What a provider waits for that says nothing more; it is `heard` when all was sent that comes before."""

    heard = False

    def is_set(self) -> bool:
        self.heard = True
        return super().is_set()


@dataclass
class World:
    upstream: Upstream
    ledger: Ledger
    transport: str
    url: str
    silence: Silence = field(default_factory=Silence)
    pauses: list[float] = field(default_factory=list)
    now: float = 0.0
    circuits: Circuits = field(init=False)

    def __post_init__(self) -> None:
        self.circuits = Circuits(lambda: self.now)

    def ask(self, routing: Routing | None, how: str = "whole", **fields: Any) -> Told:
        return self.run(lambda service: self.call(service, routing, how, **fields))

    def run(
        self,
        work: Callable[[Completions], Coroutine[Any, Any, Told]],
        deadlines: Deadlines = NO_DEADLINES,
        answers: Callable[[httpx.Request], Any] | None = None,
    ) -> Told:
        """`answers` come in place of those of the provider, by a clock that does not wait for anybody."""

        async def served() -> Told:
            async with self._opened() if answers is None else httpx.MockTransport(answers) as transport:
                return await work(self._service(transport, deadlines))

        return run_fast(served(), self._may_pass) if answers is None else run_fast(served())

    def _may_pass(self, seconds: float) -> bool:
        return self.silence.heard and seconds < _SOON_S

    def _opened(self) -> httpx.AsyncBaseTransport:
        return open_transport() if self.transport == "aiohttp" else httpx.AsyncHTTPTransport(verify=False)

    async def call(self, service: Completions, routing: Routing | None, how: str, **fields: Any) -> Told:
        told = Told(attempt=service.begin(self._wish(routing, how == "stream", fields)))
        assert told.attempt is not None
        try:
            if how == "whole":
                told.heard = (await service.complete(told.attempt)).completion.choices[0].text
            else:
                stream = await service.stream(told.attempt)
                async for batch in stream:
                    told.heard += "".join(event.text for event in batch if isinstance(event, TextDelta))
        except ProviderError as exc:
            told.error = exc
        found = await self.ledger.get("default", told.attempt.id)
        told.record = found[0] if found is not None else None
        return told

    def _wish(self, routing: Routing | None, stream: bool, fields: dict[str, Any]) -> Ask[ChatCall]:
        call = ChatCall(model="", messages=(Message("user", (Text("Hi"),)),), stream=stream, n=fields.pop("n", None))
        wish = {"model": FIRST, "workspace": "default", "environment": "prod", "request": b"{}", **fields}
        return Ask(call=call, routing=routing, **wish)

    def _service(self, transport: httpx.AsyncBaseTransport, deadlines: Deadlines) -> Completions:
        registry = Registry.from_environ(
            {
                "ANTHROPIC_API_KEY": "canary-anthropic-key",
                "ANTHROPIC_BASE_URL": self.url,
                "OPENAI_API_KEY": "canary-openai-key",
                "OPENAI_BASE_URL": self.url,
                "GROQ_API_KEY": "canary-groq-key",
                "GROQ_BASE_URL": self.url,
                "OWN_VENDOR_API_KEY": "canary-own-key",
                "OWN_VENDOR_BASE_URL": self.url,
            }
        )
        client = ProviderClient(transport, timeout=httpx.Timeout(20), local={DEMO.name: DemoTransport()})
        recorder = Recorder(
            self.ledger,
            frozenset(),
            now=lambda: START,
            new_id=lambda instant: uuid7(milliseconds(instant), next(_numbers)),
            clock=asyncio.get_running_loop().time,
        )

        async def pause(seconds: float) -> None:
            self.pauses.append(seconds)

        service = Completions(registry, client, recorder, ModelList(registry, client, lambda: 0.0), deadlines)
        service.router = Router(
            registry,
            client,
            self.circuits,
            elapsed_ms=recorder.elapsed_ms,
            defaults=deadlines,
            pause=pause,
            chance=lambda: 1.0,
            now=lambda: START,
        )
        return service


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    ledger = open_stores(Settings.from_environ({"WEIR_DATA_DIR": str(tmp_path_factory.mktemp("weir"))})).ledger
    yield ledger
    ledger.close()


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    """One for each test: what the last one asked and did not wait for may still be on its way."""
    with Upstream(keep_alive=False) as upstream:
        yield upstream


@pytest.fixture(params=["httpx", "aiohttp"])
def world(request: pytest.FixtureRequest, upstream: Upstream, ledger: Ledger) -> World:
    return World(upstream, ledger, request.param, upstream.url)


def failed(model: str, status: int | None, failure: str) -> ProviderAttempt:
    provider = model.partition("/")[0]
    return ProviderAttempt(provider=provider, model=model, outcome="failed", status=status, failure=failure, begun_ms=0)


def answered(model: str, how: str = "whole") -> ProviderAttempt:
    prompt, written = (9, 3) if how == "whole" else (9, 1)
    return ProviderAttempt(
        provider=model.partition("/")[0],
        model=model,
        outcome="answered",
        status=200,
        begun_ms=0,
        prompt_tokens=prompt,
        completion_tokens=written,
    )


FALLBACK = Routing(fallbacks=(SECOND,))


@pytest.mark.parametrize("how", JSON_OR_EVENTS)
@pytest.mark.parametrize(
    ("reply", "failure", "reason"),
    [
        (BUSY, failed(FIRST, 429, "ProviderThrottled"), "throttled"),
        (BROKEN, failed(FIRST, 500, "ProviderUnavailable"), "unavailable"),
        (Reply([b"{"], drop=True), failed(FIRST, 200, "MalformedReply"), "malformed_reply"),
        (Reply([b""], 504), failed(FIRST, 504, "ProviderTimeout"), "timeout"),
    ],
    ids=["429", "500", "drop", "504"],
)
def test_what_fails_is_followed_by_the_fallback(
    world: World, how: str, reply: Reply, failure: ProviderAttempt, reason: str
) -> None:
    world.upstream.replies |= {"first": reply, "second": answer("from the second", how)}

    told = world.ask(FALLBACK, how)

    assert (told.heard, told.error) == ("from the second", None)
    assert told.attempts == (failure, answered(SECOND, how))
    assert (told.kept.fallback_reason, told.kept.outcome, told.kept.status_code) == (reason, "complete", 200)
    assert (told.kept.provider, told.kept.model, told.kept.answered_model) == ("groq", SECOND, "upstream-1")


@pytest.mark.parametrize("how", JSON_OR_EVENTS)
def test_the_models_of_a_list_are_asked_in_its_order_until_one_answers(world: World, how: str) -> None:
    world.upstream.replies |= {"first": BUSY, "second": BROKEN, "third": answer("from the third", how)}

    told = world.ask(Routing(fallbacks=(SECOND, THIRD)), how)

    assert told.heard == "from the third"
    assert told.attempts == (
        failed(FIRST, 429, "ProviderThrottled"),
        failed(SECOND, 500, "ProviderUnavailable"),
        answered(THIRD, how),
    )
    assert told.kept.fallback_reason == "throttled"


@pytest.mark.parametrize("how", JSON_OR_EVENTS)
def test_without_any_answer_the_call_fails_as_its_own_model_did(world: World, how: str) -> None:
    world.upstream.replies |= {"first": BUSY, "second": BROKEN}

    told = world.ask(FALLBACK, how)

    assert type(told.error) is ProviderThrottled
    assert told.attempts == (failed(FIRST, 429, "ProviderThrottled"), failed(SECOND, 500, "ProviderUnavailable"))
    assert (told.kept.provider, told.kept.model, told.kept.status_code) == ("openai", FIRST, 429)
    assert told.kept.fallback_reason is None


def test_what_the_caller_did_wrong_is_not_asked_of_another_model(world: World) -> None:
    world.upstream.replies |= {"first": error_reply(400, "No."), "second": answer("unheard", "whole")}

    told = world.ask(FALLBACK)

    assert type(told.error) is ProviderRejected
    assert (len(world.upstream.received), told.attempts) == (1, ())


@pytest.mark.parametrize(
    ("fallback", "attempt"),
    [
        ("nowhere/x", ProviderAttempt(model="nowhere/x", outcome="failed", failure="ModelUnknown", begun_ms=0)),
        (
            "mistral/x",
            ProviderAttempt(
                provider="mistral", model="mistral/x", outcome="failed", failure="ProviderAuthFailed", begun_ms=0
            ),
        ),
        (SECOND, failed(SECOND, 401, "ProviderAuthFailed")),
        (SECOND, failed(SECOND, 400, "ProviderRejected")),
    ],
    ids=["unknown", "no key", "key refused", "refused"],
)
def test_a_fallback_that_cannot_be_asked_is_passed_over(world: World, fallback: str, attempt: ProviderAttempt) -> None:
    world.upstream.replies |= {
        "first": BUSY,
        "second": error_reply(attempt.status or 400, "No."),
        "third": answer("from the third", "whole"),
    }

    told = world.ask(Routing(fallbacks=(fallback, THIRD)))

    assert told.heard == "from the third"
    assert told.attempts == (failed(FIRST, 429, "ProviderThrottled"), attempt, answered(THIRD))
    assert any(repr(fallback) in warning for warning in told.kept.warnings) == (attempt.status is None)


@pytest.mark.parametrize("strategy", ["reactive", "timeout", "first_response"])
def test_a_call_for_a_model_that_nobody_knows_is_wrong_whatever_it_falls_back_to(world: World, strategy: Any) -> None:
    world.upstream.replies["second"] = answer("unheard", "whole")
    routing = Routing(strategy=strategy, fallbacks=(SECOND,), wait_s=20)
    with pytest.raises(ModelUnknown):
        world.ask(routing, model="nowhere/x")
    assert type(world.ask(routing, model="mistral/x").error) is ProviderAuthFailed
    assert world.upstream.received == []


@pytest.mark.parametrize("how", JSON_OR_EVENTS)
def test_a_race_whose_first_model_cannot_be_asked_leaves_a_record_of_the_other(world: World, how: str) -> None:
    """Anthropic gives one answer to a question."""
    world.upstream.replies["second"] = BROKEN
    routing = Routing(strategy="first_response", fallbacks=(SECOND,))

    told = world.ask(routing, how, model="anthropic/claude", n=2)

    assert type(told.error) is ProviderUnavailable
    assert told.attempts == (
        ProviderAttempt(
            provider="anthropic", model="anthropic/claude", outcome="failed", failure="RequestInvalid", begun_ms=0
        ),
        failed(SECOND, 500, "ProviderUnavailable"),
    )


def test_what_no_one_expects_of_a_request_is_not_taken_for_its_failure(world: World) -> None:
    def answers(request: httpx.Request) -> httpx.Response:
        raise ArithmeticError

    routing = Routing(strategy="first_response", fallbacks=(SECOND,))
    with pytest.raises(ArithmeticError):
        world.run(lambda service: world.call(service, routing, "whole"), answers=answers)


@pytest.mark.parametrize("how", JSON_OR_EVENTS)
def test_a_model_that_answers_when_it_is_asked_again_is_no_fallback(world: World, how: str) -> None:
    world.upstream.replies["first"] = in_turn(BUSY, BROKEN, answer("at last", how))

    told = world.ask(Routing(retries=Retries(3, 0.2)), how)

    assert told.heard == "at last"
    assert told.attempts == (
        failed(FIRST, 429, "ProviderThrottled"),
        failed(FIRST, 500, "ProviderUnavailable"),
        answered(FIRST, how),
    )
    assert (told.kept.fallback_reason, world.pauses) == (None, [0.2, 0.4])


@pytest.mark.parametrize(
    ("said", "pauses", "requests"),
    [
        ("3", [3.0], 2),
        ("0.01", [0.2], 2),
        ("Fri, 02 Jan 2026 03:04:10 GMT", [5.0], 2),
        ("Fri, 02 Jan 2026 03:04:00 GMT", [0.2], 2),
        ("soon", [0.2], 2),
        ("61", [], 1),
    ],
)
def test_a_provider_is_not_asked_again_before_the_time_that_it_names(
    world: World, said: str, pauses: list[float], requests: int
) -> None:
    busy = error_reply(429, "Slow down.", headers={"retry-after": said})
    world.upstream.replies["first"] = in_turn(busy, answer("then", "whole"))

    world.ask(Routing(retries=Retries(1, 0.2)))

    assert (world.pauses, len(world.upstream.received)) == (pauses, requests)


def test_no_retry_begins_that_the_calls_deadline_would_end(world: World) -> None:
    world.upstream.replies["first"] = error_reply(429, "Slow down.", headers={"retry-after": "5"})
    told = world.ask(Routing(retries=Retries(3, 0.2), deadlines=Deadlines(total_s=4)))
    assert (type(told.error), world.pauses) == (ProviderThrottled, [])


def test_nothing_is_tried_again_that_lambda_would_not_live_to_see(world: World) -> None:
    world.upstream.replies["first"] = error_reply(429, "Slow down.", headers={"retry-after": "5"})

    async def bounded(service: Completions) -> Told:
        DEADLINE.set(asyncio.get_running_loop().time() + 4)
        return await world.call(service, Routing(retries=Retries(3, 0.2)), "whole")

    assert (type(world.run(bounded).error), world.pauses) == (ProviderThrottled, [])


def test_a_refused_call_is_not_asked_again(world: World) -> None:
    world.upstream.replies["first"] = error_reply(400, "No.")
    world.ask(Routing(retries=Retries(3, 0.2)))
    assert len(world.upstream.received) == 1


@pytest.mark.parametrize("strategy", ["reactive", "timeout", "first_response"])
def test_nothing_is_tried_after_the_first_token(world: World, strategy: Any) -> None:
    hold = threading.Event()
    world.upstream.replies |= {
        "first": Reply(events("heard", "unheard")[:2], headers=SSE_TYPE, drop=True),
        "second": answer("never told", "stream", hold=hold, hold_at=0),
    }

    told = world.ask(Routing(strategy=strategy, fallbacks=(SECOND,), wait_s=20, retries=Retries(3)), "stream")

    assert (told.heard, type(told.error)) == ("heard", MalformedReply)
    assert [received.json["model"] for received in world.upstream.received].count("first") == 1
    assert (told.kept.outcome, told.kept.model, told.kept.fallback_reason) == ("cut_off", FIRST, None)
    assert told.attempts == () or strategy == "first_response"
    assert world.pauses == []


@pytest.mark.parametrize("how", JSON_OR_EVENTS)
@pytest.mark.parametrize("hold_at", [0, -1], ids=["hangs", "hangs after its headers"])
def test_the_next_model_is_asked_when_one_says_nothing_in_time(world: World, how: str, hold_at: int) -> None:
    world.upstream.replies |= {
        "first": answer("too late", how, hold=world.silence, hold_at=hold_at),
        "second": answer("in time", how),
    }

    told = world.ask(Routing(strategy="timeout", fallbacks=(SECOND,), wait_s=0.4, retries=Retries(3)), how)

    assert all(received.cut_off.wait(10) for received in world.upstream.received[:1])
    assert (told.heard, told.kept.fallback_reason) == ("in time", "timeout")
    assert told.attempts == (failed(FIRST, None if hold_at == 0 else 200, "ProviderTimeout"), answered(SECOND, how))
    assert told.kept.attempts[1].begun_ms >= (told.kept.attempts[0].latency_ms or 0) > 399


def test_a_role_without_a_token_is_not_an_answer_in_time(world: World) -> None:
    world.upstream.replies |= {
        "first": answer("too late", "stream", hold=world.silence, hold_at=1),  # the role has been sent
        "second": answer("in time", "stream"),
    }
    told = world.ask(Routing(strategy="timeout", fallbacks=(SECOND,), wait_s=0.4), "stream")
    assert (told.heard, told.kept.fallback_reason) == ("in time", "timeout")


@pytest.mark.parametrize("how", JSON_OR_EVENTS)
def test_the_last_model_has_all_the_time_there_is(world: World, how: str) -> None:
    waiting = threading.Event()
    world.upstream.replies |= {
        "first": answer("too late", how, hold=world.silence, hold_at=0),
        "second": answer("slow", how, hold=waiting, hold_at=0),
    }

    async def slow(service: Completions) -> Told:
        asyncio.get_running_loop().call_later(0.3, waiting.set)
        return await world.call(service, Routing(strategy="timeout", fallbacks=(SECOND,), wait_s=0.1), how)

    told = world.run(slow)

    assert (told.heard, told.kept.fallback_reason) == ("slow", "timeout")


@pytest.mark.parametrize("how", JSON_OR_EVENTS)
@pytest.mark.parametrize(
    ("slow", "fast", "reason"), [("first", SECOND, "first_response"), ("second", FIRST, None)], ids=["slow", "fast"]
)
def test_of_two_at_once_the_first_to_answer_wins_and_the_other_is_cut_off(
    world: World, how: str, slow: str, fast: str, reason: str | None
) -> None:
    asked, never = threading.Event(), threading.Event()
    quick = "second" if slow == "first" else "first"

    def too_late(_: Received) -> Reply:
        asked.set()
        return answer("too late", how, hold=never, hold_at=0)

    world.upstream.replies |= {slow: too_late, quick: answer("faster", how, hold=asked, hold_at=0)}

    told = world.ask(Routing(strategy="first_response", fallbacks=(SECOND,)), how)

    lost = next(received for received in world.upstream.received if received.json["model"] == slow)
    assert lost.cut_off.wait(10)
    slow_model = FIRST if slow == "first" else SECOND
    cancelled = ProviderAttempt(
        provider=slow_model.partition("/")[0], model=slow_model, outcome="cancelled", begun_ms=0
    )
    assert told.heard == "faster"
    assert set(told.attempts) == {cancelled, answered(fast, how)}
    assert [each.model for each in told.attempts] == [FIRST, SECOND]
    assert (told.kept.fallback_reason, told.kept.model) == (reason, fast)


@pytest.mark.parametrize("how", JSON_OR_EVENTS)
def test_a_request_that_was_cut_off_costs_at_least_what_reading_its_prompt_does(world: World, how: str) -> None:
    """Whether it lost or let the call wait too long: nobody says what it came to. Five tokens at $0.15 a million."""
    world.upstream.replies |= {
        "gpt-4o-mini": answer("too late", how, hold=world.silence, hold_at=0),
        "second": answer("faster", how),
    }

    lost = world.ask(Routing(strategy="first_response", fallbacks=(SECOND,)), how, model="openai/gpt-4o-mini")
    late = world.ask(Routing(strategy="timeout", fallbacks=(SECOND,), wait_s=0.2), how, model="openai/gpt-4o-mini")

    cut_off = ProviderAttempt(
        provider="openai",
        model="openai/gpt-4o-mini",
        outcome="cancelled",
        begun_ms=0,
        estimated_cost=Decimal("0.00000075"),
    )
    assert lost.attempts == (cut_off, answered(SECOND, how))
    assert late.attempts == (replace(cut_off, outcome="failed", failure="ProviderTimeout"), answered(SECOND, how))


@pytest.mark.parametrize("how", JSON_OR_EVENTS)
def test_a_loser_is_cancelled_within_50_ms_of_the_winners_first_token(world: World, how: str) -> None:
    """From one to the other on the loop's clock, as the record has it: of what Weir waits for, not of the machine."""
    world.upstream.replies |= {
        "first": answer("too late", how, hold=world.silence, hold_at=-1),
        "second": answer("faster", how),
    }
    told = world.ask(Routing(strategy="first_response", fallbacks=(SECOND,)), how)
    lost, won = told.kept.attempts
    assert (lost.outcome, won.outcome) == ("cancelled", "answered")
    first_token_ms = won.first_token_ms if how == "stream" else won.latency_ms
    assert lost.latency_ms is not None
    assert first_token_ms is not None
    assert 0 <= lost.begun_ms + lost.latency_ms - won.begun_ms - first_token_ms < 50


def test_a_race_goes_on_when_one_of_both_fails_and_a_third_is_asked_when_both_do(world: World) -> None:
    routing = Routing(strategy="first_response", fallbacks=(SECOND, THIRD))

    def answers(second: httpx.Response) -> Callable[[httpx.Request], Awaitable[httpx.Response]]:
        async def answer(request: httpx.Request) -> httpx.Response:
            match json.loads(request.content)["model"]:
                case "first":
                    return httpx.Response(429)
                case "second":
                    await asyncio.sleep(0.3)
                    return second
                case third:
                    return httpx.Response(200, json=completion(f"from the {third}"))

        return answer

    def ask(second: httpx.Response) -> Told:
        return world.run(lambda service: world.call(service, routing, "whole"), answers=answers(second))

    one = ask(httpx.Response(200, json=completion("from the second")))
    both = ask(httpx.Response(500))

    assert (one.heard, one.kept.fallback_reason) == ("from the second", "throttled")
    assert one.attempts == (failed(FIRST, 429, "ProviderThrottled"), answered(SECOND))
    assert (both.heard, both.kept.fallback_reason) == ("from the third", "throttled")
    assert both.attempts == (
        failed(FIRST, 429, "ProviderThrottled"),
        failed(SECOND, 500, "ProviderUnavailable"),
        answered(THIRD),
    )


def test_what_is_known_of_a_losers_cost_is_in_the_cost_of_the_call(world: World) -> None:
    """Both answers are there when Weir looks: one of them is not used, and paid for all the same."""
    costs = {"first": 0.25, "second": 0.5}

    def answers(request: httpx.Request) -> httpx.Response:
        counts = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}
        cost = costs[json.loads(request.content)["model"]]
        return httpx.Response(200, json=completion("done", usage={**counts, "cost": cost}))

    routing = Routing(strategy="first_response", fallbacks=(SECOND,))
    told = world.run(lambda service: world.call(service, routing, "whole"), answers=answers)

    assert told.attempts == (
        replace(answered(FIRST), claimed_cost=Decimal("0.25")),
        replace(answered(SECOND), outcome="cancelled", claimed_cost=Decimal("0.5")),
    )
    assert (told.kept.claimed_cost, told.kept.computed_cost, told.kept.cost) == (
        Decimal("0.75"),
        None,
        Decimal("0.75"),
    )


class Watched(httpx.AsyncByteStream):
    """A stream that is all there at once, and knows whether it was closed."""

    def __init__(self, text: str) -> None:
        self.pieces, self.closed = events(text), False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self.pieces:
            yield piece

    async def aclose(self) -> None:
        self.closed = True


def test_of_two_streams_that_begin_in_the_same_moment_one_is_closed_unheard(world: World) -> None:
    streams = {"first": Watched("one"), "second": Watched("other")}

    def answers(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, stream=streams[json.loads(request.content)["model"]], headers=SSE_TYPE)

    routing = Routing(strategy="first_response", fallbacks=(SECOND,))
    told = world.run(lambda service: world.call(service, routing, "stream"), answers=answers)

    assert told.heard == "one"
    assert [(each.model, each.outcome) for each in told.attempts] == [(FIRST, "answered"), (SECOND, "cancelled")]
    assert [stream.closed for stream in streams.values()] == [True, True]


def test_a_caller_who_hangs_up_while_two_are_asked_cuts_both_off(world: World) -> None:
    never, both = threading.Event(), threading.Barrier(3)

    def script(_: Received) -> Reply:
        both.wait(10)
        return answer("too late", "stream", hold=never, hold_at=0)

    world.upstream.replies |= {"first": script, "second": script}

    async def given_up(service: Completions) -> Told:
        routing = Routing(strategy="first_response", fallbacks=(SECOND,))
        call = asyncio.create_task(world.call(service, routing, "stream"))
        await asyncio.to_thread(both.wait, 10)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        found = await world.ledger.newest("default", limit=1)
        return Told(record=found[0])

    told = world.run(given_up)

    assert all(received.cut_off.wait(10) for received in world.upstream.received)
    assert (told.kept.outcome, told.kept.status_code) == ("caller_gone", 499)
    assert [each.outcome for each in told.attempts] == ["cancelled", "cancelled"]


def test_calls_of_a_session_keep_to_one_model_of_a_split(world: World) -> None:
    world.upstream.replies |= {"first": answer("one", "whole"), "second": answer("other", "whole")}
    routing = Routing(shares=(Share(FIRST, 1), Share(SECOND, 1)))
    heard = {
        session: {world.ask(routing, session_id=session).heard for _ in range(3)} for session in ("a", "b", "c", "d")
    }
    assert sorted(map(len, heard.values())) == [1, 1, 1, 1]
    assert set.union(*heard.values()) == {"one", "other"}


def test_a_model_of_a_split_is_a_choice_and_no_fallback(world: World) -> None:
    world.upstream.replies |= {"second": BUSY, "third": answer("from the third", "whole")}
    told = world.ask(Routing(shares=(Share(SECOND, 1),), fallbacks=(THIRD,)))
    assert told.attempts == (failed(SECOND, 429, "ProviderThrottled"), answered(THIRD))
    world.upstream.replies["second"] = answer("from the second", "whole")
    told = world.ask(Routing(shares=(Share(SECOND, 1),), fallbacks=(THIRD,)))
    assert (told.heard, told.kept.model, told.kept.fallback_reason) == ("from the second", SECOND, None)


def test_a_model_that_keeps_failing_is_left_alone_and_tried_again_later(world: World) -> None:
    world.upstream.replies |= {"first": BROKEN, "second": answer("from the second", "whole")}
    for _ in range(FAILURES):
        assert world.ask(FALLBACK).kept.fallback_reason == "unavailable"

    spared = world.ask(FALLBACK)
    world.upstream.replies["first"] = answer("well again", "whole")
    world.now += 30
    probe, after = world.ask(FALLBACK), world.ask(FALLBACK)

    skipped = ProviderAttempt(provider="openai", model=FIRST, outcome="skipped", failure="CircuitOpen", begun_ms=0)
    assert (spared.kept.fallback_reason, spared.attempts) == ("circuit_open", (skipped, answered(SECOND)))
    assert (probe.heard, probe.attempts, after.heard) == ("well again", (), "well again")


def test_a_model_that_rests_is_asked_all_the_same_when_nobody_else_answers(world: World) -> None:
    world.upstream.replies |= {"first": BROKEN, "second": answer("from the second", "whole")}
    for _ in range(FAILURES):
        world.ask(FALLBACK)
    world.upstream.replies |= {"first": answer("well again", "whole"), "second": BROKEN}

    told = world.ask(FALLBACK)

    assert (told.heard, told.kept.fallback_reason) == ("well again", None)
    assert [(each.model, each.outcome) for each in told.attempts] == [
        (FIRST, "skipped"),
        (SECOND, "failed"),
        (FIRST, "answered"),
    ]


def test_a_callers_own_key_neither_opens_a_circuit_nor_meets_one(world: World) -> None:
    world.upstream.replies |= {"first": BUSY, "second": answer("from the second", "whole")}
    for _ in range(FAILURES + 1):
        world.ask(FALLBACK, provider_keys={"openai": "canary-own"})
    assert world.ask(FALLBACK).kept.fallback_reason == "throttled"
    for _ in range(FAILURES):
        world.ask(FALLBACK)
    assert world.ask(FALLBACK, provider_keys={"openai": "canary-own"}).kept.fallback_reason == "throttled"
    assert world.ask(FALLBACK).kept.fallback_reason == "circuit_open"


def test_impatience_says_nothing_of_the_provider(world: World) -> None:
    world.upstream.replies |= {
        "first": answer("later", "whole", hold=world.silence, hold_at=0),
        "second": answer("from the second", "whole"),
    }
    routing = Routing(strategy="timeout", fallbacks=(SECOND,), wait_s=0.02)
    assert {world.ask(routing).kept.fallback_reason for _ in range(FAILURES + 1)} == {"timeout"}


TOTAL = "The call was to take 0.4 s at most, and openai had not answered in full."
FIRST_TOKEN = "openai did not begin to answer within 0.4 s."
SILENT = "openai fell silent for 0.4 s before its answer was complete."


@pytest.mark.parametrize(
    ("deadlines", "how", "hold_at", "message", "code"),
    [
        (Deadlines(total_s=0.4), "whole", 0, TOTAL, "timeout"),
        (Deadlines(total_s=0.4), "whole", -1, TOTAL, "timeout"),
        (Deadlines(total_s=0.4), "stream", 0, TOTAL, "timeout"),
        (Deadlines(first_token_s=0.4, total_s=20), "whole", 0, FIRST_TOKEN, "first_token_timeout"),
        (Deadlines(first_token_s=0.4), "whole", -1, FIRST_TOKEN, "first_token_timeout"),
        (Deadlines(first_token_s=0.4), "stream", 0, FIRST_TOKEN, "first_token_timeout"),
        (Deadlines(first_token_s=0.4), "stream", -1, FIRST_TOKEN, "first_token_timeout"),
        (Deadlines(first_token_s=0.4), "stream", 1, FIRST_TOKEN, "first_token_timeout"),
    ],
)
@pytest.mark.parametrize("place", ["call", "process"])
def test_a_deadline_before_the_first_token_is_a_failed_call(
    world: World, place: str, deadlines: Deadlines, how: str, hold_at: int, message: str, code: str
) -> None:
    world.upstream.replies["first"] = answer("too late", how, hold=world.silence, hold_at=hold_at)

    own = Routing(deadlines=deadlines) if place == "call" else None
    rule = deadlines if place == "process" else Deadlines()
    told = world.run(lambda service: world.call(service, own, how), rule)

    assert all(received.cut_off.wait(10) for received in world.upstream.received[:1])
    assert (type(told.error), str(told.error)) == (ProviderTimeout, message)
    failure = told.kept.failure
    assert failure is not None
    assert (told.kept.outcome, told.kept.status_code, told.kept.attempts) == ("error", 504, ())
    assert (failure.kind, failure.code, failure.message) == ("ProviderTimeout", code, message)


@pytest.mark.parametrize(
    ("deadlines", "message", "code"),
    [
        (Deadlines(between_tokens_s=0.4), SILENT, "between_tokens_timeout"),
        (Deadlines(total_s=0.4), TOTAL, "timeout"),
    ],
)
@pytest.mark.parametrize("alive", [(), (b": still here\n\n",)], ids=["silent", "signs of life"])
def test_a_deadline_amid_an_answer_keeps_what_had_come(
    world: World, deadlines: Deadlines, message: str, code: str, alive: tuple[bytes, ...]
) -> None:
    chunks = [*events("heard", "unheard")[:2], *alive, *events("heard", "unheard")[2:]]
    world.upstream.replies["first"] = Reply(chunks, headers=SSE_TYPE, hold=world.silence, hold_at=2 + len(alive))

    told = world.ask(Routing(deadlines=deadlines), "stream")

    assert all(received.cut_off.wait(10) for received in world.upstream.received[:1])
    assert (told.heard, type(told.error), str(told.error)) == ("heard", ProviderTimeout, message)
    failure = told.kept.failure
    assert failure is not None
    assert (told.kept.status_code, failure.kind, failure.code) == (504, "ProviderTimeout", code)


def test_a_whole_answer_that_stops_halfway_is_ended_too(world: World) -> None:
    world.upstream.replies["first"] = Reply([b'{"id":', b"1}"], hold=world.silence, hold_at=1)
    told = world.ask(Routing(deadlines=Deadlines(between_tokens_s=0.4)))
    assert (type(told.error), str(told.error)) == (ProviderTimeout, SILENT)


@pytest.mark.parametrize("how", JSON_OR_EVENTS)
@pytest.mark.parametrize("hold_at", [0, -1, 1])
def test_the_time_that_lambda_gives_goes_before_every_deadline(world: World, how: str, hold_at: int) -> None:
    late = answer("too late", how, hold=world.silence, hold_at=hold_at)
    world.upstream.replies["first"] = replace(late, chunks=[b" ", *late.chunks]) if how == "whole" else late

    async def bounded(service: Completions) -> Told:
        DEADLINE.set(asyncio.get_running_loop().time() + 0.4)
        generous = Deadlines(first_token_s=20, between_tokens_s=20, total_s=20)
        return await world.call(service, Routing(fallbacks=(SECOND,), retries=Retries(3), deadlines=generous), how)

    told = world.run(bounded)

    assert type(told.error) is ProviderTimeout
    assert "in time" in str(told.error) or "time for this call was over" in str(told.error)
    assert len(world.upstream.received) == 1


def test_the_calls_deadline_ends_its_fallbacks_too(world: World) -> None:
    world.upstream.replies |= {"first": BUSY, "second": answer("too late", "whole", hold=world.silence, hold_at=0)}

    told = world.ask(Routing(fallbacks=(SECOND, THIRD), deadlines=Deadlines(total_s=0.4)))

    assert str(told.error) == TOTAL.replace("openai", "groq")
    assert told.attempts == (failed(FIRST, 429, "ProviderThrottled"), failed(SECOND, None, "ProviderTimeout"))
    assert (told.kept.status_code, told.kept.provider) == (504, "groq")


def test_a_calls_own_zero_lifts_a_deadline_of_the_process(world: World) -> None:
    world.upstream.replies["first"] = answer("slow", "whole", hold=world.silence, hold_at=0)
    own, rule = Routing(deadlines=Deadlines(first_token_s=0)), Deadlines(first_token_s=0.1)

    async def slow(service: Completions) -> Told:
        asyncio.get_running_loop().call_later(0.3, world.silence.set)
        return await world.call(service, own, "whole")

    assert world.run(slow, rule).heard == "slow"


def test_a_call_that_asks_for_nothing_more_has_one_attempt_and_none_on_record(world: World) -> None:
    world.upstream.replies["first"] = answer("at once", "whole")
    told = world.ask(None)
    assert (told.heard, told.kept.attempts, told.kept.fallback_reason) == ("at once", (), None)
    assert told.attempt is not None
    assert told.attempt.tries == ()


def test_a_provider_that_cannot_be_reached_is_an_unavailable_one(world: World) -> None:
    with Upstream() as gone:
        world.url = gone.url
    told = world.ask(Routing(retries=Retries(1, 0.2)))
    assert type(told.error) is ProviderUnavailable
    assert told.attempts == (failed(FIRST, None, "ProviderUnavailable"),) * 2
