"""Limits as operators and tenants set them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from functions.portal import app as portal
from tests.portal.world import error
from tests.runtime import KEY, OTHER_KEY, READ_KEY, START, Caller, fixed_runtime

BASE = "/api/v1/limits"
MILLISECONDS = int(START.timestamp() * 1000)
MINUTE = {"per": "key", "measure": "requests_per_minute", "limit": 50}


@pytest.fixture
def weir(tmp_path: Path) -> Iterator[Caller]:
    runtime = fixed_runtime(tmp_path)
    yield Caller.of(runtime, [portal.mount])
    runtime.ledger.close()


def made(weir: Caller, **body: Any) -> dict[str, Any]:
    answer = weir.post(BASE, json=body or MINUTE)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()["data"]
    return found


def test_a_limit_is_set_shown_changed_and_removed(weir: Caller) -> None:
    shown = {
        "id": 1,
        "per": "key",
        "name": "*",
        "measure": "requests_per_minute",
        "limit": 50,
        "warn_at": None,
        "date_created": MILLISECONDS,
    }
    assert made(weir) == shown
    second = made(weir, per="intent", application="shop", measure="spend_per_day", limit="12.50", warn_at=10)
    assert second == {
        "id": 2,
        "per": "intent",
        "application": "shop",
        "name": "*",
        "measure": "spend_per_day",
        "limit": 12.5,
        "warn_at": 10.0,
        "date_created": MILLISECONDS,
    }
    page = {"total": 2, "offset": 0, "limit": 2}
    assert weir.get(BASE).json() == {"data": [shown, second], "pagination": page}
    assert weir.get(f"{BASE}/2").json() == {"data": second}
    assert weir.put(f"{BASE}/2", json={"limit": None}).json() == {"data": {**second, "limit": None}}
    assert weir.put(f"{BASE}/2", json={"limit": 0.000001, "warn_at": None}).json()["data"]["limit"] == 0.000001
    assert weir.call("DELETE", f"{BASE}/2").json()["data"]["id"] == 2
    assert weir.get(BASE).json()["data"] == [shown]
    for answer in (weir.get(f"{BASE}/2"), weir.put(f"{BASE}/2", json={}), weir.call("DELETE", f"{BASE}/2")):
        assert (answer.status_code, error(answer.json())) == (404, (404, "There is no limit 2.", None))


def test_a_second_limit_for_the_same_is_a_conflict(weir: Caller) -> None:
    made(weir)
    answer = weir.post(BASE, json={**MINUTE, "limit": 7})
    told = "There is a limit of requests_per_minute for that key already."
    assert (answer.status_code, error(answer.json())) == (409, (409, told, None))


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"per": "team"}, "per"),
        ({"measure": "requests_per_day"}, "measure"),
        ({"limit": None}, "limit"),
        ({"limit": -1}, "limit"),
        ({"limit": 1.5}, "limit"),
        ({"limit": "many"}, "limit"),
        ({"limit": "NaN"}, "limit"),
        ({"limit": 10**13}, "limit"),
        ({"limit": True}, "limit"),
        ({"warn_at": "x"}, "warn_at"),
        ({"limit": 60, "warn_at": 61}, "warn_at"),
        ({"measure": "spend_per_day", "limit": 10**7}, "limit"),
        ({"measure": "spend_per_day", "limit": "0.0000000000001"}, "limit"),
        ({"name": "checkout service"}, "name"),
        ({"name": ""}, "name"),
        ({"per": "customer", "name": "x" * 257}, "name"),
        ({"per": "customer", "name": f"is {KEY}"}, "name"),
        ({"per": "customer", "application": "shop"}, "application"),
        ({"per": "intent", "name": "CHAT"}, "application"),
        ({"per": "intent", "name": "CHAT", "application": "*"}, "application"),
        ({"tokens": 5}, "tokens"),
        ({"tenant": "a\nb"}, "tenant"),
    ],
)
def test_what_cannot_be_set_is_refused_by_name(weir: Caller, body: dict[str, Any], param: str) -> None:
    answer = weir.post(BASE, json=MINUTE | body)
    found = answer.json()["error"]
    assert (answer.status_code, found["details"].get("param", "").split("[")[0]) == (400, param)
    assert KEY not in answer.text
    assert weir.get(BASE).json()["data"] == []


def test_keys_are_named_as_lists_show_them(weir: Caller) -> None:
    one, two = (weir.post("/api/v1/api-keys", json={"name": name}).json()["data"] for name in ("one", "two"))
    names = ("operator", one["id"], two["prefix"])
    assert [made(weir, **MINUTE, name=name)["name"] for name in names] == ["operator", one["id"], two["id"]]


def test_a_limit_for_a_key_that_the_tenant_does_not_have_is_refused(weir: Caller) -> None:
    """It would never hold, and nobody would know."""
    other = weir.post("/api/v1/api-keys", json={"name": "CI", "tenant": "acme"}).json()["data"]["id"]
    for name, tenant in (("0k3j9x2m4p7q", "default"), (other, "default"), ("operator", "acme")):
        answer = weir.post(BASE, json={**MINUTE, "name": name, "tenant": tenant})
        told = f"The tenant {tenant!r} has no such API key."
        assert (answer.status_code, error(answer.json())) == (400, (400, told, "name"))
    assert made(weir, **MINUTE, name=other, tenant="acme")["name"] == other


def test_a_whole_key_names_nothing(weir: Caller) -> None:
    key = weir.post("/api/v1/api-keys", json={"name": "CI"}).json()["data"]["key"]
    for per in ("key", "customer"):
        answer = weir.post(BASE, json={**MINUTE, "per": per, "name": key})
        assert (answer.status_code, error(answer.json())) == (400, (400, "'name' holds a key.", "name"))
        assert key[18:] not in answer.text


def test_the_operator_limits_tenants_and_they_only_themselves(weir: Caller) -> None:
    key = weir.post("/api/v1/api-keys", json={"name": "x", "tenant": "acme", "scopes": ["admin", "read"]}).json()[
        "data"
    ]
    acme = weir.with_key(key["key"])
    made(weir, **MINUTE, tenant="acme")
    assert [limit["limit"] for limit in acme.get(BASE).json()["data"]] == [50]
    assert weir.get(BASE).json()["data"] == []
    assert weir.get(f"{BASE}?tenant=acme").json() == acme.get(BASE).json()
    assert weir.put(f"{BASE}/1", json={"limit": 60, "tenant": "acme"}).status_code == 200
    assert acme.put(f"{BASE}/1", json={"limit": 70}).json()["data"]["limit"] == 70
    for answer in (
        acme.get(f"{BASE}?tenant=default"),
        acme.post(BASE, json={**MINUTE, "tenant": "default"}),
        acme.put(f"{BASE}/1", json={"tenant": "default"}),
        acme.call("DELETE", f"{BASE}/1?tenant=default"),
        acme.get(f"{BASE}/1/use?tenant=default"),
    ):
        assert answer.status_code == 403
    assert weir.call("DELETE", f"{BASE}/1?tenant=acme").status_code == 200


def test_limits_are_for_the_scope_admin(weir: Caller) -> None:
    for key, status in ((None, 401), (READ_KEY, 403)):
        caller = weir.with_key(key)
        for answer in (caller.get(BASE), caller.post(BASE, json=MINUTE), caller.call("DELETE", f"{BASE}/1")):
            assert answer.status_code == status
    made(weir)
    assert weir.with_key(OTHER_KEY).get(f"{BASE}/1").status_code == 404


def test_the_use_of_nothing_is_nothing(weir: Caller) -> None:
    made(weir, **MINUTE)
    made(weir, per="customer", name="ann", measure="spend_per_month", warn_at=5)
    answer = weir.get(f"{BASE}/1/use", params={"name": "operator"}).json()["data"]
    ends = answer.pop("window_ends")
    assert answer == {"name": "operator", "used": 0, "set_aside": 0, "remaining": 50}
    assert (ends % 60_000, 0 < ends - MILLISECONDS <= 120_000) == (0, True)
    assert weir.get(f"{BASE}/2/use").json()["data"]["remaining"] is None
    for limit, params, told in (
        (1, {}, "This limit is for each: say whose use is meant with 'name'."),
        (2, {"name": "bob"}, "This limit is for another one."),
        (
            2,
            {"customer": "ann"},
            "The parameter 'customer' is not understood here; there are tenant, name, application.",
        ),
    ):
        refused = weir.get(f"{BASE}/{limit}/use", params=params)
        assert (refused.status_code, refused.json()["error"]["message"]) == (400, told)
