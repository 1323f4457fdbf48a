"""What a completion cost, in its record."""

import asyncio
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from functions.completion import app as completion_app
from tests.runtime import Caller, fixed_runtime
from tests.upstream import SSE_TYPE, Reply, Upstream, completion, events
from weir.domain.record import Record
from weir.prices.compiled import PRICE_VERSION
from weir.runtime.bootstrap import Runtime

Ask = Callable[..., Record]


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with Upstream(keep_alive=False) as upstream:
        yield upstream


@pytest.fixture
def ask(upstream: Upstream, tmp_path: Path) -> Ask:
    """Make one call, and read its record."""
    environ = {"OPENAI_API_KEY": "canary-openai-key", "OPENAI_BASE_URL": f"{upstream.url}/v1"}
    environ |= {"OWN_VENDOR_API_KEY": "canary-own-key", "OWN_VENDOR_BASE_URL": upstream.url}
    runtime: Runtime = replace(fixed_runtime(tmp_path), environ=environ)

    def call(model: str, **params: object) -> Record:
        body = {"model": model, "messages": [{"role": "user", "content": "Hi"}], **params}
        answer = Caller.of(runtime, [completion_app.mount]).post("/v1/chat/completions", json=body)
        found = asyncio.run(runtime.ledger.get("default", answer.headers["x-weir-request-id"]))
        assert found is not None
        return found[0]

    return call


@pytest.mark.parametrize(
    ("model", "answer", "computed"),
    [
        ("openai/gpt-4o-mini", {"model": "gpt-4o-mini-2024-07-18"}, "0.00000315"),
        ("openai/gpt-4o-mini", {"model": "a name of its own"}, "0.00000315"),
        ("openai/gpt-4o-mini", {"model": "gpt-4o"}, "0.0000525"),
        ("openai/gpt-4o-mini", {"usage": None}, None),
        ("openai/an-unknown-model", {"model": "an-unknown-model"}, None),
        ("own-vendor/gpt-4o-mini", {"model": "gpt-4o-mini"}, None),
    ],
)
def test_the_record_has_the_computed_cost_and_the_price_version_or_neither(
    ask: Ask, upstream: Upstream, model: str, answer: dict[str, Any], computed: str | None
) -> None:
    upstream.replies[model.partition("/")[2]] = Reply([json.dumps(completion(**answer)).encode()])
    record = ask(model)
    expected = (None, None) if computed is None else (Decimal(computed), PRICE_VERSION)
    assert (record.claimed_cost, record.computed_cost, record.price_version) == (None, *expected)


def test_a_claimed_cost_stays_beside_the_computed_one(ask: Ask, upstream: Upstream) -> None:
    usage = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12, "cost": 0.5}
    upstream.replies["gpt-4o-mini"] = Reply([json.dumps(completion(usage=usage)).encode()])
    record = ask("openai/gpt-4o-mini")
    assert (record.claimed_cost, record.computed_cost) == (Decimal("0.5"), Decimal("0.00000315"))
    assert record.cost == Decimal("0.5")


def test_a_stream_is_priced_like_a_whole_answer(ask: Ask, upstream: Upstream) -> None:
    upstream.replies["gpt-4o-mini"] = Reply(events("Hel", "lo"), headers=SSE_TYPE)
    record = ask("openai/gpt-4o-mini", stream=True)
    assert (record.computed_cost, record.price_version) == (Decimal("0.00000255"), PRICE_VERSION)


def test_a_call_that_failed_has_no_cost(ask: Ask) -> None:
    record = ask("openai/nothing-is-scripted-for-this")
    assert (record.outcome, record.computed_cost, record.price_version) == ("error", None, None)
