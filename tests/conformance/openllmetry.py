"""OpenLLMetry's instrumentation of openai, exported to Weir by OpenTelemetry. Run by run.py in its own environment.

The calls go straight to the provider: the spans are all that Weir gets of them.
"""

import asyncio
import json
import os
from typing import Any

from tests.conformance.checking import KEY, UPSTREAM, URL, check, equal, holds, new, only, refused, run

os.environ |= {"OTEL_EXPORTER_OTLP_ENDPOINT": URL, "OTEL_EXPORTER_OTLP_HEADERS": f"Authorization=Bearer {KEY}"}

import openai
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.openai import OpenAIInstrumentor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor, SpanExporter

PROVIDER = TracerProvider(resource=Resource.create({"service.name": "conformance"}))
PROVIDER.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))  # reads its endpoint and key from the environment
OpenAIInstrumentor().instrument(tracer_provider=PROVIDER)
TRACER = PROVIDER.get_tracer("conformance")

HELLO: Any = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Grüezi, 世界 👋"}]
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
OPENAI = openai.OpenAI(api_key="canary-clients-own-openai-key", base_url=f"{UPSTREAM}/v1", max_retries=0)
ANSWERED = {"role": "assistant", "content": "whole answer"}


def ask(model: str = "gpt-either", messages: Any = HELLO, **arguments: Any) -> Any:
    return OPENAI.chat.completions.create(model=model, messages=messages, **arguments)


def exported(count: int) -> list[dict[str, Any]]:
    """The records of the check's spans, as they began; nothing else is there. Those of one batch are equally old."""
    assert PROVIDER.force_flush()
    logs = new(count)
    for log in logs:
        assert "canary" not in str(log), log
    return sorted(logs, key=lambda log: str(log.get("start_time")))


@check
def completion_with_what_was_asked_and_said() -> None:
    ask(temperature=0.5, max_tokens=99, top_p=0.9)
    (log,) = exported(1)
    holds(
        log, model="gpt-either", answered_model="upstream-1", provider_id="openai", log_type="chat", status="success",
        prompt_messages=HELLO, completion_message=ANSWERED, prompt_tokens=9, completion_tokens=3,
        total_request_tokens=12, temperature=0.5, max_tokens=99, top_p=0.9, stream=False, finish_reason="stop",
        span_name="openai.chat", inference_location="CLIENT",
    )  # fmt: skip
    assert log["latency"] > 0, log
    equal(len(log["trace_unique_id"]), 32)
    equal(len(log["span_unique_id"]), 16)


@check
def streamed_completion() -> None:
    for _ in ask(stream=True, stream_options={"include_usage": True}):
        pass
    (log,) = exported(1)
    holds(
        log,
        stream=True,
        total_request_tokens=11,
        completion_message={"role": "assistant", "content": "streamed answer"},
    )


@check
def tool_loop() -> None:
    first = ask("gpt-tools", tools=[WEATHER]).choices[0].message
    results = [{"role": "tool", "tool_call_id": call.id, "content": "7"} for call in first.tool_calls]
    ask("gpt-tools", [*HELLO, first.model_dump(exclude_none=True), *results], tools=[WEATHER])
    called, answered = exported(2)
    told = [(c["id"], c["function"]["name"], json.loads(c["function"]["arguments"])) for c in called["tool_calls"]]
    equal(told, [("call_0", "weather", {"city": "Bern"}), ("call_1", "weather", {"city": "Genève"})])
    equal([tool["function"]["name"] for tool in called["tools"]], ["weather"])
    equal([message["role"] for message in answered["prompt_messages"]], ["system", "user", "assistant", "tool", "tool"])
    equal([message.get("tool_call_id") for message in answered["prompt_messages"]][3:], ["call_0", "call_1"])
    equal(answered["completion_message"]["content"], "7 degrees in Bern")


@check
def refused_completion() -> None:
    refused(openai.BadRequestError, lambda: ask("gpt-refused"))
    (log,) = exported(1)
    holds(log, status="failed", model="gpt-refused", error_message="Error code: 400 - No.\nReally not.")


@check
def embeddings() -> None:
    OPENAI.embeddings.create(model="text-embedding-3-small", input=["one", "two"])
    (log,) = exported(1)
    holds(log, log_type="embedding", model="text-embedding-3-small", prompt_tokens=4, status="success")


@check
def asynchronous_completions() -> None:
    async def use() -> None:
        client = openai.AsyncOpenAI(api_key="canary-own-key", base_url=f"{UPSTREAM}/v1", max_retries=0)
        asked = [client.chat.completions.create(model="gpt-either", messages=HELLO) for _ in range(4)]
        await asyncio.gather(*asked)

    asyncio.run(use())
    equal([log["completion_message"] for log in exported(4)], [ANSWERED] * 4)


@check
def completion_below_a_span_of_ones_own() -> None:
    with TRACER.start_as_current_span("handle", attributes={"traceloop.span.kind": "workflow", "order": 7}) as span:
        ask()
    trace, id = f"{span.get_span_context().trace_id:032x}", f"{span.get_span_context().span_id:016x}"
    by_name = {log["span_name"]: log for log in exported(2)}
    holds(by_name["handle"], trace_unique_id=trace, span_unique_id=id, log_type="workflow")
    equal(by_name["handle"].get("span_parent_id"), None)
    holds(by_name["openai.chat"], trace_unique_id=trace, span_parent_id=id, log_type="chat")


@check
def completion_through_weir_whose_answer_has_weirs_own_id_is_counted_once() -> None:
    """This client names the call by its answer's id, which is the provider's where it gives one."""
    through = openai.OpenAI(api_key=KEY, base_url=f"{URL}/v1", max_retries=0)
    with TRACER.start_as_current_span("handle") as span:
        through.chat.completions.create(model="gpt-nameless", messages=HELLO)
    completion, own = sorted(exported(2), key=lambda log: str(log["origin"]))
    holds(own, origin="trace", span_name="handle")
    parent = f"{span.get_span_context().span_id:016x}"
    holds(completion, origin="completion", trace_unique_id=own["trace_unique_id"], span_parent_id=parent)


@check
def every_route_and_compression_and_the_same_span_by_all_is_one_record() -> None:
    exporters: list[SpanExporter] = [
        OTLPSpanExporter(f"{URL}{path}", headers={"Authorization": f"Bearer {KEY}"}, compression=compression)
        for path in ("/v1/traces", "/api/v1/traces", "/api/v2/traces")
        for compression in (Compression.NoCompression, Compression.Gzip, Compression.Deflate)
    ]
    own = TracerProvider()
    for exporter in exporters:
        own.add_span_processor(SimpleSpanProcessor(exporter))
    with own.get_tracer("conformance").start_as_current_span("repeated", attributes={"gen_ai.request.model": "m"}):
        pass
    holds(only(), span_name="repeated", model="m")


@check
def large_batch() -> None:
    for at in range(300):
        TRACER.start_span(f"span {at}", attributes={"traceloop.entity.input": "x" * 1_000}).end()
    logs = exported(300)
    equal(sorted(log["span_name"] for log in logs), sorted(f"span {at}" for at in range(300)))


if __name__ == "__main__":
    run("opentelemetry-instrumentation-openai", "opentelemetry-exporter-otlp-proto-http", "openai")
