"""Configuration in the ledger's DynamoDB table: one partition a workspace, laid out by keys.py."""

from collections.abc import Mapping, Sequence
from typing import Any

from weir.domain.errors import LedgerUnavailable
from weir.ledger import aws
from weir.ledger.keys import VERSION_PREFIX, config_partition, versions_partition
from weir.ledger.ports import ConfigEdit

_ATTEMPTS = 3
"""At keys that a batch read left unprocessed."""


class DynamoDBConfigStore:
    def __init__(self, client: Any, table: str) -> None:
        """`client` is botocore's low-level client, the record store's own: making another takes long."""
        self._client = client
        self._table = table

    def get(self, workspace: str, *keys: str) -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        wanted = {self._table: {"Keys": [_key(workspace, key) for key in keys], "ConsistentRead": True}}
        with aws.refused_as("The configuration cannot be read."):
            for _ in range(_ATTEMPTS):
                reply = self._client.batch_get_item(RequestItems=wanted)
                found |= _contents(reply["Responses"].get(self._table, ()))
                wanted = reply.get("UnprocessedKeys")
                if not wanted:
                    return found
        raise LedgerUnavailable("The ledger is too busy to be read.")

    def all(self, workspace: str) -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        start: dict[str, Any] = {}
        with aws.refused_as("The configuration cannot be read."):
            while True:
                reply = self._client.query(
                    TableName=self._table,
                    KeyConditionExpression="pk = :pk",
                    ExpressionAttributeValues={":pk": {"S": config_partition(workspace)}},
                    ConsistentRead=True,
                    **start,
                )
                found |= _contents(reply["Items"])
                if "LastEvaluatedKey" not in reply:
                    return found
                start = {"ExclusiveStartKey": reply["LastEvaluatedKey"]}

    def put(self, workspace: str, key: str, content: bytes, *, instead_of: bytes | None) -> bool:
        with aws.refused_as("The configuration cannot be written."):
            try:
                self._client.put_item(**self._edit(workspace, ConfigEdit(key, content, instead_of)))
            except self._client.exceptions.ConditionalCheckFailedException:
                return False
            return True

    def put_all(self, workspace: str, edits: Sequence[ConfigEdit], *, beside: Mapping[str, bytes]) -> bool:
        puts = [self._edit(workspace, edit) for edit in edits]
        puts += [self._item(workspace, key, content) for key, content in beside.items()]
        with aws.refused_as("The configuration cannot be written."):
            try:
                self._client.transact_write_items(TransactItems=[{"Put": put} for put in puts])
            except self._client.exceptions.TransactionCanceledException as exc:
                reasons = {reason.get("Code") for reason in exc.response.get("CancellationReasons", ())}
                if reasons & {"ConditionalCheckFailed", "TransactionConflict"}:
                    return False
                raise
            return True

    def next_number(self, workspace: str, sequence: str, *, limit: int | None = None) -> int | None:
        values = {":one": {"N": "1"}}
        condition: dict[str, Any] = {}
        if limit is not None:
            values[":limit"] = {"N": str(limit)}
            condition["ConditionExpression"] = "attribute_not_exists(n) OR n < :limit"
        with aws.refused_as("The configuration cannot be written."):
            try:
                reply = self._client.update_item(
                    TableName=self._table,
                    Key=_key(workspace, f"n#{sequence}"),
                    UpdateExpression="ADD n :one",
                    ExpressionAttributeValues=values,
                    ReturnValues="UPDATED_NEW",
                    **condition,
                )
            except self._client.exceptions.ConditionalCheckFailedException:
                return None
            return int(reply["Attributes"]["n"]["N"])

    def _edit(self, workspace: str, edit: ConfigEdit) -> dict[str, Any]:
        put = self._item(workspace, edit.key, edit.content)
        if edit.instead_of is None:
            return {**put, "ConditionExpression": "attribute_not_exists(pk)"}
        values = {":before": {"S": edit.instead_of.decode()}}
        return {**put, "ConditionExpression": "content = :before", "ExpressionAttributeValues": values}

    def _item(self, workspace: str, key: str, content: bytes) -> dict[str, Any]:
        return {"TableName": self._table, "Item": {**_key(workspace, key), "content": {"S": content.decode()}}}


def _key(workspace: str, key: str) -> dict[str, Mapping[str, str]]:
    partition = versions_partition if key.startswith(VERSION_PREFIX) else config_partition
    return {"pk": {"S": partition(workspace)}, "sk": {"S": key}}


def _contents(items: Any) -> dict[str, bytes]:
    return {item["sk"]["S"]: item["content"]["S"].encode() for item in items if "content" in item}
