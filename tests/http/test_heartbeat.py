"""What a caller hears of an answer that is silent for long. No second of these tests passes."""

import asyncio
from collections.abc import AsyncIterator, MutableMapping
from typing import Any

import pytest

from tests.fast_loop import run_fast
from weir.domain.errors import MalformedReply, ProviderError, ProviderThrottled
from weir.domain.events import StreamEvent, TextDelta
from weir.http.streaming import BROKEN_OFF, Events, Heartbeat, StreamedAnswer, begun

BEAT = Heartbeat(b"beat", 15)
Said = list[tuple[float, bytes | int | str]]


class Answer:
    """Says `words`, each after so many seconds; None is where it breaks."""

    def __init__(self, *words: tuple[float, str | None]) -> None:
        self._words = words
        self.ending = False
        self.closed = False

    async def __aiter__(self) -> AsyncIterator[list[StreamEvent]]:
        for seconds, word in self._words:
            await asyncio.sleep(seconds)
            if word is None:
                raise MalformedReply("broke", provider="p")
            yield [TextDelta(0, word)]
        self.ending = True

    async def aclose(self) -> None:
        self.closed = True


def encode(events: list[StreamEvent]) -> bytes:
    return b"".join(event.text.encode() for event in events if isinstance(event, TextDelta))


def error(exc: ProviderError) -> bytes:
    return f"error: {exc}".encode()


async def heard(events: Events, beat: Heartbeat | None = BEAT, *, hangs_up_at: float | None = None) -> Said:
    """When what was sent, with the status as a number."""
    said: Said = []
    loop = asyncio.get_running_loop()

    async def send(message: MutableMapping[str, Any]) -> None:
        said.append((loop.time(), message.get("status", message.get("body", message["type"]))))

    async def receive() -> MutableMapping[str, Any]:
        await (asyncio.Event().wait() if hangs_up_at is None else asyncio.sleep(hangs_up_at - loop.time()))
        return {"type": "http.disconnect"}

    answer = StreamedAnswer(
        events, encode, error, done=b"done", media_type="text/event-stream", headers={}, heartbeat=beat
    )
    await answer({"extensions": {BROKEN_OFF: {}}}, receive, send)
    await asyncio.sleep(100)  # whatever is still to come
    return said


def test_a_silent_answer_is_heard_of_and_one_that_talks_is_not() -> None:
    answer = Answer((0, "a"), (10, "b"), (14, "c"), (61, "d"), (14, "e"))
    assert run_fast(heard(answer)) == [
        (0, 200),
        (0, b"a"),
        (10, b"b"),
        (24, b"c"),
        (45, b"beat"),
        (60, b"beat"),
        (75, b"beat"),
        (85, b"d"),
        (99, b"e"),
        (99, b"done"),
    ]


def test_a_heart_that_is_turned_off_does_not_beat() -> None:
    assert run_fast(heard(Answer((0, "a"), (500, "b")), None)) == [(0, 200), (0, b"a"), (500, b"b"), (500, b"done")]


def test_it_ends_with_an_answer_that_breaks() -> None:
    assert run_fast(heard(Answer((0, "a"), (31, None)))) == [
        (0, 200),
        (0, b"a"),
        (30, b"beat"),
        (31, b"error: broke"),
        (31, BROKEN_OFF),
    ]


def opening(seconds: float, then: Answer | ProviderError) -> Any:
    async def open() -> Answer:
        await asyncio.sleep(seconds)
        if isinstance(then, ProviderError):
            raise then
        return then

    return open()


def test_what_fails_while_its_caller_is_patient_still_has_a_status() -> None:
    async def scene() -> None:
        with pytest.raises(ProviderThrottled):
            await begun(opening(59, ProviderThrottled("slow down", provider="p")), 60)

    run_fast(scene())


def test_an_answer_that_begins_late_is_heard_of_until_it_does() -> None:
    async def scene() -> Said:
        return await heard(await begun(opening(100, Answer((0, "a"))), 60))

    assert run_fast(scene()) == [(60, 200), (75, b"beat"), (90, b"beat"), (100, b"a"), (100, b"done")]


def test_what_fails_later_is_told_in_the_stream() -> None:
    async def scene() -> Said:
        return await heard(await begun(opening(70, ProviderThrottled("slow down", provider="p")), 60))

    assert run_fast(scene()) == [(60, 200), (70, b"error: slow down"), (70, BROKEN_OFF)]


def test_a_caller_who_hangs_up_before_the_answer_has_begun_ends_it() -> None:
    cut_off: list[float] = []

    async def never() -> Answer:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cut_off.append(asyncio.get_running_loop().time())
            raise
        raise AssertionError

    async def scene() -> Said:
        return await heard(await begun(never(), 60), hangs_up_at=80)

    assert (run_fast(scene()), cut_off) == ([(60, 200), (75, b"beat")], [80])


def test_an_answer_that_had_begun_late_is_closed() -> None:
    answer = Answer((0, "a"), (100, "b"))

    async def scene() -> Said:
        return await heard(await begun(opening(70, answer), 60), hangs_up_at=80)

    assert (run_fast(scene()), answer.closed) == ([(60, 200), (70, b"a")], True)
