"""What every engine does with configuration."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.ledger.engines import DynamoDBAndS3, Engine, SQLiteAndFiles
from weir.domain.configuration import Application, Intent, Level, Values
from weir.domain.errors import Conflict, LedgerUnavailable, NotFound, RequestInvalid
from weir.domain.versions import LevelChange, Version, restored
from weir.ledger import keys
from weir.ledger.configuration import Author, Configurations
from weir.ledger.keys import application_key, intent_key
from weir.ledger.ports import ConfigEdit, ConfigStore

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
AUTHOR = Author("operator", NOON)


def becomes(config: Mapping[str, Any]) -> Callable[[Mapping[str, Any]], Mapping[str, Any]]:
    return lambda _: config


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
                configurations.edit_level("main", Level("shop"), lambda c: {**c, str(number): number}, AUTHOR)
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
    assert configurations.edit_level("main", Level(shop.ref_name, "#"), lambda _: {"model": "m"}, AUTHOR) == {
        "model": "m"
    }
    changed = replace(last, config={"model": "m"})
    assert configurations.all("main") == ((shop, (*(i for i in intents[:2] if i is not None), changed)),)


def test_several_items_are_put_together_or_not_at_all(configuration: ConfigStore) -> None:
    first = [ConfigEdit("w", b"1", None), ConfigEdit("a#shop", b"1", None)]
    assert configuration.put_all("main", first, beside={"v#001": b"one"})
    for wrong in (ConfigEdit("w", b"2", None), ConfigEdit("w", b"2", b"0"), ConfigEdit("a#none", b"2", b"1")):
        assert not configuration.put_all("main", [ConfigEdit("a#shop", b"2", b"1"), wrong], beside={"v#002": b"two"})
    assert configuration.all("main") == {"w": b"1", "a#shop": b"1"}
    assert configuration.put_all("main", [ConfigEdit("w", b"2", b"1")], beside={"v#001": b"three"})
    assert configuration.get("main", "w", "a#shop", "v#001", "v#002") == {"w": b"2", "a#shop": b"1", "v#001": b"three"}
    assert configuration.all("other") == configuration.get("other", "v#001") == {}


def test_every_edit_leaves_a_version(configuration: ConfigStore) -> None:
    configurations = Configurations(configuration)
    shop = configurations.add_application("main", "shop", "Shop", NOON)
    assert shop is not None
    configurations.add_intent("main", shop, "CHAT", NOON)
    configurations.add_group("main", "CHAT", NOON)
    later = datetime(2026, 3, 1, 13, tzinfo=UTC)
    edits: list[tuple[Level, Any, Author]] = [
        (Level(), {"n": 1}, AUTHOR),
        (Level("shop"), {"model": "ä", "n": 2}, Author("abc123", later, "why")),
        (Level(None, "CHAT"), {"n": 3}, AUTHOR),
        (Level("shop", "CHAT"), {"n": 4}, AUTHOR),
        (Level("shop"), {"n": 2, "stop": ["x"]}, AUTHOR),
        (Level("shop"), {"stop": ["x"], "n": 2}, AUTHOR),
        (Level(), {}, AUTHOR),
    ]
    for level, config, author in edits:
        configurations.edit_level("main", level, becomes(config), author)
    of_the_workspace = LevelChange(Level(), {}, {"n": 1})
    assert configurations.versions("main", 9, 9) == (
        Version(number=6, at=NOON, by="operator", changes=(LevelChange(Level(), {"n": 1}, {}),)),
        Version(
            number=5,
            at=NOON,
            by="operator",
            changes=(LevelChange(Level("shop"), {"model": "ä"}, {"stop": ["x"]}),),
        ),
        Version(number=4, at=NOON, by="operator", changes=(LevelChange(Level("shop", "CHAT"), {}, {"n": 4}),)),
        Version(number=3, at=NOON, by="operator", changes=(LevelChange(Level(None, "CHAT"), {}, {"n": 3}),)),
        Version(
            number=2,
            at=later,
            by="abc123",
            note="why",
            changes=(LevelChange(Level("shop"), {}, {"model": "ä", "n": 2}),),
        ),
        Version(number=1, at=NOON, by="operator", changes=(of_the_workspace,)),
    )
    assert configurations.newest_version("main") == configurations.snapshot("main").version == 6
    assert configurations.version("main", 1).changes == (of_the_workspace,)
    for number in (0, 7, -1, 1001):
        with pytest.raises(NotFound):
            configurations.version("main", number)
    assert configurations.newest_version("other") == 0
    assert configurations.versions("other", 6, 6) == ()


def test_an_edit_for_another_version_is_refused(configuration: ConfigStore) -> None:
    configurations = Configurations(configuration)
    expecting = [Author("operator", NOON, expected=number) for number in range(3)]
    configurations.edit_level("main", Level(), lambda _: {"n": 1}, expecting[0])
    for wrong in (expecting[0], expecting[2]):
        with pytest.raises(Conflict, match="at version 1, no longer at"):
            configurations.edit_level("main", Level(), lambda _: {"n": 2}, wrong)
    configurations.edit_level("main", Level(), lambda _: {"n": 2}, expecting[1])
    assert configurations.snapshot("main").values == {Level(): {"n": 2}}


def test_edits_at_once_at_different_levels_are_all_versions_in_one_order(configuration: ConfigStore) -> None:
    configurations = Configurations(configuration)
    for name in "abcd":
        configurations.add_group("main", name, NOON)

    def edit(number: int) -> None:
        while True:
            try:
                level = Level(None, "abcd"[number % 4])
                configurations.edit_level("main", level, becomes({"n": number}), AUTHOR)
            except Conflict:
                continue
            return

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(edit, range(1, 13)))
    versions = configurations.versions("main", 12, 12)
    assert [version.number for version in versions] == list(range(12, 0, -1))
    assert sorted(change.after["n"] for version in versions for change in version.changes) == list(range(1, 13))
    assert restored(configurations.snapshot("main").values, versions) == {}


def test_the_last_thousand_versions_are_kept(sqlite: SQLiteAndFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "VERSIONS_KEPT", 5)
    configurations = Configurations(sqlite.configuration())
    for number in range(1, 13):
        configurations.edit_level("main", Level(), becomes({"n": number}), AUTHOR)
    assert [version.number for version in configurations.versions("main", 12, 100)] == [12, 11, 10, 9, 8]
    with pytest.raises(NotFound):
        configurations.version("main", 7)


def test_an_edit_too_large_for_one_version_makes_several(configuration: ConfigStore) -> None:
    configurations = Configurations(configuration)
    names = [f"group {number:03d}" for number in range(100)]
    for name in names:
        configurations.add_group("main", name, NOON)
    large: Values = {
        Level(None, name): {"system_prompt": "x" * (60_000 if name < "group 008" else 1)} for name in names
    }
    made = configurations.edit("main", lambda _: large, AUTHOR._replace(expected=0))
    assert [len(version.changes) for version in made] == [4, 80, 16]
    assert configurations.snapshot("main").values == large
    assert restored(large, configurations.versions("main", 3, 3)) == {}


def test_more_than_a_level_may_hold_is_refused(configuration: ConfigStore) -> None:
    configurations = Configurations(configuration)
    configurations.edit_level("main", Level(), lambda _: {"system_prompt": "ä" * 30_000}, AUTHOR)
    with pytest.raises(RequestInvalid, match="the workspace may have 100000 bytes"):
        configurations.edit_level("main", Level(), lambda c: {**c, "stop": "ä" * 30_000}, AUTHOR)
    with pytest.raises(NotFound, match="There is not the application 'x'"):
        configurations.edit_level("main", Level("x"), lambda c: {"n": 1}, AUTHOR)
    assert configurations.newest_version("main") == 1


def test_what_holds_for_a_call_is_one_read_of_up_to_four_items(dynamodb: DynamoDBAndS3) -> None:
    configurations = Configurations(dynamodb.configuration())
    for application, intent, items in (("shop", "CHAT", 4), ("shop", None, 2), (None, "CHAT", 2), (None, None, 1)):
        dynamodb.wire.calls.clear()
        assert configurations.of_call("main", application, intent) == {}
        ((operation, arguments),) = dynamodb.wire.calls
        assert operation == "batch_get_item"
        assert len(arguments["RequestItems"][dynamodb.table]["Keys"]) == items


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
            lambda: configuration.put_all("main", [ConfigEdit("w", b"1", None)], beside={}),
        ):
            with pytest.raises(LedgerUnavailable):
                call()
    assert configuration.all("main") == {}
