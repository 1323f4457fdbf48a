"""`make invoke FUNCTION=storage EVENT=infra/events/storage.json`: a built function, without AWS and containers.

The function runs as Lambda would run it, built for this machine, under AWS's Runtime Interface Emulator. What it keeps
lies below .aws-sam/invoked, in SQLite; the projector, which reads DynamoDB's stream, has an empty ministack.
"""

import argparse
import json
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from infra import ministack
from infra.here import build, install_ric
from infra.pack import ROOT, TARGET, target_python
from infra.rie import STREAMING, emulated, emulator
from tests.infra.template import table_definition

EVENTS = ROOT / "infra" / "events"
KEPT = ROOT / ".aws-sam" / "invoked"
KEY_OF_THE_EVENTS = "canary-key-of-the-event"
_NAMED_OTHERWISE = {"embeddings": "completion", "trace": "request_log"}
_ON_AWS_ONLY = "projector"
_SECONDS = 900


class Refused(Exception):
    """What was asked cannot be done; the message says why."""


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="make invoke", description=__doc__)
    parser.add_argument("function", nargs="?", default="")
    parser.add_argument("event", nargs="?", default="")
    asked = parser.parse_args(arguments)
    try:
        event = read_event(asked.function, asked.event)
        return invoke(asked.function, event)
    except Refused as exc:
        sys.stderr.write(f"make invoke: {exc}\n")
        return 2


def read_event(function: str, path: str) -> bytes:
    """The JSON of the event, checked. Raises Refused."""
    if function not in functions():
        asked = f"there is no function {function!r}" if function else "FUNCTION is not set"
        raise Refused(f"{asked}; there are {', '.join(functions())}")
    if not path:
        raise Refused(f"EVENT is not set; for {function} there are {', '.join(events_of(function))}")
    try:
        content = Path(path).read_bytes()
        json.loads(content)
    except OSError as exc:
        raise Refused(f"{path}: {exc.strerror}; for {function} there are {', '.join(events_of(function))}") from None
    except ValueError as exc:
        raise Refused(f"{path} is not JSON: {exc}") from None
    return content


def functions() -> list[str]:
    return sorted(path.parent.name for path in ROOT.glob("functions/*/app.py"))


def events_of(function: str) -> list[str]:
    """The sample events: those that begin with its name, and `_NAMED_OTHERWISE`."""
    paths = [path for path in EVENTS.glob("*.json") if owner(path.stem) == function]
    return sorted(str(path.relative_to(ROOT)) for path in paths)


def owner(event: str) -> str | None:
    """`request-log-bulk` is request_log's."""
    if event in _NAMED_OTHERWISE:
        return _NAMED_OTHERWISE[event]
    return next((name for name in functions() if event.replace("-", "_").startswith(name)), None)


def invoke(function: str, event: bytes) -> int:
    """Prints the answer, and to standard error what the function logs; 1 if it failed. Raises Refused."""
    python = target_python()
    if python is None:
        raise Refused(f"the functions are for Python {TARGET}, and there is none on this machine")
    if emulator() is None:
        raise Refused("AWS's emulator is not installed for this machine; it comes with the AWS tools of `make build`")
    build(python)
    install_ric(python)
    KEPT.mkdir(exist_ok=True)
    log = KEPT / f"{function}.log"
    with _stores(function) as environ, emulated(function, python, environ, log) as address:
        request = urllib.request.Request(address, event, {"content-type": "application/json"})  # noqa: S310
        with urllib.request.urlopen(request, timeout=_SECONDS) as answered:  # noqa: S310 - on 127.0.0.1
            answer = answered.read()
        sys.stderr.writelines(_of_the_function(log))
    text, failed = shown(function, answer)
    sys.stdout.write(text)
    return int(failed)


def shown(function: str, answer: bytes) -> tuple[str, bool]:
    """An answer for people, and whether it is an error. A streamed one is metadata, eight NULs, and the body."""
    if function in STREAMING and bytes(8) in answer:
        metadata, body = answer.split(bytes(8), 1)
        head = json.loads(metadata)
        return f"{_indented(head)}\n{body.decode(errors='replace').rstrip()}\n", head["statusCode"] >= 400
    whole = json.loads(answer)
    failed = isinstance(whole, Mapping) and ("errorType" in whole or int(whole.get("statusCode", 200)) >= 400)
    return f"{_indented(whole)}\n", failed


def _of_the_function(log: Path) -> list[str]:
    """What is logged, without what the emulator says of itself."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
    return [line for line in lines if "(rapid)" not in line]


def _indented(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


@contextmanager
def _stores(function: str) -> Iterator[dict[str, str]]:
    common = {"WEIR_API_KEY": KEY_OF_THE_EVENTS, "PYDANTIC_DISABLE_PLUGINS": "__all__", "OTEL_PROPAGATORS": "none"}
    if function != _ON_AWS_ONLY:
        yield {**common, "WEIR_DATA_DIR": str(KEPT)}
        return
    if (reason := ministack.missing()) is not None:
        raise Refused(reason)
    with ministack.ministack() as aws:
        yield {**common, **aws.environ(), **_made(aws)}


def _made(aws: ministack.Ministack) -> dict[str, Any]:
    """An empty table, bucket and queue."""
    aws.client("dynamodb").create_table(TableName="weir", **table_definition())
    aws.client("s3").create_bucket(Bucket="weir")
    queue = aws.client("sqs").create_queue(QueueName="weir")["QueueUrl"]
    return {"WEIR_ENGINE": "dynamodb", "WEIR_TABLE": "weir", "WEIR_BUCKET": "weir", "WEIR_DEAD_LETTERS": queue}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
