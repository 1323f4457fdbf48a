"""Each option of the template, as CloudFormation gets it: transformed, with its conditions decided."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from infra.resolve import resolved
from tests.infra import template

TOOLS = template.ROOT / ".venv-aws" / "bin" / "python"
STREAMED = "path/2021-11-15/functions/${%s}/response-streaming-invocations"
BUFFERED = "path/2015-03-31/functions/${%s}/invocations"
KEY = "arn:aws:kms:eu-central-1:000000000000:key/canary"
SERVING = {"Completion", "Storage", "RequestLog", "Portal"}
FUNCTIONS = {*SERVING, "Projector", "Upkeep"}

Deploy = Callable[..., dict[str, dict[str, Any]]]

pytestmark = pytest.mark.skipif(not TOOLS.exists(), reason="the AWS tools are not installed; `make test` installs them")


def transformed(*named: str) -> dict[str, Any]:
    done = subprocess.run([TOOLS, "infra/transform.py", *named], cwd=template.ROOT, capture_output=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def whole() -> dict[str, Any]:
    return transformed()


@pytest.fixture(scope="module")
def deploy(whole: dict[str, Any]) -> Deploy:
    """The resources that are made for some parameters."""

    def made(**parameters: Any) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = resolved(whole, parameters)["Resources"]
        return found

    return made


def changes(before: dict[str, dict[str, Any]], after: dict[str, dict[str, Any]]) -> tuple[set[str], set[str]]:
    """Resources that are new, and those that are other ones."""
    assert before.keys() <= after.keys()
    return set(after) - set(before), {name for name, each in before.items() if after[name] != each}


def test_without_options_there_is_nothing_of_them(deploy: Deploy) -> None:
    types = {each["Type"] for each in deploy().values()}
    assert types == {
        "AWS::ApiGateway::Deployment",
        "AWS::ApiGateway::RestApi",
        "AWS::ApiGateway::Stage",
        "AWS::DynamoDB::Table",
        "AWS::Events::Rule",
        "AWS::IAM::ManagedPolicy",
        "AWS::IAM::Role",
        "AWS::Lambda::EventSourceMapping",
        "AWS::Lambda::Function",
        "AWS::Lambda::LayerVersion",
        "AWS::Lambda::Permission",
        "AWS::Logs::LogGroup",
        "AWS::S3::Bucket",
        "AWS::S3::BucketPolicy",
        "AWS::SQS::Queue",
        "AWS::SQS::QueuePolicy",
    }
    assert sum(each["Type"] == "AWS::IAM::Role" for each in deploy().values()) == len(FUNCTIONS)  # none of SAM's own
    assert "AWSLambda" not in json.dumps(deploy())  # nor any of its managed policies, which reach every log group


def test_a_domain_is_regional_and_named_where_there_is_a_zone(deploy: Deploy) -> None:
    given = {"DomainName": "llm.example.com", "DomainCertificateArn": "arn:aws:acm:canary"}

    new, other = changes(deploy(), deploy(**given))
    named, _ = changes(deploy(**given), deploy(**given, DomainZoneId="Z0CANARY"))

    assert (new, other, named) == ({"Domain", "DomainPaths"}, set(), {"DomainRecord"})
    made = deploy(**given, DomainZoneId="Z0CANARY")
    assert made["Domain"]["Properties"] == {
        "DomainName": "llm.example.com",
        "RegionalCertificateArn": "arn:aws:acm:canary",
        "EndpointConfiguration": {"Types": ["REGIONAL"]},
        "SecurityPolicy": "TLS_1_2",
    }
    assert made["DomainPaths"]["Properties"] == {
        "DomainName": {"Ref": "Domain"},
        "RestApiId": {"Ref": "Api"},
        "Stage": {"Ref": "ApiliveStage"},
    }
    assert made["DomainRecord"]["Properties"] == {
        "HostedZoneId": "Z0CANARY",
        "Name": "llm.example.com",
        "Type": "A",
        "AliasTarget": {
            "DNSName": {"Fn::GetAtt": ["Domain", "RegionalDomainName"]},
            "HostedZoneId": {"Fn::GetAtt": ["Domain", "RegionalHostedZoneId"]},
        },
    }


def test_a_web_acl_is_put_before_the_stage(deploy: Deploy) -> None:
    new, other = changes(deploy(), deploy(WebAclArn="arn:aws:wafv2:canary"))
    assert (new, other) == ({"WebAcl"}, set())
    assert deploy(WebAclArn="arn:aws:wafv2:canary")["WebAcl"]["Properties"] == {
        "WebACLArn": "arn:aws:wafv2:canary",
        "ResourceArn": {
            "Fn::Sub": "arn:${AWS::Partition}:apigateway:${AWS::Region}::/restapis/${Api}/stages/${ApiliveStage}"
        },
    }


def test_concurrency_and_memory_are_those_of_the_completion(deploy: Deploy) -> None:
    new, other = changes(deploy(), deploy(CompletionConcurrency=40, CompletionMemory=512))
    assert (new, other) == (set(), {"Completion"})
    before, after = (found["Completion"]["Properties"] for found in (deploy(), deploy(CompletionConcurrency=40)))
    assert "ReservedConcurrentExecutions" not in before
    assert after == {**before, "ReservedConcurrentExecutions": 40}
    assert deploy(CompletionMemory=512)["Completion"]["Properties"] == {**before, "MemorySize": 512}
    assert before["MemorySize"] == 256


@pytest.mark.parametrize(
    ("how", "auth", "permissions"),
    [("keys", "NONE", {"CompletionUrlIsOpen", "CompletionUrlInvokes"}), ("iam", "AWS_IAM", set())],
)
def test_a_function_url_streams_and_is_open_only_where_weirs_keys_are_what_it_asks_for(
    deploy: Deploy, how: str, auth: str, permissions: set[str]
) -> None:
    new, other = changes(deploy(), deploy(FunctionUrl=how))
    assert (new, other) == ({"CompletionUrl"} | permissions, set())
    made = deploy(FunctionUrl=how)
    assert made["CompletionUrl"]["Properties"] == {
        "TargetFunctionArn": {"Fn::GetAtt": ["Completion", "Arn"]},
        "AuthType": auth,
        "InvokeMode": "RESPONSE_STREAM",
    }
    if permissions:  # since October 2025 an open URL needs both (Lambda's guide, urls-auth)
        assert [made[name]["Properties"] for name in ("CompletionUrlIsOpen", "CompletionUrlInvokes")] == [
            {
                "FunctionName": {"Ref": "Completion"},
                "Action": "lambda:InvokeFunctionUrl",
                "Principal": "*",
                "FunctionUrlAuthType": "NONE",
            },
            {
                "FunctionName": {"Ref": "Completion"},
                "Action": "lambda:InvokeFunction",
                "Principal": "*",
                "InvokedViaFunctionUrl": True,
            },
        ]


def test_models_of_bedrock_are_asked_by_the_completion_alone_and_only_those_that_are_named(deploy: Deploy) -> None:
    model = "arn:aws:bedrock:eu-central-1::foundation-model/amazon.nova-lite-v1:0"
    new, other = changes(deploy(), deploy(BedrockModels=model))
    assert (new, other) == (set(), {"CompletionRole"})
    before, after = (
        made["CompletionRole"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"]
        for made in (deploy(), deploy(BedrockModels=model))
    )
    assert after == [
        *before,
        {
            "Effect": "Allow",
            "Action": ["bedrock:InvokeModel", "bedrock:InvokeModelWithResponseStream", "bedrock:GetInferenceProfile"],
            "Resource": {"Fn::Split": [",", model]},
        },
    ]


def test_a_key_of_ones_own_encrypts_all_that_is_kept_and_the_settings(deploy: Deploy) -> None:
    before, after = deploy(), deploy(KmsKeyArn=KEY)
    new, other = changes(before, after)
    assert new == {"UseKey"}
    assert other == FUNCTIONS | {f"{name}Role" for name in FUNCTIONS} | {
        "Table",
        "Bucket",
        "DeadLetters",
        "FunctionLogs",
    }
    assert after["Table"]["Properties"]["SSESpecification"] == {
        "SSEEnabled": True,
        "SSEType": "KMS",
        "KMSMasterKeyId": KEY,
    }
    assert "SSESpecification" not in before["Table"]["Properties"]
    encryption = [found["Bucket"]["Properties"]["BucketEncryption"] for found in (before, after)]
    assert [each["ServerSideEncryptionConfiguration"] for each in encryption] == [
        [{"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}],
        [
            {
                "BucketKeyEnabled": True,
                "ServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": KEY},
            }
        ],
    ]
    assert before["DeadLetters"]["Properties"]["SqsManagedSseEnabled"] is True
    assert after["DeadLetters"]["Properties"] == {
        **{name: each for name, each in before["DeadLetters"]["Properties"].items() if name != "SqsManagedSseEnabled"},
        "KmsMasterKeyId": KEY,
    }
    assert after["FunctionLogs"]["Properties"]["KmsKeyId"] == KEY
    for name in FUNCTIONS:
        assert after[name]["Properties"] == {**before[name]["Properties"], "KmsKeyArn": KEY}
        assert after[f"{name}Role"]["Properties"]["ManagedPolicyArns"] == [{"Ref": "WriteLogs"}, {"Ref": "UseKey"}]
    (statement,) = after["UseKey"]["Properties"]["PolicyDocument"]["Statement"]
    assert statement == {"Effect": "Allow", "Action": ["kms:Decrypt", "kms:GenerateDataKey"], "Resource": KEY}


@pytest.mark.parametrize(("given"), [{"Alarms": "on"}, {"Dashboard": "on"}])
def test_alarms_and_dashboard_are_a_stack_of_their_own(deploy: Deploy, given: dict[str, str]) -> None:
    new, other = changes(deploy(), deploy(**given))
    assert (new, other) == ({"Operations"}, set())
    properties = deploy(**given)["Operations"]["Properties"]
    assert (template.ROOT / properties["TemplateURL"]).is_file()
    assert {name: properties["Parameters"][name] for name in ("Alarms", "Dashboard")} == {
        "Alarms": "off",
        "Dashboard": "off",
        **given,
    }


def test_payloads_and_archive_expire_when_they_are_told_to_and_torn_uploads_always(deploy: Deploy) -> None:
    def rules(**parameters: int) -> dict[str, tuple[str, Any]]:
        found = deploy(**parameters)["Bucket"]["Properties"]["LifecycleConfiguration"]["Rules"]
        return {each["Id"]: (each["Status"], each.get("ExpirationInDays")) for each in found}

    assert rules()["Uploads"] == ("Enabled", None)
    assert {name: status for name, (status, _) in rules().items()} == {
        "Uploads": "Enabled",
        "Payloads": "Disabled",
        "Archive": "Disabled",
    }
    assert rules(PayloadDays=30, ArchiveDays=400) == {
        "Uploads": ("Enabled", None),
        "Payloads": ("Enabled", 30),
        "Archive": ("Enabled", 400),
    }


def test_what_a_person_needs_is_put_out(whole: dict[str, Any]) -> None:
    assert set(resolved(whole)["Outputs"]) == {
        "ApiUrl",
        "TableName",
        "BucketName",
        "DeadLettersUrl",
        "LogGroupName",
        "UpkeepName",
    }
    given = {"DomainName": "llm.example.com", "FunctionUrl": "iam", "Dashboard": "on"}
    assert set(resolved(whole, given)["Outputs"]) - set(resolved(whole)["Outputs"]) == {
        "DomainUrl",
        "DomainTarget",
        "CompletionUrl",
    }


def test_snapstart_is_on_versions_and_every_door_leads_to_the_newest(tmp_path: Path) -> None:
    built = tmp_path / "template.yaml"
    shutil.copy(template.ROOT / "template.yaml", built)
    versions = []
    for _ in range(2):
        subprocess.run([TOOLS, "infra/snapstart.py", built], cwd=template.ROOT, capture_output=True, check=True)
        made = resolved(transformed(str(built)), {"FunctionUrl": "keys"})["Resources"]
        versions.append({name for name, each in made.items() if each["Type"] == "AWS::Lambda::Version"})
        for name in SERVING:
            assert made[name]["Properties"]["SnapStart"] == {"ApplyOn": "PublishedVersions"}
            assert made[f"{name}Aliaslive"]["Properties"]["Name"] == "live"
        assert not any("SnapStart" in made[name]["Properties"] for name in FUNCTIONS - SERVING)
        alias = {"Ref": "CompletionAliaslive"}
        assert made["CompletionUrl"]["Properties"]["TargetFunctionArn"] == alias
        assert made["CompletionUrlIsOpen"]["Properties"]["FunctionName"] == alias
        assert made["CompletionUrlInvokes"]["Properties"]["FunctionName"] == alias
        paths = made["Api"]["Properties"]["Body"]["paths"]
        uris = {
            method["x-amazon-apigateway-integration"]["uri"]["Fn::Sub"].split(":lambda:")[1]
            for methods in paths.values()
            for method in methods.values()
        }
        assert uris == {
            STREAMED % "CompletionAliaslive",
            *(BUFFERED % f"{name}Aliaslive" for name in SERVING - {"Completion"}),
        }
    first, second = versions
    assert len(first) == len(second) == len(SERVING)
    assert not first & second  # each run publishes: a version has the settings and the key of its day


def test_the_keys_of_providers_are_given_to_the_functions_that_know_providers(deploy: Deploy) -> None:
    made = deploy(ProviderKeysSecretArn="arn:aws:secretsmanager:eu-central-1:000000000000:secret:canary")
    given = {name: variables_of(made, name).get("WEIR_PROVIDERS") for name in FUNCTIONS}

    when_it_is_deployed = {"Fn::Sub": "{{resolve:secretsmanager:${ProviderKeysSecretArn}:SecretString}}"}
    others: dict[str, Any] = dict.fromkeys(FUNCTIONS - {"Completion", "Portal"})
    assert given == others | {"Completion": when_it_is_deployed, "Portal": when_it_is_deployed}
    assert variables_of(deploy(), "Completion")["WEIR_PROVIDERS"] == ""


def variables_of(resources: dict[str, dict[str, Any]], function: str) -> dict[str, Any]:
    variables: dict[str, Any] = resources[function]["Properties"]["Environment"]["Variables"]
    return variables
