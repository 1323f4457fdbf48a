"""Records and payloads survive being written down."""

import gzip
import json
import zlib
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests import strategies
from weir.domain.completion import Usage
from weir.domain.ids import uuid7
from weir.domain.record import Failure, Payload, ProviderAttempt, Record
from weir.ledger import payloads
from weir.ledger.chat_words import CHAT_WORDS
from weir.ledger.items import from_item, to_item
from weir.protocols import jsonbytes

ID = uuid7(1_767_225_600_123, 7)
SMALLEST = Record(
    id=ID,
    workspace="main",
    environment="prod",
    created_at=datetime(2026, 1, 1, 0, 0, 0, 123_000, UTC),
    origin="storage",
    inference_location="CLIENT",
)
FULLEST = Record(
    id=ID,
    workspace="main",
    environment="test",
    created_at=datetime(2026, 1, 1, 0, 0, 0, 123_000, UTC),
    origin="completion",
    inference_location="SERVER",
    request_type="RERUN",
    caller_id="order-1",
    application="shop",
    intent="ANSWER",
    session_id="s1",
    reference_id="r1",
    user_id="u1",
    customer_identifier="c1",
    provider="openai",
    model="gpt-x",
    answered_model="gpt-x-1",
    stream=True,
    status_code=502,
    outcome="error",
    failure=Failure("ProviderUnavailable", "It broke.", "overloaded", 529),
    finish_reason="stop",
    raw_finish_reason="end_turn",
    claimed_usage=Usage(1, 2, 3, 4, 5, 6, 7, 8, 9),
    claimed_cost=Decimal("0.000001"),
    computed_cost=Decimal("0.10"),
    price_version="2026-01",
    first_token_ms=12.5,
    latency_ms=99.25,
    client_first_token_ms=13.5,
    client_latency_ms=101.75,
    metadata={"tier": 2},
    warnings=("top_k was left out",),
    log_type="chat",
    custom_identifier="i1",
    group_identifier="g1",
    trace_id="t1",
    span_id="t1s1",
    parent_span_id="t1s0",
    span_name="answer",
    workflow_name="shopping",
    prompt_id="p1",
    prompt_name="greeting",
    deployment="d1",
    tokens_per_second=20.5,
    note="checked",
    positive_feedback=False,
    writer="abcdefgh:7",
    fallback_reason="throttled",
    attempts=(
        ProviderAttempt(
            provider="openai",
            model="openai/gpt-x",
            outcome="failed",
            status=429,
            failure="ProviderThrottled",
            begun_ms=0.5,
            latency_ms=8.25,
            claimed_cost=Decimal("0.01"),
            estimated_cost=Decimal("0.005"),
        ),
        ProviderAttempt(
            provider="groq",
            model="groq/llama",
            outcome="answered",
            status=200,
            begun_ms=9.5,
            first_token_ms=3.0,
            latency_ms=90.25,
            prompt_tokens=1,
            completion_tokens=2,
            computed_cost=Decimal("0.10"),
        ),
        ProviderAttempt(model="nope/x", outcome="skipped", begun_ms=9.5),
    ),
    corrected_at=datetime(2026, 1, 2, 0, 0, 0, 456_000, UTC),
    session_review={"feedback": 2},
    cache_key="k" * 32,
    cached_from="019b7a3e-7e00-7000-8000-000000000001",
    revision=2,
)


@given(strategies.records())
def test_a_record_is_read_as_it_was_written(record: Record) -> None:
    assert from_item(to_item(record)) == record


def test_no_field_of_a_record_is_forgotten() -> None:
    unset = [field.name for field in fields(Record) if getattr(FULLEST, field.name) == getattr(SMALLEST, field.name)]
    assert unset == ["id", "workspace", "created_at"]
    assert from_item(to_item(FULLEST)) == FULLEST


def test_what_is_unknown_is_not_written() -> None:
    assert json.loads(to_item(SMALLEST)) == {
        "id": ID,
        "workspace": "main",
        "environment": "prod",
        "origin": "storage",
        "inference_location": "CLIENT",
        "request_type": "PROD",
        "stream": False,
        "status_code": 200,
        "outcome": "complete",
        "created_at": 1_767_225_600_123,
    }


@given(st.integers(0, strategies.LAST_MILLISECOND))
@example(1_111_111_111_009)
def test_the_time_of_a_record_is_kept_to_the_millisecond(milliseconds: int) -> None:
    created_at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)
    record = Record(
        id=uuid7(milliseconds, 1),
        workspace="main",
        environment="prod",
        created_at=created_at,
        origin="storage",
        inference_location="CLIENT",
    )
    assert json.loads(to_item(record))["created_at"] == milliseconds
    assert from_item(to_item(record)).created_at == created_at


@given(strategies.payloads)
@example(Payload(b"{}"))
@example(Payload(b"{}", b'{"a":1}', b""))
@example(Payload(b"{}", b"{}", b"data: \xff\xfe"))
def test_a_payload_is_read_as_it_was_written(payload: Payload) -> None:
    assert payloads.from_bytes(payloads.to_bytes(payload)) == payload
    assert payloads.from_bytes(payloads.to_bytes(payload, payloads.SMALL)) == payload
    assert payloads.from_bytes(payloads.to_gzip(payload)) == payload


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"\x1f\x8b", payloads.to_gzip(Payload(b"[1]"))[:-1], payloads.to_bytes(Payload(b"[1]"))[:-1],
     zlib.compressobj(zdict=b"other words").flush()],
)  # fmt: skip
def test_what_is_not_a_payload_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match="not"):
        payloads.from_bytes(content)


def test_the_words_that_payloads_were_written_with_never_change() -> None:
    assert zlib.adler32(CHAT_WORDS) == 0xF2B9125B
    assert len(CHAT_WORDS) <= 32_768 - 262  # zlib looks back no further


def test_a_blob_is_a_gzip_member_that_anybody_reads() -> None:
    assert gzip.decompress(payloads.to_gzip(Payload(b"[1]", b"[2]"))) == b'{"request":[1],"response":[2]}'


def test_the_words_make_a_short_payload_smaller() -> None:
    message = "Please summarize the following article in three sentences, and explain why the results are important."
    body = jsonbytes.dumps({"model": "gpt-4o-mini", "messages": [{"role": "user", "content": message}]})
    assert len(payloads.to_bytes(Payload(body))) * 3 < 2 * len(payloads.to_gzip(Payload(body)))
