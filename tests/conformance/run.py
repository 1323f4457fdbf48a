"""Drive a running Weir with other people's unmodified clients: `python -m tests.conformance.run [--list] [client ...]`.

Each has an environment, a Weir, a ledger and a provider of its own, and a file of checks that its own interpreter
runs. That prints lines of JSON: {"checks", "versions"} first, then {"name", "problem"} for each thing that it tried,
the problem null when it worked.
"""

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.conformance.clients import CLIENTS, Client
from tests.conformance.environments import PROJECT, NotBuilt, command, environment, missing_tools
from tests.conformance.scripted import scripted
from tests.upstream import Upstream
from tests.weir_process import WeirProcess

_PATIENCE_S = 300
_USAGE = 2
_SHOWN = 2_000
"""Characters of a problem's end that are printed."""
_output = threading.Lock()


@dataclass(slots=True)
class Outcome:
    """What came of a client. `problem` is what kept its checks from running to their end."""

    client: Client
    versions: Mapping[str, str] = field(default_factory=dict)
    expected: int = 0
    passed: int = 0
    failed: int = 0
    built_s: float = 0.0
    took_s: float = 0.0
    problem: str | None = None
    left_out: str | None = None

    @property
    def good(self) -> bool:
        return self.problem is None and self.failed == 0 and (self.left_out is None or not _in_ci())


def main(arguments: Sequence[str]) -> int:
    if "--list" in arguments:
        _print("\n".join(f"{client.name:20} {', '.join(client.shown)}" for client in CLIENTS))
        return 0
    unknown = [name for name in arguments if name not in {client.name for client in CLIENTS}]
    if unknown:
        sys.stderr.write(f"no such client: {', '.join(unknown)}; --list names them\n")
        return _USAGE
    chosen = [client for client in CLIENTS if client.name in arguments or not arguments]
    with ThreadPoolExecutor(max_workers=max(2, (os.cpu_count() or 2))) as pool:
        outcomes = list(pool.map(_drive, chosen))
    _print(_table(outcomes))
    passed, failed = sum(outcome.passed for outcome in outcomes), sum(_failures(outcome) for outcome in outcomes)
    _print(f"{passed} passed, {failed} failed")
    return int(not all(outcome.good for outcome in outcomes))


def _drive(client: Client) -> Outcome:
    outcome = Outcome(client)
    if missing := missing_tools(client):
        outcome.left_out = f"{' and '.join(missing)} not found"
        _print(f"{client.name}: left out, {outcome.left_out}")
        return outcome
    started = time.monotonic()
    try:
        folder, cached = environment(client)
        outcome.built_s = time.monotonic() - started
        _print(f"{client.name}: environment {'found' if cached else 'made'} in {outcome.built_s:.1f} s")
        _check(client, folder, outcome)
    except (NotBuilt, OSError, AssertionError) as exc:
        outcome.problem = str(exc)[-_SHOWN:]
    if outcome.problem is not None:
        _print(f"{client.name}: {outcome.problem}")
    outcome.took_s = time.monotonic() - started
    return outcome


def _check(client: Client, folder: Path, outcome: Outcome) -> None:
    with tempfile.TemporaryDirectory() as home, Upstream(scripted()) as upstream:
        providers = {"OPENAI_API_KEY": "canary-weirs-own-openai-key", "OPENAI_BASE_URL": f"{upstream.url}/v1"}
        with WeirProcess(Path(home) / "weir", providers) as weir:
            environ = {
                "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
                "PYTHONPATH": str(PROJECT),
                "HOME": home,
                "WEIR_URL": weir.url,
                "WEIR_KEY": weir.key,
                "UPSTREAM_URL": upstream.url,
            }
            _read(client, folder, environ, Path(home), outcome)


def _read(client: Client, folder: Path, environ: Mapping[str, str], home: Path, outcome: Outcome) -> None:
    """Run the checks and tell each as it comes."""
    with (
        (home / "stderr").open("w+", encoding="utf-8") as errors,
        subprocess.Popen(
            command(client, folder), env=environ, cwd=home, stdout=subprocess.PIPE, stderr=errors, encoding="utf-8"
        ) as process,
    ):
        watch = threading.Timer(_PATIENCE_S, process.kill)
        watch.start()
        for line in process.stdout or ():
            if line.startswith("{"):
                _told(client, json.loads(line), outcome)
        code = process.wait()
        watch.cancel()
        if code or not outcome.expected or outcome.passed + outcome.failed != outcome.expected:
            errors.seek(0)
            tried = f"{outcome.passed + outcome.failed} of {outcome.expected}"
            outcome.problem = f"ended with {code} after {tried} checks\n{errors.read()[-_SHOWN:]}"


def _told(client: Client, line: Mapping[str, Any], outcome: Outcome) -> None:
    if "checks" in line:
        outcome.expected, outcome.versions = line["checks"], line["versions"]
        return
    problem = line["problem"]
    if problem is None:
        outcome.passed += 1
    else:
        outcome.failed += 1
    at = f"{outcome.passed + outcome.failed}/{outcome.expected}"
    _print(f"{client.name} {at:>7} {'ok  ' if problem is None else 'FAIL'} {line['name']}")
    if problem is not None:
        _print("     " + problem.rstrip().replace("\n", "\n     "))


def _table(outcomes: Sequence[Outcome]) -> str:
    rows = [("client", "versions", "passed", "failed", "made", "all")]
    for outcome in outcomes:
        versions = ", ".join(f"{name} {number}" for name, number in outcome.versions.items())
        figures = (str(outcome.passed), str(_failures(outcome)), f"{outcome.built_s:.1f} s", f"{outcome.took_s:.1f} s")
        rows.append((outcome.client.name, versions or outcome.left_out or "not run", *figures))
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if at < 2 else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )


def _failures(outcome: Outcome) -> int:
    """A client that could not be driven to its end counts as one more."""
    return outcome.failed + int(not outcome.good and not outcome.failed)


def _in_ci() -> bool:
    return os.environ.get("CI") == "true"


def _print(text: str) -> None:
    with _output:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
