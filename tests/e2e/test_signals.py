"""How `weir dev` ends."""

import signal
from pathlib import Path

import pytest

from tests.weir_process import WeirProcess


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_server_cleanly_and_silently(tmp_path: Path, number: signal.Signals) -> None:
    with WeirProcess(tmp_path) as weir:
        assert (weir.stop(number), weir.stderr) == (0, "")
