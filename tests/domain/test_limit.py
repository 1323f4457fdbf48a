"""Which limits hold for a call, in which window, and what a call is taken to need."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from weir.domain.chat import ChatCall, Media, Message, Tool, Unknown
from weir.domain.completion import Text, ToolCall, Usage
from weir.domain.embedding import EmbeddingCall
from weir.domain.limit import (
    EACH,
    MEASURES,
    MEDIA_TOKENS,
    OUTPUT_TOKENS,
    Caller,
    Estimate,
    Limit,
    Measure,
    Rules,
    Subject,
    Window,
    amount,
    estimate,
    minute_of,
    units,
    used_by,
    window_of,
)
from weir.domain.record import ProviderAttempt, Record

AT = datetime(2026, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)


def limit(id: int, subject: Subject, measure: Measure = "requests_per_minute") -> Limit:
    return Limit(id=id, subject=subject, measure=measure, most=Decimal(id), created_at=AT)


def ids(rules: Rules, caller: Caller) -> list[tuple[int, Subject]]:
    return [(limit.id, subject) for limit, subject in rules.of(caller)]


def test_without_limits_there_is_nothing() -> None:
    assert not Rules()
    assert Rules().of(Caller("k", "ann", "shop", "CHAT")) == ()


def test_a_default_counts_each_by_itself() -> None:
    rules = Rules([limit(1, Subject("key", EACH)), limit(2, Subject("customer", EACH))])
    assert ids(rules, Caller("k", "ann")) == [(1, Subject("key", "k")), (2, Subject("customer", "ann"))]
    assert ids(rules, Caller("k")) == [(1, Subject("key", "k"))]


def test_the_closest_name_holds_for_each_measure() -> None:
    intent = Subject("intent", "CHAT", "shop")
    rules = Rules(
        [
            limit(1, Subject("intent", EACH, EACH)),
            limit(2, Subject("intent", EACH, EACH), "spend_per_day"),
            limit(3, Subject("intent", EACH, EACH), "spend_per_month"),
            limit(4, Subject("intent", EACH, "shop")),
            limit(5, Subject("intent", EACH, "shop"), "spend_per_day"),
            limit(6, intent),
        ]
    )
    assert ids(rules, Caller("k", None, "shop", "CHAT")) == [(6, intent), (5, intent), (3, intent)]
    assert [id for id, _ in ids(rules, Caller("k", None, "shop", "MAIL"))] == [4, 5, 3]
    assert [id for id, _ in ids(rules, Caller("k", None, "farm", "CHAT"))] == [1, 2, 3]
    assert ids(rules, Caller("k", None, "shop")) == ids(rules, Caller("k", None, None, "CHAT")) == []


def test_requests_are_taken_from_first() -> None:
    key, customer = Subject("key", EACH), Subject("customer", EACH)
    rules = Rules([limit(1, key, "spend_per_day"), limit(2, key, "tokens_per_minute"), limit(3, customer)])
    assert [id for id, _ in ids(rules, Caller("k", "ann"))] == [3, 2, 1]


@pytest.mark.parametrize(
    ("measure", "at", "window"),
    [
        ("requests_per_minute", AT, Window("202612312359", datetime(2027, 1, 1, tzinfo=UTC))),
        ("tokens_per_minute", AT.replace(minute=0), Window("202612312300", datetime(2026, 12, 31, 23, 1, tzinfo=UTC))),
        ("spend_per_day", AT, Window("20261231", datetime(2027, 1, 1, tzinfo=UTC))),
        ("spend_per_day", datetime(2028, 2, 29, tzinfo=UTC), Window("20280229", datetime(2028, 3, 1, tzinfo=UTC))),
        ("spend_per_month", AT, Window("202612", datetime(2027, 1, 1, tzinfo=UTC))),
        ("spend_per_month", datetime(2027, 2, 1, tzinfo=UTC), Window("202702", datetime(2027, 3, 1, tzinfo=UTC))),
    ],
)
def test_windows_are_those_of_the_clock_in_utc(measure: Measure, at: datetime, window: Window) -> None:
    assert window_of(measure, minute_of(at)) == window


def test_spend_is_counted_in_trillionths() -> None:
    assert units("spend_per_day", Decimal("0.000000000001")) == 1
    assert amount("spend_per_day", 10**12) == Decimal(1)
    assert (units("tokens_per_minute", Decimal(5)), amount("tokens_per_minute", 5)) == (5, Decimal(5))


def test_the_use_of_a_call_is_that_of_all_its_requests() -> None:
    lost = ProviderAttempt(model="a", outcome="cancelled", begun_ms=0, prompt_tokens=5, completion_tokens=2)
    won = ProviderAttempt(model="b", outcome="answered", begun_ms=0, prompt_tokens=7, completion_tokens=1)
    unknown = ProviderAttempt(model="c", outcome="failed", begun_ms=0)
    record = Record(
        id="r",
        workspace="main",
        environment="prod",
        created_at=AT,
        origin="completion",
        inference_location="SERVER",
        claimed_usage=Usage(7, 1),
        computed_cost=Decimal("0.5"),
        attempts=(lost, unknown, won),
    )
    assert [used_by(m, record) for m in MEASURES] == [1, 15, 5 * 10**11, 5 * 10**11]
    for outcome in ("cancelled", "failed"):
        ended = replace(record, attempts=(lost, unknown, replace(won, outcome=outcome)))
        assert used_by("tokens_per_minute", ended) == 15
    failed = replace(record, claimed_usage=None, computed_cost=None, attempts=(lost, unknown))
    assert [used_by(m, failed) for m in MEASURES] == [1, 7, None, None]
    assert used_by("tokens_per_minute", replace(failed, attempts=())) is None


def user(*parts: Text | Media | ToolCall | Unknown) -> Message:
    return Message("user", parts)


@pytest.mark.parametrize(
    ("call", "found"),
    [
        (ChatCall(model="m", messages=()), Estimate(0, OUTPUT_TOKENS)),
        (ChatCall(model="m", messages=(user(Text("x" * 401)),)), Estimate(4 + 101, OUTPUT_TOKENS)),
        (ChatCall(model="m", messages=(user(Text("水" * 100)),)), Estimate(4 + 75, OUTPUT_TOKENS)),
        (ChatCall(model="m", messages=(user(Text("\ud800")),)), Estimate(4 + 1, OUTPUT_TOKENS)),
        (
            ChatCall(model="m", messages=(user(Media("image", content="A" * 10**6)),), max_tokens=5),
            Estimate(4 + MEDIA_TOKENS, 5),
        ),
        (
            ChatCall(model="m", messages=(user(ToolCall("id", "f" * 8, "x" * 80)),), n=3),
            Estimate(26, 3 * OUTPUT_TOKENS),
        ),
        (ChatCall(model="m", messages=(), max_tokens=5, max_completion_tokens=7, n=2), Estimate(0, 14)),
        (ChatCall(model="m", messages=(user(Unknown("x", {"a": "y" * 32})),)), Estimate(4 + 11, OUTPUT_TOKENS)),
        (EmbeddingCall(model="m", inputs=("x" * 40, (1, 2, 3))), Estimate(13, 0)),
    ],
)
def test_a_call_is_taken_to_need_so_much(call: ChatCall | EmbeddingCall, found: Estimate) -> None:
    assert estimate(call) == found


def test_tools_are_part_of_the_prompt() -> None:
    small, large = (
        estimate(ChatCall(model="m", messages=(), tools=(Tool("f", None, {"description": "x" * length}),))).prompt
        for length in (0, 4000)
    )
    assert large - small == 1000
