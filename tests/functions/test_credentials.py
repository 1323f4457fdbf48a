"""Provider keys by reference: named below /api/v1, used by the workspace's calls, and never shown."""

import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from functions.completion import app as completion
from functions.portal import app as portal
from functions.request_log import app as request_log
from tests.runtime import INGEST_KEY, KEY, OTHER_KEY, READ_KEY, START, Caller, fixed_runtime
from tests.upstream import Received, Reply, Upstream, completion_reply, error_reply
from weir.ledger.credentials import CredentialReferences
from weir.providers.secret_sources import SecretSources
from weir.runtime.settings import Settings, SettingsInvalid
from weir.services.circuits import FAILURES
from weir.services.lending import AGAIN_AFTER_S, Lending

BASE = "/api/v1/credentials"
ALLOWED = ("ssm:/weir/", "env:TEAM_")
MESSAGES = [{"role": "user", "content": "When?"}]


@dataclass
class World:
    upstream: Upstream
    weir: Caller
    environ: dict[str, str]
    now: float = 1000.0

    def name(self, provider: str, reference: str, **more: Any) -> httpx.Response:
        return self.weir.put(f"{BASE}/{provider}", json={"reference": reference, **more})

    def ask(self, key: str = KEY, **fields: Any) -> httpx.Response:
        body = {"model": "openai/again", "messages": MESSAGES, **fields}
        return self.weir.with_key(key).post("/v1/chat/completions", json=body)

    @property
    def shown(self) -> list[str]:
        """The keys that the provider saw."""
        return [received.headers["authorization"].removeprefix("Bearer ") for received in self.upstream.received]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with Upstream({"again": completion_reply()}, keep_alive=False) as upstream:
        environ = {
            "OPENAI_API_KEY": "canary-operators-key",
            "OPENAI_BASE_URL": f"{upstream.url}/v1",
            "MISTRAL_BASE_URL": upstream.url,
            "TEAM_ONE": "canary-team-one",
            "TEAM_TWO": "canary-team-two",
        }
        found = World(upstream, Caller.of(fixed_runtime(tmp_path / "none"), []), environ)
        base = fixed_runtime(tmp_path, environ)
        references = CredentialReferences(base.configurations.store)
        runtime = replace(
            base,
            settings=base.settings.model_copy(update={"credentials": ALLOWED}),
            lending=Lending(references, ALLOWED, SecretSources(environ).read, clock=lambda: found.now),
        )
        found.weir = Caller.of(runtime, [app.mount for app in (completion, request_log, portal)])
        yield found
        runtime.ledger.close()


def view(provider: str, reference: str | None, by: str = "operator") -> dict[str, Any]:
    return {"provider": provider, "reference": reference, "set_by": by}


def views(answer: httpx.Response) -> Any:
    """Without the times."""
    assert answer.status_code == 200, answer.text
    found = answer.json()["data"]
    several = found if isinstance(found, list) else [found]
    bare = [{name: value for name, value in each.items() if name != "set_at"} for each in several]
    return bare if isinstance(found, list) else bare[0]


def test_a_reference_is_named_listed_replaced_and_removed(world: World) -> None:
    assert views(world.name("openai", "env:TEAM_ONE")) == view("openai", "env:TEAM_ONE")
    world.name("groq", "ssm:/weir/default/groq")
    world.name("openai", "env:TEAM_TWO")
    listed = world.weir.get(BASE)
    assert views(listed) == [view("groq", "ssm:/weir/default/groq"), view("openai", "env:TEAM_TWO")]
    assert listed.json()["pagination"] == {"total": 2, "offset": 0, "limit": 2}
    assert listed.json()["data"][0]["set_at"] >= int(START.timestamp() * 1000)
    assert views(world.weir.call("DELETE", f"{BASE}/openai")) == view("openai", "env:TEAM_TWO")
    assert world.weir.call("DELETE", f"{BASE}/openai").status_code == 404
    assert views(world.weir.get(BASE)) == [view("groq", "ssm:/weir/default/groq")]


def test_a_workspaces_calls_use_its_key_and_nobody_elses_do(world: World) -> None:
    world.name("openai", "env:TEAM_ONE", tenant="other")
    world.name("groq", "env:TEAM_TWO", tenant="other")
    for key, fields in (
        (OTHER_KEY, {}),
        (KEY, {}),
        (OTHER_KEY, {"auth_keys": {"openai_api_key": "canary-brought-key"}}),
        (OTHER_KEY, {"stream": True}),
    ):
        world.ask(key, **fields)
    assert world.shown == ["canary-team-one", "canary-operators-key", "canary-brought-key", "canary-team-one"]


def test_embeddings_use_it_too(world: World) -> None:
    answer = {"object": "list", "model": "e", "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}]}
    world.upstream.replies["again"] = Reply([json.dumps(answer).encode()])
    world.name("openai", "env:TEAM_ONE")
    assert world.weir.post("/v1/embeddings", json={"model": "openai/again", "input": "x"}).status_code == 200
    assert world.shown == ["canary-team-one"]


def models(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [model["id"] for model in answer.json()["data"]]


@pytest.mark.parametrize("path", ["/v1/models", "/models", "/api/models"])
def test_a_workspace_is_shown_the_models_that_its_own_keys_open_and_nobody_else_is(world: World, path: str) -> None:
    def listing(received: Received) -> Reply:
        shown = received.headers.get("authorization", "").removeprefix("Bearer canary-")
        return Reply([json.dumps({"data": [{"id": f"for-{shown}", "object": "model"}]}).encode()])

    world.upstream.replies["/v1/models"] = listing
    world.environ["TEAM_MINE"] = "canary-team-mine"
    world.name("openai", "env:TEAM_ONE", tenant="other")
    world.name("mistral", "env:TEAM_TWO", tenant="other")
    world.name("mistral", "env:TEAM_MINE")
    other = world.weir.with_key(OTHER_KEY)

    for _ in range(2):
        assert models(other.get(path)) == ["demo/echo", "openai/for-team-one", "mistral/for-team-two"]
        assert models(world.weir.get(path)) == ["demo/echo", "openai/for-operators-key", "mistral/for-team-mine"]
    assert sorted(world.shown) == ["canary-operators-key", "canary-team-mine", "canary-team-one", "canary-team-two"]

    world.name("openai", "env:TEAM_NONE", tenant="other")
    assert models(other.get(path)) == ["demo/echo", "mistral/for-team-two"]
    world.weir.call("DELETE", f"{BASE}/mistral")
    assert models(world.weir.get(path)) == ["demo/echo", "openai/for-operators-key"]


def test_a_provider_that_repeats_a_key_in_its_list_tells_nobody(world: World) -> None:
    def listing(received: Received) -> Reply:
        return Reply([json.dumps({"data": [{"id": "m", "for": received.headers["authorization"]}]}).encode()])

    world.upstream.replies["/v1/models"] = listing
    world.name("mistral", "env:TEAM_ONE")
    world.name("openai", "env:TEAM_TWO")
    told = world.weir.get("/v1/models").text
    assert (told.count("Bearer [erased]"), "canary" in told) == (2, False)


def test_a_key_that_cannot_be_read_fails_the_call_and_the_operators_is_not_used(world: World) -> None:
    world.name("openai", "env:TEAM_NONE")
    answer = world.ask()
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "provider_key_unreadable"
    assert world.shown == []
    log = world.weir.get(f"/api/request-logs/{answer.headers['x-weir-request-id']}").json()
    assert (log["status"], log["provider_id"]) == ("failed", "openai")


def test_a_refused_key_is_read_anew(world: World) -> None:
    def checks(received: Received) -> Reply:
        good = received.headers["authorization"] == "Bearer canary-team-new"
        return completion_reply() if good else error_reply(401, "Incorrect API key provided: canary-team-one")

    world.upstream.replies["again"] = checks
    world.name("openai", "env:TEAM_ONE")
    refused = world.ask()
    assert (refused.status_code, "canary" in refused.text) == (401, False)
    world.environ["TEAM_ONE"] = "canary-team-new"
    world.now += AGAIN_AFTER_S
    assert [world.ask().status_code for _ in range(2)] == [401, 200]
    assert world.shown == ["canary-team-one", "canary-team-one", "canary-team-new"]


def test_a_fallbacks_refused_key_is_read_anew(world: World) -> None:
    def checks(received: Received) -> Reply:
        good = received.headers["authorization"] == "Bearer canary-team-new"
        return completion_reply() if good else error_reply(401, "Incorrect API key provided.")

    world.upstream.replies |= {"again": checks, "busy": error_reply(429, "Slow down.")}
    world.name("openai", "env:TEAM_ONE")
    fallback: dict[str, Any] = {"model": "openai/busy", "fallback_models": ["openai/again"]}
    assert world.ask(**fallback).status_code == 429
    world.environ["TEAM_ONE"] = "canary-team-new"
    world.now += AGAIN_AFTER_S
    assert [world.ask(**fallback).status_code for _ in range(2)] == [429, 200]


def test_a_workspaces_key_has_circuits_and_a_callers_own_has_none(world: World) -> None:
    world.upstream.replies["down"] = error_reply(500, "It broke.")
    world.name("openai", "env:TEAM_ONE")
    fallback: dict[str, Any] = {"model": "openai/down", "fallback_models": ["openai/again"]}
    own: dict[str, Any] = {"auth_keys": {"openai_api_key": "canary-brought-key"}}
    reasons = [world.ask(**fallback).headers["x-weir-fallback-reason"] for _ in range(FAILURES + 1)]
    assert reasons == ["unavailable"] * FAILURES + ["circuit_open"]
    assert world.ask(**fallback, **own).headers["x-weir-fallback-reason"] == "unavailable"


def test_a_cached_answer_keeps_the_key_no_more_than_another(world: World) -> None:
    world.name("openai", "env:TEAM_ONE")
    asked: dict[str, Any] = {"messages": [{"role": "user", "content": "Is it canary-team-one?"}], "cache_enabled": True}
    answers = [world.ask(**asked, user_id="canary-team-one") for _ in range(2)]
    assert ["x-weir-cached-from" in answer.headers for answer in answers] == [False, True]
    for answer in answers:
        log = world.weir.get(f"/api/request-logs/{answer.headers['x-weir-request-id']}").text
        assert ("canary-team" in log, "[erased]" in log) == (False, True)


def test_the_key_is_erased_from_what_is_kept_and_said(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    world.upstream.replies["again"] = completion_reply("Your key is canary-team-one")
    world.name("openai", "env:TEAM_ONE")
    asked = world.ask(messages=[{"role": "user", "content": "Is it canary-team-one?"}], user_id="canary-team-one")
    log = world.weir.get(f"/api/request-logs/{asked.headers['x-weir-request-id']}").text
    assert log.count("[erased]") >= 4
    for text in (log, caplog.text, world.weir.get(BASE).text):
        assert "canary-team" not in text


def test_a_cached_answer_needs_no_key(world: World) -> None:
    assert world.ask(cache_enabled=True).status_code == 200
    world.name("openai", "env:TEAM_NONE")
    assert world.ask(cache_enabled=True).headers["x-weir-cached-from"]
    assert world.ask().status_code == 401


def test_a_tenant_names_what_lies_in_its_own_folder(world: World) -> None:
    tenant = world.weir.with_key(OTHER_KEY)
    own = tenant.put(f"{BASE}/openai", json={"reference": "ssm:/weir/other/openai"})
    assert views(own) == view("openai", "ssm:/weir/other/openai", "tenant")
    for reference in ("ssm:/weir/default/openai", "ssm:/weir/other", "env:TEAM_ONE", "ssm:/weir/other/../default/x"):
        answer = tenant.put(f"{BASE}/openai", json={"reference": reference})
        assert (answer.status_code, answer.json()["error"]["details"]["param"]) == (400, "reference")
        assert "/weir/" not in answer.text
    assert views(world.weir.get(f"{BASE}?tenant=other")) == [view("openai", "ssm:/weir/other/openai", "tenant")]
    assert views(tenant.call("DELETE", f"{BASE}/openai")) == view("openai", "ssm:/weir/other/openai", "tenant")


def test_what_the_operator_has_named_a_tenant_neither_sees_nor_changes(world: World) -> None:
    world.name("openai", "env:TEAM_ONE", tenant="other")
    tenant = world.weir.with_key(OTHER_KEY)
    assert views(tenant.get(BASE)) == [view("openai", None)]
    for answer in (
        tenant.put(f"{BASE}/openai", json={"reference": "ssm:/weir/other/openai"}),
        tenant.call("DELETE", f"{BASE}/openai"),
        tenant.put(f"{BASE}/groq", json={"reference": "ssm:/weir/other/x", "tenant": "default"}),
        tenant.get(f"{BASE}?tenant=default"),
        tenant.call("DELETE", f"{BASE}/openai?tenant=default"),
    ):
        assert answer.status_code == 403
    assert views(world.weir.get(f"{BASE}?tenant=other")) == [view("openai", "env:TEAM_ONE")]


@pytest.mark.parametrize("key", [READ_KEY, INGEST_KEY])
def test_only_an_admin_may(world: World, key: str) -> None:
    weir = world.weir.with_key(key)
    answers = [
        weir.get(BASE),
        weir.put(f"{BASE}/openai", json={"reference": "env:TEAM_ONE"}),
        weir.call("DELETE", f"{BASE}/openai"),
    ]
    assert [answer.status_code for answer in answers] == [403, 403, 403]


@pytest.mark.parametrize(
    ("provider", "body", "param"),
    [
        ("openai", {"reference": "canary-key-by-mistake"}, "reference"),
        ("openai", {"reference": "env:OPENAI_API_KEY"}, "reference"),
        ("openai", {"reference": "file:/etc/passwd"}, "reference"),
        ("openai", {"reference": 1}, "reference"),
        ("openai", {}, "reference"),
        ("openai", {"reference": "env:TEAM_ONE", "value": "canary-value"}, "value"),
        ("Open AI", {"reference": "env:TEAM_ONE"}, "provider"),
    ],
)
def test_a_wrong_reference_is_refused_and_not_repeated(
    world: World, provider: str, body: dict[str, Any], param: str
) -> None:
    answer = world.weir.put(f"{BASE}/{provider}", json=body)
    assert (answer.status_code, answer.json()["error"]["details"]["param"]) == (400, param)
    assert "canary" not in answer.text
    assert world.weir.get(BASE).json()["data"] == []


def test_where_it_is_off_nothing_can_be_named(tmp_path: Path) -> None:
    runtime = fixed_runtime(tmp_path)
    weir = Caller.of(runtime, [portal.mount])
    answer = weir.put(f"{BASE}/openai", json={"reference": "env:TEAM_ONE"})
    assert (answer.status_code, "WEIR_CREDENTIALS" in answer.text) == (400, True)
    assert weir.get(BASE).json()["data"] == []
    runtime.ledger.close()


def test_what_is_allowed_is_a_setting() -> None:
    settings = Settings.from_environ({"WEIR_CREDENTIALS": "ssm:/weir/, env:,"})
    assert settings.credentials == ("ssm:/weir/", "env:")
    assert Settings.from_environ({}).credentials == ()
    for wrong in ("ssm", "ssm:", "file:/x", "/weir/"):
        with pytest.raises(SettingsInvalid, match="WEIR_CREDENTIALS"):
            Settings.from_environ({"WEIR_CREDENTIALS": wrong})
