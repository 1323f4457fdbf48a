"""The built functions under AWS's own Runtime Interface Emulator, which ships inside the wheel of aws-sam-cli."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from infra import invoke, ministack
from infra.here import build, install_ric
from infra.pack import ROOT, TARGET, target_python
from infra.rie import emulated, emulator

PYTHON = target_python()

pytestmark = [
    pytest.mark.skipif(
        emulator() is None, reason="the emulator is not installed; `make test` installs it with the AWS tools"
    ),
    pytest.mark.skipif(PYTHON is None, reason=f"there is no Python {TARGET} on this machine"),
]


@pytest.fixture(scope="module")
def built() -> str:
    """Left where it is, for whoever wants to look at it."""
    assert PYTHON is not None
    build(PYTHON)
    install_ric(PYTHON)
    return PYTHON


def environ(data: Path) -> dict[str, str]:
    return {"WEIR_DATA_DIR": str(data), "WEIR_API_KEY": "canary-key-of-the-event"}


def event(name: str) -> Mapping[str, Any]:
    loaded: dict[str, Any] = json.loads((ROOT / "infra" / "events" / f"{name}.json").read_text(encoding="utf-8"))
    return loaded


@pytest.mark.parametrize(
    ("function", "name", "statuses"),
    [
        ("storage", "storage", {200}),
        ("request_log", "request-log-create", {200}),
        ("portal", "portal-requests", {200}),
    ],
)
def test_a_function_answers_whole(function: str, name: str, statuses: set[int], built: str, tmp_path: Path) -> None:
    with emulated(function, built, environ(tmp_path), tmp_path / "log") as address:
        answer = httpx.post(address, json=event(name), timeout=60).json()

    assert answer["statusCode"] in statuses, (answer, (tmp_path / "log").read_text())


def test_the_completion_answers_in_the_form_of_a_stream(built: str, tmp_path: Path) -> None:
    """The emulator takes the pieces and gives them back whole: metadata, eight NULs, body."""
    with emulated("completion", built, environ(tmp_path), tmp_path / "log") as address:
        streamed = httpx.post(address, json=event("completion-stream"), timeout=60).content
        whole = httpx.post(address, json=event("completion"), timeout=60).content

    metadata, body = streamed.split(bytes(8), 1)
    assert json.loads(metadata)["statusCode"] == 200
    assert body.endswith(b"data: [DONE]\n\n")
    assert json.loads(whole.split(bytes(8), 1)[1])["object"] == "chat.completion"


@pytest.mark.usefixtures("built")
def test_make_invoke_prints_the_answer_and_keeps_what_was_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(invoke, "KEPT", tmp_path)

    assert invoke.main(["storage", "infra/events/storage.json"]) == 0
    stored = json.loads(json.loads(capsys.readouterr().out)["body"])
    assert invoke.main(["request_log", "infra/events/request-log-list.json"]) == 0
    (row,) = json.loads(json.loads(capsys.readouterr().out)["body"])["results"]
    assert invoke.main(["upkeep", "infra/events/upkeep.json"]) == 0
    assert capsys.readouterr().out == "null\n"

    assert row["id"] == stored["id"]


@pytest.mark.usefixtures("built")
def test_make_invoke_gives_the_projector_a_table_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    if (reason := ministack.missing()) is not None:
        pytest.skip(reason)

    assert invoke.main(["projector", "infra/events/projector.json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"batchItemFailures": []}
