"""`/api/v1/config`: what is set for the workspace, everywhere, and the versions of it; over every engine."""

from typing import Any

import pytest

from tests.portal.world import BASE, MILLISECONDS, World, error
from tests.runtime import OTHER_KEY, READ_KEY

SHOP, CHAT, GROUP = "/applications/1/config", "/applications/1/intents/1/config", "/intent-groups/1/config"


@pytest.fixture
def shop(world: World) -> World:
    """Application 1, `shop`, its intent 1, `CHAT`, and group 1 of that name."""
    world.post("/applications", {"application_name": "Shop"}, 201)
    world.post("/applications/1/intents", {"action_type": "CHAT"}, 201)
    world.post("/intent-groups", {"intent_name": "CHAT"}, 201)
    return world


def numbers(world: World, query: str = "") -> list[int]:
    return [version["version"] for version in world.get(f"/config/versions{query}")["data"]]


def test_values_of_the_workspace_are_set_one_by_one_and_reset(world: World) -> None:
    assert world.get("/config") == {"data": {}}
    assert world.put("/config", {"model": "m", "n": 2}) == {"data": {"model": "m", "n": 2}}
    assert world.put("/config", {"n": None, "temperature": 0.5}) == {"data": {"model": "m", "temperature": 0.5}}
    with world.after_a_restart() as restarted:
        assert restarted.get("/config") == {"data": {"model": "m", "temperature": 0.5}}
    assert world.post("/config/reset") == {"data": {}}
    assert world.get("/config") == {"data": {}}


def test_all_that_is_set_is_read_by_names(shop: World) -> None:
    shop.post("/applications", {"application_name": "Bank"}, 201)
    for path, n in (("/config", 1), (SHOP, 2), (CHAT, 3), (GROUP, 4), ("/applications/2/config", 5)):
        shop.put(path, {"temperature": 0.5, "n": n})
    assert shop.get("/config/tree")["data"] == {
        "version": 5,
        "workspace": {"n": 1, "temperature": 0.5},
        "applications": {
            "bank": {"n": 5, "temperature": 0.5},
            "shop": {"intents": {"CHAT": {"n": 3, "temperature": 0.5}}, "n": 2, "temperature": 0.5},
        },
        "intent_groups": {"CHAT": {"n": 4, "temperature": 0.5}},
    }


def test_a_model_and_a_split_between_models_hide_each_other(shop: World) -> None:
    split = [{"model": "a", "weight": 1.0}]
    shop.put("/config", {"model": "workspace"})
    shop.put(SHOP, {"load_balance_models": split})
    shop.put(CHAT, {"model": "intent"})
    held = [shop.get(f"/config/effective?application=shop{more}")["data"]["config"] for more in ("", "&intent=CHAT")]
    assert held == [{"load_balance_models": split}, {"model": "intent"}]


def test_what_holds_for_a_call_is_told_with_the_level_of_each_value(shop: World) -> None:
    shop.put("/config", {"n": 1, "top_p": 0.1, "max_tokens": 1, "reasoning": {"effort": "low"}})
    shop.put(SHOP, {"n": 2, "top_p": 0.2, "max_tokens": 2})
    shop.put(GROUP, {"n": 3, "top_p": 0.3, "reasoning_effort": "high"})
    shop.put(CHAT, {"n": 4})
    assert shop.get("/config/effective?application=shop&intent=CHAT")["data"] == {
        "config": {"max_tokens": 2, "top_p": 0.3, "reasoning_effort": "high", "n": 4},
        "set_at": {
            "max_tokens": "application",
            "top_p": "intent_group",
            "reasoning_effort": "intent_group",
            "n": "intent",
        },
    }
    assert shop.get("/config/effective")["data"]["set_at"] == dict.fromkeys(
        ("n", "top_p", "max_tokens", "reasoning"), "workspace"
    )
    assert shop.get("/config/effective?application=other")["data"]["config"]["n"] == 1


def test_every_edit_is_a_version_that_says_who_when_what_and_where(shop: World) -> None:
    key = shop.post("/api-keys", {"name": "editor", "scopes": ["admin"]}, 201)["data"]
    editor = shop.weir.with_key(key["key"])
    assert editor.put(f"{BASE}{SHOP}", json={"model": "m", "n": 2}).status_code == 200
    shop.put(CHAT, {"n": 3})
    shop.put(GROUP, {"n": 4})
    shop.put("/config", {"n": 5})
    shop.put("/config", {"n": 5})
    assert editor.post(f"{BASE}{SHOP}/reset").status_code == 200
    found = shop.get("/config/versions")["data"]
    times = [version.pop("date_created") for version in found]
    assert times == sorted(times, reverse=True)
    assert times[-1] >= MILLISECONDS
    named = {"application_ref_name": "shop"}
    assert found == [
        {
            "version": 5,
            "edited_by": key["id"],
            "note": None,
            "changes": [{"level": "application", **named, "before": {"model": "m", "n": 2}, "after": {}}],
        },
        {
            "version": 4,
            "edited_by": "operator",
            "note": None,
            "changes": [{"level": "workspace", "before": {}, "after": {"n": 5}}],
        },
        {
            "version": 3,
            "edited_by": "operator",
            "note": None,
            "changes": [{"level": "intent_group", "intent_name": "CHAT", "before": {}, "after": {"n": 4}}],
        },
        {
            "version": 2,
            "edited_by": "operator",
            "note": None,
            "changes": [{"level": "intent", **named, "intent_name": "CHAT", "before": {}, "after": {"n": 3}}],
        },
        {
            "version": 1,
            "edited_by": key["id"],
            "note": None,
            "changes": [{"level": "application", **named, "before": {}, "after": {"model": "m", "n": 2}}],
        },
    ]
    assert shop.get("/config/versions/2")["data"] == {**found[3], "date_created": times[3]}
    assert (numbers(shop, "?limit=2"), numbers(shop, "?before=4&limit=2"), numbers(shop, "?before=1")) == (
        [5, 4],
        [3, 2],
        [],
    )


def test_going_back_sets_again_what_was_set_and_is_a_version_itself(shop: World) -> None:
    for path, n in (("/config", 1), (SHOP, 2), (CHAT, 3), (SHOP, 4), (GROUP, 5), ("/config", None)):
        shop.put(path, {"n": n})
    made = shop.post("/config/versions/3/restore")["data"]
    assert [(version["version"], version["note"]) for version in made] == [(7, "back to version 3")]
    assert shop.get("/config/tree")["data"] == {
        "version": 7,
        "workspace": {"n": 1},
        "applications": {"shop": {"n": 2, "intents": {"CHAT": {"n": 3}}}},
    }
    assert shop.post("/config/versions/7/restore") == {"data": []}
    assert len(shop.post("/config/versions/6/restore")["data"]) == 1
    assert shop.get("/config/tree")["data"]["intent_groups"] == {"CHAT": {"n": 5}}
    assert len(shop.post("/config/versions/0/restore")["data"]) == 1
    assert shop.get("/config/tree")["data"] == {"version": 9}


def test_an_edit_meant_for_another_version_is_a_conflict(shop: World) -> None:
    shop.put("/config?version=0", {"n": 1})
    for path in ("/config", SHOP, CHAT, GROUP):
        refused = error(shop.put(f"{path}?version=0", {"n": 2}, 409))
        assert refused == (409, "The configuration is at version 1, no longer at 0.", None)
        assert shop.weir.post(f"{BASE}{path}/reset?version=2").status_code == 409
    assert shop.weir.post(f"{BASE}/config/versions/0/restore?version=2").status_code == 409
    assert shop.get("/config/tree")["data"] == {"version": 1, "workspace": {"n": 1}}
    shop.put(f"{SHOP}?version=1", {"n": 2})
    assert numbers(shop) == [2, 1]


def test_values_of_the_workspace_and_of_a_group_hold_for_calls(shop: World) -> None:
    call = {"messages": [{"role": "user", "content": "hi"}]}
    assert shop.weir.post("/v1/chat/completions", json=call).status_code == 400
    shop.put(GROUP, {"model": "demo/echo"})
    named = {**call, "application": "other", "intent": "CHAT"}
    assert shop.weir.post("/v1/chat/completions", json=named).status_code == 200
    assert shop.weir.post("/v1/chat/completions", json=call).status_code == 400
    shop.put("/config", {"model": "demo/echo"})
    assert shop.weir.post("/v1/chat/completions", json=call).status_code == 200


@pytest.mark.parametrize("world", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("method", "path", "body", "status", "param"),
    [
        ("PUT", "/config", {"temperature": "hot"}, 400, "temperature"),
        ("PUT", "/config", {"temprature": 1}, 400, "temprature"),
        ("PUT", "/config", [], 400, None),
        ("PUT", "/config?version=x", {"n": 1}, 400, "version"),
        ("PUT", "/config?versoin=1", {"n": 1}, 400, "versoin"),
        ("GET", "/config?level=a", None, 400, "level"),
        ("GET", "/config/effective?intnet=a", None, 400, "intnet"),
        ("GET", "/config/versions?limit=101", None, 400, "limit"),
        ("GET", "/config/versions/1", None, 404, None),
        ("GET", "/config/versions/x", None, 404, None),
        ("POST", "/config/versions/1/restore", None, 404, None),
        ("POST", "/config/versions/x/restore", None, 404, None),
    ],
)
def test_errors_name_the_field(world: World, method: str, path: str, body: Any, status: int, param: str | None) -> None:
    answer = world.weir.call(method, BASE + path, json=body)
    assert (answer.status_code, error(answer.json())[::2]) == (status, (status, param))


@pytest.mark.parametrize("world", ["sqlite"], indirect=True)
def test_configuration_stays_in_its_workspace_and_editing_needs_its_scope(shop: World) -> None:
    shop.put("/config", {"n": 1})
    other = shop.weir.with_key(OTHER_KEY)
    for path in ("/config", "/config/versions"):
        assert other.get(BASE + path).json()["data"] in ({}, [])
    assert other.get(f"{BASE}/config/tree").json() == {"data": {"version": 0}}
    assert other.get(f"{BASE}/config/effective?application=shop").json()["data"]["config"] == {}
    assert other.get(f"{BASE}/config/versions/1").status_code == 404
    assert other.post(f"{BASE}/config/versions/1/restore").status_code == 404
    reader = shop.weir.with_key(READ_KEY)
    for path in ("/config", "/config/tree", "/config/effective", "/config/versions", "/config/versions/1"):
        assert reader.get(BASE + path).status_code == 200
    assert reader.put(f"{BASE}/config", json={"n": 2}).status_code == 403
    assert reader.post(f"{BASE}/config/reset").status_code == 403
    assert reader.post(f"{BASE}/config/versions/0/restore").status_code == 403
    assert shop.get("/config/tree")["data"] == {"version": 1, "workspace": {"n": 1}}
