"""What a function has imported when it is ready: each module more is paid for at every cold start."""

import json
import os
import subprocess
import sys

import pytest

from tests.infra import template

SDKS = {
    "aiohttp",
    "anthropic",
    "boto3",
    "cohere",
    "duckdb",
    "google.genai",
    "jinja2",
    "mistralai",
    "openai",
    "s3transfer",
}
SERVERS = {"uvicorn", "uvloop", "httptools", "moto"}
LATE = {
    "google.protobuf",
    "weir.analytics.engine",
    "weir.cli",
    "weir.ledger.dynamodb_counters",
    "weir.services.cache",
    "weir.services.lending",
    "weir.services.limits",
}
ENGINE_OF_ONE_MACHINE = {"sqlite3", "_sqlite3"}
WEB = {"fastapi", "mangum"}
OUR_OWN_FORM = {f"weir.protocols.{name}" for name in ("base", "jsonbytes", "openai_usage", "sse")}
"""Every route speaks OpenAI's form with its callers."""

PROVIDERS = {
    "completion": {
        *(f"weir.protocols.openai_{name}" for name in ("chat", "error", "history", "request")),
        *(f"weir.protocols.{name}" for name in ("answer_fields", "embedding", "inline_thinking")),
    },
    "storage": set(),
    "request_log": {"weir.protocols.otlp"},
    "portal": set(),
    "projector": set(),
    "upkeep": set(),
}
"""Protocols beside these: the completion reads most providers' answers by OpenAI's; the others are imported by use."""

READY = "import json, sys, weir.runtime.observe, app; {ready}; print(json.dumps(sorted(sys.modules)))"
WITHOUT_ROUTES = {"projector": "app._projector()", "upkeep": "app._upkeep()"}


def ready(function: str) -> set[str]:
    """The modules of a process of the function that waits for its first event, with keys for two vendors."""
    environ = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": f"{template.ROOT / 'layers' / 'shared'}:{template.ROOT / 'functions' / function}",
        "WEIR_ENGINE": "dynamodb",
        "WEIR_TABLE": "t",
        "WEIR_BUCKET": "b",
        "WEIR_DEAD_LETTERS": "https://sqs.us-east-1.amazonaws.com/000000000000/d",
        "WEIR_API_KEY": "canary-key-of-the-function",
        "ANTHROPIC_API_KEY": "canary-anthropic-key",
        "OPENAI_API_KEY": "canary-openai-key",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    script = READY.format(ready=WITHOUT_ROUTES.get(function, "app.handler.asgi()"))
    done = subprocess.run([sys.executable, "-c", script], env=environ, capture_output=True, check=True)
    return set(json.loads(done.stdout))


def test_every_function_is_looked_at() -> None:
    assert set(PROVIDERS) == {path.parent.name for path in template.ROOT.glob("functions/*/app.py")}


@pytest.mark.parametrize("function", PROVIDERS)
def test_a_function_imports_nothing_that_it_may_not_need(function: str) -> None:
    modules = ready(function)

    assert modules & (SDKS | SERVERS | LATE | ENGINE_OF_ONE_MACHINE) == set()
    assert {name for name in modules if name.startswith("weir.ledger.sqlite")} == set()
    assert {name for name in modules if name.startswith("weir.protocols.")} <= OUR_OWN_FORM | PROVIDERS[function]
    assert ("httpx" in modules) == (function == "completion")
    assert bool(modules & WEB) == (function not in WITHOUT_ROUTES)
    assert {name for name in modules if name.startswith("botocore.docs")} <= {"botocore.docs.utils"}
