"""In Lambda FastAPI is imported without making its validators: the document of the routes is the same."""

import json
import os
import subprocess
import sys

import pytest

from tests.infra import template

DOCUMENT = "import json, sys, app; print(json.dumps(app.handler.asgi().openapi(), sort_keys=True))"


@pytest.mark.parametrize("function", ["completion", "request_log"])
def test_the_document_of_the_routes_is_as_elsewhere(function: str) -> None:
    def document(**more: str) -> str:
        environ = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": f"{template.ROOT / 'layers' / 'shared'}:{template.ROOT / 'functions' / function}",
            "WEIR_API_KEY": "canary-key-of-the-function-in-the-document",
            **more,
        }
        done = subprocess.run([sys.executable, "-c", DOCUMENT], env=environ, capture_output=True, check=True)
        return done.stdout.decode()

    found = document(AWS_LAMBDA_RUNTIME_API="127.0.0.1:1", AWS_LAMBDA_EXEC_WRAPPER="/opt/bin/weir-stream")
    assert json.loads(found)["paths"]
    assert found == document()
