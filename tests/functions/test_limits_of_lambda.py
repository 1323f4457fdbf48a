"""What Lambda and the table set limits to: a clear answer in the caller's dialect, and a record, each time."""

import asyncio
import io
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any

from weir.runtime.lambda_handler import Handler

import boto3
import pytest
from botocore.awsrequest import AWSResponse

from functions.upkeep import app as upkeep
from infra.emulator import Emulator, Ending
from tests.functions import test_lambda as deployed
from tests.functions.test_lambda import body_of, event, header, read_back
from tests.functions.test_streaming_runtime import FUNCTION, KEY, WRAPPER
from tests.infra import template
from tests.upstream import SSE_TYPE, Reply, Upstream, events
from weir.domain.record import Record
from weir.ledger import aws
from weir.ledger.archive_format import from_line, unpack_line

handlers = deployed.handlers
ID = "x-weir-request-id"
LIMIT = 6_000_000
TOO_LARGE = (
    "The request body is larger than 6 MB, the most that AWS Lambda takes. "
    "Send images and files by URL or file id, or shorten the conversation."
)

Answered = dict[str, Any]


def told(answer: Answered) -> str:
    """The message of an error, from where the clients of each dialect look for it."""
    body = body_of(answer)
    if not header(answer, "content-type").startswith("application/json"):
        return body
    fields = json.loads(body)
    return str(fields["error"]["message"] if isinstance(fields.get("error"), dict) else fields["detail"])


@pytest.mark.parametrize(
    ("function", "name", "status"),
    [
        ("completion", "completion", 413),
        ("completion", "completion-maitai", 400),  # its client starts again by itself after any other
        ("completion", "embeddings", 413),
        ("storage", "storage", 400),
        ("request-log", "request-log-create", 413),
        ("request-log", "request-log-bulk", 413),
    ],
)
def test_too_large_a_body_is_refused_and_on_record_without_its_words(
    handlers: dict[str, Handler], function: str, name: str, status: int
) -> None:
    words = json.dumps({"model": "m", "input": "canary-words " * (LIMIT // 13)})

    answer = handlers[function](event(name, body=words), None)

    assert (answer["statusCode"], told(answer)) == (status, TOO_LARGE)
    log = read_back(handlers, header(answer, ID))
    assert (log["status_code"], log["error_message"]) == (413, TOO_LARGE)
    assert log.get("full_request", log)["bytes"] == len(words)
    assert "canary-words" not in json.dumps(log)


def test_reading_with_too_large_a_question_leaves_no_record(handlers: dict[str, Handler]) -> None:
    asked = event("request-log-list", httpMethod="POST", path="/api/request-logs/list", body=" " * (LIMIT + 1))
    assert handlers["request-log"](asked, None)["statusCode"] == 413
    assert json.loads(body_of(handlers["request-log"](event("request-log-list"), None)))["results"] == []


def test_without_a_key_too_large_a_body_leaves_no_record(handlers: dict[str, Handler]) -> None:
    sent = event("request-log-create", path="/api/request-logs", body=" " * (LIMIT + 1))
    for headers in ("headers", "multiValueHeaders"):
        del sent[headers]["x-api-key"]
    assert handlers["request-log"](sent, None)["statusCode"] == 401
    assert json.loads(body_of(handlers["request-log"](event("request-log-list"), None)))["results"] == []


def with_model(name: str, model: str) -> Answered:
    """An event of the folder that asks for another model."""
    loaded = event(name)
    body = json.loads(loaded["body"])
    body.get("params", body)["model"] = model
    return {**loaded, "body": json.dumps(body)}


@pytest.mark.parametrize(
    ("name", "status"), [("completion", 401), ("completion-stream", 401), ("completion-maitai", 400)]
)
def test_a_missing_provider_key_is_told_and_on_record(handlers: dict[str, Handler], name: str, status: int) -> None:
    answer = handlers["completion"](with_model(name, "anthropic/claude-sonnet-4-5"), None)

    assert answer["statusCode"] == status
    assert "ANTHROPIC_API_KEY" in told(answer)
    log = read_back(handlers, header(answer, ID))
    assert (log["status_code"], log["model"]) == (401, "anthropic/claude-sonnet-4-5")


class Context:
    """Lambda's, with so much time left."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def get_remaining_time_in_millis(self) -> int:
        return int((self._end - time.monotonic()) * 1000)


@pytest.mark.parametrize("name", ["completion", "completion-maitai"])
def test_behind_mangum_a_model_that_is_silent_at_the_end_is_a_504(
    handlers: dict[str, Handler], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    silence = threading.Event()
    with Upstream({"silent": Reply(events("never"), headers=SSE_TYPE, hold=silence, hold_at=0)}) as upstream:
        monkeypatch.setenv("OPENAI_BASE_URL", f"{upstream.url}/v1")
        monkeypatch.setenv("OPENAI_API_KEY", "canary-openai-key")

        answer = handlers["completion"](with_model(name, "openai/silent"), Context(3.2))
        silence.set()

    assert (answer["statusCode"], told(answer)) == (504, "openai did not answer in time.")
    assert read_back(handlers, header(answer, ID))["status_code"] == 504


class _Throttle:
    """In the place of the table, while it is `on`."""

    def __init__(self) -> None:
        self.on = False
        self.asked = 0

    def __call__(self, request: Any, **_: Any) -> AWSResponse | None:
        if not self.on:
            return None
        self.asked += 1
        return AWSResponse(request.url, 400, {"content-type": "application/x-amz-json-1.0"}, _Raw(_THROTTLED))


_THROTTLED = json.dumps(
    {
        "__type": "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException",
        "message": "The level of configured provisioned throughput for the table was exceeded.",
    }
).encode()


class _Raw(io.BytesIO):
    def stream(self, **_: Any) -> Iterator[bytes]:
        yield self.read()


@pytest.fixture
def throttle(handlers: dict[str, Handler], monkeypatch: pytest.MonkeyPatch) -> _Throttle:
    throttle = _Throttle()
    make = aws.client

    def client(service: aws.Service, *, connections: int) -> Any:
        made = make(service, connections=connections)
        if service == "dynamodb":
            made.meta.events.register_first("before-send.dynamodb", throttle)
        return made

    monkeypatch.setattr(aws, "client", client)
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda _: None))  # between two attempts
    upkeep._upkeep.cache_clear()
    return throttle


NO_MODEL = {
    "application_ref_name": "a",
    "action_type": "B",
    "params": {"messages": [{"role": "user", "content": "Hi"}]},
}


@pytest.mark.parametrize(
    ("function", "sent", "status"),
    [
        ("completion", event("completion"), 200),
        ("completion", event("completion-stream"), 200),
        ("completion", event("completion-maitai"), 200),
        ("completion", event("embeddings"), 200),
        ("completion", event("completion-maitai", body=json.dumps(NO_MODEL)), 503),
        ("storage", event("storage"), 200),
        ("request-log", event("request-log-create"), 200),
    ],
)
def test_what_a_throttled_table_does_not_take_is_readable_then_and_later(
    handlers: dict[str, Handler], throttle: _Throttle, function: str, sent: Answered, status: int
) -> None:
    throttle.on = True
    answer = handlers[function](sent, None)

    assert answer["statusCode"] == status, body_of(answer)
    id = header(answer, ID) if function == "completion" else json.loads(body_of(answer))["id"]
    shown = read_back(handlers, id)
    assert shown["status_code"] == status
    assert throttle.asked >= 3
    throttle.on = False
    with ThreadPoolExecutor(1) as another:  # which has no event loop of the others
        another.submit(upkeep.handler, {}, None).result()
    assert "Contents" not in boto3.client("s3").list_objects_v2(Bucket="weir-payloads", Prefix="spill/")
    assert read_back(handlers, id) == shown


def test_a_call_that_needs_the_throttled_table_is_told_so_in_its_dialect(
    handlers: dict[str, Handler], throttle: _Throttle
) -> None:
    throttle.on = True
    unknown = handlers["completion"](event("completion-maitai", body=json.dumps(NO_MODEL)), None)
    listed = handlers["request-log"](event("request-log-list"), None)
    portal = handlers["portal"](event("portal-requests"), None)

    assert [answer["statusCode"] for answer in (unknown, listed, portal)] == [503, 503, 503]
    assert header(unknown, "content-type").startswith("text/plain")
    assert json.loads(body_of(listed)).keys() == {"detail"}
    assert json.loads(body_of(portal))["error"]["status"] == 503


class _AWS(BaseHTTPRequestHandler):
    """A table that is throttled, and a bucket."""

    protocol_version = "HTTP/1.1"
    objects: dict[str, bytes]

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self._answer(400, _THROTTLED)

    def do_PUT(self) -> None:
        self.objects[self.path] = self._body()
        self._answer(200, b"")

    def do_GET(self) -> None:
        self._answer(404, b"<Error><Code>NoSuchKey</Code></Error>")

    def _body(self) -> bytes:
        """botocore adds a checksum as a trailer, in chunks of its own making."""
        sent = self.rfile.read(int(self.headers["content-length"]))
        if "aws-chunked" not in self.headers.get("content-encoding", ""):
            return sent
        size, _, rest = sent.partition(b"\r\n")
        return rest[: int(size, 16)]

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


@pytest.fixture
def bucket() -> Iterator[tuple[str, Callable[[], list[Record]]]]:
    """The address of such an AWS, and the records that were put aside there."""
    objects: dict[str, bytes] = {}
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("AWS", (_AWS,), {"objects": objects}))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()

    def records() -> list[Record]:
        return [from_line(unpack_line(kept)).record for path, kept in objects.items() if "/spill/" in path]

    yield f"http://127.0.0.1:{server.server_port}", records
    server.shutdown()
    thread.join()
    server.server_close()


SENT = {
    "too large": (event("completion-stream", body=" " * (LIMIT + 1)), 413, 413),
    "too large, Maitai": (event("completion-maitai", body=" " * (LIMIT + 1)), 400, 413),
    "no key": (with_model("completion-stream", "anthropic/claude-sonnet-4-5"), 401, 401),
    "no key, Maitai": (with_model("completion-maitai", "anthropic/claude-sonnet-4-5"), 400, 401),
    "answered": (event("completion-stream"), 200, 200),
    "answered, Maitai": (event("completion-maitai"), 200, 200),
}


def test_on_the_streaming_runtime_each_is_answered_and_on_record_while_the_table_is_throttled(
    bucket: tuple[str, Callable[[], list[Record]]],
) -> None:
    url, records = bucket
    environ = {
        "PYTHONPATH": str(template.ROOT / "layers" / "shared"),
        "AWS_LAMBDA_EXEC_WRAPPER": str(WRAPPER),
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "canary-access-key",
        "AWS_SECRET_ACCESS_KEY": "canary-secret",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "WEIR_ENGINE": "dynamodb",
        "WEIR_TABLE": "ledger",
        "WEIR_BUCKET": "weir-payloads",
        "WEIR_API_KEY": KEY,
    }

    async def scene() -> None:
        async with Emulator() as emulator:
            await emulator.start([str(WRAPPER), sys.executable], environ, FUNCTION)
            for name, (sent, status, recorded) in SENT.items():
                answer = emulator.invoke(sent, timeout_s=120)
                metadata = await answer.metadata()
                assert (name, metadata["statusCode"]) == (name, status)
                assert await answer.ending() == Ending(streamed=True)
                (record,) = [record for record in records() if record.id == metadata["headers"][ID]]
                assert (name, record.status_code) == (name, recorded)

    asyncio.run(scene())
