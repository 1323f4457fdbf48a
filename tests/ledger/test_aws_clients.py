"""botocore as the engines on AWS import it."""

import json
import subprocess
import sys

from infra.pack import ROOT

FIRST = """
import json, sys
from weir.ledger import aws
client = aws.client("dynamodb", connections=1)
before = sorted(name for name in sys.modules if name.startswith("botocore.docs"))
from botocore.docs.docstring import LazyLoadedDocstring
import boto3
print(json.dumps([before, boto3.client("s3").can_paginate("list_objects_v2"), client.can_paginate("query")]))
"""


def test_what_writes_docstrings_is_not_imported_and_is_there_for_who_wants_it() -> None:
    environ = {"AWS_DEFAULT_REGION": "us-east-1", "PYTHONPATH": str(ROOT / "layers" / "shared")}
    done = subprocess.run([sys.executable, "-c", FIRST], env=environ, capture_output=True, check=True)
    assert json.loads(done.stdout) == [["botocore.docs.utils"], True, True]
