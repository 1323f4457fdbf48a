"""The built functions under AWS's own Runtime Interface Emulator, which ships inside the wheel of aws-sam-cli."""

import json
import os
import platform
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from infra.here import HERE, LAYER, RIC, build, install_ric
from infra.pack import ROOT, TARGET, target_python

NAMES = {"x86_64": "aws-lambda-rie-x86_64", "aarch64": "aws-lambda-rie-arm64"}
FOUND = sorted(ROOT.glob(f".venv-aws/lib/*/site-packages/samcli/local/rapid/{NAMES.get(platform.machine(), '-')}"))
PYTHON = target_python()

pytestmark = [
    pytest.mark.skipif(not FOUND, reason="the emulator is not installed; `make test` installs it with the AWS tools"),
    pytest.mark.skipif(PYTHON is None, reason=f"there is no Python {TARGET} on this machine"),
]


@pytest.fixture(scope="module")
def built() -> None:
    """Left where it is, for whoever wants to look at it."""
    assert PYTHON is not None
    build(PYTHON)
    install_ric(PYTHON)


@contextmanager
def emulated(function: str, data: Path) -> Iterator[httpx.Client]:
    """The client's address is that of the function's invocations."""
    streams = function == "completion"
    command = (
        [f"{LAYER}/bin/weir-stream", str(PYTHON)] if streams else [str(PYTHON), "-m", "awslambdaric", "app.handler"]
    )
    ports = [free_port(), free_port()]
    rie = data / "rie"
    rie.write_bytes(FOUND[0].read_bytes())
    rie.chmod(0o755)
    environ = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": f"{HERE / function}:{LAYER}/python:{RIC}",
        "PYTHONDONTWRITEBYTECODE": "1",
        "LAMBDA_TASK_ROOT": str(HERE / function),
        "_HANDLER": "app.handler",
        "WEIR_DATA_DIR": str(data),
        "WEIR_API_KEY": "canary-key-of-the-event",
        **({"AWS_LAMBDA_EXEC_WRAPPER": "/opt/bin/weir-stream"} if streams else {}),
    }
    addresses = [
        "--runtime-interface-emulator-address",
        f"127.0.0.1:{ports[0]}",
        "--runtime-api-address",
        f"127.0.0.1:{ports[1]}",
    ]
    with (data / "log").open("wb") as log:
        process = subprocess.Popen(
            [str(rie), *addresses, *command, "app.handler"],
            cwd=HERE / function,
            env=environ,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            wait_for(ports[0])
            with httpx.Client(
                base_url=f"http://127.0.0.1:{ports[0]}/2015-03-31/functions/function", timeout=60
            ) as client:
                yield client
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def wait_for(port: int) -> None:
    last = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            assert time.monotonic() < last
            time.sleep(0.02)
        else:
            return


def event(name: str) -> Mapping[str, Any]:
    loaded: dict[str, Any] = json.loads((ROOT / "infra" / "events" / f"{name}.json").read_text(encoding="utf-8"))
    return loaded


@pytest.mark.parametrize(
    ("function", "name", "statuses"),
    [
        ("storage", "storage", {200}),
        ("request_log", "request-log-create", {200}),
        ("portal", "portal-requests", {200}),
    ],
)
@pytest.mark.usefixtures("built")
def test_a_function_answers_whole(function: str, name: str, statuses: set[int], tmp_path: Path) -> None:
    with emulated(function, tmp_path) as client:
        answer = client.post("/invocations", json=event(name)).json()

    assert answer["statusCode"] in statuses, (answer, (tmp_path / "log").read_text())


@pytest.mark.usefixtures("built")
def test_the_completion_answers_in_the_form_of_a_stream(tmp_path: Path) -> None:
    """The emulator takes the pieces and gives them back whole: metadata, eight NULs, body."""
    with emulated("completion", tmp_path) as client:
        streamed = client.post("/invocations", json=event("completion-stream")).content
        whole = client.post("/invocations", json=event("completion")).content

    metadata, body = streamed.split(bytes(8), 1)
    assert json.loads(metadata)["statusCode"] == 200
    assert body.endswith(b"data: [DONE]\n\n")
    assert json.loads(whole.split(bytes(8), 1)[1])["object"] == "chat.completion"
