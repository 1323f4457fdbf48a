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
_DONE_WITHIN_S = 60
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


def test_the_first_time_it_asks_and_then_it_remembers_all_but_the_key(aws: Ministack, project: Path) -> None:
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(project),
        "PYTHONPATH": str(ROOT),
        "SAM_CLI_TELEMETRY": "0",
        "SAM_CLI_POLL_DELAY": "1",
        **aws.environ(),
    }
    pair = json.loads((ROOT / "infra/events/storage.json").read_text(encoding="utf-8"))["body"]

    first = converse(project, environ, {"Parameter ApiKey:": KEY, "Deploy this changeset?": "y"})
    again = converse(project, environ, {})

    assert (first[0], "Successfully created/updated stack - weir in us-east-1" in first[1]) == (0, True), first[1]
    assert "has no authentication" not in first[1]
    assert (again[0], "No changes to deploy. Stack weir is up to date" in again[1]) == (0, True), again[1]
    assert KEY not in (project / "samconfig.toml").read_text(encoding="utf-8")
    (api,) = aws.client("apigateway").get_rest_apis()["items"]
    answer = httpx.put(
        f"{aws.stage_url(api['id'], 'live')}/chat/completions/response",
        content=pair,
        headers={"x-api-key": KEY},
        verify=aws.trusted(),
        timeout=60,
    )
    assert (answer.status_code, answer.json()["new"]) == (200, True)
