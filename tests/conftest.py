from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from hypothesis import HealthCheck, settings
from moto import mock_aws

from tests.infra import template
from tests.runtime import fixed_runtime
from weir.runtime.bootstrap import Runtime

# The same examples every time, however busy the machine is.
settings.register_profile("weir", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("weir")

LONGEST = tuple(Path(__file__).parent / name for name in ("tenancy", "faults", "e2e", "limits", "infra", "analytics"))
"""Folders of few tests that take long: begun last, one process would work on them while the others have nothing."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(
        key=lambda item: next((at for at, folder in enumerate(LONGEST) if folder in item.path.parents), len(LONGEST))
    )


@pytest.fixture(params=["sqlite", "dynamodb"])
def ledger_of_commands(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """An empty ledger, and an environment that names it: `weir …` in this process works on it."""
    environ = {
        "WEIR_ENGINE": request.param,
        "WEIR_DATA_DIR": str(tmp_path),
        "WEIR_TABLE": "ledger",
        "AWS_ACCESS_KEY_ID": "canary-access-key",
        "AWS_SECRET_ACCESS_KEY": "canary-secret-access-key",
        "AWS_DEFAULT_REGION": "eu-central-1",
    }
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    with mock_aws():
        table = boto3.client("dynamodb")
        table.create_table(TableName="ledger", **template.table_definition())
        yield
        table.delete_table(TableName="ledger")  # the mock may be the one of all tests


@pytest.fixture
def runtime(tmp_path: Path) -> Iterator[Runtime]:
    runtime = fixed_runtime(tmp_path)
    yield runtime
    runtime.ledger.close()
