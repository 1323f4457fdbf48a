"""`make deploy`: the first time `sam deploy --guided`, whose answers are kept in samconfig.toml; then `sam deploy`."""

import secrets
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SAM = ROOT / ".venv-aws" / "bin" / "sam"
DEFAULTS = ROOT / "infra" / "samconfig.toml"
ANSWERS = "samconfig.toml"
"""Where SAM looks by itself: `sam logs` and `sam delete` know the stack from it, too."""


def main(folder: Path = ROOT) -> int:
    answers = folder / ANSWERS
    if not answers.exists():
        shutil.copy(DEFAULTS, answers)
    command = [str(SAM), "deploy"]
    if not was_asked(answers):
        sys.stdout.write(f"For the parameter ApiKey, if you have none yet, a new one: {secrets.token_urlsafe(33)}\n")
        sys.stdout.flush()
        command.append("--guided")
    return subprocess.call(command, cwd=folder)  # noqa: S603


def was_asked(answers: Path) -> bool:
    """The defaults name no region."""
    parameters = tomllib.loads(answers.read_text(encoding="utf-8")).get("default", {}).get("deploy", {})
    return "region" in parameters.get("parameters", {})


if __name__ == "__main__":
    sys.exit(main())
