"""The completion function under its own runtime, in an emulated Lambda: what leaves when, and how it ends."""

import asyncio
import json
import queue
import random
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, overload

import pytest

from infra.emulator import Emulator, Ending, Invoked
from tests.infra import template
from tests.upstream import JSON_TYPE, SSE_TYPE, Reply, Upstream, completion_reply, error_reply, events, stream_reply
from weir.domain.record import Record
from weir.ledger.ledger import Ledger
from weir.runtime.bootstrap import open_ledger
from weir.runtime.runtime_api import Invocation, RuntimeApi
from weir.runtime.settings import Settings
from weir.runtime.streaming import Answer, Context

FUNCTION = template.ROOT / "functions" / "completion"
WRAPPER = template.ROOT / "layers" / "shared" / "bin" / "weir-stream"
KEY = "canary-key-of-the-event"
ID = "x-weir-request-id"
ROUTES = ("/v1/chat/completions", "/chat/completions/serialized")
Result = TypeVar("Result")


class Paced(Sequence[bytes]):
    """Chunks of a provider's answer, each of which does not exist before it is let go."""

    def __init__(self, chunks: Sequence[bytes]) -> None:
        self._chunks = chunks
        self._let_go: queue.Queue[None] = queue.Queue()

    def let_go(self, count: int = 1) -> None:
        for _ in range(count):
            self._let_go.put(None)

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._chunks:
            self._let_go.get(timeout=30)
            yield chunk

    def __len__(self) -> int:
        return len(self._chunks)

    @overload
    def __getitem__(self, at: int) -> bytes: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[bytes]: ...
    def __getitem__(self, at: int | slice) -> bytes | Sequence[bytes]:
        return self._chunks[at]


class Deployed:
    """The function in `emulator`, its provider `upstream`, its ledger in a folder."""

    def __init__(self, emulator: Emulator, upstream: Upstream, data: Path) -> None:
        self.emulator, self.upstream, self._data = emulator, upstream, data

    async def start(self, **environ: str) -> asyncio.subprocess.Process:
        shared = {
            "PYTHONPATH": str(template.ROOT / "layers" / "shared"),
            "AWS_LAMBDA_EXEC_WRAPPER": str(WRAPPER),
            "WEIR_DATA_DIR": str(self._data),
            "WEIR_API_KEY": KEY,
            "OPENAI_API_KEY": "canary-openai-key",
            "OPENAI_BASE_URL": f"{self.upstream.url}/v1",
        }
        return await self.emulator.start([str(WRAPPER), sys.executable], {**shared, **environ}, FUNCTION)

    def ask(self, model: str, *, route: str = ROUTES[0], stream: bool = True, timeout_s: float = 60) -> Invoked:
        params: dict[str, Any] = {"model": model, "messages": [{"role": "user", "content": "Hi"}], "stream": stream}
        if route.endswith("serialized"):
            params = {"application_ref_name": "a", "action_type": "B", "params": params}
        return self.emulator.invoke(event(path=route, body=json.dumps(params)), timeout_s=timeout_s)

    async def record(self, answer: Invoked) -> Record | None:
        return await self.record_of((await answer.metadata())["headers"][ID])

    async def record_of(self, id: str) -> Record | None:
        ledger = self._ledger()
        found = await ledger.get("default", id)
        ledger.close()
        return found[0] if found is not None else None

    async def newest(self) -> Record:
        ledger = self._ledger()
        (record,) = await ledger.newest("default", limit=1)
        ledger.close()
        return record

    def _ledger(self) -> Ledger:
        return open_ledger(Settings(data_dir=self._data))


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., None]:
    """Run a scene with a started function (or, with `waits`, one that the scene starts)."""

    def play(scene: Callable[[Deployed], Awaitable[None]], *, waits: bool = False) -> None:
        async def whole() -> None:
            with Upstream(keep_alive=False) as upstream:
                async with Emulator() as emulator:
                    deployed = Deployed(emulator, upstream, tmp_path)
                    if not waits:
                        await deployed.start()
                    await scene(deployed)

        asyncio.run(whole())

    return play


def event(**changes: Any) -> dict[str, Any]:
    loaded = json.loads((template.ROOT / "infra" / "events" / "completion-stream.json").read_text(encoding="utf-8"))
    return {**loaded, **changes}


async def text_of(answer: Invoked) -> str:
    return (await answer.rest()).decode()


def test_each_chunk_leaves_before_the_next_one_exists(run: Callable[..., None]) -> None:
    async def scene(weir: Deployed) -> None:
        chunks = Paced(events("first", "second", "third"))
        weir.upstream.replies["paced"] = Reply(chunks, headers=SSE_TYPE)
        answer = weir.ask("openai/paced")

        chunks.let_go(2)  # the role, then the first words
        seen: list[str] = []
        for word in ("first", "second", "third"):
            while word not in "".join(seen):
                seen.append(((await answer.piece()) or b"").decode())
            assert not answer.times[len(seen) :]  # nothing more came: the provider waits for this test
            chunks.let_go()
        chunks.let_go(len(chunks))

        assert (await text_of(answer)).endswith("data: [DONE]\n\n")
        assert await answer.ending() == Ending(streamed=True)

    run(scene)


def test_the_record_is_there_before_the_stream_ends(run: Callable[..., None]) -> None:
    async def scene(weir: Deployed) -> None:
        weir.upstream.replies["m"] = stream_reply("Hello")
        answer = weir.ask("openai/m")
        pieces: list[bytes] = []
        while not pieces or b"[DONE]" not in pieces[-1]:
            pieces.append(await answer.piece() or pytest.fail("the stream ended before [DONE]"))

        record = await weir.record(answer)

        assert record is not None
        assert (record.outcome, record.stream) == ("complete", True)
        assert await answer.ending() == Ending(streamed=True)

    run(scene)


@pytest.mark.parametrize("route", ROUTES)
def test_a_fault_after_the_first_chunk_breaks_the_stream(run: Callable[..., None], route: str) -> None:
    async def scene(weir: Deployed) -> None:
        weir.upstream.replies["dropped"] = Reply(events("some", "more")[:2], headers=SSE_TYPE, drop=True)
        answer = weir.ask("openai/dropped", route=route)

        text = await text_of(answer)
        ending = await answer.ending()

        assert (ending.streamed, ending.fault) == (True, "Runtime.MalformedReply")
        assert (ending.told or {})["errorMessage"] == "openai broke off before its answer was complete."
        assert "some" in text
        assert "[DONE]" not in text
        assert "broke off" in text.strip().splitlines()[-1]
        record = await weir.record(answer)
        assert record is not None
        assert record.outcome == "cut_off"

    run(scene)


@pytest.mark.parametrize("route", ROUTES)
def test_a_provider_that_is_silent_at_the_deadline_is_a_504_in_the_callers_dialect(
    run: Callable[..., None], route: str
) -> None:
    async def scene(weir: Deployed) -> None:
        silence = threading.Event()
        weir.upstream.replies["silent"] = Reply(events("never"), headers=SSE_TYPE, hold=silence, hold_at=0)
        answer = weir.ask("openai/silent", route=route, timeout_s=3.1)

        metadata, text = await answer.metadata(), await text_of(answer)
        silence.set()

        said = "openai did not answer in time."
        assert (metadata["statusCode"], await answer.ending()) == (504, Ending(streamed=True))
        assert (text if route.endswith("serialized") else json.loads(text)["error"]["message"]) == said
        record = await weir.newest()
        assert (record.outcome, record.status_code, record.failure and record.failure.kind) == (
            "error",
            504,
            "ProviderTimeout",
        )

    run(scene)


@pytest.mark.parametrize(("route", "beat"), [(ROUTES[0], b": keep-alive\n\n"), (ROUTES[1], b'{"keep_alive":true}\n')])
def test_a_model_that_thinks_for_long_is_heard_of(run: Callable[..., None], route: str, beat: bytes) -> None:
    async def scene(weir: Deployed) -> None:
        await weir.start(WEIR_HEARTBEAT_S="0.02")
        silence = threading.Event()
        weir.upstream.replies["slow"] = Reply(events("begun", "end"), headers=SSE_TYPE, hold=silence, hold_at=2)
        answer = weir.ask("openai/slow", route=route)

        while beat != await answer.piece():
            pass
        silence.set()

        assert "end" in await text_of(answer)
        assert await answer.ending() == Ending(streamed=True)

    run(scene, waits=True)


CLOCK = """
from asyncio.base_events import BaseEventLoop
from pathlib import Path
from time import monotonic

LATE = Path(__file__).with_name("late")
BaseEventLoop.time = lambda loop: monotonic() + (45 if LATE.exists() else 0)
"""
"""Python imports `sitecustomize` by itself. From when the file is there on it is later: after the deadline of a call
that may take 40 s, and before everything else that ends."""


@pytest.mark.parametrize("route", ROUTES)
def test_a_provider_that_still_talks_at_the_deadline_is_told_of_and_breaks_the_stream(
    run: Callable[..., None], tmp_path: Path, route: str
) -> None:
    async def scene(weir: Deployed) -> None:
        (tmp_path / "sitecustomize.py").write_text(CLOCK)
        path = f"{tmp_path}:{template.ROOT / 'layers' / 'shared'}"
        await weir.start(PYTHONPATH=path, WEIR_HEARTBEAT_S="0.02")  # with each beat it looks at its clock
        silence = threading.Event()
        weir.upstream.replies["slow"] = Reply(events("begun", "never"), headers=SSE_TYPE, hold=silence, hold_at=2)
        answer = weir.ask("openai/slow", route=route, timeout_s=40)

        text = ""
        while "begun" not in text:
            text += (await answer.piece() or pytest.fail("the stream ended before it had begun")).decode()
        (tmp_path / "late").touch()
        text += await text_of(answer)
        silence.set()

        assert (await answer.ending()).fault == "Runtime.ProviderTimeout"
        assert "still answering when the time for this call was over" in text.strip().splitlines()[-1]
        record = await weir.record(answer)
        assert record is not None
        assert (record.outcome, record.status_code) == ("error", 504)

    run(scene, waits=True)


def test_every_kind_of_answer_has_the_form_of_a_stream(run: Callable[..., None]) -> None:
    async def scene(weir: Deployed) -> None:
        weir.upstream.replies["whole"] = completion_reply("Hello")
        weir.upstream.replies["refused"] = error_reply(429, "slow down", headers={"retry-after": "7"})
        asked = {
            200: weir.ask("openai/whole", stream=False),
            429: weir.ask("openai/refused"),
            404: weir.emulator.invoke(event(path="/nowhere")),
            400: weir.emulator.invoke(event(body="{")),
            401: weir.emulator.invoke(event(headers={}, multiValueHeaders={})),
        }
        for status, answer in asked.items():
            metadata, body = await answer.metadata(), json.loads(await answer.rest())
            assert metadata["statusCode"] == status
            assert metadata["headers"]["content-type"] == JSON_TYPE["content-type"]
            assert ("error" in body) == (status != 200)
            assert await answer.ending() == Ending(streamed=True)
        assert (await asked[429].metadata())["headers"]["retry-after"] == "7"

    run(scene)


NESTED: dict[str, Any] = {}
"""More deeply than a request can be, which only who calls the function itself can send."""
for _ in range(300):
    NESTED = {"deeper": NESTED}


@pytest.mark.parametrize("sent", [{}, NESTED, event(body="a", isBase64Encoded=True)], ids=["empty", "deep", "broken"])
def test_an_event_that_is_no_request_fails_alone(run: Callable[..., None], sent: Mapping[str, Any]) -> None:
    async def scene(weir: Deployed) -> None:
        weir.upstream.replies["m"] = stream_reply("Hello")
        refused = await weir.emulator.invoke(sent).ending()

        assert (refused.streamed, refused.told and refused.told["errorMessage"]) == (
            False,
            "Weir failed; the reason is in its log.",
        )
        assert await weir.ask("openai/m").ending() == Ending(streamed=True)
        assert weir.emulator.exits == []

    run(scene)


def test_an_answer_begins_once_also_when_the_heart_beats_as_its_first_piece_comes() -> None:
    async def whole() -> None:
        async with Emulator() as emulator:
            invoked = emulator.invoke({})
            api = RuntimeApi(emulator.address)
            answer = Answer(api, await api.next_invocation())
            await answer.send({"type": "http.response.start", "status": 200, "headers": []})
            pieces = [{"type": "http.response.body", "body": text, "more_body": True} for text in (b"one", b"two")]
            await asyncio.gather(*map(answer.send, pieces))
            await answer.send({"type": "http.response.body", "body": b""})
            await answer.end()
            await api.close()
            assert await invoked.rest() == b"onetwo"

    asyncio.run(whole())


def test_a_header_that_occurs_twice_is_told_in_the_form_that_both_front_doors_take() -> None:
    headers = [(b"content-type", b"text/plain"), (b"vary", b"accept"), (b"Vary", b"origin")]
    cookies = [(b"set-cookie", b"a=1; Path=/"), (b"set-cookie", b"b=2")]

    async def whole() -> None:
        async with Emulator() as emulator:
            invoked = emulator.invoke({})
            api = RuntimeApi(emulator.address)
            answer = Answer(api, await api.next_invocation())
            await answer.send({"type": "http.response.start", "status": 200, "headers": headers + cookies})
            await answer.send({"type": "http.response.body", "body": b""})
            await answer.end()
            await api.close()
            assert await invoked.metadata() == {
                "statusCode": 200,
                "headers": {"content-type": "text/plain", "vary": "accept, origin"},
                "cookies": ["a=1; Path=/", "b=2"],
            }

    asyncio.run(whole())


def test_the_second_front_door_is_answered_too(run: Callable[..., None]) -> None:
    """A Function URL's events are of API Gateway's version 2.0."""

    async def scene(weir: Deployed) -> None:
        weir.upstream.replies["whole"] = completion_reply("Hello")
        body = json.dumps({"model": "openai/whole", "messages": [{"role": "user", "content": "Hi"}]})
        where = {"method": "POST", "path": "/v1/chat/completions", "sourceIp": "203.0.113.7"}
        sent: dict[str, Any] = {
            "version": "2.0",
            "rawPath": where["path"],
            "rawQueryString": "",
            "headers": {"x-api-key": KEY},
        }
        sent |= {"requestContext": {"http": where}, "body": body, "isBase64Encoded": False}

        answer = weir.emulator.invoke(sent)

        assert (await answer.metadata())["statusCode"] == 200
        assert json.loads(await answer.rest())["choices"][0]["message"]["content"] == "Hello"

    run(scene)


def test_a_process_answers_one_event_after_the_other(run: Callable[..., None]) -> None:
    async def scene(weir: Deployed) -> None:
        weir.upstream.replies["m"] = stream_reply("Hello")
        answers = [weir.ask("openai/m") for _ in range(3)]
        ids = {(await answer.metadata())["headers"][ID] for answer in answers}
        assert [await answer.ending() for answer in answers] == [Ending(streamed=True)] * 3
        assert len(ids) == 3
        assert weir.emulator.exits == []

    run(scene)


def test_answers_and_errors_have_the_number_of_their_event(run: Callable[..., None]) -> None:
    async def scene(weir: Deployed) -> None:
        weir.upstream.replies["m"] = stream_reply("Hello")
        answered = [weir.ask("openai/m"), weir.emulator.invoke({})]
        for each in answered:
            await each.ending()
        assert [each.number for each in answered] == ["number of invocation-1", "number of invocation-2"]

    run(scene)


def test_the_context_is_what_lambdas_own_runtime_gives_to_handlers() -> None:
    environ = {
        "AWS_LAMBDA_FUNCTION_NAME": "weir-Completion",
        "AWS_LAMBDA_FUNCTION_VERSION": "7",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
        "AWS_LAMBDA_LOG_GROUP_NAME": "weir-logs",
        "AWS_LAMBDA_LOG_STREAM_NAME": "today",
    }
    context = Context.of(Invocation("i", 1_000, b"{}", "arn:aws:lambda:x"), environ)
    assert context == Context("i", "arn:aws:lambda:x", 1_000, "weir-Completion", "7", "256", "weir-logs", "today")
    assert context.get_remaining_time_in_millis() == 0


def test_a_log_line_has_the_trace_and_the_id_of_its_event(run: Callable[..., None]) -> None:
    async def scene(weir: Deployed) -> None:
        for number in (1, 2):
            await weir.emulator.invoke({}, trace_id=f"Root=1-{number};Parent=p;Sampled=0").ending()
        await weir.emulator.wrote("invocation failed", 2)
        lines = [json.loads(line) for line in weir.emulator.log if "invocation failed" in line]
        assert [(each["xray_trace_id"], each["function_request_id"], each["cold_start"]) for each in lines] == [
            ("1-1", "invocation-1", True),
            ("1-2", "invocation-2", False),
        ]

    run(scene)


def test_an_answer_that_nobody_takes_any_more_is_on_record_and_the_next_event_is_served(
    run: Callable[..., None],
) -> None:
    async def scene(weir: Deployed) -> None:
        chunks = Paced(events("first", *["more"] * 1000))
        weir.upstream.replies["paced"] = Reply(chunks, headers=SSE_TYPE)
        weir.upstream.replies["m"] = stream_reply("Hello")
        answer = weir.ask("openai/paced")
        chunks.let_go(2)
        id = (await answer.metadata())["headers"][ID]
        await answer.piece()

        weir.emulator.hang_up(answer)
        next_answer = asyncio.create_task(weir.ask("openai/m").ending())
        while not next_answer.done():  # one by one: what comes together leaves in one write, which no write follows
            chunks.let_go()
            await asyncio.wait({next_answer}, timeout=0.01)
        chunks.let_go(len(chunks))

        assert await next_answer == Ending(streamed=True)
        record = await weir.record_of(id)
        assert record is not None
        assert record.outcome == "caller_gone"
        assert weir.emulator.exits == []

    run(scene)


def test_a_process_that_dies_in_the_middle_leaves_a_broken_stream_and_the_next_one_serves(
    run: Callable[..., None],
) -> None:
    async def scene(weir: Deployed) -> None:
        chunks = Paced(events("first", "second"))
        weir.upstream.replies["paced"] = Reply(chunks, headers=SSE_TYPE)
        weir.upstream.replies["m"] = stream_reply("Hello")
        await weir.start()
        answer = weir.ask("openai/paced")
        other = weir.ask("openai/m")
        chunks.let_go(2)
        await answer.piece()
        assert (await other.ending()) == Ending(streamed=True)

        for each in weir.emulator.processes:
            each.kill()
        ending = await answer.ending()
        chunks.let_go(len(chunks))
        await weir.emulator.exited(2)  # one that is not gone yet would take the next event with it

        assert ending == Ending(streamed=True, fault="connection lost")
        await weir.start()
        assert (await weir.ask("openai/m").ending()) == Ending(streamed=True)

    run(scene)


def test_a_function_that_cannot_start_says_so(run: Callable[..., None]) -> None:
    async def scene(weir: Deployed) -> None:
        process = await weir.start(WEIR_API_KEY="")
        assert await process.wait() == 1
        assert weir.emulator.reports == [("init/error", "Runtime.SettingsInvalid")]

    run(scene, waits=True)


def test_a_log_line_says_why_a_function_could_not_start(run: Callable[..., None]) -> None:
    async def scene(weir: Deployed) -> None:
        await weir.start(WEIR_API_KEY="")
        await weir.emulator.exited(1)
        (entry,) = [json.loads(line) for line in weir.emulator.log]
        assert (entry["level"], entry["service"], entry["message"]) == (
            "ERROR",
            "completion",
            "the function could not start",
        )
        assert entry["exception"].endswith("SettingsInvalid: WEIR_API_KEY: must be set\n")

    run(scene, waits=True)


HOOKS = """
import random
from pathlib import Path

def note(text, *, end):
    with Path(__file__).with_name("notes").open("a") as notes:
        notes.write(text + end)

def fail():
    raise ValueError("no")

def draw():
    note(str(random.random()), end="")

def get_before_snapshot():
    return [(note, ("before 1",), {"end": ";"}), (note, ("before 2",), {"end": ";"})] BEFORE

def get_after_restore():
    return [(note, ("after 1",), {"end": ";"}), (note, ("after 2",), {"end": ";"})] AFTER
"""


def hooked(folder: Path, before: str = "", after: str = "") -> dict[str, str]:
    """The module that Lambda's runtime has for hooks, with some registered, and SnapStart."""
    (folder / "snapshot_restore_py.py").write_text(HOOKS.replace("BEFORE", before).replace("AFTER", after))
    path = f"{folder}:{template.ROOT / 'layers' / 'shared'}"
    return {"AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start", "PYTHONPATH": path}


def test_hooks_run_around_the_snapshot_and_the_restored_process_serves(
    run: Callable[..., None], tmp_path: Path
) -> None:
    async def scene(weir: Deployed) -> None:
        await weir.start(**hooked(tmp_path))
        weir.upstream.replies["m"] = stream_reply("Hello")
        answer = weir.ask("openai/m")
        await weir.emulator.frozen()
        assert (tmp_path / "notes").read_text() == "before 2;before 1;"

        weir.emulator.restored.set()

        assert await answer.ending() == Ending(streamed=True)
        assert (tmp_path / "notes").read_text() == "before 2;before 1;after 1;after 2;"

    run(scene, waits=True)


def test_where_lambda_has_no_hooks_a_snapshot_is_taken_all_the_same(run: Callable[..., None]) -> None:
    async def scene(weir: Deployed) -> None:
        await weir.start(AWS_LAMBDA_INITIALIZATION_TYPE="snap-start")
        weir.upstream.replies["m"] = stream_reply("Hello")
        await weir.emulator.frozen()
        weir.emulator.restored.set()

        assert await weir.ask("openai/m").ending() == Ending(streamed=True)

    run(scene, waits=True)


def test_processes_of_one_snapshot_do_not_draw_the_same(run: Callable[..., None], tmp_path: Path) -> None:
    """Splits between models are drawn."""

    async def scene(weir: Deployed) -> None:
        weir.emulator.restored.set()
        await weir.start(**hooked(tmp_path, before="+ [(random.seed, (7,), {})]", after="+ [(draw, (), {})]"))
        weir.upstream.replies["m"] = stream_reply("Hello")
        await weir.ask("openai/m").ending()
        assert float((tmp_path / "notes").read_text().rpartition(";")[2]) != random.Random(7).random()

    run(scene, waits=True)


@pytest.mark.parametrize(
    ("failing", "reported", "code"),
    [
        ({"before": "+ [(fail, (), {})]"}, ("init/error", "Runtime.BeforeSnapshotError"), 64),
        ({"after": "+ [(fail, (), {})]"}, ("restore/error", "Runtime.AfterRestoreError"), 65),
    ],
)
def test_a_hook_that_fails_is_reported_and_ends_the_process(
    run: Callable[..., None], tmp_path: Path, failing: Mapping[str, str], reported: tuple[str, str], code: int
) -> None:
    async def scene(weir: Deployed) -> None:
        weir.emulator.restored.set()
        process = await weir.start(**hooked(tmp_path, **failing))
        assert (await process.wait(), weir.emulator.reports) == (code, [reported])

    run(scene, waits=True)
