"""Joining the times that a client measured to the record of its call."""

import asyncio

from weir.domain.annotation import UNCHANGED, Annotation
from weir.http.maitai_store import TimingMetrics, measured
from weir.ledger.ledger import Ledger

_PAUSES_S = (0.0, 0.05, 0.2, 0.75)
"""Before each look for the record: a client reports a stream when it sees the finish reason, which leaves before the
record is durable (maitai-python 1.2.34, chat/_completions.py)."""


class Timings:
    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def note(self, workspace: str, metrics: TimingMetrics) -> bool:
        """Returns when it is durable; False when there is no such record. Raises LedgerUnavailable."""
        first_token_ms, latency_ms = measured(metrics)
        if not metrics.request_id or (first_token_ms is None and latency_ms is None):
            return False
        annotation = Annotation(
            client_first_token_ms=UNCHANGED if first_token_ms is None else first_token_ms,
            client_latency_ms=UNCHANGED if latency_ms is None else latency_ms,
        )
        for pause in _PAUSES_S:
            await asyncio.sleep(pause)
            if await self._ledger.annotate(workspace, metrics.request_id, annotation) is not None:
                return True
        return False
