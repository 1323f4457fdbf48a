"""Init and first response of every function, beside a hello-world of the same packages: `make coldstart`.

The layer and the functions are built as for Lambda, but for this machine, unzipped, and read by a fresh process of the
target's Python that may not write bytecode. The completion function runs on its own runtime; the others are called as
Lambda's runtime calls them. DynamoDB and S3 are answered on 127.0.0.1 at once, so what is seen is the function's part.
"""

import asyncio
import json
import os
import platform
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from infra.emulator import Emulator
from infra.here import HERE, LAYER, build
from infra.pack import ROOT, TARGET, compiled, target_python, unzipped_bytes

ROUNDS = 10
MOST_RATIO, MOST_RSS_MB = 1.15, 110
EVENTS = {
    "completion": "completion-stream",
    "storage": "storage",
    "request_log": "request-log-create",
    "portal": "portal-requests",
}
"""The first event of each function. The completion's is answered by the demo provider."""

_HELLO = """
import os

import boto3
from fastapi import FastAPI
from mangum import Mangum

table = boto3.client("dynamodb")
app = FastAPI()


@app.post("/chat/completions/response")
@app.put("/chat/completions/response")
def hello() -> dict[str, str]:
    PUT
    return {"hello": "world"}


handler = Mangum(app, lifespan="off")
"""

_CALLED = """
import json, sys, time
from app import handler
ready = time.perf_counter()
class Context:
    aws_request_id = "invocation-1"
    def get_remaining_time_in_millis(self):
        return 28_000
answer = handler(json.load(open(sys.argv[1])), Context())
done = time.perf_counter()
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM:"))
used = time.process_time()
told = {"ready": ready, "done": done, "used": used, "rss_mb": int(peak.split()[1]) / 1024}
print(json.dumps({**told, "status": answer["statusCode"]}))
"""


@dataclass(frozen=True, slots=True)
class Start:
    """One cold start. Milliseconds since the process was made, and of processor time until then."""

    init_ms: float
    first_ms: float
    used_ms: float
    rss_mb: float


@dataclass(frozen=True, slots=True)
class Median:
    name: str
    init_ms: float
    first_ms: float
    used_ms: float
    rss_mb: float

    @classmethod
    def of(cls, name: str, starts: Sequence[Start]) -> "Median":
        return cls(
            name,
            statistics.median(each.init_ms for each in starts),
            statistics.median(each.first_ms for each in starts),
            statistics.median(each.used_ms for each in starts),
            max(each.rss_mb for each in starts),
        )


def build_hellos(python: str) -> None:
    for name, put in (("hello", "pass"), ("hello_put", "table.put_item(TableName='t', Item={'pk': {'S': 'x'}})")):
        (HERE / "written" / name).mkdir(parents=True, exist_ok=True)
        (HERE / "written" / name / "app.py").write_text(_HELLO.replace("PUT", put), encoding="utf-8")
        compiled(HERE / "written" / name, HERE / name, python)


def environment(aws_url: str) -> dict[str, str]:
    """What the template gives to a function, with an AWS that is this process."""
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": f"{LAYER}/python",
        "PYTHONDONTWRITEBYTECODE": "1",  # whoever runs this may be root, who can write into read-only folders
        "AWS_LAMBDA_RUNTIME_API": "127.0.0.1:1",
        "AWS_ENDPOINT_URL": aws_url,
        "AWS_ACCESS_KEY_ID": "none",
        "AWS_SECRET_ACCESS_KEY": "none",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "PYDANTIC_DISABLE_PLUGINS": "__all__",
        "OTEL_PROPAGATORS": "none",
        "WEIR_ENGINE": "dynamodb",
        "WEIR_TABLE": "t",
        "WEIR_BUCKET": "b",
        "WEIR_API_KEY": "canary-key-of-the-event",
    }


def called(python: str, name: str, environ: Mapping[str, str], event: Path) -> Start:
    """As Lambda's own runtime would: import the handler, call it."""
    begun = time.perf_counter()
    done = subprocess.run(  # noqa: S603
        [python, "-s", "-c", _CALLED, event],
        env={**environ, "PYTHONPATH": f"{HERE / name}:{environ['PYTHONPATH']}"},
        cwd=HERE / name,
        capture_output=True,
        check=True,
    )
    told = json.loads(done.stdout.splitlines()[-1])
    if told["status"] not in (200, 201):
        raise RuntimeError(f"{name} answered {told['status']}: {done.stderr.decode()}")
    return Start((told["ready"] - begun) * 1000, (told["done"] - begun) * 1000, told["used"] * 1000, told["rss_mb"])


async def streamed(python: str, name: str, environ: Mapping[str, str], event: Mapping[str, Any]) -> Start:
    """On the streaming runtime, until the answer has ended."""
    async with Emulator() as emulator:
        answer = emulator.invoke(event)
        own = {key: value for key, value in environ.items() if key not in ("AWS_LAMBDA_RUNTIME_API", "PYTHONPATH")}
        own["AWS_LAMBDA_EXEC_WRAPPER"] = "/opt/bin/weir-stream"
        begun = time.perf_counter()
        process = await emulator.start([f"{LAYER}/bin/weir-stream", python], own, HERE / name)
        status = (await answer.metadata())["statusCode"]
        ending = await answer.ending()
        ended = time.perf_counter()
        if status != 200 or ending.fault is not None:
            raise RuntimeError(f"{name} answered {status}, {ending}, {emulator.log}")
        return Start(
            (emulator.asked[0] - begun) * 1000, (ended - begun) * 1000, used_ms(process.pid), peak_rss_mb(process.pid)
        )


def used_ms(pid: int) -> float:
    """Processor time of all threads, ended ones as well, by the process's own clock (clock_getcpuclockid(3))."""
    return time.clock_gettime(~pid << 3 | 2) * 1000


def peak_rss_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:"))


def measure(python: str) -> list[Median]:
    """Every function in turn, round after round, so that a busy moment of the machine meets all alike."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _AWS)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    environ = environment(f"http://127.0.0.1:{server.server_port}")
    plain = {name: value for name, value in environ.items() if not name.startswith(("PYDANTIC_", "OTEL_"))}
    starts: dict[str, list[Start]] = {name: [] for name in ("hello", "hello_put", *EVENTS)}
    for _ in range(ROUNDS):
        for name, found in starts.items():
            event = ROOT / "infra" / "events" / f"{EVENTS.get(name, 'storage')}.json"
            if name == "completion":
                found.append(asyncio.run(streamed(python, name, environ, json.loads(event.read_text("utf-8")))))
            else:
                found.append(called(python, name, plain if name.startswith("hello") else environ, event))
    server.shutdown()
    server.server_close()
    return [Median.of(name, found) for name, found in starts.items()]


_ANSWERS = {
    "BatchGetItem": b'{"Responses":{"t":[]}}',
    "Query": b'{"Items":[],"Count":0}',
    "UpdateItem": b'{"Attributes":{"n":{"N":"1"}}}',
}


class _AWS(BaseHTTPRequestHandler):
    """An empty table that takes everything."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        body = _ANSWERS.get(self.headers.get("x-amz-target", "").rpartition(".")[2], b"{}")
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_PUT = do_POST

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


def table(medians: Sequence[Median]) -> str:
    hello, put, *_ = medians
    lines = [
        "| | init ms | init + first response ms | of hello | of hello with a put | processor ms | of hello | RSS MB |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for each in medians:
        ratios = f"{each.first_ms / hello.first_ms:.2f} | {each.first_ms / put.first_ms:.2f}"
        times = f"{each.init_ms:.0f} | {each.first_ms:.0f} | {ratios}"
        used = f"{each.used_ms:.0f} | {each.used_ms / hello.used_ms:.2f}"
        lines.append(f"| {each.name} | {times} | {used} | {each.rss_mb:.0f} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    python = target_python()
    if python is None:
        sys.stderr.write(f"`make coldstart` needs a Python {TARGET}.\n")
        return 1
    build(python)
    build_hellos(python)
    size = unzipped_bytes(HERE / "layer.zip") / 1e6
    medians = measure(python)
    sys.stdout.write(f"Median of {ROUNDS} on {platform.machine()}; layer {size:.1f} MB unzipped\n\n{table(medians)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
