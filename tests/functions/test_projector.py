"""The projector as Lambda runs it: batches of DynamoDB's stream in, archive and rollups out, on moto."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from weir.runtime.lambda_handler import Handler, lambda_handler

import boto3
import pytest
from moto import mock_aws

from functions.projector import app as projector
from functions.request_log import app as request_log
from tests.functions.test_lambda import EVENTS, body_of, event
from tests.infra import template
from tests.ledger.test_projections import call
from weir.domain.ids import instant_of, milliseconds, uuid7
from weir.domain.rollup import Dimensions
from weir.ledger.archive import Archive
from weir.ledger.changes import DeadLetter
from weir.ledger.keys import hour_of
from weir.ledger.settlement import CheckedSettlement
from weir.ledger.sqs import open_sqs
from weir.runtime.bootstrap import Stores, open_stores
from weir.runtime.settings import Settings

SAMPLE: dict[str, Any] = json.loads((EVENTS / "projector.json").read_text(encoding="utf-8"))
ID = SAMPLE["Records"][1]["dynamodb"]["Keys"]["sk"]["S"].removeprefix("r#")
HOUR = "2026030112"


@pytest.fixture
def stores(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stores]:
    environ = {
        "AWS_ACCESS_KEY_ID": "canary-access-key",
        "AWS_SECRET_ACCESS_KEY": "canary-secret-access-key",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "WEIR_ENGINE": "dynamodb",
        "WEIR_TABLE": "ledger",
        "WEIR_BUCKET": "weir-payloads",
        "WEIR_API_KEY": "canary-key-of-the-event",
    }
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    with mock_aws():
        boto3.client("dynamodb").create_table(TableName="ledger", **template.table_definition())
        boto3.client("s3").create_bucket(
            Bucket="weir-payloads", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
        )
        url = boto3.client("sqs").create_queue(QueueName="dead", Attributes={"VisibilityTimeout": "0"})["QueueUrl"]
        monkeypatch.setenv("WEIR_DEAD_LETTERS", url)
        projector._projector.cache_clear()
        yield open_stores(Settings.from_environ({**environ, "WEIR_DEAD_LETTERS": url}))
        projector._projector.cache_clear()


def records_of(stores: Stores) -> int:
    return sum(row.rollup.records for row in stores.projections.rollups("default", "calls", "2020010100", "2100010100"))


def sequence(number: int) -> str:
    return str(SAMPLE["Records"][number]["dynamodb"]["SequenceNumber"])


def stream_of_table() -> dict[str, Any]:
    """Everything that lies in the table, as the stream would have told it."""
    found = []
    for number, item in enumerate(boto3.client("dynamodb").scan(TableName="ledger")["Items"]):
        if item["sk"]["S"].startswith("r#"):
            keys = {"pk": item["pk"], "sk": item["sk"]}
            change = {"Keys": keys, "NewImage": item, "SequenceNumber": str(number)}
            found.append({"eventName": "INSERT", "eventSource": "aws:dynamodb", "dynamodb": change})
    return {"Records": found}


def test_a_batch_is_archived_and_rolled_up_and_what_cannot_be_is_a_dead_letter(stores: Stores) -> None:
    for _ in range(2):  # Lambda delivers at least once
        assert projector.handler(SAMPLE, None) == {"batchItemFailures": []}

    (row,) = stores.projections.rollups("default", "calls", HOUR, HOUR)
    assert row.dimensions == Dimensions("calls", ("prod", "demo_app", "CHAT", "demo", "demo/echo"))
    assert (row.rollup.records, row.rollup.cost) == (1, Decimal("0.0003"))
    session = stores.projections.session("default", "s-1")
    assert session is not None
    assert (session.calls, session.application) == (1, "demo_app")
    members = Archive(stores.ledger.blobs, nonce=str).find("default", ID)
    assert [(member.record.revision, getattr(member, "payload", None) is not None) for member in members] == [
        (0, True),
        (1, False),
    ]
    letters = open_sqs(Settings.from_environ(dict(os.environ)).dead_letters or "").read(2)
    assert [letter._replace(token="") for letter in letters][:1] == [
        DeadLetter("", "default", f"{ID[:-1]}f", "The record cannot be read (KeyError).")
    ]


def test_what_is_refused_is_reported_and_comes_again(stores: Stores) -> None:
    boto3.client("s3").delete_bucket(Bucket="weir-payloads")
    failures = projector.handler(SAMPLE, None)["batchItemFailures"]
    assert failures == [{"itemIdentifier": sequence(number)} for number in (1, 2)]
    boto3.client("s3").create_bucket(
        Bucket="weir-payloads", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
    )
    assert projector.handler(SAMPLE, None) == {"batchItemFailures": []}
    assert records_of(stores) == 1


def test_a_dead_letter_that_cannot_be_written_comes_again(stores: Stores) -> None:
    boto3.client("sqs").delete_queue(QueueUrl=os.environ["WEIR_DEAD_LETTERS"])
    assert projector.handler(SAMPLE, None) == {"batchItemFailures": [{"itemIdentifier": sequence(3)}]}
    assert records_of(stores) == 1


def test_a_payload_that_came_in_an_earlier_batch_is_read_from_the_table(stores: Stores) -> None:
    client = boto3.client("dynamodb")
    payload, record = SAMPLE["Records"][:2]
    image = dict(payload["dynamodb"]["NewImage"])
    client.put_item(TableName="ledger", Item={**image, "content": {"B": b"\x1f\x8btorn"}})
    assert projector.handler({"Records": [record]}, None) == {"batchItemFailures": []}
    assert records_of(stores) == 0  # it was read: and could not be
    assert projector.handler({"Records": [payload, record]}, None) == {"batchItemFailures": []}
    assert records_of(stores) == 1


@pytest.fixture
def logs(stores: Stores) -> Iterator[Handler]:
    yield lambda_handler("request-log", request_log.mount, "request_log")
    asyncio.get_event_loop_policy().get_event_loop().close()
    asyncio.set_event_loop(None)


def test_what_the_functions_keep_is_projected(stores: Stores, logs: Handler) -> None:
    logs(event("request-log-create"), None)
    logs(event("request-log-bulk"), None)
    assert projector.handler(stream_of_table(), None) == {"batchItemFailures": []}
    assert records_of(stores) == 2


def test_the_check_projects_what_the_stream_missed_and_settles_the_hour(stores: Stores, logs: Handler) -> None:
    logs(event("request-log-bulk"), None)
    logs(event("request-log-create"), None)
    (first, second) = [
        item for item in boto3.client("dynamodb").scan(TableName="ledger")["Items"] if item["sk"]["S"].startswith("r#")
    ]
    stream = stream_of_table()
    projector.handler({"Records": stream["Records"][:1]}, None)
    assert records_of(stores) == 1
    completeness = projector._projector()._projection.completeness
    later = datetime.now(UTC) + timedelta(hours=2)
    completeness._now = lambda: later
    assert projector.handler({"task": projector.CHECK}, None) == {}
    assert records_of(stores) == 2
    hour = hour_of(second["sk"]["S"].removeprefix("r#"))
    until, late = CheckedSettlement(stores.projections.store).read("default")
    assert until is not None
    assert until > hour
    assert late == {}
    assert first != second


def test_a_summary_on_dynamodb_comes_from_rollups_once_the_hour_is_settled(stores: Stores, logs: Handler) -> None:
    assert json.loads(body_of(logs(event("request-log-summary"), None)))["number_of_requests"] == 0
    at = datetime.now(UTC) - timedelta(days=3)
    start = milliseconds(at.replace(minute=0, second=0, microsecond=0))
    calls = [call(number, start, workspace="default") for number in range(3)]
    stores.projections.take_in("default", hour_of(calls[0].id), 1, calls)
    asked = {"start_time": instant_of(uuid7(start, 0)).isoformat()}
    several = {name: [value] for name, value in asked.items()}
    summary = event(
        "request-log-summary", queryStringParameters=asked, multiValueQueryStringParameters=several, body=None
    )
    assert json.loads(body_of(logs(summary, None)))["number_of_requests"] == 0  # not settled: the records are asked
    CheckedSettlement(stores.projections.store).settle_until("default", None, hour_of(uuid7(start + 7_200_000, 0)))
    assert json.loads(body_of(logs(summary, None)))["number_of_requests"] == 3


def test_the_function_starts_without_fastapi() -> None:
    script = "import sys, functions.projector.app; print('fastapi' in sys.modules or 'httpx' in sys.modules)"
    ran = subprocess.run(
        [sys.executable, "-c", script],
        cwd=template.ROOT,
        env={"PYTHONPATH": "layers/shared:."},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout == "False\n"
