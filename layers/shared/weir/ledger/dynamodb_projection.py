"""What is derived from the archive, in the ledger's DynamoDB table, laid out by keys.py."""

from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from weir.domain.errors import LedgerUnavailable
from weir.ledger import aws
from weir.ledger.keys import Key
from weir.ledger.ports import Replacement

_AT_ONCE = 100
"""Keys that a BatchGetItem takes."""

_ATTEMPTS = 5
"""At keys that a batch read left unprocessed."""

_WRITERS = 8


class DynamoDBProjectionStore:
    def __init__(self, client: Any, table: str) -> None:
        """`client` is botocore's low-level client, the record store's own: making another takes long."""
        self._client = client
        self._table = table

    def get(self, keys: Collection[Key]) -> dict[Key, bytes]:
        wanted = list(dict.fromkeys(keys))
        found: dict[Key, bytes] = {}
        with aws.refused_as("The rollups cannot be read."):
            for start in range(0, len(wanted), _AT_ONCE):
                found |= self._read(wanted[start : start + _AT_ONCE])
        return found

    def between(
        self, pk: str, first: str, last: str, *, limit: int | None = None, descending: bool = False
    ) -> list[tuple[str, bytes]]:
        query: dict[str, Any] = {
            "TableName": self._table,
            "KeyConditionExpression": "pk = :pk AND sk BETWEEN :first AND :last",
            # a key is never empty, and below every character of ours is the space
            "ExpressionAttributeValues": {":pk": {"S": pk}, ":first": {"S": first or " "}, ":last": {"S": last}},
            "ScanIndexForward": not descending,
            "ConsistentRead": True,
        }
        found: list[tuple[str, bytes]] = []
        with aws.refused_as("The rollups cannot be read."):
            while True:
                if limit is not None:
                    query["Limit"] = max(1, limit - len(found))
                reply = self._client.query(**query)
                found += [(item["sk"]["S"], item["content"]["S"].encode()) for item in reply["Items"]]
                if "LastEvaluatedKey" not in reply or (limit is not None and len(found) >= limit):
                    return found[:limit]
                query["ExclusiveStartKey"] = reply["LastEvaluatedKey"]

    def replace(self, changes: Sequence[Replacement]) -> list[bool]:
        with aws.refused_as("The rollups cannot be written."):
            if len(changes) <= 1:
                return [self._replace(change) for change in changes]
            with ThreadPoolExecutor(_WRITERS, thread_name_prefix="projection-writer") as pool:
                return list(pool.map(self._replace, changes))

    def _read(self, keys: Sequence[Key]) -> dict[Key, bytes]:
        found: dict[Key, bytes] = {}
        wanted: Any = {self._table: {"Keys": [_attributes(key) for key in keys], "ConsistentRead": True}}
        for _ in range(_ATTEMPTS):
            reply = self._client.batch_get_item(RequestItems=wanted)
            for item in reply["Responses"].get(self._table, ()):
                found[Key(item["pk"]["S"], item["sk"]["S"])] = item["content"]["S"].encode()
            wanted = reply.get("UnprocessedKeys")
            if not wanted:
                return found
        raise LedgerUnavailable("The ledger is too busy to be read.")

    def _replace(self, change: Replacement) -> bool:
        condition: dict[str, Any] = {"ConditionExpression": "attribute_not_exists(pk)"}
        if change.old is not None:
            values = {":old": {"S": change.old.decode()}}
            condition = {"ConditionExpression": "content = :old", "ExpressionAttributeValues": values}
        try:
            if change.new is None:
                self._client.delete_item(TableName=self._table, Key=_attributes(change.key), **condition)
            else:
                item = {**_attributes(change.key), "content": {"S": change.new.decode()}}
                self._client.put_item(TableName=self._table, Item=item, **condition)
        except self._client.exceptions.ConditionalCheckFailedException:
            return False
        return True


def _attributes(key: Key) -> dict[str, Mapping[str, str]]:
    return {"pk": {"S": key.pk}, "sk": {"S": key.sk}}
