"""Each function's policy against what it does: no call that is not allowed, and nothing allowed that it does not do.

The functions run as Lambda runs them, on moto, and every call of their clients is recorded with what it is about.
"""

import ast
import base64
import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple

import boto3
import pytest
from botocore import xform_name

from functions.projector import app as projector
from functions.upkeep import app as upkeep
from tests.functions.test_lambda import EVENTS, header
from tests.infra import template
from tests.infra.aws_calls import BUCKET, MODEL, PARAMETER, QUEUE, TABLE, Need, Recording
from tests.infra.flows import MESSAGES, NOISE, REGION, World, world
from tests.infra.test_template import given
from weir.ledger.archive import Archive
from weir.ledger.archive_format import Partition
from weir.ledger.dynamodb_queries import key_attributes
from weir.ledger.keys import caller_key, late_key
from weir.ledger.settlement import late_content
from weir.runtime.bootstrap import new_id

LEDGER = template.ROOT / "layers" / "shared" / "weir" / "ledger"
ARNS = {"Table": f"{TABLE}ledger", "Bucket": f"{BUCKET}payloads", "DeadLetters": f"{QUEUE}dead"}

CREDENTIALS_PATH = "/weir/credentials"
SECRET = f"arn:aws:secretsmanager:{REGION}:123456789012:secret:weir"

BY_LAMBDA_ITSELF = {
    ("Projector", action)
    for action in (
        "dynamodb:DescribeStream",
        "dynamodb:GetRecords",
        "dynamodb:GetShardIterator",
        "dynamodb:ListStreams",
    )
}
"""What Lambda does with a function's role: it reads the stream, by its guide, with-ddb."""

BY_BEDROCK_ITSELF = {("Completion", "bedrock:GetInferenceProfile")}
"""What it asks with a caller's role where a profile is named, by its user guide, inference-prereq."""

BY_POWERTOOLS = {"get_parameter", "get_secret_value"}
BY_THE_COMMAND = {"receive_message", "delete_message", "get_queue_attributes"}
"""Methods of clients that only the `weir` command calls, with the rights of who runs it: `weir deadletters`."""


class Allowed(NamedTuple):
    function: str
    action: str
    pattern: str

    def covers(self, need: Need) -> bool:
        return self[:2] == need[:2] and fnmatchcase(need.resource, self.pattern)


def allowed() -> Iterator[Allowed]:
    for function, found in template.resources("AWS::Serverless::Function").items():
        role = found["Properties"]["Role"]["Fn::GetAtt"][0]
        (policy,) = template.resources("AWS::IAM::Role")[role]["Properties"]["Policies"]
        for statement in map(given, policy["PolicyDocument"]["Statement"]):
            for action in _listed(statement["Action"]):
                for resource in _listed(statement["Resource"]):
                    yield Allowed(function, action, _pattern(resource))


def _pattern(resource: dict[str, Any]) -> str:
    match resource:
        case {"Fn::GetAtt": [name, "Arn"]}:
            return ARNS[name]
        case {"Fn::Split": [",", {"Ref": "CredentialSecretArns"}]}:
            return f"{SECRET}*"
        case {"Fn::Split": [",", {"Ref": "BedrockModels"}]}:
            return f"{MODEL}*"
        case {"Fn::Sub": text} if ":ssm:" in text:
            assert text == ("arn:${AWS::Partition}:ssm:${AWS::Region}:${AWS::AccountId}:parameter${CredentialsPath}/*")
            return f"{PARAMETER}{CREDENTIALS_PATH}/*"
        case {"Fn::GetAtt": [name, "StreamArn"]}:
            return f"{ARNS[name]}/stream/canary"
        case {"Fn::Sub": text}:
            for name, arn in ARNS.items():
                text = text.replace(f"${{{name}.Arn}}", arn)
            return str(text)
        case _:
            raise LookupError(resource)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


@pytest.fixture(scope="module")
def seen() -> Recording:
    seen = Recording()
    for flow in FLOWS:
        with pytest.MonkeyPatch.context() as patch, world(patch, **SETTINGS.get(flow, {})) as weir:
            flow(weir)
            seen.needs |= weir.recording.needs
            seen.operations += weir.recording.operations
    return seen


def test_no_function_makes_a_call_that_its_policy_does_not_allow(seen: Recording) -> None:
    policies = list(allowed())
    assert {need for need in seen.needs if not any(each.covers(need) for each in policies)} == set()


def test_no_function_may_do_what_it_does_not_do(seen: Recording) -> None:
    unused = {each for each in allowed() if not any(each.covers(need) for need in seen.needs)}
    assert {each[:2] for each in unused} == BY_LAMBDA_ITSELF | BY_BEDROCK_ITSELF


def test_every_operation_that_the_code_asks_for_was_seen(seen: Recording) -> None:
    """One that no flow makes would be missed by the tests above."""
    written = {name for file in LEDGER.glob("*.py") for name in _called(file)} - {"close"}
    assert {xform_name(operation) for operation in seen.operations} | BY_THE_COMMAND == written | BY_POWERTOOLS


def test_every_function_may_write_its_log_and_no_other() -> None:
    policy = template.resources("AWS::IAM::ManagedPolicy")["WriteLogs"]
    assert policy["Properties"]["PolicyDocument"]["Statement"] == [
        {
            "Effect": "Allow",
            "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
            "Resource": {"Fn::GetAtt": ["FunctionLogs", "Arn"]},
        }
    ]


def _called(file: Path) -> Iterator[str]:
    """The methods of AWS's clients, which the ledger's classes call `_client`."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Attribute(attr="_client"), attr=name)):
                yield name


def every_route(weir: World) -> None:
    """With next to nothing asked: a new route that reads from somewhere else is found out without a flow of its own."""
    named = {"application_ref_name": "desk", "action_type": "CHAT", "session_id": "1", "customer_identifier": "1"}
    params = {"model": "demo/echo", "messages": MESSAGES}
    body = {**named, "request_id": "1", "auth_keys": {}, "params": params}
    weir.done("Completion", "POST", "/chat/completions/serialized", body | {"params": params | {"stream": False}})
    weir.project(weir.stream(payloads=True))
    asked = 0
    for function in weir.handlers:
        for method, path in weir.routes(function):
            answer = weir.ask(function, method, re.sub(r"\{\w+\}", "1", path), None if method == "GET" else {})
            assert answer["statusCode"] < 500 or answer["statusCode"] == 501, (method, path, answer["body"])
            asked += 1
    assert asked > 100


def completions(weir: World) -> None:
    weir.done("Completion", "GET", "/v1/models", key=weir.key_of_a_tenant())
    weir.complete()
    weir.complete(stream=True)
    named = {"application_ref_name": "desk", "action_type": "CHAT", "session_id": "s-1", "auth_keys": {}}
    params = {"model": "demo/echo", "messages": MESSAGES}
    for _ in range(2):  # the second one repeats it
        weir.ask("Completion", "POST", "/chat/completions/serialized", {**named, "params": params, "request_id": "r-1"})
    weir.ask("Completion", "POST", "/v1/embeddings", {"model": "demo/echo", "input": ["Grüezi"]})
    for _ in range(2):
        assert weir.complete(NOISE, request_id="long")["statusCode"] == 200
    refused = weir.complete(request_id="impossible", model="nobody/has-this")
    assert refused["statusCode"] == 404
    died = key_attributes(caller_key("default", "died"))
    weir.aws["dynamodb"].put_item(TableName="ledger", Item={**died, "id": {"S": new_id(datetime.now(UTC))}})
    assert weir.complete(request_id="died")["statusCode"] == 409


def completions_that_are_put_aside(weir: World) -> None:
    weir.complete()
    with weir.without_the_table():
        for _ in range(2):
            assert weir.complete(request_id="r-1")["statusCode"] == 200
    assert weir.complete(request_id="r-1")["statusCode"] == 200


def stored_pairs(weir: World) -> None:
    pair = json.loads(json.loads((EVENTS / "storage.json").read_text(encoding="utf-8"))["body"])
    path = "/chat/completions/response"

    def of(text: str, **more: str) -> dict[str, Any]:
        params = {"model": "m", "messages": [{"role": "user", "content": text}]}
        return {**pair, "chat_completion_request": {**pair["chat_completion_request"], "params": params, **more}}

    weir.done("Storage", "PUT", path, pair, key=weir.key_of_a_tenant())
    for asked in (of("Hi", request_id="short"), of(NOISE, request_id="long")) * 2:
        weir.done("Storage", "PUT", path, asked)
    weir.ask("Storage", "PUT", "/metrics/timing", {"request_id": "short", "response_time": 80.0})
    weir.done("Storage", "GET", "/config/init_sdk")
    with weir.without_the_table():
        for _ in range(2):
            weir.done("Storage", "PUT", path, of("Hi", request_id="aside"))


def request_logs(weir: World) -> None:
    log = {"model": "m", "customer_identifier": "c-1", "thread_identifier": "t-1", "prompt_messages": MESSAGES}
    first = weir.done("RequestLog", "POST", "/api/request-logs/create/", log)["id"]
    for _ in range(2):
        weir.done("RequestLog", "POST", "/api/request-logs/create/", {**log, "input": NOISE, "unique_id": "long"})
    for id in (first, "long"):
        weir.done("RequestLog", "GET", f"/api/request-logs/{id}/")
        weir.done("RequestLog", "PATCH", f"/api/request-logs/{id}/", {"note": "fine " * 400})
        weir.done("RequestLog", "PATCH", f"/api/request-logs/{id}/", {"positive_feedback": True})
    weir.done("RequestLog", "GET", "/api/request-logs/nobody/", key=weir.key_of_a_tenant(), status=404)
    weir.done("RequestLog", "GET", "/api/request-logs/list/")
    for field in ("customer_identifier", "thread_identifier", "model"):
        filters = {"filters": {field: {"operator": "", "value": ["c-1"]}}}
        weir.done("RequestLog", "POST", "/api/request-logs/list/", filters)
        weir.done("RequestLog", "POST", "/api/request-logs/summary/", filters)
    with weir.without_the_table():
        for id in ("aside", "aside"):
            weir.done("RequestLog", "POST", "/api/request-logs/create/", {**log, "unique_id": id})
        weir.done("RequestLog", "GET", "/api/request-logs/aside/")


def configuration_and_reading(weir: World) -> None:
    v1 = "/api/v1"
    made = weir.done("Portal", "POST", f"{v1}/applications", {"application_name": "desk"}, status=201)["data"]
    weir.done("Portal", "PUT", f"{v1}/applications/{made['id']}/config", {"model": "demo/echo"})
    weir.done("Portal", "GET", f"{v1}/applications")
    key = weir.done("Portal", "POST", f"{v1}/api-keys", {"name": "CI"}, status=201)["data"]
    weir.done("Portal", "GET", f"{v1}/api-keys")
    weir.done("Portal", "DELETE", f"{v1}/api-keys/{key['id']}")
    named = {"application_ref_name": "desk", "action_type": "CHAT", "session_id": "s-1", "auth_keys": {}}
    for text in ("short", NOISE):
        message = {"role": "user", "content": text}
        params = {"model": "demo/echo", "messages": [message]}
        answer = weir.ask("Completion", "POST", "/chat/completions/serialized", {**named, "params": params})
        id = header(answer, "x-weir-request-id")
        weir.done("Portal", "GET", f"{v1}/requests/{id}")
        weir.done("Portal", "PUT", f"{v1}/requests/{id}/response", {"message_content": "Hoi"})
        weir.done("Portal", "GET", f"{v1}/requests/{id}")
    weir.done("Portal", "GET", f"{v1}/requests", application_id=str(made["id"]))
    intents = weir.done("Portal", "GET", f"{v1}/applications/{made['id']}/intents")["data"]
    for intent in intents:
        weir.done("Portal", "GET", f"{v1}/requests", intent_id=str(intent["id"]))
    weir.done("Portal", "GET", f"{v1}/sessions")
    weir.done("Portal", "GET", f"{v1}/sessions/s-1/timeline")
    weir.ask("Portal", "POST", f"{v1}/sessions/s-1/feedback", {"positive": True})
    weir.project(weir.stream(payloads=True))
    weir.done("Portal", "GET", f"{v1}/reports/completeness")
    with weir.without_the_table():
        aside = header(weir.complete(), "x-weir-request-id")
    weir.done("Portal", "GET", f"{v1}/requests/{aside}")
    weir.done("Portal", "GET", f"{v1}/requests/nobody", status=404)


def projection(weir: World) -> None:
    sample = json.loads((EVENTS / "projector.json").read_text(encoding="utf-8"))
    for number in (0, 1, 2, 3, 0):  # each in a process of its own: a payload, a record, its next revision, nonsense
        weir.project({"Records": sample["Records"][: number + 1]})
        projector._projector.cache_clear()
    log = {"model": "m", "session_id": "s-1", "prompt_messages": MESSAGES}
    for more in ({}, {"input": NOISE}, {"note": "fine " * 400}):
        weir.done("RequestLog", "POST", "/api/request-logs/create/", {**log, **more})
        weir.project(weir.stream(payloads=False))


def checks(weir: World) -> None:
    with weir.without_the_table():
        weir.complete()
    sample = json.loads((EVENTS / "projector.json").read_text(encoding="utf-8"))
    for record in sample["Records"][:2]:  # of a time long ago
        item = dict(record["dynamodb"]["NewImage"])
        if "content" in item:
            item["content"] = {"B": base64.b64decode(item["content"]["B"])}
        weir.aws["dynamodb"].put_item(TableName="ledger", Item=item)
    weir.complete(NOISE)
    weir.project(sample)
    weir.check(timedelta(hours=2))
    mark = key_attributes(late_key("default", "2026030112"))  # as who keeps a record after its hour leaves it
    since = {"content": {"S": late_content(datetime.now(UTC)).decode()}}
    weir.aws["dynamodb"].put_item(TableName="ledger", Item={**mark, **since})
    weir.check(timedelta(hours=4))


def putting_back(weir: World) -> None:
    weir.complete()
    with weir.without_the_table():
        gone = header(weir.complete(), "x-weir-request-id")
        weir.complete(NOISE)
        weir.complete(request_id="r-1")
        for _ in range(2):
            weir.done("RequestLog", "POST", "/api/request-logs/create/", {"model": "m", "unique_id": gone})
        weir.done("RequestLog", "POST", "/api/request-logs/create/", {"model": "m", "unique_id": "own"})
    weir.done("RequestLog", "POST", "/api/request-logs/create/", {"model": "m", "unique_id": "own"})
    store = projector._projector()._projection.projector._archive
    Archive(store.blobs, nonce=lambda: "canary").name_erased(Partition.of("default", gone), {gone})
    weir.keep_up()


def sealing(weir: World) -> None:
    for _ in range(2):
        weir.complete()
        weir.project(weir.stream(payloads=True))
        weir.keep_up()
        upkeep._upkeep.cache_clear()  # another process


def what_expires(weir: World) -> None:
    weir.complete(NOISE)
    weir.project(weir.stream(payloads=True))
    weir.keep_up(datetime.now(UTC) + timedelta(days=9))


def keys_of_workspaces(weir: World) -> None:
    """The provider is out of reach; its key has been read by then."""
    boto3.client("ssm").put_parameter(Name=f"{CREDENTIALS_PATH}/default/openai", Value="canary", Type="SecureString")
    secret = boto3.client("secretsmanager").create_secret(Name="weir", SecretString="canary")["ARN"]
    for provider, reference in (
        ("openai", f"ssm:{CREDENTIALS_PATH}/default/openai"),
        ("groq", f"secretsmanager:{secret}"),
    ):
        weir.done("Portal", "PUT", f"/api/v1/credentials/{provider}", {"reference": reference})
    assert weir.complete(model="openai/x")["statusCode"] == 502


def models_of_bedrock(weir: World) -> None:
    """They are out of reach, and asked with a signature all the same."""
    for model in ("bedrock/amazon.nova-lite-v1:0", "bedrock/invoke/anthropic.claude-sonnet-4-6"):
        for stream in (False, True):
            assert weir.complete(model=model, stream=stream)["statusCode"] == 502
    embedding = {"model": "bedrock/amazon.titan-embed-text-v2:0", "input": "Grüezi"}
    weir.done("Completion", "POST", "/v1/embeddings", embedding, status=502)


def limited(weir: World) -> None:
    path, made = "/api/v1/limits", []
    for measure in ("requests_per_minute", "tokens_per_minute"):
        asked = {"per": "key", "name": "*", "measure": measure, "limit": 1}
        made.append(weir.done("Portal", "POST", path, asked, status=201)["data"]["id"])
    for _ in range(2):  # the second one is refused, unless a minute begins between them
        weir.complete()
    for id in made:
        weir.done("Portal", "GET", f"{path}/{id}/use", name="operator")
        weir.done("Portal", "DELETE", f"{path}/{id}")


def cached(weir: World) -> None:
    for _ in range(2):
        weir.complete(cache_enabled=True)


SETTINGS: Mapping[Callable[[World], None], Mapping[str, str]] = {
    what_expires: {"WEIR_PAYLOAD_DAYS": "2", "WEIR_ARCHIVE_DAYS": "2"},
    keys_of_workspaces: {
        "WEIR_CREDENTIALS": f"ssm:{CREDENTIALS_PATH}/,secretsmanager:{SECRET}",
        "OPENAI_BASE_URL": "http://127.0.0.1:9/v1",
    },
    models_of_bedrock: {"BEDROCK_BASE_URL": "http://127.0.0.1:9"},
}

FLOWS: tuple[Callable[[World], None], ...] = (
    every_route,
    cached,
    limited,
    keys_of_workspaces,
    models_of_bedrock,
    completions,
    completions_that_are_put_aside,
    stored_pairs,
    request_logs,
    configuration_and_reading,
    projection,
    checks,
    putting_back,
    sealing,
    what_expires,
)
