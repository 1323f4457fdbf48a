from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from moto import mock_aws

from functions.completion import app as completion
from functions.portal import app as portal
from functions.request_log import app as request_log
from functions.storage import app as storage
from tests.ledger.engines import DynamoDBAndS3, Engine, SQLiteAndFiles
from tests.portal.world import Counted, World
from tests.runtime import Caller, fixed_runtime
from weir.ledger import aws
from weir.ledger.configuration import Configurations
from weir.ledger.ledger import Ledger
from weir.services.defaults import Defaults

_names = count()


@pytest.fixture(scope="session")
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
    engine: Engine = request.getfixturevalue(request.param)
    fixed = fixed_runtime(tmp_path)
    fixed.ledger.close()
    configurations = Configurations(engine.configuration())
    records: Any = Counted(engine.open())
    runtime = replace(
        fixed,
        ledger=Ledger(records, engine.blobs()),
        configurations=configurations,
        defaults=Defaults(configurations, now=fixed.now, clock=lambda: 0.0),
    )
    mounts = [app.mount for app in (completion, storage, request_log, portal)]
    yield World(Caller.of(runtime, mounts), runtime, engine, records)
    runtime.ledger.close()
