"""The record store on DynamoDB, laid out by keys.py.

What a record needs is put before the record, and the record last: its claim on the caller's id, the mark of its day,
its payload. Whatever is missing after a crash, a record that can be read has all three.
"""

import heapq
import math
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from itertools import islice
from typing import Any

from weir.domain.annotation import Annotation, annotated
from weir.domain.errors import LedgerUnavailable
from weir.domain.ids import instant_of
from weir.domain.record import Environment, Record
from weir.domain.totals import GroupField, Totals
from weir.ledger import aws
from weir.ledger.items import from_item, to_item
from weir.ledger.keys import (
    INDEXES,
    RECORD_PREFIX,
    Index,
    Key,
    caller_key,
    customer_partition,
    day_of,
    day_partition,
    days_partition,
    index_keys,
    intent_partition,
    payload_key,
    record_key,
    require_index,
    session_partition,
)
from weir.ledger.ports import Entry, Kept

_WRITERS = 8
_DAYS_A_PAGE = 100  # about 4 KB, which is what one read unit buys
_PAUSES_S = (0.0, 0.05, 0.1, 0.2, 0.4)
"""Before each attempt at the keys that a batch read left unprocessed (botocore retries whole requests only), and at a
record that somebody else has changed in the meantime."""

_RECORDS_END = "r$"
"""Above every sort key of a record."""

_Attributes = Mapping[str, Mapping[str, Any]]


class DynamoDBRecordStore:
    def __init__(
        self,
        client: Any,
        table: str,
        *,
        shards: int = 1,
        indexes: frozenset[Index] = INDEXES,
        writers: int = _WRITERS,
    ) -> None:
        """`client` is botocore's or boto3's low-level client; it is closed with the store."""
        self.client = self._client = client
        self._table = table
        self._shards = shards
        self._indexes = indexes
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
                    Key=_key_attributes(caller_key(workspace, caller_id)),
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
            found = self._read(claim, *self._keys(workspace, id))
            if claim in found and (claimed := found[claim]["id"]["S"]) != id:
                entry = self._entry(workspace, claimed, self._read(*self._keys(workspace, claimed)))
                if entry is not None:  # else the claim's own record was never stored
                    return entry
            return self._entry(workspace, id, found)

    def newest(
        self, workspace: str, *, limit: int, before: str | None = None, since: str | None = None
    ) -> tuple[Record, ...]:
        found: list[Record] = []
        if before is not None and since is not None and before <= since:
            return ()
        days = self._active_days(workspace, before, since)
        with aws.refused_as("The ledger cannot be read."):
            while len(found) < limit and (day := next(days, None)) is not None:
                found += self._newest_of_day(workspace, day, limit - len(found), before, since)
        return tuple(found)

    def of_session(
        self, workspace: str, session_id: str, *, limit: int, after: str | None = None
    ) -> tuple[Record, ...]:
        require_index("session", self._indexes)
        query = self._index_query("session", session_partition(workspace, session_id), limit)
        if after is not None:
            query["KeyConditionExpression"] += " AND sk > :after"
            query["ExpressionAttributeValues"][":after"] = {"S": f"{RECORD_PREFIX}{after}"}
        with aws.refused_as("The ledger cannot be read."):
            return tuple(from_item(item["item"]["S"]) for item in islice(self._items(query), limit))

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
        return self._newest_of("customer", partitions, limit, before, since)

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
        return self._newest_of("intent", partitions, limit, before, since)

    def annotate(self, workspace: str, id: str, annotation: Annotation) -> Record | None:
        with aws.refused_as("The ledger cannot be written."):
            for pause in _PAUSES_S:
                time.sleep(pause)
                key, item = self._locate(workspace, id)
                if key is None:
                    return None
                record = annotated(from_item(item), annotation)
                if self._replace(key, item, to_item(record).decode()):
                    return record
        raise LedgerUnavailable("Too many change the record at once.")

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
                if self._read(record_key(record.workspace, id, self._shards)):
                    return Kept(id, new=False)
                record = replace(record, id=id, created_at=instant_of(id))
            self._mark_day(record)
            attributes: dict[str, Mapping[str, Any]] = {"item": {"S": to_item(record).decode()}}
            for index, partition in index_keys(record, self._indexes, self._shards).items():
                attributes[index] = {"S": partition}
            if entry.blob_key is not None:
                attributes["blob_key"] = {"S": entry.blob_key}
            if entry.inline is not None:
                self._put(
                    payload_key(record.workspace, id, self._shards, entry.record.id), {"content": {"B": entry.inline}}
                )
                if id != entry.record.id:
                    attributes["payload_id"] = {"S": entry.record.id}
            return Kept(id, new=self._put(record_key(record.workspace, id, self._shards), attributes))

    def _claim(self, workspace: str, caller_id: str, id: str, instead_of: str | None = None) -> str:
        """The id that this caller's id stands for: `id`, unless an earlier attempt came first."""
        old = {} if instead_of is None else {"ExpressionAttributeValues": {":old": {"S": instead_of}}}
        try:
            self._client.put_item(
                TableName=self._table,
                Item={**_key_attributes(caller_key(workspace, caller_id)), "id": {"S": id}},
                ConditionExpression="attribute_not_exists(pk)" + (" OR id = :old" if old else ""),
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
                **old,
            )
        except self._client.exceptions.ConditionalCheckFailedException as exc:
            claimed: str = exc.response["Item"]["id"]["S"]
            return claimed
        return id

    def _mark_day(self, record: Record) -> None:
        mark = Key(days_partition(record.workspace), day_of(record.id))
        if mark not in self._marked:
            self._client.put_item(TableName=self._table, Item=_key_attributes(mark))
            self._marked.add(mark)

    def _put(self, key: Key, attributes: _Attributes) -> bool:
        """False when something lies there already; it stays."""
        try:
            self._client.put_item(
                TableName=self._table,
                Item={**_key_attributes(key), **attributes},
                ConditionExpression="attribute_not_exists(pk)",
            )
        except self._client.exceptions.ConditionalCheckFailedException:
            return False
        return True

    def _locate(self, workspace: str, id: str) -> tuple[Key | None, str]:
        """Where the record of that id lies, ours or the caller's, and what is there; None and nothing if nowhere."""
        claim, own = caller_key(workspace, id), self._keys(workspace, id)[:1]
        found = self._read(claim, *own)
        keys = self._keys(workspace, found[claim]["id"]["S"])[:1] if claim in found else ()
        for key in (*keys, *own):
            if key not in found:
                found = {**found, **self._read(key)}
            if key in found:
                return key, found[key]["item"]["S"]
        return None, ""

    def _replace(self, key: Key, old: str, new: str) -> bool:
        """False when something else lies there by now."""
        try:
            self._client.update_item(
                TableName=self._table,
                Key=_key_attributes(key),
                UpdateExpression="SET #item = :new",
                ConditionExpression="#item = :old",
                ExpressionAttributeNames={"#item": "item"},
                ExpressionAttributeValues={":new": {"S": new}, ":old": {"S": old}},
            )
        except self._client.exceptions.ConditionalCheckFailedException:
            return False
        return True

    def _keys(self, workspace: str, id: str) -> tuple[Key, ...]:
        try:
            return record_key(workspace, id, self._shards), payload_key(workspace, id, self._shards)
        except ValueError:  # not an id of ours
            return ()

    def _entry(self, workspace: str, id: str, found: Mapping[Key, _Attributes]) -> Entry | None:
        keys = self._keys(workspace, id)
        if not keys or keys[0] not in found:
            return None
        record, payload = found[keys[0]], keys[1]
        if "payload_id" in record:
            payload = payload_key(workspace, id, self._shards, record["payload_id"]["S"])
            found = self._read(payload)
        blob_key = record["blob_key"]["S"] if "blob_key" in record else None
        inline = found[payload]["content"]["B"] if payload in found and blob_key is None else None
        return Entry(from_item(record["item"]["S"]), inline, blob_key)

    def _read(self, *keys: Key) -> dict[Key, _Attributes]:
        """Those of the items that exist."""
        found: dict[Key, _Attributes] = {}
        wanted = {self._table: {"Keys": [_key_attributes(key) for key in keys], "ConsistentRead": True}}
        for pause in _PAUSES_S:
            time.sleep(pause)
            reply = self._client.batch_get_item(RequestItems=wanted)
            for item in reply["Responses"].get(self._table, ()):
                found[Key(item["pk"]["S"], item["sk"]["S"])] = item
            wanted = reply.get("UnprocessedKeys")
            if not wanted:
                return found
        raise LedgerUnavailable("The ledger is too busy to be read.")

    def _active_days(self, workspace: str, before: str | None, since: str | None) -> Iterator[str]:
        condition, values = "pk = :pk", {":pk": {"S": days_partition(workspace)}}
        first, last = _day_or_none(since), _day_or_none(before)
        if first is not None:
            condition += " AND sk BETWEEN :first AND :last"
            values |= {":first": {"S": first}, ":last": {"S": last or "9"}}
        elif last is not None:
            condition += " AND sk <= :last"
            values[":last"] = {"S": last}
        for item in self._items(self._descending(condition, values, _DAYS_A_PAGE)):
            yield item["sk"]["S"]

    def _newest_of_day(
        self, workspace: str, day: str, limit: int, before: str | None, since: str | None
    ) -> Iterator[Record]:
        shards = []
        for shard in range(self._shards):
            partition = day_partition(workspace, day, shard)
            values = {
                ":pk": {"S": partition},
                ":first": {"S": f"{RECORD_PREFIX}{since or ''}"},
                ":end": {"S": _RECORDS_END},
            }
            query = self._descending("pk = :pk AND sk BETWEEN :first AND :end", values, self._page(limit))
            start = None if before is None else _key_attributes(Key(partition, f"{RECORD_PREFIX}{before}"))
            shards.append(self._items(query, start))
        return _merged(shards, limit)

    def _newest_of(
        self, index: Index, partitions: list[str], limit: int, before: str | None, since: str | None
    ) -> tuple[Record, ...]:
        require_index(index, self._indexes)
        if before is not None and since is not None and before <= since:
            return ()
        condition, values = "", {}
        if since is not None:
            condition = " AND sk >= :since" if before is None else " AND sk BETWEEN :since AND :before"
            values[":since"] = {"S": f"{RECORD_PREFIX}{since}"}
        elif before is not None:
            condition = " AND sk < :before"
        if before is not None:
            values[":before"] = {"S": f"{RECORD_PREFIX}{before}"}
        page = self._page(limit) + (":since" in values and ":before" in values)  # BETWEEN gives `before` itself, too
        shards = []
        for partition in partitions:
            query = self._index_query(index, partition, page)
            query["KeyConditionExpression"] += condition
            query["ExpressionAttributeValues"] |= values
            query["ScanIndexForward"] = False
            shards.append(item for item in self._items(query) if item["sk"] != values.get(":before"))
        with aws.refused_as("The ledger cannot be read."):
            return tuple(_merged(shards, limit))

    def _page(self, limit: int) -> int:
        """A shard holds limit/shards of what is asked for, give or take: a page that is seldom too short."""
        return max(1, min(limit, limit // self._shards + math.isqrt(limit) + 1))

    def _index_query(self, index: Index, partition: str, page: int) -> dict[str, Any]:
        return {
            "TableName": self._table,
            "IndexName": index,
            "KeyConditionExpression": "#index = :partition",
            "ExpressionAttributeNames": {"#index": index},
            "ExpressionAttributeValues": {":partition": {"S": partition}},
            "Limit": max(1, page),
        }

    def _descending(self, condition: str, values: _Attributes, page: int) -> dict[str, Any]:
        return {
            "TableName": self._table,
            "KeyConditionExpression": condition,
            "ExpressionAttributeValues": values,
            "ScanIndexForward": False,
            "ConsistentRead": True,
            "Limit": page,
        }

    def _items(self, query: Mapping[str, Any], start: Mapping[str, Any] | None = None) -> Iterator[_Attributes]:
        """The items beyond `start`, page by page as they are taken; `start` need not exist."""
        while True:
            reply = self._client.query(**query, **({} if start is None else {"ExclusiveStartKey": start}))
            yield from reply["Items"]
            start = reply.get("LastEvaluatedKey")
            if start is None:
                return


def open_dynamodb(
    table: str, *, shards: int = 1, indexes: frozenset[Index] = INDEXES, writers: int = _WRITERS
) -> DynamoDBRecordStore:
    """`shards` is fixed for the life of the table, see keys.py."""
    client = aws.client("dynamodb", connections=2 * writers)  # readers need some too
    return DynamoDBRecordStore(client, table, shards=shards, indexes=indexes, writers=writers)


def _merged(shards: Iterable[Iterator[_Attributes]], limit: int) -> Iterator[Record]:
    """Of items in descending order the first, in one order."""
    merged = heapq.merge(*shards, key=lambda item: item["sk"]["S"], reverse=True)
    return (from_item(item["item"]["S"]) for item in islice(merged, limit))


def _day_or_none(bound: str | None) -> str | None:
    try:
        return None if bound is None else day_of(bound)
    except ValueError:  # any text may be a bound, only it does not name a day
        return None


def _key_attributes(key: Key) -> dict[str, Mapping[str, Any]]:
    return {"pk": {"S": key.pk}, "sk": {"S": key.sk}}
