"""maitai-cli, as it comes from PyPI, against Weir's developer API. Run by run.py in its own environment."""

import json
import os
import subprocess
from typing import Any

from tests.conformance.checking import KEY, URL, ask, check, equal, holds, run

ENVIRON = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "MAITAI_BASE_URL": f"{URL}/api/v1"}
HELLO = [{"role": "user", "content": "Grüezi, 世界 👋"}]


def maitai(*arguments: str, key: str = KEY) -> subprocess.CompletedProcess[str]:
    environ = ENVIRON | {"MAITAI_API_KEY": key}
    return subprocess.run(["maitai", *arguments], env=environ, capture_output=True, encoding="utf-8", timeout=60)


def cli(*arguments: object) -> Any:
    """What the command prints."""
    done = maitai(*map(str, arguments))
    assert done.returncode == 0, f"maitai {' '.join(map(str, arguments))}: {done.stdout[-500:]} {done.stderr[-1500:]}"
    return json.loads(done.stdout)


def refused(status: int, *arguments: object, key: str = KEY) -> str:
    """What the command says when it is refused."""
    done = maitai(*map(str, arguments), key=key)
    equal((done.returncode, done.stdout.startswith(f"API Error ({status}): ")), (1, True))
    return done.stdout


def said(body: object) -> tuple[str, str]:
    return "--body", json.dumps(body)


def stored(id: str, session: str, intent: str = "CHAT", answer: str = "Sali") -> None:
    """A call that was made elsewhere, in Maitai's own form."""
    request = {
        "application_ref_name": "shop", "action_type": intent, "session_id": session, "request_id": id,
        "user_id": "u-1", "params": {"messages": HELLO, "model": "gpt-4o"}, "metadata": {"plan": "pro"},
    }  # fmt: skip
    response = {
        "id": "r", "object": "chat.completion", "created": 1, "model": "gpt-4o-2024",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": answer}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
    }  # fmt: skip
    body = {"chat_completion_request": request, "chat_completion_response": response}
    status, told = ask("/api/v1/chat/completions/response", body=body, method="PUT")
    equal((status, "error" in told), (200, False))


def shop() -> dict[str, Any]:
    application: dict[str, Any] = next(
        found for found in cli("applications", "list") if found["application_ref_name"] == "shop"
    )
    return application


def intent_of(application: int, name: str) -> int:
    found: int = next(i["id"] for i in cli("applications", "list-intents", application) if i["action_type"] == name)
    return found


@check
def requests_are_listed_and_read() -> None:
    stored("req-1", "s-1")
    stored("req-2", "s-1", "FIND")
    rows = cli("requests", "list", "--limit", 10)
    equal([row["request_id"] for row in rows], ["req-2", "req-1"])
    holds(
        rows[1], application_ref_name="shop", action_type="CHAT", session_id="s-1", user_id="u-1",
        request_type="PROD", inference_location="CLIENT", model="gpt-4o", metadata={"plan": "pro"},
        usage={"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
    )  # fmt: skip
    whole = cli("requests", "get", "req-1")
    equal((whole["params"]["messages"], whole["response"]["choices"][0]["message"]["content"]), (HELLO, "Sali"))
    equal(cli("requests", "get", rows[1]["id"]), whole)
    equal(cli("requests", "list", "--include-messages", "--offset", 1, "--limit", 1)[0]["params"], whole["params"])


@check
def requests_of_an_application_an_intent_and_a_time() -> None:
    id = shop()["id"]
    intent = intent_of(id, "CHAT")
    mine = [row["request_id"] for row in cli("requests", "list", "--application-id", id, "--intent-id", intent)]
    equal(mine, ["req-1"])
    made = cli("requests", "get", "req-1")["date_created"]
    equal(cli("requests", "list", "--end-date", made - 1), [])
    equal(len(cli("requests", "list", "--start-date", made)), 2)


@check
def answer_is_corrected_beside_the_one_that_was_given() -> None:
    corrected = cli("requests", "update-response", "req-1", *said({"message_content": "better"}))
    equal(corrected["response"]["choices"][0]["message"]["content"], "Sali")
    assert "better" in json.dumps(corrected["corrected_response"]), corrected


@check
def sessions_are_listed_read_followed_and_judged() -> None:
    stored("req-3", "s-2", answer="Ade")
    equal([found["session_id"] for found in cli("sessions", "list")], ["s-2", "s-1"])
    equal(cli("sessions", "get", "s-1")["request_count"], 2)
    turns = cli("sessions", "get-timeline", "s-1")
    equal([turn["request"]["request_id"] for turn in turns], ["req-1", "req-2"])
    judged = cli("sessions", "set-feedback", "s-2", *said({"feedback": 1, "comment": "good"}))
    holds(judged, session_id="s-2", feedback=1, comment="good")
    equal([found["session_id"] for found in cli("applications", "list-sessions", shop()["id"])], ["s-2", "s-1"])


@check
def applications_and_intents_are_made_and_configured() -> None:
    made = cli("applications", "create", "--application-name", "Known Shop")
    id = made["id"]
    equal((made["application_ref_name"], type(id).__name__), ("known_shop", "int"))
    intent = cli("applications", "create-intent", id, *said({"action_type": "KNOWN"}))["id"]
    config = {
        "model": "gpt-configured",
        "temperature": 0.25,
        "max_tokens": 77,
        "stop": ["x"],
        "evaluation_enabled": False,
    }
    equal(cli("applications", "update-intent-config", id, intent, *said(config)), config)
    equal(cli("applications", "get-intent-config", id, intent), config)
    equal(cli("applications", "get-intent", id, intent)["action_type"], "KNOWN")
    equal(cli("applications", "update-config", id, *said({"model": "gpt-either"})), {"model": "gpt-either"})
    equal(cli("applications", "reset-intent-config", id, intent), {})
    equal(cli("applications", "get-config", id), {"model": "gpt-either"})
    assert {"shop", "known_shop"} <= {found["application_ref_name"] for found in cli("applications", "list")}


@check
def intent_groups() -> None:
    made = cli("api", "POST", "/intent-groups", *said({"intent_name": "CHAT"}))
    made = made.get("data", made)
    equal([found["id"] for found in cli("intent-groups", "list")], [made["id"]])
    equal(cli("intent-groups", "get", made["id"])["intent_name"], "CHAT")
    equal(cli("intent-groups", "update-config", made["id"], *said({"temperature": 0.5})), {"temperature": 0.5})
    equal(cli("intent-groups", "get-config", made["id"]), {"temperature": 0.5})
    equal([found["action_type"] for found in cli("intent-groups", "list-intents", made["id"])], ["CHAT"])
    equal({row["action_type"] for row in cli("intent-groups", "list-requests", made["id"])}, {"CHAT"})


@check
def figures_of_the_company_an_application_and_an_intent() -> None:
    id = shop()["id"]
    intent = intent_of(id, "CHAT")
    asked: list[tuple[object, ...]] = [
        ("get-company-request",), ("get-application-request", id), ("get-application-action-request", id, intent),
    ]  # fmt: skip
    counts = [cli("analytics", *command)["request_count"] for command in asked]
    equal(counts, [3, 3, 2])
    rates: list[tuple[object, ...]] = [
        ("get-application-fault-rate", id), ("get-application-action-fault-rate", id, intent),
    ]  # fmt: skip
    equal([cli("analytics", *command)["fault_rate"] for command in rates], [0.0, 0.0])
    (model,) = cli("analytics", "get-company-model-usage")["models"]
    equal((model["model"], model["request_count"], model["total_tokens"]), ("gpt-4o", 3, 9))
    activity = cli("analytics", "get-company-application-activity")["applications"]
    equal([(found["application_ref_name"], found["request_count"]) for found in activity][:1], [("shop", 3)])


@check
def reports_of_faults_and_fallbacks() -> None:
    body = {
        "application_ref_name": "shop", "action_type": "CHAT", "session_id": "s-3", "request_id": "req-failed",
        "params": {"messages": HELLO, "model": "gpt-status-500"},
    }  # fmt: skip
    equal(ask("/api/v1/chat/completions/serialized", body=body)[0], 502)
    stored("req-failed fallback", "s-3")
    (fault,) = cli("reports", "list-faults")
    holds(fault, request_id="req-failed", model="gpt-status-500", status_code=502)
    intent = intent_of(shop()["id"], "CHAT")
    equal(cli("reports", "list-faults-by-intent", intent), [fault])
    equal([found["request_id"] for found in cli("reports", "list-fallbacks")], ["req-failed fallback"])
    equal(len(cli("reports", "list-fallbacks-by-intent", intent)), 1)


@check
def models_of_the_providers() -> None:
    models = cli("models", "list-available")
    assert "openai/gpt-either" in {model["model"] for model in models}, models
    id = models[0]["id"]
    equal(cli("models", "get", id), models[0])
    id = shop()["id"]
    for command in (("models", "list"), ("models", "list-by-application", id), ("applications", "list-models", id)):
        assert cli(*command), command


@check
def refusals_are_told_in_words() -> None:
    refused(401, "requests", "list", key="canary-no-key-of-weirs")
    refused(404, "requests", "get", "no-such")
    refused(404, "applications", "get", 999_999)
    refused(404, "sessions", "get", "no-such")
    refused(400, "requests", "list", "--limit", 100_000)
    refused(400, "applications", "create", *said({"application_name": ""}))


@check
def what_is_not_offered_says_so() -> None:
    for command in (("agents", "list"), ("datasets", "list"), ("sentinels", "list"), ("test-runs", "list")):
        refused(501, *command)


if __name__ == "__main__":
    run("maitai-cli")
