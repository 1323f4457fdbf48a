"""What was acknowledged survives kill -9, at whatever moment it comes."""

import base64
import http.client
import json
import random
import sqlite3
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.weir_process import WeirProcess
from weir.ledger import payloads
from weir.ledger.files import FileBlobStore
from weir.ledger.ports import Entry
from weir.ledger.sqlite import SQLiteRecordStore
from weir.protocols import jsonbytes

ROUNDS = 20
CALLERS = 4
MOST_BEFORE_THE_KILL = 80
SAID = "This is Weir's demo, no model was called. You said: "


@dataclass(frozen=True, slots=True)
class Call:
    """`name` is the caller's own id for a call that is made again until it is acknowledged.

    A `log` is not run, only kept, with the answer that the demo would have given.
    """

    text: str
    stream: bool = False
    name: str | None = None
    log: bool = False

    @property
    def path(self) -> str:
        return "/api/request-logs/create" if self.log else "/v1/chat/completions"

    @property
    def body(self) -> bytes:
        messages = [{"role": "user", "content": self.text}]
        fields: dict[str, Any] = {"model": "demo/echo", "request_id": self.name, "stream": self.stream}
        if self.log:
            answer = {"role": "assistant", "content": SAID + self.text}
            return json.dumps(fields | {"prompt_messages": messages, "completion_message": answer}).encode()
        return json.dumps(fields | {"messages": messages}).encode()


class Load:
    """Callers that call as fast as they can until the server is gone, and what was acknowledged to them."""

    def __init__(self, weir: WeirProcess, seed: int, unsettled: list[Call]) -> None:
        self.acknowledged: dict[str, Call] = {}
        self.unsettled: list[Call] = []
        self._weir = weir
        self._news = threading.Condition()
        self._running = CALLERS
        self._threads = [
            threading.Thread(target=self._call_on, args=(_calls(seed * CALLERS + at, unsettled[at::CALLERS]),))
            for at in range(CALLERS)
        ]
        for thread in self._threads:
            thread.start()

    def wait_for(self, count: int) -> None:
        with self._news:
            self._news.wait_for(lambda: len(self.acknowledged) >= count or self._running == 0)

    def join(self) -> None:
        for thread in self._threads:
            thread.join()

    def _call_on(self, calls: Iterator[Call]) -> None:
        connection = http.client.HTTPConnection(urlsplit(self._weir.url).netloc, timeout=60)
        with closing(connection):
            for call in calls:
                if not self._acknowledged(connection, call):
                    break
        with self._news:
            self._running -= 1
            self._news.notify_all()

    def _acknowledged(self, connection: http.client.HTTPConnection, call: Call) -> bool:
        id, body = "", b""
        try:
            headers = {"authorization": f"Bearer {self._weir.key}", "content-type": "application/json"}
            connection.request("POST", call.path, call.body, headers)
            response = connection.getresponse()
            id = response.headers.get("x-weir-request-id", "")
            while piece := response.read1():
                body += piece
            whole = response.status == 200
        except (OSError, http.client.HTTPException):
            whole = False
        if call.stream:
            whole = body.endswith(b"data: [DONE]\n\n")
        with self._news:
            if whole:
                self.acknowledged[id if not call.log else json.loads(body)["id"]] = call
            elif call.name is not None:
                self.unsettled.append(call)
            self._news.notify_all()
        return whole


def _calls(seed: int, first: list[Call]) -> Iterator[Call]:
    """Plain, streamed and named ones, and now and then one so large that its payload becomes a file."""
    yield from first
    chance = random.Random(seed)
    for at in range(1_000_000):
        text = f"call {at} of caller {seed}"
        match chance.choices(("plain", "streamed", "named", "logged", "large"), (8, 8, 8, 8, 1))[0]:
            case "plain":
                yield Call(text)
            case "streamed":
                yield Call(text, stream=True)
            case "named":
                yield Call(text, name=f"name-{seed}-{at}")
            case "logged":
                yield Call(text, log=True, name=f"name-{seed}-{at}")
            case _:
                yield Call(f"{text} {base64.b64encode(chance.randbytes(120_000)).decode()}")


def test_every_acknowledged_call_is_there_once_after_any_kill(tmp_path: Path) -> None:
    chance = random.Random(20_261_121)
    acknowledged: dict[str, Call] = {}
    unsettled: list[Call] = []
    for seed in range(ROUNDS):
        with WeirProcess(tmp_path) as weir:
            load = Load(weir, seed, unsettled)
            load.wait_for(chance.randint(0, MOST_BEFORE_THE_KILL))
            weir.kill()
            load.join()
        acknowledged |= load.acknowledged
        unsettled = load.unsettled
        with closing(SQLiteRecordStore(tmp_path / "ledger.sqlite")) as store:
            assert _missing(store, tmp_path, load.acknowledged) == {}
    with WeirProcess(tmp_path) as weir:
        assert _unreadable(weir, acknowledged) == {}
        assert weir.stop() == 0
    with closing(SQLiteRecordStore(tmp_path / "ledger.sqlite")) as store:
        assert _missing(store, tmp_path, acknowledged) == {}
    _assert_nothing_twice(tmp_path / "ledger.sqlite", acknowledged)


def _unreadable(weir: WeirProcess, calls: dict[str, Call]) -> dict[str, object]:
    """What Weir shows of each call where that is not the call itself and its answer."""
    unreadable: dict[str, object] = {}
    with closing(http.client.HTTPConnection(urlsplit(weir.url).netloc, timeout=60)) as connection:
        for id, call in calls.items():
            path = f"/api/request-logs/{call.name or id}"
            connection.request("GET", path, headers={"authorization": f"Bearer {weir.key}"})
            shown = json.loads(connection.getresponse().read())
            said = [*shown.get("prompt_messages", ()), shown.get("completion_message", {})]
            if [message.get("content") for message in said] != [call.text, SAID + call.text]:
                unreadable[id] = shown
    return unreadable


def _missing(store: SQLiteRecordStore, data_dir: Path, calls: dict[str, Call]) -> dict[str, object]:
    """What is kept of each call where that is not the call itself and its answer."""
    found = {id: _kept(store.get("default", call.name or id), data_dir) for id, call in calls.items()}
    return {id: found[id] for id, call in calls.items() if found[id] != (call.text, SAID + call.text)}


def _kept(entry: Entry | None, data_dir: Path) -> tuple[str, str] | None:
    if entry is None:
        return None
    content = entry.inline
    if entry.blob_key is not None:
        content = FileBlobStore(data_dir / "blobs").get(entry.blob_key)
    if content is None:
        return None
    payload = payloads.from_bytes(content)
    request, response = jsonbytes.loads(payload.request), jsonbytes.loads(payload.response or b"null")
    if response is None:  # a log, all in one body
        return request["prompt_messages"][0]["content"], request["completion_message"]["content"]
    return request["messages"][0]["content"], response["choices"][0]["message"]["content"]


def _assert_nothing_twice(database: Path, acknowledged: dict[str, Call]) -> None:
    with closing(sqlite3.connect(database)) as connection:
        records = [(id, jsonbytes.loads(item)) for id, item in connection.execute("SELECT id, item FROM records")]
        payload_ids = [id for (id,) in connection.execute("SELECT id FROM payloads")]
        inline_ids = [id for (id,) in connection.execute("SELECT id FROM records WHERE blob_key IS NULL")]
    names = Counter(item["caller_id"] for _, item in records if "caller_id" in item)
    settled = {call.name for call in acknowledged.values() if call.name is not None}
    assert {name: names[name] for name in settled} == dict.fromkeys(settled, 1)
    assert sorted(payload_ids) == sorted(inline_ids)
    texts = Counter(call.text for call in acknowledged.values())
    assert set(texts.values()) == {1}
    assert len(records) >= len(acknowledged)
