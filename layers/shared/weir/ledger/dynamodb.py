"""The record store on DynamoDB, laid out by keys.py.

What a record needs is put before the record, and the record last: its claim on the caller's id, the mark of its day,
its payload. Whatever is missing after a crash, a record that can be read has all three.
"""

import hashlib
import math
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from weir.domain.annotation import Annotation, annotated
from weir.domain.errors import LedgerUnavailable
from weir.domain.ids import instant_of
from weir.domain.record import Environment, Record
from weir.domain.retention import FOR_EVER, Clock, Retention
from weir.domain.totals import GroupField, Totals
from weir.ledger import aws
from weir.ledger.dynamodb_items import PAUSES_S, Items
from weir.ledger.dynamodb_queries import Attributes, Queries, key_attributes
from weir.ledger.keys import (
    INDEXES,
    Index,
    Key,
    caller_key,
    customer_partition,
    day_of,
    days_partition,
    hour_of,
    index_keys,
    intent_partition,
    late_key,
    payload_key,
    record_key,
    require_index,
    session_partition,
)
from weir.ledger.ports import Entry, Kept
from weir.ledger.settlement import is_late, late_content
from weir.ledger.small_items import LARGEST_ITEM, joined, size, split

_WRITERS = 8
_WHOLE_ITEM = 390_000
"""Bytes; DynamoDB takes 400 KB."""

_NO_LATER = timedelta()
_REST_LATER = timedelta(days=7)
"""DynamoDB deletes within a few days, and each item by itself: a record's rest must not go before the record."""

_Item = dict[str, Mapping[str, Any]]


def _now() -> datetime:
    return datetime.now(UTC)


class DynamoDBRecordStore:
    def __init__(
        self,
        client: Any,
        table: str,
        *,
        shards: int = 1,
        indexes: frozenset[Index] = INDEXES,
        retention: Retention = FOR_EVER,
        writers: int = _WRITERS,
        now: Callable[[], datetime] = _now,
    ) -> None:
        """`client` is botocore's or boto3's low-level client; it is closed with the store."""
        self.client = self._client = client
        self._table = table
        self._shards = shards
        self._indexes = indexes
        self._now = now
        self._retention = retention
        self._queries = Queries(client, table, shards)
        self._items = Items(client, table, shards)
        self._marked: set[Key] = set()
        self._pool = ThreadPoolExecutor(writers, thread_name_prefix="ledger-writer")

    def submit(self, entry: Entry) -> "Future[Kept]":
        future: Future[Kept] = Future()
        future.set_running_or_notify_cancel()  # who stops waiting does not stop the write

        def settle(work: "Future[Kept]") -> None:
            error = work.exception()
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(work.result())

        try:
            self._pool.submit(self._keep, entry).add_done_callback(settle)
        except RuntimeError as exc:  # the pool is shut down, or no thread can be started
            refusal = LedgerUnavailable("The ledger is closed.")
            refusal.__cause__ = exc
            future.set_exception(refusal)
        return future

    def claim(self, workspace: str, caller_id: str, id: str | None, *, instead_of: str | None = None) -> str | None:
        with aws.refused_as("The ledger cannot be written."):
            if id is not None:
                return self._claim(workspace, caller_id, id, instead_of)
            try:
                self._client.delete_item(
                    TableName=self._table,
                    Key=key_attributes(caller_key(workspace, caller_id)),
                    ConditionExpression="attribute_not_exists(pk) OR id = :old",
                    ExpressionAttributeValues={":old": {"S": instead_of or ""}},
                    ReturnValuesOnConditionCheckFailure="ALL_OLD",
                )
            except self._client.exceptions.ConditionalCheckFailedException as exc:
                claimed: str = exc.response["Item"]["id"]["S"]
                return claimed
            return None

    def get(self, workspace: str, id: str) -> Entry | None:
        claim = caller_key(workspace, id)
        with aws.refused_as("The ledger cannot be read."):
            found = self._items.read(claim, *self._items.keys(workspace, id))
            if claim in found and (claimed := found[claim]["id"]["S"]) != id:
                entry = self._items.entry(workspace, claimed, self._items.read(*self._items.keys(workspace, claimed)))
                if entry is not None:  # else the claim's own record was never stored
                    return entry
            return self._items.entry(workspace, id, found)

    def newest(
        self, workspace: str, *, limit: int, before: str | None = None, since: str | None = None
    ) -> tuple[Record, ...]:
        found: list[Record] = []
        if before is not None and since is not None and before <= since:
            return ()
        days = self._queries.active_days(workspace, before, since)
        with aws.refused_as("The ledger cannot be read."):
            while len(found) < limit and (day := next(days, None)) is not None:
                items = self._queries.newest_of_day(workspace, day, limit - len(found), before, since)
                found += self._items.records(workspace, items)
        return tuple(found)

    def of_session(
        self, workspace: str, session_id: str, *, limit: int, after: str | None = None
    ) -> tuple[Record, ...]:
        require_index("session", self._indexes)
        with aws.refused_as("The ledger cannot be read."):
            items = self._queries.oldest_of("session", session_partition(workspace, session_id), limit, after)
            return tuple(self._items.records(workspace, items))

    def of_customer(
        self,
        workspace: str,
        customer_identifier: str,
        *,
        limit: int,
        before: str | None = None,
        since: str | None = None,
    ) -> tuple[Record, ...]:
        partitions = [customer_partition(workspace, customer_identifier, shard) for shard in range(self._shards)]
        return self._newest_of("customer", workspace, partitions, limit, before, since)

    def of_intent(
        self,
        workspace: str,
        application: str,
        intent: str,
        *,
        limit: int,
        before: str | None = None,
        since: str | None = None,
    ) -> tuple[Record, ...]:
        partitions = [intent_partition(workspace, application, intent, shard) for shard in range(self._shards)]
        return self._newest_of("intent", workspace, partitions, limit, before, since)

    def annotate(self, workspace: str, id: str, annotation: Annotation) -> Record | None:
        with aws.refused_as("The ledger cannot be written."):
            for pause in PAUSES_S:
                time.sleep(pause)
                attributes = self._items.locate(workspace, id)
                if attributes is None:
                    return None
                rest = self._items.rest(workspace, attributes)
                old = joined(attributes["item"]["S"], rest)
                if old is None:  # another annotation came between the two reads
                    continue
                record = annotated(old, annotation)
                if record.customer_identifier != old.customer_identifier:  # it goes to another rollup
                    self._mark_late(record)
                if self._replace(attributes, rest, old, record):
                    return record
        raise LedgerUnavailable("Too many change the record at once.")

    def delete(self, workspace: str, id: str) -> bool:
        keys = self._items.keys(workspace, id)
        if not keys:
            return False
        with aws.refused_as("The ledger cannot be written."):
            for pause in PAUSES_S:
                time.sleep(pause)
                found = self._items.read(*keys)
                entry = self._items.entry(workspace, id, found)
                gone, claims = {keys[0], *self._queries.begin_with(keys[1])}, set[Key]()
                if entry is not None:
                    gone.add(self._items.payload_key(workspace, found[keys[0]]))
                    claims = self._claims(workspace, id, entry.record.caller_id)
                if self._delete_all(gone, claims, id):
                    return entry is not None
        raise LedgerUnavailable("Too many change the record at once.")

    def _claims(self, workspace: str, id: str, caller_id: str | None) -> set[Key]:
        """The key of the caller's id, if it stands for this record."""
        if caller_id is None:
            return set()
        claim = caller_key(workspace, caller_id)
        found = self._items.read(claim)
        return {claim} if claim in found and found[claim]["id"]["S"] == id else set()

    def _delete_all(self, keys: set[Key], claims: set[Key], id: str) -> bool:
        """In one transaction: a record without the rest beside it would spoil the lists that it is in.

        False when a claim stands for another record by now; then nothing is deleted.
        """
        theirs = {"ConditionExpression": "id = :id", "ExpressionAttributeValues": {":id": {"S": id}}}
        deletes = [
            {"Delete": {"TableName": self._table, "Key": key_attributes(key), **(theirs if key in claims else {})}}
            for key in sorted(keys | claims)
        ]
        try:
            self._client.transact_write_items(TransactItems=deletes)
        except self._client.exceptions.TransactionCanceledException:
            return False
        return True

    def expire(self, retention: Retention, now: datetime, *, go_on: Callable[[], bool] = lambda: True) -> int:
        return 0  # DynamoDB does it, within a few days of an item's `expires_at`

    def totals(
        self,
        workspace: str,
        *,
        group_by: GroupField | None = None,
        before: str | None = None,
        since: str | None = None,
        environment: Environment | None = None,
    ) -> Mapping[str | None, Totals] | None:
        return None  # a Query cannot sum

    def close(self) -> None:
        self._pool.shutdown(wait=True)
        self._client.close()

    def _keep(self, entry: Entry) -> Kept:
        record = entry.record
        with aws.refused_as("The ledger cannot be written."):
            id = record.id
            if record.caller_id is not None and not entry.claimed:
                id = self._claim(record.workspace, record.caller_id, id)
            if id != record.id:
                if self._items.read(record_key(record.workspace, id, self._shards)):
                    return Kept(id, new=False)
                record = replace(record, id=id, created_at=instant_of(id))
            self._mark_day(record)
            self._mark_late(record)
            payload_id = None if id == entry.record.id else entry.record.id
            beside, item = self._items_of(record, entry, payload_id)
            if len(beside) > len(Key._fields) and (there := self._put(beside)) and not beside.items() <= there.items():
                # An earlier attempt left a payload there, or a whole record. It is not this one's: two never share one.
                if self._items.read(record_key(record.workspace, id, self._shards)):
                    return Kept(id, new=False)
                digest = hashlib.sha256(b"".join(beside[name]["B"] for name in ("content", "rest") if name in beside))
                beside, item = self._items_of(record, entry, f"{entry.record.id}.{digest.hexdigest()[:16]}")
                self._put(beside)
            return Kept(id, new=self._put(item) is None)

    def _items_of(self, record: Record, entry: Entry, payload_id: str | None) -> tuple[_Item, _Item]:
        """What is put beside the record, and the record. The former may be but a key: then there is nothing to put."""
        item: _Item = key_attributes(record_key(record.workspace, record.id, self._shards))
        for index, partition in index_keys(record, self._indexes, self._shards).items():
            item[index] = {"S": partition}
        if entry.blob_key is not None:
            item["blob_key"] = {"S": entry.blob_key}
        if payload_id is not None:
            item["payload_id"] = {"S": payload_id}
        item |= self._expiry(record.workspace, record.id, "records")
        parts = split(record, self._room(record.workspace, item))
        beside: _Item = key_attributes(payload_key(record.workspace, record.id, self._shards, payload_id))
        if entry.inline is not None:
            beside["content"] = {"B": entry.inline}
        if parts.rest is not None:
            beside["rest"] = {"B": parts.rest}
        if len(beside) > len(Key._fields):
            beside |= self._expiry(record.workspace, record.id, "payloads", _REST_LATER if parts.rest else _NO_LATER)
        return beside, {**item, "item": {"S": parts.item}}

    def _claim(self, workspace: str, caller_id: str, id: str, instead_of: str | None = None) -> str:
        """The id that this caller's id stands for: `id`, unless an earlier attempt came first."""
        item = {
            **key_attributes(caller_key(workspace, caller_id)),
            "id": {"S": id},
            **self._expiry(workspace, id, "records"),
        }
        there = self._put(item, instead_of)
        return id if there is None else str(there["id"]["S"])

    def _room(self, workspace: str, place: Attributes) -> int:
        """Bytes that an item has left for the record itself: all of it where the rest would expire with the payload."""
        days = (self._retention.days(workspace, "payloads"), self._retention.days(workspace, "records"))
        largest = LARGEST_ITEM if days[0] == days[1] else _WHOLE_ITEM
        return largest - size(place) - len("item")

    def _expiry(self, workspace: str, id: str, clock: Clock, later: timedelta = _NO_LATER) -> Attributes:
        expires = self._retention.expires(workspace, clock, instant_of(id))
        return {} if expires is None else {"expires_at": {"N": str(math.ceil((expires + later).timestamp()))}}

    def _mark_day(self, record: Record) -> None:
        mark = Key(days_partition(record.workspace), day_of(record.id))
        if mark not in self._marked:
            self._client.put_item(TableName=self._table, Item=key_attributes(mark))
            self._marked.add(mark)

    def _mark_late(self, record: Record) -> None:
        """Each time: whoever checks the hour may have taken the mark away."""
        now = self._now()
        if is_late(record.id, now):
            mark = key_attributes(late_key(record.workspace, hour_of(record.id)))
            self._client.put_item(TableName=self._table, Item={**mark, "content": {"S": late_content(now).decode()}})

    def _put(self, item: Attributes, instead_of: str | None = None) -> Attributes | None:
        """What lies under its key already, if anything; it stays, unless its `id` is `instead_of`."""
        condition: dict[str, Any] = {"ConditionExpression": "attribute_not_exists(pk)"}
        if instead_of is not None:
            condition["ConditionExpression"] += " OR id = :old"
            condition["ExpressionAttributeValues"] = {":old": {"S": instead_of}}
        try:
            self._client.put_item(
                TableName=self._table, Item=item, ReturnValuesOnConditionCheckFailure="ALL_OLD", **condition
            )
        except self._client.exceptions.ConditionalCheckFailedException as exc:
            there: Attributes = exc.response["Item"]
            return there
        return None

    def _replace(self, old: Attributes, old_rest: bytes | None, before: Record, record: Record) -> bool:
        """False when the item is not `old` any more."""
        was, keys = (index_keys(each, self._indexes, self._shards) for each in (before, record))
        moved: dict[str, str | None] = {
            index: keys.get(index) for index in was.keys() | keys.keys() if was.get(index) != keys.get(index)
        }
        place = {name: value for name, value in old.items() if name != "item" and name not in moved}
        place |= {index: {"S": key} for index, key in moved.items() if key is not None}
        item, rest = split(record, self._room(record.workspace, place))
        change = {
            "TableName": self._table,
            "Key": {"pk": old["pk"], "sk": old["sk"]},
            "ConditionExpression": "#item = :old",
            "UpdateExpression": f"SET #item = :new{_moving(moved)}",
            "ExpressionAttributeNames": {"#item": "item", **{f"#{index}": index for index in moved}},
            "ExpressionAttributeValues": {
                ":new": {"S": item},
                ":old": old["item"],
                **{f":{index}": {"S": key} for index, key in moved.items() if key is not None},
            },
        }
        exceptions = self._client.exceptions
        try:
            if rest is None or rest == old_rest:
                self._client.update_item(**change)
            else:  # the item's checksum stands for the old rest
                beside = {
                    "TableName": self._table,
                    "Key": key_attributes(self._items.payload_key(record.workspace, old)),
                    "UpdateExpression": "SET #rest = :rest",
                    "ExpressionAttributeNames": {"#rest": "rest"},
                    "ExpressionAttributeValues": {":rest": {"B": rest}},
                }
                self._client.transact_write_items(TransactItems=[{"Update": change}, {"Update": beside}])
        except (exceptions.ConditionalCheckFailedException, exceptions.TransactionConflictException):
            return False
        except exceptions.TransactionCanceledException as exc:
            reasons = {reason.get("Code") for reason in exc.response.get("CancellationReasons", ())}
            if reasons & {"ConditionalCheckFailed", "TransactionConflict"}:
                return False
            raise
        return True

    def _newest_of(
        self,
        index: Index,
        workspace: str,
        partitions: list[str],
        limit: int,
        before: str | None,
        since: str | None,
    ) -> tuple[Record, ...]:
        require_index(index, self._indexes)
        if before is not None and since is not None and before <= since:
            return ()
        with aws.refused_as("The ledger cannot be read."):
            items = self._queries.newest_of(index, partitions, limit, before, since)
            return tuple(self._items.records(workspace, items))


def _moving(moved: Mapping[str, str | None]) -> str:
    """The rest of a SET that gives these attributes the values of their names, and removes those without one."""
    new = "".join(f", #{name} = :{name}" for name, value in moved.items() if value is not None)
    gone = ", ".join(f"#{name}" for name, value in moved.items() if value is None)
    return f"{new} REMOVE {gone}" if gone else new


def open_dynamodb(
    table: str,
    *,
    shards: int = 1,
    indexes: frozenset[Index] = INDEXES,
    retention: Retention = FOR_EVER,
    writers: int = _WRITERS,
) -> DynamoDBRecordStore:
    """`shards` is fixed for the life of the table, see keys.py. `retention` holds for what is put from now on."""
    client = aws.client("dynamodb", connections=2 * writers)  # readers need some too
    return DynamoDBRecordStore(client, table, shards=shards, indexes=indexes, retention=retention, writers=writers)
