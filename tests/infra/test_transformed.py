"""The template as CloudFormation gets it: a lint takes words that the transformation then ignores."""

import json
import subprocess
from typing import Any

import pytest

from tests.infra import template

TOOLS = template.ROOT / ".venv-aws" / "bin" / "python"
BUFFERED = "path/2015-03-31/functions/${%s.Arn}/invocations"
STREAMED = "path/2021-11-15/functions/${%s.Arn}/response-streaming-invocations"

pytestmark = pytest.mark.skipif(not TOOLS.exists(), reason="the AWS tools are not installed; `make test` installs them")


@pytest.fixture(scope="module")
def integrations() -> dict[tuple[str, str], dict[str, Any]]:
    """By method and path."""
    done = subprocess.run([TOOLS, "infra/transform.py"], cwd=template.ROOT, capture_output=True, check=True)
    (api,) = (r for r in json.loads(done.stdout)["Resources"].values() if r["Type"] == "AWS::ApiGateway::RestApi")
    return {
        (method.replace("x-amazon-apigateway-any-method", "any").upper(), path): found[
            "x-amazon-apigateway-integration"
        ]
        for path, methods in api["Properties"]["Body"]["paths"].items()
        for method, found in methods.items()
        if "x-amazon-apigateway-integration" in found
    }


def test_exactly_the_functions_of_the_streaming_runtime_are_streamed(
    integrations: dict[tuple[str, str], dict[str, Any]],
) -> None:
    expected: dict[tuple[str, str], tuple[str, Any, Any]] = {}
    for name, function in template.resources("AWS::Serverless::Function").items():
        properties = function["Properties"]
        streams = "AWS_LAMBDA_EXEC_WRAPPER" in properties.get("Environment", {}).get("Variables", {})
        how = (STREAMED % name, "STREAM", properties["Timeout"] * 1000) if streams else (BUFFERED % name, None, None)
        for event in properties.get("Events", {}).values():
            if event["Type"] == "Api":
                expected[event["Properties"]["Method"], event["Properties"]["Path"]] = how

    found = {
        route: (
            integration["uri"]["Fn::Sub"].split(":lambda:")[1],
            integration.get("responseTransferMode"),
            integration.get("timeoutInMillis"),
        )
        for route, integration in integrations.items()
    }

    assert found == expected
    assert {path for (_, path), how in expected.items() if how[1] == "STREAM"} >= {
        "/v1/chat/completions",
        "/chat/completions/serialized",
    }


def test_the_wrapper_is_a_file_of_the_layer() -> None:
    function = template.resources("AWS::Serverless::Function")["Completion"]["Properties"]
    wrapper = function["Environment"]["Variables"]["AWS_LAMBDA_EXEC_WRAPPER"]
    file = template.ROOT / "layers" / "shared" / wrapper.removeprefix("/opt/")
    assert file.stat().st_mode & 0o111 == 0o111
