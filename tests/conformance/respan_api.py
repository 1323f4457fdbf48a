"""respan-api's RespanClient, as it comes from PyPI, against Weir. Run by run.py in its own environment."""

import asyncio
import base64
import json
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import httpx
from respan import AsyncRespanClient, RespanClient, SpanCreateRequest
from respan import errors as respan_errors
from respan.core.api_error import ApiError
from respan.gateway import CreateChatCompletionRequestMessagesItem

from tests.conformance.checking import KEY, URL, apart, check, equal, holds, new, only, refused, rows, run

ASKED = [{"role": "user", "content": "Grüezi, 世界 👋"}]
SAID = {"role": "assistant", "content": "Sali"}
HELLO = [CreateChatCompletionRequestMessagesItem(role="user", content="Grüezi, 世界 👋")]
_SENT: list[Any] = []


def _remember(request: httpx.Request) -> None:
    apart()
    if request.content:
        _SENT.append(json.loads(request.content))


HTTP = httpx.Client(event_hooks={"request": [_remember]}, timeout=30)


def client(key: str | None = KEY, base: str = URL) -> RespanClient:
    return RespanClient(base_url=base, authorization="", respan_api_key=key, httpx_client=HTTP)


def holds_all(found: dict[str, Any], sent: dict[str, Any]) -> None:
    """Everything that was sent is there; the environment is the key's, the state is Weir's."""
    holds(found, **{name: value for name, value in sent.items() if name not in ("environment", "status")})


EVERYTHING: dict[str, Any] = {
    "prompt_messages": ASKED, "completion_message": SAID, "prompt_tokens": 1, "completion_tokens": 2,
    "temperature": 0.5, "top_p": 0.9, "max_tokens": 99, "generation_time": 1.5, "ttft": 0.25,
    "metadata": {"plan": "pro"}, "environment": "test", "stream": True, "status_code": 200,
    "trace_unique_id": "trace-1", "span_name": "greet",
    "tools": [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}],
    "tool_calls": [{"id": "call_0", "type": "function", "function": {"name": "weather", "arguments": "{}"}}],
    "timestamp": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    "start_time": datetime(2026, 1, 2, 3, 4, 3, tzinfo=UTC), "span_parent_id": "span-0",
    "span_workflow_name": "hello", "custom_identifier": "custom-1", "log_type": "chat",
    "thread_identifier": "thread-1", "group_identifier": "group-1", "input": "in", "output": "out", "cost": 0.001,
    "tokens_per_second": 12.5, "properties": {"seats": 3, "deep": {"list": [1, None]}},
    "variables": {"name": "Ann"}, "customer_identifier": "customer-1", "tool_choice": "auto",
    "response_format": {"type": "json_object"}, "frequency_penalty": 0.1, "presence_penalty": 0.2,
    "stop": ["x", "y"], "warnings": "a warning", "prompt_id": "prompt-1", "prompt_name": "Greeting",
    "is_custom_prompt": True, "full_request": {"temperature": 0.5, "extra": [1, {"deep": None}]},
    "full_response": {"id": "chatcmpl-1"}, "prompt_unit_price": 1.5, "completion_unit_price": 2.5,
    "respan_params": {"any": "thing"}, "keywordsai_params": {"older": "thing"}, "positive_feedback": True,
    "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3, "cache_read_input_tokens": 1},
    "customer_params": {"customer_identifier": "customer-1", "name": "Ann", "email": "a@example.com"},
}  # fmt: skip


@check
def create_and_retrieve_with_every_field() -> None:
    made = client().spans.create_span(model="gpt-4o", **EVERYTHING)
    log = only()
    equal(
        (made.id, made.unique_id, made.status, made.environment, made.cost),
        (log["id"], log["id"], "success", "prod", 0.001),
    )
    holds_all(log, _SENT[-1])
    holds(log, latency=1.5, time_to_first_token=0.25)
    read = client().spans.retrieve_span(log["id"])
    equal(
        (read.id, read.model, read.cost, read.latency, read.time_to_first_token, read.metadata, read.properties),
        (log["id"], "gpt-4o", 0.001, 1.5, 0.25, {"plan": "pro"}, EVERYTHING["properties"]),
    )
    equal((read.prompt_messages, read.completion_message), (ASKED, SAID))
    equal((read.input, read.output, read.span_parent_id, read.log_type), ("in", "out", "span-0", "chat"))


@check
def least_that_can_be_sent_and_a_failure() -> None:
    client().spans.create_span(model="gpt-4o")
    client().spans.create_span(model="gpt-4o", status="error", error_message="It broke.", error_code="broken")
    client().spans.create_span(model="gpt-4o", status_code=429)
    told = [(log["status"], log.get("error_message"), log.get("error_code")) for log in new(3)]
    equal(told, [("success", None, None), ("failed", "It broke.", "broken"), ("failed", None, None)])


@check
def inputs_that_are_not_texts() -> None:
    client().spans.create_span(
        model="m", input=[{"a": None}], output={"b": [1]}, warnings={"w": True}, stop="x", tool_choice={"type": "auto"}
    )
    log = only()
    equal([json.loads(log[name]) for name in ("input", "output", "warnings")], [[{"a": None}], {"b": [1]}, {"w": True}])
    holds(log, stop="x", tool_choice={"type": "auto"})
    equal(client().spans.retrieve_span(log["id"]).id, log["id"])


@check
def bulk_names_the_bad_rows_and_keeps_the_others() -> None:
    logs = [SpanCreateRequest(model=f"bulk-{at}", prompt_messages=ASKED, metadata={"at": str(at)}) for at in range(7)]
    bad = [SpanCreateRequest(model=""), SpanCreateRequest(model="m", cost=-1.0)]
    answer = client().spans.bulk_create_spans(logs=[logs[0], bad[0], *logs[1:], bad[1]])
    equal((answer.success_count, answer.error_count, [error.index for error in answer.errors]), (7, 2, [1, 8]))
    equal(sorted(log["model"] for log in new(7)), [f"bulk-{at}" for at in range(7)])


@check
def bulk_of_500_with_3_bad_rows() -> None:
    logs = [SpanCreateRequest(model="" if at in (0, 250, 499) else "bulk") for at in range(500)]
    answer = client().spans.bulk_create_spans(logs=logs)
    equal((answer.success_count, [error.index for error in answer.errors]), (497, [0, 250, 499]))
    equal(len(rows(model="bulk")), 497)
    refused(respan_errors.BadRequestError, lambda: client().spans.bulk_create_spans(logs=[*logs, logs[1]]))
    refused(respan_errors.BadRequestError, lambda: client().spans.bulk_create_spans(logs=[logs[0]]))


@check
def pager_goes_to_the_end() -> None:
    spans = client().spans
    for at in range(5):
        spans.create_span(model="paged", cost=at / 10, custom_identifier=f"page-{at}", metadata={"plan": "pro"})
    filters: Any = {
        "model": {"operator": "in", "value": ["paged", "other"]},
        "metadata__plan": {"operator": "", "value": ["pro"]},
    }
    newest = [row["custom_identifier"] for row in spans.list_spans(page=1, page_size=2, filters=filters)]
    equal(newest, [f"page-{at}" for at in reversed(range(5))])
    pages = spans.list_spans(page=1, page_size=2, sort_by="-cost", filters=filters).iter_pages()
    equal([[row["cost"] for row in page.items or ()] for page in pages][:3], [[0.4, 0.3], [0.2, 0.1], [0.0]])
    new(5)


@check
def window_environment_type_and_fields() -> None:
    spans = client().spans
    spans.create_span(model="fields", log_type="task", input="in")
    now = datetime.now(UTC)
    wanted = {"start_time": now - timedelta(minutes=5), "end_time": now + timedelta(minutes=5), "environment": "prod"}
    (row,) = spans.list_spans(page=1, page_size=1, log_type="task", include_fields="unique_id,model", **wanted)
    equal(row, {"id": only()["id"], "unique_id": row["id"], "model": "fields"})
    equal(list(spans.list_spans(page=1, end_time=now - timedelta(days=1))), [])
    equal(list(spans.list_spans(page=1, environment="test")), [])


@check
def every_operator() -> None:
    spans = client().spans
    for name, cost in (("Alpha", 0.1), ("beta", 0.2), ("gamma", None)):
        spans.create_span(model="operators", custom_identifier=name, cost=cost, **({"span_name": "s"} if cost else {}))
    expected: list[tuple[str, str, Any, str]] = [
        ("custom_identifier", "", ["Alpha", "beta"], "Ab"), ("custom_identifier", "in", ["Alpha", "gamma"], "Ag"),
        ("custom_identifier", "not", ["Alpha"], "bg"), ("custom_identifier", "not_in", ["Alpha", "beta"], "g"),
        ("custom_identifier", "contains", ["a"], "Abg"), ("custom_identifier", "contains", ["A"], "A"),
        ("custom_identifier", "not_contains", ["m"], "Ab"), ("custom_identifier", "icontains", ["ALPH"], "A"),
        ("custom_identifier", "startswith", ["b"], "b"), ("custom_identifier", "not_startswith", ["b"], "Ag"),
        ("custom_identifier", "endswith", ["ma"], "g"), ("custom_identifier", "not_endswith", ["ma"], "Ab"),
        ("span_name", "empty", [""], "g"), ("span_name", "not_empty", [""], "Ab"),
        ("cost", "lt", [0.2], "A"), ("cost", "lte", [0.2], "Ab"),
        ("cost", "gt", [0.1], "b"), ("cost", "gte", [0.1], "Ab"),
    ]  # fmt: skip
    for field, operator, value, letters in expected:
        filters: Any = {
            "model": {"operator": "", "value": ["operators"]},
            field: {"operator": operator, "value": value},
        }
        found = sorted(row["custom_identifier"][0] for row in spans.list_spans(page=1, filters=filters))
        equal((field, operator, "".join(found)), (field, operator, letters))
    both: Any = {
        "model": {"operator": "", "value": ["operators"]},
        "cost": [{"operator": "gte", "value": [0.1]}, {"operator": "lt", "value": [0.2]}],
    }
    equal([row["custom_identifier"] for row in spans.list_spans(page=1, filters=both)], ["Alpha"])
    new(3)


@check
def summary_of_all_and_of_some() -> None:
    spans = client().spans
    for cost, tokens in ((0.5, 10), (0.25, 20)):
        spans.create_span(
            model="summed", cost=cost, prompt_tokens=tokens, completion_tokens=5, latency=2.0, time_to_first_token=0.5
        )
    filters: Any = {"model": {"operator": "", "value": ["summed"]}}
    found = spans.get_spans_summary(filters=filters, start_time=datetime(2026, 1, 1, tzinfo=UTC))
    equal(
        json.loads(found.json()),
        {
            "number_of_requests": 2, "total_cost": 0.75, "total_tokens": 40, "total_prompt_tokens": 30,
            "total_completion_tokens": 10, "avg_latency": 2.0, "avg_tps": 2.5, "avg_ttft": 0.5, "scores": {},
        },
    )  # fmt: skip
    equal(spans.get_spans_summary().number_of_requests, len(rows()))
    equal(spans.get_spans_summary(end_time=datetime(2020, 1, 1, tzinfo=UTC)).number_of_requests, 0)
    new(2)


@check
def groups_by_every_key() -> None:
    spans = client().spans
    keys = {
        "model": "model", "custom_identifier": "custom_identifier", "customer_identifier": "customer_identifier",
        "prompt_id": "prompt_id", "trace": "trace_unique_id", "thread": "thread_identifier",
    }  # fmt: skip
    for status in (200, 500):
        spans.create_span(
            model="grouped", cost=0.5, status_code=status, **{key: "grouped" for key in list(keys.values())[1:]}
        )
    filters: Any = {"model": {"operator": "", "value": ["grouped"]}}
    for group_by, key in keys.items():
        page = spans.request_logs_groups_filter(group_by=group_by, filters=filters)
        (row,) = page.results
        equal(
            (getattr(row, key), row.number_of_requests, row.total_cost, row.error_count, row.error_percentage),
            ("grouped", 2, 1.0, 1, 50.0),
        )
    listed = spans.request_logs_groups_list(group_by="model", sort_by="-number_of_requests", page=1, page_size=1)
    equal((len(listed.results), listed.count > 1), (1, True))
    for group_by in ("provider_id", "deployment_name", "deployment_id"):
        equal(spans.request_logs_groups_list(group_by=group_by).results[0].number_of_requests, len(rows()))
    new(2)


@check
def asynchronous_client() -> None:
    async def use() -> tuple[list[Any], list[Any], Any]:
        weir = AsyncRespanClient(base_url=URL, authorization="", respan_api_key=KEY)
        made = await asyncio.gather(*(weir.spans.create_span(model="async", input=str(at)) for at in range(4)))
        filters: Any = {"model": {"operator": "", "value": ["async"]}}
        found = [row async for row in await weir.spans.list_spans(page=1, page_size=3, filters=filters)]
        answer = await weir.gateway.create_chat_completion(model="gpt-either", messages=HELLO)
        return made, found, answer

    made, found, answer = asyncio.run(use())
    equal(sorted(row["id"] for row in found), sorted(one.id for one in made))
    equal(answer.choices[0].message.content, "whole answer")
    equal(sorted(log.get("input", "") for log in new(5)), ["", "0", "1", "2", "3"])


@check
def chat_completion() -> None:
    answer = client().gateway.create_chat_completion(model="gpt-either", messages=HELLO, temperature=0.5, max_tokens=9)
    equal((answer.choices[0].message.content, answer.usage.total_tokens), ("whole answer", 12))
    log = only()
    equal(log["full_request"], _SENT[-1])
    holds(log, model="gpt-either", temperature=0.5, completion_message=SAID | {"content": "whole answer"})


@check
def log_id_of_a_completion_is_in_its_header() -> None:
    answer = client().gateway.with_raw_response.create_chat_completion(model="gpt-either", messages=HELLO)
    equal(answer.headers.get("x-respan-log-id"), only()["id"])


@check
def parameters_of_theirs_at_the_top() -> None:
    client().gateway.create_chat_completion(
        model="gpt-either", messages=HELLO, customer_identifier="customer-1", metadata={"plan": "pro"},
        thread_identifier="thread-1", custom_identifier="custom-1", span_name="greet", positive_feedback=True,
    )  # fmt: skip
    holds(
        only(), customer_identifier="customer-1", metadata={"plan": "pro"}, thread_identifier="thread-1",
        custom_identifier="custom-1", span_name="greet", positive_feedback=True,
    )  # fmt: skip


@check
def parameters_of_theirs_in_all_places_by_precedence() -> None:
    header = {"customer_identifier": "of the header", "thread_identifier": "of the header"}
    client().gateway.create_chat_completion(
        model="gpt-either", messages=HELLO, customer_identifier="of the top", thread_identifier="of the top",
        custom_identifier="of the top", data_respan_params=base64.b64encode(json.dumps(header).encode()).decode(),
        respan_params={"customer_identifier": "of the params"},
    )  # fmt: skip
    holds(
        only(), customer_identifier="of the params", thread_identifier="of the header", custom_identifier="of the top"
    )


@check
def fallback_answers_after_a_failure() -> None:
    client().gateway.create_chat_completion(
        model="gpt-status-500", messages=HELLO, fallback_models=["gpt-either"], retry_params={"num_retries": 1},
        request_options={"max_retries": 0},
    )  # fmt: skip
    log = only()
    holds(log, model="gpt-either", status="success", fallback_reason="unavailable")
    equal([tried["model"] for tried in log["attempts"]], ["gpt-status-500", "gpt-status-500", "gpt-either"])


@check
def same_call_is_answered_from_the_cache() -> None:
    ask = partial(
        client().gateway.create_chat_completion, model="gpt-either", messages=HELLO, cache_enabled=True, cache_ttl=60
    )
    ask()
    ask()
    first, second = new(2)
    holds(second, cost=0.0, cached_from=first["id"])


@check
def parameters_without_effect_are_warned_of() -> None:
    client().gateway.create_chat_completion(
        model="gpt-either",
        messages=HELLO,
        load_balance_group={"group_id": "canary"},
        cache_options={"omit_log": True},
        cache_enabled=True,
    )
    warnings = only()["warnings"]
    for name in ("load_balance_group", "cache_options.omit_log"):
        assert name in warnings, warnings


@check
def completion_without_its_contents() -> None:
    client().gateway.create_chat_completion(
        model="gpt-either", messages=HELLO, disable_log=True, customer_identifier="customer-1"
    )
    log = only()
    holds(log, model="gpt-either", total_request_tokens=12, customer_identifier="customer-1")
    assert "世界" not in json.dumps(log, ensure_ascii=False), log
    assert "whole answer" not in json.dumps(log), log


@check
def completions_refusals_are_typed() -> None:
    gateway = client().gateway
    expected: list[tuple[str, type[ApiError], int]] = [
        ("gpt-refused", respan_errors.BadRequestError, 400),
        ("gpt-status-401", respan_errors.UnauthorizedError, 401),
        ("gpt-status-403", respan_errors.ForbiddenError, 403),
        ("no-such-model", respan_errors.NotFoundError, 404),
        ("gpt-status-429", ApiError, 429),
        ("gpt-status-500", ApiError, 502),
    ]
    for model, error, status in expected:
        call = partial(gateway.create_chat_completion, model=model, messages=HELLO, request_options={"max_retries": 0})
        equal(refused(error, call).status_code, status)
    new(len(expected) - 1)  # a model that nobody knows was not called


@check
def logs_refusals_are_typed() -> None:
    spans = client().spans
    missing = refused(respan_errors.NotFoundError, lambda: spans.retrieve_span("no-such-log"))
    equal(list(missing.body), ["detail"])
    for wrong in (client("canary-no-key-of-weirs"), client(None)):
        unknown = refused(ApiError, partial(wrong.spans.create_span, model="m"))
        equal(unknown.status_code, 401)
        assert "canary" not in str(unknown.body), unknown.body
        equal(refused(ApiError, partial(wrong.spans.list_spans, page=1)).status_code, 401)
    for fields in ({"model": ""}, {"model": "m", "cost": -1.0}, {"model": "m", "prompt_messages": ["a text"]}):
        refused(respan_errors.BadRequestError, partial(spans.create_span, **fields))
    asked: list[Any] = [
        {"no_such_field": {"operator": "", "value": ["x"]}},
        {"model": {"operator": "resembles", "value": ["x"]}},
        {"cost": {"operator": "gt", "value": ["much"]}},
    ]
    for filters in asked:
        refused(respan_errors.BadRequestError, partial(spans.list_spans, page=1, filters=filters))
        refused(respan_errors.BadRequestError, partial(spans.get_spans_summary, filters=filters))
    refused(respan_errors.BadRequestError, lambda: spans.list_spans(page=1, sort_by="flavour"))
    refused(respan_errors.BadRequestError, lambda: spans.request_logs_groups_list(group_by="flavour"))
    new(0)
    large = refused(ApiError, lambda: spans.create_span(model="m", input="x" * 7_000_000))
    equal(large.status_code, 413)
    holds(only(), status_code=413)  # what is too large is put on record, without its words


@check
def bare_key_in_authorization() -> None:
    RespanClient(base_url=URL, authorization=f"Api-Key {KEY}").spans.create_span(model="older")
    RespanClient(base_url=f"{URL}/", authorization=f"Bearer {KEY}").spans.create_span(model="newer")
    equal([log["model"] for log in new(2)], ["older", "newer"])


@check
def spans_of_a_trace_as_a_list() -> None:
    root = {"trace_unique_id": "trace-2", "span_unique_id": "root", "span_name": "flow", "log_type": "workflow"}
    leaf = {
        "trace_unique_id": "trace-2", "span_unique_id": "leaf", "span_parent_id": "root", "span_name": "ask",
        "log_type": "chat", "model": "gpt-4o", "prompt_tokens": 1, "completion_tokens": 2, "metadata": {"plan": "pro"},
    }  # fmt: skip
    spans: list[dict[str, Any]] = [root | {"input": "in"}, leaf]
    wrapped: Any = {"data": [{**span, "trace_unique_id": "trace-3"} for span in spans]}
    for body in (spans, wrapped):
        assert client().traces.create_trace_legacy(request=body).message
    logs = new(4)
    told = sorted((log["trace_unique_id"], log["span_unique_id"], log.get("span_parent_id")) for log in logs)
    equal(
        told,
        [
            ("trace-2", "leaf", "root"),
            ("trace-2", "root", None),
            ("trace-3", "leaf", "root"),
            ("trace-3", "root", None),
        ],
    )
    for log in logs:
        sent = next(span for span in spans if span["span_unique_id"] == log["span_unique_id"])
        holds(log, **{name: value for name, value in sent.items() if name != "trace_unique_id"})


@check
def spans_of_a_trace_as_otlp_json() -> None:
    trace, root, leaf = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", "00f067aa0ba902b7"
    begun = 1_760_000_000_000_000_000

    def span(id: str, name: str, attributes: dict[str, Any], parent: str | None = None) -> dict[str, Any]:
        return {
            "traceId": trace, "spanId": id, "name": name, "kind": 1, "startTimeUnixNano": str(begun),
            "endTimeUnixNano": str(begun + 1_500_000_000),
            "attributes": [_attribute(*pair) for pair in attributes.items()],
            **({"parentSpanId": parent} if parent else {}),
        }  # fmt: skip

    chat = {
        "gen_ai.system": "openai", "gen_ai.request.model": "gpt-4o", "gen_ai.response.model": "gpt-4o-mini",
        "llm.request.type": "chat", "gen_ai.usage.input_tokens": 9, "gen_ai.usage.output_tokens": 3,
        "gen_ai.prompt.0.role": "user", "gen_ai.prompt.0.content": "Grüezi",
        "gen_ai.completion.0.role": "assistant", "gen_ai.completion.0.content": "Sali",
        "respan.customer_params.customer_identifier": "customer-1", "respan.metadata.plan": "pro",
    }  # fmt: skip
    flow = {"traceloop.span.kind": "workflow", "traceloop.entity.name": "flow", "traceloop.entity.input": '{"a": 1}'}
    scope: Any = {
        "scope": {"name": "conformance"},
        "spans": [span(root, "flow.workflow", flow), span(leaf, "openai.chat", chat, root)],
    }
    client().traces.create_trace(resource_spans=[{"resource": {"attributes": []}, "scopeSpans": [scope]}])
    by_span = {log["span_unique_id"]: log for log in new(2)}
    holds(by_span[root], trace_unique_id=trace, log_type="workflow", input='{"a": 1}', latency=1.5)
    holds(
        by_span[leaf], trace_unique_id=trace, span_parent_id=root, log_type="chat", model="gpt-4o",
        prompt_tokens=9, completion_tokens=3, customer_identifier="customer-1",
        prompt_messages=[{"role": "user", "content": "Grüezi"}],
        completion_message={"role": "assistant", "content": "Sali"}, latency=1.5,
    )  # fmt: skip
    equal(by_span[leaf]["metadata"].get("plan"), "pro")


def _attribute(name: str, value: Any) -> dict[str, Any]:
    return {"key": name, "value": {"intValue": str(value)} if isinstance(value, int) else {"stringValue": value}}


if __name__ == "__main__":
    run("respan-api")
