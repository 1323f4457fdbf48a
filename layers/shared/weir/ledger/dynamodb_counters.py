"""Counters in the ledger's DynamoDB table, laid out by keys.py: an item each, changed by one conditional update each.

Not by transactions: those cost twice the writes, and of two at once that touch the same item one is cancelled, which on
a counter that everybody takes from is most of them. A call that is refused by a later counter gives back what it took
from the earlier ones.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from weir.domain.errors import LedgerUnavailable
from weir.ledger import aws
from weir.ledger.counters import Counter, Settlement, Take, Taken, Tally, returned
from weir.ledger.keys import counter_key

_ATTEMPTS = 3
"""At keys that a batch read left unprocessed."""


class DynamoDBCounterStore:
    """botocore tries again by itself when an answer is lost, and such a take may count twice: an update that adds has
    no way to tell. It errs by one call, on the side of the limit."""

    def __init__(self, client: Any, table: str) -> None:
        """`client` is botocore's low-level client, the record store's own: making another takes long."""
        self._client = client
        self._table = table

    def take(self, takes: Sequence[Take]) -> Taken:
        tallies: list[Tally] = []
        for at, take in enumerate(takes):
            try:
                tally, refused = self._take(take)
            except LedgerUnavailable:
                self._give_back(takes[:at])
                raise
            if refused:
                self._give_back(takes[:at])
                before = (_without(*each) for each in zip(tallies, takes, strict=False))
                return Taken((*before, tally), refused=True)
            tallies.append(tally)
        return Taken(tuple(tallies))

    def take_now(self, takes: Sequence[Take]) -> Taken | None:
        return None  # it is a request over the network

    def settle_now(self, settlements: Sequence[Settlement]) -> bool:
        return False

    def commit(self) -> None:
        """Nothing is ever open."""

    def settle(self, settlements: Sequence[Settlement]) -> None:
        """Each by itself: one that is refused does not keep the others."""
        refusal: LedgerUnavailable | None = None
        for counter, used, held in settlements:
            try:
                with aws.refused_as("The counters cannot be written."):
                    self._client.update_item(**self._adding(counter, used, held))
            except LedgerUnavailable as exc:
                refusal = exc
        if refusal is not None:
            raise refusal

    def read(self, counters: Sequence[Counter]) -> tuple[Tally, ...]:
        keys = [_key(counter) for counter in counters]
        found: dict[tuple[str, str], Tally] = {}
        wanted = {self._table: {"Keys": keys, "ConsistentRead": True}}
        with aws.refused_as("The counters cannot be read."):
            for _ in range(_ATTEMPTS):
                reply = self._client.batch_get_item(RequestItems=wanted)
                for item in reply["Responses"].get(self._table, ()):
                    found[item["pk"]["S"], item["sk"]["S"]] = _tally(item)
                wanted = reply.get("UnprocessedKeys")
                if not wanted:
                    return tuple(found.get((key["pk"]["S"], key["sk"]["S"]), Tally()) for key in keys)
        raise LedgerUnavailable("The ledger is too busy to be read.")

    def close(self) -> None:
        """The client is the record store's."""

    def _take(self, take: Take) -> tuple[Tally, bool]:
        asked = self._adding(take.counter, take.amount, take.amount if take.held else 0)
        asked["ReturnValues"] = "ALL_NEW"
        if take.most is not None:
            asked["ConditionExpression"] = "attribute_not_exists(used) OR used < :most" if take.most else "used < :most"
            asked["ExpressionAttributeValues"] |= {":most": _number(take.most)}
            asked["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
        with aws.refused_as("The counters cannot be written."):
            try:
                return _tally(self._client.update_item(**asked)["Attributes"]), False
            except self._client.exceptions.ConditionalCheckFailedException as exc:
                return _tally(exc.response.get("Item", {})), True

    def _give_back(self, takes: Sequence[Take]) -> None:
        if takes:
            self.settle(returned(takes))

    def _adding(self, counter: Counter, used: int, held: int) -> dict[str, Any]:
        adds, values = "used :used", {":used": _number(used), ":expires": _number(counter.expires)}
        if held:
            adds, values = f"{adds}, held :held", {**values, ":held": _number(held)}
        return {
            "TableName": self._table,
            "Key": _key(counter),
            "UpdateExpression": f"ADD {adds} SET expires_at = :expires",
            "ExpressionAttributeValues": values,
        }


def _without(tally: Tally, take: Take) -> Tally:
    return Tally(tally.used - take.amount, tally.held - take.amount * take.held)


def _key(counter: Counter) -> dict[str, dict[str, str]]:
    key = counter_key(counter.workspace, counter.subject, counter.measure, counter.window)
    return {"pk": {"S": key.pk}, "sk": {"S": key.sk}}


def _number(value: int) -> dict[str, str]:
    return {"N": str(value)}


def _tally(item: Mapping[str, Any]) -> Tally:
    return Tally(*(int(item[name]["N"]) if name in item else 0 for name in ("used", "held")))
