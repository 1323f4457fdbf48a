"""What is built for Lambda, built the same way for this machine: below .aws-sam/here, read-only."""

import os
import platform
import shutil
import subprocess
import sys
import zipfile

from infra.pack import ROOT, compiled, pack

HERE = ROOT / ".aws-sam" / "here"
LAYER = HERE / "opt"
RIC = HERE / "ric"
"""AWS's own runtime interface client, which Lambda's image has beside the layer."""


def build(python: str) -> None:
    """The layer as a zip file, unzipped as Lambda would; each function's folder by its name. `python`: the target's."""
    shutil.rmtree(HERE, ignore_errors=True)
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


def _without_make() -> dict[str, str]:
    """A make that is started by `make coldstart` is not to take part in its jobs."""
    return {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
