"""What `weir …` says when something is set for a tenant that nobody has a key of, on SQLite and on DynamoDB."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from weir import cli

Run = Callable[..., str]

SETTINGS = {
    "limit": ("limits", "add", "requests_per_minute", "5", "--key", "*"),
    "credential": ("credentials", "set", "openai", "env:TEAM_ONE"),
    "configuration": ("config", "apply", "weir.toml", "--yes"),
}


@pytest.fixture
def run(
    ledger_of_commands: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Run:
    """A command for a tenant, in this process; gives what it says on standard error."""
    monkeypatch.setenv("WEIR_CREDENTIALS", "env:TEAM_")
    monkeypatch.chdir(tmp_path)
    Path("weir.toml").write_text("[workspace]\ntemperature = 0.5\n", encoding="utf-8")

    def ran(*arguments: str, tenant: str) -> str:
        monkeypatch.setattr(sys, "argv", ["weir", *arguments, "--tenant", tenant])
        assert cli.main() == 0
        return capsys.readouterr().err

    return ran


@pytest.mark.parametrize("arguments", SETTINGS.values(), ids=SETTINGS)
def test_what_holds_for_no_call_is_told(run: Run, arguments: tuple[str, ...]) -> None:
    told = "weir: the tenant 'acmee' has no API keys yet, so this holds for no call."
    assert run(*arguments, tenant="acmee") == f"{told}\n"
    run("keys", "create", "first", tenant="acme")
    if arguments[0] == "limits":  # of one kind there is one for each
        arguments = ("limits", "add", "tokens_per_minute", *arguments[3:])
    assert run(*arguments, tenant="acmee") == f"{told} Did you mean 'acme'?\n"
    assert run(*arguments, tenant="acme") == ""
    assert run(*arguments, tenant="default") == ""
