"""Connections that ask again as soon as they are answered, and how long each answer took."""

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Question:
    """What every connection asks, over and over."""

    method: str
    url: str
    body: Mapping[str, Any]
    key: str | None = None

    def to_bytes(self) -> bytes:
        parts = urlsplit(self.url)
        body = json.dumps(self.body).encode()
        lines = [
            f"{self.method} {parts.path} HTTP/1.1",
            f"host: {parts.netloc}",
            "content-type: application/json",
            f"content-length: {len(body)}",
            *([f"authorization: Bearer {self.key}"] if self.key else []),
        ]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@dataclass(frozen=True, slots=True)
class Load:
    """What one phase saw. Times are milliseconds, of answered requests; `refused` are those not answered with 2xx."""

    answered: int
    refused: int
    seconds: float
    whole_ms: Sequence[float]
    first_ms: Sequence[float]

    @property
    def per_second(self) -> float:
        return self.answered / self.seconds


def percentile(sorted_ms: Sequence[float], share: float) -> float:
    return sorted_ms[min(len(sorted_ms) - 1, int(len(sorted_ms) * share))] if sorted_ms else float("nan")


async def put_load(question: Question, *, connections: int, seconds: float) -> Load:
    """Every connection gets the answer to its last request: what is counted is all that was answered."""
    parts = urlsplit(question.url)
    loop = asyncio.get_running_loop()
    raw = question.to_bytes()
    begun = time.perf_counter()
    asking: list[_Connection] = []
    for _ in range(connections):
        _, connection = await loop.create_connection(
            lambda: _Connection(raw, begun + seconds), parts.hostname or "127.0.0.1", parts.port or 80
        )
        asking.append(connection)
    await asyncio.gather(*(connection.done for connection in asking))
    took = time.perf_counter() - begun
    return Load(
        answered=sum(len(connection.whole_ms) for connection in asking),
        refused=sum(connection.refused for connection in asking),
        seconds=took,
        whole_ms=sorted(ms for connection in asking for ms in connection.whole_ms),
        first_ms=sorted(ms for connection in asking for ms in connection.first_ms),
    )


class _Connection(asyncio.Protocol):
    """One keep-alive connection; `first_ms` is when the first bytes of a body came, `whole_ms` when all had."""

    def __init__(self, request: bytes, stop_at: float) -> None:
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.whole_ms: list[float] = []
        self.first_ms: list[float] = []
        self.refused = 0
        self._request, self._stop_at = request, stop_at
        self._transport: asyncio.WriteTransport
        self._read = bytearray()
        self._body = -1
        self._end: int | None = None
        self._first: float | None = None
        self._asked = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)  # uvloop's has the methods, not the base class
        self._ask()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(ConnectionError("the server closed a connection under load"))

    def data_received(self, data: bytes) -> None:
        now = time.perf_counter()
        self._read += data
        if self._body < 0:
            self._read_head()
        if self._body < 0:
            return
        if self._first is None and len(self._read) > self._body:
            self._first = now
        if len(self._read) >= self._end if self._end is not None else self._read.endswith(b"0\r\n\r\n"):
            self._answered(now)

    def _read_head(self) -> None:
        head = self._read.find(b"\r\n\r\n")
        if head >= 0:
            self._body = head + 4
            lowered = self._read[:head].lower()
            at = lowered.find(b"\r\ncontent-length:")
            self._end = self._body + int(lowered[at + 17 :].split(b"\r", 1)[0]) if at >= 0 else None

    def _answered(self, now: float) -> None:
        if self._read.startswith(b"HTTP/1.1 2"):
            self.whole_ms.append((now - self._asked) * 1000)
            self.first_ms.append(((self._first or now) - self._asked) * 1000)
        else:
            self.refused += 1
        if now < self._stop_at:
            self._ask()
        else:
            self.done.set_result(None)
            self._transport.close()

    def _ask(self) -> None:
        self._read = bytearray()
        self._body, self._end, self._first = -1, None, None
        self._asked = time.perf_counter()
        self._transport.write(self._request)
