from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from moto import mock_aws

from tests.ledger.engines import DynamoDBAndS3, Engine, SQLiteAndFiles
from tests.portal.world import World, opened
from weir.ledger import aws

_names = count()


@pytest.fixture(scope="module")
def moto() -> Iterator[tuple[Any, Any]]:
    """Clients of DynamoDB and S3 that never leave the process. Making one takes longer than most tests."""
    with pytest.MonkeyPatch.context() as environment, mock_aws():
        environment.setenv("AWS_DEFAULT_REGION", "us-east-1")
        environment.delenv("AWS_PROFILE", raising=False)
        yield aws.client("dynamodb", connections=16), aws.client("s3", connections=16)


@pytest.fixture
def sqlite(tmp_path: Path) -> Engine:
    return SQLiteAndFiles(tmp_path / "engine")


@pytest.fixture
def dynamodb(moto: tuple[Any, Any]) -> Engine:
    return DynamoDBAndS3(*moto, f"portal-{next(_names)}")


@pytest.fixture(params=["sqlite", "dynamodb"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """Weir over each engine, empty."""
    with opened(request.getfixturevalue(request.param), tmp_path) as world:
        yield world
