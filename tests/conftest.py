from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.runtime import fixed_runtime
from weir.runtime.bootstrap import Runtime


@pytest.fixture
def runtime(tmp_path: Path) -> Iterator[Runtime]:
    runtime = fixed_runtime(tmp_path)
    yield runtime
    runtime.ledger.close()
