from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

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


@pytest.fixture
def runtime(tmp_path: Path) -> Iterator[Runtime]:
    runtime = fixed_runtime(tmp_path)
    yield runtime
    runtime.ledger.close()
