"""OpenTelemetry's own exporter against a running Weir."""

import json
from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Status, StatusCode, format_span_id, format_trace_id

from tests.functions.conftest import Served

MESSAGES = [{"role": "user", "parts": [{"type": "text", "content": "Grüezi"}]}]


def traced() -> tuple[ReadableSpan, ...]:
    """A workflow with a call of a model in it, which fails."""
    memory = InMemorySpanExporter()
    provider = TracerProvider(resource=Resource({"service.name": "shop"}))
    provider.add_span_processor(SimpleSpanProcessor(memory))
    tracer = provider.get_tracer("tests")
    with tracer.start_as_current_span("answer") as workflow:
        workflow.set_attribute("traceloop.span.kind", "workflow")
        with tracer.start_as_current_span("chat gpt-4o") as call:
            call.set_attributes(
                {
                    "gen_ai.operation.name": "chat",
                    "gen_ai.request.model": "gpt-4o",
                    "gen_ai.response.finish_reasons": ["stop"],
                    "gen_ai.input.messages": json.dumps(MESSAGES),
                    "session.id": f"session of {format_span_id(call.get_span_context().span_id)}",
                }
            )
            call.record_exception(TimeoutError("too slow"))
            call.set_status(Status(StatusCode.ERROR))
    provider.shutdown()
    return memory.get_finished_spans()


def exporter(served: Served, path: str, compression: Compression, key: str | None = None) -> OTLPSpanExporter:
    headers = {"authorization": f"Bearer {key or served.weir.key}"}
    return OTLPSpanExporter(endpoint=served.weir.url + path, headers=headers, compression=compression)


@pytest.mark.parametrize("compression", list(Compression))
@pytest.mark.parametrize("path", ["/v1/traces", "/api/v1/traces", "/api/v2/traces/"])
def test_what_it_exports_is_the_tree_that_was_traced(served: Served, path: str, compression: Compression) -> None:
    spans = traced()
    for _ in range(2):  # an exporter that missed the answer sends the same spans again
        assert exporter(served, path, compression).export(spans) is SpanExportResult.SUCCESS
    call, workflow = (span.get_span_context() for span in spans)
    assert call is not None
    assert workflow is not None
    trace = format_trace_id(call.trace_id)
    rows = served.http.get("/api/request-logs/list", params={"trace_unique_id": trace}).json()["results"]
    by_span: dict[str, dict[str, Any]] = {row["span_unique_id"]: row for row in rows}
    assert sorted(by_span) == sorted((format_span_id(call.span_id), format_span_id(workflow.span_id)))
    assert len(rows) == 2
    child, root = by_span[format_span_id(call.span_id)], by_span[format_span_id(workflow.span_id)]
    assert (root["log_type"], "span_parent_id" in root, root["status"]) == ("workflow", False, "success")
    shown = served.log(child["id"])
    expected = {
        "span_parent_id": format_span_id(workflow.span_id),
        "log_type": "chat",
        "model": "gpt-4o",
        "finish_reason": "stop",
        "status": "failed",
        "error_message": "too slow",
        "error_code": "TimeoutError",
        "prompt_messages": [{"role": "user", "content": "Grüezi"}],
        "thread_identifier": f"session of {format_span_id(call.span_id)}",
        "metadata": {"service.name": "shop"},
    }
    assert {name: shown[name] for name in expected} == expected


def test_a_wrong_key_is_a_failure_that_is_not_tried_again(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    refused = exporter(served, "/v1/traces", Compression.NoCompression, "canary-wrong").export(traced())
    assert refused is SpanExportResult.FAILURE
    assert "401" in caplog.text
