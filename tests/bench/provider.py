"""A provider that costs next to nothing: `python -m tests.bench.provider` prints its port and answers until it ends.

Its answers are made once and written as they are: the stream in one piece, or for the model "pieces" every chunk by
itself, each in a turn of the event loop of its own.
"""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from tests.bench.loops import run
from tests.bench.machine import cores, on_core

_PROJECT = Path(__file__).resolve().parents[2]

CHUNKS = 30
_WORDS = [
    "A",
    "weir",
    "lets",
    "the",
    "river",
    "through",
    "and",
    "gauges",
    "what",
    "went",
    "by,",
    "so",
    "that",
    "nothing",
    "is",
    "lost",
    "and",
    "nothing",
    "held",
    "up.",
]
_TOP = {"id": "chatcmpl-bench", "created": 1_760_000_000, "model": "bench-1", "system_fingerprint": "fp_bench"}
_USAGE = {"prompt_tokens": 60, "completion_tokens": 120, "total_tokens": 180}


@contextmanager
def served() -> Iterator[str]:
    """Its URL, while a process serves it beside what is measured."""
    command = [sys.executable, "-m", "tests.bench.provider"]
    path = os.pathsep.join([str(_PROJECT / "layers" / "shared"), str(_PROJECT)])
    with (
        on_core(cores()[1]),
        subprocess.Popen(
            command, cwd=_PROJECT, env=os.environ | {"PYTHONPATH": path}, stdout=subprocess.PIPE, text=True
        ) as process,
    ):
        try:
            port = process.stdout.readline().strip() if process.stdout is not None else ""
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()


def stream_events() -> list[bytes]:
    """Role, thirty pieces of text, reason, usage, end."""
    pieces = [" ".join(_WORDS[at % 9 : at % 9 + 4]) + " " for at in range(CHUNKS)]
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}, *({"content": piece} for piece in pieces)]
    bodies = [*((delta, None) for delta in deltas), ({}, "stop")]
    chunks: list[dict[str, Any]] = [
        {"choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}]}
        for delta, reason in bodies
    ]
    chunks.append({"choices": [], "usage": _USAGE})
    return [b"data: " + _json({**_TOP, "object": "chat.completion.chunk", **chunk}) + b"\n\n" for chunk in chunks] + [
        b"data: [DONE]\n\n"
    ]


def completion() -> bytes:
    message = {"role": "assistant", "content": " ".join(_WORDS * 6), "refusal": None}
    choices = [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}]
    return _json({**_TOP, "object": "chat.completion", "choices": choices, "usage": _USAGE})


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _chunked(piece: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(piece), piece)


_WHOLE = completion()
_PLAIN = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(_WHOLE), _WHOLE)
_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
_EVENTS = [_chunked(event) for event in stream_events()]
_END = b"0\r\n\r\n"
_STREAM = _HEAD + b"".join(_EVENTS) + _END
_PIECES = (_HEAD + _EVENTS[0], *_EVENTS[1:], _END)


class _Connection(asyncio.Protocol):
    def __init__(self) -> None:
        self._read = bytearray()
        self._transport: asyncio.WriteTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)  # uvloop's has the methods, not the base class

    def data_received(self, data: bytes) -> None:
        self._read += data
        head = self._read.find(b"\r\n\r\n")
        if head < 0:
            return
        length = self._read[:head].lower().find(b"content-length:")
        end = head + 4 + int(self._read[length + 15 :].split(b"\r", 1)[0])
        if len(self._read) >= end:
            body = bytes(self._read[head + 4 : end])
            del self._read[:end]
            self._answer(body.replace(b" ", b""))

    def _answer(self, body: bytes) -> None:
        if b'"stream":true' not in body:
            self._transport.write(_PLAIN)
        elif b'"model":"pieces"' in body:
            self._write(_PIECES, 0)
        else:
            self._transport.write(_STREAM)

    def _write(self, pieces: Sequence[bytes], at: int) -> None:
        self._transport.write(pieces[at])
        if at + 1 < len(pieces):
            asyncio.get_running_loop().call_soon(self._write, pieces, at + 1)


async def _serve() -> None:
    server = await asyncio.get_running_loop().create_server(_Connection, "127.0.0.1", 0, backlog=256)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    run(_serve())
