"""What only DynamoDB can get wrong: the order of its writes, and what its reads cost."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest

from tests.ledger.engines import DynamoDBAndS3, puts
from tests.ledger.test_contract import HOUR, NOON, keep, record
from weir.domain.errors import LedgerUnavailable
from weir.domain.ids import instant_of
from weir.ledger.dynamodb import DynamoDBRecordStore, open_dynamodb
from weir.ledger.keys import shard_of
from weir.ledger.ports import Entry, Kept
from weir.ledger.s3 import open_s3


@pytest.fixture
def store(dynamodb: DynamoDBAndS3) -> Iterator[DynamoDBRecordStore]:
    with closing(dynamodb.open()) as found:
        yield found


def calls_of(engine: DynamoDBAndS3) -> list[tuple[str, Any]]:
    found = list(engine.wire.calls)
    engine.wire.calls.clear()
    return found


def put_keys(engine: DynamoDBAndS3) -> list[tuple[str, str]]:
    return [
        (arguments["Item"]["pk"]["S"], arguments["Item"]["sk"]["S"])
        for operation, arguments in calls_of(engine)
        if operation == "put_item"
    ]


def test_the_record_is_put_last(dynamodb: DynamoDBAndS3, store: DynamoDBRecordStore) -> None:
    entry = Entry(record(caller_id="order-1"), b"content")
    keep(store, entry)
    assert put_keys(dynamodb) == [
        ("main#id#order-1", "a"),
        ("main#days", "20260301"),
        ("main#20260301#0", f"p#{entry.record.id}"),
        ("main#20260301#0", f"r#{entry.record.id}"),
    ]


def test_a_callers_id_that_is_kept_costs_one_refused_put(dynamodb: DynamoDBAndS3, store: DynamoDBRecordStore) -> None:
    keep(store, Entry(record(NOON, 1, caller_id="order-1"), b"content"))
    calls_of(dynamodb)
    keep(store, Entry(record(NOON + 30 * HOUR, 2, caller_id="order-1"), b"content"))
    assert put_keys(dynamodb) == [("main#id#order-1", "a")]


def test_a_day_is_marked_once_by_a_process(dynamodb: DynamoDBAndS3, store: DynamoDBRecordStore) -> None:
    for n in range(3):
        keep(store, Entry(record(NOON, n)))
    keep(store, Entry(record(NOON + 24 * HOUR, 3)), Entry(record(NOON, 4, workspace="other")))
    marks = [key for key in put_keys(dynamodb) if key[0].endswith("#days")]
    assert sorted(marks) == [("main#days", "20260301"), ("main#days", "20260302"), ("other#days", "20260301")]


def test_a_day_whose_mark_was_refused_is_marked_by_the_next(
    dynamodb: DynamoDBAndS3, store: DynamoDBRecordStore
) -> None:
    dynamodb.wire.refuses = lambda operation, arguments: puts(operation, arguments, "2026")
    with pytest.raises(LedgerUnavailable):
        keep(store, Entry(record(random=1)))
    dynamodb.wire.refuses = lambda operation, arguments: False
    kept = Entry(record(random=2))
    keep(store, kept)
    assert store.newest("main", limit=10) == (kept.record,)


def test_a_retry_after_a_crash_takes_the_id_claimed_then(dynamodb: DynamoDBAndS3, store: DynamoDBRecordStore) -> None:
    died = Entry(record(NOON, 1, caller_id="order-1"), b"died")
    again = Entry(record(NOON + 30 * HOUR, 2, caller_id="order-1"), b"again")
    with dynamodb.refusing_records(), pytest.raises(LedgerUnavailable):
        keep(store, died)
    assert keep(store, again) == [Kept(died.record.id, new=True)]
    expected = replace(again.record, id=died.record.id, created_at=instant_of(died.record.id))
    assert store.get("main", died.record.id) == Entry(expected, b"again")
    assert store.newest("main", limit=10) == (expected,)


def test_two_attempts_at_one_claim_never_mix_their_payloads(
    dynamodb: DynamoDBAndS3, store: DynamoDBRecordStore
) -> None:
    """The first is slow, not dead: the second stores its record while the first has put its payload only."""
    slow = Entry(record(NOON, 1, caller_id="order-1", model="slow"), b"slow")
    quick = Entry(record(NOON, 2, caller_id="order-1", model="quick"), b"quick")
    with dynamodb.refusing_records(), pytest.raises(LedgerUnavailable):
        keep(store, slow)
    assert keep(store, quick) == [Kept(slow.record.id, new=True)]
    assert keep(store, slow) == [Kept(slow.record.id, new=False)]
    found = store.get("main", "order-1")
    assert found is not None
    assert (found.record.model, found.inline) == ("quick", b"quick")


def test_an_attempt_that_meets_its_own_claim_goes_on(dynamodb: DynamoDBAndS3, store: DynamoDBRecordStore) -> None:
    """It does when an answer was lost: botocore sends the claim again, and the condition fails on our own item."""
    entry = Entry(record(caller_id="order-1"), b"content")
    dynamodb.wire.refuses = lambda operation, arguments: puts(operation, arguments, "2026")
    with pytest.raises(LedgerUnavailable):
        keep(store, entry)
    dynamodb.wire.refuses = lambda operation, arguments: False
    assert keep(store, entry) == [Kept(entry.record.id, new=True)]


def test_a_record_is_read_by_our_id_in_one_request_and_by_the_callers_in_two(
    dynamodb: DynamoDBAndS3, store: DynamoDBRecordStore
) -> None:
    entry = Entry(record(caller_id="order-1"), b"content")
    keep(store, entry)
    for id, requests in ((entry.record.id, 1), ("order-1", 2)):
        calls_of(dynamodb)
        assert store.get("main", id) == entry
        calls = calls_of(dynamodb)
        assert [operation for operation, _ in calls] == ["batch_get_item"] * requests
        assert all(arguments["RequestItems"][dynamodb.table]["ConsistentRead"] for _, arguments in calls)


def test_a_page_of_the_newest_reads_no_day_and_no_record_beyond_it(
    dynamodb: DynamoDBAndS3, store: DynamoDBRecordStore
) -> None:
    found = [record(NOON + (8 * n - 12) * HOUR, n) for n in range(30)]  # three a day
    keep(store, *(Entry(item, b"content") for item in found))
    calls_of(dynamodb)
    assert store.newest("main", limit=4) == tuple(reversed(found[-4:]))
    (days, *queries) = calls_of(dynamodb)
    assert [operation for operation, _ in (days, *queries)] == ["query"] * 3
    assert [arguments["Limit"] for _, arguments in queries] == [4, 1]
    assert all(arguments["ConsistentRead"] for _, arguments in (days, *queries))


def test_a_page_over_shards_asks_each_for_about_its_share(sharded_dynamodb: DynamoDBAndS3) -> None:
    found = [record(NOON + n, n) for n in range(400)]
    with closing(sharded_dynamodb.open()) as store:
        keep(store, *map(Entry, found))
        calls_of(sharded_dynamodb)
        assert store.newest("main", limit=100) == tuple(reversed(found[-100:]))
    (_, *queries) = calls_of(sharded_dynamodb)
    assert [arguments["Limit"] for _, arguments in queries] == [36] * 4


def test_a_page_is_full_also_when_one_shard_has_it_all(sharded_dynamodb: DynamoDBAndS3) -> None:
    found = [item for n in range(200) if shard_of((item := record(NOON + n, n)).id, 4) == 0]
    with closing(sharded_dynamodb.open()) as store:
        keep(store, *map(Entry, found))
        assert store.newest("main", limit=40) == tuple(reversed(found[-40:]))


def test_a_session_of_200_turns_is_one_query(dynamodb: DynamoDBAndS3, store: DynamoDBRecordStore) -> None:
    turns = [replace(record(NOON + n * HOUR, n), session_id="s1") for n in range(200)]  # over nine days
    keep(store, *(Entry(item, b"content") for item in turns))
    calls_of(dynamodb)
    assert store.of_session("main", "s1", limit=200) == tuple(turns)
    ((operation, arguments),) = calls_of(dynamodb)
    assert (operation, arguments["IndexName"]) == ("query", "session")


def test_a_record_carries_the_keys_of_its_own_indexes_only(dynamodb: DynamoDBAndS3, store: DynamoDBRecordStore) -> None:
    plain = record(random=1)
    named = replace(
        record(random=2), session_id="s#1", customer_identifier="ann", application="shop", intent="ask", trace_id="t"
    )
    keep(store, Entry(plain), Entry(named), Entry(replace(record(random=3), application="shop")))
    puts_of_records = [
        {name: value["S"] for name, value in arguments["Item"].items() if name not in ("pk", "sk", "item")}
        for operation, arguments in sorted(calls_of(dynamodb), key=lambda call: call[1]["Item"]["sk"]["S"])
        if puts(operation, arguments, "r#")
    ]
    assert puts_of_records == [
        {},
        {"session": "main#s%231", "customer": "main#ann#0", "intent": "main#shop#ask#0"},
        {},
    ]


def test_what_a_batch_left_unprocessed_is_asked_for_again(
    dynamodb: DynamoDBAndS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("weir.ledger.dynamodb.time.sleep", pauses.append)
    entry = Entry(record(), b"content")
    with closing(dynamodb.open()) as store:
        keep(store, entry)
    with closing(DynamoDBRecordStore(OneKeyAtATime(dynamodb.wire), dynamodb.table)) as busy:
        assert busy.get("main", entry.record.id) == entry
        with pytest.raises(LedgerUnavailable):
            busy._items.read(*(busy._items.keys("main", entry.record.id) * 3))
    assert pauses == [0.0, 0.05, 0.1, 0.0, 0.05, 0.1, 0.2, 0.4]


class OneKeyAtATime:
    """A client of a table so busy that each batch read gets one item."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def batch_get_item(self, *, RequestItems: dict[str, Any]) -> dict[str, Any]:
        ((table, wanted),) = RequestItems.items()
        first, *rest = wanted["Keys"]
        reply: dict[str, Any] = self._client.batch_get_item(RequestItems={table: {**wanted, "Keys": [first]}})
        return {**reply, "UnprocessedKeys": {table: {**wanted, "Keys": rest}} if rest else {}}

    def close(self) -> None:
        pass


def test_a_store_and_blobs_opened_by_name_work(dynamodb: DynamoDBAndS3) -> None:
    entry = Entry(record(caller_id="order-1"), b"content")
    with closing(open_dynamodb(dynamodb.table)) as store:
        keep(store, entry)
        assert store.get("main", "order-1") == entry
    blobs = open_s3(dynamodb.table)
    blobs.put("payloads/main/20260301/a.json.gz", b"content")
    assert blobs.get("payloads/main/20260301/a.json.gz") == b"content"
