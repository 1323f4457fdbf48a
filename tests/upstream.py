"""A provider on 127.0.0.1 that answers what a test tells it to, and remembers what it was asked."""

import json
import select
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

JSON_TYPE: Mapping[str, str] = {"content-type": "application/json"}
SSE_TYPE: Mapping[str, str] = {"content-type": "text/event-stream"}
_LOOK_S = 0.01
_PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer. A single chunk is sent whole, with its length; several go out one by one, chunked.

    `drop` cuts the connection after the last chunk instead of ending the body. `hold` is waited for before the chunk
    number `hold_at` (0: before the status line; -1: before the first chunk, when the head has been sent).
    """

    chunks: Sequence[bytes]
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=lambda: JSON_TYPE)
    drop: bool = False
    hold: threading.Event | None = None
    hold_at: int = 1


@dataclass(frozen=True, slots=True)
class Received:
    """One request, header names in lower case. `cut_off` is set when the client is seen to hang up, during a hold or by
    what can no longer be sent."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    cut_off: threading.Event = field(default_factory=threading.Event, compare=False)

    @property
    def json(self) -> Any:
        return json.loads(self.body)


Script = Reply | Callable[[Received], Reply]


class Upstream:
    """`replies` by the request's `model`, or by a piece of its path where the body names no model."""

    def __init__(self, replies: Mapping[str, Script] | None = None, *, keep_alive: bool = True) -> None:
        """Without `keep_alive` every answer ends its connection, for clients that nobody closes."""
        self.replies = dict(replies or {})
        self.keep_alive = keep_alive
        self.received: list[Received] = []
        self._news = threading.Condition()
        self._server = _Server(self)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()

    def reply_to(self, received: Received) -> Reply:
        with self._news:
            self.received.append(received)
            self._news.notify_all()
        script = self.replies.get(_model_of(received)) or next(
            (script for name, script in self.replies.items() if name in received.path), None
        )
        if script is None:
            return error_reply(404, "No reply is scripted for this request.", code="model_not_found")
        return script if isinstance(script, Reply) else script(received)

    def asked(self, number: int) -> Received:
        """The request before which there were so many, as soon as it is here; who asked may have given it up before."""
        with self._news:
            assert self._news.wait_for(lambda: len(self.received) > number, _PATIENCE_S), "nothing was asked"
            return self.received[number]

    def close(self) -> None:
        for script in self.replies.values():
            if isinstance(script, Reply) and script.hold is not None:
                script.hold.set()
        self._server.shutdown()
        self._thread.join()
        self._server.hang_up()
        self._server.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def completion(text: str = "Hello there", **fields: Any) -> dict[str, Any]:
    """A whole answer in OpenAI's form; `fields` replace or add members at its top."""
    message = {"role": "assistant", "content": text, "refusal": None}
    return {
        "id": "chatcmpl-upstream-1",
        "object": "chat.completion",
        "created": 1_760_000_000,
        "model": "upstream-1",
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12},
        **fields,
    }


def completion_reply(text: str = "Hello there", **fields: Any) -> Reply:
    return Reply([json.dumps(completion(text, **fields)).encode()])


def chunk(delta: Mapping[str, Any], reason: str | None = None, **fields: Any) -> dict[str, Any]:
    choices = [{"index": 0, "delta": dict(delta), "logprobs": None, "finish_reason": reason}]
    return {
        "id": "chatcmpl-upstream-1",
        "object": "chat.completion.chunk",
        "created": 1_760_000_000,
        "model": "upstream-1",
        "choices": choices,
        **fields,
    }


def events(*pieces: str, usage: bool = True) -> list[bytes]:
    """A stream that says `pieces`, one event each: role first, then the pieces, the reason, the usage and the end."""
    bodies = [
        chunk({"role": "assistant", "content": ""}),
        *(chunk({"content": piece}) for piece in pieces),
        chunk({}, "stop"),
    ]
    if usage:
        counts = {"prompt_tokens": 9, "completion_tokens": len(pieces), "total_tokens": 9 + len(pieces)}
        bodies.append(chunk({}, usage=counts) | {"choices": []})
    return [event(body) for body in bodies] + [b"data: [DONE]\n\n"]


def event(body: Mapping[str, Any]) -> bytes:
    return b"data: " + json.dumps(body).encode() + b"\n\n"


def stream_reply(*pieces: str, usage: bool = True) -> Reply:
    return Reply(events(*pieces, usage=usage), headers=SSE_TYPE)


def error_reply(
    status: int, message: str, *, code: str | None = None, headers: Mapping[str, str] | None = None
) -> Reply:
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": code}
    return Reply([json.dumps({"error": error}).encode()], status, {**JSON_TYPE, **(headers or {})})


def _model_of(received: Received) -> str:
    try:
        body = received.json
    except ValueError:
        return ""
    model = body.get("model") if isinstance(body, dict) else None
    return model if isinstance(model, str) else ""


class _Server(ThreadingHTTPServer):
    daemon_threads = False
    request_queue_size = 128

    def __init__(self, upstream: Upstream) -> None:
        self.upstream = upstream
        self._connections: set[socket.socket] = set()
        super().__init__(("127.0.0.1", 0), _Handler)

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        self._connections.add(connection)
        return connection, address

    def shutdown_request(self, request: Any) -> None:
        self._connections.discard(request)
        super().shutdown_request(request)

    def hang_up(self) -> None:
        """Wake the threads that wait for a client's next request."""
        for connection in tuple(self._connections):
            with suppress(OSError):  # its own thread may have closed it by now
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is part of what tests do."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        received = Received(self.command, self.path, headers, body)
        try:
            self._send(self.server.upstream.reply_to(received), received)
        except ConnectionError:
            received.cut_off.set()
            self.close_connection = True

    def _send(self, reply: Reply, received: Received) -> None:
        if not self._held(reply, 0, received):
            return
        self._send_head(reply)
        if not self._held(reply, -1, received):
            return
        whole = _is_whole(reply)
        for at, piece in enumerate(reply.chunks):
            if at and not self._held(reply, at, received):
                return
            self.wfile.write(piece if whole else b"%x\r\n%b\r\n" % (len(piece), piece))
        if not self._held(reply, len(reply.chunks), received):
            return
        if reply.drop:
            self.close_connection = True
        elif not whole:
            self.wfile.write(b"0\r\n\r\n")

    def _send_head(self, reply: Reply) -> None:
        self.send_response(reply.status)
        for name, value in _framed(reply):
            self.send_header(name, value)
        if not self.server.upstream.keep_alive:
            self.send_header("connection", "close")  # which also makes the handler close it
        self.end_headers()

    def _held(self, reply: Reply, at: int, received: Received) -> bool:
        """Wait if this is the place to. False when the client has hung up meanwhile."""
        if reply.hold is None or reply.hold_at != at:
            return True
        while not reply.hold.is_set():
            readable, _, _ = select.select([self.connection], [], [], _LOOK_S)
            if readable and not self.connection.recv(1, socket.MSG_PEEK):
                received.cut_off.set()
                self.close_connection = True
                return False
        return True

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: what was asked is in `received`."""


def _is_whole(reply: Reply) -> bool:
    return len(reply.chunks) == 1 and not reply.drop


def _framed(reply: Reply) -> Iterator[tuple[str, str]]:
    yield from reply.headers.items()
    if _is_whole(reply):
        yield "content-length", str(len(reply.chunks[0]))
    else:
        yield "transfer-encoding", "chunked"
