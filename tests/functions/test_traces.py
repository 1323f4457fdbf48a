"""Spans by OTLP and by Keywords AI's own lists, as records."""

import asyncio
import base64
import gzip
import json
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest
from google.protobuf.json_format import MessageToDict, ParseDict
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from functions.completion import app as completion
from functions.request_log import app as request_log
from tests.runtime import INGEST_KEY, KEY, OTHER_KEY, READ_KEY, START, Caller
from weir.domain.completion import NOTHING, Usage
from weir.domain.errors import LedgerUnavailable
from weir.domain.ids import milliseconds, uuid7
from weir.domain.record import Failure, Record
from weir.http.span_intake import SPANS_LIMIT, UNPACKED_LIMIT
from weir.ledger.ledger import Ledger
from weir.runtime.bootstrap import Runtime

TRACE = "0102030405060708090a0b0c0d0e0f10"
ROOT, CHAT, HTTP = "1111111111111111", "2222222222222222", "3333333333333333"
JSON = {"content-type": "application/json"}
PROTOBUF = {"content-type": "application/x-protobuf"}
OTLP_PATHS = [base + path + end for base in ("/api", "") for path in ("/v1/traces", "/v2/traces") for end in ("", "/")]
INGEST_PATHS = [
    f"{base}{of}/v1/traces/ingest{end}"
    for base in ("/api", "")
    for of in ("", "/integrations", "/openai")
    for end in ("", "/")
]


@pytest.fixture
def caller(runtime: Runtime) -> Caller:
    return Caller.of(runtime, [request_log.mount, completion.mount])


def any_value(value: Any) -> dict[str, Any]:
    kind = {bool: "boolValue", int: "intValue", float: "doubleValue", str: "stringValue"}[type(value)]
    return {kind: value}


def span(id: str, attributes: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    pairs = [{"key": name, "value": any_value(value)} for name, value in (attributes or {}).items()]
    return {"traceId": TRACE, "spanId": id, "attributes": pairs, **fields}


def export(*spans: dict[str, Any]) -> dict[str, Any]:
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]}
    return {
        "resourceSpans": [{"resource": resource, "scopeSpans": [{"scope": {"name": "tracer"}, "spans": list(spans)}]}]
    }


def binary(body: Any) -> bytes:
    """The same request in protobuf, where ids are bytes."""

    def in_base64(value: Any) -> Any:
        if isinstance(value, list):
            return [in_base64(member) for member in value]
        if not isinstance(value, dict):
            return value
        return {
            name: base64.b64encode(bytes.fromhex(member)).decode()
            if name.endswith(("traceId", "panId"))
            else in_base64(member)
            for name, member in value.items()
        }

    return bytes(ParseDict(in_base64(body), ExportTraceServiceRequest()).SerializeToString())


WORKFLOW = span(
    ROOT,
    {"traceloop.span.kind": "workflow", "traceloop.workflow.name": "answer"},
    name="answer.workflow",
    startTimeUnixNano="1767323045000000000",
    endTimeUnixNano="1767323047000000000",
)
CALL = span(
    CHAT,
    {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.response.model": "gpt-4o-2024-08-06",
        "gen_ai.usage.input_tokens": 1000,
        "gen_ai.usage.output_tokens": 100,
        "gen_ai.response.finish_reason": "stop",
        "gen_ai.prompt.0.role": "user",
        "gen_ai.prompt.0.content": "Grüezi",
        "gen_ai.completion.0.content": "Salü",
        "user.id": "user-1",
        "session.id": "session-1",
        "respan.customer_params.customer_identifier": "customer-1",
        "respan.metadata.plan": "pro",
        "traceloop.workflow.name": "answer",
    },
    parentSpanId=ROOT,
    name="chat gpt-4o",
    kind=3,
    startTimeUnixNano="1767323045250000000",
    endTimeUnixNano="1767323046750000000",
)
REQUEST = span(
    HTTP,
    {"http.request.method": "POST", "http.response.status_code": 503},
    parentSpanId=CHAT,
    name="POST",
    kind=3,
    status={"code": 2, "message": "no capacity"},
)


def a_record(number: int, id: str, **fields: Any) -> Record:
    """Span `number` of those kept: the clock ticks, and ids count, one for each."""
    at = START + timedelta(seconds=number)
    return Record(
        id=uuid7(milliseconds(at), number + 1),
        workspace="default",
        environment="prod",
        created_at=at,
        origin="trace",
        inference_location="CLIENT",
        caller_id=f"{TRACE}-{id}",
        trace_id=TRACE,
        span_id=id,
        **fields,
    )


RECORDS = (
    a_record(
        0,
        ROOT,
        span_name="answer.workflow",
        workflow_name="answer",
        log_type="workflow",
        latency_ms=2000.0,
        metadata={"service.name": "shop"},
    ),
    a_record(
        1,
        CHAT,
        parent_span_id=ROOT,
        span_name="chat gpt-4o",
        workflow_name="answer",
        log_type="chat",
        provider="openai",
        model="gpt-4o",
        answered_model="gpt-4o-2024-08-06",
        claimed_usage=Usage(1000, 100),
        finish_reason="stop",
        raw_finish_reason="stop",
        latency_ms=1500.0,
        session_id="session-1",
        user_id="user-1",
        customer_identifier="customer-1",
        metadata={"plan": "pro", "service.name": "shop"},
    ),
    a_record(
        2,
        HTTP,
        parent_span_id=CHAT,
        span_name="POST",
        log_type="other",
        status_code=503,
        outcome="error",
        failure=Failure("reported", "no capacity", provider_status=503),
        metadata={"service.name": "shop", "http.request.method": "POST"},
    ),
)


def send(caller: Caller, body: Any, path: str = "/v1/traces", headers: Mapping[str, str] = NOTHING) -> httpx.Response:
    """As protobuf unless `body` is text of JSON."""
    content = body if isinstance(body, bytes) else binary(body)
    kind = JSON if content[:1] in (b"{", b"[") else PROTOBUF
    if headers.get("content-encoding") == "gzip":
        content = gzip.compress(content)
    return caller.post(path, content=content, headers={**kind, **headers})


def as_json(body: Any) -> bytes:
    return json.dumps(body).encode()


def kept(runtime: Runtime, workspace: str = "default") -> tuple[Record, ...]:
    """The oldest first."""
    return tuple(reversed(asyncio.run(runtime.ledger.newest(workspace, limit=100))))


def without_cost(records: tuple[Record, ...]) -> list[Record]:
    """Which table of prices it was that reckoned a cost is for other tests to know."""
    return [replace(record, computed_cost=None, price_version=None) for record in records]


@pytest.mark.parametrize("packing", ["identity", "gzip"])
@pytest.mark.parametrize("encode", [binary, as_json])
@pytest.mark.parametrize("path", OTLP_PATHS)
def test_every_span_is_a_record_with_its_place_in_the_tree(
    caller: Caller, runtime: Runtime, path: str, encode: Any, packing: str
) -> None:
    answer = send(caller, encode(export(WORKFLOW, CALL, REQUEST)), path, {"content-encoding": packing})
    assert answer.status_code == 200
    if encode is binary:
        assert (answer.headers["content-type"], answer.content) == ("application/x-protobuf", b"")
    else:
        assert (answer.headers["content-type"], answer.json()) == ("application/json", {"partialSuccess": {}})
    records = kept(runtime)
    assert without_cost(records) == list(RECORDS)
    assert [record.cost for record in records] == [None, Decimal("0.0035"), None]


def test_a_span_is_read_back_as_a_log_and_as_it_came(caller: Caller) -> None:
    send(caller, export(CALL))
    (row,) = caller.get("/api/request-logs/list?trace_unique_id=" + TRACE).json()["results"]
    shown = caller.get(f"/api/request-logs/{row['id']}").json()
    fields = {
        "model": "gpt-4o",
        "prompt_messages": [{"role": "user", "content": "Grüezi"}],
        "completion_message": {"role": "assistant", "content": "Salü"},
        "start_time": "2026-01-02T03:04:05.250000Z",
        "timestamp": "2026-01-02T03:04:06.750000Z",
        "latency": 1.5,
        "log_type": "chat",
        "origin": "trace",
        "metadata": {"plan": "pro", "service.name": "shop"},
    }
    assert {name: shown[name] for name in fields} == fields
    assert shown["span"] == {
        "traceId": TRACE,
        "spanId": CHAT,
        "parentSpanId": ROOT,
        "name": "chat gpt-4o",
        "kind": "client",
        "startTimeUnixNano": "1767323045250000000",
        "endTimeUnixNano": "1767323046750000000",
        "attributes": {pair["key"]: next(iter(pair["value"].values())) for pair in CALL["attributes"]},
        "resource": {"attributes": {"service.name": "shop"}},
        "scope": {"name": "tracer"},
    }


def test_a_span_sent_again_is_the_same_record(caller: Caller, runtime: Runtime) -> None:
    for body in (export(WORKFLOW, CALL), as_json(export(CALL, REQUEST)), export(CALL, CALL)):
        assert send(caller, body).status_code == 200
    assert [record.span_id for record in kept(runtime)] == [ROOT, CHAT, HTTP]


def test_the_same_span_of_another_workspace_is_another(caller: Caller, runtime: Runtime) -> None:
    send(caller, export(CALL))
    send(caller.with_key(OTHER_KEY), export(CALL))
    assert [len(kept(runtime, workspace)) for workspace in ("default", "other")] == [1, 1]


def test_a_cost_that_is_told_goes_before_ours(caller: Caller, runtime: Runtime) -> None:
    send(caller, export(span(CHAT, {"llm.model_name": "gpt-4o", "llm.cost.total": 0.25})))
    (record,) = kept(runtime)
    assert (record.claimed_cost, record.computed_cost) == (Decimal("0.25"), None)


@pytest.mark.parametrize(
    ("provider", "known"), [("groq", True), ("GROQ", True), ("a.vendor.of.ones.own", False), (None, False)]
)
def test_a_span_that_names_its_provider_is_priced_by_it(
    caller: Caller, runtime: Runtime, provider: str | None, known: bool
) -> None:
    call = {"gen_ai.request.model": "llama-3.3-70b-versatile", "gen_ai.usage.input_tokens": 9}
    of_provider = {"gen_ai.provider.name": provider} if provider else {}
    send(caller, export(span(CHAT, {**call, "gen_ai.usage.output_tokens": 9, **of_provider})))
    (record,) = kept(runtime)
    assert (record.computed_cost is not None) == known


def test_a_respan_client_asks_not_to_be_traced_and_its_spans_are_kept(caller: Caller, runtime: Runtime) -> None:
    assert send(caller, as_json(export(CALL)), "/api/v2/traces", {"x-respan-dogfood": "1"}).status_code == 200
    assert len(kept(runtime)) == 1


def test_a_body_may_come_in_chunks_of_no_announced_length(caller: Caller, runtime: Runtime) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        content = binary(export(WORKFLOW, CALL))
        for start in range(0, len(content), 100):
            yield content[start : start + 100]

    answer = caller.post("/v1/traces", content=chunks(), headers=PROTOBUF)
    assert answer.status_code == 200
    assert "content-length" not in answer.request.headers
    assert len(kept(runtime)) == 2


REJECTED = "span 1: its span id is not 8 bytes, or all of them are 0"


@pytest.mark.parametrize("encode", [binary, as_json])
def test_a_span_that_cannot_be_kept_is_counted_and_named(caller: Caller, runtime: Runtime, encode: Any) -> None:
    answer = send(caller, encode(export(WORKFLOW, span("00" * 8), CALL)))
    said = {"partialSuccess": {"rejectedSpans": "1", "errorMessage": REJECTED}}
    assert answer.status_code == 200
    if encode is binary:
        assert MessageToDict(ExportTraceServiceResponse.FromString(answer.content)) == said
    else:
        assert answer.json() == said
    assert [record.span_id for record in kept(runtime)] == [ROOT, CHAT]


BOMB = gzip.compress(b"\0" * (UNPACKED_LIMIT + 1))
MANY = as_json(export(*(span(f"{number:016x}") for number in range(1, SPANS_LIMIT + 2))))
BAD: dict[str, tuple[bytes, dict[str, str], int, int]] = {
    "no protobuf": (b"\xff\xff", PROTOBUF, 400, 3),
    "cut off": (binary(export(CALL))[:-5], PROTOBUF, 400, 3),
    "no JSON": (b"{", JSON, 400, 3),
    "no object": (b"[]", JSON, 400, 3),
    "JSON of another kind": (b'{"resourceSpans": 1}', JSON, 400, 3),
    "no gzip": (b"\x1f\x8b" + b"x" * 30, {**PROTOBUF, "content-encoding": "gzip"}, 400, 3),
    "another packing": (b"x", {**PROTOBUF, "content-encoding": "br"}, 415, 3),
    "a bomb": (BOMB, {**PROTOBUF, "content-encoding": "gzip"}, 413, 8),
    "a bomb of JSON": (BOMB, {**JSON, "content-encoding": "gzip"}, 413, 8),
    "too large": (b" " * 6_300_000, JSON, 413, 8),
    "too many": (MANY, JSON, 413, 8),
    "another type": (b"{}", {"content-type": "text/plain"}, 415, 3),
    "no type": (b"{}", {"content-type": ""}, 415, 3),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_request_is_answered_with_a_status_in_its_own_encoding(
    caller: Caller, runtime: Runtime, name: str
) -> None:
    content, headers, status, code = BAD[name]
    answer = caller.post("/api/v1/traces", content=content, headers=headers)
    assert answer.status_code == status
    if headers["content-type"] == PROTOBUF["content-type"]:
        assert answer.headers["content-type"] == "application/x-protobuf"
        said = Status.FromString(answer.content)
        assert (said.code, bool(said.message)) == (code, True)
    else:
        assert answer.headers["content-type"] == "application/json"
        assert (answer.json()["code"], bool(answer.json()["message"])) == (code, True)
    assert kept(runtime) == ()


@pytest.mark.parametrize(("key", "status", "code"), [(None, 401, 16), ("canary-wrong", 401, 16), (READ_KEY, 403, 7)])
def test_a_key_must_be_one_that_may_write(caller: Caller, key: str | None, status: int, code: int) -> None:
    for path in ("/v1/traces", "/api/v2/traces"):
        answer = send(caller.with_key(key), export(CALL), path)
        assert (answer.status_code, Status.FromString(answer.content).code) == (status, code)
    answer = caller.with_key(key).post("/api/v1/traces/ingest", json=[])
    assert answer.status_code == status


def test_maitais_header_for_the_key_is_taken(caller: Caller, runtime: Runtime) -> None:
    assert send(caller.with_key(None), export(CALL), "/api/v1/traces", {"x-api-key": INGEST_KEY}).status_code == 200
    assert len(kept(runtime)) == 1


def test_a_ledger_that_refuses_has_the_export_sent_again(
    caller: Caller, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep = Ledger.keep

    async def refusing(ledger: Ledger, record: Record, payload: Any) -> Any:
        if record.span_id == CHAT:
            raise LedgerUnavailable("not now")
        return await keep(ledger, record, payload)

    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "keep", refusing)
        answer = send(caller, export(WORKFLOW, CALL))
    assert (answer.status_code, Status.FromString(answer.content)) == (503, Status(code=14, message="not now"))
    assert send(caller, export(WORKFLOW, CALL)).status_code == 200
    assert [record.span_id for record in kept(runtime)] == [ROOT, CHAT]


def complete(caller: Caller, **fields: Any) -> str:
    """The id of a completion that went through Weir."""
    body = {"model": "demo/echo", "messages": [{"role": "user", "content": "Hi"}], **fields}
    answer = caller.post("/api/chat/completions", json=body)
    assert answer.status_code == 200, answer.text
    return str(answer.headers["x-weir-request-id"])


def linked(id: str, log_id: str, company: str = "respan") -> dict[str, Any]:
    """As respan-instrumentation-openai has it, but with counts and content, which it leaves out."""
    attributes = {
        "gen_ai.request.model": "demo/echo",
        f"{company}.gateway.log_id": log_id,
        f"{company}.metadata.plan": "pro",
        "session.id": "session-1",
        "traceloop.workflow.name": "answer",
        "gen_ai.usage.input_tokens": 1000,
        "gen_ai.usage.output_tokens": 100,
        "llm.cost.total": 5.0,
    }
    return span(id, attributes, parentSpanId=ROOT, name="llm.demo")


@pytest.mark.parametrize("company", ["respan", "keywordsai"])
def test_a_span_of_a_call_that_went_through_weir_joins_its_record(
    caller: Caller, runtime: Runtime, company: str
) -> None:
    id = complete(caller, metadata={"team": "a"})
    (before,) = kept(runtime)
    for _ in range(2):
        assert send(caller, export(linked(CHAT, id, company))).status_code == 200
    (after,) = kept(runtime)
    assert after == replace(
        before,
        trace_id=TRACE,
        span_id=CHAT,
        parent_span_id=ROOT,
        span_name="llm.demo",
        workflow_name="answer",
        session_id="session-1",
        metadata={"team": "a", "plan": "pro"},
        revision=1,
    )
    shown = caller.get(f"/api/request-logs/{id}").json()
    assert (shown["trace_unique_id"], shown["completion_message"]["role"]) == (TRACE, "assistant")


@pytest.mark.parametrize(
    "told",
    [
        lambda id: {"gen_ai.response.id": f"chatcmpl-{id}"},
        lambda id: {"openinference.span.kind": "LLM", "output.value": f'{{"id": "chatcmpl-{id}", "choices": []}}'},
    ],
    ids=["openllmetry", "openinference"],
)
def test_a_span_that_knows_only_the_answers_own_id_joins_its_record(
    caller: Caller, runtime: Runtime, told: Callable[[str], dict[str, str]]
) -> None:
    id = complete(caller)
    (before,) = kept(runtime)
    send(caller, export(span(CHAT, {"gen_ai.request.model": "demo/echo", **told(id)}, name="openai.chat")))
    (after,) = kept(runtime)
    assert after == replace(before, trace_id=TRACE, span_id=CHAT, span_name="openai.chat", revision=1)


def test_a_workflow_that_ends_with_an_answer_is_a_span_of_its_own(caller: Caller, runtime: Runtime) -> None:
    id = complete(caller)
    attributes = {"traceloop.span.kind": "workflow", "output.value": f'{{"id": "chatcmpl-{id}"}}'}
    send(caller, export(span(ROOT, attributes), span(CHAT, {"gen_ai.response.id": "chatcmpl-of-another-gateway"})))
    assert sorted(record.origin for record in kept(runtime)) == ["completion", "trace", "trace"]


def test_what_a_call_said_of_itself_stays(caller: Caller, runtime: Runtime) -> None:
    id = complete(caller, session_id="mine", metadata={"plan": "free", **{str(n): n for n in range(63)}})
    span_with_new_tag = linked(CHAT, id)
    span_with_new_tag["attributes"].append({"key": "respan.metadata.new", "value": {"stringValue": "x"}})
    send(caller, export(span_with_new_tag))
    (record,) = kept(runtime)
    assert (record.session_id, record.span_id) == ("mine", CHAT)
    assert record.metadata == {"plan": "free", **{str(n): n for n in range(63)}}


def test_a_second_span_of_the_same_call_is_a_record_without_its_figures(caller: Caller, runtime: Runtime) -> None:
    id = complete(caller)
    send(caller, export(linked(CHAT, id)))
    send(caller, export(linked(HTTP, id)))
    figures = [(record.origin, record.span_id, record.claimed_usage, record.cost) for record in kept(runtime)]
    assert figures == [("completion", CHAT, figures[0][2], None), ("trace", HTTP, None, None)]
    assert figures[0][2] is not None


def test_a_span_of_another_gateways_call_is_a_record_with_its_figures(caller: Caller, runtime: Runtime) -> None:
    log = caller.post("/api/request-logs/create", json={"model": "m"}).json()["id"]
    for number, log_id in enumerate(("log_gw_1", uuid7(1, 1), log)):
        send(caller, export(linked(f"{number + 1:016}", log_id)))
    send(caller.with_key(OTHER_KEY), export(linked(CHAT, complete(caller))))
    spans = [*(record for record in kept(runtime) if record.origin == "trace"), *kept(runtime, "other")]
    assert [record.claimed_usage for record in spans] == [Usage(1000, 100)] * 4


ROW: dict[str, Any] = {
    "trace_unique_id": "t1",
    "span_unique_id": "s1",
    "span_parent_id": "s0",
    "span_name": "n",
    "span_workflow_name": "w",
    "log_type": "task",
    "input": "in",
    "start_time": "2026-01-02T03:04:05Z",
    "latency": 1.5,
    "unknown": [None],
}


@pytest.mark.parametrize("wrap", [lambda rows: rows, lambda rows: {"data": rows}])
@pytest.mark.parametrize("path", INGEST_PATHS)
def test_a_list_of_spans_is_kept(caller: Caller, runtime: Runtime, path: str, wrap: Any) -> None:
    answer = caller.post(path, json=wrap([ROW]))
    assert (answer.status_code, answer.json()) == (
        200,
        {"message": "traces ingested", "success_count": 1, "error_count": 0, "errors": []},
    )
    (record,) = kept(runtime)
    assert record == Record(
        id=uuid7(milliseconds(START), 1),
        workspace="default",
        environment="prod",
        created_at=START,
        origin="trace",
        inference_location="CLIENT",
        caller_id="t1-s1",
        trace_id="t1",
        span_id="s1",
        parent_span_id="s0",
        span_name="n",
        workflow_name="w",
        log_type="task",
        latency_ms=1500.0,
    )
    shown = caller.get(f"/api/request-logs/{record.id}").json()
    assert {name: shown[name] for name in ROW} == ROW


def test_a_span_of_a_list_is_kept_once(caller: Caller, runtime: Runtime) -> None:
    for _ in range(2):
        caller.post("/api/v1/traces/ingest", json=[ROW, {**ROW, "span_unique_id": "s2"}])
    assert [record.span_id for record in kept(runtime)] == ["s1", "s2"]


@pytest.mark.parametrize(
    ("row", "error"),
    [
        ({"span_unique_id": "s"}, "'trace_unique_id' is required."),
        ({"trace_unique_id": "t"}, "'span_unique_id' is required."),
        ({**ROW, "latency": "long"}, None),
        ([], "The request body must be a JSON object."),
    ],
)
def test_a_bad_span_of_a_list_is_named_and_the_others_are_kept(
    caller: Caller, runtime: Runtime, row: Any, error: str | None
) -> None:
    answer = caller.post("/api/v1/traces/ingest", json=[ROW, row])
    body = answer.json()
    assert (answer.status_code, body["success_count"], body["error_count"]) == (200, 1, 1)
    assert [problem["index"] for problem in body["errors"]] == [1]
    if error:
        assert body["errors"][0]["error"] == error
    assert [record.span_id for record in kept(runtime)] == ["s1"]
    refused = caller.post("/api/v1/traces/ingest", json=[row])
    assert (refused.status_code, refused.json()["error"]) == (400, body["errors"][0]["error"])


@pytest.mark.parametrize("body", [{}, {"logs": []}, "x", [{}] * 5_001])
def test_what_is_no_list_is_refused(caller: Caller, body: Any) -> None:
    answer = caller.post("/api/v1/traces/ingest", json=body)
    assert answer.status_code == 400
    assert "error" in answer.json()


def test_a_key_in_a_span_is_erased_wherever_it_is_told(caller: Caller, runtime: Runtime) -> None:
    secret = "canary-provider-key-1"
    telling = span(
        CHAT,
        {
            "traceloop.entity.input": json.dumps({"kwargs": {"api_key": secret}}),
            "gen_ai.prompt.0.content": f"my keys are {secret} and {KEY}",
            "gen_ai.request.model": secret,
            "respan.metadata.plan": secret,
        },
        name=f"call with {secret}",
        status={"code": 2, "message": f"{secret} was refused"},
    )
    also = span(HTTP, {"http.request.header.authorization": f"Bearer {secret}"}, name=secret)
    send(caller, export(also, telling))
    for record in kept(runtime):
        text = str(record) + caller.get(f"/api/request-logs/{record.id}").text
        assert secret not in text
        assert KEY not in text
        assert "[erased]" in text
