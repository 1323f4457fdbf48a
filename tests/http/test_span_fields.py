"""Every convention for spans, whole: what a log says of a span that follows it."""

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from weir.domain.ids import instant_of, uuid7
from weir.domain.record import Payload
from weir.http.chat_request import NAME_LIMIT
from weir.http.request_log_view import log_view
from weir.http.request_logs import LogFields
from weir.http.span_fields import SpanLog, log_fields, span_record, to_log
from weir.ledger.items import from_item, to_item
from weir.protocols import jsonbytes

PLACE = {"traceId": "0102030405060708090a0b0c0d0e0f10", "spanId": "0102030405060708"}
IDS = {"trace_unique_id": PLACE["traceId"], "span_unique_id": PLACE["spanId"]}
USER = {"role": "user", "content": "What is the weather in Bern?"}
TOOL_CALL = {"id": "call-1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Bern"}'}}
TOOL_RESULT = {"role": "tool", "tool_call_id": "call-1", "content": "rain"}
TOOL = {
    "type": "function",
    "function": {"name": "weather", "description": "Tells it", "parameters": {"type": "object"}},
}


def span(attributes: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {**PLACE, "attributes": attributes, **fields}


CURRENT = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "aws.bedrock",
    "gen_ai.request.model": "amazon.nova-lite-v1:0",
    "gen_ai.response.model": "nova-lite",
    "gen_ai.response.id": "resp-1",
    "gen_ai.conversation.id": "conversation-1",
    "gen_ai.workflow.name": "forecast",
    "gen_ai.request.temperature": 0.5,
    "gen_ai.request.top_p": 0.9,
    "gen_ai.request.max_tokens": 100,
    "gen_ai.request.frequency_penalty": 0.1,
    "gen_ai.request.presence_penalty": 0.2,
    "gen_ai.request.stream": True,
    "gen_ai.response.finish_reasons": ["tool_call"],
    "gen_ai.response.time_to_first_chunk": 0.25,
    "gen_ai.usage.input_tokens": 12,
    "gen_ai.usage.output_tokens": 7,
    "gen_ai.usage.cache_read.input_tokens": 4,
    "gen_ai.usage.cache_creation.input_tokens": 2,
    "gen_ai.usage.reasoning.output_tokens": 3,
    "gen_ai.system_instructions": json.dumps([{"type": "text", "content": "Be brief."}]),
    "gen_ai.input.messages": json.dumps(
        [
            {"role": "user", "parts": [{"type": "text", "content": "What is the weather in Bern?"}]},
            {
                "role": "assistant",
                "parts": [{"type": "tool_call", "id": "call-1", "name": "weather", "arguments": {"city": "Bern"}}],
            },
            {"role": "tool", "parts": [{"type": "tool_call_response", "id": "call-1", "response": "rain"}]},
        ]
    ),
    "gen_ai.output.messages": json.dumps(
        [
            {
                "role": "assistant",
                "finish_reason": "tool_call",
                "parts": [
                    {"type": "reasoning", "content": "hm"},
                    {"type": "text", "content": "Rain"},
                    {"type": "blob", "modality": "image", "mime_type": "image/png", "content": "AAE="},
                ],
            }
        ]
    ),
    "gen_ai.tool.definitions": json.dumps([TOOL]),
}
CURRENT_FIELDS = {
    **IDS,
    "log_type": "chat",
    "model": "amazon.nova-lite-v1:0",
    "thread_identifier": "conversation-1",
    "span_workflow_name": "forecast",
    "temperature": 0.5,
    "top_p": 0.9,
    "max_tokens": 100,
    "frequency_penalty": 0.1,
    "presence_penalty": 0.2,
    "stream": True,
    "time_to_first_token": 0.25,
    "prompt_tokens": 12,
    "completion_tokens": 7,
    "prompt_cache_hit_tokens": 4,
    "prompt_cache_creation_tokens": 2,
    "reasoning_tokens": 3,
    "prompt_messages": [
        {"role": "system", "content": "Be brief."},
        USER,
        {"role": "assistant", "tool_calls": [TOOL_CALL]},
        TOOL_RESULT,
    ],
    "completion_message": {
        "role": "assistant",
        "content": [
            {"type": "text", "text": "Rain"},
            {"type": "blob", "modality": "image", "mime_type": "image/png", "content": "AAE="},
        ],
        "reasoning_content": "hm",
    },
    "tools": [TOOL],
    "metadata": {"gen_ai.response.id": "resp-1"},
}

OLDER = {
    "gen_ai.system": "az.ai.openai",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.response.model": "gpt-4o-2024-08-06",
    "gen_ai.usage.prompt_tokens": 12,
    "gen_ai.usage.completion_tokens": 7,
    "gen_ai.prompt.0.role": "user",
    "gen_ai.prompt.0.content": "What is the weather in Bern?",
    "gen_ai.prompt.1.role": "assistant",
    "gen_ai.prompt.1.tool_calls.0.id": "call-1",
    "gen_ai.prompt.1.tool_calls.0.name": "weather",
    "gen_ai.prompt.1.tool_calls.0.arguments": '{"city":"Bern"}',
    "gen_ai.prompt.2.role": "tool",
    "gen_ai.prompt.2.tool_call_id": "call-1",
    "gen_ai.prompt.2.content": "rain",
    "gen_ai.prompt.10.role": "user",
    "gen_ai.prompt.10.content": "And?",
    "gen_ai.completion.0.role": "assistant",
    "gen_ai.completion.0.content": "Rain",
    "gen_ai.completion.0.finish_reason": "stop",
    "gen_ai.completion.1.role": "assistant",
    "gen_ai.completion.1.content": "Wet",
    "llm.request.functions.0.name": "weather",
    "llm.request.functions.0.description": "Tells it",
    "llm.request.functions.0.parameters": '{"type": "object"}',
}
ANSWERS = [
    {"role": "assistant", "content": "Rain"},
    {"role": "assistant", "content": "Wet"},
]
OLDER_FIELDS = {
    **IDS,
    "log_type": "chat",
    "model": "gpt-4o",
    "prompt_tokens": 12,
    "completion_tokens": 7,
    "prompt_messages": [
        USER,
        {"role": "assistant", "tool_calls": [TOOL_CALL]},
        TOOL_RESULT,
        {"role": "user", "content": "And?"},
    ],
    "completion_message": ANSWERS[0],
    "completion_messages": ANSWERS,
    "tools": [TOOL],
}

OPENLLMETRY = {
    "traceloop.span.kind": "tool",
    "traceloop.workflow.name": "forecast",
    "traceloop.entity.name": "weather",
    "traceloop.entity.path": "forecast.weather",
    "traceloop.entity.input": '{"args": ["Bern"]}',
    "traceloop.entity.output": '"rain"',
    "traceloop.association.properties.session_id": 7,
    "traceloop.association.properties.user_id": "user-1",
    "traceloop.association.properties.customer_id": "customer-1",
    "traceloop.association.properties.plan": "pro",
    "traceloop.prompt.key": "prompt-1",
}
OPENLLMETRY_FIELDS = {
    **IDS,
    "log_type": "tool",
    "span_workflow_name": "forecast",
    "input": '{"args": ["Bern"]}',
    "output": '"rain"',
    "thread_identifier": "7",
    "customer_identifier": "customer-1",
    "prompt_id": "prompt-1",
    "metadata": {
        "plan": "pro",
        "traceloop.entity.name": "weather",
        "traceloop.entity.path": "forecast.weather",
    },
}

OPENINFERENCE = {
    "openinference.span.kind": "LLM",
    "llm.provider": "google",
    "llm.system": "vertexai",
    "llm.model_name": "gemini-2.5-flash-001",
    "llm.invocation_parameters": '{"model": "gemini-2.5-flash", "temperature": 0.5, "max_completion_tokens": 100}',
    "llm.input_messages.0.message.role": "user",
    "llm.input_messages.0.message.contents.0.message_content.type": "text",
    "llm.input_messages.0.message.contents.0.message_content.text": "See?",
    "llm.input_messages.0.message.contents.1.message_content.type": "image",
    "llm.input_messages.0.message.contents.1.message_content.image.image.url": "https://example.org/a.png",
    "llm.input_messages.1.message.role": "assistant",
    "llm.input_messages.1.message.tool_calls.0.tool_call.id": "call-1",
    "llm.input_messages.1.message.tool_calls.0.tool_call.function.name": "weather",
    "llm.input_messages.1.message.tool_calls.0.tool_call.function.arguments": '{"city":"Bern"}',
    "llm.input_messages.2.message.role": "tool",
    "llm.input_messages.2.message.content": "rain",
    "llm.input_messages.2.message.tool_call_id": "call-1",
    "llm.output_messages.0.message.role": "assistant",
    "llm.output_messages.0.message.content": "Rain",
    "llm.tools.0.tool.json_schema": json.dumps(TOOL),
    "llm.token_count.prompt": 12.0,
    "llm.token_count.completion": 7,
    "llm.token_count.total": 19,
    "llm.token_count.prompt_details.cache_read": 4,
    "llm.token_count.prompt_details.cache_write": 2,
    "llm.token_count.completion_details.reasoning": 3,
    "llm.cost.total": 0.0125,
    "llm.finish_reason": "stop",
    "input.mime_type": "text/plain",
    "input.value": "the whole request",
    "output.value": "the whole answer",
    "session.id": "session-1",
    "user.id": "user-1",
    "metadata": '{"plan": "pro", "_internal": 1}',
    "tag.tags": ["a", "b"],
    "prompt.id": "prompt-1",
}
OPENINFERENCE_FIELDS = {
    **IDS,
    "log_type": "chat",
    "model": "gemini-2.5-flash",
    "thread_identifier": "session-1",
    "prompt_id": "prompt-1",
    "temperature": 0.5,
    "max_tokens": 100,
    "prompt_tokens": 12,
    "completion_tokens": 7,
    "usage": {"total_tokens": 19},
    "prompt_cache_hit_tokens": 4,
    "prompt_cache_creation_tokens": 2,
    "reasoning_tokens": 3,
    "cost": 0.0125,
    "prompt_messages": [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "See?"},
                {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}},
            ],
        },
        {"role": "assistant", "tool_calls": [TOOL_CALL]},
        TOOL_RESULT,
    ],
    "completion_message": {"role": "assistant", "content": "Rain"},
    "tools": [TOOL],
    "input": "the whole request",
    "output": "the whole answer",
    "metadata": {"plan": "pro", "tags": ["a", "b"]},
}


def ours(company: str) -> dict[str, Any]:
    return {
        f"{company}.entity.log_type": "agent",
        f"{company}.entity.log_method": "python_tracing",
        f"{company}.customer_params.customer_identifier": "customer-1",
        f"{company}.customer_params.email": "a@example.org",
        f"{company}.threads.thread_identifier": "thread-1",
        f"{company}.trace.trace_group_identifier": "group-1",
        f"{company}.span_params.custom_identifier": "custom-1",
        f"{company}.evaluation_params.evaluation_identifier": "evaluation-1",
        f"{company}.metadata.plan": "pro",
        f"{company}.metadata._tracing_sdk_version": "2.24.0",
        f"{company}.gateway.log_id": "log-1",
    }


def fields_of_ours(company: str) -> dict[str, Any]:
    return {
        **IDS,
        "log_type": "agent",
        "customer_identifier": "customer-1",
        "thread_identifier": "thread-1",
        "group_identifier": "group-1",
        "custom_identifier": "custom-1",
        "metadata": {
            "plan": "pro",
            f"{company}.entity.log_method": "python_tracing",
            f"{company}.customer_params.email": "a@example.org",
            f"{company}.evaluation_params.evaluation_identifier": "evaluation-1",
        },
    }


HTTP_SPAN = {"http.request.method": "GET", "http.response.status_code": 200, "server.port": 443}
HTTP_FIELDS = {
    **IDS,
    "log_type": "other",
    "status_code": 200,
    "metadata": {"http.request.method": "GET", "server.port": 443},
}

CONVENTIONS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "GenAI, current": (CURRENT, CURRENT_FIELDS),
    "GenAI, older": (OLDER, OLDER_FIELDS),
    "OpenLLMetry": (OPENLLMETRY, OPENLLMETRY_FIELDS),
    "OpenInference": (OPENINFERENCE, OPENINFERENCE_FIELDS),
    "Keywords AI": (ours("keywordsai"), fields_of_ours("keywordsai")),
    "Respan": (ours("respan"), fields_of_ours("respan")),
    "none: an HTTP request": (HTTP_SPAN, HTTP_FIELDS),
    "none at all": ({}, {**IDS, "log_type": "other"}),
}


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_a_span_is_read_by_its_convention(convention: str) -> None:
    attributes, expected = CONVENTIONS[convention]
    assert log_fields(span(attributes)) == expected


@pytest.mark.parametrize(
    ("convention", "beside"),
    [
        ("GenAI, current", {"provider": "bedrock", "answered_model": "nova-lite", "raw_finish_reason": "tool_call"}),
        (
            "GenAI, older",
            {"provider": "azure", "answered_model": "gpt-4o-2024-08-06", "raw_finish_reason": "stop"},
        ),
        ("OpenLLMetry", {"user_id": "user-1", "tags": {"plan": "pro"}}),
        (
            "OpenInference",
            {
                "provider": "gemini",
                "answered_model": "gemini-2.5-flash-001",
                "user_id": "user-1",
                "raw_finish_reason": "stop",
                "tags": {"plan": "pro", "tags": ["a", "b"]},
            },
        ),
        ("Respan", {"gateway_log_id": "log-1", "tags": {"plan": "pro"}}),
    ],
)
def test_what_a_log_has_no_field_for_stands_beside_it(convention: str, beside: dict[str, Any]) -> None:
    attributes, expected = CONVENTIONS[convention]
    assert to_log(span(attributes)) == SpanLog(body=LogFields.model_validate(expected), **beside)


def test_maitais_clients_name_their_application_in_the_resource() -> None:
    resource = {"attributes": {"service.name": "agent", "maitai.application": "shop"}}
    log = to_log(span({"maitai.session_id": "s"}, resource=resource))
    fields = LogFields.model_validate(
        {**IDS, "log_type": "other", "thread_identifier": "s", "metadata": {"service.name": "agent"}}
    )
    assert log == SpanLog(body=fields, application="shop")


EVENTS: dict[str, list[dict[str, Any]]] = {
    "one for all": [
        {
            "name": "gen_ai.client.inference.operation.details",
            "attributes": {
                "gen_ai.input.messages": [{"role": "user", "parts": [{"type": "text", "content": "Hi"}]}],
                "gen_ai.output.messages": [{"role": "assistant", "parts": [{"type": "text", "content": "Salü"}]}],
            },
        }
    ],
    "one a message": [
        {"name": "gen_ai.user.message", "attributes": {"content": "Hi"}},
        {"name": "gen_ai.choice", "attributes": {"index": 0, "message": '{"content": "Salü"}'}},
    ],
    "one a message, with its role": [
        {"name": "gen_ai.user.message", "attributes": {"content": "Hi", "role": "user"}},
        {"name": "gen_ai.choice", "attributes": {"message": {"role": "assistant", "content": "Salü"}}},
    ],
    "the oldest": [
        {"name": "gen_ai.content.prompt", "attributes": {"gen_ai.prompt": '[{"role": "user", "content": "Hi"}]'}},
        {"name": "gen_ai.content.completion", "attributes": {"gen_ai.completion": "Salü"}},
    ],
}


@pytest.mark.parametrize("name", EVENTS)
def test_what_was_said_may_stand_in_events(name: str) -> None:
    assert log_fields(span({}, events=EVENTS[name])) == {
        **IDS,
        "log_type": "chat",
        "prompt_messages": [{"role": "user", "content": "Hi"}],
        "completion_message": {"role": "assistant", "content": "Salü"},
    }


@pytest.mark.parametrize(
    ("attributes", "events"),
    [
        ({}, [{"name": "gen_ai.choice", "attributes": {"content": "Salü", "finish_reason": "length"}}]),
        (
            {
                "gen_ai.output.messages": '[{"role": "assistant", "parts": [{"type": "text", "content": "Salü"}], '
                '"finish_reason": "length"}]'
            },
            [],
        ),
        ({"gen_ai.response.finish_reasons": '["length", "stop"]'}, []),
        ({"llm.response.finish_reason": "length"}, []),
    ],
)
def test_the_reason_for_the_end_may_stand_in_many_places(attributes: dict[str, Any], events: list[Any]) -> None:
    assert to_log(span(attributes, events=events)).raw_finish_reason == "length"


def test_the_calls_that_an_answer_makes_are_the_logs_too() -> None:
    parts = [{"type": "tool_call", "id": "call-1", "name": "weather", "arguments": {"city": "Bern"}}]
    fields = log_fields(span({"gen_ai.output.messages": json.dumps([{"role": "assistant", "parts": parts}])}))
    assert fields["tool_calls"] == fields["completion_message"]["tool_calls"] == [TOOL_CALL]


def test_a_tool_in_the_conventions_own_form_is_shown_in_chat_completions() -> None:
    """OpenLLMetry 0.62 writes a function's members beside its type (opentelemetry-instrumentation-openai)."""
    function: Any = TOOL["function"]
    flat, other = {"type": "function", **function}, {"type": "web_search"}
    fields = log_fields(span({"gen_ai.tool.definitions": json.dumps([flat, other])}))
    assert fields["tools"] == [TOOL, other]


def test_attributes_go_before_events() -> None:
    attributes = {"gen_ai.prompt.0.role": "user", "gen_ai.prompt.0.content": "Hi"}
    fields = log_fields(span(attributes, events=[{"name": "gen_ai.user.message", "attributes": {"content": "?"}}]))
    assert fields["prompt_messages"] == [{"role": "user", "content": "Hi"}]


@pytest.mark.parametrize(
    ("attributes", "log_type"),
    [
        ({"traceloop.span.kind": "workflow"}, "workflow"),
        ({"traceloop.span.kind": "unknown", "gen_ai.request.model": "m"}, "chat"),
        ({"openinference.span.kind": "CHAIN"}, "task"),
        ({"openinference.span.kind": "EMBEDDING"}, "embedding"),
        ({"openinference.span.kind": "agent"}, "agent"),
        ({"gen_ai.operation.name": "execute_tool"}, "tool"),
        ({"gen_ai.operation.name": "invoke_agent", "gen_ai.request.model": "m"}, "agent"),
        ({"gen_ai.operation.name": "text_completion"}, "completion"),
        ({"llm.request.type": "rerank"}, "reranker"),
        ({"respan.entity.log_type": "GUARDRAIL", "traceloop.span.kind": "task"}, "guardrail"),
        ({"llm.model_name": "m"}, "chat"),
        ({"db.system": "postgresql"}, "other"),
    ],
)
def test_a_spans_kind_is_a_type_of_log(attributes: dict[str, Any], log_type: str) -> None:
    assert log_fields(span(attributes))["log_type"] == log_type


def test_counts_of_an_agent_repeat_those_of_its_calls_and_are_only_shown() -> None:
    usage = {"gen_ai.usage.input_tokens": 12, "gen_ai.usage.output_tokens": 7, "llm.cost.total": 0.5}
    fields = log_fields(span({"gen_ai.operation.name": "invoke_agent", **usage}))
    assert fields == {**IDS, "log_type": "agent", "metadata": usage}


def test_an_embedding_has_no_tokens_to_answer_with() -> None:
    attributes = {"gen_ai.operation.name": "embeddings", "gen_ai.usage.input_tokens": 5}
    fields = log_fields(span(attributes))
    assert fields == {**IDS, "log_type": "embedding", "prompt_tokens": 5, "completion_tokens": 0}


def test_times_are_the_tracers() -> None:
    times = {"startTimeUnixNano": "1767323045000000000", "endTimeUnixNano": "1767323046500000000"}
    chunk = {"name": "llm.content.completion.chunk", "timeUnixNano": "1767323045250000000"}
    later = {"name": "llm.content.completion.chunk", "timeUnixNano": "1767323045750000000"}
    assert log_fields(span({}, **times, events=[later, chunk])) == {
        **IDS,
        "log_type": "other",
        "start_time": "2026-01-02T03:04:05.000000Z",
        "timestamp": "2026-01-02T03:04:06.500000Z",
        "latency": 1.5,
        "time_to_first_token": 0.25,
    }


@pytest.mark.parametrize("ended", ["1767323044000000000", "18446744073709551615"])
def test_a_clock_that_went_wrong_breaks_nothing(ended: str) -> None:
    fields = log_fields(span({}, startTimeUnixNano="1767323045000000000", endTimeUnixNano=ended))
    assert ("latency" in fields) == (ended > "1767323045000000000")


EXCEPTION = {"name": "exception", "attributes": {"exception.type": "TimeoutError", "exception.message": "too slow"}}


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"status": {"code": "error", "message": "it broke"}}, {"error_message": "it broke"}),
        (
            {"status": {"code": "error"}, "events": [EXCEPTION]},
            {"error_message": "too slow", "error_code": "TimeoutError"},
        ),
        (
            {"status": {"code": "error"}, "attributes": {"error.type": "429", "error.message": "slow down"}},
            {"error_message": "slow down", "error_code": "429"},
        ),
        ({"attributes": {"status_code": 500, "error.message": "m"}}, {"status_code": 500, "error_message": "m"}),
    ],
)
def test_a_failure_is_told_in_the_spans_words(fields: dict[str, Any], said: dict[str, Any]) -> None:
    assert log_fields({**PLACE, **fields}) == {**IDS, "log_type": "other", "status": "error", **said}


@pytest.mark.parametrize("status", [{}, {"code": "ok"}, {"code": "ok", "message": "fine"}])
def test_an_exception_that_was_dealt_with_is_no_failure(status: dict[str, Any]) -> None:
    assert log_fields({**PLACE, "status": status, "events": [EXCEPTION]}) == {**IDS, "log_type": "other"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("gen_ai.request.model", ["a"]),
        ("gen_ai.request.model", ""),
        ("gen_ai.request.model", "m" * (NAME_LIMIT + 1)),
        ("gen_ai.usage.input_tokens", -1),
        ("gen_ai.usage.input_tokens", True),
        ("gen_ai.usage.input_tokens", 1.5),
        ("gen_ai.usage.input_tokens", "many"),
        ("gen_ai.request.temperature", "hot"),
        ("llm.is_streaming", "yes"),
        ("gen_ai.input.messages", "no JSON"),
        ("gen_ai.input.messages", '{"role": "user"}'),
        ("gen_ai.prompt.x.role", "user"),
        ("gen_ai.system_instructions", ""),
        ("gen_ai.prompt.0", "user"),
        ("gen_ai.response.finish_reasons", []),
        ("metadata", "[1]"),
        ("llm.cost.total", -0.5),
        ("session.id", None),
    ],
)
def test_an_attribute_that_means_something_else_is_left_unread(name: str, value: Any) -> None:
    fields = log_fields(span({"llm.request.type": "chat", name: value}))
    assert fields == {**IDS, "log_type": "chat"}


PATHS = st.sampled_from(
    ["gen_ai.prompt.0.", "llm.input_messages.0.message.", "gen_ai.completion.0.", "llm.tools.0.", "llm.prompts.0."]
).flatmap(
    lambda prefix: st.sampled_from(
        ["role", "content", "tool_calls.0.id", "tool_calls", "contents.0.message_content.type"]
    ).map(prefix.__add__)
)
NAMES_OF_ALL = (
    st.sampled_from(sorted({*CURRENT, *OLDER, *OPENLLMETRY, *OPENINFERENCE, *ours("respan"), *HTTP_SPAN})) | PATHS
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(["role", "parts", "type", "content", "text", "name", "model"]), inner, max_size=3
        )
    ),
    max_leaves=6,
)
ATTRIBUTES = st.dictionaries(NAMES_OF_ALL, VALUES | VALUES.map(json.dumps), max_size=6)
EVENT_NAMES = st.sampled_from(["exception", "gen_ai.choice", "gen_ai.user.message", "gen_ai.content.prompt"])


@example({"gen_ai.system_instructions": [None]}, [])
@given(
    ATTRIBUTES,
    st.lists(st.builds(lambda name, of: {"name": name, "attributes": of}, EVENT_NAMES, ATTRIBUTES), max_size=2),
)
def test_whatever_attributes_hold_the_span_is_a_record(attributes: dict[str, Any], events: list[Any]) -> None:
    document = span(attributes, events=events, status={"code": "error"})
    made = span_record(
        to_log(document),
        id=uuid7(1, 1),
        workspace="main",
        environment="prod",
        created_at=instant_of(uuid7(1, 1)),
        caller_id=None,
    )
    assert from_item(to_item(made)) == made
    view = log_view(made, Payload(jsonbytes.dumps(document)))
    assert (view["span_unique_id"], view["span"]) == (PLACE["spanId"], document)


def test_a_value_and_the_beginning_of_a_name_may_be_the_same() -> None:
    attributes = {
        "gen_ai.prompt.0.content": "Hi",
        "gen_ai.prompt.0.content.0.text": "lost",
        "gen_ai.prompt.0.tool_calls": "none",
    }
    fields = log_fields(span(attributes))
    assert fields["prompt_messages"] == [{"role": "user", "content": "Hi"}]


def test_attributes_without_a_meaning_lie_in_the_record_as_far_as_there_is_room() -> None:
    many = {f"app.number.{n:03}": n for n in range(200)}
    metadata = log_fields(span({"app.long": "x" * 300, **many}))["metadata"]
    assert metadata == {name: value for name, value in list(many.items())[:64]}
    long = {f"app.text.{n:03}": "x" * 100 for n in range(50)}
    assert len(log_fields(span(long))["metadata"]) == 2_000 // (len("app.text.000") + 100)


def test_the_callers_tags_go_before_attributes_without_a_meaning() -> None:
    many = {f"app.number.{n:03}": n for n in range(100)}
    metadata = log_fields(span({**many, "respan.metadata.plan": "pro"}))["metadata"]
    assert len(metadata) == 64
    assert metadata["plan"] == "pro"
