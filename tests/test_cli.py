"""The `weir` command, as a person runs it."""

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from weir.ledger.sqlite import SQLiteRecordStore
from weir.providers.catalog import CATALOG
from weir.providers.registry import Registry
from weir.providers.variables import variables_of
from weir.runtime.weak_keys import weakness

PROJECT = Path(__file__).resolve().parents[1]
STRONG = "canary-zT9pQ4mX7rB2wL6k"


def weir(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """In an environment that holds `environ` and nothing else."""
    return subprocess.run(
        [sys.executable, "-m", "weir", *arguments],
        env={"PYTHONPATH": str(PROJECT / "layers" / "shared"), "PATH": os.environ["PATH"], **environ},
        capture_output=True,
        encoding="utf-8",
        timeout=60,
    )


def report(data_dir: Path, **environ: str) -> dict[str, Any]:
    ran = weir("doctor", "--json", **{"WEIR_DATA_DIR": str(data_dir), "WEIR_API_KEY": STRONG, **environ})
    found: dict[str, Any] = json.loads(ran.stdout)
    assert (ran.returncode, ran.stderr) == (0 if found["ok"] else 1, "")
    return found


def verdicts(found: dict[str, Any]) -> dict[str, str]:
    return {each["subject"]: each["verdict"] for each in found["settings"]}


def test_doctor_is_content_with_nothing_configured_at_all(tmp_path: Path) -> None:
    ran = weir("doctor", WEIR_DATA_DIR=str(tmp_path / "new"))
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "OPENAI_API_KEY: not set" in ran.stdout
    assert ran.stdout.endswith("Nothing is wrong.\n")
    assert list(tmp_path.iterdir()) == []


def test_doctor_lists_every_provider_with_its_formats(tmp_path: Path) -> None:
    found = report(tmp_path)
    assert verdicts(found) == {"WEIR_API_KEY": "ok", "WEIR_DATA_DIR": "ok", "WEIR_ENGINE": "ok", "spill": "ok"}
    assert [each["name"] for each in found["providers"]] == [provider.name for provider in CATALOG]
    vertex = next(each for each in found["providers"] if each["name"] == "vertex")
    assert {name: vertex[name] for name in ("base_url", "key", "usable")} == {
        "base_url": "https://aiplatform.googleapis.com",
        "key": "VERTEX_API_KEY: not set",
        "usable": False,
    }
    assert [(form["model"], form["protocol"]) for form in vertex["formats"]] == [
        ("vertex/<model>", "gemini"),
        ("vertex/anthropic/<model>", "anthropic_messages"),
    ]
    assert vertex["formats"][1]["features"]["images by URL"] == "refused"


def test_doctor_never_shows_a_key(tmp_path: Path) -> None:
    keys = {name: f"canary-{name.lower()}" for each in CATALOG for names in variables_of(each).keys for name in names}
    environ = {
        **keys,
        "WEIR_API_KEY": STRONG,
        "WEIR_DATA_DIR": str(tmp_path),
        "AWS_SESSION_TOKEN": "canary-session",
        "OWN_API_KEY": "canary-own",
        "OWN_BASE_URL": "https://canary-own:canary-own@own.example/canary-own/v1?key=canary-own#canary-own",
        "MINE_API_KEY": "canary-mine",
        "MINE_BASE_URL": "canary-mine",
        "AZURE_OPENAI_BASE_URL": "https://canary-user@azure.example",
    }
    for arguments in (["doctor"], ["doctor", "--json"]):
        ran = weir(*arguments, **environ)
        assert "canary" not in ran.stdout + ran.stderr
        assert "https://own.example/***/v1" in ran.stdout
        assert "AWS_BEARER_TOKEN_BEDROCK" not in ran.stdout  # BEDROCK_API_KEY comes before it


@pytest.mark.parametrize(
    ("environ", "subject"),
    [
        ({"WEIR_API_KEY": "canary"}, "WEIR_API_KEY"),
        ({"WEIR_ENGINE": "postgres"}, "WEIR_ENGINE"),
        ({"WEIR_ENGINE": "dynamodb"}, "WEIR_ENGINE"),
        ({"WEIR_ENGINE": "dynamodb", "WEIR_TABLE": "t", "WEIR_BUCKET": "b"}, "WEIR_ENGINE"),
        ({"PORT": "http"}, "PORT"),
        ({"AZURE_OPENAI_API_KEY": "canary-azure"}, "azure"),
        ({"VERTEX_API_KEY": "canary-vertex"}, "vertex"),
        ({"AWS_ACCESS_KEY_ID": "canary-aws"}, "AWS_ACCESS_KEY_ID"),
        ({"OPENAI_BASE_URL": "api.openai.com"}, "OPENAI_BASE_URL"),
    ],
)
def test_what_is_wrong_is_named_and_the_exit_code_says_so(
    environ: dict[str, str], subject: str, tmp_path: Path
) -> None:
    found = report(tmp_path, **environ)
    assert found["ok"] is False
    assert [name for name, verdict in verdicts(found).items() if verdict == "wrong" and name == subject] == [subject]


def test_a_data_folder_that_is_a_file_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert verdicts(report(tmp_path / "file"))["WEIR_DATA_DIR"] == "wrong"


def test_a_ledger_is_read(tmp_path: Path) -> None:
    SQLiteRecordStore(tmp_path / "ledger.sqlite").close()
    found = report(tmp_path)
    assert {"subject": "WEIR_ENGINE", "verdict": "ok", "says": "sqlite answers"} in found["settings"]


def test_a_ledger_that_cannot_be_read_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "ledger.sqlite").write_bytes(b"not a database, and longer than a header" * 100)
    assert verdicts(report(tmp_path))["WEIR_ENGINE"] == "wrong"
    (tmp_path / "ledger.sqlite").unlink()
    connection = sqlite3.connect(tmp_path / "ledger.sqlite")
    connection.execute("CREATE TABLE records (other)")
    connection.close()
    assert verdicts(report(tmp_path))["WEIR_ENGINE"] == "wrong"


def test_keys_that_workspaces_name_and_weir_may_not_read_are_wrong(tmp_path: Path) -> None:
    SQLiteRecordStore(tmp_path / "ledger.sqlite").close()
    allowed = {"WEIR_DATA_DIR": str(tmp_path), "WEIR_CREDENTIALS": "env:TEAM_"}
    assert weir("credentials", "set", "openai", "env:TEAM_ONE", **allowed).returncode == 0
    assert verdicts(report(tmp_path, **allowed))["WEIR_CREDENTIALS"] == "ok"
    assert verdicts(report(tmp_path))["WEIR_CREDENTIALS"] == "wrong"
    assert verdicts(report(tmp_path, WEIR_CREDENTIALS="env:OTHER_"))["WEIR_CREDENTIALS"] == "wrong"


def test_half_of_an_own_provider_is_noted_and_the_other_half_makes_it_one(tmp_path: Path) -> None:
    found = report(tmp_path, LM_STUDIO_BASE_URL="http://h:1/v1", WEIR_BASE_URL="http://h:2", OPENAI_BASE_URL="http://h")
    assert {name for name, verdict in verdicts(found).items() if verdict == "note"} == {"LM_STUDIO_BASE_URL"}
    found = report(tmp_path, LM_STUDIO_BASE_URL="http://h:1/v1", LM_STUDIO_API_KEY="canary-lm")
    assert "note" not in verdicts(found).values()
    own = found["providers"][-1]
    assert (own["name"], own["base_url"], own["key"], own["usable"]) == (
        "lm-studio",
        "http://h:1/v1",
        "LM_STUDIO_API_KEY: set",
        True,
    )


@pytest.mark.parametrize(
    "key", ["", "canary", "a" * 40, "0123456701234567012345670123456x"[:19], "changeme-changeme-12345"]
)
def test_weak_keys_are_told(key: str) -> None:
    assert weakness(key) is not None


@pytest.mark.parametrize("key", [STRONG, "weir-1f8e0c7a9b3d4e6f"])
def test_strong_keys_are_not(key: str) -> None:
    assert weakness(key) is None


@pytest.mark.parametrize("provider", CATALOG, ids=lambda provider: provider.name)
def test_the_variables_that_are_named_are_those_that_count(provider: Any) -> None:
    variables = variables_of(provider)
    for address in variables.addresses:
        registry = Registry.from_environ({address: "http://h.example"})
        assert next(each for each in registry.providers if each.name == provider.name).base_url == "http://h.example"
    for names in variables.keys:
        environ = {name: "canary-key" for name in names}
        assert variables.key_set(environ) == names
        assert Registry.from_environ(environ).access(provider) is not None
        if provider.key != "aws":
            assert Registry.from_environ(environ).has_key(provider)
