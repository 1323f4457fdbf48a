"""`weir credentials`, as a person runs it, on SQLite and on DynamoDB."""

import json
import os
import sys
from collections.abc import Callable
from typing import Any

import pytest

from weir import cli
from weir.runtime.bootstrap import open_credentials, open_stores
from weir.runtime.doctor_credentials import credential_findings
from weir.runtime.finding import Finding
from weir.runtime.settings import Settings

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(ledger_of_commands: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """`weir credentials …` in this process, on an empty ledger; gives its exit code and all that it says."""
    monkeypatch.setenv("WEIR_CREDENTIALS", "ssm:/weir/,env:TEAM_")
    monkeypatch.setenv("TEAM_ONE", "canary-team-one")

    def ran(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["weir", "credentials", *arguments])
        code = cli.main()
        said = capsys.readouterr()
        return code, said.out + said.err

    return ran


def views(said: tuple[int, str]) -> Any:
    assert said[0] == 0
    found = json.loads(said[1])
    for each in found if isinstance(found, list) else [found]:
        del each["set_at"]
    return found


def test_references_are_named_listed_and_removed(run: Run) -> None:
    named = {"provider": "openai", "reference": "env:TEAM_ONE", "set_by": "operator"}
    assert run("set", "openai", "env:TEAM_ONE", "--tenant", "acme", "--json")[0] == 0
    assert views(run("list", "--tenant", "acme", "--json")) == [named]
    assert views(run("list", "--json")) == []
    assert [each.provider for each in open_credentials(Settings.from_environ(os.environ)).of("acme")] == ["openai"]
    assert views(run("remove", "openai", "--tenant", "acme", "--json")) == named
    assert views(run("list", "--tenant", "acme", "--json")) == []


def test_a_slip_in_a_providers_name_is_pointed_out(run: Run) -> None:
    code, said = run("set", "opn-ai", "ssm:/weir/acme/openai")
    assert code == 0
    assert "opn-ai is a provider only where OPN_AI_BASE_URL and OPN_AI_API_KEY are set for the server." in said
    assert "is a provider only" not in run("set", "openai", "ssm:/weir/acme/openai")[1]


def test_a_person_reads_where_the_key_lies_and_never_the_key(run: Run) -> None:
    assert run("list") == (0, "default names no keys of its own; its calls use the operator's.\n")
    assert run("set", "openai", "env:TEAM_ONE") == (
        0,
        "default calls openai with the key in env:TEAM_ONE, within ten seconds.\n",
    )
    code, said = run("list")
    assert (code, said.startswith("openai  env:TEAM_ONE  (set by the operator, ")) == (0, True)
    assert run("remove", "openai") == (0, "default calls openai with the operator's key again, within ten seconds.\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("set", "openai", "ssm:/else/openai"), "'reference' must begin with one of: ssm:/weir/, env:TEAM_"),
        (("set", "openai", "canary-by-mistake"), "'reference' must be ssm:/path/name"),
        (("set", "Open AI", "env:TEAM_ONE"), "A provider's name is of small letters"),
        (("set", "openai", "env:TEAM_ONE", "--tenant", " "), "'tenant' must be printable"),
        (("remove", "openai"), "The workspace names no key for that provider."),
    ],
)
def test_what_cannot_be_is_said(run: Run, arguments: tuple[str, ...], said: str) -> None:
    code, told = run(*arguments)
    assert (code, told.startswith(f"weir: {said}"), "canary" in told) == (1, True, False)


@pytest.fixture
def findings(run: Run, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], list[Finding]]:
    """What the doctor says where `WEIR_CREDENTIALS` is as given; "acme" is a tenant."""
    monkeypatch.setenv("WEIR_BUCKET", "bucket")
    monkeypatch.setattr(sys, "argv", ["weir", "keys", "create", "first", "--tenant", "acme"])
    assert cli.main() == 0

    def found(allowed: str) -> list[Finding]:
        settings = Settings.from_environ({**os.environ, "WEIR_CREDENTIALS": allowed})
        stores = open_stores(settings)
        try:
            return list(credential_findings(stores, settings))
        finally:
            stores.ledger.close()

    return found


def test_the_doctor_says_that_what_is_named_is_not_used(run: Run, findings: Callable[[str], list[Finding]]) -> None:
    assert findings("") == findings("ssm:/weir/") == []
    run("set", "groq", "env:TEAM_ONE")
    run("set", "openai", "ssm:/weir/acme/openai", "--tenant", "acme")

    (unset,) = findings("")
    assert unset.subject == "WEIR_CREDENTIALS"
    assert unset.says.startswith(
        "not set, so the 2 keys that workspaces name (openai of acme, groq of default) are not used: "
        "calls go out with the operator's"
    )
    assert unset.verdict == ("wrong" if os.environ["WEIR_ENGINE"] == "sqlite" else "note")
    assert findings("ssm:/weir/") == [
        Finding(
            "WEIR_CREDENTIALS",
            "wrong",
            "does not allow 1 key that workspaces name, and calls to those providers fail: "
            "groq of default in env:TEAM_ONE",
        )
    ]
    assert findings("ssm:/weir/,env:TEAM_") == [
        Finding("WEIR_CREDENTIALS", "ok", "allows all of the 2 keys that workspaces name")
    ]
