"""`make bench`: what Weir adds to a call, direct and through Weir in one run. Linux; nothing is asserted.

Weir has one core to itself, as `weir dev` with its ledger on a disk; the provider and the load share another. Both are
this project's own. Every phase is a closed loop: each connection asks again as soon as it is answered.
"""

import argparse
import dataclasses
import json
import os
import platform
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.bench import codec
from tests.bench.load import Question, put_load
from tests.bench.loops import run
from tests.bench.machine import cores, cpu_seconds, data_folder, on_core, peak_rss_mb
from tests.bench.provider import served
from tests.bench.report import Measured, table
from tests.weir_process import WeirProcess

_WARM_UP_S = 1.0
_MANY = 16
_PROMPT = "Summarise the report below in three sentences; name the cause, the repair and who must know. " * 4
_ANSWER = "The gate was left open after the inspection; it was closed at noon and the log corrected. " * 4


def main() -> int:
    options = _options()
    with data_folder() as data_dir, served() as provider_url:
        weir_core, other_core = cores()
        environ = {"OPENAI_API_KEY": "key-of-the-benchmark", "OPENAI_BASE_URL": f"{provider_url}/v1"}
        with on_core(weir_core):
            weir = WeirProcess(data_dir, environ)
        with weir, on_core(other_core):
            measured = run(_measure(weir, provider_url, options.seconds))
            rss_mb = peak_rss_mb(weir.pid)
            weir.stop()
        stored = _count(data_dir)
    _progress("decoder and encoder")
    with on_core(weir_core):
        cost = codec.measure(options.seconds)
    asked = sum(phase.load.answered + phase.load.refused for phase in measured if phase.through_weir)
    acknowledged = sum(phase.load.answered for phase in measured if phase.through_weir)
    sys.stdout.write(table(measured, rss_mb, cost))
    sys.stdout.write(f"\nacknowledged {acknowledged}, stored {stored}; refused {asked - acknowledged}\n")
    if options.json is not None:
        found = {
            "python": platform.python_version(),
            "cores": os.cpu_count(),
            "load": os.getloadavg()[0],
            "phases": {phase.name: phase.figures for phase in measured},
            "rss_peak_mb": rss_mb,
            "codec": dataclasses.asdict(cost),
            "acknowledged": acknowledged,
            "stored": stored,
        }
        options.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--seconds", type=float, default=3, help="of each phase (default: 3); there are sixteen")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    return parser.parse_args()


async def _measure(weir: WeirProcess, provider_url: str, seconds: float) -> list[Measured]:
    measured: list[Measured] = []

    async def phase(name: str, question: Question, connections: int, *, of: float = seconds) -> None:
        _progress(name)
        through_weir = question.url.startswith(weir.url)
        before = cpu_seconds(weir.pid)
        load = await put_load(question, connections=connections, seconds=of)
        cpu_ms = (cpu_seconds(weir.pid) - before) * 1000 / max(1, load.answered) if through_weir else None
        measured.append(Measured(name, through_weir, load, cpu_ms))

    for kind, body in (
        ("answers", _chat("whole")),
        ("streams", _chat("whole", stream=True)),
        ("piecewise", _chat("pieces", stream=True)),
    ):
        direct = Question("POST", f"{provider_url}/v1/chat/completions", body)
        through = Question(
            "POST", f"{weir.url}/v1/chat/completions", {**body, "model": f"openai/{body['model']}"}, weir.key
        )
        await phase(f"{kind}, warm-up", through, 4, of=min(seconds, _WARM_UP_S))
        for connections in (1, _MANY):
            await phase(f"{kind}, direct, {connections}", direct, connections)
            await phase(f"{kind}, Weir, {connections}", through, connections)
    for kind, question in (
        ("stored", Question("PUT", f"{weir.url}/chat/completions/response", _stored(), weir.key)),
        ("logged", Question("POST", f"{weir.url}/api/request-logs/create", _logged(), weir.key)),
    ):
        for connections in (1, _MANY):
            await phase(f"{kind}, Weir, {connections}", question, connections)
    return measured


def _chat(model: str, *, stream: bool = False) -> dict[str, Any]:
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": _PROMPT}]
    usage = {"stream_options": {"include_usage": True}} if stream else {}
    return {"model": model, "messages": messages, "temperature": 0.2, "max_tokens": 256, "stream": stream, **usage}


def _stored() -> dict[str, Any]:
    message = {"role": "assistant", "content": _ANSWER}
    response = {
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 60, "completion_tokens": 70, "total_tokens": 130},
    }
    request = {"application_ref_name": "bench", "action_type": "summary", "params": _chat("whole")}
    return {"chat_completion_request": request, "chat_completion_response": response}


def _logged() -> dict[str, Any]:
    return {
        "model": "gpt-4o",
        "prompt_messages": _chat("whole")["messages"],
        "completion_message": {"role": "assistant", "content": _ANSWER},
        "prompt_tokens": 60,
        "completion_tokens": 70,
        "latency": 1.25,
        "customer_identifier": "customer-1",
        "metadata": {"feature": "summary"},
    }


def _count(data_dir: Path) -> int:
    with closing(sqlite3.connect(data_dir / "ledger.sqlite")) as connection:
        (count,) = connection.execute("SELECT count(*) FROM records").fetchone()
    return int(count)


def _progress(what: str) -> None:
    sys.stderr.write(f"{what} …\n")
    sys.stderr.flush()


sys.exit(main())
