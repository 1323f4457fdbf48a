"""`python -m tests.bench.control`: what control adds to a warm call, beside the same call without it, in one run.

Each way of asking is a tenant of its own in the same Weir, and they take turns, a twentieth of a second each: whatever
else goes on in the machine meets all of them. The ledger is in memory first, where a difference can be seen, and then
on a disk, where most of a call is waiting for it. Linux; nothing is asserted.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.bench.load import Question, percentile, put_load
from tests.bench.loops import run
from tests.bench.machine import cores, cpu_ms, data_folder, on_core
from tests.bench.provider import served
from tests.bench.report import aligned
from tests.weir_process import WeirProcess

TARGET_MS = 0.3
_TURN_S = 0.05
_MEMORY = Path("/dev/shm")
_APPLICATION, _INTENT, _CUSTOMER = "bench", "SUMMARY", "customer-1"

Setup = Callable[[httpx.Client], None]


def _nothing(_: httpx.Client) -> None:
    """A call as it is without control."""


def _defaults(weir: httpx.Client) -> None:
    application = _application(weir)
    intent = _made(weir, f"{application}/intents", {"action_type": _INTENT})
    _put(weir, f"{application}/config", {"temperature": 0.2, "max_tokens": 256})
    _put(weir, f"{application}/intents/{intent['id']}/config", {"top_p": 0.9})


def _application(weir: httpx.Client) -> str:
    made = _made(weir, "applications", {"application_name": _APPLICATION, "application_ref_name": _APPLICATION})
    return f"applications/{made['id']}"


def _limits(weir: httpx.Client) -> None:
    """One of each measure, and of each kind of subject."""
    for limit in (
        {"per": "key", "measure": "requests_per_minute", "limit": 10**9},
        {"per": "customer", "measure": "tokens_per_minute", "limit": 10**12},
        {"per": "intent", "measure": "spend_per_day", "limit": 10**6, "warn_at": 10**6},
        {"per": "key", "measure": "spend_per_month", "limit": 10**6},
    ):
        _made(weir, "limits", limit)


def _one_limit(weir: httpx.Client) -> None:
    _made(weir, "limits", {"per": "key", "measure": "requests_per_minute", "limit": 10**9})


def _fallback(weir: httpx.Client) -> None:
    """Which takes the call through the router, its deadlines and its circuit breaker."""
    application = _application(weir)
    _put(weir, f"{application}/config", {"fallback_config": {"model": "openai/gpt-4o", "strategy": "reactive"}})


def _all(weir: httpx.Client) -> None:
    _defaults(weir)
    _limits(weir)


def _everything(weir: httpx.Client) -> None:
    _fallback(weir)
    _limits(weir)


WAYS: Mapping[str, Setup] = {
    "without": _nothing,
    "one limit": _one_limit,
    "four limits": _limits,
    "defaults": _defaults,
    "defaults and four limits": _all,
    "fallback": _fallback,
    "fallback and four limits": _everything,
}


def main() -> int:
    options = _options()
    found: dict[str, dict[str, Any]] = {}
    for place, folder in (("in memory", _in_memory), ("on a disk", data_folder)):
        if folder is _in_memory and not _MEMORY.is_dir():
            continue
        sys.stderr.write(f"control, ledger {place} …\n")
        with folder() as data_dir, on_core(cores()[1]), served() as provider_url:
            found[place] = _measure(data_dir, provider_url, options.seconds)
    rows = [("a call, p50 ms", *(each for place in found for each in (place, "CPU ms")))]
    for way in WAYS:
        cells = [_cells(figures[way]) for figures in found.values()]
        rows.append((way, *(cell for pair in cells for cell in pair)))
    sys.stdout.write("".join(aligned(rows)))
    most = max(figures[way]["added_ms"] for figures in found.values() for way in WAYS)
    verdict = "met" if most <= TARGET_MS else "MISSED"
    sys.stdout.write(f"\ncontrol adds at most {most:.2f} ms (<= {TARGET_MS} ms: {verdict})\n")
    if options.json is not None:
        options.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return 0


def _cells(figures: Mapping[str, Any]) -> tuple[str, str]:
    """What it took, and how much of that is added."""
    return (
        f"{figures['p50_ms']:.2f} ({figures['added_ms']:+.2f})",
        f"{figures['cpu_ms']:.2f} ({figures['added_cpu_ms']:+.2f})",
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.control", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--seconds", type=float, default=4, help="of each way, in each place (default: 4)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    return parser.parse_args()


@contextmanager
def _in_memory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="weir-bench-", dir=_MEMORY) as folder:
        yield Path(folder)


def _measure(data_dir: Path, provider_url: str, seconds: float) -> dict[str, Any]:
    environ = {"OPENAI_API_KEY": "key-of-the-benchmark", "OPENAI_BASE_URL": f"{provider_url}/v1"}
    with on_core(cores()[0]):
        weir = WeirProcess(data_dir, environ)
    with weir:
        questions = {way: _question(weir, way, setup) for way, setup in WAYS.items()}
        asked = run(_take_turns(weir.pid, questions, seconds))
        weir.stop()
    p50 = {way: percentile(sorted(calls.whole_ms), 0.5) for way, calls in asked.items()}
    cpu = {way: calls.cpu_ms / len(calls.whole_ms) for way, calls in asked.items()}
    return {
        way: {
            "p50_ms": round(p50[way], 3),
            "added_ms": round(p50[way] - p50["without"], 3),
            "cpu_ms": round(cpu[way], 3),
            "added_cpu_ms": round(cpu[way] - cpu["without"], 3),
            "calls": len(asked[way].whole_ms),
        }
        for way in WAYS
    }


@dataclass(slots=True)
class _Calls:
    whole_ms: list[float] = field(default_factory=list)
    cpu_ms: float = 0.0


async def _take_turns(pid: int, questions: Mapping[str, Question], seconds: float) -> Mapping[str, _Calls]:
    asked = {way: _Calls() for way in questions}
    for question in questions.values():
        await put_load(question, connections=1, seconds=0.5)
    for _ in range(round(seconds / _TURN_S)):
        for way, question in questions.items():
            before = cpu_ms(pid)
            load = await put_load(question, connections=1, seconds=_TURN_S)
            asked[way].cpu_ms += cpu_ms(pid) - before
            if load.refused:
                raise RuntimeError(f"{load.refused} calls were refused: {way}")
            asked[way].whole_ms += load.whole_ms
    return asked


def _question(weir: WeirProcess, way: str, setup: Setup) -> Question:
    """A call of a tenant that has what the way is about; every call names what that could hold for."""
    with _client(weir, weir.key) as operator:
        asked = {"name": "bench", "tenant": way, "scopes": ["complete", "read", "admin"]}
        key: str = _made(operator, "api-keys", asked)["key"]
    with _client(weir, key) as tenant:
        setup(tenant)
    body = {
        "model": "openai/gpt-4o-mini",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What was it? " * 30}],
        "application": _APPLICATION,
        "intent": _INTENT,
        "customer_identifier": _CUSTOMER,
    }
    return Question("POST", f"{weir.url}/v1/chat/completions", body, key)


def _client(weir: WeirProcess, key: str) -> httpx.Client:
    return httpx.Client(base_url=f"{weir.url}/api/v1/", headers={"authorization": f"Bearer {key}"}, timeout=30)


def _made(weir: httpx.Client, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
    answer = weir.post(path, json=body)
    answer.raise_for_status()
    made: dict[str, Any] = answer.json()["data"]
    return made


def _put(weir: httpx.Client, path: str, body: Mapping[str, Any]) -> None:
    weir.put(path, json=body).raise_for_status()


if __name__ == "__main__":
    sys.exit(main())
