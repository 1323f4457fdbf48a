"""What Lambda shows of a function: its log lines, and its figures in CloudWatch. Powertools writes both."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from weir.domain.figures import FIGURES, Figures
from weir.runtime.lambda_logs import write_entries
from weir.runtime.metrics import Meter


@dataclass(slots=True)
class Observed:
    """An invocation; `status` is that of its answer, None until it has one."""

    status: int | None = None


class Observer:
    """Of a process. Logs are written from now on."""

    def __init__(self, environ: Mapping[str, str], service: str) -> None:
        self._entries = write_entries(environ)
        self.called(service)

    def called(self, service: str) -> None:
        """By this name logs and metrics call the function."""
        self._entries.append_keys(service=service)
        self.meter = Meter(service)

    def begin(self, request_id: str) -> None:
        """What is logged from here on is of this invocation."""
        self._entries.begin(request_id)

    @contextmanager
    def invocation(self, request_id: str) -> Iterator[Observed]:
        """Its figures are told at its end, also when it fails."""
        self.begin(request_id)
        figures, observed, begun = Figures(), Observed(), time.perf_counter()
        token = FIGURES.set(figures)
        try:
            yield observed
        finally:
            FIGURES.reset(token)
            self.meter.put_invocation(figures, observed.status, time.perf_counter() - begun)
