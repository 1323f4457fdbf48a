"""The second reading of the recordings: `../shared/corpus-judge`, loaded from where it lies, never copied.

It reads a recording by itself (with botocore's event streams) and our caller's answer with the openai SDK, and
compares the two field by field. Its README says what passes where a vendor's form leaves the translation open.
"""

import importlib.util
import json
from base64 import b64decode
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from botocore.eventstream import EventStreamBuffer

from tests.corpus import FOLDER, Exchange

JUDGE = FOLDER.parents[1] / "corpus-judge"
ABSENT = "no second reading of the recorded exchanges: corpus-judge does not lie beside them; nothing was replayed"

Wanted = Mapping[str, Any]
"""What a caller should get; the head of the judge's expected.py describes it."""


class Judge:
    def __init__(self, folder: Path = JUDGE) -> None:
        self._expected, self._compare = _module(folder / "expected.py"), _module(folder / "compare.py")
        self._answer, self._scope = _module(folder / "answer.py"), _module(folder / "scope.py")

    def wanted(self, exchange: Exchange, label: str, body: bytes, streamed: bool) -> Wanted:
        recording: Any = exchange.recording
        match label:
            case "invoke" | "rawPredict":
                label = "messages"
        if streamed and recording["response"]["kind"] == "eventstream" and label == "messages":
            body = b"".join(_unwrapped(body))
            recording = {**recording, "response": {**recording["response"], "kind": "sse"}}
        elif streamed and recording["response"]["kind"] == "json":
            recording = {**recording, "response": {**recording["response"], "kind": "sse"}}
        wanted: Wanted = self._expected.expect(recording, label, body)
        return wanted

    def calls_other_than_functions(self, wanted: Wanted) -> bool:
        return not self._scope.CUSTOM.isdisjoint(wanted["builtin"])

    def faults(self, wanted: Wanted, status: int, body: bytes, streamed: bool) -> Iterator[str]:
        """What is wrong with an answer that our caller got."""
        sort = "text/event-stream" if streamed else "application/json"
        got = self._answer.read(status, {"content-type": sort}, body, streamed)
        for kind, what in self._compare.faults(wanted, got, True, "weir", streamed):
            yield f"{kind}: {what}"


def _module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"corpus_judge_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python module")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _unwrapped(stream: bytes) -> Iterator[bytes]:
    """The events of Messages that InvokeModelWithResponseStream wraps in base64, as the API's own stream has them."""
    frames = EventStreamBuffer()
    frames.add_data(stream)
    for frame in frames:
        yield b"data: " + b64decode(json.loads(frame.payload)["bytes"]) + b"\n\n"
