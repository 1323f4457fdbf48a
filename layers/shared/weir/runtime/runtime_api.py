"""AWS Lambda's Runtime API, as the runtime's side of it: the next event, an answer in pieces, an error.

https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html and, for answers in pieces, runtimes-custom.html.
"""

import asyncio
import base64
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import h11

from weir.domain.errors import WeirError
from weir.protocols import jsonbytes

_VERSION = "2018-06-01"
_AGENT = ("user-agent", "weir-runtime")
_ERROR_TYPE = "Lambda-Runtime-Function-Error-Type"
_ERROR_BODY = "Lambda-Runtime-Function-Error-Body"
_INVOCATION = "lambda-runtime-invocation-id"
_FRAMES = 20
_CLOSED = "Lambda's side closed the connection."


class RuntimeApiError(RuntimeError):
    """Lambda's side did not do what it does."""


@dataclass(frozen=True, slots=True)
class Invocation:
    """`deadline_ms` is Unix time: by then Lambda has stopped the process. `event` is the JSON of whoever has called.

    `number` is one that newer versions of the API give and want to see again (so does awslambdaric 4.2).
    """

    id: str
    deadline_ms: int
    event: bytes
    arn: str = ""
    trace_id: str | None = None
    number: str | None = None


class RuntimeApi:
    """`address` is `host:port`, as in AWS_LAMBDA_RUNTIME_API. Whatever is not done is a RuntimeApiError or OSError."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._idle: _Connection | None = None

    async def next_invocation(self) -> Invocation:
        """Waits for it, frozen for as long as that takes."""
        headers, body = await self._ask("GET", "/runtime/invocation/next")
        return Invocation(
            headers["lambda-runtime-aws-request-id"],
            int(headers["lambda-runtime-deadline-ms"]),
            body,
            headers.get("lambda-runtime-invoked-function-arn", ""),
            headers.get("lambda-runtime-trace-id"),
            headers.get(_INVOCATION),
        )

    async def restored(self) -> None:
        """With SnapStart: the process is frozen here, and goes on as many processes, each without a connection."""
        await self.close()
        await self._ask("GET", "/runtime/restore/next")
        await self.close()

    async def begin(self, invocation: Invocation, metadata: Mapping[str, Any]) -> "StreamedReply":
        """An answer for API Gateway or a Function URL, its status and headers sent; the body follows in pieces."""
        headers = [
            ("host", self._address),
            _AGENT,
            *_numbered(invocation),
            ("content-type", "application/vnd.awslambda.http-integration-response"),
            ("lambda-runtime-function-response-mode", "streaming"),
            ("transfer-encoding", "chunked"),
            ("trailer", f"{_ERROR_TYPE}, {_ERROR_BODY}"),
        ]
        target = f"/{_VERSION}/runtime/invocation/{invocation.id}/response"
        connection = await _Connection.open(self._address)
        await connection.send(
            h11.Request(method="POST", target=target, headers=headers),
            h11.Data(data=jsonbytes.dumps(metadata) + bytes(8)),
        )
        return StreamedReply(connection)

    async def fail(self, invocation: Invocation, exc: BaseException) -> None:
        """Nothing was answered: API Gateway answers 502."""
        path = f"/runtime/invocation/{invocation.id}/error"
        await self._ask("POST", path, Fault.of(exc), _numbered(invocation))

    async def fail_init(self, fault: "Fault") -> None:
        await self._ask("POST", "/runtime/init/error", fault)

    async def fail_restore(self, fault: "Fault") -> None:
        await self._ask("POST", "/runtime/restore/error", fault)

    async def close(self) -> None:
        connection, self._idle = self._idle, None
        if connection is not None:
            await connection.close()

    async def _ask(
        self, method: str, path: str, fault: "Fault | None" = None, more: list[tuple[str, str]] | None = None
    ) -> tuple[dict[str, str], bytes]:
        connection, self._idle = self._idle or await _Connection.open(self._address), None
        headers = [("host", self._address), _AGENT, *(more or ())]
        if fault is not None:
            headers += [
                (_ERROR_TYPE, fault.kind),
                ("content-type", "application/json"),
                ("content-length", str(len(fault.body))),
            ]
        body = fault.body if fault is not None else b""
        request = h11.Request(method=method, target=f"/{_VERSION}{path}", headers=headers)
        await connection.send(request, h11.Data(data=body), h11.EndOfMessage())
        status, answered, content = await connection.reply()
        if connection.reusable():
            self._idle = connection
        else:
            await connection.close()
        if status >= 300:
            raise RuntimeApiError(f"{method} {path} was answered with {status}.")
        return answered, content


class StreamedReply:
    """An answer under way; it ends with `finish` or `break_off`, once."""

    def __init__(self, connection: "_Connection") -> None:
        self._connection = connection

    async def send(self, piece: bytes) -> None:
        """One HTTP chunk. It waits only while the reader is too slow for the operating system to hold more."""
        await self._connection.send_chunk(piece)

    async def finish(self) -> None:
        await self._end(h11.EndOfMessage())

    async def break_off(self, exc: BaseException) -> None:
        """The caller sees a stream that breaks, never one that ends."""
        fault = Fault.of(exc)
        trailers = [(_ERROR_TYPE, fault.kind), (_ERROR_BODY, base64.b64encode(fault.body).decode())]
        await self._end(h11.EndOfMessage(headers=trailers))

    async def _end(self, end: h11.EndOfMessage) -> None:
        try:
            await self._connection.send(end)
            status, _, _ = await self._connection.reply()
        finally:
            await self._connection.close()
        if status >= 300:
            raise RuntimeApiError(f"The answer was taken with {status}.")


@dataclass(frozen=True, slots=True)
class Fault:
    """An error as Lambda shows it: where it happened, not what was being worked on."""

    kind: str
    body: bytes

    @classmethod
    def of(cls, exc: BaseException, kind: str | None = None) -> "Fault":
        kind = kind or f"Runtime.{type(exc).__name__}"
        frames = traceback.extract_tb(exc.__traceback__)[-_FRAMES:]
        shown = {
            "errorMessage": str(exc) if isinstance(exc, WeirError) else "Weir failed; the reason is in its log.",
            "errorType": kind,
            "stackTrace": [f"{frame.filename}:{frame.lineno} in {frame.name}" for frame in frames],
        }
        return cls(kind, jsonbytes.dumps(shown))


def _numbered(invocation: Invocation) -> list[tuple[str, str]]:
    return [(_INVOCATION, invocation.number)] if invocation.number is not None else []


class _Connection:
    """One HTTP/1.1 connection. Each piece leaves at once: asyncio sets TCP_NODELAY."""

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

    async def send_chunk(self, piece: bytes) -> None:
        """Without h11, which takes longer to frame a chunk than all the rest of its way out of the process."""
        self._writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        await self._writer.drain()

    async def reply(self) -> tuple[int, dict[str, str], bytes]:
        status = 0
        headers: dict[str, str] = {}
        body: list[bytes] = []
        while True:
            match self._http.next_event():
                case h11.NEED_DATA:
                    self._http.receive_data(await self._reader.read(1 << 16))
                case h11.Response(status_code=status, headers=raw):
                    headers = {name.decode(): value.decode() for name, value in raw}
                case h11.Data(data=piece):
                    body.append(bytes(piece))
                case h11.EndOfMessage():
                    return status, headers, b"".join(body)
                case h11.InformationalResponse():
                    pass
                case _:
                    raise RuntimeApiError(_CLOSED)

    def reusable(self) -> bool:
        if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
            return False
        self._http.start_next_cycle()
        return True

    async def close(self) -> None:
        self._writer.close()
