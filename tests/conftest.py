from collections.abc import Iterator
from pathlib import Path

import pytest
from weir.runtime.bootstrap import Runtime

from tests.runtime import fixed_runtime


@pytest.fixture
def runtime(tmp_path: Path) -> Iterator[Runtime]:
    runtime = fixed_runtime(tmp_path)
    yield runtime
    runtime.ledger.close()
