"""AWS Lambda's Runtime API on 127.0.0.1: shows what a runtime sends, when, and how it ends.

    async with Emulator() as emulator:
        await emulator.start(argv, environ, folder)
        answer = emulator.invoke(event, timeout_s=30)
        await answer.metadata()
        await answer.piece()   # one HTTP chunk, None at the end
        await answer.ending()

Unlike Lambda it does not stop a process at its deadline, nor freeze it between two events.
"""

import asyncio
import base64
import json
import os
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

_NULS = bytes(8)
_HOST = "127.0.0.1"
_PATIENCE_S = 60.0
_LARGEST_HEAD = 1 << 20


@dataclass(frozen=True, slots=True)
class Ending:
    """How an invocation ended. `fault` is the kind of error that the runtime told, `told` what it told of it.

    `streamed`: the answer had begun, and came in pieces.
    """

    streamed: bool
    fault: str | None = None
    told: Mapping[str, Any] | None = None


@dataclass(slots=True)
class Invoked:
    """One event and its answer."""

    id: str
    event: Mapping[str, Any]
    deadline: float
    trace_id: str
    times: list[float] = field(default_factory=list)
    """When each piece was here, by time.perf_counter()."""
    number: str | None = None
    """What the runtime gave back of the number that it was told."""
    keeps: bool = True
    """Whether pieces are kept to be read; a measurement reads none."""
    _metadata: "asyncio.Future[dict[str, Any]]" = field(default_factory=lambda: _future())
    _ending: "asyncio.Future[Ending]" = field(default_factory=lambda: _future())
    _pieces: "asyncio.Queue[bytes | None]" = field(default_factory=asyncio.Queue)

    async def metadata(self) -> dict[str, Any]:
        """Status and headers. AssertionError when the runtime told an error in their place."""
        either: list[asyncio.Future[Any]] = [self._metadata, self._ending]
        await asyncio.wait(either, timeout=_PATIENCE_S, return_when=asyncio.FIRST_COMPLETED)
        if not self._metadata.done():
            raise AssertionError(f"no answer: {self._ending.result() if self._ending.done() else 'nothing'}")
        return self._metadata.result()

    async def piece(self) -> bytes | None:
        return await asyncio.wait_for(self._pieces.get(), _PATIENCE_S)

    async def rest(self) -> bytes:
        pieces = []
        while (piece := await self.piece()) is not None:
            pieces.append(piece)
        return b"".join(pieces)

    async def ending(self) -> Ending:
        return await asyncio.wait_for(asyncio.shield(self._ending), _PATIENCE_S)

    def begin(self, metadata: bytes, first: bytes) -> None:
        self._metadata.set_result(json.loads(metadata))
        if first:
            self.add(first)

    def add(self, piece: bytes) -> None:
        self.times.append(time.perf_counter())
        if self.keeps:
            self._pieces.put_nowait(piece)

    def end(self, ending: Ending) -> None:
        if not self._ending.done():
            self._ending.set_result(ending)
        self._pieces.put_nowait(None)


def _future() -> "asyncio.Future[Any]":
    return asyncio.get_running_loop().create_future()


class Emulator:
    """One function's side of Lambda; any number of processes may ask it for events."""

    def __init__(self) -> None:
        self.log: list[str] = []
        """What the processes wrote, line by line."""
        self.exits: list[int] = []
        self.reports: list[tuple[str, str]] = []
        """Errors outside of invocations: the path's end, such as `init/error`, and the kind."""
        self.asked: list[float] = []
        """When a process asked for an event, by time.perf_counter(): the first time it has started."""
        self.restored = asyncio.Event()
        """Until it is set, a process that has asked for its restore is frozen."""
        self._frozen = asyncio.Event()
        self._wrote = asyncio.Event()
        self._events: asyncio.Queue[Invoked] = asyncio.Queue()
        self._invoked: dict[str, Invoked] = {}
        self._taken_by: dict[str, asyncio.StreamWriter] = {}
        self._server: asyncio.Server | None = None
        self.processes: list[asyncio.subprocess.Process] = []
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def address(self) -> str:
        if self._server is None:
            raise RuntimeError("the emulator is not running")
        return f"{_HOST}:{self._server.sockets[0].getsockname()[1]}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, _HOST, 0, limit=_LARGEST_HEAD)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self.processes:
            with suppress(ProcessLookupError):
                process.kill()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def start(self, argv: Sequence[str], environ: Mapping[str, str], folder: Path) -> asyncio.subprocess.Process:
        """A process of the function, with the variables that Lambda sets."""
        own = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        lambdas = {
            "AWS_LAMBDA_RUNTIME_API": self.address,
            "AWS_LAMBDA_FUNCTION_NAME": folder.name,
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
            "LAMBDA_TASK_ROOT": str(folder),
            "_HANDLER": "app.handler",
        }
        process = await asyncio.create_subprocess_exec(
            *argv,
            env={**own, **lambdas, **environ},
            cwd=folder,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        self.processes.append(process)
        self._keep(self._follow(process))
        return process

    def invoke(
        self, event: Mapping[str, Any], *, timeout_s: float = 30, trace_id: str = "Root=1-0-0", keeps: bool = True
    ) -> Invoked:
        id = f"invocation-{len(self._invoked) + 1}"
        invoked = self._invoked[id] = Invoked(id, event, time.time() + timeout_s, trace_id, keeps=keeps)
        self._events.put_nowait(invoked)
        return invoked

    def hang_up(self, answer: Invoked) -> None:
        """Take no more of an answer that has begun."""
        self._taken_by[answer.id].transport.abort()

    async def frozen(self) -> None:
        """Returns when a process is ready for its snapshot."""
        await asyncio.wait_for(self._frozen.wait(), _PATIENCE_S)

    async def wrote(self, text: str, lines: int) -> None:
        """Returns when that many lines hold `text`."""
        async with asyncio.timeout(_PATIENCE_S):
            while sum(text in line for line in self.log) < lines:
                await self._news()

    async def exited(self, count: int) -> None:
        """Returns when that many processes are gone, and all that they wrote is in `log`."""
        async with asyncio.timeout(_PATIENCE_S):
            while len(self.exits) < count:
                await self._news()

    async def _news(self) -> None:
        self._wrote.clear()
        await self._wrote.wait()

    def _keep(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _follow(self, process: asyncio.subprocess.Process) -> None:
        if process.stdout is not None:
            async for line in process.stdout:
                self.log.append(line.decode(errors="replace").rstrip("\n"))
                self._wrote.set()
        self.exits.append(await process.wait())
        self._wrote.set()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (request := await _Request.read(reader)) is not None:
                await self._answer(request, reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _answer(self, request: "_Request", reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        match request.path.removeprefix("/2018-06-01/runtime/").split("/"):
            case ["invocation", "next"]:
                self.asked.append(time.perf_counter())
                if (invoked := await self._next(reader)) is not None:
                    await _reply(writer, 200, _headers(invoked), json.dumps(invoked.event).encode())
            case ["invocation", id, "response"]:
                self._invoked[id].number = request.headers.get(_NUMBER)
                self._taken_by[id] = writer
                await self._take(self._invoked[id], request, reader)
                await _reply(writer, 202)
            case ["invocation", id, "error"]:
                self._invoked[id].number = request.headers.get(_NUMBER)
                told = json.loads(await request.whole(reader))
                self._invoked[id].end(Ending(False, request.headers[_ERROR_TYPE], told))
                await _reply(writer, 202)
            case ["restore", "next"]:
                self._frozen.set()
                await self.restored.wait()
                await _reply(writer, 200)
            case [phase, "error"]:
                await request.whole(reader)
                self.reports.append((f"{phase}/error", request.headers[_ERROR_TYPE]))
                await _reply(writer, 202)
            case _:
                await _reply(writer, 404)

    async def _next(self, reader: asyncio.StreamReader) -> Invoked | None:
        """None when the process that waits ends: it must not take the next event with it."""
        event, gone = asyncio.ensure_future(self._events.get()), asyncio.ensure_future(reader.read(1))
        await asyncio.wait([event, gone], return_when=asyncio.FIRST_COMPLETED)
        if event.done():
            gone.cancel()
            with suppress(asyncio.CancelledError):
                await gone
            return event.result()
        event.cancel()
        return None

    async def _take(self, invoked: Invoked, request: "_Request", reader: asyncio.StreamReader) -> None:
        how = request.headers.get("lambda-runtime-function-response-mode"), request.headers.get("content-type")
        if how != ("streaming", "application/vnd.awslambda.http-integration-response"):
            invoked.begin(b"{}", await request.whole(reader))
            invoked.end(Ending(False))
            return
        trailers: dict[str, str] = {}
        head: bytes | None = b""
        try:
            async for piece in request.chunks(reader, trailers):
                if head is None:
                    invoked.add(piece)
                    continue
                head += piece
                if _NULS in head:
                    invoked.begin(*head.split(_NULS, 1))
                    head = None
        except (asyncio.IncompleteReadError, ConnectionError):
            invoked.end(Ending(True, "connection lost"))
            raise
        announced = request.headers.get("trailer", "").lower().replace(" ", "").split(",")
        trailers = {name: value for name, value in trailers.items() if name in announced}
        told = json.loads(base64.b64decode(trailers[_ERROR_BODY])) if _ERROR_BODY in trailers else None
        invoked.end(Ending(True, trailers.get(_ERROR_TYPE), told))


_NUMBER = "lambda-runtime-invocation-id"
_ERROR_TYPE = "lambda-runtime-function-error-type"
_ERROR_BODY = "lambda-runtime-function-error-body"


def _headers(invoked: Invoked) -> dict[str, str]:
    return {
        "Content-Type": "application/json",
        "Lambda-Runtime-Aws-Request-Id": invoked.id,
        "Lambda-Runtime-Deadline-Ms": str(int(invoked.deadline * 1000)),
        "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:eu-central-1:111122223333:function:emulated",
        "Lambda-Runtime-Trace-Id": invoked.trace_id,
        "Lambda-Runtime-Invocation-Id": f"number of {invoked.id}",
    }


async def _reply(
    writer: asyncio.StreamWriter, status: int, headers: Mapping[str, str] | None = None, body: bytes = b""
) -> None:
    lines = [f"HTTP/1.1 {status} -", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    writer.write("\r\n".join([*lines, "", ""]).encode() + body)
    await writer.drain()


class _Request:
    """Read by hand: the borders of HTTP chunks are what is looked at here, and parsers do not tell them."""

    def __init__(self, path: str, headers: Mapping[str, str]) -> None:
        self.path, self.headers = path, headers

    @classmethod
    async def read(cls, reader: asyncio.StreamReader) -> Self | None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        except asyncio.IncompleteReadError:
            return None
        first, *lines = head.rstrip("\r\n").split("\r\n")
        return cls(first.split(" ")[1], dict(_fields(lines)))

    async def whole(self, reader: asyncio.StreamReader) -> bytes:
        if "content-length" in self.headers:
            return await reader.readexactly(int(self.headers["content-length"]))
        return b"".join([piece async for piece in self.chunks(reader, {})])

    async def chunks(self, reader: asyncio.StreamReader, trailers: dict[str, str]) -> AsyncIterator[bytes]:
        """Each HTTP chunk; then `trailers` are filled. Many that came at once are taken apart without waiting."""
        come, at = b"", 0

        async def more() -> None:
            nonlocal come, at
            if not (read := await reader.read(1 << 16)):
                raise asyncio.IncompleteReadError(b"", None)
            come, at = come[at:] + read, 0

        async def line() -> bytes:
            nonlocal at
            while (end := come.find(b"\r\n", at)) < 0:
                await more()
            found, at = come[at:end], end + 2
            return found

        while size := int(await line(), 16):
            while len(come) < at + size + 2:
                await more()
            begun, at = at, at + size + 2
            yield come[begun : at - 2]
        while field := await line():
            trailers.update(_fields([field.decode("latin-1")]))


def _fields(lines: Sequence[str]) -> list[tuple[str, str]]:
    return [(name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines)]
