"""`make deploy`: the first time `sam deploy --guided`, whose answers are kept in samconfig.toml; then `sam deploy`.

SAM keeps all answers but the key, and CloudFormation keeps that with the stack: where the first time came to no stack,
all is asked again.
"""

import re
import secrets
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SAM = ROOT / ".venv-aws" / "bin" / "sam"
DEFAULTS = ROOT / "infra" / "samconfig.toml"
ANSWERS = "samconfig.toml"
"""Where SAM looks by itself: `sam logs` and `sam delete` know the stack from it, too."""

NO_STACK = "REVIEW_IN_PROGRESS"
"""How CloudFormation calls a stack whose first changes were looked at, and not made."""

FAILED = ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "DELETE_FAILED")
"""Of the first time; such a stack can only be deleted."""


def main(folder: Path = ROOT) -> int:
    answers = folder / ANSWERS
    if not answers.exists():
        shutil.copy(DEFAULTS, answers)
    parameters = parameters_of(answers.read_text(encoding="utf-8"))
    status = stack_status(parameters) if was_asked(parameters) else None
    if status in FAILED:
        sys.stderr.write(
            f"The stack could not be made ({status}). `{SAM.relative_to(ROOT)} delete` takes away what is left of it; "
            "then `make deploy` asks again.\n"
        )
        return 1
    command = [str(SAM), "deploy"]
    if not was_asked(parameters) or (status == NO_STACK and not has_key(parameters)):
        sys.stdout.write(f"For the parameter ApiKey, if you have none yet, a new one: {secrets.token_urlsafe(33)}\n")
        sys.stdout.flush()
        command.append("--guided")
    return subprocess.call(command, cwd=folder)  # noqa: S603


def parameters_of(answers: str) -> Mapping[str, Any]:
    """What SAM has for `sam deploy`."""
    defaults = tomllib.loads(answers).get("default", {})
    parts = [defaults.get(command, {}).get("parameters", {}) for command in ("global", "deploy")]
    return {**parts[0], **parts[1]} if "region" in parts[1] else parts[0]


def was_asked(parameters: Mapping[str, Any]) -> bool:
    """The defaults name no region."""
    return "region" in parameters


def has_key(parameters: Mapping[str, Any]) -> bool:
    """Whether the key lies in a secret that the answers name: then there is nothing to ask for."""
    return re.search(r'\bApiKeySecretArn="?arn:', str(parameters.get("parameter_overrides"))) is not None


def stack_status(parameters: Mapping[str, Any]) -> str | None:
    """None where AWS cannot be asked: what is wrong SAM will say."""
    from botocore.exceptions import BotoCoreError, ClientError
    from botocore.session import Session

    try:
        session = Session(profile=parameters.get("profile"))
        client = session.create_client("cloudformation", region_name=parameters["region"])
        (stack,) = client.describe_stacks(StackName=parameters["stack_name"])["Stacks"]
    except ClientError as exc:
        return NO_STACK if exc.response["Error"]["Code"] == "ValidationError" else None
    except BotoCoreError:
        return None
    status: str = stack["StackStatus"]
    return status


if __name__ == "__main__":
    sys.exit(main())
