from collections.abc import Iterator
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from moto import mock_aws

from tests.ledger.engines import DynamoDBAndS3, Engine, SQLiteAndFiles
from weir.ledger import aws
from weir.ledger.ports import ConfigStore, KeyStore, RecordStore

_names = count()


@pytest.fixture(scope="session")
def moto() -> Iterator[tuple[Any, Any]]:
    """Clients of DynamoDB and S3 that never leave the process. Making one takes longer than most tests."""
    with pytest.MonkeyPatch.context() as environment, mock_aws():
        environment.setenv("AWS_DEFAULT_REGION", "us-east-1")
        environment.delenv("AWS_PROFILE", raising=False)
        yield aws.client("dynamodb", connections=16), aws.client("s3", connections=16)


@pytest.fixture
def dynamodb(moto: tuple[Any, Any]) -> DynamoDBAndS3:
    return DynamoDBAndS3(*moto, f"weir-{next(_names)}")


@pytest.fixture
def sharded_dynamodb(moto: tuple[Any, Any]) -> DynamoDBAndS3:
    return DynamoDBAndS3(*moto, f"weir-{next(_names)}", shards=4)


@pytest.fixture
def sqlite(tmp_path: Path) -> SQLiteAndFiles:
    return SQLiteAndFiles(tmp_path)


@pytest.fixture(params=["sqlite", "dynamodb", "sharded_dynamodb"])
def engine(request: pytest.FixtureRequest) -> Engine:
    found: Engine = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def records(engine: Engine) -> Iterator[RecordStore]:
    with closing(engine.open()) as store:
        yield store


@pytest.fixture
def configuration(engine: Engine) -> ConfigStore:
    return engine.configuration()


@pytest.fixture
def keys(engine: Engine) -> KeyStore:
    return engine.keys()
