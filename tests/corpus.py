"""Recorded exchanges of real providers, when they lie beside the project. None of their texts is part of it."""

import base64
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FOLDER = Path(os.environ.get("WEIR_EXCHANGES") or Path(__file__).parents[2] / "shared" / "exchanges" / "open")
ABSENT = "no recorded exchanges: neither at ../shared/exchanges/open nor at WEIR_EXCHANGES; nothing was replayed"


@dataclass(frozen=True)
class Exchange:
    """One HTTP request and its answer. `streamed`: the answer is a stream of events in the API's own framing."""

    id: str
    provider: str
    api: str
    model: str
    url: str
    request: Any
    status: int
    headers: Mapping[str, str]
    body: bytes
    streamed: bool
    recording: Mapping[str, Any] = field(repr=False)
    """As it lies in its file."""


def exchanges(folder: Path = FOLDER) -> list[Exchange]:
    """In the order of their ids; empty when the folder is not there."""
    return [_exchange(json.loads(file.read_bytes())) for file in sorted(folder.glob("*.json"))]


def _exchange(recording: Mapping[str, Any]) -> Exchange:
    request, response = recording["request"], recording["response"]
    return Exchange(
        recording["id"],
        recording["provider"],
        recording["api"],
        recording.get("model") or "",
        request["url"],
        request.get("body"),
        response["status"],
        response["headers"],
        _bytes(response),
        response["kind"] in ("sse", "eventstream", "ndjson"),
        recording,
    )


def _bytes(response: Mapping[str, Any]) -> bytes:
    match response["body_format"]:
        case "json":
            return json.dumps(response["body"], ensure_ascii=False).encode()
        case "base64":
            return base64.b64decode(response["body"])
        case _:
            return str(response["body"] or "").encode()
