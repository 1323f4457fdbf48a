"""Records out of DynamoDB's stream, whole, with their payloads: from the batch, the table or the bucket."""

import base64
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest

from tests.ledger.engines import DynamoDBAndS3
from tests.ledger.test_contract import keep, record
from weir.domain.annotation import Annotation
from weir.domain.errors import LedgerUnavailable
from weir.domain.record import Payload, Record
from weir.ledger import payloads
from weir.ledger.dynamodb import DynamoDBRecordStore
from weir.ledger.dynamodb_stream import DynamoDBStream
from weir.ledger.ports import Entry

PAYLOAD = Payload(b"[1]", b"[2]", b"[3]")
CONTENT = payloads.to_bytes(PAYLOAD)
LARGE = {f"tag {number}": "x" * 90 for number in range(30)}
"""Tags that do not fit into a record's item."""


@pytest.fixture
def table(dynamodb: DynamoDBAndS3) -> Iterator[DynamoDBRecordStore]:
    with closing(dynamodb.open()) as store:
        yield store


@pytest.fixture
def stream(dynamodb: DynamoDBAndS3) -> DynamoDBStream:
    return DynamoDBStream(dynamodb.wire, dynamodb.table, dynamodb.blobs())


def images(dynamodb: DynamoDBAndS3, *prefixes: str) -> list[dict[str, Any]]:
    """Stream records of what lies in the table now, as Lambda gets them."""
    found = []
    for number, item in enumerate(dynamodb.wire.scan(TableName=dynamodb.table)["Items"]):
        if item["sk"]["S"].startswith(prefixes or ("r#", "p#")):
            image = {name: _as_text(value) for name, value in item.items()}
            keys = {"pk": item["pk"], "sk": item["sk"]}
            found.append({"dynamodb": {"Keys": keys, "NewImage": image, "SequenceNumber": str(number)}})
    return found


def _as_text(value: dict[str, Any]) -> dict[str, Any]:
    return {"B": base64.b64encode(value["B"]).decode()} if "B" in value else value


def reads(dynamodb: DynamoDBAndS3) -> int:
    count = sum(operation == "get_item" for operation, _ in dynamodb.wire.calls)
    dynamodb.wire.calls.clear()
    return count


@pytest.mark.parametrize("kept", [record(), replace(record(), metadata=LARGE)], ids=["small", "in two parts"])
@pytest.mark.parametrize("prefixes", [("r#", "p#"), ("r#",)], ids=["whole batch", "record alone"])
def test_a_record_and_its_payload_are_read_from_the_batch_or_the_table(
    dynamodb: DynamoDBAndS3, table: DynamoDBRecordStore, stream: DynamoDBStream, kept: Record, prefixes: tuple[str, ...]
) -> None:
    keep(table, Entry(kept, CONTENT))
    batch = images(dynamodb, *prefixes)
    reads(dynamodb)
    (change,), unreadable = stream.changes(batch)
    assert (change.record(), change.payload(), unreadable) == (kept, PAYLOAD, {})
    assert (reads(dynamodb) == 0) is ("p#" in prefixes)
    found = stream.find("main", kept.id)
    assert (found.record(), found.payload()) == (kept, PAYLOAD)


def test_a_record_that_has_changed_since_is_read_as_it_is_now(
    dynamodb: DynamoDBAndS3, table: DynamoDBRecordStore, stream: DynamoDBStream
) -> None:
    kept = replace(record(), metadata=LARGE)
    keep(table, Entry(kept, CONTENT))
    before = images(dynamodb, "r#")
    changed = table.annotate("main", kept.id, Annotation(metadata={"tag 0": "y" * 90}))
    (change,), _ = stream.changes(before)
    assert change.record() == changed
    dynamodb.wire.delete_item(TableName=dynamodb.table, Key=before[0]["dynamodb"]["Keys"])
    assert change.record() is None


def test_a_large_payload_is_read_from_its_blob(
    dynamodb: DynamoDBAndS3, table: DynamoDBRecordStore, stream: DynamoDBStream
) -> None:
    dynamodb.blobs().put("payloads/x.gz", CONTENT)
    keep(table, Entry(record(), blob_key="payloads/x.gz"))
    (change,), _ = stream.changes(images(dynamodb))
    assert change.payload() == PAYLOAD


def test_a_payload_of_another_attempt_is_found_by_its_id(
    dynamodb: DynamoDBAndS3, table: DynamoDBRecordStore, stream: DynamoDBStream
) -> None:
    first, second = record(random=1, caller_id="a"), record(random=2, caller_id="a")
    table.claim("main", "a", first.id)
    keep(table, Entry(second, CONTENT))
    (change,), _ = stream.changes(images(dynamodb))
    assert (change.id, change.payload()) == (first.id, PAYLOAD)


def test_a_name_that_is_too_long_for_the_item_is_read_beside_it(
    dynamodb: DynamoDBAndS3, table: DynamoDBRecordStore, stream: DynamoDBStream
) -> None:
    kept = replace(record(), workspace="w" * 2000)
    keep(table, Entry(kept, CONTENT))
    (change,), _ = stream.changes(images(dynamodb))
    assert (change.workspace, change.record()) == (kept.workspace, kept)


def test_what_is_removed_or_no_record_is_no_change(dynamodb: DynamoDBAndS3, stream: DynamoDBStream) -> None:
    removed = {"dynamodb": {"Keys": {"pk": {"S": "p"}, "sk": {"S": f"r#{record().id}"}}, "SequenceNumber": "1"}}
    assert stream.changes([removed]) == ([], {})
    assert stream.find("main", record().id).record() is None


def test_a_table_that_refuses_is_no_reason_to_set_anything_aside(
    dynamodb: DynamoDBAndS3, table: DynamoDBRecordStore, stream: DynamoDBStream
) -> None:
    keep(table, Entry(replace(record(), metadata=LARGE), CONTENT))
    (change,), _ = stream.changes(images(dynamodb, "r#"))
    with dynamodb.broken():
        with pytest.raises(LedgerUnavailable):
            change.record()
        with pytest.raises(LedgerUnavailable):
            change.payload()
