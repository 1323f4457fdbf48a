"""What is built for Lambda, built the same way for this machine: below .aws-sam/here, read-only."""

import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from infra.pack import ROOT, compiled, pack

HERE = ROOT / ".aws-sam" / "here"
LAYER = HERE / "opt"
RIC = HERE / "ric"
"""AWS's own runtime interface client, which Lambda's image has beside the layer."""


_BUILT_FROM = HERE / "built-from"


def build(python: str) -> None:
    """The layer as a zip file, unzipped as Lambda would; each function's folder by its name. `python`: the target's.

    What is there already is kept if it was built from the same sources.
    """
    sources = _digest(python)
    with _alone():
        if not _BUILT_FROM.exists() or _BUILT_FROM.read_text(encoding="utf-8") != sources:
            _build(python)
            _BUILT_FROM.write_text(sources, encoding="utf-8")


def _build(python: str) -> None:
    _remove(HERE)
    made = HERE / "layer"
    made.mkdir(parents=True)
    variables = [f"ARTIFACTS_DIR={made}", f"MACHINE={platform.machine()}", f"PYTHON={sys.executable}"]
    make = shutil.which("make") or "make"
    command = [make, "--silent", "-C", str(ROOT / "layers/shared"), "build-SharedLayer", *variables]
    subprocess.run(command, check=True, env=_without_make())  # noqa: S603
    pack(made, HERE / "layer.zip")
    with zipfile.ZipFile(HERE / "layer.zip") as archive:
        for info in archive.infolist():
            path = archive.extract(info, LAYER)
            if info.external_attr >> 16 & 0o100:
                (LAYER / path).chmod(0o755)
    for function in sorted(ROOT.glob("functions/*/app.py")):
        compiled(function.parent, HERE / function.parent.name, python)
    for read in (LAYER, *LAYER.rglob("*")):
        read.chmod(read.stat().st_mode & ~0o222)


def install_ric(python: str) -> None:
    with _alone():
        if not RIC.exists():
            _install_ric(python)


def _install_ric(python: str) -> None:
    install = [
        "--quiet",
        "--disable-pip-version-check",
        "--no-input",
        "--no-deps",
        "--require-hashes",
        "--target",
        str(RIC),
    ]
    requirements = ["--requirement", str(ROOT / "infra/locks/ric.txt")]
    subprocess.run([python, "-m", "pip", "install", *install, *requirements], check=True)  # noqa: S603


def _digest(python: str) -> str:
    """Stands for everything that the build reads."""
    read = [path for path in (ROOT / "layers" / "shared").rglob("*") if path.is_file() and path.suffix != ".pyc"]
    read += [
        *ROOT.glob("functions/*/app.py"),
        ROOT / "infra/here.py",
        ROOT / "infra/pack.py",
        ROOT / "infra/locks/ric.txt",
    ]
    digest = hashlib.sha256(f"{python} {platform.machine()}".encode())
    for path in sorted(read):
        content = path.read_bytes()
        digest.update(f"\n{path.relative_to(ROOT)} {len(content)} ".encode() + content)
    return digest.hexdigest()


@contextmanager
def _alone() -> Iterator[None]:
    """Tests build in several processes at once."""
    HERE.parent.mkdir(exist_ok=True)
    with (HERE.parent / "here.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _remove(folder: Path) -> None:
    for below in (folder, *folder.rglob("*")):
        if below.is_dir():
            below.chmod(0o755)
    shutil.rmtree(folder, ignore_errors=True)


def _without_make() -> dict[str, str]:
    """A make that is started by `make coldstart` is not to take part in its jobs."""
    return {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
