"""Environments of the clients' own, since their pins are not ours: made once for each state of their pins."""

import hashlib
import json
import platform
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.conformance.clients import HERE, Client

PROJECT = HERE.parents[1]
CACHE = PROJECT / ".conformance"
_PATIENCE_S = 600


class NotBuilt(Exception):
    """A tool said no, or what it installed is not what is pinned."""


def missing_tools(client: Client) -> list[str]:
    needed = ("node", "npm") if client.language == "node" else ()
    return [tool for tool in needed if shutil.which(tool) is None]


def environment(client: Client) -> tuple[Path, bool]:
    """The folder of the client's environment, and whether it was there already. Raises NotBuilt."""
    folder = CACHE / f"{client.name}-{_key(client)}"
    whole = folder / ".whole"
    if whole.exists():
        return folder, True
    for older in CACHE.glob(f"{client.name}-" + "[0-9a-f]" * 16):
        shutil.rmtree(older)
    folder.mkdir(parents=True)
    if client.language == "python":
        _make_python(client, folder)
    else:
        _make_node(client, folder)
    whole.touch()
    return folder, False


def command(client: Client, folder: Path) -> list[str]:
    """What runs the client's checks."""
    if client.language == "python":
        return [str(folder / "bin" / "python"), "-m", f"tests.conformance.{client.checks}"]
    for name in ("checking.mjs", f"{client.checks}.mjs"):  # node finds packages from where the importing file lies
        shutil.copy(HERE / name, folder)
    return ["node", str(folder / f"{client.checks}.mjs")]


def _key(client: Client) -> str:
    """Changes with the pins, the interpreter and the machine."""
    pins = [client.pins] if client.pins.is_file() else sorted(client.pins.iterdir())
    text = b"\n".join(path.read_bytes() for path in pins)
    made_with = f"{platform.machine()} {sys.platform} {sys.version_info[:2]} {client.language}"
    return hashlib.sha256(text + made_with.encode()).hexdigest()[:16]


def _make_python(client: Client, folder: Path) -> None:
    uv = Path(sys.executable).with_name("uv")
    _run([uv, "venv", "--quiet", "--allow-existing", "--python", sys.executable, folder])
    install: list[str | Path] = [
        uv,
        "pip",
        "install",
        "--quiet",
        "--require-hashes",
        "--python",
        folder / "bin" / "python",
    ]
    _run([*install, "--requirement", client.pins])


def _make_node(client: Client, folder: Path) -> None:
    """npm checks what it fetches against what the registry says; we check that against what is written here."""
    shutil.copy(client.pins / "package.json", folder)
    _run(["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], folder)
    lock = json.loads((folder / "node_modules" / ".package-lock.json").read_bytes())
    installed: Mapping[str, str] = {
        f"{path.removeprefix('node_modules/')}@{package['version']}": package.get("integrity", "")
        for path, package in lock["packages"].items()
    }
    pinned = json.loads((client.pins / "integrity.json").read_bytes())
    if installed != pinned:
        raise NotBuilt(f"npm installed {json.dumps(installed, indent=2)}\nnot what integrity.json names")


def _run(arguments: Sequence[str | Path], folder: Path = PROJECT) -> None:
    done = subprocess.run(arguments, cwd=folder, capture_output=True, encoding="utf-8", timeout=_PATIENCE_S)
    if done.returncode:
        raise NotBuilt(f"{' '.join(map(str, arguments))}\n{done.stdout}{done.stderr}")
