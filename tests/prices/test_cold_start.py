"""Whoever does not price does not pay for it."""

import subprocess
import sys

import pytest

LOADED = """
import sys
{code}
print(sorted(name for name in sys.modules if name.startswith(("weir.prices.", "genai_prices"))))
"""


@pytest.mark.parametrize(
    "code",
    [
        "import functions.completion.app, functions.storage.app, functions.request_log.app",
        "import weir.services.cost, weir.services.attempt",
    ],
)
def test_prices_are_not_loaded_before_the_first_cost(code: str) -> None:
    environ = {"WEIR_API_KEY": "canary-key", "PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", LOADED.format(code=code)], env=environ, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
