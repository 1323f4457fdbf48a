from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.runtime import fixed_runtime
from weir.runtime.bootstrap import Runtime

# The same examples every time, however busy the machine is.
settings.register_profile("weir", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("weir")


@pytest.fixture
def runtime(tmp_path: Path) -> Iterator[Runtime]:
    runtime = fixed_runtime(tmp_path)
    yield runtime
    runtime.ledger.close()
