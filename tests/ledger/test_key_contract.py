"""What every engine does with API keys."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tests.ledger.engines import DynamoDBAndS3, Engine
from weir.domain.api_key import SCOPES, ApiKey
from weir.domain.errors import Conflict, LedgerUnavailable
from weir.ledger.ports import KeyStore

NOON = datetime(2026, 3, 1, 12, 0, 0, 5000, tzinfo=UTC)
KEY = ApiKey(
    id="000000000001",
    workspace="main",
    name="CI \N{SNOWMAN}",
    environment="test",
    scopes=frozenset({"read", "complete"}),
    digest=bytes(range(32)),
    created_at=NOON,
    expires_at=NOON + timedelta(days=1),
    replaces="000000000000",
)
OTHER = ApiKey(
    id="000000000002",
    workspace="other",
    name="x",
    environment="prod",
    scopes=frozenset(SCOPES),
    digest=b"2" * 32,
    created_at=NOON,
)


def later(seconds: int) -> datetime:
    return NOON + timedelta(seconds=seconds)


def test_a_key_is_found_as_it_was_made(keys: KeyStore) -> None:
    for key in (KEY, OTHER):
        assert keys.add(key)
        assert keys.find(key.id) == key
    assert keys.find("000000000003") is None


def test_another_process_finds_it_at_once(engine: Engine, keys: KeyStore) -> None:
    other = engine.keys()
    keys.add(KEY)
    assert other.find(KEY.id) == KEY
    keys.revoke(KEY.id, later(1))
    assert other.find(KEY.id) == replace(KEY, revoked_at=later(1))


def test_an_id_is_given_once_and_the_first_key_stays(keys: KeyStore) -> None:
    keys.add(KEY)
    with pytest.raises(Conflict):
        keys.add(replace(OTHER, id=KEY.id))
    assert keys.find(KEY.id) == KEY
    assert (keys.of("main"), keys.of("other")) == ((KEY,), ())


def test_only_the_first_key_of_a_workspace_is_the_first(keys: KeyStore) -> None:
    second = replace(KEY, id="000000000003")
    assert [keys.add(key) for key in (KEY, second, OTHER)] == [True, False, True]


def test_the_earlier_of_two_revocations_counts(keys: KeyStore) -> None:
    keys.add(KEY)
    assert [keys.revoke(KEY.id, later(seconds)) for seconds in (10, 20, 5, 7)] == [
        replace(KEY, revoked_at=later(seconds)) for seconds in (10, 10, 5, 5)
    ]
    assert keys.revoke("000000000003", NOON) is None
    assert keys.find("000000000003") is None


def test_the_last_use_never_goes_back(keys: KeyStore) -> None:
    keys.add(KEY)
    for seconds in (10, 5, 20, 15):
        keys.note_use(KEY.id, later(seconds))
    assert keys.find(KEY.id) == replace(KEY, used_at=later(20))
    keys.note_use("000000000003", NOON)
    assert keys.find("000000000003") is None


def test_the_keys_of_a_workspace_are_its_own_the_oldest_first(keys: KeyStore) -> None:
    made = [replace(KEY, id=f"{number:012}", created_at=later(-number)) for number in range(10, 130)]
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(keys.add, [*made, OTHER]))
    keys.note_use(OTHER.id, later(1))
    assert keys.of("main") == tuple(reversed(made))
    assert keys.of("other") == (replace(OTHER, used_at=later(1)),)
    assert [keys.of(name) for name in ("", "Main", "main#keys", "#key")] == [(), (), (), ()]
    assert keys.workspaces() == ("main", "other")


@pytest.mark.parametrize("name", ["a#b", "#keys", "ä/%23", "x" * 300, "workspaces"])
def test_any_name_is_a_workspace_of_its_own(keys: KeyStore, name: str) -> None:
    key = replace(OTHER, workspace=name)
    keys.add(KEY)
    assert keys.add(key)
    assert (keys.of(name), keys.of("main"), keys.workspaces()) == ((key,), (KEY,), tuple(sorted((name, "main"))))


def test_keys_and_records_share_an_engine(engine: Engine, keys: KeyStore) -> None:
    keys.add(KEY)
    with closing(engine.open()) as records:
        assert records.newest("main", limit=10) == ()
        assert records.get("main", KEY.id) is None
    assert engine.configuration().all("main") == {}


def test_a_key_is_found_by_one_read(dynamodb: DynamoDBAndS3) -> None:
    dynamodb.keys().add(KEY)
    dynamodb.wire.calls.clear()
    dynamodb.keys().find(KEY.id)
    dynamodb.keys().find("000000000003")
    assert [(operation, arguments["ConsistentRead"]) for operation, arguments in dynamodb.wire.calls] == [
        ("get_item", True),
        ("get_item", True),
    ]


def test_a_key_that_was_half_made_is_none(dynamodb: DynamoDBAndS3) -> None:
    keys = dynamodb.keys()
    dynamodb.wire.refuses = lambda operation, arguments: (
        arguments.get("Item", {}).get("pk", {}).get("S", "").startswith("#key#")
    )
    with pytest.raises(LedgerUnavailable):
        keys.add(KEY)
    dynamodb.wire.refuses = lambda operation, arguments: False
    assert (keys.of("main"), keys.find(KEY.id)) == ((), None)
    keys.add(KEY)
    assert keys.of("main") == (KEY,)


def test_a_broken_engine_is_unavailable_and_nothing_else(engine: Engine, keys: KeyStore) -> None:
    keys.add(KEY)
    with engine.broken():
        for call in (
            lambda: keys.find(KEY.id),
            lambda: keys.add(OTHER),
            lambda: keys.revoke(KEY.id, NOON),
            lambda: keys.note_use(KEY.id, NOON),
            lambda: keys.of("main"),
            lambda: keys.workspaces(),
        ):
            with pytest.raises(LedgerUnavailable):
                call()
    assert keys.of("main") == (KEY,)
