"""`weir dev` as a process of its own, for tests that kill it, measure it, or read all that it writes."""

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Self

_PROJECT = Path(__file__).resolve().parents[1]
_PATIENCE_S = 60.0
_SERVES = re.compile(r"Weir serves (http://\S+)")


class WeirProcess:
    """Serves as soon as it is made, on a free port of 127.0.0.1; killed at the end of the `with` block.

    `environ` comes on top of the little that the process needs: nothing else of the test's environment reaches it.
    """

    def __init__(
        self, data_dir: Path, environ: Mapping[str, str] | None = None, key: str = "weir-key-of-a-test"
    ) -> None:
        self.key = key
        own = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ} | {
            "PYTHONPATH": f"{_PROJECT / 'layers' / 'shared'}{os.pathsep}{_PROJECT}",
            "WEIR_DATA_DIR": str(data_dir),
            "WEIR_API_KEY": key,
        }
        self._process = subprocess.Popen(
            [sys.executable, "-m", "weir", "dev", "--port", "0"],
            cwd=_PROJECT,
            env=own | dict(environ or {}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
        )
        self._out = _Output(self._process.stdout)
        self._err = _Output(self._process.stderr)
        self.pid = self._process.pid
        welcome = self._out.wait_for(_SERVES)
        if welcome is None:
            self.kill()
            raise AssertionError(f"weir dev did not start:\n{self.stdout}\n{self.stderr}")
        self.url = welcome[1]

    @property
    def stdout(self) -> str:
        return self._out.text

    @property
    def stderr(self) -> str:
        return self._err.text

    def kill(self) -> None:
        """End it as a power failure would."""
        self._process.kill()
        self._ended()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to end, and return its exit code."""
        self._process.send_signal(number)
        return self._ended()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def _ended(self) -> int:
        try:
            return self._process.wait(_PATIENCE_S)
        finally:
            self._process.kill()
            self._out.join()
            self._err.join()


class _Output(threading.Thread):
    """Reads what a process writes until it ends, so that the process never waits for a reader."""

    def __init__(self, pipe: IO[str] | None) -> None:
        super().__init__(daemon=True)
        if pipe is None:
            raise ValueError("the process was started without this pipe")
        self._pipe = pipe
        self._lines: list[str] = []
        self._news = threading.Condition()
        self._ended = False
        self.start()

    @property
    def text(self) -> str:
        with self._news:
            return "".join(self._lines)

    def wait_for(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        """The first match in what is written; None when the process ends without one, or takes too long."""

        def matched() -> re.Match[str] | bool | None:
            return pattern.search("".join(self._lines)) or self._ended

        with self._news:
            self._news.wait_for(matched, _PATIENCE_S)
            return pattern.search("".join(self._lines))

    def run(self) -> None:
        with self._pipe:
            for line in self._pipe:
                with self._news:
                    self._lines.append(line)
                    self._news.notify_all()
        with self._news:
            self._ended = True
            self._news.notify_all()
