"""Queries of the ledger's table and its indexes, as arguments of DynamoDB's Query."""

import heapq
import math
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from weir.ledger.keys import RECORD_PREFIX, Index, Key, day_of, day_partition, days_partition

_DAYS_A_PAGE = 100  # about 4 KB, which is what one read unit buys
_RECORDS_END = "r$"
"""Above every sort key of a record."""

Attributes = Mapping[str, Mapping[str, Any]]
"""An item, or a part of one."""


def key_attributes(key: Key) -> dict[str, Mapping[str, Any]]:
    return {"pk": {"S": key.pk}, "sk": {"S": key.sk}}


class Queries:
    """Each gives items as they are asked for, and asks DynamoDB for a page only when one is needed."""

    def __init__(self, client: Any, table: str, shards: int) -> None:
        self._client = client
        self._table = table
        self._shards = shards

    def active_days(self, workspace: str, before: str | None, since: str | None) -> Iterator[str]:
        """Those that records may be of, the last one first."""
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

    def begin_with(self, key: Key) -> Iterator[Key]:
        """The keys of a partition whose sort key begins like that of `key`."""
        query = {
            "TableName": self._table,
            "KeyConditionExpression": "pk = :pk AND begins_with(sk, :sk)",
            "ExpressionAttributeValues": {":pk": {"S": key.pk}, ":sk": {"S": key.sk}},
            "ProjectionExpression": "pk, sk",
            "ConsistentRead": True,
        }
        return (Key(item["pk"]["S"], item["sk"]["S"]) for item in self._items(query))

    def newest_of_day(
        self, workspace: str, day: str, limit: int, before: str | None, since: str | None
    ) -> Iterator[Attributes]:
        shards = []
        for shard in range(self._shards):
            partition = day_partition(workspace, day, shard)
            values = {
                ":pk": {"S": partition},
                ":first": {"S": f"{RECORD_PREFIX}{since or ''}"},
                ":end": {"S": _RECORDS_END},
            }
            query = self._descending("pk = :pk AND sk BETWEEN :first AND :end", values, self._page(limit))
            start = None if before is None else key_attributes(Key(partition, f"{RECORD_PREFIX}{before}"))
            shards.append(self._items(query, start))
        return _merged(shards, limit)

    def oldest_of(self, index: Index, partition: str, limit: int, after: str | None) -> Iterator[Attributes]:
        query = self._of_index(index, partition, limit)
        if after is not None:
            query["KeyConditionExpression"] += " AND sk > :after"
            query["ExpressionAttributeValues"][":after"] = {"S": f"{RECORD_PREFIX}{after}"}
        return islice(self._items(query), limit)

    def newest_of(
        self, index: Index, partitions: Iterable[str], limit: int, before: str | None, since: str | None
    ) -> Iterator[Attributes]:
        """`partitions` are the shards of one."""
        page = self._page(limit)
        condition, values = "", {}
        if since is not None:
            condition = " AND sk >= :since" if before is None else " AND sk BETWEEN :since AND :before"
            values[":since"] = {"S": f"{RECORD_PREFIX}{since}"}
        elif before is not None:
            condition = " AND sk < :before"
        if before is not None:
            values[":before"] = {"S": f"{RECORD_PREFIX}{before}"}
            page += 1  # BETWEEN gives `before` itself, too
        shards = []
        for partition in partitions:
            query = self._of_index(index, partition, page)
            query["KeyConditionExpression"] += condition
            query["ExpressionAttributeValues"] |= values
            query["ScanIndexForward"] = False
            shards.append(item for item in self._items(query) if item["sk"] != values.get(":before"))
        return _merged(shards, limit)

    def _page(self, limit: int) -> int:
        """A shard holds limit/shards of what is asked for, give or take: a page that is seldom too short."""
        return max(1, min(limit, limit // self._shards + math.isqrt(limit) + 1))

    def _of_index(self, index: Index, partition: str, page: int) -> dict[str, Any]:
        return {
            "TableName": self._table,
            "IndexName": index,
            "KeyConditionExpression": "#index = :partition",
            "ExpressionAttributeNames": {"#index": index},
            "ExpressionAttributeValues": {":partition": {"S": partition}},
            "Limit": max(1, page),
        }

    def _descending(self, condition: str, values: Attributes, page: int) -> dict[str, Any]:
        return {
            "TableName": self._table,
            "KeyConditionExpression": condition,
            "ExpressionAttributeValues": values,
            "ScanIndexForward": False,
            "ConsistentRead": True,
            "Limit": page,
        }

    def _items(self, query: Mapping[str, Any], start: Mapping[str, Any] | None = None) -> Iterator[Attributes]:
        """The items beyond `start`, page by page as they are taken; `start` need not exist."""
        while True:
            reply = self._client.query(**query, **({} if start is None else {"ExclusiveStartKey": start}))
            yield from reply["Items"]
            start = reply.get("LastEvaluatedKey")
            if start is None:
                return


def _merged(shards: Iterable[Iterator[Attributes]], limit: int) -> Iterator[Attributes]:
    """The first of items in descending order, in one such order."""
    return islice(heapq.merge(*shards, key=lambda item: item["sk"]["S"], reverse=True), limit)


def _day_or_none(bound: str | None) -> str | None:
    try:
        return None if bound is None else day_of(bound)
    except ValueError:  # any text may be a bound, only it does not name a day
        return None
