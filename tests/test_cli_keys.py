"""`weir keys`, as a person runs it, on SQLite and on DynamoDB."""

import json
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.test_cli import STRONG, weir
from weir import cli
from weir.domain.api_key import read_id
from weir.domain.limit import EACH, Subject
from weir.http.auth import digest_of
from weir.ledger.limit_rules import LimitRules
from weir.ledger.sqlite_keys import SQLiteKeyStore
from weir.runtime.bootstrap import bootstrap, open_config_store, open_key_store
from weir.runtime.settings import Settings, SettingsInvalid

Run = Callable[..., Any]


@pytest.fixture
def run(ledger_of_commands: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """`weir keys … --json` in this process, on an empty ledger; gives what it says."""

    def ran(*arguments: str) -> Any:
        monkeypatch.setattr(sys, "argv", ["weir", "keys", *arguments, "--json"])
        assert cli.main() == 0
        return json.loads(capsys.readouterr().out)

    return ran


def test_keys_are_made_listed_replaced_and_revoked(run: Run) -> None:
    made = run("create", "CI", "--tenant", "acme", "--scope", "read", "--environment", "test", "--days", "3")
    assert (made["tenant"], made["scopes"], made["environment"], made["new_tenant"]) == ("acme", ["read"], "test", True)
    assert made["expires_at"] - made["date_created"] == pytest.approx(3 * 24 * 3600 * 1000, abs=60_000)
    kept = open_key_store(Settings.from_environ(os.environ)).find(read_id(made["key"]) or "")
    assert kept is not None
    assert kept.digest == digest_of(made["key"])
    own = run("create", "own")
    assert (own["tenant"], own["scopes"], own["new_tenant"]) == ("default", ["complete", "ingest", "read"], False)
    new = run("rotate", made["prefix"], "--overlap-hours", "1")
    assert (new["replaces"], new["tenant"], new["scopes"]) == (made["id"], "acme", ["read"])
    assert run("revoke", new["id"])["state"] == "revoked"
    listed = {view["id"]: view["state"] for view in run("list")}
    assert listed == {made["id"]: "active", own["id"]: "active", new["id"]: "revoked"}
    assert [view["id"] for view in run("list", "--tenant", "acme")] == [made["id"], new["id"]]


def test_a_replaced_keys_limits_are_the_new_ones(run: Run) -> None:
    made = run("create", "CI", "--tenant", "acme")
    rules = LimitRules(open_config_store(Settings.from_environ(os.environ)))
    for subject in (Subject("key", made["id"]), Subject("key", EACH)):
        rules.add("acme", subject, "requests_per_minute", most=Decimal(1), warn_at=None, at=datetime.now(UTC))
    new = run("rotate", made["prefix"])
    assert [limit.subject.name for limit in rules.all("acme")] == [new["id"], EACH]


def test_the_key_alone_is_on_standard_output(tmp_path: Path) -> None:
    environ = {"WEIR_DATA_DIR": str(tmp_path)}
    assert "no API keys" in weir("keys", "list", **environ).stdout
    made = weir("keys", "create", "CI runner", "--tenant", "acme", **environ)
    key = made.stdout.strip()
    assert (made.returncode, read_id(key) is not None, key in made.stderr) == (0, True, False)
    listed = weir("keys", "list", **environ)
    assert key not in listed.stdout
    assert listed.stdout.splitlines()[1].split()[:4] == [key[:17], "acme", "CI", "runner"]
    assert f"{key[:17]} (CI runner, of acme) is revoked" in weir("keys", "revoke", key[:17], **environ).stdout
    assert SQLiteKeyStore(tmp_path / "ledger.sqlite").of("acme")[0].revoked_at is not None


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["revoke", "0123456789ab"], 1, "weir: There is no such API key.\n"),
        (["create", "a\nb"], 1, "weir: 'name' must be printable text without spaces at its ends.\n"),
        (["create", "x", "--tenant", ""], 1, "weir: 'tenant' must be printable text without spaces at its ends.\n"),
        (["create", "x", "--scope", "all"], 2, "invalid choice: 'all'"),
        (["create", "x", "--days", "0"], 2, "a whole number from 1 to 36500"),
        (["create"], 2, "required: name"),
    ],
)
def test_what_cannot_be_done_is_said(arguments: list[str], code: int, says: str, tmp_path: Path) -> None:
    ran = weir("keys", *arguments, WEIR_DATA_DIR=str(tmp_path))
    assert (ran.returncode, ran.stdout) == (code, "")
    assert says in ran.stderr


@pytest.mark.parametrize("arguments", [["keys"], *(["keys", name] for name in ("create", "list", "rotate", "revoke"))])
def test_each_command_explains_itself(arguments: list[str]) -> None:
    assert "WEIR_ENGINE=dynamodb" in weir(*arguments, "--help").stdout


@pytest.mark.parametrize(
    "key", ["changeme", "test", "password-password-1", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "k" * 8]
)
def test_a_weak_key_is_refused_at_the_start_outside_dev(key: str, tmp_path: Path) -> None:
    environ = {"WEIR_API_KEY": key, "WEIR_DATA_DIR": str(tmp_path)}
    with pytest.raises(
        SettingsInvalid, match=r"^WEIR_API_KEY: is refused outside `weir dev`: .*; make one with"
    ) as said:
        bootstrap(environ)
    assert key not in str(said.value)
    assert list(tmp_path.iterdir()) == []
    bootstrap(environ, weak_key_allowed=True).ledger.close()


def test_a_strong_key_is_not_refused(tmp_path: Path) -> None:
    bootstrap({"WEIR_API_KEY": STRONG, "WEIR_DATA_DIR": str(tmp_path)}).ledger.close()
