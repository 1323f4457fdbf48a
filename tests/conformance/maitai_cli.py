"""maitai-cli as it comes from PyPI, against WEIR_URL: every command that Weir offers, and that the others are refused.

Run by run.py in its own environment. The command line prints what comes; that it exits with 0 says that it could read
it, and its exit code 1 with one line that it could read the refusal.
"""

import inspect
import io
import json
import os
import re
import subprocess
from contextlib import redirect_stdout
from typing import Any

from tests.conformance.checking import KEY, URL, ask, check, equal, holds, run

os.environ |= {"MAITAI_API_KEY": KEY, "MAITAI_BASE_URL": f"{URL}/api/v1", "COLUMNS": "1000"}

import typer
from maitai_cli import commands_generated
from typer.main import get_command
from typer.testing import CliRunner

_generated = typer.Typer()
commands_generated.register_commands(_generated)
GENERATED: Any = get_command(_generated)

from maitai_cli.main import app  # noqa: E402 - puts commands written by hand in the place of some

_RUNNER = CliRunner()

HELLO: Any = {"role": "user", "content": "hi"}
CLIENTS_OWN: Any = {
    "chat_completion_request": {
        "application_ref_name": "shop",
        "action_type": "FIND",
        "session_id": "s1",
        "request_id": "by-client",
        "params": {"messages": [HELLO], "model": "gpt-4o"},
    },
    "chat_completion_response": {
        "model": "gpt-4o",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "yo"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
    },
}


def cli(*arguments: object) -> Any:
    """What a command prints, as JSON."""
    return listed(*arguments)[0]


def listed(*arguments: object) -> tuple[Any, str]:
    """What a list prints, and its line about the pages."""
    done = _RUNNER.invoke(app, [str(argument) for argument in arguments])
    assert done.exit_code == 0, f"maitai {' '.join(map(str, arguments))}: {done.output[-2000:]} {done.exception!r}"
    return json.loads(done.stdout), done.stderr.strip()


def refusal(*arguments: object) -> str:
    done = _RUNNER.invoke(app, [str(argument) for argument in arguments])
    equal(done.exit_code, 1)
    return " ".join(done.stdout.split())


def complete(intent: str, request_id: str, model: str = "gpt-either") -> int:
    body = {
        "application_ref_name": "shop",
        "action_type": intent,
        "session_id": "s1",
        "request_id": request_id,
        "params": {"messages": [HELLO], "model": model},
    }
    status, _ = ask_lines("/chat/completions/serialized", body)
    return status


def ask_lines(path: str, body: Any) -> tuple[int, Any]:
    try:
        return ask(path, body=body)
    except json.JSONDecodeError:  # Maitai's refusals are lines of text
        return 400, None


def ids(name: str, intent: str) -> tuple[str, str]:
    """The numbers of an application and its intent."""
    application = next(found for found in cli("applications", "list") if found["application_ref_name"] == name)
    intents = cli("applications", "list-intents", application["id"])
    return str(application["id"]), str(next(found["id"] for found in intents if found["action_type"] == intent))


@check
def the_command_runs_by_itself() -> None:
    done = subprocess.run(["maitai", "applications", "list"], capture_output=True, encoding="utf-8", timeout=60)
    equal((done.returncode, done.stdout), (0, "[]\n"))


@check
def applications_and_intents_are_made_and_configured() -> None:
    id = cli("applications", "create", "--application-name", "shop")["id"]
    for name in ("CHAT", "FIND"):
        cli("applications", "create-intent", id, "--body", json.dumps({"action_type": name}))
    equal([intent["action_type"] for intent in cli("applications", "list-intents", id)], ["CHAT", "FIND"])
    _, intent = ids("shop", "CHAT")
    equal(cli("applications", "get", id)["application_name"], "shop")
    equal(cli("applications", "get-intent", id, intent)["action_type"], "CHAT")
    equal(cli("applications", "update-config", id, "--body", '{"temperature": 0.5}'), {"temperature": 0.5})
    equal(cli("applications", "get-config", id), {"temperature": 0.5})
    equal(cli("applications", "update-intent-config", id, intent, "--body", '{"n": 1}'), {"n": 1})
    equal(cli("applications", "get-intent-config", id, intent), {"n": 1})
    equal(cli("applications", "reset-intent-config", id, intent), {})


@check
def requests_are_listed_read_and_filtered() -> None:
    equal(complete("CHAT", "by-weir"), 200)
    equal(ask("/chat/completions/response", body=CLIENTS_OWN, method="PUT")[0], 200)
    equal(complete("CHAT", "failed", "gpt-refused"), 400)
    application, intent = ids("shop", "FIND")
    found, pages = listed("requests", "list")
    equal([row["request_id"] for row in found], ["failed", "by-client", "by-weir"])
    equal([row["inference_location"] for row in found], ["SERVER", "CLIENT", "SERVER"])
    equal({row["request_type"] for row in found}, {"PROD"})
    equal(pages, "total=3 offset=0 limit=25")
    found, pages = listed("requests", "list", "--application-id", application, "--limit", 1, "--offset", 1)
    equal((found[0]["request_id"], pages), ("by-client", "total=3 offset=1 limit=1"))
    only = cli("requests", "list", "--intent-id", intent, "--include-messages")
    equal([(row["request_id"], row["params"]["messages"]) for row in only], [("by-client", [HELLO])])
    at = only[0]["date_created"]
    same = cli("requests", "list", "--application-id", application, "--start-date", at, "--end-date", at)
    assert "by-client" in [row["request_id"] for row in same]
    equal(cli("requests", "list", "--end-date", 1), [])
    whole = cli("requests", "get", "by-client")
    equal(whole, cli("requests", "get", whole["id"]))
    holds(whole, application_id=int(application), intent_id=int(intent), session_id="s1", action_type="FIND")
    equal(whole["response"]["choices"][0]["message"]["content"], "yo")


@check
def a_corrected_response_keeps_both_answers() -> None:
    cli("requests", "update-response", "by-client", "--body", '{"message_content": "better"}')
    whole = cli("requests", "get", "by-client")
    equal(whole["response"]["choices"][0]["message"]["content"], "yo")
    equal(whole["corrected_response"]["choices"][0]["message"]["content"], "better")


@check
def sessions_are_listed_read_and_judged() -> None:
    application, _ = ids("shop", "CHAT")
    (session,) = cli("sessions", "list", "--application-id", application)
    holds(session, session_id="s1", application_id=int(application), request_count=3, fault_count=1)
    equal(cli("applications", "list-sessions", application, "--limit", 5), [session])
    equal(cli("sessions", "get", "s1"), session)
    equal(cli("sessions", "get", "s1", "--application-id", application), session)
    turns = cli("sessions", "get-timeline", "s1")
    equal([turn["request"]["request_id"] for turn in turns], ["by-weir", "by-client", "failed"])
    equal([(turn["first"], turn["last"]) for turn in turns], [(True, False), (False, False), (False, True)])
    said = cli("sessions", "set-feedback", "s1", "--body", '{"feedback": 2, "reviewer": {"email": "a@example.org"}}')
    holds(said, feedback=2, reviewer={"email": "a@example.org"})
    equal(cli("sessions", "get", "s1"), said)
    holds(cli("api", "GET", "/sessions/s1/summary")["data"], request_count=3, intents=["CHAT", "FIND"])


@check
def intent_groups_are_listed_and_configured() -> None:
    made = cli("api", "POST", "/intent-groups", "-b", '{"intent_name": "FIND"}')["data"]
    id = made["id"]
    equal(cli("intent-groups", "list"), [made])
    equal(cli("intent-groups", "get", id, "--detailed"), made)
    equal(cli("intent-groups", "update-config", id, "--body", '{"model": "m"}'), {"model": "m"})
    equal(cli("intent-groups", "get-config", id), {"model": "m"})
    equal([intent["action_type"] for intent in cli("intent-groups", "list-intents", id)], ["FIND"])
    equal([row["request_id"] for row in cli("intent-groups", "list-requests", id, "--limit", 2)], ["by-client"])
    equal(cli("api", "POST", f"/intent-groups/{id}/config/reset"), {"data": {}})


@check
def models_are_listed_with_what_they_cost() -> None:
    application, intent = ids("shop", "CHAT")
    group = cli("intent-groups", "list")[0]["id"]
    found = cli("models", "list")
    assert "demo/echo" in [model["model"] for model in found], found
    for command in (
        ("models", "list", "--model-type", "llm"),
        ("models", "list-available"),
        ("models", "list-by-application", application),
        ("models", "list-by-intent", intent),
        ("models", "list-by-intent-group", group),
        ("applications", "list-models", application),
        ("intent-groups", "list-models", group),
    ):
        equal(cli(*command), found)
    equal(cli("models", "get", found[0]["id"]), found[0])


@check
def analytics_count_what_was_asked() -> None:
    application, intent = ids("shop", "CHAT")
    group = cli("intent-groups", "list")[0]["id"]
    holds(cli("analytics", "get-company-request"), request_count=3, fault_count=1, fault_rate=0.333333)
    models = cli("analytics", "get-company-model-usage")["models"]
    equal(sorted(model["model"] for model in models), ["gpt-4o", "gpt-either", "gpt-refused"])
    (activity,) = cli("analytics", "get-company-application-activity")["applications"]
    holds(activity, application_id=int(application), request_count=3)
    holds(cli("analytics", "get-application-request", application), request_count=3)
    holds(cli("analytics", "get-application-fault-rate", application), fault_count=1)
    holds(cli("analytics", "get-application-action-request", application, intent), request_count=2)
    holds(cli("analytics", "get-application-action-fault-rate", application, intent), fault_rate=0.5)
    holds(cli("analytics", "get-intent-group-request", group), request_count=1, fault_count=0)
    holds(cli("analytics", "get-intent-group-fault-rate", group), fault_rate=0.0)


@check
def reports_name_the_faults_and_the_fallbacks() -> None:
    _, chat = ids("shop", "CHAT")
    _, find = ids("shop", "FIND")
    equal([row["request_id"] for row in cli("reports", "list-faults", "--limit", 5)], ["failed"])
    equal([row["request_id"] for row in cli("reports", "list-faults-by-intent", chat)], ["failed"])
    equal(cli("reports", "list-faults-by-intent", find), [])
    equal(cli("reports", "list-fallbacks"), [])
    own = json.loads(json.dumps(CLIENTS_OWN))
    own["chat_completion_request"] |= {"request_id": "failed", "action_type": "CHAT", "session_id": "s2"}
    equal(ask("/chat/completions/response", body=own, method="PUT")[0], 200)  # what its client does after a failure
    (fallback,) = cli("reports", "list-fallbacks")
    holds(fallback, inference_location="CLIENT", session_id="s2")
    equal(cli("reports", "list-fallbacks-by-intent", chat), [fallback])


@check
def mistakes_are_told_in_one_line() -> None:
    equal(refusal("requests", "get", "no-such-id"), "API Error (404): There is no request 'no-such-id'.")
    equal(refusal("applications", "get", 99), "API Error (404): There is no application 99.")
    equal(
        refusal("requests", "list", "--start-date", 2, "--end-date", 1),
        "API Error (400): 'start_date' must not be later than 'end_date'.",
    )
    said = refusal("api", "GET", "/requests?limit=x")
    equal(said, "API Error (400): 'limit' must be a number from 0.")


@check
def every_command_is_offered_or_refused_as_not_offered() -> None:
    """All 389 generated commands, called with what each of them requires: none is unknown here, none breaks."""
    statuses: dict[str, list[str]] = {}
    for group, commands in GENERATED.commands.items():
        for name, command in commands.commands.items():
            arguments = [group, name]
            for parameter in command.params:
                if parameter.param_type_name == "argument":
                    arguments.append("1")
            if any(parameter.name == "body_json" for parameter in command.params):
                arguments += ["--body", json.dumps(_required(command.callback))]
            with redirect_stdout(io.StringIO()) as said:
                code = GENERATED.main(arguments, prog_name="maitai", standalone_mode=False)
            status = re.search(r"API Error \((\d+)\)", said.getvalue())
            statuses.setdefault(status[1] if status else str(code or 0), []).append(f"{group} {name}")
    equal(sorted(statuses), ["0", "400", "404", "501"])
    equal((sum(map(len, statuses.values())), len(statuses["501"])), (389, 343))


def _required(callback: Any) -> dict[str, Any]:
    """A body with something for every field that the command insists on."""
    found = re.search(r"required_fields = \((.*?)\)", inspect.getsource(inspect.unwrap(callback)))
    return {} if found is None else {name: 1 for name in re.findall(r"'(\w+)'", found[1])}


if __name__ == "__main__":
    run("maitai-cli")
