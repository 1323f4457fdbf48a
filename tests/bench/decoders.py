"""`python -m tests.bench.decoders`: what a chunk of the recorded streams costs to decode, a format a line."""

import re
import statistics
import sys
import time
from collections import defaultdict

from tests.corpus import ABSENT, exchanges
from tests.protocols.corpus_scope import label_of, protocol_for, registry_for, served, unspoken
from weir.domain.errors import ProviderError
from weir.protocols.base import WireProtocol, decode

TARGET_US = 30
_ROUNDS = 5
_EVENT = re.compile(rb".*?(?:\r\n\r\n|\n\n|\Z)", re.DOTALL)


def main() -> int:
    recorded = exchanges()
    if not recorded:
        sys.stderr.write(ABSENT + "\n")
        return 1
    registry = registry_for(recorded)
    costs: dict[str, list[float]] = defaultdict(list)
    for exchange in recorded:
        body, streamed = served(exchange)
        if exchange.status >= 400 or not streamed or unspoken(exchange):
            continue
        # Event streams are cut into pieces of the size of their usual messages; they have no blank lines.
        by_lines = b"\n\n" in body or b"\r\n\r\n" in body
        chunks = _EVENT.findall(body)[:-1] if by_lines else [body[at : at + 200] for at in range(0, len(body), 200)]
        if len(chunks) > 1:
            costs[label_of(exchange)].append(_microseconds(protocol_for(exchange, registry), chunks))
    sys.stdout.write(f"{'format':20} {'streams':>8} {'median':>8} {'worst':>8}   (microseconds a chunk)\n")
    for label, found in sorted(costs.items()):
        middle, worst = statistics.median(found), max(found)
        met = "met" if middle <= TARGET_US else "MISSED"
        sys.stdout.write(f"{label:20} {len(found):8} {middle:8.1f} {worst:8.1f}   target {TARGET_US}: {met}\n")
    return 0


def _microseconds(protocol: WireProtocol, chunks: list[bytes]) -> float:
    best = float("inf")
    for _ in range(_ROUNDS):
        begun = time.perf_counter()
        try:
            for _event in decode(protocol.decoder(), chunks):
                pass
        except ProviderError:
            return 0.0  # the recording is of an error
        best = min(best, time.perf_counter() - begun)
    return best * 1e6 / len(chunks)


sys.exit(main())
