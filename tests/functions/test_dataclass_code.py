"""Methods of dataclasses that were compiled before a function starts."""

import dataclasses
import marshal
import os
import subprocess
import sys
from pathlib import Path

import pytest

from infra.here import HERE, LAYER, build
from infra.pack import ROOT, TARGET, target_python
from weir.runtime.dataclass_code import use_compiled

PYTHON = target_python()
EVENTS = {
    "completion": ["completion"],
    "storage": ["storage"],
    "request_log": ["request-log-create", "request-log-list"],
    "portal": ["portal-requests"],
    "projector": [],
    "upkeep": [],
}
IN_THE_CLOUD = {
    "WEIR_ENGINE": "dynamodb",
    "WEIR_TABLE": "t",
    "WEIR_BUCKET": "b",
    "WEIR_DEAD_LETTERS": "https://sqs/0/d",
}

COMPILING = """
import json, sys
def hook(event, arguments):
    if event == "compile" and b"__create_fn__" in (arguments[0] or b""):
        print(arguments[0].decode())
sys.addaudithook(hook)
import weir.runtime.streaming, app
class Context:
    aws_request_id = "invocation-1"
    def get_remaining_time_in_millis(self):
        return 28_000
for name in sys.argv[1:]:
    app.handler(json.load(open(name)), Context())
"""
"""Prints the text of every method of a dataclass that a function compiles until it has answered."""


@pytest.fixture
def executing(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is put before the builtin goes with the test."""
    monkeypatch.setitem(vars(dataclasses), "exec", exec)


def texts_of(define: str) -> list[str]:
    """What `dataclasses` of this Python asks to compile."""
    found: list[str] = []
    own = vars(dataclasses).get("exec", exec)

    def execute(text: str, *names: dict[str, object]) -> None:
        found.append(text)
        own(text, *names)

    vars(dataclasses)["exec"] = execute
    try:
        exec(define, {"dataclass": dataclasses.dataclass, "__name__": __name__})
    finally:
        vars(dataclasses)["exec"] = own
    return found


POINT = "@dataclass(frozen=True)\nclass Point:\n    x: int\n    y: int = 2"


def written(path: Path, tag: str | None, changed: tuple[str, str] = ("", "")) -> Path:
    """Code of a Point as the build leaves it, of texts in which something was replaced, so that it can be told."""
    code = {text: marshal.dumps(compile(text.replace(*changed), "<test>", "exec")) for text in texts_of(POINT)}
    path.write_bytes(marshal.dumps((tag, code)))
    return path


def point() -> str:
    names: dict[str, object] = {"dataclass": dataclasses.dataclass, "__name__": __name__}
    exec(POINT, names)
    made = names["Point"]
    assert callable(made)
    return repr(made(1))


@pytest.mark.usefixtures("executing")
def test_the_code_that_was_left_is_what_runs(tmp_path: Path) -> None:
    use_compiled(written(tmp_path / "code", sys.implementation.cache_tag, ("x={", "X={")))

    assert point() == "Point(X=1, y=2)"


@pytest.mark.usefixtures("executing")
@pytest.mark.parametrize("tag", ["cpython-27", None])
def test_another_pythons_code_is_left_alone(tag: str | None, tmp_path: Path) -> None:
    use_compiled(written(tmp_path / "code", tag, ("x={", "X={")))

    assert point() == "Point(x=1, y=2)"


@pytest.mark.usefixtures("executing")
def test_what_the_build_has_not_seen_is_compiled_as_ever(tmp_path: Path) -> None:
    (tmp_path / "code").write_bytes(marshal.dumps((sys.implementation.cache_tag, {})))
    use_compiled(tmp_path / "code")

    assert point() == "Point(x=1, y=2)"


@pytest.mark.usefixtures("executing")
def test_where_nothing_was_built_nothing_happens(tmp_path: Path) -> None:
    before = vars(dataclasses)["exec"]
    use_compiled(tmp_path / "none")

    assert vars(dataclasses)["exec"] is before


@pytest.mark.skipif(PYTHON is None, reason=f"there is no Python {TARGET} on this machine")
@pytest.mark.parametrize("function", EVENTS)
def test_a_built_function_compiles_no_dataclass(function: str, tmp_path: Path) -> None:
    assert PYTHON is not None
    build(PYTHON)
    environ = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": f"{HERE / function}:{LAYER / 'python'}",
        "PYTHONDONTWRITEBYTECODE": "1",
        "AWS_LAMBDA_RUNTIME_API": "127.0.0.1:1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "WEIR_DATA_DIR": str(tmp_path),
        **({} if EVENTS[function] else IN_THE_CLOUD),
        "WEIR_API_KEY": "canary-key-of-the-function",
    }
    events = [ROOT / "infra" / "events" / f"{name}.json" for name in EVENTS[function]]
    done = subprocess.run(
        [PYTHON, "-s", "-c", COMPILING, *events], env=environ, cwd=HERE / function, capture_output=True
    )
    assert done.returncode == 0, done.stderr.decode()
    assert [line for line in done.stdout.decode().splitlines() if not line.startswith('{"_aws"')] == []
