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
LATE = {"google.protobuf", "weir.analytics.engine", "weir.cli"}
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
}
"""Protocols beside these: the completion reads most providers' answers by OpenAI's; the others are imported by use."""

READY = "import json, sys, app; app.handler.asgi(); print(json.dumps(sorted(sys.modules)))"


def ready(function: str) -> set[str]:
    """The modules of a process of the function that waits for its first event, with keys for two vendors."""
    environ = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": f"{template.ROOT / 'layers' / 'shared'}:{template.ROOT / 'functions' / function}",
        "WEIR_ENGINE": "dynamodb",
        "WEIR_TABLE": "t",
        "WEIR_BUCKET": "b",
        "WEIR_API_KEY": "canary-key-of-the-function",
        "ANTHROPIC_API_KEY": "canary-anthropic-key",
        "OPENAI_API_KEY": "canary-openai-key",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    done = subprocess.run([sys.executable, "-c", READY], env=environ, capture_output=True, check=True)
    return set(json.loads(done.stdout))


@pytest.mark.parametrize("function", PROVIDERS)
def test_a_function_imports_nothing_that_it_may_not_need(function: str) -> None:
    modules = ready(function)

    assert modules & (SDKS | SERVERS | LATE) == set()
    assert {name for name in modules if name.startswith("weir.protocols.")} <= OUR_OWN_FORM | PROVIDERS[function]
    assert ("httpx" in modules) == (function == "completion")
    assert {name for name in modules if name.startswith("botocore.docs")} <= {"botocore.docs.utils"}
