"""A record's item costs one write unit, whatever the record says, and nothing of it is lost."""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests import strategies
from tests.ledger.engines import DynamoDBAndS3, puts
from tests.ledger.test_contract import LARGE, NOON, _numbers, keep, one_engine_for_all_examples, record
from tests.ledger.test_items import FULLEST
from weir.domain.annotation import Annotation, annotated
from weir.domain.completion import Usage
from weir.domain.ids import instant_of, uuid7
from weir.domain.record import Record
from weir.ledger.dynamodb import DynamoDBRecordStore
from weir.ledger.keys import INDEXES, payload_blob_key
from weir.ledger.ports import Entry
from weir.ledger.small_items import LARGEST_ITEM, has_more, joined, size, split

long_names = strategies.names | st.text("äx#", min_size=50, max_size=90)


@st.composite
def large_records(draw: st.DrawFn) -> Record:
    fields = ("workspace", "session_id", "customer_identifier", "application", "intent", "caller_id", "model")
    found = draw(strategies.records(**{name: draw(long_names) for name in fields}))
    more = draw(st.dictionaries(strategies.texts, st.text("a€", max_size=400), max_size=6))
    return replace(found, metadata={**found.metadata, **more})


@given(large_records(), st.integers(100, 1200))
@example(FULLEST, 100)
def test_a_record_fits_any_room_and_is_read_as_it_was_written(found: Record, room: int) -> None:
    item, rest = split(found, room)
    assert len(item.encode()) <= room
    assert has_more(item) == (rest is not None)
    assert joined(item, rest) == found


@given(large_records())
def test_a_rest_of_another_version_is_not_taken_for_its_own(found: Record) -> None:
    item, rest = split(found, 200)
    if rest is not None:
        assert joined(item, None) is None
        assert joined(item, rest + b"x") is None


USUAL = Record(
    id=uuid7(NOON, 1),
    workspace="default",
    environment="prod",
    created_at=instant_of(uuid7(NOON, 1)),
    origin="storage",
    inference_location="CLIENT",
    caller_id=uuid7(NOON, 2),
    application="support-desk",
    intent="ANSWER_QUESTION",
    session_id=uuid7(NOON, 3),
    reference_id="ticket-48213",
    customer_identifier="customer-1042",
    provider="openai",
    model="gpt-4o-mini",
    answered_model="gpt-4o-mini-2024-07-18",
    finish_reason="stop",
    raw_finish_reason="stop",
    claimed_usage=Usage(prompt=1812, completion=240, cached=1024, reasoning=0),
    computed_cost=Decimal("0.0003390"),
    price_version="2026.11.2",
    latency_ms=2312.25,
    metadata={"team": "search", "release": "2026-11-02"},
)


def test_a_usual_record_fits_into_its_item(dynamodb: DynamoDBAndS3) -> None:
    with closing(dynamodb.open()) as store:
        keep(store, Entry(USUAL, b"content"))
    (item,) = _record_items(dynamodb)
    assert not has_more(item["item"]["S"])
    assert 900 < size(item) <= LARGEST_ITEM


@one_engine_for_all_examples
@given(
    found=large_records(),
    inline=st.none() | st.binary(max_size=20),
    is_blob=st.booleans(),
    note=st.text("a€", max_size=900),
)
def test_any_item_of_a_record_is_one_write_unit(
    sharded_dynamodb: DynamoDBAndS3, found: Record, inline: bytes | None, is_blob: bool, note: str
) -> None:
    id = uuid7(NOON, next(_numbers))
    kept = replace(found, id=id, created_at=instant_of(id), caller_id=f"{id} {found.caller_id}")
    blob_key = payload_blob_key(kept.workspace, id) if is_blob else None
    sharded_dynamodb.wire.calls.clear()
    with closing(sharded_dynamodb.open()) as store:
        keep(store, Entry(kept, None if is_blob else inline, blob_key))
        store.annotate(kept.workspace, id, Annotation(note=note))
    items = list(_record_items(sharded_dynamodb))
    assert len(items) == 2
    for item in items:
        assert size(item) <= LARGEST_ITEM
        assert item.keys() >= INDEXES  # so none of them is left out of this


def test_an_attempt_under_a_claimed_id_is_one_write_unit_too(dynamodb: DynamoDBAndS3) -> None:
    def attempt(n: int) -> Entry:
        return Entry(
            replace(FULLEST, id=(id := uuid7(NOON, n)), created_at=instant_of(id), metadata={"t": "x" * 2000}),
            blob_key=payload_blob_key("main", record(NOON, n).id),
        )

    dynamodb.wire.refuses = lambda operation, arguments: puts(operation, arguments, "r#")
    with closing(dynamodb.open()) as store:
        assert store.submit(attempt(1)).exception(20) is not None
        dynamodb.wire.refuses = lambda operation, arguments: False
        dynamodb.wire.calls.clear()
        keep(store, attempt(2))
        (item,) = _record_items(dynamodb)
        assert item["payload_id"]["S"] == attempt(2).record.id
        assert size(item) <= LARGEST_ITEM
        assert store.newest("main", limit=2) == (
            replace(attempt(2).record, id=attempt(1).record.id, created_at=attempt(1).record.created_at),
        )


def _record_items(engine: DynamoDBAndS3) -> Iterator[dict[str, Any]]:
    """As they are put, and as updates leave them. An index's copy is a part of its item, so never larger."""
    put: dict[str, Any] = {}
    for operation, arguments in engine.wire.calls:
        if puts(operation, arguments, "r#"):
            put = arguments["Item"]
            yield put
        elif operation == "update_item":
            yield {**put, "item": arguments["ExpressionAttributeValues"][":new"]}
        elif operation == "transact_write_items":
            yield {**put, "item": arguments["TransactItems"][0]["Update"]["ExpressionAttributeValues"][":new"]}


class Meddled:
    """A client that lets somebody else in once, when a first reading has come and before a second is asked for."""

    def __init__(self, client: Any, meddle: Callable[[], object], after: str) -> None:
        self._client = client
        self._meddle: Callable[[], object] | None = meddle
        self._after = after
        self.exceptions = client.exceptions

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        def call(**arguments: Any) -> Any:
            reply = getattr(self._client, operation)(**arguments)
            if operation == self._after and self._meddle is not None and _reads_records(reply):
                meddle, self._meddle = self._meddle, None
                meddle()
                if operation == "batch_get_item":  # of the two, the record was read before and its rest after
                    return _mixed(reply, getattr(self._client, operation)(**arguments))
            return reply

        return call

    def close(self) -> None:
        """The client under it serves the other tests too."""


def _reads_records(reply: Any) -> bool:
    items = reply["Items"] if "Items" in reply else [item for found in reply["Responses"].values() for item in found]
    return any(item["sk"]["S"].startswith("r#") for item in items)


def _mixed(before: Any, after: Any) -> Any:
    ((table, old),) = before["Responses"].items()
    items = [item for item in old if item["sk"]["S"].startswith("r#")]
    items += [item for item in after["Responses"][table] if item["sk"]["S"].startswith("p#")]
    return {**after, "Responses": {table: items}}


@pytest.mark.parametrize("after", ["query", "batch_get_item"])
def test_who_reads_between_two_halves_of_an_annotation_reads_again(dynamodb: DynamoDBAndS3, after: str) -> None:
    kept = replace(record(), metadata=LARGE, session_id="s")
    change = Annotation(metadata={"tag 1": "other"}, note="changed")
    with closing(dynamodb.open()) as store:
        keep(store, Entry(kept, b"content"))
        client = Meddled(dynamodb.wire, lambda: store.annotate("main", kept.id, change), after)
        with closing(DynamoDBRecordStore(client, dynamodb.table)) as reader:
            if after == "query":
                assert reader.of_session("main", "s", limit=9) == (annotated(kept, change),)
            else:
                assert reader.get("main", kept.id) == Entry(annotated(kept, change), b"content")


def test_who_annotates_between_two_reads_of_another_annotates_what_is_there(dynamodb: DynamoDBAndS3) -> None:
    kept = replace(record(), metadata=LARGE)
    one, other = Annotation(metadata={"tag 1": "one"}), Annotation(metadata={"tag 2": "other"})
    with closing(dynamodb.open()) as store:
        keep(store, Entry(kept))
        client = Meddled(dynamodb.wire, lambda: store.annotate("main", kept.id, one), "batch_get_item")
        with closing(DynamoDBRecordStore(client, dynamodb.table)) as slower:
            expected = annotated(annotated(kept, one), other)
            assert slower.annotate("main", kept.id, other) == expected
        assert store.newest("main", limit=9) == (expected,)
