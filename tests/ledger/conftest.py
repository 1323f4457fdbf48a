from collections.abc import Iterator
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from moto import mock_aws

from tests.ledger import servers
from tests.ledger.engines import DynamoDBAndS3, Engine, SQLiteAndFiles
from weir.ledger import aws
from weir.ledger.counters import CounterStore
from weir.ledger.ports import ConfigStore, KeyStore, ProjectionStore, RecordStore

_names = count()


@pytest.fixture(
    scope="module"
)  # not longer: who mocks AWS after it, in a module of another folder, expects none of this
def moto() -> Iterator[tuple[Any, Any]]:
    """Clients of DynamoDB and S3 that never leave the process. Making one takes longer than most tests."""
    servers_answer: Any = {"core": {"passthrough": {"urls": [r"http://127\.0\.0\.1:.*"]}}}
    with pytest.MonkeyPatch.context() as environment, mock_aws(config=servers_answer):
        environment.setenv("AWS_DEFAULT_REGION", "us-east-1")
        environment.delenv("AWS_PROFILE", raising=False)
        yield aws.client("dynamodb", connections=16), aws.client("s3", connections=16)


@pytest.fixture
def dynamodb(moto: tuple[Any, Any]) -> DynamoDBAndS3:
    return DynamoDBAndS3(*moto, f"weir-{next(_names)}")


@pytest.fixture
def sharded_dynamodb(moto: tuple[Any, Any]) -> DynamoDBAndS3:
    return DynamoDBAndS3(*moto, f"weir-{next(_names)}", shards=4)


@pytest.fixture(scope="session")
def dynamodb_local() -> Iterator[Any]:
    """A client of Amazon's own DynamoDB for one machine."""
    servers.require("DynamoDB Local")
    with servers.dynamodb_local() as url:
        yield servers.client("dynamodb", url)


@pytest.fixture(scope="session")
def seaweedfs() -> Iterator[Any]:
    """A client of an S3 that keeps on disk."""
    servers.require("SeaweedFS")
    with servers.seaweedfs() as url:
        yield servers.client("s3", url)


@pytest.fixture
def real(dynamodb_local: Any, seaweedfs: Any) -> Iterator[DynamoDBAndS3]:
    name = f"weir-{next(_names)}"
    yield DynamoDBAndS3(dynamodb_local, seaweedfs, name, lists_by_folder=True)
    dynamodb_local.delete_table(TableName=name)


@pytest.fixture
def sqlite(tmp_path: Path) -> SQLiteAndFiles:
    return SQLiteAndFiles(tmp_path)


@pytest.fixture(params=["sqlite", "dynamodb", "sharded_dynamodb", "real"])
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


@pytest.fixture
def counters(engine: Engine) -> Iterator[CounterStore]:
    with closing(engine.counters()) as store:
        yield store


@pytest.fixture
def projection_store(engine: Engine) -> Iterator[ProjectionStore]:
    with engine.projections() as store:
        yield store


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    left_out = servers.missing()
    engines = [name for name in ("SQLite", "moto", "DynamoDB Local", "SeaweedFS") if name not in left_out]
    terminalreporter.write_line(f"ledger engines: {', '.join(engines)}")
    for name, reason in left_out.items():
        terminalreporter.write_line(f"ledger engine left out: {name} ({reason})", yellow=True)
