"""What every engine does with configuration."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime

import pytest

from tests.ledger.engines import Engine
from weir.domain.configuration import Application, Intent
from weir.domain.errors import Conflict, LedgerUnavailable
from weir.ledger.configuration import Configurations
from weir.ledger.keys import application_key, intent_key
from weir.ledger.ports import ConfigStore

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_an_item_is_put_where_nothing_was(configuration: ConfigStore) -> None:
    assert configuration.put("main", "a#shop", b'{"n":1}', instead_of=None)
    assert not configuration.put("main", "a#shop", b'{"n":2}', instead_of=None)
    assert configuration.get("main", "a#shop", "a#none") == {"a#shop": b'{"n":1}'}


def test_an_item_is_replaced_only_as_it_was_read(configuration: ConfigStore) -> None:
    configuration.put("main", "a#shop", b"1", instead_of=None)
    assert configuration.put("main", "a#shop", b"2", instead_of=b"1")
    assert not configuration.put("main", "a#shop", b"3", instead_of=b"1")
    assert not configuration.put("main", "a#none", b"3", instead_of=b"1")
    assert configuration.all("main") == {"a#shop": b"2"}


def test_another_workspace_sees_nothing(configuration: ConfigStore) -> None:
    configuration.put("main", "a#shop", b"1", instead_of=None)
    configuration.next_number("main", "applications")
    for other in ("other", "", "main#config", "Main"):
        assert configuration.get(other, "a#shop") == {}
        assert configuration.all(other) == {}
        assert configuration.next_number(other, "applications") == 1


def test_numbers_are_given_out_once(configuration: ConfigStore) -> None:
    with ThreadPoolExecutor(8) as threads:
        numbers = list(threads.map(lambda _: configuration.next_number("main", "intents"), range(40)))
    assert sorted(number for number in numbers if number is not None) == list(range(1, 41))
    assert configuration.next_number("main", "applications") == 1
    assert configuration.all("main") == {}


def test_numbers_end_at_their_limit(configuration: ConfigStore) -> None:
    assert [configuration.next_number("main", "intents", limit=2) for _ in range(4)] == [1, 2, None, None]
    assert configuration.next_number("main", "intents") == 3


def test_of_many_edits_at_once_none_is_lost(configuration: ConfigStore) -> None:
    configurations = Configurations(configuration)
    assert configurations.add_application("main", "shop", "Shop", NOON) is not None

    def edit(number: int) -> None:
        while True:
            try:
                configurations.edit_application("main", "shop", lambda config: {**config, str(number): number})
            except Conflict:
                continue
            return

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(edit, range(16)))
    application, _ = configurations.find("main", "shop")
    assert application is not None
    assert application.config == {str(number): number for number in range(16)}


def test_an_application_and_its_intents_are_read_as_they_were_made(configuration: ConfigStore) -> None:
    configurations = Configurations(configuration)
    shop = Application(id=1, ref_name="shop #1/ä", name="Shop", created_at=NOON)
    made = configurations.add_application("main", shop.ref_name, "Shop", NOON)
    assert made == shop
    intents = [configurations.add_intent("main", shop, name, NOON) for name in ("SEARCH", "search", "#")]
    assert [intent.id for intent in intents if intent is not None] == [1, 2, 3]
    assert configurations.add_application("main", shop.ref_name, "Again", NOON) is None
    assert configurations.add_intent("main", shop, "#", NOON) is None
    last = Intent(id=3, application_id=1, application=shop.ref_name, name="#", created_at=NOON)
    assert configurations.find("main", shop.ref_name, "#") == (shop, last)
    assert configurations.find("main", shop.ref_name) == (shop, None)
    assert configurations.find("main", "other", "#") == (None, None)
    changed = configurations.edit_intent("main", shop.ref_name, "#", lambda _: {"model": "m"})
    assert changed.config == {"model": "m"}
    assert configurations.all("main") == ((shop, (*(i for i in intents[:2] if i is not None), changed)),)


def test_names_do_not_run_into_each_other() -> None:
    assert len({intent_key("a#b", "c"), intent_key("a", "b#c"), application_key("a#b#c"), intent_key("a", "c")}) == 4


def test_configuration_and_records_share_an_engine(engine: Engine) -> None:
    with closing(engine.open()) as records:
        engine.configuration().put("main", "a#shop", b"1", instead_of=None)
        assert records.newest("main", limit=10) == ()
        assert records.get("main", "a#shop") is None


def test_a_broken_engine_is_unavailable_and_nothing_else(engine: Engine, configuration: ConfigStore) -> None:
    with engine.broken():
        for call in (
            lambda: configuration.get("main", "a#shop"),
            lambda: configuration.all("main"),
            lambda: configuration.put("main", "a#shop", b"1", instead_of=None),
            lambda: configuration.put("main", "a#shop", b"1", instead_of=b"0"),
            lambda: configuration.next_number("main", "intents"),
        ):
            with pytest.raises(LedgerUnavailable):
                call()
    assert configuration.all("main") == {}
