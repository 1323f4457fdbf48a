"""Configuration: edited below /api/v1, served to clients, and in force on completions."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from functions.completion import app as completion_app
from functions.portal import app as portal
from functions.request_log import app as request_log
from functions.storage import app as storage
from tests.functions.test_maitai import envelope
from tests.functions.test_maitai_traps import COMPLETE, INIT, STORE, World
from tests.functions.test_storage import DOCUMENTED
from tests.runtime import INGEST_KEY, KEY, OTHER_KEY, READ_KEY, START, Caller, fixed_runtime
from tests.upstream import Upstream, completion_reply

BASE = "/api/v1/applications"
MILLISECONDS = int(START.timestamp() * 1000)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with Upstream(keep_alive=False) as upstream:
        environ = {"OPENAI_API_KEY": "canary-own-openai-key", "OPENAI_BASE_URL": f"{upstream.url}/v1"}
        runtime = replace(fixed_runtime(tmp_path), environ=environ, now=lambda: START)
        mounts = [app.mount for app in (completion_app, storage, portal, request_log)]
        yield World(Caller.of(runtime, mounts), upstream, runtime)
        runtime.ledger.close()


def shop(weir: Caller, config: Any = None, intent_config: Any = None) -> None:
    """Application 1, `demo_app`, with intent 1, `NEW_INTENT`."""
    assert weir.post(BASE, json={"application_name": "Demo App"}).status_code == 201
    assert weir.post(f"{BASE}/1/intents", json={"action_type": "NEW_INTENT"}).status_code == 201
    assert weir.put(f"{BASE}/1/config", json=config or {}).status_code == 200
    assert weir.put(f"{BASE}/1/intents/1/config", json=intent_config or {}).status_code == 200


def sent(world: World, path: str = COMPLETE, **params: Any) -> Any:
    """What the provider gets of a call to demo_app's NEW_INTENT."""
    body = envelope(None)
    if path == COMPLETE:
        body["params"] |= params
    else:
        body |= {"messages": body["params"]["messages"], **params}
        del body["params"]
    response = world.weir.post(path, json=body)
    assert response.status_code == 200, response.text
    return world.upstream.received[-1].json


APPLICATION: Any = {
    "id": 1,
    "application_name": "Demo App",
    "application_ref_name": "demo_app",
    "company_id": 1667104991,
    "state": "ENABLED",
    "date_created": MILLISECONDS,
}
INTENT: Any = {"id": 1, "action_type": "NEW_INTENT", "application_id": 1, "date_created": MILLISECONDS}


def test_applications_and_intents_are_made_and_read(world: World) -> None:
    made = world.weir.post(BASE, json={"application_name": "Demo App"})
    assert (made.status_code, made.json()) == (201, {"data": {**APPLICATION, "meta": {}, "action_types": []}})
    body = {"action_type": "NEW_INTENT", "meta": {"model": "m", "n": None}}
    made = world.weir.post(f"{BASE}/1/intents", json=body)
    intent = {**INTENT, "meta": {"model": "m"}}
    assert (made.status_code, made.json()) == (201, {"data": intent})
    whole = {**APPLICATION, "meta": {}, "action_types": [intent]}
    page = {"total": 1, "offset": 0, "limit": 1}
    for path, answer in (
        (BASE, {"data": [{**APPLICATION, "meta": {}}], "pagination": page}),
        (f"{BASE}?detailed=true", {"data": [whole], "pagination": page}),
        (f"{BASE}?offset=1&limit=5", {"data": [], "pagination": {"total": 1, "offset": 1, "limit": 5}}),
        (f"{BASE}/1", {"data": whole}),
        (f"{BASE}/1/intents", {"data": [intent], "pagination": page}),
        (f"{BASE}/1/intents/1", {"data": intent}),
        (f"{BASE}/1/intents/1/config", {"data": {"model": "m"}}),
    ):
        assert world.weir.get(path).json() == answer


def test_values_are_set_one_by_one_and_null_takes_them_away(world: World) -> None:
    shop(world.weir)
    for path in (f"{BASE}/1/config", f"{BASE}/1/intents/1/config"):
        assert world.weir.put(path, json={"model": "m", "inference_location": "CLIENT", "stop": ["x"]}).json() == {
            "data": {"model": "m", "inference_location": 0, "stop": ["x"]}
        }
        edited = {"data": {"inference_location": 0, "stop": ["x"], "temperature": 0.5}}
        assert world.weir.put(path, json={"model": None, "temperature": 0.5}).json() == edited
        assert world.weir.get(path).json() == edited
    assert world.weir.post(f"{BASE}/1/intents/1/config/reset").json() == {"data": {}}
    assert world.weir.get(f"{BASE}/1/intents/1/config").json() == {"data": {}}


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "message", "param"),
    [
        ("GET", "/7", None, 404, "There is no application 7.", None),
        ("GET", "/x", None, 404, "'application_id' is a number, and nothing has the id 'x'.", None),
        ("GET", "/1/intents/7", None, 404, "The application 1 has no intent 7.", None),
        ("PUT", "/7/config", {}, 404, "There is no application 7.", None),
        ("PUT", "/1/config", {"temperature": "hot"}, 400, "", "temperature"),
        ("PUT", "/1/config", {"model": ""}, 400, "", "model"),
        ("PUT", "/1/config", {"fallback_config": {"timeout": -1}}, 400, "", "fallback_config.timeout"),
        ("PUT", "/1/config", [], 400, "The request body must be a JSON object.", None),
        ("POST", "", {"application_name": "Demo App"}, 409, "There is an application 'demo_app' already.", None),
        ("POST", "", {}, 400, "'application_name' is required.", "application_name"),
        (
            "POST",
            "/1/intents",
            {"action_type": "NEW_INTENT"},
            409,
            "The application 1 has an intent 'NEW_INTENT' already.",
            None,
        ),
        ("GET", "?limit=x", None, 400, "'limit' must be a number from 0.", "limit"),
    ],
)
def test_errors_are_what_the_command_line_reads(
    world: World, method: str, path: str, body: Any, status: int, message: str, param: str | None
) -> None:
    shop(world.weir)
    answer = world.weir.call(method, BASE + path, json=body)
    error = answer.json()["error"]
    assert (answer.status_code, error["status"]) == (status, status)
    assert error["details"] == ({"param": param} if param else {})
    assert error["message"] == (message or error["message"])


def test_reading_and_editing_need_their_scopes_and_stay_in_their_workspace(world: World) -> None:
    shop(world.weir)
    assert world.weir.with_key(None).get(BASE).json()["error"]["status"] == 401
    assert world.weir.with_key(INGEST_KEY).get(BASE).status_code == 403
    assert world.weir.with_key(READ_KEY).get(BASE).status_code == 200
    assert world.weir.with_key(READ_KEY).put(f"{BASE}/1/config", json={"n": 2}).status_code == 403
    assert world.weir.with_key(READ_KEY).post(f"{BASE}/1/intents/1/config/reset").status_code == 403
    assert world.weir.with_key(OTHER_KEY).get(BASE).json()["data"] == []
    assert world.weir.with_key(OTHER_KEY).get(f"{BASE}/1").status_code == 404


@pytest.mark.parametrize(
    ("config", "param"),
    [
        ({"metadata": {"api_key": "canary-in-a-config"}}, "metadata.api_key"),
        ({"extra_body": {"headers": {"x-any": "canary-in-a-config"}}}, "extra_body.headers.x-any"),
        ({"tools": [{"type": "mcp", "authorization": "canary-in-a-config"}]}, "tools[0].authorization"),
        ({"system_prompt": f"The key is {KEY}."}, "system_prompt"),
    ],
)
def test_a_config_that_holds_a_key_is_refused(world: World, config: Any, param: str) -> None:
    shop(world.weir)
    for path in (f"{BASE}/1/config", f"{BASE}/1/intents/1/config", "/api/v1/config"):
        answer = world.weir.put(path, json=config)
        said = f"'{param}' holds a key, or stands where keys stand; a configuration must not hold one."
        error = answer.json()["error"]
        assert (answer.status_code, error["message"], error["details"]) == (400, said, {"param": param})
        assert world.weir.get(path).json() == {"data": {}}
    assert world.weir.get("/api/v1/config/versions").json() == {"data": []}


@pytest.mark.parametrize("path", [COMPLETE, "/v1/chat/completions", "/api/chat/completions"])
def test_the_requests_own_value_wins_then_the_intents_then_the_applications(world: World, path: str) -> None:
    shop(
        world.weir,
        {"model": "openai/of-application", "temperature": 0.1, "top_p": 0.2, "presence_penalty": 0.3},
        {"model": "openai/of-intent", "temperature": 0.5, "top_p": 0.6},
    )
    world.upstream.replies |= {"of-intent": completion_reply(), "own": completion_reply()}
    got = sent(world, path, temperature=None, top_p=0.9)
    wanted = {"model": "of-intent", "temperature": 0.5, "top_p": 0.9, "presence_penalty": 0.3}
    assert {name: got[name] for name in wanted} == wanted
    assert sent(world, path, model="openai/own")["model"] == "own"
    assert {log["model"] for log in world.logs()} == {"openai/of-intent", "openai/own"}


@pytest.mark.parametrize(
    "level", ["/config", "/applications/1/config", "/intent-groups/1/config", "/applications/1/intents/1/config"]
)
def test_every_parameter_of_a_config_holds_at_every_level(world: World, level: str) -> None:
    config: dict[str, Any] = {
        "temperature": 0.0,
        "stop": ["x"],
        "logprobs": False,
        "n": 2,
        "presence_penalty": 0.1,
        "frequency_penalty": 0.2,
        "top_p": 0.3,
        "max_tokens": 9,
        "top_k": 4,
        "min_p": 0.5,
        "repetition_penalty": 1.1,
        "seed": 7,
        "logit_bias": {"5": -1.5},
        "service_tier": "flex",
        "tools": [{"type": "function", "function": {"name": "now"}}],
        "tool_choice": "required",
        "parallel_tool_calls": False,
    }
    also = {
        "model": "openai/m",
        "default_chat_template_kwargs": {"thinking": False},
        "response_format": "json_object",
        "reasoning": {"effort": "low"},
        "system_prompt": "Be brief.",
        "streaming": True,
        "extra_body": {"of_the_provider": [1]},
        "metadata": {"team": "a"},
    }
    shop(world.weir)
    assert world.weir.post("/api/v1/intent-groups", json={"intent_name": "NEW_INTENT"}).status_code == 201
    assert world.weir.put(f"/api/v1{level}", json=config | also).status_code == 200
    world.upstream.replies["m"] = completion_reply()
    got = sent(world, "/v1/chat/completions")
    assert got == {
        **config,
        "model": "m",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hi"}],
        "chat_template_kwargs": {"thinking": False},
        "response_format": {"type": "json_object"},
        "reasoning_effort": "low",
        "of_the_provider": [1],
    }
    assert world.logs()[-1]["metadata"] == {"team": "a"}
    messages = [{"role": "developer", "content": "Be long."}, {"role": "user", "content": "hi"}]
    own = {"messages": messages, "max_completion_tokens": 5, "extra_body": {"top_k": 1}, "reasoning_effort": "high"}
    got = sent(world, "/v1/chat/completions", **own)
    assert (got["messages"], got["max_completion_tokens"], got["top_k"]) == (messages, 5, 1)
    assert got["reasoning_effort"] == "high"


def test_an_edit_holds_from_the_next_call_on(world: World) -> None:
    shop(world.weir, {"model": "openai/first"})
    world.upstream.replies |= {"first": completion_reply(), "second": completion_reply()}
    assert sent(world)["model"] == "first"
    world.weir.put(f"{BASE}/1/intents/1/config", json={"model": "openai/second"})
    assert sent(world)["model"] == "second"
    world.weir.post(f"{BASE}/1/intents/1/config/reset")
    assert sent(world)["model"] == "first"


def test_what_is_unknown_becomes_known_by_its_first_use(world: World) -> None:
    assert world.weir.post(COMPLETE, json=envelope("demo/echo")).status_code == 200
    assert world.weir.post(COMPLETE, json=envelope(None)).status_code == 400
    assert world.weir.put(STORE, json=DOCUMENTED).status_code == 200
    other = {"model": "demo/echo", "messages": [{"role": "user", "content": "Hi"}], "application": "other"}
    assert world.weir.post("/v1/chat/completions", json=other).status_code == 200
    found = world.weir.get(f"{BASE}?detailed=true").json()["data"]
    told = [(app["id"], app["application_ref_name"], [i["action_type"] for i in app["action_types"]]) for app in found]
    assert told == [(1, "demo_app", ["NEW_INTENT", "SUMMARIZATION"]), (2, "other", [])]


def test_a_key_in_a_name_makes_no_application(world: World) -> None:
    keys = {"openai_api_key": "canary-key-as-a-name"}
    body = envelope("demo/echo", application_ref_name="canary-key-as-a-name", auth_keys=keys)
    assert world.weir.post(COMPLETE, json=body).status_code == 200
    assert world.weir.get(BASE).json()["data"] == []


CLIENTS: Any = {
    "inference_location": 1,
    "evaluation_enabled": True,
    "apply_corrections": False,
    "temperature": 1,
    "streaming": False,
    "response_format": "text",
    "logprobs": False,
    "n": 1,
    "presence_penalty": 0,
    "frequency_penalty": 0,
    "timeout": 0,
    "context_retrieval_enabled": False,
    "safe_mode": False,
    "feedback": [],
    "metadata": {},
}


def test_a_client_gets_what_holds_of_every_level(world: World) -> None:
    shop(world.weir, {"n": 2, "top_p": 0.2})
    world.weir.post(f"{BASE}/1/intents", json={"action_type": "OTHER"})
    world.weir.post("/api/v1/intent-groups", json={"intent_name": "NEW_INTENT"})
    server = {"seed": 7, "tools": [{"type": "function", "function": {"name": "f"}}]}
    format = {"type": "json_schema", "json_schema": {"name": "a", "schema": {}}}
    world.weir.put("/api/v1/config", json={"model": "m", "n": 1, "top_p": 0.1, "max_tokens": 1, **server})
    world.weir.put("/api/v1/intent-groups/1/config", json={"top_p": 0.3, "response_format": format})
    (application,) = world.weir.get(INIT).json()["applications"]
    whole = {**CLIENTS, "model": "m", "n": 2, "top_p": 0.2, "max_tokens": 1}
    assert application["meta"] == whole
    assert [(action["action_type"], action["meta"]) for action in application["action_types"]] == [
        ("NEW_INTENT", {**whole, "top_p": 0.3}),
        ("OTHER", whole),
    ]


def test_a_client_does_not_choose_where_calls_are_split(world: World) -> None:
    """It would send the model that it was told, and no call would go to another one."""
    shop(world.weir, {"model": "m", "load_balance_models": [{"model": "a", "weight": 1}]})
    (application,) = world.weir.get(INIT).json()["applications"]
    assert application["action_types"] == []


@pytest.mark.parametrize("path", [INIT, f"/api/v1{INIT}"])
def test_a_client_gets_what_holds_for_its_calls(world: World, path: str) -> None:
    shop(world.weir, {"temperature": 0.1, "safe_mode": True}, {"model": "m", "temperature": 0.5})
    world.weir.post(f"{BASE}/1/intents", json={"action_type": "WITHOUT_A_MODEL"})
    meta = {**CLIENTS, "model": "m", "temperature": 0.5, "safe_mode": True}
    for key in (READ_KEY, INGEST_KEY):
        answer = world.weir.with_key(key).get(path)
        assert (answer.status_code, answer.json()) == (
            200,
            {
                "company_id": 1667104991,
                "applications": [
                    {
                        **APPLICATION,
                        "meta": {**CLIENTS, "temperature": 0.1, "safe_mode": True},
                        "action_types": [{**INTENT, "meta": meta}],
                    }
                ],
            },
        )


def test_a_client_starts_on_an_empty_workspace(world: World) -> None:
    answer = world.weir.with_key(OTHER_KEY).get(INIT).json()
    assert answer["company_id"]
    assert json.dumps(answer["applications"]) == "[]"
