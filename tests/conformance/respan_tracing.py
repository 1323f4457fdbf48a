"""respan-tracing with Respan's instrumentation of openai, exported to Weir. Run by run.py in its own environment.

It sends JSON, and tells which completions went through a gateway that has logged them.
"""

import os
from typing import Any

from tests.conformance.checking import KEY, UPSTREAM, URL, check, equal, holds, new, refused, run

os.environ |= {"RESPAN_API_KEY": KEY, "RESPAN_BASE_URL": f"{URL}/api", "RESPAN_LOG_LEVEL": "ERROR"}

import openai
from respan_instrumentation_openai import OpenAIInstrumentor
from respan_tracing import RespanTelemetry, get_client, task, workflow

TELEMETRY = RespanTelemetry(app_name="conformance", is_auto_instrument=False)
OpenAIInstrumentor().activate()

HELLO: Any = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Grüezi, 世界 👋"}]
TO_PROVIDER = openai.OpenAI(api_key="canary-clients-own-openai-key", base_url=f"{UPSTREAM}/v1", max_retries=0)
TO_WEIR = openai.OpenAI(api_key=KEY, base_url=f"{URL}/api", max_retries=0)


def ask(client: openai.OpenAI, model: str = "gpt-either", **arguments: Any) -> Any:
    return client.chat.completions.create(model=model, messages=HELLO, **arguments)


def exported(count: int) -> dict[str, dict[str, Any]]:
    """The check's records by their kinds; nothing else is there. The exporter gives spans names of its own."""
    TELEMETRY.flush()
    logs = new(count)
    for log in logs:
        assert "canary" not in str(log), log
    return {log["log_type"]: log for log in logs}


@check
def workflow_with_a_task_and_a_completion() -> None:
    @task(name="step")
    def step(number: int) -> str:
        return str(ask(TO_PROVIDER, temperature=0.5).choices[0].message.content)

    @workflow(name="flow")
    def flow(number: int) -> str:
        return str(step(number))

    equal(flow(1), "whole answer")
    spans = exported(3)
    flow_id, step_id = (spans[name]["span_unique_id"] for name in ("workflow", "task"))
    parents = {name: span.get("span_parent_id") for name, span in spans.items()}
    equal(parents, {"workflow": None, "task": flow_id, "chat": step_id})
    equal(len({span["trace_unique_id"] for span in spans.values()}), 1)
    holds(spans["workflow"], log_type="workflow", input='{"args": [1], "kwargs": {}}', output='"whole answer"')
    holds(
        spans["chat"], log_type="chat", model="gpt-either", answered_model="upstream-1", provider_id="openai",
        prompt_messages=HELLO, completion_message={"role": "assistant", "content": "whole answer"}, prompt_tokens=9,
        completion_tokens=3, total_request_tokens=12, status_code=200, status="success",
    )  # fmt: skip


@check
def streamed_completion() -> None:
    for _ in ask(TO_PROVIDER, stream=True, stream_options={"include_usage": True}):
        pass
    holds(
        exported(1)["chat"], stream=True, total_request_tokens=11,
        completion_message={"role": "assistant", "content": "streamed answer"},
    )  # fmt: skip


@check
def refused_completion() -> None:
    refused(openai.BadRequestError, lambda: ask(TO_PROVIDER, "gpt-refused"))
    holds(exported(1)["chat"], status="failed", status_code=400, model="gpt-refused")


@check
def parameters_of_the_current_span() -> None:
    @workflow(name="described")
    def described() -> None:
        get_client().update_current_span(
            respan_params={
                "customer_identifier": "customer-1", "thread_identifier": "thread-1", "custom_identifier": "custom-1",
                "trace_group_identifier": "group-1", "metadata": {"plan": "pro"},
            }
        )  # fmt: skip

    described()
    span = exported(1)["workflow"]
    holds(
        span, customer_identifier="customer-1", thread_identifier="thread-1", custom_identifier="custom-1",
        group_identifier="group-1",
    )  # fmt: skip
    equal(span["metadata"].get("plan"), "pro")


@check
def completion_through_weir_is_counted_once() -> None:
    @workflow(name="through")
    def through() -> str:
        return str(ask(TO_WEIR).choices[0].message.content)

    equal(through(), "whole answer")
    spans = exported(2)
    holds(
        spans["chat"], origin="completion", prompt_messages=HELLO, total_request_tokens=12,
        trace_unique_id=spans["workflow"]["trace_unique_id"],
        span_parent_id=spans["workflow"]["span_unique_id"],
    )  # fmt: skip


@check
def stream_through_weir_is_counted_once() -> None:
    for _ in ask(TO_WEIR, stream=True):
        pass
    (log,) = exported(1).values()
    holds(log, origin="completion", total_request_tokens=11)


@check
def refusal_through_weir_is_counted_once() -> None:
    refused(openai.BadRequestError, lambda: ask(TO_WEIR, "gpt-refused"))
    (log,) = exported(1).values()
    holds(log, origin="completion", status="failed", status_code=400)


if __name__ == "__main__":
    run("respan-tracing", "respan-instrumentation-openai", "openai")
