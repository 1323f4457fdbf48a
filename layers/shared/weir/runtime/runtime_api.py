"""AWS Lambda's Runtime API, as the runtime's side of it: the next event, an answer in pieces, an error."""

import asyncio
import base64
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import h11

from weir.protocols import jsonbytes

_VERSION = "2018-06-01"
_AGENT = ("user-agent", "weir-runtime")
_ERROR_TYPE = "Lambda-Runtime-Function-Error-Type"
_ERROR_BODY = "Lambda-Runtime-Function-Error-Body"


class RuntimeApiError(RuntimeError):
    """Lambda's side did not do what it does; the process cannot go on."""


@dataclass(frozen=True, slots=True)
class Invocation:
    """`deadline_ms` is Unix time: by then Lambda has stopped the process."""

    id: str
    deadline_ms: int
    arn: str
    trace_id: str | None
    event: Mapping[str, Any]


class RuntimeApi:
    """`address` is `host:port`, as in AWS_LAMBDA_RUNTIME_API."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._idle: _Connection | None = None

    async def next_invocation(self) -> Invocation:
        """Waits for it, frozen for as long as that takes."""
        headers, body = await self._ask("GET", "/runtime/invocation/next")
        return Invocation(
            headers["lambda-runtime-aws-request-id"],
            int(headers["lambda-runtime-deadline-ms"]),
            headers.get("lambda-runtime-invoked-function-arn", ""),
            headers.get("lambda-runtime-trace-id"),
            jsonbytes.loads(body),
        )

    async def restored(self) -> None:
        """With SnapStart: the process is frozen here, and goes on as many processes."""
        await self._ask("GET", "/runtime/restore/next")

    async def begin(self, invocation: Invocation, metadata: Mapping[str, Any]) -> "StreamedReply":
        """An answer for API Gateway, its first line and headers sent; the body follows in pieces."""
        connection = await _Connection.open(self._address)
        reply = StreamedReply(connection)
        await connection.send(
            h11.Request(
                method="POST",
                target=f"/{_VERSION}/runtime/invocation/{invocation.id}/response",
                headers=[
                    ("host", self._address),
                    _AGENT,
                    ("content-type", "application/vnd.awslambda.http-integration-response"),
                    ("lambda-runtime-function-response-mode", "streaming"),
                    ("transfer-encoding", "chunked"),
                    ("trailer", f"{_ERROR_TYPE}, {_ERROR_BODY}"),
                ],
            ),
            h11.Data(data=jsonbytes.dumps(metadata) + bytes(8)),
        )
        return reply

    async def fail(self, invocation: Invocation, exc: BaseException) -> None:
        """Nothing was answered: API Gateway answers 502."""
        await self._ask("POST", f"/runtime/invocation/{invocation.id}/error", exc)

    async def fail_init(self, exc: BaseException) -> None:
        await self._ask("POST", "/runtime/init/error", exc)

    async def fail_restore(self, exc: BaseException) -> None:
        await self._ask("POST", "/runtime/restore/error", exc)

    async def close(self) -> None:
        if self._idle is not None:
            await self._idle.close()

    async def _ask(self, method: str, path: str, exc: BaseException | None = None) -> tuple[dict[str, str], bytes]:
        connection, self._idle = self._idle or await _Connection.open(self._address), None
        headers = [("host", self._address), _AGENT]
        body = b""
        if exc is not None:
            body = error_body(exc)
            headers += [(_ERROR_TYPE, _kind(exc)), ("content-type", "application/json")]
        if method == "POST":
            headers.append(("content-length", str(len(body))))
        request = h11.Request(method=method, target=f"/{_VERSION}{path}", headers=headers)
        await connection.send(request, h11.Data(data=body), h11.EndOfMessage())
        status, answered, content = await connection.reply()
        if status >= 300:
            raise RuntimeApiError(f"{method} {path} was answered with {status}.")
        if connection.reusable():
            self._idle = connection
        else:
            await connection.close()
        return answered, content


class StreamedReply:
    """An answer under way; it ends with `finish` or `break_off`, once."""

    def __init__(self, connection: "_Connection") -> None:
        self._connection = connection

    async def send(self, piece: bytes) -> None:
        """Returns when the piece is with the operating system, or the reader is too slow for it to hold more."""
        await self._connection.send(h11.Data(data=piece))

    async def finish(self) -> None:
        await self._end(h11.EndOfMessage())

    async def break_off(self, exc: BaseException) -> None:
        """The caller sees a stream that breaks, never one that ends."""
        body = base64.b64encode(error_body(exc)).decode()
        await self._end(h11.EndOfMessage(headers=[(_ERROR_TYPE, _kind(exc)), (_ERROR_BODY, body)]))

    async def _end(self, end: h11.EndOfMessage) -> None:
        try:
            await self._connection.send(end)
            status, _, _ = await self._connection.reply()
        finally:
            await self._connection.close()
        if status >= 300:
            raise RuntimeApiError(f"The answer was taken with {status}.")


class _Connection:
    """One HTTP/1.1 connection. The operating system sends each piece at once: asyncio sets TCP_NODELAY."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 20)

    @classmethod
    async def open(cls, address: str) -> "_Connection":
        host, _, port = address.rpartition(":")
        return cls(*await asyncio.open_connection(host, int(port)))

    async def send(self, *events: h11.Event) -> None:
        self._writer.write(b"".join(self._http.send(event) or b"" for event in events))
        await self._writer.drain()

    async def reply(self) -> tuple[int, dict[str, str], bytes]:
        status, headers, body = 0, {}, []
        while True:
            event = self._http.next_event()
            if event is h11.NEED_DATA:
                self._http.receive_data(await self._reader.read(1 << 16))
            elif isinstance(event, h11.Response):
                status = event.status_code
                headers = {name.decode(): value.decode() for name, value in event.headers}
            elif isinstance(event, h11.Data):
                body.append(bytes(event.data))
            elif isinstance(event, h11.EndOfMessage):
                return status, headers, b"".join(body)
            elif not isinstance(event, h11.InformationalResponse):
                raise RuntimeApiError("Lambda's side closed the connection.")

    def reusable(self) -> bool:
        if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
            return False
        self._http.start_next_cycle()
        return True

    async def close(self) -> None:
        self._writer.close()


def error_body(exc: BaseException) -> bytes:
    """As Lambda shows errors: where it happened, not what was being worked on."""
    frames = traceback.extract_tb(exc.__traceback__)
    return jsonbytes.dumps(
        {
            "errorMessage": "Weir failed; the reason is in its log.",
            "errorType": _kind(exc),
            "stackTrace": [f"{frame.filename}:{frame.lineno} in {frame.name}" for frame in frames[-20:]],
        }
    )


def _kind(exc: BaseException) -> str:
    return f"Runtime.{type(exc).__name__}"
