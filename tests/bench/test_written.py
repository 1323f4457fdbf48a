"""The answer whose reading is measured means the same in every format."""

import json

import pytest

from tests.bench.formats import ARGUMENTS, TEXTS, THOUGHTS, measure
from tests.bench.written import Stream, streams
from weir.domain.events import collect
from weir.protocols.base import decode

every_stream = pytest.mark.parametrize(
    "stream",
    [pytest.param(s, id=f"{s.protocol.name}-{s.protocol.provider}") for s in streams(THOUGHTS, TEXTS, ARGUMENTS)],
)


@every_stream
def test_one_answer_means_the_same_in_every_format(stream: Stream) -> None:
    (choice,) = collect(decode(stream.protocol.decoder(), stream.chunks)).choices
    (call,) = choice.tool_calls
    assert (choice.thinking, choice.text, call.name, json.loads(call.arguments), choice.reason) == (
        "".join(THOUGHTS) if stream.thoughts else "",
        "".join(TEXTS),
        "gauge",
        json.loads("".join(ARGUMENTS)),
        "tool_calls",
    )


@every_stream
def test_a_run_that_a_format_does_not_stream_has_no_figure(stream: Stream) -> None:
    cost = measure(stream, 0)
    assert [cost.thinking is None, cost.text is None, cost.arguments is None] == [
        not stream.thoughts,
        False,
        not stream.arguments,
    ]
