"""Whoever does not price, or take in spans, does not pay for it."""

import subprocess
import sys

import pytest

LOADED = """
import sys
{code}
late = ("weir.prices.", "genai_prices", "opentelemetry.proto", "google.protobuf")
print(sorted(name for name in sys.modules if name.startswith(late)))
"""


@pytest.mark.parametrize(
    "code",
    [
        "import functions.completion.app, functions.storage.app, functions.request_log.app",
        "import weir.services.cost, weir.services.attempt, weir.services.trace, weir.http.span_intake",
    ],
)
def test_neither_prices_nor_otlp_are_loaded_before_they_are_needed(code: str) -> None:
    environ = {"WEIR_API_KEY": "canary-key", "PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", LOADED.format(code=code)], env=environ, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
