"""Answers that may be given again, in the ledger's DynamoDB table, laid out by keys.py."""

import math
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from weir.ledger import aws
from weir.ledger.keys import answer_key


class DynamoDBAnswerStore:
    def __init__(self, client: Any, table: str) -> None:
        """`client` is botocore's low-level client, the record store's own: making another takes long."""
        self._client = client
        self._table = table

    def get(self, workspace: str, key: str, at: datetime) -> bytes | None:
        """What has expired lies there for some days more."""
        with aws.refused_as("The cache cannot be read."):
            reply = self._client.get_item(TableName=self._table, Key=_attributes(workspace, key), ConsistentRead=True)
        item = reply.get("Item")
        if item is None or int(item["expires_at"]["N"]) <= at.timestamp():
            return None
        content: bytes = item["content"]["B"]
        return content

    def put(self, workspace: str, key: str, content: bytes, expires: datetime) -> None:
        item = {
            **_attributes(workspace, key),
            "content": {"B": content},
            "expires_at": {"N": str(math.floor(expires.timestamp()))},
        }
        with aws.refused_as("The cache cannot be written."):
            self._client.put_item(TableName=self._table, Item=item)

    def delete(self, workspace: str, key: str) -> None:
        with aws.refused_as("The cache cannot be written."):
            self._client.delete_item(TableName=self._table, Key=_attributes(workspace, key))

    def expire(self, at: datetime, *, go_on: Callable[[], bool] = lambda: True) -> int:
        return 0  # DynamoDB does it, within a few days of an item's `expires_at`


def _attributes(workspace: str, key: str) -> dict[str, Mapping[str, str]]:
    pk, sk = answer_key(workspace, key)
    return {"pk": {"S": pk}, "sk": {"S": sk}}
