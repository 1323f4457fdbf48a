"""API keys: made, listed, replaced and revoked below /api/v1, and what they open."""

import logging
import secrets
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from functions.completion import app as completion
from functions.portal import app as portal
from functions.request_log import app as request_log
from functions.storage import app as storage
from tests.functions.test_storage import DOCUMENTED
from tests.runtime import KEY, OTHER_KEY, READ_KEY, START, Caller, fixed_runtime
from weir.domain.api_key import RANDOM_BITS, read_id
from weir.http.auth import MAX_AGE_S, Keyring, Principal
from weir.ledger.sqlite_keys import SQLiteKeyStore
from weir.runtime.bootstrap import Runtime
from weir.services.keys import Keys

BASE = "/api/v1/api-keys"
MILLISECONDS = int(START.timestamp() * 1000)
DAY = 24 * 3600 * 1000


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> datetime:
        return START + timedelta(seconds=self.seconds)


class World:
    """All functions in one process, and `elsewhere`, another process on the same ledger. One clock for both."""

    def __init__(self, folder: Path) -> None:
        self.clock = Clock()
        base = fixed_runtime(folder)
        store = SQLiteKeyStore(base.settings.data_dir / "ledger.sqlite")
        keys = Keys(store, "default", now=self.clock.now, random=lambda: secrets.randbits(RANDOM_BITS))
        operators = {KEY: Principal("default"), READ_KEY: Principal("default", scopes=frozenset({"read"}))}

        def process() -> Runtime:
            ring = Keyring(operators, store, now=self.clock.now, clock=lambda: self.clock.seconds)
            return replace(base, keyring=ring, keys=keys, now=self.clock.now)

        mounts = [app.mount for app in (completion, storage, request_log, portal)]
        self.runtime = process()
        self.weir = Caller.of(self.runtime, mounts)
        self.elsewhere = Caller.of(process(), mounts)

    def make(self, **body: Any) -> dict[str, Any]:
        answer = self.weir.post(BASE, json={"name": "CI", **body})
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()["data"]
        return made

    def status(self, key: str, where: Caller | None = None) -> int:
        return (where or self.weir).with_key(key).get("/api/request-logs").status_code


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.runtime.ledger.close()


def test_a_key_is_made_and_shown_once(world: World) -> None:
    answer = world.weir.post(
        BASE,
        json={"name": "CI", "tenant": "acme", "scopes": ["read", "complete"], "expires_at": MILLISECONDS + DAY},
    )
    made = answer.json()["data"]
    key, id = made.pop("key"), made["id"]
    assert (answer.status_code, answer.headers["cache-control"], read_id(key)) == (201, "no-store", id)
    shown = {
        "id": id,
        "name": "CI",
        "tenant": "acme",
        "environment": "prod",
        "scopes": ["complete", "read"],
        "prefix": key[:17],
        "state": "active",
        "date_created": MILLISECONDS,
        "expires_at": MILLISECONDS + DAY,
        "revoked_at": None,
        "last_used_at": None,
        "replaces": None,
    }
    assert made == {**shown, "new_tenant": True}
    page = {"total": 1, "offset": 0, "limit": 1}
    assert world.weir.get(f"{BASE}?tenant=acme").json() == {"data": [shown], "pagination": page}
    for spelled in (id, key[:17]):
        assert world.weir.get(f"{BASE}/{spelled}").json() == {"data": shown}
    assert world.weir.get(BASE).json()["data"] == []
    assert world.make(tenant="acme")["new_tenant"] is False
    assert world.make()["new_tenant"] is False


def test_a_key_opens_what_its_scopes_say_in_its_own_workspace(world: World) -> None:
    key = world.make(tenant="acme", environment="test")["key"]
    acme = world.weir.with_key(key)
    made = acme.post("/api/request-logs/create", json={"model": "m"}).json()
    assert acme.get(f"/api/request-logs/{made['id']}").json()["environment"] == "test"
    body = {"model": "demo/echo", "messages": [{"role": "user", "content": "Hi"}]}
    assert acme.post("/v1/chat/completions", json=body).status_code == 200
    assert acme.get(BASE).status_code == 403
    assert world.weir.get(f"/api/request-logs/{made['id']}").status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "body", "read"),
    [
        ("POST", "/v1/chat/completions", {}, lambda answer: answer["error"]["type"] == "permission_error"),
        ("POST", "/chat/completions/serialized", {}, None),
        ("PUT", "/chat/completions/response", {}, None),
        ("POST", "/api/request-logs/create", {}, lambda answer: "'ingest'" in answer["detail"]),
        ("POST", BASE, {}, lambda answer: answer["error"]["status"] == 403),
    ],
)
def test_a_wrong_scope_is_403_in_every_dialect(world: World, method: str, path: str, body: Any, read: Any) -> None:
    key = world.make(tenant="acme", scopes=["read"])["key"]
    answer = world.weir.with_key(key).call(method, path, json=body)
    assert answer.status_code == 403
    assert "does not have the scope" in answer.text
    assert read is None or read(answer.json())


def test_a_revoked_key_is_401_at_once_here_and_within_ten_seconds_elsewhere(world: World) -> None:
    made = world.make(tenant="acme")
    assert [world.status(made["key"], where) for where in (world.weir, world.elsewhere)] == [200, 200]
    world.clock.seconds = 1
    answer = world.weir.call("DELETE", f"{BASE}/{made['id']}")
    assert (answer.status_code, answer.json()["data"]["state"]) == (200, "revoked")
    assert [world.status(made["key"], where) for where in (world.weir, world.elsewhere)] == [401, 200]
    world.clock.seconds = MAX_AGE_S
    assert world.status(made["key"], world.elsewhere) == 401
    assert world.weir.call("DELETE", f"{BASE}/{made['id']}").json() == answer.json()


def test_a_key_ends_when_it_was_said_to(world: World) -> None:
    key = world.make(expires_at=MILLISECONDS + 5000)["key"]
    world.clock.seconds = 4.999
    assert world.status(key) == 200
    world.clock.seconds = 5
    assert world.status(key) == 401
    assert world.weir.get(BASE).json()["data"][0]["state"] == "expired"


def test_a_key_is_replaced_without_a_gap(world: World) -> None:
    made = world.make(tenant="acme", environment="test", scopes=["read"], expires_at=MILLISECONDS + DAY)
    world.clock.seconds = 60
    answer = world.weir.post(f"{BASE}/{made['id']}/rotate", json={"overlap_seconds": 3600})
    new = answer.json()["data"]
    changed = {name for name in made if made[name] != new[name]}
    assert answer.status_code == 201
    assert changed == {"id", "key", "prefix", "date_created", "expires_at", "replaces", "new_tenant"}
    assert (new["replaces"], new["expires_at"]) == (made["id"], MILLISECONDS + 60_000 + DAY)
    assert [world.status(key) for key in (made["key"], new["key"])] == [200, 200]
    world.clock.seconds = 3660
    assert [world.status(key) for key in (made["key"], new["key"])] == [401, 200]
    assert world.weir.post(f"{BASE}/{made['id']}/rotate").status_code == 409
    assert world.weir.post(f"{BASE}/{new['id']}/rotate").status_code == 201
    assert world.status(new["key"]) == 401


def test_a_key_that_replaces_another_has_its_limits(world: World) -> None:
    old = world.make(tenant="acme")
    limit = {"per": "key", "name": old["prefix"], "measure": "requests_per_minute", "limit": 0, "tenant": "acme"}
    assert world.weir.post("/api/v1/limits", json=limit).status_code == 201
    body = {"model": "demo/echo", "messages": [{"role": "user", "content": "hi"}]}
    new = world.weir.post(f"{BASE}/{old['id']}/rotate", json={"overlap_seconds": 60}).json()["data"]
    answers = [world.weir.with_key(each["key"]).post("/v1/chat/completions", json=body) for each in (old, new)]
    assert [answer.status_code for answer in answers] == [429, 429]
    listed = world.weir.get("/api/v1/limits?tenant=acme").json()["data"]
    assert [each["name"] for each in listed] == [old["id"], new["id"]]


def test_only_the_operator_makes_tenants_and_reaches_other_ones(world: World) -> None:
    acme = world.weir.with_key(world.make(tenant="acme", scopes=["admin"])["key"])
    bolt = world.make(tenant="bolt")
    own = acme.post(BASE, json={"name": "own"}).json()["data"]
    assert own["tenant"] == "acme"
    assert acme.post(BASE, json={"name": "own", "tenant": "acme"}).status_code == 201
    for tenant in ("bolt", "default", "new"):
        assert acme.post(BASE, json={"name": "x", "tenant": tenant}).status_code == 403
        assert acme.get(f"{BASE}?tenant={tenant}").status_code == 403
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/rotate")):
        answer = acme.call(method, f"{BASE}/{bolt['id']}{path}")
        assert (answer.status_code, answer.json()["error"]["message"]) == (404, "There is no such API key.")
    assert world.status(bolt["key"]) == 200
    assert world.weir.call("DELETE", f"{BASE}/{bolt['id']}").status_code == 200
    assert {view["tenant"] for view in acme.get(BASE).json()["data"]} == {"acme"}
    operator = world.weir.with_key(world.make(scopes=["admin"])["key"])
    assert operator.post(BASE, json={"name": "x", "tenant": "new"}).json()["data"]["new_tenant"] is True


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "name"),
        ({"name": ""}, "name"),
        ({"name": " x"}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"name": "x", "tenant": "a\nb"}, "tenant"),
        ({"name": "x", "tenant": ""}, "tenant"),
        ({"name": "x", "tenant": KEY}, "tenant"),
        ({"name": "x", "scopes": []}, "scopes"),
        ({"name": "x", "scopes": ["all"]}, "scopes[0]"),
        ({"name": "x", "environment": "dev"}, "environment"),
        ({"name": "x", "expires_at": MILLISECONDS}, "expires_at"),
        ({"name": "x", "expires_at": MILLISECONDS // 1000}, "expires_at"),
        ({"name": "x", "expires_at": 10**18}, "expires_at"),
        ({"name": "x", "scope": ["admin"]}, "scope"),
        (None, None),
    ],
)
def test_what_cannot_be_made_is_refused_by_name(world: World, body: Any, param: str | None) -> None:
    answer = world.weir.post(BASE, json=body) if body is not None else world.weir.post(BASE)
    error = answer.json()["error"]
    assert (answer.status_code, error["details"]) == (400, {"param": param} if param else {})
    assert world.weir.get(BASE).json()["data"] == []


def test_other_keys_may_not_manage_keys(world: World) -> None:
    for key, status in ((None, 401), (READ_KEY, 403), (OTHER_KEY, 401)):
        caller = world.weir.with_key(key)
        for answer in (caller.get(BASE), caller.post(BASE, json={"name": "x"}), caller.call("DELETE", f"{BASE}/x")):
            assert (answer.status_code, answer.json()["error"]["status"]) == (status, status)


def test_a_use_is_shown(world: World) -> None:
    made = world.make(tenant="acme")
    world.clock.seconds = 7
    world.status(made["key"])
    assert world.weir.get(f"{BASE}/{made['id']}").json()["data"]["last_used_at"] == MILLISECONDS + 7000


def test_a_key_is_in_one_answer_and_nowhere_else(
    world: World, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="weir")
    made = world.make(tenant="acme", scopes=["admin", "read", "ingest"])
    new = world.weir.post(f"{BASE}/{made['id']}/rotate", json={"overlap_seconds": 60}).json()["data"]
    answers = []
    for key in (made["key"], new["key"]):
        caller = world.weir.with_key(key)
        answers += [
            caller.get(BASE),
            caller.get(f"{BASE}/{key}"),
            caller.call("DELETE", f"{BASE}/{key}"),
            caller.post(BASE, json={"name": key}),
            caller.post(BASE, json={"name": "x", "tenant": key}),
            caller.post("/api/request-logs/create", json={"model": "m", "input": f"my key is {key}"}),
            caller.call("DELETE", f"{BASE}/{made['id']}"),
        ]
    world.runtime.ledger.close()
    left = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    logged = repr([vars(record) for record in caplog.records if record.name.startswith("weir")])
    told = logged + "".join(each.text for each in answers)
    for key in (made["key"], new["key"]):
        assert key[18:] not in told
        assert key[18:].encode() not in left
    assert made["id"] in logged


MARK = "canary-of-acme"


def test_no_route_shows_another_workspaces_rows(world: World) -> None:
    """The routes are those of the OpenAPI document, so that none is forgotten."""
    scopes = ["complete", "ingest", "read", "admin"]
    acme = world.weir.with_key(world.make(tenant="acme", name=MARK, scopes=scopes)["key"])
    bolt = world.weir.with_key(world.make(tenant="bolt", scopes=scopes)["key"])
    application = acme.post("/api/v1/applications", json={"application_name": MARK}).json()["data"]
    acme.post("/api/v1/applications/1/intents", json={"action_type": MARK})
    log = acme.post("/api/request-logs/create", json={"model": MARK, "input": MARK, "unique_id": "acmes-log"}).json()
    stored = acme.put("/chat/completions/response", json=DOCUMENTED).json()
    ids = [str(application["id"]), log["id"], "acmes-log", stored["id"], acme.get(BASE).json()["data"][0]["id"]]
    seen = shown = 0
    for path, methods in world.weir.app.openapi()["paths"].items():
        for method in methods:
            for id in ids if "{" in path else ids[:1]:
                there = "/".join(id if part.startswith("{") else part for part in path.split("/"))
                body = {"id": id, "unique_id": id, "request_id": id, "logs": [{"id": id, "note": "mine"}]}
                for caller in (bolt, acme) if method in ("get", "post") else (bolt,):
                    answer = caller.call(method.upper(), there, **({} if method == "get" else {"json": body}))
                    if caller is acme:
                        shown += MARK in answer.text
                        continue
                    seen += 1
                    assert MARK not in answer.text, (method, there)
                    assert answer.status_code < 500 or answer.status_code == 501, (method, there, answer.text)
    assert seen > 50
    assert shown > 5
    assert acme.get("/api/request-logs/acmes-log").json().get("note") in (None, "")
    assert acme.get(BASE).json()["data"][0]["state"] == "active"
