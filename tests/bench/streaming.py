"""What the streaming runtime adds: `python -m tests.bench.streaming`. Emulator and function are two processes.

A chunk's way: out of the application, through the runtime and a socket, to Lambda's side of the Runtime API.
"""

import asyncio
import json
import statistics
import sys
from pathlib import Path
from typing import Any

from infra.emulator import Emulator
from tests.bench.machine import cpu_seconds

_ROOT = Path(__file__).resolve().parents[2]
_CALLS, _WARM, _CHUNKS, _STREAMS = 300, 20, 100_000, 5


async def _measure() -> None:
    async with Emulator() as emulator:
        path = f"{_ROOT / 'layers' / 'shared'}:{_ROOT}"
        wrapper = str(_ROOT / "layers" / "shared" / "bin" / "weir-stream")
        environ = {"PYTHONPATH": path, "_HANDLER": "tests.bench.lambda_app.handler"}
        process = await emulator.start([wrapper, sys.executable], environ, _ROOT)
        first = [await _first_chunk_ms(emulator) for _ in range(_CALLS + _WARM)][_WARM:]
        used_s = cpu_seconds(process.pid)
        rates = [await _chunks_a_second(emulator) for _ in range(_STREAMS)]
        used_s = cpu_seconds(process.pid) - used_s
    ends = statistics.quantiles(first, n=100)
    lines = (
        f"first chunk: p50 {ends[49]:.2f} ms, p99 {ends[98]:.2f} ms ({_CALLS} calls)",
        f"chunks/s:    {statistics.median(rates):,.0f} (median of {_STREAMS} streams of {_CHUNKS:,})",
        f"chunks a second of the function's processor time: {_STREAMS * _CHUNKS / used_s:,.0f}",
    )
    sys.stdout.write("\n".join(lines) + "\n")


async def _first_chunk_ms(emulator: Emulator) -> float:
    answer = emulator.invoke(_event(1))
    left_ns = int(await answer.piece() or b"0")
    await answer.ending()
    return answer.times[0] * 1000 - left_ns / 1e6


async def _chunks_a_second(emulator: Emulator) -> float:
    answer = emulator.invoke(_event(_CHUNKS), keeps=False)
    await answer.ending()
    return _CHUNKS / (answer.times[-1] - answer.times[0])


def _event(chunks: int) -> dict[str, Any]:
    sample = json.loads((_ROOT / "infra" / "events" / "completion-stream.json").read_text(encoding="utf-8"))
    return {**sample, "path": f"/{chunks}"}


if __name__ == "__main__":
    asyncio.run(_measure())
