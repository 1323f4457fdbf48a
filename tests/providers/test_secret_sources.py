"""Keys are read from where they lie at AWS, or in the environment."""

from collections.abc import Iterator

import boto3
import pytest
from moto import mock_aws

from weir.domain.credential import place_of
from weir.providers.secret_sources import SecretSources, SecretUnreadable


@pytest.fixture(scope="module")
def sources() -> Iterator[SecretSources]:
    with pytest.MonkeyPatch.context() as environment, mock_aws():
        environment.setenv("AWS_DEFAULT_REGION", "us-east-1")
        environment.delenv("AWS_PROFILE", raising=False)
        parameters, secrets = boto3.client("ssm"), boto3.client("secretsmanager")
        parameters.put_parameter(Name="/weir/acme/openai", Value="canary-in-ssm", Type="SecureString")
        secrets.create_secret(Name="weir/acme/openai", SecretString="canary-in-secrets")
        secrets.create_secret(Name="weir/acme/all", SecretString='{"openai": "canary-member", "n": 1}')
        secrets.create_secret(Name="weir/acme/bytes", SecretBinary=b"canary-bytes")
        yield SecretSources({"TEAM_KEY": " canary-in-environment\n", "EMPTY": " "})


def read(sources: SecretSources, reference: str) -> str:
    place = place_of(reference)
    assert place is not None
    return sources.read(place)


@pytest.mark.parametrize(
    ("reference", "key"),
    [
        ("ssm:/weir/acme/openai", "canary-in-ssm"),
        ("secretsmanager:weir/acme/openai", "canary-in-secrets"),
        ("secretsmanager:weir/acme/all#openai", "canary-member"),
        ("env:TEAM_KEY", "canary-in-environment"),
    ],
)
def test_a_key_is_read_where_it_lies(sources: SecretSources, reference: str, key: str) -> None:
    assert read(sources, reference) == key


def test_by_its_whole_name_at_aws(sources: SecretSources) -> None:
    arn = boto3.client("secretsmanager").describe_secret(SecretId="weir/acme/openai")["ARN"]
    assert read(sources, f"secretsmanager:{arn}") == "canary-in-secrets"


def test_it_is_read_anew_each_time(sources: SecretSources) -> None:
    parameters = boto3.client("ssm")
    parameters.put_parameter(Name="/weir/acme/turned", Value="canary-old", Type="SecureString")
    assert read(sources, "ssm:/weir/acme/turned") == "canary-old"
    parameters.put_parameter(Name="/weir/acme/turned", Value="canary-new", Type="SecureString", Overwrite=True)
    assert read(sources, "ssm:/weir/acme/turned") == "canary-new"


@pytest.mark.parametrize(
    "reference",
    [
        "ssm:/weir/acme/none",
        "secretsmanager:weir/acme/none",
        "secretsmanager:weir/acme/all#none",
        "secretsmanager:weir/acme/all#n",
        "secretsmanager:weir/acme/openai#member",
        "secretsmanager:weir/acme/bytes",
        "env:NONE",
        "env:EMPTY",
    ],
)
def test_what_is_not_there_is_said_without_a_word_of_what_is(sources: SecretSources, reference: str) -> None:
    with pytest.raises(SecretUnreadable) as refused:
        read(sources, reference)
    assert "canary" not in str(refused.value)
