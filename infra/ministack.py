"""ministack, an emulator of AWS written in Python, on 127.0.0.1 for as long as it is used; what it keeps goes with it.

It is told to check what AWS checks: signatures, the policies of the functions' roles, and the bucket's, which asks for
TLS. Functions run as processes of its own Python with the layer unzipped beside them: it has to be the target's.
What it does not have of what the template asks for is in docs/aws.md.
"""

import copy
import os
import shutil
import signal
import ssl
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import botocore.session
from botocore.config import Config

from infra.pack import ROOT
from infra.rie import reserved_ports, wait_for

PYTHON = ROOT / ".venv-ministack" / "bin" / "python"
REGION = "us-east-1"
_ROOT_KEY, _ROOT_SECRET = "test", "canary-secret-access-key"
"""Its root user is called `test`."""

_METHODS = ("get", "put", "post", "delete", "patch", "head", "options")
_ANY = "x-amazon-apigateway-any-method"
_STREAMED = ("/2021-11-15/", "/response-streaming-invocations")
_BUFFERED = ("/2015-03-31/", "/invocations")


@dataclass(frozen=True, slots=True)
class Ministack:
    """`certificate` is the file of what signs its TLS; `log` what it has said."""

    url: str
    certificate: Path
    log: Path

    def environ(self) -> dict[str, str]:
        """For processes that are to be clients of it, with all rights."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_CA_BUNDLE": str(self.certificate),
            "AWS_ACCESS_KEY_ID": _ROOT_KEY,
            "AWS_SECRET_ACCESS_KEY": _ROOT_SECRET,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def client(self, service: str) -> Any:
        return botocore.session.Session().create_client(
            service,
            endpoint_url=self.url,
            verify=str(self.certificate),
            region_name=REGION,
            aws_access_key_id=_ROOT_KEY,
            aws_secret_access_key=_ROOT_SECRET,
            config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}),
        )

    def trusted(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.certificate))

    def stage_url(self, api: str, stage: str) -> str:
        """Where an API answers."""
        return f"{self.url}/_aws/execute-api/{api}/{stage}"


def missing() -> str | None:
    """Why it cannot be started here."""
    if not PYTHON.exists():
        return "ministack is not installed: `make ministack` does that, and needs a Python 3.13"
    if shutil.which("openssl") is None:
        return "ministack needs openssl to make a certificate"
    return None


@contextmanager
def ministack() -> Iterator[Ministack]:
    with (
        reserved_ports(1) as (port,),
        tempfile.TemporaryDirectory(prefix="weir-ministack-", ignore_cleanup_errors=True) as folder,
    ):
        log = Path(folder) / "log"
        environ = {
            "PATH": os.environ["PATH"],
            "HOME": folder,
            "TMPDIR": folder,
            "BIND_HOST": "127.0.0.1",  # else it listens on every interface
            "GATEWAY_PORT": str(port),
            "AUTH": "true",
            "USE_SSL": "1",
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
            "AWS_ACCESS_KEY_ID": _ROOT_KEY,
            "AWS_SECRET_ACCESS_KEY": _ROOT_SECRET,
            "MINISTACK_REGION": REGION,
        }
        with log.open("wb") as told:
            process = subprocess.Popen(  # noqa: S603
                [PYTHON, "-m", "ministack"],
                cwd=folder,
                env=environ,
                stdout=told,
                stderr=told,
                start_new_session=True,  # its functions are processes of the same group, and end with it
            )
            try:
                wait_for(port, process)
                yield Ministack(f"https://127.0.0.1:{port}", Path(folder) / "ministack-tls" / "server.crt", log)
            finally:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def as_ministack_takes_it(template: Mapping[str, Any]) -> dict[str, Any]:
    """The transformed template with the two things changed that ministack 1.5 does not know, and nothing else.

    It looks for the name of a function before `/invocations`, so an integration by the streaming URI answers 500: these
    become buffered. Of an OpenAPI document it takes the methods with a name, so ANY becomes all of them.
    """
    adapted: dict[str, Any] = copy.deepcopy(dict(template))
    for resource in adapted["Resources"].values():
        if resource["Type"] == "AWS::ApiGateway::RestApi":
            for operations in resource["Properties"]["Body"]["paths"].values():
                _adapt(operations)
    return adapted


def _adapt(operations: dict[str, Any]) -> None:
    if _ANY in operations:
        operation = operations.pop(_ANY)
        operations.update({name: copy.deepcopy(operation) for name in _METHODS if name not in operations})
    for name in _METHODS:
        integration = operations.get(name, {}).get("x-amazon-apigateway-integration", {})
        uri = integration.get("uri")
        if uri is not None and _STREAMED[1] in uri["Fn::Sub"]:
            for streamed, buffered in zip(_STREAMED, _BUFFERED, strict=True):
                uri["Fn::Sub"] = uri["Fn::Sub"].replace(streamed, buffered)
            integration.pop("responseTransferMode", None)
