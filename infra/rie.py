"""The built functions under AWS's own Runtime Interface Emulator, which ships inside the wheel of aws-sam-cli."""

import os
import platform
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from infra.here import HERE, LAYER, RIC
from infra.pack import ROOT

_NAMES = {"x86_64": "aws-lambda-rie-x86_64", "aarch64": "aws-lambda-rie-arm64"}
_STARTS_WITHIN_S = 120
STREAMING = frozenset({"completion"})
"""The functions that run on weir.runtime.streaming."""


def emulator() -> Path | None:
    name = _NAMES.get(platform.machine(), "-")
    return next(iter(sorted(ROOT.glob(f".venv-aws/lib/*/site-packages/samcli/local/rapid/{name}"))), None)


@contextmanager
def emulated(function: str, python: str, environ: Mapping[str, str], log: Path) -> Iterator[str]:
    """The address of the function's invocations. It has to be built; what it and the emulator say goes to `log`."""
    binary = emulator()
    if binary is None:
        raise FileNotFoundError("the emulator is not installed")
    streams = function in STREAMING
    command = [f"{LAYER}/bin/weir-stream", python] if streams else [python, "-m", "awslambdaric", "app.handler"]
    variables = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": f"{HERE / function}:{LAYER}/python:{RIC}",
        "PYTHONDONTWRITEBYTECODE": "1",  # Lambda's folders are read-only
        "LAMBDA_TASK_ROOT": str(HERE / function),
        "_HANDLER": "app.handler",
        **({"AWS_LAMBDA_EXEC_WRAPPER": "/opt/bin/weir-stream"} if streams else {}),
        **environ,
    }
    with (
        reserved_ports(2) as (invocations, runtime_api),
        tempfile.TemporaryDirectory(prefix="weir-rie-") as folder,
        log.open("wb") as told,
    ):
        addresses = [
            *("--runtime-interface-emulator-address", f"127.0.0.1:{invocations}"),
            *("--runtime-api-address", f"127.0.0.1:{runtime_api}"),
        ]
        rie = Path(folder) / "rie"
        rie.write_bytes(binary.read_bytes())  # the wheel has it without the right to be run
        rie.chmod(0o755)
        process = subprocess.Popen(  # noqa: S603
            [str(rie), *addresses, *command, "app.handler"],
            cwd=HERE / function,
            env=variables,
            stdout=told,
            stderr=told,
            start_new_session=True,
        )
        try:
            wait_for(invocations, process)
            yield f"http://127.0.0.1:{invocations}/2015-03-31/functions/function/invocations"
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@contextmanager
def reserved_ports(count: int) -> Iterator[list[int]]:
    """Ports of the system's choice for servers that are about to start, and that set SO_REUSEADDR, as most do.

    On Linux nobody else gets them meanwhile: a socket that does not listen is in the way of the system's choice, and
    not of who names the port.
    """
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            each.bind(("127.0.0.1", 0))
        ports = [int(each.getsockname()[1]) for each in sockets]
        if sys.platform != "linux":
            held.close()
        yield ports


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    """Until something listens there. Raises TimeoutError, or ChildProcessError when the process has ended."""
    last = time.monotonic() + _STARTS_WITHIN_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            if process.poll() is not None:
                raise ChildProcessError(f"ended with {process.returncode}") from None
            if time.monotonic() > last:
                raise TimeoutError(f"nothing listens on port {port}") from None
            time.sleep(0.02)
        else:
            return
