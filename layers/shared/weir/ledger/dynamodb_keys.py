"""API keys in the ledger's DynamoDB table, laid out by keys.py."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from weir.domain.api_key import ApiKey
from weir.domain.errors import Conflict, LedgerUnavailable
from weir.domain.ids import milliseconds
from weir.ledger import aws
from weir.ledger.key_items import from_item, to_item
from weir.ledger.keys import WORKSPACES, Key, api_key, api_keys_partition, workspace_key

_BATCH = 100
"""Keys that BatchGetItem takes."""

_ATTEMPTS = 3
"""At keys that a batch read left unprocessed."""


class DynamoDBKeyStore:
    def __init__(self, client: Any, table: str) -> None:
        """`client` is botocore's low-level client, the record store's own: making another takes long."""
        self._client = client
        self._table = table

    def find(self, id: str) -> ApiKey | None:
        with aws.refused_as("The API keys cannot be read."):
            reply = self._client.get_item(TableName=self._table, Key=_attributes(api_key(id)), ConsistentRead=True)
        return _to_key(reply["Item"]) if "Item" in reply else None

    def add(self, key: ApiKey) -> bool:
        """The key itself comes last: what died on the way has left a pointer at nothing, which is no key."""
        with aws.refused_as("The API keys cannot be written."):
            self._client.put_item(
                TableName=self._table, Item=_attributes(Key(api_keys_partition(key.workspace), key.id))
            )
            first = self._put(workspace_key(key.workspace), {"name": {"S": key.workspace}})
            if not self._put(api_key(key.id), {"item": {"S": to_item(key).decode()}}):
                raise Conflict("There is a key of that id already.")
            return first

    def revoke(self, id: str, at: datetime) -> ApiKey | None:
        self._set(id, "revoked_at", at, "attribute_not_exists(revoked_at) OR revoked_at > :at")
        return self.find(id)

    def note_use(self, id: str, at: datetime) -> None:
        self._set(id, "used_at", at, "attribute_not_exists(used_at) OR used_at < :at")

    def of(self, workspace: str) -> tuple[ApiKey, ...]:
        with aws.refused_as("The API keys cannot be read."):
            ids = [item["sk"]["S"] for item in self._all(api_keys_partition(workspace))]
            found = [key for start in range(0, len(ids), _BATCH) for key in self._get(ids[start : start + _BATCH])]
        own = (key for key in found if key.workspace == workspace)  # a pointer may name what another put first
        return tuple(sorted(own, key=lambda key: (key.created_at, key.id)))

    def workspaces(self) -> tuple[str, ...]:
        with aws.refused_as("The API keys cannot be read."):
            return tuple(sorted(item["name"]["S"] for item in self._all(WORKSPACES)))

    def _put(self, key: Key, attributes: Mapping[str, Any]) -> bool:
        """False when something lies there already; it stays."""
        try:
            self._client.put_item(
                TableName=self._table,
                Item={**_attributes(key), **attributes},
                ConditionExpression="attribute_not_exists(pk)",
            )
        except self._client.exceptions.ConditionalCheckFailedException:
            return False
        return True

    def _set(self, id: str, name: str, at: datetime, condition: str) -> None:
        """Nothing is set when the condition does not hold, or there is no such key."""
        with (
            aws.refused_as("The API keys cannot be written."),
            contextlib.suppress(self._client.exceptions.ConditionalCheckFailedException),
        ):
            self._client.update_item(
                TableName=self._table,
                Key=_attributes(api_key(id)),
                UpdateExpression=f"SET {name} = :at",
                ConditionExpression=f"attribute_exists(pk) AND ({condition})",
                ExpressionAttributeValues={":at": {"N": str(milliseconds(at))}},
            )

    def _get(self, ids: Sequence[str]) -> Iterator[ApiKey]:
        wanted = {self._table: {"Keys": [_attributes(api_key(id)) for id in ids], "ConsistentRead": True}}
        for _ in range(_ATTEMPTS):
            reply = self._client.batch_get_item(RequestItems=wanted)
            yield from map(_to_key, reply["Responses"].get(self._table, ()))
            wanted = reply.get("UnprocessedKeys")
            if not wanted:
                return
        raise LedgerUnavailable("The ledger is too busy to be read.")

    def _all(self, partition: str) -> Iterator[Mapping[str, Any]]:
        start: dict[str, Any] = {}
        while True:
            reply = self._client.query(
                TableName=self._table,
                KeyConditionExpression="pk = :pk",
                ExpressionAttributeValues={":pk": {"S": partition}},
                ConsistentRead=True,
                **start,
            )
            yield from reply["Items"]
            if "LastEvaluatedKey" not in reply:
                return
            start = {"ExclusiveStartKey": reply["LastEvaluatedKey"]}


def _attributes(key: Key) -> dict[str, Mapping[str, str]]:
    return {"pk": {"S": key.pk}, "sk": {"S": key.sk}}


def _to_key(item: Mapping[str, Any]) -> ApiKey:
    revoked, used = (int(item[name]["N"]) if name in item else None for name in ("revoked_at", "used_at"))
    return from_item(item["item"]["S"], revoked, used)
