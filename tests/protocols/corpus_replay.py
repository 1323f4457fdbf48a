"""One recording after the other through the protocol that speaks it, and what is wrong with what its caller gets."""

import json
import random
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from tests.corpus import Exchange
from tests.protocols import corpus_laws, openai_chat_reading
from tests.protocols.corpus_judge import Judge, Wanted
from tests.protocols.corpus_scope import inexpressible, label_of, protocol_for, served, unspoken
from weir.domain.completion import Completion
from weir.domain.errors import ProviderError
from weir.domain.events import StreamEvent, collect
from weir.http.chat_reply import DONE, ChunkEncoder, completion_body, error_event
from weir.http.errors import openai_error, status_of
from weir.protocols import jsonbytes
from weir.protocols.base import WireProtocol
from weir.providers.registry import Registry

BYTEWISE = 3
"""Every how many recordings a stream is also read byte by byte."""


@dataclass
class Tally:
    """What became of one API's recordings: `failed` by their ids, `out_of_scope` counted by the reason."""

    passed: int = 0
    failed: dict[str, list[str]] = field(default_factory=dict)
    out_of_scope: Counter[str] = field(default_factory=Counter)

    @property
    def asked(self) -> int:
        return self.passed + len(self.failed)

    def __str__(self) -> str:
        left = "".join(f"; {count}: {reason}" for reason, count in self.out_of_scope.most_common())
        return f"{self.passed} of {self.asked} pass, {self.out_of_scope.total()} are out of scope{left}"


def replay(recorded: Iterable[Exchange], registry: Registry, judge: Judge, seed: int = 7) -> Tally:
    dice, tally = random.Random(seed), Tally()
    for at, exchange in enumerate(recorded):
        if reason := unspoken(exchange):
            tally.out_of_scope[reason] += 1
            continue
        body, streamed = served(exchange)
        wanted = judge.wanted(exchange, label_of(exchange), body, streamed)
        if reason := inexpressible(judge, wanted, label_of(exchange)):
            tally.out_of_scope[reason] += 1
            continue
        caller = Caller(exchange, protocol_for(exchange, registry), judge, wanted)
        if found := list(caller.faults(body, streamed, dice, at % BYTEWISE == 0)):
            tally.failed[exchange.id] = found
        else:
            tally.passed += 1
    return tally


@dataclass(frozen=True)
class Caller:
    """Who asked for one recorded answer, and looks at what comes."""

    exchange: Exchange
    protocol: WireProtocol
    judge: Judge
    wanted: Wanted

    def faults(self, body: bytes, streamed: bool, dice: random.Random, bytewise: bool) -> Iterator[str]:
        if self.exchange.status >= 400:
            yield from self._refused(body)
            return
        yield from self._stream(body, dice, bytewise) if streamed else self._whole(body)
        if label_of(self.exchange) == "chat.completions":
            yield from corpus_laws.request_faults(self.protocol, self.exchange.request, self.exchange.model)

    @property
    def _legacy(self) -> bool:
        return isinstance(self.exchange.request, dict) and "functions" in self.exchange.request

    def _refused(self, body: bytes) -> Iterator[str]:
        error = self.protocol.error(self.exchange.status, self.exchange.headers, body)
        if error.status != self.exchange.status:
            yield "another status"
        if " ".join(self.wanted["error_text"].split()) not in " ".join(str(error).split()):
            yield "the provider's words are lost"
        yield from self.judge.faults(self.wanted, *_error(error), streamed=False)

    def _whole(self, body: bytes) -> Iterator[str]:
        try:
            completion = self.protocol.parse(body)
        except ProviderError as exc:
            yield from self.judge.faults(self.wanted, *_error(exc), streamed=False)
            return
        reply = jsonbytes.dumps(
            completion_body(completion, id="chatcmpl-x", created=1, model="m", legacy=self._legacy, summary=True)
        )
        yield from self.judge.faults(self.wanted, 200, reply, streamed=False)
        yield from self._reading_faults(reply, streamed=False)
        yield from self._history_faults(completion)

    def _stream(self, body: bytes, dice: random.Random, bytewise: bool) -> Iterator[str]:
        whole = corpus_laws.read_stream(self.protocol, [body])
        reply = self._chunks(whole.events)
        if whole.raised is not None:
            yield from self.judge.faults(
                self.wanted, 200, reply + error_event(openai_error(whole.raised)), streamed=True
            )
        else:
            reply += DONE
            yield from self.judge.faults(self.wanted, 200, reply, streamed=True)
            yield from corpus_laws.order_faults([json.loads(line[6:]) for line in reply.split(b"\n\n")[:-2]])
            yield from self._reading_faults(reply, streamed=True)
            completion = collect(whole.events)
            yield from corpus_laws.whole_faults(self.protocol, body, completion)
            yield from self._history_faults(completion)
        yield from corpus_laws.cutting_faults(self.protocol, body, whole, dice, bytewise)
        yield from corpus_laws.prefix_faults(self.protocol, body, whole, dice)

    def _chunks(self, events: Iterable[StreamEvent]) -> bytes:
        encoder = ChunkEncoder(id="chatcmpl-x", created=1, model="m", include_usage=True, legacy=self._legacy)
        return encoder.encode(events)

    def _reading_faults(self, reply: bytes, streamed: bool) -> Iterator[str]:
        """Chat Completions are read a third time, where no two answers pass: what came is what goes."""
        if label_of(self.exchange) != "chat.completions":
            return
        recorded = openai_chat_reading.read(self.exchange)
        if (seen := openai_chat_reading.read_replies(reply, streamed)) != recorded:
            yield f"the caller reads {seen}, the recording says {recorded}"

    def _history_faults(self, completion: Completion) -> Iterator[str]:
        if not self._legacy:
            yield from corpus_laws.history_faults(self.protocol, completion)


def _error(error: ProviderError) -> tuple[int, bytes]:
    return status_of(error), jsonbytes.dumps({"error": openai_error(error)})
