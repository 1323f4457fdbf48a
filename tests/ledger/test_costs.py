"""What a kept call costs: write units as DynamoDB counts them, and what `make cost` makes of them."""

from collections import Counter
from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from infra.cost.__main__ import SIZES, dollars, read_prices
from infra.cost.beside import measure_beside
from infra.cost.idle import idle_bill
from infra.cost.paths import PATHS, Kept, measure
from infra.cost.units import write_units
from tests.infra.template import table_definition
from tests.ledger.engines import DynamoDBAndS3
from tests.ledger.test_contract import LARGE, NOON, keep, record
from tests.ledger.test_indexes import turn
from tests.ledger.test_small_items import USUAL
from weir.domain.ids import instant_of, uuid7
from weir.ledger.dynamodb import DynamoDBRecordStore
from weir.ledger.keys import INDEXES
from weir.ledger.ports import Entry


class Measured:
    """DynamoDB Local, asked what each put consumed."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.exceptions = client.exceptions
        self.puts: list[tuple[Any, float]] = []

    def __getattr__(self, operation: str) -> Any:
        return getattr(self._client, operation)

    def put_item(self, **arguments: Any) -> Any:
        reply = self._client.put_item(**arguments, ReturnConsumedCapacity="INDEXES")
        self.puts.append((arguments["Item"], reply["ConsumedCapacity"]["CapacityUnits"]))
        return reply

    def close(self) -> None:
        """The client under it serves the other tests too."""


def test_units_are_counted_as_dynamodb_counts_them(real: DynamoDBAndS3) -> None:
    client = Measured(real.wire)
    with closing(DynamoDBRecordStore(client, real.table)) as store:
        keep(
            store,
            *(Entry(record(NOON, n, caller_id=f"order-{n}"), b"x" * n) for n in (0, 900, 956, 957, 958, 2000, 9999)),
            Entry(USUAL, b"content"),
            *(Entry(replace(turn(n), metadata=LARGE), b"x" * 2000) for n in range(4)),
            Entry(record(NOON, 4, workspace="größe " * 20), b"content"),
        )
    indexes = table_definition()["GlobalSecondaryIndexes"]
    assert len(client.puts) > 30
    assert [write_units(item, indexes).total() for item, _ in client.puts] == [units for _, units in client.puts]


class Reads:
    """DynamoDB Local, asked what each read consumed."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.exceptions = client.exceptions
        self.queries = 0
        self.units = 0.0

    def __getattr__(self, operation: str) -> Any:
        return getattr(self._client, operation)

    def query(self, **arguments: Any) -> Any:
        reply = self._client.query(**arguments, ReturnConsumedCapacity="TOTAL")
        self.queries += 1
        self.units += reply["ConsumedCapacity"]["CapacityUnits"]
        return reply

    def close(self) -> None:
        """The client under it serves the other tests too."""


def test_a_list_reads_the_same_however_many_records_there_are(real: DynamoDBAndS3) -> None:
    """Of one day, whose partition is the one that is read."""

    def reads() -> dict[str, tuple[int, float]]:
        found = {}
        client = Reads(real.wire)
        with closing(DynamoDBRecordStore(client, real.table)) as store:
            for name, read in {
                "newest": partial(store.newest, "main", limit=50),
                "customer": partial(store.of_customer, "main", "c1", limit=50),
                "intent": partial(store.of_intent, "main", "shop", "i1", limit=50),
            }.items():
                client.queries, client.units = 0, 0.0
                assert len(read()) == 50
                found[name] = (client.queries, client.units)
        return found

    def fill(first: int, last: int) -> None:
        named = (replace(turn(n), id=(id := uuid7(NOON + n, n)), created_at=instant_of(id)) for n in range(first, last))
        with closing(DynamoDBRecordStore(real.wire, real.table, writers=8)) as store:
            keep(store, *map(Entry, named))

    fill(0, 150)
    few = reads()
    fill(150, 900)
    many = reads()
    assert {name: queries for name, (queries, _) in many.items()} == {"newest": 2, "customer": 1, "intent": 1}
    assert all(abs(many[name][1] - few[name][1]) <= few[name][1] / 10 for name in few), (few, many)


def test_a_session_of_200_turns_is_one_query(real: DynamoDBAndS3) -> None:
    with closing(real.open()) as store:
        turns = [
            replace(USUAL, id=turn(n).id, created_at=turn(n).created_at, caller_id=None, session_id="s1")
            for n in range(200)
        ]
        keep(store, *map(Entry, turns))
    client = Reads(real.wire)
    with closing(DynamoDBRecordStore(client, real.table)) as store:
        assert store.of_session("default", "s1", limit=200) == tuple(turns)
    assert client.queries == 1


@pytest.fixture(scope="module")
def by_default() -> dict[tuple[str, int], Kept]:
    return measure(SIZES, INDEXES)


def test_a_call_costs_its_record_its_payload_and_one_unit_for_each_index(
    by_default: dict[tuple[str, int], Kept],
) -> None:
    """Written out: whoever makes a call dearer has to change this."""
    payload_units = {"2": 1, "8": 4, "32": 11}
    more = {
        "store-only": {"index session": 1, "index intent": 1},
        "store-only, id chosen by the caller": {"index session": 1, "index intent": 1, "caller's id": 1},
        "request log": {"index customer": 1},
        "completion": {},
    }
    assert {key: kept.units for key, kept in by_default.items()} == {
        (name, size): Counter({"record": 1, "payload": payload_units[str(size // 1024)], **more[name]})
        for name in PATHS
        for size in SIZES
    }


def test_a_payload_costs_its_compressed_kilobytes_and_no_put_of_s3(by_default: dict[tuple[str, int], Kept]) -> None:
    around = 70  # the payload's key and the names of its attributes
    for kept in by_default.values():
        assert kept.units["payload"] == -(-(kept.compressed + around) // 1024)
        assert kept.s3_puts == 0


def test_8_kb_with_a_session_index_cost_no_more_than_3_80_a_million() -> None:
    found = measure((8192,), frozenset({"session"}))
    assert found["store-only", 8192].units["index session"] == 1
    assert 8000 < found["store-only", 8192].payload <= 8192
    assert dollars(found["store-only", 8192], read_prices()) <= 3.80


def test_limits_the_cache_and_the_log_cost_what_the_documentation_says() -> None:
    """docs/limits.md, docs/cache.md and docs/aws.md."""
    found = measure_beside()
    assert found.units == {
        "a short answer in the cache": 1,
        "a limit of requests_per_minute": 1,
        "a limit of tokens_per_minute": 2,
        "a limit of spend_per_day": 2,
        "a limit of spend_per_month": 2,
    }
    assert 350 < found.logged["Weir's line of figures"] < 450


def test_an_idle_stack_costs_no_more_than_10_cents_a_month() -> None:
    assert idle_bill(read_prices()) <= 0.10


def test_what_is_paid_by_the_month_is_counted_when_it_is_asked_for() -> None:
    """16 metrics that alarms look at, and a dashboard; some of both are free, which is not counted."""
    prices = read_prices()
    bills = [idle_bill(prices, given) for given in ({"Alarms": "on"}, {"Dashboard": "on"})]
    assert bills == [pytest.approx(idle_bill(prices) + more) for more in (1.60, 3.00)]


def test_every_price_says_where_it_is_from() -> None:
    prices = read_prices()
    priced = [price for name, price in prices.items() if name not in ("date", "idle", "server")] + prices["server"]
    assert len(priced) > 5
    assert all(price["source"] for price in priced)
