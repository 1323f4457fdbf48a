"""The layer's Makefile on other people's machines: what it asks of Python and pip, and what it says without them."""

import os
import shutil
import subprocess
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest

from infra.pack import ROOT, TARGET

LAYER = ROOT / "layers" / "shared"
PYTHON = """#!/bin/sh
echo "python $*" >> "$LOG"
case "$*" in
    *requirements.txt*) [ -z "$NO_REGISTRY" ] || exit 1 ;;
    *native.txt*) [ -z "$NO_NATIVE" ] || exit 1 ;;
esac
while [ $# -gt 1 ]; do
    [ "$1" != --target ] || mkdir -p "$2/botocore/data/ec2" "$2/boto3/data" "$2/boto3/examples"
    shift
done
"""
"""Stands for the builder's Python; pip leaves what the Makefile goes through."""
COMPILER = """#!/bin/sh
case "$1" in -c) echo "$0"; exit ;; esac
echo "compiler $*" >> "$LOG"
case "$*" in *compile-dataclasses*) [ -z "$NO_NATIVE" ] || exit 1 ;; esac
"""
"""Stands for a Python of the target's minor version."""


@dataclass
class Built:
    """`said` on standard output: of a build that succeeds SAM shows no other."""

    status: int
    said: str
    ran: list[str]
    left: set[str]


def executable(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)
    return path


def built(folder: Path, *, uname: str = "Linux aarch64", compiler: bool = True, **environ: str) -> Built:
    """A build in `folder`, whose name has a space in it as all others have."""
    machine = folder / "a machine"
    shutil.copytree(LAYER, machine / "a layer", ignore=shutil.ignore_patterns("weir"))
    (machine / "a layer" / "weir").mkdir()
    system, _, kind = uname.partition(" ")
    executable(machine / "its bin" / "uname", f'#!/bin/sh\n[ "$1" = -s ] && echo {system} || echo {kind}\n')
    python = executable(machine / "its bin" / "python", PYTHON)
    if compiler:
        executable(machine / "its pyenv" / "versions" / f"{TARGET}.1" / "bin" / "python", COMPILER)
    done = subprocess.run(
        ["make", "build-SharedLayer"],
        cwd=machine / "a layer",
        env={
            "PATH": f"{machine / 'its bin'}:/usr/bin:/bin",
            "HOME": str(machine),
            "PYENV_ROOT": str(machine / "its pyenv"),
            "LOG": str(machine / "log"),
            "PYTHON": str(python),
            "ARTIFACTS_DIR": str(machine / "made here"),
            **environ,
        },
        capture_output=True,
        text=True,
    )
    log = (machine / "log").read_text(encoding="utf-8").replace(str(machine), "~").splitlines()
    return Built(done.returncode, done.stdout, log, set(os.listdir(machine)))


MADE = {"a layer", "its bin", "its pyenv", "log", "made here"}
COMPILES = "compiler -m compileall -q -j 0 --invalidation-mode unchecked-hash -s ~/made here -p /opt ~/made here/python"
pytestmark = pytest.mark.skipif(
    shutil.which(f"python{TARGET}", path="/usr/bin:/bin") is not None,
    reason=f"this is about a machine without a Python {TARGET} on its PATH, and here it cannot be hidden",
)


def test_on_lambdas_own_kind_of_machine_the_layer_itself_is_imported(tmp_path: Path) -> None:
    made = built(tmp_path)

    assert (made.status, made.ran[-2:], made.left) == (
        0,
        [COMPILES, "compiler -B -I -S compile-dataclasses ~/made here/python"],
        MADE,
    )


@pytest.mark.parametrize(
    ("uname", "platforms"),
    [
        ("Darwin arm64", "--platform macosx_11_0_arm64"),
        ("Linux x86_64", "--platform manylinux2014_x86_64 --platform manylinux_2_28_x86_64"),
    ],
)
def test_elsewhere_one_native_package_is_fetched_for_the_builder_and_not_kept(
    uname: str, platforms: str, tmp_path: Path
) -> None:
    made = built(tmp_path, uname=uname)

    fetched = [line for line in made.ran if "native.txt" in line]
    assert [platforms in line for line in fetched] == [True]
    assert (made.status, made.ran[-1], made.left) == (
        0,
        "compiler -B -I -S compile-dataclasses ~/made here/python ~/made here-native",
        MADE,
    )


def test_without_that_package_the_layer_is_whole_and_slower_and_the_build_says_so(tmp_path: Path) -> None:
    made = built(tmp_path, uname="Darwin arm64", NO_NATIVE="yes")

    assert (made.status, COMPILES in made.ran, made.left) == (0, True, MADE)
    assert "Dataclasses could not be compiled in advance: each cold start takes 0.04 s more." in made.said


def test_without_a_python_of_lambdas_the_layer_has_no_bytecode_and_the_build_says_so(tmp_path: Path) -> None:
    made = built(tmp_path, compiler=False)

    assert (made.status, [line for line in made.ran if line.startswith("compiler")]) == (0, [])
    assert f"There is no Python {TARGET} on this machine: the layer has no bytecode" in made.said


def test_a_layer_without_bytecode_is_not_taken_for_one_that_would_have_it_now() -> None:
    """SAM's cache asks only whether the sources are the same."""
    config = tomllib.loads((ROOT / "infra" / "samconfig.toml").read_text(encoding="utf-8"))
    assert "cached" not in config["default"]["build"]["parameters"]


def test_without_the_packages_there_is_no_layer(tmp_path: Path) -> None:
    assert built(tmp_path, NO_REGISTRY="yes").status != 0
