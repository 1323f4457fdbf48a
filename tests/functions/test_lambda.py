"""The functions as Lambda runs them: API Gateway events in, proxy answers out, the ledger on DynamoDB and S3 (moto)."""

import asyncio
import base64
import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from weir.runtime.lambda_handler import Handler, lambda_handler

import boto3
import pytest
from botocore.client import BaseClient
from moto import mock_aws

from functions.completion import app as completion
from functions.portal import app as portal
from functions.request_log import app as request_log
from functions.storage import app as storage
from functions.upkeep import app as upkeep
from tests.infra import template
from weir.ledger import payloads

EVENTS = template.ROOT / "infra" / "events"
KEY = "canary-key-of-the-event"
FUNCTIONS = {"completion": completion, "storage": storage, "request-log": request_log, "portal": portal}


@pytest.fixture
def handlers(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Handler]]:
    """Fresh handlers over an empty table and bucket."""
    environ = {
        "AWS_ACCESS_KEY_ID": "canary-access-key",
        "AWS_SECRET_ACCESS_KEY": "canary-secret-access-key",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "WEIR_ENGINE": "dynamodb",
        "WEIR_TABLE": "ledger",
        "WEIR_BUCKET": "weir-payloads",
        "WEIR_API_KEY": KEY,
    }
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    with mock_aws():
        boto3.client("dynamodb").create_table(TableName="ledger", **template.table_definition())
        boto3.client("s3").create_bucket(
            Bucket="weir-payloads", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
        )
        loops: list[asyncio.AbstractEventLoop] = []
        made = asyncio.new_event_loop

        def remembered() -> asyncio.AbstractEventLoop:
            loops.append(made())
            return loops[-1]

        monkeypatch.setattr(asyncio, "new_event_loop", remembered)
        yield {name: lambda_handler(name, app.mount, name) for name, app in FUNCTIONS.items()}
        for loop in loops:
            loop.close()
        asyncio.set_event_loop(None)


def event(name: str, **changes: Any) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((EVENTS / f"{name}.json").read_text(encoding="utf-8"))
    return {**loaded, **changes}


def body_of(answer: Mapping[str, Any]) -> str:
    return base64.b64decode(answer["body"]).decode() if answer["isBase64Encoded"] else str(answer["body"])


def header(answer: Mapping[str, Any], name: str) -> str:
    single = {key.lower(): value for key, value in (answer.get("headers") or {}).items()}
    many = {key.lower(): values[0] for key, values in (answer.get("multiValueHeaders") or {}).items()}
    return str({**many, **single}[name])


def read_back(handlers: dict[str, Handler], id: str) -> dict[str, Any]:
    path = f"/api/request-logs/{id}"
    found = handlers["request-log"](event("request-log-list", path=path, pathParameters={"proxy": id}), None)
    assert found["statusCode"] == 200, found["body"]
    log: dict[str, Any] = json.loads(body_of(found))
    return log


def test_a_completion_is_answered_and_kept_in_the_table(handlers: dict[str, Handler]) -> None:
    answer = handlers["completion"](event("completion"), None)

    assert answer["statusCode"] == 200
    said = json.loads(body_of(answer))["choices"][0]["message"]["content"]
    assert said == "This is Weir's demo, no model was called. You said: Grüezi"
    id = header(answer, "x-weir-request-id")
    items = boto3.client("dynamodb").scan(TableName="ledger")["Items"]
    assert {item["sk"]["S"] for item in items if id in item["sk"]["S"]} == {f"r#{id}", f"p#{id}"}
    assert read_back(handlers, id)["completion_message"]["content"] == said


def test_a_stream_is_complete_behind_mangum(handlers: dict[str, Handler]) -> None:
    answer = handlers["completion"](event("completion-stream"), None)

    assert (answer["statusCode"], answer["isBase64Encoded"]) == (200, False)
    assert header(answer, "content-type").startswith("text/event-stream")
    assert answer["body"].endswith("data: [DONE]\n\n")
    assert read_back(handlers, header(answer, "x-weir-request-id"))["stream"] is True


def test_maitais_lines_are_text_behind_api_gateway(handlers: dict[str, Handler]) -> None:
    answer = handlers["completion"](event("completion-maitai"), None)

    assert (answer["statusCode"], answer["isBase64Encoded"]) == (200, False)
    assert all("chat_completion_chunk" in json.loads(line) for line in answer["body"].splitlines())
    assert read_back(handlers, header(answer, "x-weir-request-id"))["session_id"] == "s-1"


def test_embeddings_are_answered_and_kept_in_the_table(handlers: dict[str, Handler]) -> None:
    answer = handlers["completion"](event("embeddings"), None)

    assert answer["statusCode"] == 200
    body = json.loads(body_of(answer))
    assert [item["index"] for item in body["data"]] == [0, 1]
    log = read_back(handlers, header(answer, "x-weir-request-id"))
    assert (log["log_type"], log["input"], log["full_response"]) == ("embedding", '["Grüezi","Salü"]', body)


def test_a_container_answers_one_call_after_the_other(handlers: dict[str, Handler]) -> None:
    ids = {header(handlers["completion"](event("completion"), None), "x-weir-request-id") for _ in range(3)}
    assert len(ids) == 3
    listed = json.loads(body_of(handlers["request-log"](event("request-log-list"), None)))
    assert {row["id"] for row in listed["results"]} == ids


def test_a_call_is_made_once_whichever_container_is_asked_again(handlers: dict[str, Handler]) -> None:
    body = json.dumps({**json.loads(event("completion")["body"]), "request_id": "req-1"})
    first, again = (handlers["completion"](event("completion", body=body), None) for _ in range(2))

    assert (again["statusCode"], body_of(again)) == (200, body_of(first))
    assert header(again, "x-weir-duplicate") == "true"
    assert header(again, "x-respan-log-id") == header(first, "x-weir-request-id")
    other = json.dumps({**json.loads(body), "temperature": 0.5})
    assert handlers["completion"](event("completion", body=other), None)["statusCode"] == 409
    assert len(json.loads(body_of(handlers["request-log"](event("request-log-list"), None)))["results"]) == 1


def test_a_stored_pair_is_read_back(handlers: dict[str, Handler]) -> None:
    answer = handlers["storage"](event("storage"), None)

    assert answer["statusCode"] == 200
    log = read_back(handlers, json.loads(body_of(answer))["request_id"])
    assert log["completion_message"] == {"role": "assistant", "content": "Salü"}
    assert (log["inference_location"], log["request_type"], log["metadata"]) == (
        "CLIENT",
        "PROD",
        {"source": "byo_client"},
    )


def test_a_log_is_read_back_with_every_field(handlers: dict[str, Handler]) -> None:
    sent = event("request-log-create")

    answer = handlers["request-log"](sent, None)

    assert answer["statusCode"] == 200
    made = json.loads(body_of(answer))
    assert made["message"] == "log successful"
    log = read_back(handlers, made["id"])
    assert {name: log[name] for name in json.loads(sent["body"])} == json.loads(sent["body"])


def test_a_bulk_is_kept_but_for_its_bad_row(handlers: dict[str, Handler]) -> None:
    answer = handlers["request-log"](event("request-log-bulk"), None)

    assert (answer["statusCode"], json.loads(body_of(answer))) == (
        201,
        {"success_count": 1, "error_count": 1, "errors": [{"index": 1, "error": "'model' is required."}]},
    )
    (row,) = json.loads(body_of(handlers["request-log"](event("request-log-list"), None)))["results"]
    log = read_back(handlers, row["id"])
    sent = json.loads(event("request-log-bulk")["body"])["logs"][0]
    assert {name: log[name] for name in sent} == sent


def test_an_annotation_is_read_back(handlers: dict[str, Handler]) -> None:
    log = {"model": "m", "unique_id": "order-1", "metadata": {"plan": "pro"}}
    handlers["request-log"](event("request-log-create", body=json.dumps(log)), None)

    answer = handlers["request-log"](event("request-log-annotate"), None)

    assert (answer["statusCode"], json.loads(body_of(answer))) == (
        200,
        {"success_count": 1, "error_count": 1, "errors": [{"index": 1, "error": "Not found."}]},
    )
    found = read_back(handlers, "order-1")
    assert (found["positive_feedback"], found["metadata"]) == (True, {"plan": "pro", "checked": "yes"})


def test_a_summary_is_summed_from_the_table(handlers: dict[str, Handler]) -> None:
    handlers["request-log"](event("request-log-create"), None)
    handlers["request-log"](event("request-log-bulk"), None)
    handlers["request-log"](event("request-log-create", body=json.dumps({"model": "m", "cost": 5})), None)

    answer = handlers["request-log"](event("request-log-summary"), None)

    assert (answer["statusCode"], json.loads(body_of(answer))) == (
        200,
        {
            "number_of_requests": 2,
            "total_cost": 0.0003,
            "total_tokens": 10,
            "total_prompt_tokens": 6,
            "total_completion_tokens": 4,
            "avg_latency": 1.5,
            "avg_tps": 1.333333,
            "avg_ttft": 0.2,
            "scores": {},
        },
    )


def test_packed_spans_are_kept_and_read_back(handlers: dict[str, Handler]) -> None:
    answer = handlers["request-log"](event("trace"), None)

    assert (answer["statusCode"], header(answer, "content-type")) == (200, "application/x-protobuf")
    assert answer["body"] == ""
    (row,) = json.loads(body_of(handlers["request-log"](event("request-log-list"), None)))["results"]
    log = read_back(handlers, row["id"])
    assert (log["span_name"], log["latency"], log["prompt_messages"]) == (
        "greet",
        1.5,
        [{"role": "user", "content": "Grüezi"}],
    )


def test_a_large_payload_goes_to_the_bucket(handlers: dict[str, Handler]) -> None:
    noise = base64.b64encode(bytes(range(256)) * 4 + str(list(range(60_000))).encode()).decode()
    sent = {"model": "m", "input": noise, "output": "x"}

    made = handlers["request-log"](event("request-log-create", body=json.dumps(sent)), None)

    (found,) = boto3.client("s3").list_objects_v2(Bucket="weir-payloads")["Contents"]
    stored = boto3.client("s3").get_object(Bucket="weir-payloads", Key=found["Key"])["Body"].read()
    assert json.loads(payloads.from_bytes(stored).request) == sent
    assert read_back(handlers, json.loads(body_of(made))["id"])["input"] == noise


def test_an_answer_that_lambda_does_not_give_out_is_refused_with_the_reason(handlers: dict[str, Handler]) -> None:
    """Of quotes, each of which Lambda escapes."""
    said = '"' * 1_600_000
    log = {"model": "m", "completion_message": {"role": "assistant", "content": said}, "unique_id": "large"}
    stored = handlers["request-log"](event("request-log-create", body=json.dumps(log)), None)
    id = json.loads(body_of(stored))["unique_id"]

    path = f"/api/request-logs/{id}"
    found = handlers["request-log"](event("request-log-list", path=path, pathParameters={"proxy": id}), None)

    assert (found["statusCode"], json.loads(body_of(found))) == (
        400,
        {
            "error": "The answer is too large for Lambda, which gives out 6.3 MB at most: its body has 3.2 MB, and "
            "6.4 MB as Lambda writes it. Ask for less at once; `weir export` reads calls of any size."
        },
    )


@pytest.mark.parametrize(
    ("function", "name", "status"),
    [("completion", "completion", 401), ("storage", "storage", 401), ("request-log", "request-log-create", 401)],
)
def test_without_the_key_nothing_is_done(handlers: dict[str, Handler], function: str, name: str, status: int) -> None:
    loaded = event(name)
    for headers in ("headers", "multiValueHeaders"):
        del loaded[headers]["x-api-key"]

    answer = handlers[function](loaded, None)

    assert answer["statusCode"] == status
    assert boto3.client("dynamodb").scan(TableName="ledger")["Items"] == []


def test_what_a_refusing_table_does_not_take_is_put_aside_and_back(handlers: dict[str, Handler]) -> None:
    handlers["completion"](event("completion"), None)
    handlers["request-log"](event("request-log-list"), None)
    boto3.client("dynamodb").delete_table(TableName="ledger")

    logged = handlers["request-log"](event("request-log-create"), None)
    answered = handlers["completion"](event("completion"), None)

    assert (logged["statusCode"], answered["statusCode"]) == (200, 200)
    ids = (json.loads(body_of(logged))["id"], header(answered, "x-weir-request-id"))
    shown = [read_back(handlers, id) for id in ids]
    boto3.client("dynamodb").create_table(TableName="ledger", **template.table_definition())
    with ThreadPoolExecutor(1) as another:  # which has no event loop of the others
        another.submit(upkeep.handler, {}, None).result()
    assert "Contents" not in boto3.client("s3").list_objects_v2(Bucket="weir-payloads", Prefix="spill/")
    assert [read_back(handlers, id) for id in ids] == shown


def test_where_the_bucket_refuses_too_a_log_is_503_and_an_answer_that_is_paid_for_no_loss(
    handlers: dict[str, Handler],
) -> None:
    handlers["completion"](event("completion"), None)
    handlers["request-log"](event("request-log-list"), None)
    boto3.client("dynamodb").delete_table(TableName="ledger")
    boto3.client("s3").delete_bucket(Bucket="weir-payloads")

    logged = handlers["request-log"](event("request-log-create"), None)
    answered = handlers["completion"](event("completion"), None)

    assert logged["statusCode"] == 503
    assert (answered["statusCode"], header(answered, "x-weir-stored")) == (200, "false")


def test_every_event_of_the_folder_is_run_here() -> None:
    assert {path.stem for path in EVENTS.glob("*.json")} == {
        "completion",
        "completion-stream",
        "completion-maitai",
        "embeddings",
        "storage",
        "request-log-create",
        "request-log-list",
        "request-log-bulk",
        "request-log-annotate",
        "request-log-summary",
        "portal",
        "projector",  # in test_projector.py
        "projector-check",
        "upkeep",
        "trace",
        "portal-requests",
    }


def test_what_is_set_for_an_application_holds_for_a_completion(handlers: dict[str, Handler]) -> None:
    made = event("portal", httpMethod="POST", path="/api/v1/applications", body='{"application_name": "demo_app"}')
    assert handlers["portal"](made, None)["statusCode"] == 201
    edited = handlers["portal"](event("portal"), None)
    assert json.loads(body_of(edited)) == {"data": {"model": "demo/echo", "temperature": 0.5}}

    message = {"role": "user", "content": "Hi"}
    body = {"application_ref_name": "demo_app", "action_type": "CHAT", "params": {"messages": [message], "model": None}}
    answer = handlers["completion"](event("completion-maitai", body=json.dumps(body)), None)

    assert answer["statusCode"] == 200, body_of(answer)
    told = handlers["storage"](event("storage", httpMethod="GET", path="/config/init_sdk", body=None), None)
    (application,) = json.loads(body_of(told))["applications"]
    assert (application["id"], application["meta"]["model"]) == (1, "demo/echo")


def test_stored_calls_are_listed_corrected_and_read_below_api_v1(handlers: dict[str, Handler]) -> None:
    handlers["storage"](event("storage"), None)

    listed = handlers["portal"](event("portal-requests"), None)

    assert listed["statusCode"] == 200
    found = json.loads(body_of(listed))
    assert found["pagination"] == {"total": 1, "offset": 0, "limit": 10}
    (row,) = found["data"]
    assert row["response"]["choices"][0]["message"]["content"] == "Salü"
    path = f"/api/v1/requests/{row['id']}"
    correction = '{"message_content": "Hoi"}'
    made = event("portal-requests", httpMethod="PUT", path=f"{path}/response", body=correction)
    made |= {"queryStringParameters": None, "multiValueQueryStringParameters": None}
    assert handlers["portal"](made, None)["statusCode"] == 200
    read = handlers["portal"]({**made, "httpMethod": "GET", "path": path, "body": None}, None)
    whole = json.loads(body_of(read))["data"]
    said = [whole[name]["choices"][0]["message"]["content"] for name in ("response", "corrected_response")]
    assert said == ["Salü", "Hoi"]


def test_what_the_portal_does_not_offer_it_says_itself(handlers: dict[str, Handler]) -> None:
    asked = event("portal-requests", path="/api/v1/agents", queryStringParameters=None)
    answer = handlers["portal"]({**asked, "multiValueQueryStringParameters": None}, None)
    assert (answer["statusCode"], json.loads(body_of(answer))["error"]["status"]) == (501, 501)


def test_a_tenants_key_made_here_opens_every_function_and_no_other_tenants_rows(handlers: dict[str, Handler]) -> None:
    asked = json.dumps({"name": "CI", "tenant": "acme"})
    made = handlers["portal"](event("portal", httpMethod="POST", path="/api/v1/api-keys", body=asked), None)
    assert made["statusCode"] == 201, made["body"]
    key = json.loads(body_of(made))["data"]["key"]

    answer = handlers["completion"](with_key(event("completion"), key), None)

    assert answer["statusCode"] == 200, answer["body"]
    id = header(answer, "x-weir-request-id")
    reading = event("request-log-list", path=f"/api/request-logs/{id}", pathParameters={"proxy": id})
    assert handlers["request-log"](with_key(reading, key), None)["statusCode"] == 200
    assert handlers["request-log"](reading, None)["statusCode"] == 404
    assert handlers["storage"](with_key(event("storage"), key), None)["statusCode"] == 200
    assert handlers["portal"](with_key(event("portal"), key), None)["statusCode"] == 403
    assert key[18:] not in json.dumps(boto3.client("dynamodb").scan(TableName="ledger")["Items"], default=repr)


def test_a_warm_call_that_uses_all_of_control_reads_the_table_once(
    handlers: dict[str, Handler], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tenant's key, configuration, a fallback, limits, a provider key by reference; the cache is the read."""
    monkeypatch.setenv("WEIR_CREDENTIALS", "ssm:/weir/")
    boto3.client("ssm").put_parameter(Name="/weir/openai", Value="canary-of-the-tenant", Type="SecureString")

    def edit(method: str, path: str, **body: Any) -> Any:
        answer = handlers["portal"](event("portal", httpMethod=method, path=path, body=json.dumps(body)), None)
        assert answer["statusCode"] < 300, answer["body"]
        return json.loads(body_of(answer))["data"]

    edit("PUT", "/api/v1/credentials/openai", reference="ssm:/weir/openai", tenant="acme")
    edit("POST", "/api/v1/limits", per="key", measure="requests_per_minute", limit=100, tenant="acme")
    edit("POST", "/api/v1/limits", per="customer", measure="spend_per_day", limit=5, tenant="acme")
    key = edit("POST", "/api/v1/api-keys", name="CI", tenant="acme", scopes=["complete", "admin"])["key"]
    config = json.dumps({"cache_enabled": True, "fallback_models": ["openai/gpt-4o-mini"], "timeout": 20})
    set_by_tenant = event("portal", httpMethod="PUT", path="/api/v1/config", body=config)
    assert handlers["portal"](with_key(set_by_tenant, key), None)["statusCode"] == 200

    def ask(text: str) -> list[str]:
        body = {"model": "demo/echo", "messages": [{"role": "user", "content": text}], "application": "shop"}
        body |= {"intent": "CHAT", "customer_identifier": "ann", "session_id": "s"}
        before = len(calls)
        answer = handlers["completion"](with_key(event("completion", body=json.dumps(body)), key), None)
        assert answer["statusCode"] == 200, answer["body"]
        return [name for service, name in calls[before:] if service == "dynamodb"]

    calls, made = [], BaseClient._make_api_call

    def noted(client: BaseClient, name: str, parameters: Any) -> Any:
        calls.append((client.meta.service_model.service_name, name))
        return made(client, name, parameters)

    monkeypatch.setattr(BaseClient, "_make_api_call", noted)
    cold, warm = ask("one"), ask("two")

    reads = {"GetItem", "BatchGetItem", "Query", "Scan"}
    assert len([name for name in cold if name in reads]) > 1
    assert [name for name in warm if name in reads] == ["GetItem"]
    assert ("ssm", "GetParameter") in calls


def with_key(loaded: dict[str, Any], key: str) -> dict[str, Any]:
    return {
        **loaded,
        "headers": {**loaded["headers"], "x-api-key": key},
        "multiValueHeaders": {**loaded["multiValueHeaders"], "x-api-key": [key]},
    }
