"""Hypothesis strategies for the domain's values."""

from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as st

from weir.domain.completion import NOTHING, Usage
from weir.domain.ids import instant_of, uuid7
from weir.domain.record import Failure, Payload, ProviderAttempt, Record
from weir.protocols import jsonbytes

LAST_MILLISECOND = int(datetime(2200, 1, 1, tzinfo=UTC).timestamp()) * 1000
"""Long after it, an instant's seconds as a float no longer hold the millisecond."""

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)  # a lone surrogate has no UTF-8 form
names = texts | st.sampled_from(["", "#", "a#b", "a%23b", "%", "..", "a/b", "team one", "größe", "x" * 3000])
counts = st.integers(0, 10**9)
milliseconds = st.integers(0, LAST_MILLISECOND) | st.integers(1_767_225_600_000, 1_767_225_600_000 + 3 * 86_400_000)
ids = st.builds(uuid7, milliseconds, st.integers(0, 2**74 - 1))
costs = st.decimals(min_value=0, max_value=10**6, allow_nan=False, allow_infinity=False)
durations = st.floats(0, 10**7, allow_nan=False, allow_infinity=False)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
metadata = st.dictionaries(texts, json_values, max_size=4)
usages = st.builds(
    Usage,
    prompt=counts,
    completion=counts,
    cached=st.none() | counts,
    cache_written=st.none() | counts,
    reasoning=st.none() | counts,
    prompt_audio=st.none() | counts,
    completion_audio=st.none() | counts,
    accepted_prediction=st.none() | counts,
    rejected_prediction=st.none() | counts,
)
"""Without `cost` and `extra`: a record has the claimed cost as a field of its own, and the rest is in the payload."""

failures = st.builds(
    Failure, kind=names, message=texts, code=st.none() | texts, provider_status=st.none() | st.integers(100, 599)
)

attempts = st.builds(
    ProviderAttempt,
    provider=st.none() | names,
    model=names,
    outcome=st.sampled_from(["answered", "failed", "cancelled", "skipped"]),
    status=st.none() | st.integers(100, 599),
    failure=st.none() | names,
    begun_ms=durations,
    first_token_ms=st.none() | durations,
    latency_ms=st.none() | durations,
    prompt_tokens=st.none() | counts,
    completion_tokens=st.none() | counts,
    claimed_cost=st.none() | costs,
    computed_cost=st.none() | costs,
)


@st.composite
def records(draw: st.DrawFn, /, **fixed: Any) -> Record:
    """Any record, with `created_at` the time inside its id. Fields given by name are as given."""
    optional_text = st.none() | texts
    fields: dict[str, Any] = {
        "id": ids,
        "workspace": names,
        "environment": st.sampled_from(["prod", "test"]),
        "origin": st.sampled_from(["completion", "storage", "request_log"]),
        "inference_location": st.sampled_from(["SERVER", "CLIENT"]),
        "request_type": st.sampled_from(["PROD", "RERUN", "SYNTHETIC", "MANUAL"]),
        "caller_id": st.none() | names,
        "stream": st.booleans(),
        "status_code": st.integers(100, 599),
        "outcome": st.sampled_from(["complete", "error", "cut_off", "caller_gone"]),
        "failure": st.none() | failures,
        "claimed_usage": st.none() | usages,
        "claimed_cost": st.none() | costs,
        "computed_cost": st.none() | costs,
        "first_token_ms": st.none() | durations,
        "latency_ms": st.none() | durations,
        "client_first_token_ms": st.none() | durations,
        "client_latency_ms": st.none() | durations,
        "tokens_per_second": st.none() | durations,
        "positive_feedback": st.none() | st.booleans(),
        "metadata": metadata | st.just(NOTHING),
        "corrected_at": st.none() | ids.map(instant_of),
        "session_review": metadata | st.just(NOTHING),
        "warnings": st.lists(texts, max_size=3).map(tuple),
        "writer": st.none() | texts,
        "attempts": st.lists(attempts, max_size=3).map(tuple),
        "revision": st.integers(0, 3),
    }
    fields |= dict.fromkeys(
        (
            "application",
            "intent",
            "session_id",
            "reference_id",
            "user_id",
            "customer_identifier",
            "provider",
            "model",
            "answered_model",
            "finish_reason",
            "raw_finish_reason",
            "price_version",
            "log_type",
            "custom_identifier",
            "group_identifier",
            "trace_id",
            "span_id",
            "parent_span_id",
            "span_name",
            "workflow_name",
            "prompt_id",
            "prompt_name",
            "deployment",
            "note",
            "fallback_reason",
        ),
        optional_text,
    )
    drawn = {name: fixed[name] if name in fixed else draw(strategy) for name, strategy in fields.items()}
    return Record(created_at=instant_of(drawn["id"]), **drawn)


payloads = st.builds(
    Payload,
    request=json_values.map(jsonbytes.dumps),
    response=st.none() | json_values.map(jsonbytes.dumps),
    reply=st.none() | st.binary(max_size=40) | texts.map(str.encode),
)
