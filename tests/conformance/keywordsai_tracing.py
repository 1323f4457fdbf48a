"""keywordsai-tracing's decorators around calls of openai, exported to Weir. Run by run.py in its own environment.

The calls go straight to the provider: the spans are all that Weir gets of them.
"""

import asyncio
import os
from typing import Any

from tests.conformance.checking import KEY, UPSTREAM, URL, check, equal, holds, new, refused, run

os.environ |= {"KEYWORDSAI_API_KEY": KEY, "KEYWORDSAI_BASE_URL": f"{URL}/api", "KEYWORDSAI_LOG_LEVEL": "ERROR"}

import openai
from keywordsai_tracing import Instruments, KeywordsAITelemetry, agent, get_client, task, tool, workflow
from keywordsai_tracing.exporters import KeywordsAISpanExporter

TELEMETRY = KeywordsAITelemetry(app_name="conformance", instruments={Instruments.OPENAI})

HELLO: Any = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Grüezi, 世界 👋"}]
WEATHER: Any = {
    "type": "function",
    "function": {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}},
}
OPENAI = openai.OpenAI(api_key="canary-clients-own-openai-key", base_url=f"{UPSTREAM}/v1", max_retries=0)


def ask(model: str = "gpt-either", **arguments: Any) -> Any:
    return OPENAI.chat.completions.create(model=model, messages=HELLO, **arguments)


def exported(count: int) -> dict[str, dict[str, Any]]:
    """The records of the check's spans, by the spans' names; nothing else is there."""
    TELEMETRY.flush()
    logs = new(count)
    for log in logs:
        assert "canary" not in str(log), log
    return {log["span_name"]: log for log in logs}


def tree(spans: dict[str, dict[str, Any]]) -> dict[str, str | None]:
    """Each span's parent, by name; all are of one trace."""
    equal(len({span["trace_unique_id"] for span in spans.values()}), 1)
    names = {span["span_unique_id"]: name for name, span in spans.items()}
    return {name: names.get(span.get("span_parent_id")) for name, span in spans.items()}


@check
def workflow_with_a_task_a_tool_and_a_completion() -> None:
    @tool(name="look")
    def look(city: str) -> dict[str, Any]:
        return {"degrees": 7, "city": city}

    @task(name="step")
    def step(number: int) -> str:
        look("Bern")
        return str(ask().choices[0].message.content)

    @workflow(name="flow", version=2)
    def flow(number: int) -> str:
        return str(step(number))

    equal(flow(1), "whole answer")
    spans = exported(4)
    equal(
        tree(spans),
        {"flow.workflow": None, "step.task": "flow.workflow", "look.tool": "step.task", "openai.chat": "step.task"},
    )
    equal(
        {name: (span["log_type"], span["span_workflow_name"], span["status"]) for name, span in spans.items()},
        {
            "flow.workflow": ("workflow", "flow", "success"), "step.task": ("task", "flow", "success"),
            "look.tool": ("tool", "flow", "success"), "openai.chat": ("chat", "flow", "success"),
        },
    )  # fmt: skip
    holds(spans["flow.workflow"], input='{"args": [1], "kwargs": {}}', output='"whole answer"')
    holds(spans["look.tool"], input='{"args": ["Bern"], "kwargs": {}}', output='{"degrees": 7, "city": "Bern"}')


@check
def completion_with_what_was_asked_and_said() -> None:
    @workflow(name="asking")
    def asking() -> None:
        ask(temperature=0.5, max_tokens=99, top_p=0.9)

    asking()
    span = exported(2)["openai.chat"]
    holds(
        span, model="gpt-either", answered_model="upstream-1", provider_id="openai", prompt_messages=HELLO,
        completion_message={"role": "assistant", "content": "whole answer"}, prompt_tokens=9, completion_tokens=3,
        total_request_tokens=12, temperature=0.5, max_tokens=99, top_p=0.9, stream=False, finish_reason="stop",
        inference_location="CLIENT",
    )  # fmt: skip
    assert span["latency"] > 0, span


@check
def streamed_completion() -> None:
    @workflow(name="streaming")
    def streaming() -> str:
        chunks = ask(stream=True, stream_options={"include_usage": True})
        return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)

    equal(streaming(), "streamed answer")
    holds(
        exported(2)["openai.chat"], stream=True, total_request_tokens=11,
        completion_message={"role": "assistant", "content": "streamed answer"},
    )  # fmt: skip


@check
def completion_that_calls_tools() -> None:
    @workflow(name="calling")
    def calling() -> None:
        ask("gpt-tools", tools=[WEATHER])

    calling()
    span = exported(2)["openai.chat"]
    holds(span, model="gpt-tools", finish_reason="tool_calls")
    told = [(call["id"], call["function"]["name"], call["function"]["arguments"]) for call in span["tool_calls"]]
    equal(told, [("call_0", "weather", '{"city": "Bern"}'), ("call_1", "weather", '{"city": "Gen\\u00e8ve"}')])
    equal([offered["function"]["name"] for offered in span["tools"]], ["weather"])


@check
def parameters_of_the_current_span() -> None:
    @workflow(name="described")
    def described() -> None:
        get_client().update_current_span(
            keywordsai_params={
                "customer_identifier": "customer-1", "customer_email": "a@example.com", "customer_name": "Ann",
                "thread_identifier": "thread-1", "custom_identifier": "custom-1", "trace_group_identifier": "group-1",
                "evaluation_identifier": "evaluation-1", "metadata": {"plan": "pro"},
            }
        )  # fmt: skip

    described()
    span = exported(1)["described.workflow"]
    holds(
        span, customer_identifier="customer-1", thread_identifier="thread-1", custom_identifier="custom-1",
        group_identifier="group-1",
    )  # fmt: skip
    equal(span["metadata"].get("plan"), "pro")


@check
def failures_of_a_task_and_of_a_completion() -> None:
    @task(name="broken")
    def broken() -> None:
        raise ValueError("It broke.")

    @workflow(name="failing")
    def failing() -> None:
        refused(openai.BadRequestError, lambda: ask("gpt-refused"))
        broken()

    refused(ValueError, failing)
    spans = exported(3)
    equal({name: span["status"] for name, span in spans.items()}, dict.fromkeys(spans, "failed"))
    equal([spans[name]["error_message"] for name in ("failing.workflow", "broken.task")], ["It broke."] * 2)
    assert "No.\\nReally not." in spans["openai.chat"]["error_message"], spans["openai.chat"]


@check
def asynchronous_agents_side_by_side() -> None:
    weir = openai.AsyncOpenAI(api_key="canary-clients-own-openai-key", base_url=f"{UPSTREAM}/v1", max_retries=0)

    @agent(name="one")
    async def one() -> str:
        answer = await weir.chat.completions.create(model="gpt-either", messages=HELLO)
        return str(answer.choices[0].message.content)

    @workflow(name="all")
    async def all() -> list[str]:
        return [*await asyncio.gather(one(), one(), one())]

    equal(asyncio.run(all()), ["whole answer"] * 3)
    TELEMETRY.flush()
    logs = new(7)
    parents = {log["span_unique_id"]: log["span_name"] for log in logs}
    told = sorted((log["span_name"], log["log_type"], parents.get(log.get("span_parent_id"), "")) for log in logs)
    equal(
        told,
        [
            ("all.workflow", "workflow", ""),
            *[("one.agent", "agent", "all.workflow")] * 3,
            *[("openai.chat", "chat", "one.agent")] * 3,
        ],
    )


@check
def wrong_key_leaves_nothing_and_breaks_nothing() -> None:
    TELEMETRY.add_processor(
        KeywordsAISpanExporter(endpoint=f"{URL}/api", api_key="canary-no-key-of-weirs"), name="wrong"
    )

    @workflow(name="unauthorized", processors="wrong")
    def unauthorized() -> str:
        return "done"

    equal(unauthorized(), "done")
    exported(1)  # what the first exporter brought, with the right key


@check
def same_spans_by_two_routes_are_one_record_each() -> None:
    TELEMETRY.add_processor(KeywordsAISpanExporter(endpoint=URL, api_key=KEY), name="twice")

    @workflow(name="repeated", processors="twice")
    def repeated() -> str:
        return "done"

    repeated()
    holds(exported(1)["repeated.workflow"], output='"done"')


if __name__ == "__main__":
    run("keywordsai-tracing", "openai")
