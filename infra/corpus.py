"""Replay recorded exchanges of real providers through a running Weir, and have it judged from outside: `make corpus`.

The recordings and the judge are not part of this project. They are looked for beside it, in `../shared`; without them
there is nothing to do, which is said and is no failure. The judge has an environment of its own, .venv-judge, so that
the vendors' packages it reads answers with are not those of Weir.
"""

import secrets
import shlex
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tests.weir_process import WeirProcess

PROJECT = Path(__file__).resolve().parent.parent
JUDGE = PROJECT.parent / "shared" / "corpus-judge"
EXCHANGES = PROJECT.parent / "shared" / "exchanges" / "open"
ENVIRONMENT = PROJECT / ".venv-judge"


def main(judge: Path = JUDGE, exchanges: Path = EXCHANGES) -> int:
    """The judge's exit code, after its table and its last line."""
    missing = [folder for folder in (judge, exchanges) if not folder.is_dir()]
    if missing:
        _say(f"Nothing to replay: {' and '.join(map(_shown, missing))} not there.")
        return 0
    python = _environment(judge)
    command = [
        str(python),
        str(judge / "judge.py"),
        "--exchanges",
        str(exchanges),
        "--upstream-port",
        str(_free_port()),
    ]
    exports = subprocess.run([*command, "--print-env"], check=True, capture_output=True, encoding="utf-8")  # noqa: S603
    with tempfile.TemporaryDirectory() as folder:
        key = secrets.token_urlsafe(24)
        with WeirProcess(Path(folder, "data"), _variables(exports.stdout), key) as weir:
            asked = ["--gateway", weir.url, "--key", weir.key, "--out", str(Path(folder, "report.json"))]
            return subprocess.run([*command, *asked], check=False).returncode  # noqa: S603


def _environment(judge: Path) -> Path:
    """Its Python, with what the judge asks for; made anew when that has changed."""
    python = ENVIRONMENT / "bin" / "python"
    installed, wanted = ENVIRONMENT / ".installed", (judge / "requirements.txt").read_text(encoding="utf-8")
    if not installed.exists() or installed.read_text(encoding="utf-8") != wanted:
        _say(f"Making {ENVIRONMENT.name}")
        subprocess.run([sys.executable, "-m", "venv", str(ENVIRONMENT)], check=True)  # noqa: S603
        install = ["install", "--quiet", "--disable-pip-version-check", "--no-input", "-r", "requirements.txt"]
        subprocess.run([str(python), "-m", "pip", *install], check=True, cwd=judge)  # noqa: S603
        installed.write_text(wanted, encoding="utf-8")
    return python


def _variables(exports: str) -> Mapping[str, str]:
    """Of a shell's `export NAME=value` lines."""
    words = [word for line in exports.splitlines() for word in shlex.split(line) if word != "export"]
    return {name: value for name, _, value in (word.partition("=") for word in words)}


def _free_port() -> int:
    """Free now; the judge has to be told its port before it opens it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _shown(folder: Path) -> str:
    return f"../{folder.relative_to(PROJECT.parent)}" if folder.is_relative_to(PROJECT.parent) else folder.name


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
