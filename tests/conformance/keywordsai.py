"""keywordsai's LogAPI, as it comes from PyPI, against Weir. Run by run.py in its own environment."""

import asyncio
import json
import os
from collections.abc import Callable
from typing import Any

from tests.conformance.checking import KEY, URL, ask, check, equal, holds, kept, new, only, rows, run

os.environ |= {"KEYWORDSAI_API_KEY": KEY, "KEYWORDS_AI_BASE_URL": f"{URL}/api"}

import httpx
from keywordsai.logs.api import LogAPI
from keywordsai_sdk.keywordsai_types.log_types import KeywordsAILogParams

ASKED = [{"role": "user", "content": "Grüezi, 世界 👋"}]
SAID = {"role": "assistant", "content": "Sali"}
CREATED = ("message", "id", "unique_id")


def params(**fields: Any) -> KeywordsAILogParams:
    return KeywordsAILogParams(**{"model": "gpt-4o", "prompt_messages": ASKED, "completion_message": SAID, **fields})


def sent(log: KeywordsAILogParams) -> dict[str, Any]:
    """What the client makes of it on the wire."""
    written: dict[str, Any] = log.model_dump(exclude_none=True, mode="json")
    return written


def holds_all(found: dict[str, Any], written: dict[str, Any]) -> None:
    """Everything that was sent is there; only the environment is the key's."""
    holds(found, **{name: value for name, value in written.items() if name != "environment"})


def refused(status: int, call: Callable[[], object]) -> Any:
    """The body of the refusal."""
    try:
        call()
    except httpx.HTTPStatusError as refusal:
        equal(refusal.response.status_code, status)
        return refusal.response.json()
    raise AssertionError("it was not refused")


EVERYTHING: dict[str, Any] = {
    "input": "in", "output": "out", "cost": 0.001, "prompt_tokens": 1, "completion_tokens": 2,
    "total_request_tokens": 3, "generation_time": 1.5, "ttft": 0.25, "customer_identifier": "customer-1",
    "customer_email": "a@example.com", "customer_name": "Ann",
    "customer_params": {"customer_identifier": "customer-1", "name": "Ann", "email": "a@example.com"},
    "metadata": {"plan": "pro", "seats": 3}, "thread_identifier": "thread-1", "custom_identifier": "custom-1",
    "group_identifier": "group-1", "evaluation_identifier": "evaluation-1", "prompt_id": "prompt-1",
    "prompt_name": "Greeting", "trace_unique_id": "trace-1", "span_unique_id": "span-1",
    "span_parent_id": "span-0", "span_name": "greet", "span_workflow_name": "hello", "log_type": "chat",
    "status_code": 200, "stream": True, "temperature": 0.5, "top_p": 0.9, "max_tokens": 99,
    "frequency_penalty": 0.1, "presence_penalty": 0.2, "stop": ["x"], "n": 1, "warnings": "a warning",
    "full_request": {"temperature": 0.5, "extra": [1, {"deep": None}]}, "full_response": {"id": "chatcmpl-1"},
    "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
    "response_format": {"type": "json_object"},
    "tools": [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}],
    "tool_choice": "auto", "positive_feedback": True, "note": "a note", "timestamp": "2026-01-02T03:04:05Z",
    "start_time": "2026-01-02T03:04:03Z", "reasoning_effort": "low", "seed": 7, "logit_bias": {"50256": -100},
}  # fmt: skip


@check
def create_and_get_with_every_field() -> None:
    written = params(**EVERYTHING)
    answer = LogAPI().create(written)
    equal(answer["message"], "log successful")
    log = only()
    equal([answer[name] for name in CREATED], ["log successful", log["id"], log["id"]])
    holds_all(log, sent(written))
    holds(
        log, thread_identifier="thread-1", latency=1.5, time_to_first_token=0.25, status="success", environment="prod"
    )
    read = LogAPI().get(answer["id"])
    equal(
        (read.model, read.cost, read.latency, read.time_to_first_token, read.metadata),
        ("gpt-4o", 0.001, 1.5, 0.25, {"plan": "pro", "seats": 3}),
    )
    equal([message.content for message in read.prompt_messages or ()], [ASKED[0]["content"]])
    equal(read.completion_message and read.completion_message.content, "Sali")
    equal((read.input, read.output, read.log_type, read.unique_id), ("in", "out", "chat", log["id"]))


@check
def least_that_can_be_sent() -> None:
    LogAPI().create({"model": "gpt-4o"})
    log = only()
    holds(log, model="gpt-4o", status="success", log_type="chat")
    equal(LogAPI().get(log["id"]).model, "gpt-4o")


@check
def dictionary_with_unknown_fields_and_nulls() -> None:
    LogAPI().create({"model": "gpt-4o", "input": ["a", {"b": None}], "output": None, "no_such_field": {"x": 1}})
    log = only()
    equal(json.loads(log["input"]), ["a", {"b": None}])
    equal("output" in log, False)


@check
def failed_call() -> None:
    LogAPI().create(params(status_code=500, error_message="It broke.", completion_message=None))
    holds(only(), status="failed", status_code=500, error_message="It broke.")


@check
def tool_calls() -> None:
    call = {"id": "call_0", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Bern"}'}}
    message = {"role": "assistant", "content": "", "tool_calls": [call]}
    written = params(completion_message=message, tool_calls=[call])
    LogAPI().create(written)
    log = only()
    holds_all(log, sent(written))
    read = LogAPI().get(log["id"])
    equal(read.tool_calls, [call])


@check
def every_log_type_of_other_clients_is_read() -> None:
    """This client cannot write a type, and refuses a whole page for one that it does not know."""
    known = (
        "text", "chat", "completion", "response", "embedding", "transcription", "speech", "workflow", "task", "tool",
        "agent", "handoff", "guardrail", "function", "custom", "generation", "unknown", "score",
    )  # fmt: skip
    for name in (*known, "other", "reranker"):
        ask("/api/request-logs", body={"model": "gpt-4o", "log_type": name, "input": "in", "output": {"of": name}})
    equal([log["log_type"] for log in new(len(known) + 2)], [*known, "other", "reranker"])
    page = LogAPI().list(page_size=len(known) + 2).results
    equal([row.log_type for row in page][2:], list(reversed(known)))
    equal([row.id for row in page], [LogAPI().get(row.id).id for row in page])


@check
def asynchronous_methods() -> None:
    async def use() -> tuple[Any, Any, Any]:
        api = LogAPI()
        made = await asyncio.gather(*(api.acreate(params(custom_identifier=f"async-{at}")) for at in range(4)))
        page = await api.alist(page_size=2, sort_by="-id")
        return made, page, await api.aget(made[0]["id"])

    made, page, read = asyncio.run(use())
    equal(len({answer["id"] for answer in made}), 4)
    equal((len(page.results), read.custom_identifier), (2, "async-0"))
    equal(sorted(log["custom_identifier"] for log in new(4)), [f"async-{at}" for at in range(4)])


@check
def pages_with_filters_to_the_end() -> None:
    for at in range(5):
        LogAPI().create(params(model="gpt-paged", cost=at / 10, custom_identifier=f"page-{at}"))
    api, found = LogAPI(), []
    for page in range(1, 10):
        rows_of_page = api.list(page=page, page_size=2, model="gpt-paged").results
        if not rows_of_page:
            break
        found += [row.custom_identifier for row in rows_of_page]
    equal(found, [f"page-{at}" for at in reversed(range(5))])
    dearest = api.list(page_size=2, model="gpt-paged", sort_by="-cost")
    equal([row.cost for row in dearest.results], [0.4, 0.3])
    whole = api.list(page_size=50, model="gpt-paged")
    equal((whole.count, whole.next), (5, None))
    new(5)


@check
def pages_stay_as_they_were_while_logs_come_in() -> None:
    api = LogAPI()
    for at in range(4):
        api.create(params(model="gpt-moving", custom_identifier=f"old-{at}"))
    first = api.list(page=1, page_size=2, model="gpt-moving").results
    api.create(params(model="gpt-moving", custom_identifier="late"))
    second = api.list(page=2, page_size=2, model="gpt-moving").results
    equal([row.custom_identifier for row in (*first, *second)], [f"old-{at}" for at in (3, 2, 1, 0)])
    new(5)


@check
def filters_by_field_and_time() -> None:
    api = LogAPI()
    api.create(params(customer_identifier="somebody", metadata={"plan": "pro"}))
    api.create(params(customer_identifier="nobody", metadata={"plan": "free"}))
    newest = rows()[0]["timestamp"]
    asked: list[dict[str, Any]] = [
        {"customer_identifier": "somebody"},
        {"metadata__plan": "pro", "end_time": newest},
        {"start_time": "2020-01-01T00:00:00Z", "customer_identifier": "somebody", "environment": "prod"},
    ]
    for fields in asked:
        equal([row.customer_identifier for row in api.list(page_size=10, **fields).results][:1], ["somebody"])
    equal(api.list(end_time="2020-01-01T00:00:00Z").results, [])
    new(2)


@check
def completions_are_read_by_the_client_too() -> None:
    body = {"model": "gpt-either", "messages": ASKED, "temperature": 0.5, "customer_identifier": "customer-2"}
    status, answer = ask("/v1/chat/completions", body=body)
    equal((status, answer["choices"][0]["message"]["content"]), (200, "whole answer"))
    read = LogAPI().get(only()["id"])
    equal(
        (
            read.model,
            read.temperature,
            read.customer_identifier,
            read.completion_message and read.completion_message.content,
        ),
        ("gpt-either", 0.5, "customer-2", "whole answer"),
    )
    equal(LogAPI().list(page_size=1).results[0].unique_id, read.unique_id)


@check
def refusals() -> None:
    equal(refused(404, lambda: LogAPI().get("no-such-log"))["detail"].startswith("No"), True)
    bad = LogAPI(api_key="canary-no-key-of-weirs")
    for call in (lambda: bad.list(), lambda: bad.create({"model": "gpt-4o"}), lambda: bad.get("x")):
        assert "canary" not in json.dumps(refused(401, call))
    assert "model" in refused(400, lambda: LogAPI().create({"input": "no model"}))
    assert "no_such_field" in json.dumps(refused(400, lambda: LogAPI().list(no_such_field="x")))
    refused(400, lambda: LogAPI().list(page=0))
    new(0)


@check
def every_base_url_reaches_the_same() -> None:
    for base in (URL, f"{URL}/", f"{URL}/api", f"{URL}/api/"):
        made = LogAPI(base_url=base).create(params())
        equal(LogAPI(base_url=base).get(made["id"]).model, "gpt-4o")
        equal(kept(made["id"])["model"], "gpt-4o")
    new(4)


if __name__ == "__main__":
    run("keywordsai")
