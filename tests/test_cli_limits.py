"""`weir limits`, as a person runs it, on SQLite and on DynamoDB."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.test_cli import weir
from weir import cli

Run = Callable[..., Any]


@pytest.fixture
def run(ledger_of_commands: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """`weir limits … --json` in this process, on an empty ledger; gives what it says."""

    def ran(*arguments: str) -> Any:
        monkeypatch.setattr(sys, "argv", ["weir", "limits", *arguments, "--json"])
        assert cli.main() == 0
        return json.loads(capsys.readouterr().out)

    return ran


def test_limits_are_set_listed_changed_and_removed(run: Run) -> None:
    first = run("add", "requests_per_minute", "50", "--key", "*")
    assert (first["id"], first["per"], first["name"], first["limit"]) == (1, "key", "*", 50)
    second = run("add", "spend_per_day", "none", "--warn-at", "10.5", "--intent", "CHAT", "--application", "shop")
    assert (second["application"], second["limit"], second["warn_at"]) == ("shop", None, 10.5)
    other = run("add", "tokens_per_minute", "1000", "--customer", "ann", "--tenant", "acme")
    assert run("list") == [first, second]
    assert run("list", "--tenant", "acme") == [other]
    assert run("change", "1", "--limit", "60", "--warn-at", "40") == {**first, "limit": 60, "warn_at": 40}
    assert run("change", "1", "--warn-at", "none") == {**first, "limit": 60}
    assert run("remove", "2") == second
    assert run("list") == [{**first, "limit": 60}]


def test_a_person_sees_a_table(tmp_path: Path) -> None:
    environ = {"WEIR_DATA_DIR": str(tmp_path)}
    assert weir("limits", "list", **environ).stdout == "There are no limits.\n"
    weir("limits", "add", "spend_per_month", "100", "--intent", "*", "--application", "shop", **environ)
    said = weir("limits", "add", "requests_per_minute", "50", "--customer", "ann", "--warn-at", "40", **environ).stdout
    assert said.endswith("Is set. Servers go by it within ten seconds.\n")
    assert [line.split() for line in weir("limits", "list", **environ).stdout.splitlines()] == [
        ["id", "for", "measure", "limit", "warns", "at"],
        ["1", "each", "intent", "of", "shop", "spend_per_month", "100", "USD", "-"],
        ["2", "customer", "ann", "requests_per_minute", "50", "40"],
    ]


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["remove", "1"], 1, "weir: There is no limit 1.\n"),
        (["change", "1", "--limit", "5"], 1, "weir: There is no limit 1.\n"),
        (["add", "requests_per_minute", "x", "--key", "*"], 1, "weir: 'limit' must be a number.\n"),
        (["add", "requests_per_minute", "none", "--key", "*"], 1, "Say at least one of 'limit' and 'warn_at'."),
        (["add", "requests_per_minute", "5", "--key", "*", "--warn-at", "6"], 1, "'warn_at' must not be above 'limit'"),
        (["add", "requests_per_minute", "5", "--key", "*", "--tenant", ""], 1, "'tenant' must be printable"),
        (["add", "requests_per_minute", "5", "--intent", "CHAT"], 1, "An intent is named with its 'application'."),
        (["add", "requests_per_minute", "5", "--key", "0k3j9x2m4p7q"], 1, "The tenant 'default' has no such API key."),
        (["change", "1"], 1, "Say what is to change: --limit, --warn-at or both."),
        (["add", "requests_per_minute", "5"], 2, "one of the arguments --key --customer --intent is required"),
        (["add", "requests_per_hour", "5", "--key", "*"], 2, "invalid choice: 'requests_per_hour'"),
    ],
)
def test_what_cannot_be_done_is_said(arguments: list[str], code: int, says: str, tmp_path: Path) -> None:
    ran = weir("limits", *arguments, WEIR_DATA_DIR=str(tmp_path))
    assert (ran.returncode, ran.stdout) == (code, "")
    assert says in ran.stderr


@pytest.mark.parametrize("arguments", [["limits"], *(["limits", name] for name in ("add", "list", "change", "remove"))])
def test_each_command_explains_itself(arguments: list[str]) -> None:
    assert "WEIR_ENGINE=dynamodb" in weir(*arguments, "--help").stdout
