"""Facts about template.yaml that a lint does not know."""

import json
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from functions.projector import app as projector
from tests.infra import template
from weir.http.app import DirectRoute, create_app
from weir.ledger.keys import (
    INDEXES,
    RECORD_PREFIX,
    answer_key,
    archive_folder,
    counter_key,
    payload_blob_key,
    seals_folder,
    spilled_record_key,
)
from weir.runtime.bootstrap import bootstrap
from weir.runtime.settings import Settings

FUNCTIONS = template.resources("AWS::Serverless::Function")
ROLES = template.resources("AWS::IAM::Role")
FOLDERS = sorted(path.parent.name for path in template.ROOT.glob("functions/*/app.py"))
SERVING = sorted(
    function["Properties"]["CodeUri"].removeprefix("functions/")
    for function in FUNCTIONS.values()
    if any(event["Type"] == "Api" for event in function["Properties"]["Events"].values())
)
GLOBALS = template.load()["Globals"]["Function"]


PREFIXES = ("payloads", "spill", "archive", "seals")


def statements() -> Iterator[tuple[str, dict[str, Any]]]:
    """Of each function's own policies; what all functions have is in managed ones."""
    for name, function in FUNCTIONS.items():
        match function["Properties"]["Role"]:
            case {"Fn::GetAtt": [role, "Arn"]}:
                for policy in ROLES[role]["Properties"]["Policies"]:
                    for statement in policy["PolicyDocument"]["Statement"]:
                        yield name, given(statement)


def given(statement: dict[str, Any]) -> dict[str, Any]:
    """One that is there on a condition, as if it held."""
    match statement:
        case {"Fn::If": [_, found, {"Ref": "AWS::NoValue"}]}:
            return dict(found)
    return statement


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def test_every_folder_of_functions_is_one_function() -> None:
    named = [function["Properties"]["CodeUri"] for function in FUNCTIONS.values()]
    assert len(named) == len(set(named))
    assert {f"functions/{folder}" for folder in FOLDERS} <= set(named)


def test_every_function_has_the_layer_the_runtime_and_the_architecture_of_the_layer() -> None:
    (layer_name, layer), *others = template.resources("AWS::Serverless::LayerVersion").items()
    assert not others
    assert layer["Properties"]["CompatibleRuntimes"] == [GLOBALS["Runtime"]]
    assert layer["Properties"]["CompatibleArchitectures"] == GLOBALS["Architectures"]
    assert layer["Metadata"]["BuildArchitecture"] == GLOBALS["Architectures"][0]
    assert GLOBALS["Layers"] == [{"Ref": layer_name}]
    for function in FUNCTIONS.values():  # a function's own list would be added to the one of all
        assert not {"Layers", "Runtime", "Architectures"} & set(function["Properties"])


def test_the_layer_is_built_for_the_runtime_of_the_functions() -> None:
    makefile = (template.ROOT / "layers/shared/Makefile").read_text(encoding="utf-8")
    (layer_name,) = template.resources("AWS::Serverless::LayerVersion")
    assert f"TARGET := {GLOBALS['Runtime'].removeprefix('python')}\n" in makefile
    assert f"\nbuild-{layer_name}:\n" in makefile
    assert "\nMACHINE ?= aarch64\n" in makefile
    assert GLOBALS["Architectures"] == ["arm64"]


def test_no_function_may_do_everything_or_reach_everything() -> None:
    """What each may do beside is in test_iam.py."""
    found = list(statements())
    assert {name for name, _ in found} == set(FUNCTIONS)
    for name, statement in [*found, *of_all_functions()]:
        assert statement["Effect"] == "Allow"
        for action in listed(statement["Action"]):
            assert "*" not in action, name
        for resource in listed(statement["Resource"]):
            match resource:
                case {"Fn::GetAtt": ["Table" | "Bucket" | "DeadLetters" | "FunctionLogs", "Arn"]}:
                    pass
                case {"Fn::GetAtt": ["Table", "StreamArn"]} | {"Ref": "KmsKeyArn"}:
                    pass
                case {"Fn::Sub": path} if ":ssm:" in path:
                    assert path.endswith(":parameter${CredentialsPath}/*")
                    assert (name, statement["Action"]) == ("Completion", "ssm:GetParameter")
                case {"Fn::Split": [",", {"Ref": "CredentialSecretArns"}]}:
                    assert (name, statement["Action"]) == ("Completion", "secretsmanager:GetSecretValue")
                case {"Fn::Split": [",", {"Ref": "BedrockModels"}]}:
                    assert name == "Completion"
                    assert all(action.startswith("bedrock:") for action in listed(statement["Action"]))
                case {"Fn::Sub": path} if path in {f"${{Bucket.Arn}}/{prefix}/*" for prefix in PREFIXES}:
                    pass
                case {"Fn::Sub": path} if path in {f"${{Table.Arn}}/index/{index}" for index in INDEXES}:
                    pass
                case {"Fn::Sub": "${Table.Arn}/stream/*"}:
                    assert listed(statement["Action"]) == ["dynamodb:ListStreams"], name
                case _:
                    pytest.fail(f"{name} may reach {resource}")


def of_all_functions() -> Iterator[tuple[str, dict[str, Any]]]:
    for name, policy in template.resources("AWS::IAM::ManagedPolicy").items():
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]:
            yield name, statement


def test_every_function_has_a_role_of_its_own_and_none_of_awss_policies() -> None:
    named = [function["Properties"]["Role"]["Fn::GetAtt"][0] for function in FUNCTIONS.values()]
    assert sorted(named) == sorted(ROLES)
    assert not any("Policies" in function["Properties"] for function in FUNCTIONS.values())
    for role in ROLES.values():
        assert role["Properties"]["ManagedPolicyArns"] == [
            {"Ref": "WriteLogs"},
            {"Fn::If": ["HasKmsKey", {"Ref": "UseKey"}, {"Ref": "AWS::NoValue"}]},
        ]
        (trusted,) = role["Properties"]["AssumeRolePolicyDocument"]["Statement"]
        assert trusted == {
            "Effect": "Allow",
            "Principal": {"Service": "lambda.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }


def test_the_projector_is_not_fed_what_it_writes() -> None:
    events = FUNCTIONS["Projector"]["Properties"]["Events"]
    changes = events["Changes"]["Properties"]
    (pattern,) = changes["FilterCriteria"]["Filters"]
    assert json.loads(pattern["Pattern"]) == {
        "eventName": ["INSERT", "MODIFY"],
        "dynamodb": {"Keys": {"sk": {"S": [{"prefix": RECORD_PREFIX}, {"prefix": "p#"}]}}},
    }
    assert changes["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert changes["BisectBatchOnFunctionError"] is True
    assert changes["DestinationConfig"]["OnFailure"]["Destination"] == {"Fn::GetAtt": ["DeadLetters", "Arn"]}
    assert json.loads(events["Check"]["Properties"]["Input"]) == {"task": projector.CHECK}
    others = (counter_key("main", "canary", "requests_per_minute", "202601020304"), answer_key("main", "canary"))
    assert not [key for key in others if key.sk.startswith((RECORD_PREFIX, "p#"))]
    (table,) = template.resources("AWS::DynamoDB::Table").values()
    assert table["Properties"]["StreamSpecification"] == {"StreamViewType": "NEW_IMAGE"}


@pytest.mark.parametrize("folder", ["completion", "storage", "request_log"])
def test_who_keeps_calls_may_put_them_aside_and_find_them_there(folder: str) -> None:
    """S3 says that something is not there only to who may list; to others it is a refusal."""
    allowed = {
        (action, str(resource))
        for name, statement in statements()
        for action in listed(statement["Action"])
        for resource in listed(statement["Resource"])
        if FUNCTIONS[name]["Properties"]["CodeUri"] == f"functions/{folder}"
    }
    spill = str({"Fn::Sub": "${Bucket.Arn}/spill/*"})
    bucket = str({"Fn::GetAtt": ["Bucket", "Arn"]})
    assert {("s3:PutObject", spill), ("s3:GetObject", spill), ("s3:ListBucket", bucket)} <= allowed


def test_blobs_lie_where_the_policies_allow() -> None:
    id = "01890a5d-ac96-774b-bcce-b302099a8057"
    keys = (payload_blob_key("main", id), spilled_record_key("main", id), archive_folder("main"), seals_folder("main"))
    assert tuple(key.partition("/")[0] for key in keys) == PREFIXES


@pytest.mark.parametrize(
    "type",
    ["AWS::DynamoDB::Table", "AWS::S3::Bucket", "AWS::S3::BucketPolicy", "AWS::SQS::Queue", "AWS::SQS::QueuePolicy"],
)
def test_what_is_kept_outlives_the_stack(type: str) -> None:
    found = template.resources(type)
    assert found
    for resource in found.values():
        assert (resource["DeletionPolicy"], resource["UpdateReplacePolicy"]) == ("Retain", "Retain")


def test_the_bucket_is_private_and_takes_tls_only() -> None:
    ((name, bucket),) = template.resources("AWS::S3::Bucket").items()
    assert set(bucket["Properties"]["PublicAccessBlockConfiguration"].values()) == {True}
    (policy,) = template.resources("AWS::S3::BucketPolicy").values()
    assert policy["Properties"]["Bucket"] == {"Ref": name}
    (statement,) = policy["Properties"]["PolicyDocument"]["Statement"]
    assert statement == {
        "Sid": "OnlyOverTLS",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [{"Fn::GetAtt": [name, "Arn"]}, {"Fn::Sub": f"${{{name}.Arn}}/*"}],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }


def test_the_queue_takes_tls_only() -> None:
    ((name, _),) = template.resources("AWS::SQS::Queue").items()
    (policy,) = template.resources("AWS::SQS::QueuePolicy").values()
    assert policy["Properties"]["Queues"] == [{"Ref": name}]
    assert policy["Properties"]["PolicyDocument"]["Statement"] == [
        {
            "Sid": "OnlyOverTLS",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "sqs:*",
            "Resource": {"Fn::GetAtt": [name, "Arn"]},
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        }
    ]


def test_the_key_never_stands_in_the_template() -> None:
    _, secret, given = GLOBALS["Environment"]["Variables"]["WEIR_API_KEY"]["Fn::If"]
    assert secret["Fn::Sub"].startswith("{{resolve:secretsmanager:")
    parameter = template.load()["Parameters"][given["Ref"]]
    assert (parameter["NoEcho"], parameter["Default"]) == (True, "")


@pytest.mark.parametrize(
    ("arns", "taken"),
    [
        ("", True),
        ("arn:aws:bedrock:eu-central-1::foundation-model/amazon.nova-lite-v1:0", True),
        (
            "arn:aws:bedrock:us-east-1:111122223333:inference-profile/us.anthropic.claude-sonnet-4-6,"
            "arn:aws:bedrock:*::foundation-model/anthropic.claude-sonnet-4-6",
            True,
        ),
        ("*", False),
        ("arn:aws:bedrock:*:*:*", False),
        ("arn:aws:s3:::bucket/key", False),
        ("arn:aws:bedrock:us-east-1::foundation-model/a, arn:aws:bedrock:us-east-1::foundation-model/b", False),
    ],
)
def test_models_of_bedrock_are_named_by_arns_of_bedrock(arns: str, taken: bool) -> None:
    pattern = template.load()["Parameters"]["BedrockModels"]["AllowedPattern"]
    assert bool(re.fullmatch(pattern, arns)) == taken


SECRET = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:weir-AbCdEf"


@pytest.mark.parametrize(
    ("parameter", "value", "taken"),
    [
        *(
            (name, "", True)
            for name in ("ApiKeySecretArn", "ProviderKeysSecretArn", "CredentialSecretArns", "KmsKeyArn")
        ),
        *((name, SECRET, True) for name in ("ApiKeySecretArn", "ProviderKeysSecretArn", "CredentialSecretArns")),
        ("ApiKeySecretArn", "weir", False),
        ("ProviderKeysSecretArn", f"{SECRET},{SECRET}", False),
        ("CredentialSecretArns", f"{SECRET},{SECRET}", True),
        ("CredentialSecretArns", f"{SECRET}, {SECRET}", False),
        ("CredentialSecretArns", "*", False),
        ("CredentialSecretArns", "arn:aws:secretsmanager:eu-central-1:111122223333:secret:*", False),
        ("KmsKeyArn", "arn:aws:kms:eu-central-1:111122223333:key/01890a5d-ac96-774b-bcce-b302099a8057", True),
        ("KmsKeyArn", "arn:aws:kms:eu-central-1:111122223333:alias/weir", False),
        ("KmsKeyArn", "*", False),
    ],
)
def test_what_the_policies_name_is_one_thing_each(parameter: str, value: str, taken: bool) -> None:
    found = template.load()["Parameters"][parameter]
    assert bool(re.fullmatch(found["AllowedPattern"], value)) == taken


def test_keys_of_workspaces_are_read_only_where_the_parameters_say_and_by_none_but_who_calls_providers() -> None:
    conditional = [
        (name, statement["Fn::If"][0], statement["Fn::If"][1]["Action"])
        for name, role in ROLES.items()
        for policy in role["Properties"].get("Policies", [])
        for statement in policy["PolicyDocument"]["Statement"]
        if "Fn::If" in statement
    ]
    assert conditional == [
        ("CompletionRole", "HasCredentialsPath", "ssm:GetParameter"),
        ("CompletionRole", "HasCredentialSecrets", "secretsmanager:GetSecretValue"),
        (
            "CompletionRole",
            "HasBedrockModels",
            ["bedrock:InvokeModel", "bedrock:InvokeModelWithResponseStream", "bedrock:GetInferenceProfile"],
        ),
    ]
    text, parts = GLOBALS["Environment"]["Variables"]["WEIR_CREDENTIALS"]["Fn::Sub"]
    path, secrets = parts["Path"]["Fn::If"], parts["Secrets"]["Fn::If"]
    join = secrets[1]["Fn::Sub"][1]["Arns"]["Fn::Join"]
    assert (text, path, secrets[::2], secrets[1]["Fn::Sub"][0], join) == (
        "${Path}${Secrets}",
        ["HasCredentialsPath", {"Fn::Sub": "ssm:${CredentialsPath}/,"}, ""],
        ["HasCredentialSecrets", ""],
        "secretsmanager:${Arns}",
        [",secretsmanager:", {"Fn::Split": [",", {"Ref": "CredentialSecretArns"}]}],
    )
    resolved = "ssm:/weir/keys/,secretsmanager:" + join[0].join(["arn:aws:one", "arn:aws:two"])
    assert Settings.from_environ({"WEIR_CREDENTIALS": resolved}).credentials == (
        "ssm:/weir/keys/",
        "secretsmanager:arn:aws:one",
        "secretsmanager:arn:aws:two",
    )


def test_the_environment_is_one_that_the_settings_read() -> None:
    known = {field.alias or f"WEIR_{name.upper()}" for name, field in Settings.model_fields.items()}
    variables = GLOBALS["Environment"]["Variables"]
    assert {name for name in variables if name not in ("PYDANTIC_DISABLE_PLUGINS", "OTEL_PROPAGATORS")} <= known
    parameters = template.load()["Parameters"]
    given = {"WEIR_ENGINE": variables["WEIR_ENGINE"]}
    for name, value in variables.items():
        match value:
            case {"Ref": parameter} if parameter in parameters:
                given[name] = str(parameters[parameter]["Default"])
    settings = Settings.from_environ(given)
    assert (settings.engine, settings.shards, settings.indexes) == ("dynamodb", 1, INDEXES)


def test_the_table_is_protected_can_be_put_back_and_lets_go_of_what_has_expired() -> None:
    (table,) = template.resources("AWS::DynamoDB::Table").values()
    properties = table["Properties"]
    assert properties["DeletionProtectionEnabled"] is True
    assert properties["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert properties["TimeToLiveSpecification"] == {"AttributeName": "expires_at", "Enabled": True}


def test_the_table_has_an_index_for_each_that_may_be_written() -> None:
    indexes = template.table_definition()["GlobalSecondaryIndexes"]
    assert {index["IndexName"] for index in indexes} == INDEXES
    assert [index["KeySchema"][0]["AttributeName"] for index in indexes] == [index["IndexName"] for index in indexes]


def test_every_parameter_is_explained_in_the_documentation() -> None:
    table = (template.ROOT / "docs" / "aws.md").read_text(encoding="utf-8").partition("## Options")[2]
    first = " ".join(line.split("|")[1] for line in table.partition("\n### ")[0].splitlines() if line.startswith("| `"))
    assert set(re.findall(r"`(\w+)`", first)) == set(template.load()["Parameters"])


def test_what_no_function_sees_is_answered_in_the_form_of_errors() -> None:
    """OpenAI's clients read `error`, Keywords AI's `detail`."""
    (api,) = template.resources("AWS::Serverless::Api").values()
    responses = api["Properties"]["GatewayResponses"]
    assert {"DEFAULT_4XX", "DEFAULT_5XX"} < set(responses)
    for response in responses.values():
        (body,) = response["ResponseTemplates"].values()
        said = json.loads(body.replace("$context.error.messageString", '"Said by the gateway."'))
        assert said.keys() == {"error", "detail"}
        assert said["error"].keys() == {"message", "type", "param", "code"}
        assert said["detail"] == said["error"]["message"]


def test_no_path_belongs_to_two_functions() -> None:
    routes = [
        (event["Properties"]["Method"], event["Properties"]["Path"])
        for function in FUNCTIONS.values()
        for event in function["Properties"]["Events"].values()
        if event["Type"] == "Api"
    ]
    assert len(routes) == len(set(routes))
    assert not [path for _, path in routes if path.endswith("/")]


@pytest.mark.parametrize("folder", SERVING)
def test_every_route_of_an_app_is_one_of_its_function(folder: str, tmp_path: Path) -> None:
    (function,) = [found for found in FUNCTIONS.values() if found["Properties"]["CodeUri"] == f"functions/{folder}"]
    runtime = bootstrap({"WEIR_API_KEY": "canary-key-of-the-template", "WEIR_DATA_DIR": str(tmp_path)})
    app = create_app("routes")
    ours = len(app.routes)
    import_module(f"functions.{folder}.app").mount(app, runtime)
    runtime.ledger.close()
    routes = [route for route in app.routes[ours:] if isinstance(route, DirectRoute)]
    served = {(method, route.path) for route in routes for method in route.methods or ()}
    assert served
    events = [event["Properties"] for event in function["Properties"]["Events"].values()]
    anything = [event["Path"].removesuffix("{proxy+}") for event in events if event["Method"] == "ANY"]
    exact = {(event["Method"], event["Path"]) for event in events if event["Method"] != "ANY"}
    missing = {
        (method, path)
        for method, path in served - exact
        if not any(path == known or (known.endswith("/") and path.startswith(known)) for known in anything)
    }
    assert missing == set()
    assert exact <= served


def test_nothing_but_the_completion_outlasts_the_caller() -> None:
    """API Gateway waits 29 s: a record kept after that would be one whose caller was told that it failed."""
    waiting = {
        name: function["Properties"]["Timeout"]
        for name, function in FUNCTIONS.items()
        if any(event["Type"] == "Api" for event in function["Properties"]["Events"].values())
    }
    assert {name for name, seconds in waiting.items() if seconds >= 29} == {"Completion"}
