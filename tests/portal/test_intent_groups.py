"""Intent groups below /api/v1, and what is set for them; resetting an application's configuration."""

from typing import Any

import pytest

from tests.portal.world import BASE, MILLISECONDS, World, error
from tests.runtime import OTHER_KEY, READ_KEY


def group(world: World, name: str = "CHAT") -> Any:
    return world.post("/intent-groups", {"intent_name": name}, 201)["data"]


def test_groups_are_made_and_read(world: World) -> None:
    made = [group(world, name) for name in ("CHAT", "a #/ä")]
    assert [found["id"] for found in made] == [1, 2]
    at = made[0]["date_created"]
    assert made[0] == {"id": 1, "intent_name": "CHAT", "company_id": 1667104991, "date_created": at, "config": {}}
    assert at >= MILLISECONDS
    assert world.get("/intent-groups") == {"data": made, "pagination": {"total": 2, "offset": 0, "limit": 2}}
    assert world.get("/intent-groups?offset=1&limit=5")["data"] == made[1:]
    assert world.get("/intent-groups/2?detailed=true") == {"data": made[1]}
    with world.after_a_restart() as restarted:
        assert restarted.get("/intent-groups")["data"] == made


def test_the_intents_of_a_group_are_those_of_its_name(world: World) -> None:
    group(world)
    for name in ("shop", "bank"):
        id = world.post("/applications", {"application_name": name}, 201)["data"]["id"]
        for intent in ("CHAT", "OTHER"):
            world.post(f"/applications/{id}/intents", {"action_type": intent}, 201)
    found = world.get("/intent-groups/1/intents")["data"]
    assert [(intent["id"], intent["application_id"], intent["action_type"]) for intent in found] == [
        (1, 1, "CHAT"),
        (3, 2, "CHAT"),
    ]


def test_values_of_a_group_are_set_one_by_one_and_reset(world: World) -> None:
    group(world)
    path = "/intent-groups/1/config"
    assert world.put(path, {"model": "m", "n": 2}) == {"data": {"model": "m", "n": 2}}
    assert world.put(path, {"n": None, "temperature": 0.5}) == {"data": {"model": "m", "temperature": 0.5}}
    assert world.get(path) == {"data": {"model": "m", "temperature": 0.5}}
    assert world.get("/intent-groups/1")["data"]["config"] == {"model": "m", "temperature": 0.5}
    assert world.post(f"{path}/reset") == {"data": {}}
    assert world.get(path) == {"data": {}}


def test_values_of_an_application_are_reset(world: World) -> None:
    world.post("/applications", {"application_name": "shop"}, 201)
    world.put("/applications/1/config", {"model": "m"})
    assert world.post("/applications/1/config/reset") == {"data": {}}
    assert world.get("/applications/1/config") == {"data": {}}
    assert error(world.post("/applications/2/config/reset", None, 404))[0] == 404


@pytest.mark.parametrize("world", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("method", "path", "body", "status", "param"),
    [
        ("POST", "", {}, 400, "intent_name"),
        ("POST", "", {"intent_name": ""}, 400, "intent_name"),
        ("POST", "", {"intent_name": "CHAT"}, 409, None),
        ("PUT", "/1/config", {"temperature": "hot"}, 400, "temperature"),
        ("GET", "/1?detailed=perhaps", None, 400, "detailed"),
        ("GET", "?application_id=1", None, 400, "application_id"),
        ("GET", "/2", None, 404, None),
        ("GET", "/x", None, 404, None),
        ("GET", "/2/config", None, 404, None),
        ("PUT", "/2/config", {}, 404, None),
        ("POST", "/2/config/reset", None, 404, None),
        ("GET", "/2/intents", None, 404, None),
    ],
)
def test_errors_name_the_field(world: World, method: str, path: str, body: Any, status: int, param: str | None) -> None:
    group(world)
    answer = world.weir.call(method, f"{BASE}/intent-groups{path}", json=body)
    assert (answer.status_code, error(answer.json())[::2]) == (status, (status, param))


@pytest.mark.parametrize("world", ["sqlite"], indirect=True)
def test_groups_stay_in_their_workspace_and_editing_needs_its_scope(world: World) -> None:
    group(world)
    other = world.weir.with_key(OTHER_KEY)
    assert other.get(f"{BASE}/intent-groups").json()["data"] == []
    assert other.get(f"{BASE}/intent-groups/1").status_code == 404
    assert other.put(f"{BASE}/intent-groups/1/config", json={"n": 1}).status_code == 404
    reader = world.weir.with_key(READ_KEY)
    assert reader.get(f"{BASE}/intent-groups/1").status_code == 200
    assert reader.put(f"{BASE}/intent-groups/1/config", json={"n": 1}).status_code == 403
    assert reader.post(f"{BASE}/intent-groups/1/config/reset").status_code == 403
    assert reader.post(f"{BASE}/intent-groups", json={"intent_name": "X"}).status_code == 403
    assert world.get("/intent-groups/1/config") == {"data": {}}
