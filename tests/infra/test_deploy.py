"""`make deploy` as a person meets it: what SAM asks the first time, what it remembers, and a stack that answers."""

import json
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx
import pytest

from infra import deploy, ministack
from infra.here import HERE, build
from infra.ministack import Ministack
from infra.pack import ROOT, TARGET, pack, target_python

KEY = "canary-key-of-the-stack-that-is-deployed"
_ASKS = re.compile(r"(\[[^\n]*\]|Parameter \w+): $")
"""The space comes last: what is typed before it is thrown away where a key is asked for."""
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_DONE_WITHIN_S = 300
_ON_A_TERMINAL = """
import fcntl, sys, termios
from pathlib import Path
from infra.deploy import main
fcntl.ioctl(0, termios.TIOCSCTTY, 0)  # a key is asked for on the terminal itself
sys.exit(main(Path.cwd()))
"""

pytestmark = [
    pytest.mark.skipif(target_python() is None, reason=f"there is no Python {TARGET} on this machine"),
    pytest.mark.skipif(not deploy.SAM.exists(), reason="the AWS tools are not installed; `make test` installs them"),
]


@pytest.fixture
def aws() -> Iterator[Ministack]:
    if (reason := ministack.missing()) is not None:
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    with ministack.ministack() as aws:
        yield aws


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder in which `sam build` and infra/pack.py have been, with what runs on this machine."""
    python = target_python()
    assert python is not None
    build(python)
    built = tmp_path / ".aws-sam" / "build"
    built.mkdir(parents=True)
    for app in ROOT.glob("functions/*/app.py"):
        pack(HERE / app.parent.name, built / f"{app.parent.name}.zip")
    shutil.copy(HERE / "layer.zip", built / "shared.zip")
    text = (ROOT / "template.yaml").read_text(encoding="utf-8")
    shutil.copy(ROOT / "template.yaml", tmp_path)
    packed = re.sub(r"^( +(?:CodeUri|ContentUri): )\S+/(\w+)$", r"\1\2.zip", text, flags=re.MULTILINE)
    (built / "template.yaml").write_text(packed, encoding="utf-8")
    (built / "infra").mkdir()
    shutil.copy(ROOT / "infra" / "operations.yaml", built / "infra")  # SAM uploads it, whether it is made or not
    return tmp_path


def converse(folder: Path, environ: Mapping[str, str], answers: Mapping[str, str]) -> tuple[int, str]:
    """`make deploy` on a terminal; a question whose text has none of `answers` is answered by Enter."""
    terminal, theirs = pty.openpty()
    command = [sys.executable, "-c", _ON_A_TERMINAL]
    process = subprocess.Popen(
        command, cwd=folder, env=environ, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    )
    os.close(theirs)
    said, question, last = "", "", time.monotonic() + _DONE_WITHIN_S
    while time.monotonic() < last:
        if not select.select([terminal], [], [], 1)[0]:
            continue
        try:
            more = os.read(terminal, 65536).decode(errors="replace")
        except OSError:  # that is how Linux says that the other side has ended
            break
        said += more
        question = _COLOURS.sub("", question + more)
        if _ASKS.search(question):
            answer = next((answers[text] for text in answers if text in question), "")
            os.write(terminal, f"{answer}\n".encode())
            question = ""
    else:
        os.killpg(process.pid, signal.SIGKILL)
    os.close(terminal)
    return process.wait(), _COLOURS.sub("", said)


def environment(aws: Ministack, project: Path) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(project),
        "PYTHONPATH": str(ROOT),
        "SAM_CLI_TELEMETRY": "0",
        "SAM_CLI_POLL_DELAY": "1",
        **aws.environ(),
    }


def test_the_first_time_it_asks_and_then_it_remembers_all_but_the_key(aws: Ministack, project: Path) -> None:
    environ = environment(aws, project)

    first = converse(project, environ, {"Parameter ApiKey:": KEY, "Deploy this changeset?": "y"})
    again = converse(project, environ, {})

    assert (first[0], "Successfully created/updated stack - weir in us-east-1" in first[1]) == (0, True), first[1]
    assert "has no authentication" not in first[1]
    assert (again[0], "No changes to deploy. Stack weir is up to date" in again[1]) == (0, True), again[1]
    kept = (project / "samconfig.toml").read_text(encoding="utf-8")
    assert KEY not in kept
    assert deploy.parameters_of(kept)["capabilities"].split() == ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"]
    assert stored(aws) == (200, True)


def stored(aws: Ministack) -> tuple[int, bool]:
    """What the one stack there is answers to who has the key and brings a call."""
    pair = json.loads((ROOT / "infra/events/storage.json").read_text(encoding="utf-8"))["body"]
    (api,) = aws.client("apigateway").get_rest_apis()["items"]
    answer = httpx.put(
        f"{aws.stage_url(api['id'], 'live')}/chat/completions/response",
        content=pair,
        headers={"x-api-key": KEY},
        verify=aws.trusted(),
        timeout=60,
    )
    return answer.status_code, answer.json().get("new")


def test_a_key_that_lies_in_a_secret_is_not_asked_for(aws: Ministack, project: Path) -> None:
    """As docs/deploy.md says it is done."""
    secret = aws.client("secretsmanager").create_secret(Name="weir", SecretString=KEY)["ARN"]
    defaults = deploy.DEFAULTS.read_text(encoding="utf-8")
    head = "[default.deploy.parameters]\n"
    more = f'region = "us-east-1"\nparameter_overrides = "ApiKeySecretArn={secret}"\n'
    (project / "samconfig.toml").write_text(defaults.replace(head, head + more), encoding="utf-8")

    code, said = converse(project, environment(aws, project), {"Deploy this changeset?": "y"})

    assert (code, "Parameter ApiKey" in said, "a new one" in said) == (0, False, False), said
    assert stored(aws) == (200, True)


def test_who_looks_at_the_changes_and_says_no_is_asked_again_the_next_time(aws: Ministack, project: Path) -> None:
    environ = environment(aws, project)

    declined = converse(project, environ, {"Parameter ApiKey:": KEY, "Parameter Shards": "4"})
    again = converse(project, environ, {"Parameter ApiKey:": KEY, "Deploy this changeset?": "y"})

    assert "Successfully created/updated stack" not in declined[1]
    assert "Parameter ApiKey:" in again[1], again[1]
    assert "Parameter Shards [4]:" in again[1]
    assert (again[0], "Successfully created/updated stack - weir in us-east-1" in again[1]) == (0, True), again[1]


ASKED = """
[default.global.parameters]
stack_name = "weir"
[default.deploy.parameters]
region = "us-east-1"
"""


def answers(folder: Path, status: str | None, more: str, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What `make deploy` starts where it has been before and the stack has `status`."""
    started: list[list[str]] = []
    (folder / "samconfig.toml").write_text(ASKED + more, encoding="utf-8")

    def call(command: list[str], **_: object) -> int:
        started.append(command[1:])
        return 0

    monkeypatch.setattr(subprocess, "call", call)
    monkeypatch.setattr(deploy, "stack_status", lambda parameters: status)
    deploy.main(folder)
    return started


SECRET = 'parameter_overrides = "ApiKeySecretArn=arn:aws:secretsmanager:us-east-1:111122223333:secret:weir"'


@pytest.mark.parametrize(
    ("status", "more", "started"),
    [
        ("CREATE_COMPLETE", "", [["deploy"]]),
        ("UPDATE_ROLLBACK_COMPLETE", "", [["deploy"]]),
        (None, "", [["deploy"]]),
        (deploy.NO_STACK, "", [["deploy", "--guided"]]),
        (deploy.NO_STACK, 'parameter_overrides = "ApiKeySecretArn=\\"\\" Shards=\\"1\\""', [["deploy", "--guided"]]),
        (deploy.NO_STACK, SECRET, [["deploy"]]),
        ("ROLLBACK_COMPLETE", "", []),
    ],
)
def test_questions_are_asked_while_there_is_no_stack_that_has_the_answers(
    status: str | None, more: str, started: list[list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert answers(tmp_path, status, more, monkeypatch) == started


def test_what_is_left_of_a_stack_that_failed_is_to_be_deleted_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answers(tmp_path, "ROLLBACK_COMPLETE", "", monkeypatch)

    assert capsys.readouterr().err == (
        "The stack could not be made (ROLLBACK_COMPLETE). `.venv-aws/bin/sam delete` takes away what is left of it; "
        "then `make deploy` asks again.\n"
    )
