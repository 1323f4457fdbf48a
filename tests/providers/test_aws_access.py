"""Which credentials, region and address a process uses for Bedrock."""

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from weir.domain.errors import ProviderAuthFailed
from weir.providers.aws_access import (
    BearerAccess,
    ChainCredentials,
    SignedAccess,
    bedrock_access,
    bedrock_endpoint,
    bedrock_region,
    environment_credentials,
)
from weir.providers.sigv4 import AwsCredentials, sign

NOW = datetime(2026, 3, 9, tzinfo=UTC)
KEYS = {"AWS_ACCESS_KEY_ID": "AKIACANARY", "AWS_SECRET_ACCESS_KEY": "canary-secret"}


def test_a_bearer_key_goes_before_signing_credentials() -> None:
    access = bedrock_access({**KEYS, "AWS_BEARER_TOKEN_BEDROCK": "canary-bearer"}, "eu-west-1")
    assert access.headers("POST", "https://b.test/model", {}, b"", NOW) == {"Authorization": "Bearer canary-bearer"}


def test_the_environment_signs_for_its_region() -> None:
    access = bedrock_access(KEYS, "eu-west-1")
    assert access.headers("POST", "https://b.test/model", {"content-type": "application/json"}, b"{}", NOW) == sign(
        "POST",
        "https://b.test/model",
        {"content-type": "application/json"},
        b"{}",
        credentials=AwsCredentials("AKIACANARY", "canary-secret"),
        region="eu-west-1",
        service="bedrock",
        now=NOW,
    )


@pytest.mark.parametrize(
    ("environ", "credentials"),
    [
        (KEYS, AwsCredentials("AKIACANARY", "canary-secret")),
        ({**KEYS, "AWS_SESSION_TOKEN": "canary-token"}, AwsCredentials("AKIACANARY", "canary-secret", "canary-token")),
        ({**KEYS, "AWS_SESSION_TOKEN": ""}, AwsCredentials("AKIACANARY", "canary-secret")),
        ({"AWS_ACCESS_KEY_ID": "AKIACANARY"}, None),
        ({}, None),
    ],
)
def test_half_a_pair_of_keys_is_none(environ: dict[str, str], credentials: AwsCredentials | None) -> None:
    assert environment_credentials(environ) == credentials


def test_the_chain_is_searched_once_and_asked_for_fresh_credentials_every_time() -> None:
    searches: list[int] = []
    issued = iter(("first", "second"))

    def find() -> SimpleNamespace:
        searches.append(1)
        return SimpleNamespace(
            get_frozen_credentials=lambda: SimpleNamespace(
                access_key="ASIACANARY", secret_key="canary-secret", token=next(issued)
            )
        )

    chain = ChainCredentials(find)
    assert [chain(), chain()] == [
        AwsCredentials("ASIACANARY", "canary-secret", "first"),
        AwsCredentials("ASIACANARY", "canary-secret", "second"),
    ]
    assert searches == [1]


def test_no_credentials_anywhere_is_an_error_of_the_key() -> None:
    access = SignedAccess(ChainCredentials(lambda: None), "eu-west-1")
    with pytest.raises(ProviderAuthFailed, match="AWS_ACCESS_KEY_ID"):
        access.headers("POST", "https://b.test/model", {}, b"", NOW)


def test_botocore_reads_a_profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    file = f"{tmp_path}/credentials"
    with open(file, "w", encoding="utf-8") as out:
        out.write("[canary]\naws_access_key_id = AKIAPROFILE\naws_secret_access_key = canary-profile\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", file)
    monkeypatch.setenv("AWS_CONFIG_FILE", f"{tmp_path}/none")
    monkeypatch.setenv("AWS_PROFILE", "canary")
    assert ChainCredentials()() == AwsCredentials("AKIAPROFILE", "canary-profile")


def test_signing_with_the_environment_does_not_import_botocore() -> None:
    code = (
        "import sys; from datetime import datetime, UTC; from weir.providers.aws_access import bedrock_access\n"
        "access = bedrock_access({'AWS_ACCESS_KEY_ID': 'a', 'AWS_SECRET_ACCESS_KEY': 'b'}, 'eu-west-1')\n"
        "access.headers('POST', 'https://b.test/', {}, b'', datetime.now(UTC))\n"
        "sys.exit('botocore' in sys.modules)"
    )
    path = ":".join(sys.path)
    assert subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": path}, check=False).returncode == 0


@pytest.mark.parametrize(
    ("environ", "region"),
    [
        ({"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "us-east-1"}, "eu-west-1"),
        ({"AWS_DEFAULT_REGION": "us-east-1"}, "us-east-1"),
        ({"AWS_REGION": ""}, None),
    ],
)
def test_the_region_comes_from_the_environment(environ: dict[str, str], region: str | None) -> None:
    assert bedrock_region(environ) == region


@pytest.mark.parametrize(
    ("environ", "region", "endpoint"),
    [
        ({}, "eu-west-1", "https://bedrock-runtime.eu-west-1.amazonaws.com"),
        ({}, "cn-north-1", "https://bedrock-runtime.cn-north-1.amazonaws.com.cn"),
        ({"AWS_ENDPOINT_URL_BEDROCK_RUNTIME": "http://b.test/x/"}, "eu-west-1", "http://b.test/x"),
    ],
)
def test_the_endpoint_is_the_regions_unless_one_is_given(environ: dict[str, str], region: str, endpoint: str) -> None:
    assert bedrock_endpoint(environ, region) == endpoint


def test_a_bearer_key_does_not_show() -> None:
    assert "canary" not in repr(BearerAccess("canary-bearer"))
