"""The columns of the archive's lines, as both engines are told them."""

TEXT = "string"
WHOLE = "bigint"
NUMBER = "double"
TRUTH = "boolean"

_USAGE = (
    "prompt",
    "completion",
    "cached",
    "cache_written",
    "reasoning",
    "prompt_audio",
    "completion_audio",
    "accepted_prediction",
    "rejected_prediction",
)

_ATTEMPT = (
    ("provider", TEXT),
    ("model", TEXT),
    ("outcome", TEXT),
    ("status", WHOLE),
    ("failure", TEXT),
    ("begun_ms", NUMBER),
    ("first_token_ms", NUMBER),
    ("latency_ms", NUMBER),
    ("prompt_tokens", WHOLE),
    ("completion_tokens", WHOLE),
    ("claimed_cost", TEXT),
    ("computed_cost", TEXT),
    ("estimated_cost", TEXT),
)

COLUMNS: tuple[tuple[str, str], ...] = (
    ("kind", TEXT),
    ("id", TEXT),
    ("revision", WHOLE),
    ("created_at", WHOLE),
    ("environment", TEXT),
    ("origin", TEXT),
    ("inference_location", TEXT),
    ("request_type", TEXT),
    ("caller_id", TEXT),
    ("application", TEXT),
    ("intent", TEXT),
    ("session_id", TEXT),
    ("reference_id", TEXT),
    ("user_id", TEXT),
    ("customer_identifier", TEXT),
    ("custom_identifier", TEXT),
    ("group_identifier", TEXT),
    ("log_type", TEXT),
    ("trace_id", TEXT),
    ("span_id", TEXT),
    ("parent_span_id", TEXT),
    ("span_name", TEXT),
    ("workflow_name", TEXT),
    ("prompt_id", TEXT),
    ("prompt_name", TEXT),
    ("deployment", TEXT),
    ("provider", TEXT),
    ("model", TEXT),
    ("answered_model", TEXT),
    ("stream", TRUTH),
    ("status_code", WHOLE),
    ("outcome", TEXT),
    ("failure", "struct<kind:string,message:string,code:string,provider_status:bigint>"),
    ("finish_reason", TEXT),
    ("raw_finish_reason", TEXT),
    ("claimed_usage", f"struct<{','.join(f'{name}:bigint' for name in _USAGE)}>"),
    ("claimed_cost", TEXT),
    ("computed_cost", TEXT),
    ("price_version", TEXT),
    ("first_token_ms", NUMBER),
    ("latency_ms", NUMBER),
    ("client_first_token_ms", NUMBER),
    ("client_latency_ms", NUMBER),
    ("tokens_per_second", NUMBER),
    ("note", TEXT),
    ("positive_feedback", TRUTH),
    ("writer", TEXT),
    ("fallback_reason", TEXT),
    ("attempts", f"array<struct<{','.join(f'{name}:{kind}' for name, kind in _ATTEMPT)}>>"),
    ("corrected_at", WHOLE),
    ("session_review", TEXT),
    ("metadata", TEXT),
    ("warnings", f"array<{TEXT}>"),
    ("request", TEXT),
    ("response", TEXT),
    ("reply", TEXT),
)
"""Names and Hive types. Costs are decimal texts, times Unix milliseconds; `metadata` is an object, read as its text.

What a line holds beside them, its nonce for one, no query needs.
"""

PARTITIONS = ("workspace", "date", "hour")


def duckdb_type(hive: str) -> str:
    """DuckDB's name of a Hive type that occurs above."""
    plain = {TEXT: "VARCHAR", WHOLE: "BIGINT", NUMBER: "DOUBLE", TRUTH: "BOOLEAN"}
    if hive.startswith("array<"):
        return f"{duckdb_type(hive[6:-1])}[]"
    if hive.startswith("struct<"):
        fields = (field.split(":") for field in hive[7:-1].split(","))
        return f"STRUCT({', '.join(f'{name} {duckdb_type(kind)}' for name, kind in fields)})"
    return plain[hive]
