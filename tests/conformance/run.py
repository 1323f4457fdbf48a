"""Drive a running Weir with other people's unmodified clients: `python tests/conformance/run.py maitai`.

A client lives in an environment of its own, since its pins are not ours, with a driver that prints a line of JSON for
each thing that it tried: {"name", "problem"}, the problem null when it worked.
"""

import json
import os
import subprocess
import sys
import tempfile
import venv
from collections.abc import Mapping
from pathlib import Path

_PROJECT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(_PROJECT), str(_PROJECT / "layers" / "shared")]

from tests.conformance.scripted import SCRIPTED  # noqa: E402 - the project is found only now
from tests.upstream import Upstream  # noqa: E402
from tests.weir_process import WeirProcess  # noqa: E402

DRIVERS: Mapping[str, str] = {"maitai": "maitai_python.py"}
_PATIENCE_S = 300


def main(names: list[str]) -> int:
    if not names or not set(names) <= set(DRIVERS):
        sys.stderr.write(f"usage: run.py {{{','.join(DRIVERS)}}} ...\n")
        return 2
    return max(_run(name) for name in names)


def _run(name: str) -> int:
    python = _environment(name)
    with tempfile.TemporaryDirectory() as folder, Upstream(SCRIPTED) as upstream:
        providers = {"OPENAI_API_KEY": "canary-weirs-own-openai-key", "OPENAI_BASE_URL": f"{upstream.url}/v1"}
        with WeirProcess(Path(folder) / "weir", providers) as weir:
            environ = {
                "PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}",
                "HOME": folder,
                "WEIR_URL": weir.url,
                "WEIR_KEY": weir.key,
                "UPSTREAM_URL": upstream.url,
            }
            driver = Path(__file__).with_name(DRIVERS[name])
            done = subprocess.run(
                [python, driver], env=environ, cwd=folder, capture_output=True, encoding="utf-8", timeout=_PATIENCE_S
            )
    outcomes = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"name"')]
    for outcome in outcomes:
        sys.stdout.write(f"{'ok  ' if outcome['problem'] is None else 'FAIL'} {name}: {outcome['name']}\n")
        if outcome["problem"] is not None:
            sys.stdout.write(f"     {outcome['problem']}\n")
    if done.returncode or not outcomes:
        sys.stdout.write(f"{name}: the driver ended with {done.returncode}\n{done.stderr[-4000:]}\n")
        return 1
    return int(any(outcome["problem"] is not None for outcome in outcomes))


def _environment(name: str) -> Path:
    """The interpreter of the client's own environment, made when it is not there or its requirements have changed."""
    folder = _PROJECT / f".venv-conformance-{name}"
    requirements = Path(__file__).with_name(f"requirements-{name}.txt")
    python, installed = folder / "bin" / "python", folder / "installed.txt"
    if not installed.exists() or installed.read_text(encoding="utf-8") != requirements.read_text(encoding="utf-8"):
        venv.create(folder, clear=True, with_pip=True)
        pip: list[str | Path] = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]
        subprocess.run([*pip, "-r", requirements], check=True)
        installed.write_text(requirements.read_text(encoding="utf-8"), encoding="utf-8")
    return python


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
