"""`make invoke` and the sample events: what is asked wrongly, what is printed, and that the events fit the template."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from infra import invoke
from tests.infra import template
from weir.runtime.bootstrap import bootstrap

TOOLS = template.ROOT / ".venv-aws" / "bin" / "python"
EVENTS = sorted(invoke.EVENTS.glob("*.json"))
REST_API = {"resource", "path", "httpMethod", "headers", "multiValueHeaders", "requestContext", "isBase64Encoded"}

AS_SAM_SETS_THEM = """
import json
from samcli.commands.local.lib.local_lambda import LocalLambdaRunner
from samcli.lib.providers.sam_function_provider import SamFunctionProvider
from samcli.lib.providers.sam_stack_provider import SamLocalStackProvider

stacks, _ = SamLocalStackProvider.get_stacks("template.yaml")
given = json.load(open("infra/sam-local.json"))
functions = SamFunctionProvider(stacks)
runner = LocalLambdaRunner(None, functions, ".", ".", env_vars_values=given)
print(json.dumps({each.name: runner._make_env_vars(each).resolve() for each in functions.get_all()}))
"""


def function_of(folder: str) -> dict[str, Any]:
    """The properties of the function in that folder."""
    (found,) = (
        resource["Properties"]
        for resource in template.resources("AWS::Serverless::Function").values()
        if Path(resource["Properties"]["CodeUri"]).name == folder
    )
    return dict(found)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "FUNCTION is not set; there are completion, portal, projector, request_log, storage, upkeep"),
        (["store"], "there is no function 'store'; there are completion, portal, projector, request_log,"),
        (["storage"], "EVENT is not set; for storage there are infra/events/storage.json"),
        (
            ["upkeep", "nowhere.json"],
            "nowhere.json: No such file or directory; for upkeep there are infra/events/upkeep",
        ),
        (["storage", "Makefile"], "Makefile is not JSON: "),
    ],
)
def test_what_is_asked_wrongly_is_said(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(template.ROOT)

    assert invoke.main(arguments) == 2
    assert capsys.readouterr().err.startswith(f"make invoke: {said}")


@pytest.mark.parametrize(
    ("function", "answer", "text", "failed"),
    [
        ("storage", b'{"statusCode": 200}', '{\n  "statusCode": 200\n}\n', False),
        ("storage", b'{"statusCode": 404}', '{\n  "statusCode": 404\n}\n', True),
        ("upkeep", b'{"errorType": "KeyError"}', '{\n  "errorType": "KeyError"\n}\n', True),
        ("upkeep", b"null", "null\n", False),
        (
            "completion",
            b'{"statusCode":200}' + bytes(8) + b"data: 1\n\n",
            '{\n  "statusCode": 200\n}\ndata: 1\n',
            False,
        ),
        ("completion", b'{"statusCode":401}' + bytes(8) + b"{}", '{\n  "statusCode": 401\n}\n{}\n', True),
    ],
)
def test_an_answer_is_shown_and_an_error_is_one(function: str, answer: bytes, text: str, failed: bool) -> None:
    assert invoke.shown(function, answer) == (text, failed)


def test_every_function_has_an_event_and_every_event_a_function() -> None:
    assert {invoke.owner(path.stem) for path in EVENTS} == set(invoke.functions())


@pytest.mark.parametrize("path", EVENTS, ids=lambda path: path.stem)
def test_an_event_is_one_that_the_template_sends(path: Path) -> None:
    """So `sam local invoke`, which gives the file to the function as it is, shows what AWS would."""
    event = json.loads(path.read_text(encoding="utf-8"))
    sources = function_of(str(invoke.owner(path.stem)))["Events"].values()

    if "httpMethod" in event:
        assert event.keys() >= REST_API
        routes = [source["Properties"] for source in sources if source["Type"] == "Api"]
        assert any(
            route["Path"] == event["resource"] and route["Method"] in ("ANY", event["httpMethod"]) for route in routes
        )
        assert event["path"].startswith(event["resource"].removesuffix("{proxy+}"))
    elif "Records" in event:
        assert {record["eventSource"] for record in event["Records"]} == {"aws:dynamodb"}
        assert "DynamoDB" in {source["Type"] for source in sources}
    else:
        assert event in [json.loads(s["Properties"]["Input"]) for s in sources if s["Type"] == "Schedule"]


@pytest.mark.skipif(not TOOLS.exists(), reason="the AWS tools are not installed; `make test` installs them")
def test_sam_local_gives_every_function_settings_that_it_starts_with(tmp_path: Path) -> None:
    environ = {"AWS_EC2_METADATA_DISABLED": "true", "HOME": str(tmp_path), "AWS_DEFAULT_REGION": "us-east-1"}
    done = subprocess.run(
        [TOOLS, "-c", AS_SAM_SETS_THEM], cwd=template.ROOT, env=environ, capture_output=True, check=True
    )
    given: dict[str, dict[str, str]] = json.loads(done.stdout)

    assert set(given) == set(template.resources("AWS::Serverless::Function"))
    for variables in given.values():
        assert variables["WEIR_DATA_DIR"].startswith("/tmp/")
        runtime = bootstrap({**variables, "WEIR_DATA_DIR": str(tmp_path)})
        runtime.ledger.close()
        assert (runtime.settings.engine, runtime.settings.api_key) == ("sqlite", invoke.KEY_OF_THE_EVENTS)
