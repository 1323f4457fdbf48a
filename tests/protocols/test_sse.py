"""Server-sent events: what the standard says, whatever the cuts."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weir.protocols.sse import ServerSentEvent, SSEParser


def events(*chunks: bytes) -> list[ServerSentEvent]:
    parser = SSEParser()
    return [event for chunk in chunks for event in parser.feed(chunk)]


def data(*texts: bytes) -> list[ServerSentEvent]:
    return [ServerSentEvent(None, text) for text in texts]


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        pytest.param(b"data: a\n\ndata: b\n\n", data(b"a", b"b"), id="line feeds"),
        pytest.param(b"data: a\r\n\r\ndata: b\r\n\r\n", data(b"a", b"b"), id="carriage return and line feed"),
        pytest.param(b"data: a\r\rdata: b\r\r", data(b"a", b"b"), id="carriage returns"),
        pytest.param(b"data: a\r\n\ndata: b\n\r\n", data(b"a", b"b"), id="mixed line ends"),
        pytest.param(b"\xef\xbb\xbfdata: a\n\n", data(b"a"), id="byte order mark"),
        pytest.param(b"data: \xef\xbb\xbfa\n\n", data(b"\xef\xbb\xbfa"), id="the same bytes later are text"),
        pytest.param(b": OPENROUTER PROCESSING\n\ndata: a\n\n:\n\n", data(b"a"), id="comments"),
        pytest.param(b": still there\ndata: a\n\n", data(b"a"), id="comment inside an event"),
        pytest.param(b"data: a\ndata: b\ndata:\n\n", data(b"a\nb\n"), id="several data lines"),
        pytest.param(b"data:a\n\ndata:  b\n\n", data(b"a", b" b"), id="one space after the colon is not data"),
        pytest.param(b"data\n\n", data(b""), id="a field without a colon is empty"),
        pytest.param(b"event: ping\ndata: a\n\n", [ServerSentEvent("ping", b"a")], id="named event"),
        pytest.param(b"event: ping\n\ndata: a\n\n", data(b"a"), id="a name without data is no event"),
        pytest.param(b"id: 1\nretry: 10\nother: x\ndata: a\n\n", data(b"a"), id="fields that mean nothing here"),
        pytest.param(b"\n\n\ndata: a\n\n\n\ndata: b\n\n", data(b"a", b"b"), id="too many blank lines"),
        pytest.param(b"data: a\n\ndata: b\n", data(b"a"), id="an event without its blank line is none"),
        pytest.param(b"data: a", [], id="half a line"),
        pytest.param(b"", [], id="nothing"),
    ],
)
def test_a_stream_holds_these_events(stream: bytes, expected: list[ServerSentEvent]) -> None:
    assert events(stream) == expected
    assert events(*(stream[i : i + 1] for i in range(len(stream)))) == expected


def test_an_event_is_handed_over_when_its_blank_line_has_come_and_not_a_byte_later() -> None:
    assert events(b"data: a\r\n\r") == data(b"a")
    assert events(b"data: a\r\n\r", b"\ndata: b\r\n", b"\r") == data(b"a", b"b")


def test_what_is_not_an_event_yet_can_be_looked_at() -> None:
    parser = SSEParser()
    parser.feed(b"data: a\n\ndata: b")
    assert parser.pending == b"data: b"


lines = st.sampled_from(
    [
        b"data: one",
        b"data: zwei \xe2\x82\xac",
        b"data:",
        b"data",
        b": comment",
        b"event: e",
        b"id: 7",
        b"",
        b"",
        b"\xef\xbb\xbf",
    ]
)
ends = st.sampled_from([b"\n", b"\r\n", b"\r"])
streams = st.lists(st.tuples(lines, ends)).map(lambda pairs: b"".join(line + end for line, end in pairs))


@given(streams, st.lists(st.integers(0, 400)))
def test_any_cutting_gives_the_same_events(stream: bytes, places: list[int]) -> None:
    cuts = sorted({0, len(stream), *(place % (len(stream) + 1) for place in places)})
    chunks = [stream[a:b] for a, b in itertools.pairwise(cuts)]
    assert events(*chunks) == events(stream)
