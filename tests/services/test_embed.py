"""Deadlines of calls for embeddings, the process's and the call's own, by a clock that jumps."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from tests.fast_loop import run_fast
from weir.domain.embedding import EmbeddingCall
from weir.domain.errors import ProviderTimeout
from weir.domain.record import Record
from weir.domain.routing import NO_DEADLINES, Deadlines, Routing
from weir.providers.client import ProviderClient
from weir.providers.registry import Registry
from weir.services.attempt import Ask, Recorder
from weir.services.embed import Embedder

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
TITAN = "bedrock/amazon.titan-embed-text-v2:0"
ENVIRON = {
    "BEDROCK_API_KEY": "canary-bedrock-key",
    "BEDROCK_BASE_URL": "http://127.0.0.1:1",
    "AWS_REGION": "us-east-1",
}
BODY = b'{"embedding": [0.5], "inputTextTokenCount": 2}'

TOTAL = ("The call was to take 2 s at most, and bedrock had not answered in full.", "timeout")
FIRST = ("bedrock did not begin to answer within 2 s.", "first_token_timeout")
SILENT = ("bedrock fell silent for 2 s before its answer was complete.", "between_tokens_timeout")


@dataclass
class Provider(httpx.AsyncBaseTransport):
    """Takes so long for the head of an answer, and before each half of its body; remembers what it was asked."""

    head_s: float = 0
    halves_s: tuple[float, float] = (0, 0)
    asked: list[Mapping[str, Any]] = field(default_factory=list)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request.extensions["timeout"])
        await asyncio.sleep(self.head_s)
        return httpx.Response(200, stream=_Halves(self.halves_s))


@dataclass
class _Halves(httpx.AsyncByteStream):
    waits_s: tuple[float, float]

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for wait_s, half in zip(self.waits_s, (BODY[:9], BODY[9:]), strict=True):
            await asyncio.sleep(wait_s)
            yield half


@dataclass
class Kept:
    """A ledger that takes every record."""

    records: list[Record] = field(default_factory=list)

    async def keep(self, record: Record, payload: object, *, claimed: bool) -> SimpleNamespace:
        self.records.append(record)
        return SimpleNamespace(new=True)


def embed(provider: Provider, texts: int, own: Deadlines | None, rule: Deadlines = NO_DEADLINES) -> Record:
    """The record of a call, whether it was answered or ended by a deadline."""
    ledger: Any = Kept()

    async def call() -> None:
        recorder = Recorder(
            ledger, frozenset(), now=lambda: AT, new_id=lambda _: "id", clock=asyncio.get_running_loop().time
        )
        embedder = Embedder(Registry.from_environ(ENVIRON), ProviderClient(provider), recorder, rule)
        ask = Ask(
            call=EmbeddingCall(model="", inputs=("x",) * texts),
            model=TITAN,
            workspace="default",
            environment="prod",
            request=b"{}",
            routing=None if own is None else Routing(deadlines=own),
        )
        with contextlib.suppress(ProviderTimeout):
            await embedder.embed(embedder.begin(ask))

    run_fast(call())
    (record,) = ledger.records
    assert isinstance(record, Record)
    return record


def ended(record: Record) -> tuple[int, str, str | None] | None:
    failure = record.failure
    return None if failure is None else (record.status_code, failure.message, failure.code)


@pytest.mark.parametrize("place", ["call", "process"])
@pytest.mark.parametrize(
    ("deadlines", "provider", "told"),
    [
        (Deadlines(total_s=2), Provider(head_s=9), TOTAL),
        (Deadlines(total_s=2), Provider(halves_s=(9, 0)), TOTAL),
        (Deadlines(total_s=2), Provider(halves_s=(0, 9)), TOTAL),
        (Deadlines(first_token_s=2, total_s=99), Provider(head_s=9), FIRST),
        (Deadlines(first_token_s=2), Provider(halves_s=(9, 0)), FIRST),
        (Deadlines(between_tokens_s=2), Provider(halves_s=(0, 9)), SILENT),
        (Deadlines(first_token_s=2, between_tokens_s=2), Provider(1, (0.5, 1.5)), None),
    ],
)
def test_a_deadline_that_is_over_fails_the_call_and_is_on_record(
    place: str, deadlines: Deadlines, provider: Provider, told: tuple[str, str] | None
) -> None:
    own, rule = (deadlines, NO_DEADLINES) if place == "call" else (None, deadlines)

    record = embed(provider, 1, own, rule)

    assert ended(record) == (None if told is None else (504, *told))
    assert told is None or record.latency_ms == 2000


def test_every_request_of_a_call_has_its_own_first_byte_and_all_share_the_calls_end() -> None:
    """Titan takes one text at a time, and eight requests are under way at once."""
    in_time, late = Provider(head_s=1.5), Provider(head_s=1.5)

    assert ended(embed(in_time, 20, Deadlines(first_token_s=2))) is None
    assert ended(embed(late, 20, Deadlines(total_s=2))) == (504, *TOTAL)

    assert (len(in_time.asked), len(late.asked)) == (20, 16)


def test_a_calls_own_deadline_goes_before_the_processs_and_0_lifts_it() -> None:
    rule, provider = Deadlines(total_s=2), Provider(head_s=9)
    assert ended(embed(provider, 1, Deadlines(total_s=0), rule)) is None
    assert ended(embed(provider, 1, Deadlines(total_s=99), rule)) is None
    assert ended(embed(provider, 1, Deadlines(first_token_s=99), rule)) == (504, *TOTAL)


def test_the_calls_time_for_connecting_is_the_connections() -> None:
    provider = Provider()
    embed(provider, 1, Deadlines(connect_s=0.25))
    embed(provider, 1, None)
    assert [asked["connect"] for asked in provider.asked] == [0.25, 10]
