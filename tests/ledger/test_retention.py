"""What has been kept as long as it was to be goes, each kind by its own clock, and nothing else."""

import asyncio
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.ledger.engines import DynamoDBAndS3, Engine
from tests.ledger.test_archive import opened
from tests.ledger.test_contract import keep, record
from weir.domain.annotation import Annotation
from weir.domain.ids import instant_of, uuid7
from weir.domain.record import EXPIRED, Payload, Record
from weir.domain.retention import FOR_EVER, Days, Retention
from weir.ledger.archive_format import Call, Partition
from weir.ledger.dynamodb import DynamoDBRecordStore
from weir.ledger.keys import payload_blob_key, record_key
from weir.ledger.ledger import Ledger
from weir.ledger.ports import Entry, RecordStore
from weir.ledger.seals import Seals
from weir.services.seal import seal_recent
from weir.services.sweep import Swept, sweep
from weir.services.verify import verify

NOW = datetime(2026, 3, 31, 12, tzinfo=UTC)
DAY = 86_400_000
PAYLOAD = Payload(b'{"n":1}')
RETENTION = Retention(Days(payloads=10, records=20), {"short": Days(payloads=2, records=4)})


def aged(days: float, number: int = 1, **more: Any) -> Record:
    return record(int(NOW.timestamp() * 1000 - days * DAY), number, **more)


@pytest.mark.parametrize(
    ("workspace", "clock", "expected"),
    [
        ("main", "payloads", 10),
        ("main", "records", 20),
        ("main", "archive", None),
        ("short", "payloads", 2),
        ("long", "payloads", 10),
        ("long", "records", 20),
        ("archived", "archive", 5),
        ("archived", "payloads", 10),
        ("no payload outlives its record", "payloads", 3),
    ],
)
def test_a_workspace_may_keep_less_than_all_and_never_more(workspace: str, clock: Any, expected: int | None) -> None:
    own = {
        "short": Days(payloads=2, records=4),
        "long": Days(payloads=100, records=100),
        "archived": Days(archive=5),
        "no payload outlives its record": Days(records=3),
    }
    assert Retention(Days(payloads=10, records=20), own).days(workspace, clock) == expected


def test_nothing_goes_unless_it_is_said() -> None:
    assert FOR_EVER.for_ever
    assert not RETENTION.for_ever
    assert FOR_EVER.expires("main", "payloads", NOW) is None
    assert FOR_EVER.kept_since("main", "archive", NOW) is None
    assert RETENTION.kept_since("main", "payloads", NOW) == datetime(2026, 3, 21, tzinfo=UTC)
    assert RETENTION.expires("short", "records", NOW) == NOW + timedelta(days=4)


def test_sqlite_deletes_records_and_payloads_by_their_clocks(sqlite: Engine) -> None:
    with closing(sqlite.open()) as records:
        found = {
            (workspace, days): aged(days, workspace=workspace, caller_id=f"{workspace} {days}")
            for workspace in ("", "main", "short")
            for days in (0.5, 1.9, 2.1, 3.9, 4.1, 9.9, 10.1, 19.9, 20.1)
        }
        keep(records, *(Entry(each, b"content") for each in found.values()))
        # 1 of 9 records and 2 payloads of what is left in each long one; 5 and 2 in the short one
        assert records.expire(RETENTION, NOW) == 3 + 3 + 7
        left = {key: records.get(key[0], each.id) for key, each in found.items()}
        for (workspace, days), each in found.items():
            record_days, payload_days = (4, 2) if workspace == "short" else (20, 10)
            expected = Entry(each, b"content" if days < payload_days else None) if days < record_days else None
            assert left[workspace, days] == expected
            assert records.get(workspace, f"{workspace} {days}") == expected
        assert records.expire(RETENTION, NOW) == 0


def test_an_expiry_can_be_broken_off_and_gone_on_with(sqlite: Engine) -> None:
    with closing(sqlite.open()) as records:
        keep(records, *(Entry(aged(30, number), b"content") for number in range(450)))
        looks = iter([True, True, False, False])
        assert records.expire(RETENTION, NOW, go_on=lambda: next(looks)) == 400
        assert len(records.newest("main", limit=1000)) == 50
        assert records.expire(RETENTION, NOW) == 50


def test_dynamodb_is_told_when_each_item_expires(dynamodb: DynamoDBAndS3) -> None:
    store = DynamoDBRecordStore(dynamodb.wire, dynamodb.table, retention=RETENTION)
    with closing(store):
        keep(store, Entry(aged(0, caller_id="order-1"), b"content"))
        keep(store, Entry(aged(0, 2, workspace="short"), b"content"))
        assert store.expire(RETENTION, NOW) == 0
    items = dynamodb.wire.scan(TableName=dynamodb.table)["Items"]
    expiries = {(item["pk"]["S"].split("#")[0], item["sk"]["S"][0]): item.get("expires_at") for item in items}

    def after(days: int) -> dict[str, str]:
        return {"N": str(int(NOW.timestamp()) + days * 86_400)}

    assert {key: found for key, found in expiries.items() if key[1] in "rpa"} == {
        ("main", "a"): after(20),
        ("main", "r"): after(20),
        ("main", "p"): after(10),
        ("short", "r"): after(4),
        ("short", "p"): after(2),
    }
    assert [found for key, found in expiries.items() if key[1] == "2"] == [None, None]  # the marks of days stay


def test_without_a_retention_dynamodb_is_told_nothing(dynamodb: DynamoDBAndS3) -> None:
    with closing(dynamodb.open()) as store:
        keep(store, Entry(aged(0, caller_id="order-1"), b"content"))
    assert not [item for item in dynamodb.wire.scan(TableName=dynamodb.table)["Items"] if "expires_at" in item]


def test_blobs_and_the_archive_go_by_the_day(engine: Engine, records: RecordStore) -> None:
    retention = Retention(Days(payloads=10, archive=20), {"short": Days(payloads=2, archive=4)})
    blobs = engine.blobs()
    ledger, archive = Ledger(records, blobs, 0, retention=retention), opened(blobs)
    kept = [aged(days, workspace=name) for name in ("main", "short", "..") for days in (1, 3, 5, 9, 11, 19, 21)]
    for each in kept:
        asyncio.run(ledger.keep(each, PAYLOAD))
        archive.append(Partition.of(each.workspace, each.id), [Call(each, PAYLOAD)])
        seal_recent(archive, Seals(blobs), each.workspace, each.created_at)
    swept = sweep(ledger, retention, NOW)
    assert (swept.payload_blobs, swept.archive_objects) == (3 + 3 + 6, 1 + 1 + 5)
    for each in kept:
        days = (NOW - each.created_at).days
        payload_days, archive_days = (2, 4) if each.workspace == "short" else (10, 20)
        key = Partition.of(each.workspace, each.id)
        assert (archive.read(key, 1) is not None) == (days <= archive_days)
        assert (blobs.get(payload_blob_key(each.workspace, each.id)) is not None) == (days <= payload_days)
    assert sweep(ledger, retention, NOW) == Swept()
    for name in ("main", "short", ".."):
        since = retention.kept_since(name, "archive", NOW)
        assert verify(archive, Seals(blobs), name, kept_since=since).broken is None
        assert verify(archive, Seals(blobs), name).broken is not None


def test_for_ever_nothing_is_looked_at_but_the_cache() -> None:
    nothing: Any = None
    assert sweep(Ledger(nothing, nothing), FOR_EVER, NOW) == Swept()


@pytest.mark.parametrize("payload", [b"small", b"x" * 1000], ids=["beside the record", "a blob"])
def test_an_expired_payload_says_so(sqlite: Engine, payload: bytes) -> None:
    retention = Retention(Days(payloads=10))
    old, recent = (
        replace(record(), id=id, created_at=instant_of(id))
        for id in (uuid7(int(datetime.now(UTC).timestamp() * 1000) - days * DAY, 1) for days in (30, 3))
    )
    ledger = Ledger(sqlite.open(), sqlite.blobs(), 60, retention=retention)
    with closing(ledger):
        sent = Payload(b'"' + payload + b'"')
        for each in (old, recent):
            asyncio.run(ledger.keep(each, sent))
        sweep(ledger, retention, datetime.now(UTC))
        assert asyncio.run(ledger.get("main", old.id)) == (old, EXPIRED)
        assert asyncio.run(ledger.get("main", recent.id)) == (recent, sent)


def test_what_does_not_fit_into_a_small_item_does_not_expire_with_the_payload(dynamodb: DynamoDBAndS3) -> None:
    tagged = replace(aged(0), metadata={f"tag {number}": "x" * 50 for number in range(40)})
    for retention, expiries in (
        (Retention(Days(payloads=10)), {"r": None, "p": 10}),
        (Retention(Days(payloads=10, records=20)), {"r": 20, "p": 10}),
        (Retention(Days(records=20)), {"r": 20, "p": 27}),
        (FOR_EVER, {"r": None, "p": None}),
    ):
        workspace = f"{retention.default}"
        store = DynamoDBRecordStore(dynamodb.wire, dynamodb.table, retention=retention)
        with closing(store):
            entry = Entry(replace(tagged, workspace=workspace), b"content")
            keep(store, entry)
            changed = store.annotate(workspace, tagged.id, Annotation(note="n", metadata={"tag 0": None, "more": "y"}))
            assert changed is not None
            assert store.get(workspace, tagged.id) == replace(entry, record=changed)
            partition = record_key(workspace, tagged.id, 1).pk
            items = dynamodb.wire.query(
                TableName=dynamodb.table,
                KeyConditionExpression="pk = :pk",
                ExpressionAttributeValues={":pk": {"S": partition}},
            )["Items"]
            told = {item["sk"]["S"][0]: item["expires_at"]["N"] for item in items if "expires_at" in item}
            assert told == {
                kind: str(int((NOW + timedelta(days=days)).timestamp()))
                for kind, days in expiries.items()
                if days is not None
            }
            if retention.default.payloads is not None:  # DynamoDB deletes it first
                dynamodb.wire.delete_item(
                    TableName=dynamodb.table, Key={"pk": {"S": partition}, "sk": {"S": f"p#{tagged.id}"}}
                )
                assert store.newest(workspace, limit=10) == (changed,)
