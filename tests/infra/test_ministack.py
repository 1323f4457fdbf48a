"""The stack as CloudFormation makes it, in an emulator of AWS that checks policies, used by real clients.

Completions are buffered there, and ANY is spelt out (infra/ministack.py says why); all else is the template's.
"""

import gzip
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx
import openai
import pytest

from infra import ministack
from infra.here import HERE, build
from infra.ministack import Ministack, as_ministack_takes_it
from infra.pack import ROOT, TARGET, pack, target_python
from tests.infra.test_transformed import TOOLS
from tests.upstream import Reply, Upstream, completion

KEY = "canary-key-of-the-stack-that-is-deployed"
CODE = "code"
_DONE_WITHIN_S = 180

T = TypeVar("T")

pytestmark = [
    pytest.mark.skipif(target_python() is None, reason=f"there is no Python {TARGET} on this machine"),
    pytest.mark.skipif(not TOOLS.exists(), reason="the AWS tools are not installed; `make test` installs them"),
]


@dataclass(frozen=True, slots=True)
class Stack:
    aws: Ministack
    name: str
    ids: dict[str, str]
    """Of its resources, by their names in the template."""

    @property
    def api(self) -> str:
        return self.aws.stage_url(self.ids["Api"], "live")

    def http(self) -> httpx.Client:
        return httpx.Client(base_url=self.api, headers={"x-api-key": KEY}, verify=self.aws.trusted(), timeout=60)

    def invoke(self, function: str, event: object) -> Any:
        """As a schedule does."""
        client = self.aws.client("lambda")
        answer = client.invoke(FunctionName=self.ids[function], Payload=json.dumps(event).encode())
        told = answer["Payload"].read()
        assert "FunctionError" not in answer, told
        return json.loads(told)

    def weir(self, *arguments: str) -> str:
        """What the command prints of this stack."""
        environ = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT / "layers" / "shared"),
            "WEIR_ENGINE": "dynamodb",
            "WEIR_TABLE": self.ids["Table"],
            "WEIR_BUCKET": self.ids["Bucket"],
            "WEIR_DEAD_LETTERS": self.ids["DeadLetters"],
            **self.aws.environ(),
        }
        done = subprocess.run([sys.executable, "-m", "weir", *arguments], env=environ, capture_output=True, text=True)
        assert done.stderr == ""
        return done.stdout


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ministack]:
    """The emulator, with what was built in a bucket."""
    if (reason := ministack.missing()) is not None:
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    python = target_python()
    assert python is not None
    build(python)
    with ministack.ministack() as aws:
        s3 = aws.client("s3")
        s3.create_bucket(Bucket=CODE)
        s3.put_object(Bucket=CODE, Key="shared.zip", Body=(HERE / "layer.zip").read_bytes())
        for app in ROOT.glob("functions/*/app.py"):
            archive = tmp_path_factory.mktemp("code") / f"{app.parent.name}.zip"
            pack(HERE / app.parent.name, archive)
            s3.put_object(Bucket=CODE, Key=archive.name, Body=archive.read_bytes())
        yield aws


@pytest.fixture(scope="module")
def template(aws: Ministack) -> str:
    """The address of the transformed template."""
    done = subprocess.run([TOOLS, "infra/transform.py", "--bucket", CODE], cwd=ROOT, capture_output=True, check=True)
    adapted = json.dumps(as_ministack_takes_it(json.loads(done.stdout)))
    aws.client("s3").put_object(Bucket=CODE, Key="template.json", Body=adapted.encode())
    return f"{aws.url}/{CODE}/template.json"


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with Upstream(keep_alive=False) as upstream:
        yield upstream


@pytest.fixture(scope="module")
def stack(aws: Ministack, template: str, upstream: Upstream) -> Stack:
    provider = {"OWN_VENDOR_API_KEY": "canary-own-key", "OWN_VENDOR_BASE_URL": upstream.url}
    secret = aws.client("secretsmanager").create_secret(Name="providers", SecretString=json.dumps(provider))
    return deployed(aws, template, "weir", ProviderKeysSecretArn=secret["ARN"])


def deployed(aws: Ministack, template: str, name: str, **more: str) -> Stack:
    client = aws.client("cloudformation")
    parameters = {"ApiKey": KEY, **more}
    client.create_stack(
        StackName=name,
        TemplateURL=template,
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
        Capabilities=["CAPABILITY_IAM"],
    )
    until(lambda: status(aws, name) not in ("CREATE_IN_PROGRESS", "REVIEW_IN_PROGRESS"))
    events = client.describe_stack_events(StackName=name)["StackEvents"]
    refused = [
        (event["LogicalResourceId"], event.get("ResourceStatusReason"))
        for event in events
        if event["ResourceStatus"].endswith("FAILED")
    ]
    assert (status(aws, name), refused) == ("CREATE_COMPLETE", [])
    made = client.describe_stack_resources(StackName=name)["StackResources"]
    return Stack(aws, name, {each["LogicalResourceId"]: each["PhysicalResourceId"] for each in made})


def status(aws: Ministack, name: str) -> str:
    return str(aws.client("cloudformation").describe_stacks(StackName=name)["Stacks"][0]["StackStatus"])


def until(look: Callable[[], T]) -> T:
    """What `look` finds, as soon as that is something."""
    last = time.monotonic() + _DONE_WITHIN_S
    while not (found := look()):
        assert time.monotonic() < last, "it did not happen in time"
        time.sleep(0.1)
    return found


def archived(stack: Stack) -> list[str]:
    """The lines of the archive's objects."""
    s3, bucket = stack.aws.client("s3"), stack.ids["Bucket"]
    objects = s3.list_objects_v2(Bucket=bucket, Prefix="archive/").get("Contents", [])
    contents = [s3.get_object(Bucket=bucket, Key=each["Key"])["Body"].read() for each in objects]
    return [line for content in contents for line in gzip.decompress(content).decode().splitlines()]


def test_the_official_client_of_openai_is_answered_and_its_call_is_read_back(stack: Stack) -> None:
    trusting = openai.DefaultHttpxClient(verify=stack.aws.trusted())
    with stack.http() as http, openai.OpenAI(base_url=f"{stack.api}/v1", api_key=KEY, http_client=trusting) as client:
        answer = client.chat.completions.create(
            model="demo/echo", messages=[{"role": "user", "content": "Grüezi"}], user="customer-7"
        )
        whole = client.chat.completions.create(
            model="demo/echo", messages=[{"role": "user", "content": "Salü"}], stream=True
        )
        said = "".join(chunk.choices[0].delta.content or "" for chunk in whole if chunk.choices)
        models = [model.id for model in client.models.list()]
        listed = http.get("/api/request-logs/list").json()["results"]

    assert answer.choices[0].message.content == "This is Weir's demo, no model was called. You said: Grüezi"
    assert said == "This is Weir's demo, no model was called. You said: Salü"
    assert "demo/echo" in models
    assert [row["stream"] for row in listed if row["origin"] == "completion"] == [True, False]


def test_a_provider_whose_key_is_in_the_secret_is_asked(stack: Stack, upstream: Upstream) -> None:
    upstream.replies["m"] = Reply([json.dumps(completion(model="m")).encode()])
    asked = {"model": "own-vendor/m", "messages": [{"role": "user", "content": "Hoi"}]}
    with stack.http() as http:
        answer = http.post("/v1/chat/completions", json=asked)

    assert (answer.status_code, answer.json()["model"]) == (200, "m")
    assert {received.headers["authorization"] for received in upstream.received} == {"Bearer canary-own-key"}


def test_what_is_stored_and_logged_is_read_back(stack: Stack) -> None:
    pair = json.loads((ROOT / "infra/events/storage.json").read_text(encoding="utf-8"))["body"]
    log = {"model": "gpt-4o", "unique_id": "order-1", "prompt_messages": [{"role": "user", "content": "Hoi"}]}
    log |= {"customer_identifier": "customer-8"}
    with stack.http() as http:
        stored = http.put("/chat/completions/response", content=pair, headers={"content-type": "application/json"})
        logged = http.post("/api/request-logs/create/", json=log)
        read = http.get("/api/request-logs/order-1")
        first = http.get(f"/api/request-logs/{stored.json()['id']}")
        refused = http.get("/api/request-logs/list", headers={"x-api-key": "canary-key-of-nobody"})
        listed = http.get("/api/request-logs/list", params={"customer_identifier": "customer-8"}).json()["results"]

    assert (stored.status_code, logged.status_code) == (200, 200)
    assert {name: read.json()[name] for name in ("id", "model", "prompt_messages")} == {
        "id": logged.json()["id"],
        "model": "gpt-4o",
        "prompt_messages": log["prompt_messages"],
    }
    assert [row["id"] for row in listed] == [logged.json()["id"]]
    assert first.json()["completion_message"] == {"role": "assistant", "content": "Salü"}
    assert (refused.status_code, list(refused.json())) == (401, ["detail"])


def test_what_the_portal_sets_holds_for_the_clients_of_the_store(stack: Stack) -> None:
    with stack.http() as http:
        made = http.post("/api/v1/applications", json={"application_name": "desk", "application_ref_name": "desk"})
        id = made.json()["data"]["id"]
        http.put(f"/api/v1/applications/{id}/config", json={"model": "demo/echo", "temperature": 0.25})
        configured = http.get("/config/init_sdk").json()["applications"]

    (meta,) = (each["meta"] for each in configured if each["application_ref_name"] == "desk")
    assert (meta["model"], meta["temperature"]) == ("demo/echo", 0.25)


def test_a_record_comes_through_the_stream_into_the_archive(stack: Stack) -> None:
    with stack.http() as http:
        id = http.post("/api/request-logs/create/", json={"model": "m", "output": "Tschüss"}).json()["id"]

    until(lambda: [line for line in archived(stack) if id in line and "Tschüss" in line])


def test_a_record_that_cannot_be_read_is_a_dead_letter_and_the_next_is_archived(stack: Stack) -> None:
    id = "019ca965-0895-702a-8000-00000000000f"
    torn = {"pk": {"S": "default#20260301#0"}, "sk": {"S": f"r#{id}"}, "item": {"S": '{"workspace":"default"}'}}
    stack.aws.client("dynamodb").put_item(TableName=stack.ids["Table"], Item=torn)
    with stack.http() as http:
        next_id = http.post("/api/request-logs/create/", json={"model": "m"}).json()["id"]

    assert until(lambda: stack.weir("deadletters")) == f"default  {id}  The record cannot be read (KeyError).\n"
    until(lambda: [line for line in archived(stack) if next_id in line])


def test_the_scheduled_functions_may_do_what_they_do(stack: Stack) -> None:
    """Their roles' policies are checked at every call; what is refused would be an error in the log."""
    with stack.http() as http:
        http.post("/api/request-logs/create/", json={"model": "m"})
    until(lambda: archived(stack))

    assert stack.invoke("Projector", {"task": "check"}) == {}
    assert stack.invoke("Upkeep", {}) is None
    assert [line for line in stack.aws.log.read_text().splitlines() if "could not be" in line or "Denied" in line] == []


def test_a_role_may_do_nothing_else(stack: Stack) -> None:
    """That the emulator checks: without the policy of its role the store refuses, and says so in its dialect."""
    other = deployed(stack.aws, f"{stack.aws.url}/{CODE}/template.json", "weir-without-rights")
    iam = stack.aws.client("iam")
    role = other.ids["StorageRole"]
    for policy in iam.list_role_policies(RoleName=role)["PolicyNames"]:
        iam.delete_role_policy(RoleName=role, PolicyName=policy)
    pair = json.loads((ROOT / "infra/events/storage.json").read_text(encoding="utf-8"))["body"]
    with other.http() as http:
        answer = http.put("/chat/completions/response", content=pair)

    assert (answer.status_code, answer.text) == (503, "The ledger cannot be written.")


def test_table_and_bucket_outlive_the_stack(aws: Ministack, template: str) -> None:
    stack = deployed(aws, template, "weir-removed")
    aws.client("cloudformation").delete_stack(StackName=stack.name)
    found = aws.client("cloudformation")
    until(lambda: stack.name not in [each["StackName"] for each in found.describe_stacks()["Stacks"]])

    assert stack.ids["Table"] in aws.client("dynamodb").list_tables()["TableNames"]
    assert stack.ids["Bucket"] in [bucket["Name"] for bucket in aws.client("s3").list_buckets()["Buckets"]]
    assert aws.client("sqs").get_queue_attributes(QueueUrl=stack.ids["DeadLetters"])["ResponseMetadata"]
    assert stack.ids["Storage"] not in [
        function["FunctionName"] for function in aws.client("lambda").list_functions()["Functions"]
    ]


def test_two_things_of_the_template_are_changed_for_the_emulator() -> None:
    def streamed(version: str, end: str) -> dict[str, Any]:
        uri = {"Fn::Sub": f"arn:aws:apigateway:r:lambda:path/{version}/functions/${{F.Arn}}/{end}"}
        return {"type": "aws_proxy", "uri": uri}

    integration = "x-amazon-apigateway-integration"
    buffered = streamed("2015-03-31", "invocations")
    stream = streamed("2021-11-15", "response-streaming-invocations") | {"responseTransferMode": "STREAM"}
    paths = {
        "/a": {"post": {integration: stream}, "get": {integration: buffered}},
        "/b": {"x-amazon-apigateway-any-method": {integration: buffered}},
    }
    api = {"Type": "AWS::ApiGateway::RestApi", "Properties": {"Body": {"paths": paths}, "Name": "n"}}
    table = {"Type": "AWS::DynamoDB::Table", "Properties": {}}

    adapted = as_ministack_takes_it({"Resources": {"A": api, "T": table}, "Outputs": {}})

    methods = ("get", "put", "post", "delete", "patch", "head", "options")
    named = {method: {integration: buffered} for method in methods}
    expected = {"/a": {"post": {integration: buffered}, "get": {integration: buffered}}, "/b": named}
    assert adapted == {
        "Resources": {"A": api | {"Properties": {"Body": {"paths": expected}, "Name": "n"}}, "T": table},
        "Outputs": {},
    }
