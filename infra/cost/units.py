"""DynamoDB's write units and S3's puts, counted from the calls that a client makes."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from weir.ledger.small_items import size

_UNIT = 1024
_OTHER_WRITES = frozenset({"update_item", "delete_item", "batch_write_item", "transact_write_items"})
_COUNTERS = "#used#"
"""In the partition keys of limits' counters, see weir/ledger/keys.py: items of some 200 bytes, a unit an update."""


class Counted:
    """A botocore client that remembers what was put, and the units of what was updated."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.exceptions = client.exceptions
        self.puts: list[Mapping[str, Any]] = []
        self.updated: Counter[str] = Counter()

    def clear(self) -> None:
        self.puts.clear()
        self.updated.clear()

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        def call(**arguments: Any) -> Any:
            if operation in ("put_item", "put_object"):
                self.puts.append(arguments)
            elif operation == "update_item" and _COUNTERS in arguments["Key"]["pk"]["S"]:
                self.updated["limit"] += 1
            elif operation in _OTHER_WRITES:
                raise LookupError(f"no rule says how many units {operation} takes")
            return getattr(self._client, operation)(**arguments)

        return call

    def close(self) -> None:
        self._client.close()


def write_units(item: Mapping[str, Mapping[str, Any]], indexes: Iterable[Mapping[str, Any]]) -> Counter[str]:
    """Of one item put where nothing was, by what it is for. `indexes` are those of CreateTable."""
    units = Counter({_purpose(item): _ceil(size(item))})
    for index in indexes:
        keys = [key["AttributeName"] for key in index["KeySchema"]]
        if all(key in item for key in keys):
            kept = {"pk", "sk", *keys, *index["Projection"]["NonKeyAttributes"]}
            copy = {name: value for name, value in item.items() if name in kept}
            units[f"index {index['IndexName']}"] += _ceil(size(copy))
    return units


def _purpose(item: Mapping[str, Mapping[str, Any]]) -> str:
    pk, sk = item["pk"]["S"], item["sk"]["S"]
    if sk.startswith("r#"):
        return "record"
    if sk.startswith("p#"):
        return "payload"
    if "#cache#" in pk:
        return "answer"
    return "caller's id" if "#id#" in pk else "other"


def _ceil(size: int) -> int:
    return max(1, -(-size // _UNIT))
