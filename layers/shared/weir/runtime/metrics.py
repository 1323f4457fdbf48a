"""What the functions tell CloudWatch of themselves: Powertools' metrics, one line of log an invocation.

A name is sent only when there is something to tell, never a count of 0: a metric is paid for each hour in which it is
written, and what runs by the clock would write for ever.
"""

import sys
from collections.abc import Mapping
from typing import Literal

from aws_lambda_powertools.metrics import EphemeralMetrics

from weir.domain.figures import Figures

NAMESPACE = "Weir"
SERVICE = "service"
"""The one dimension; its values are the names of the functions' folders."""

REQUESTS = "Requests"
"""Invocations; of the projector, changes."""
ERRORS = "Errors"
"""Answers of 500 and above that no provider is the reason of; of the projector, changes that come again."""
PROVIDER_ERRORS = "ProviderErrors"
"""A provider throttled, failed, fell silent, or refused the key; not: it refused what the caller asked."""
FIRST_MS = "FirstTokenMs"
OVERHEAD_MS = "OverheadMs"
"""The whole invocation but the time that was spent waiting for the provider."""
STORE_MS = "StoreMs"
SPILLED = "Spilled"
"""Records that the table refused and the bucket has."""
UNSTORED = "Unstored"
"""Answers that were given although their records could not be kept."""
SPILL_BACKLOG = "SpillBacklog"
"""Records that still wait in the bucket; told by upkeep."""
INCOMPLETE = "Incomplete"
"""Records that are accepted and not stored, or stored and not archived; told by the projector's check."""

UNITS: Mapping[str, Literal["Count", "Milliseconds"]] = {
    REQUESTS: "Count",
    ERRORS: "Count",
    PROVIDER_ERRORS: "Count",
    FIRST_MS: "Milliseconds",
    OVERHEAD_MS: "Milliseconds",
    STORE_MS: "Milliseconds",
    SPILLED: "Count",
    UNSTORED: "Count",
    SPILL_BACKLOG: "Count",
    INCOMPLETE: "Count",
}

_NOT_OFFERED = 501


class Meter:
    def __init__(self, service: str) -> None:
        self._metrics = EphemeralMetrics(namespace=NAMESPACE, service=service)

    def put(self, values: Mapping[str, float]) -> None:
        """One line on standard output; none for nothing but counts of 0."""
        told = {name: value for name, value in values.items() if value or UNITS[name] != "Count"}
        if not told:
            return
        for name, value in told.items():
            self._metrics.add_metric(name, UNITS[name], value)
        self._metrics.flush_metrics()
        sys.stdout.flush()

    def put_invocation(self, figures: Figures, status: int | None, took_s: float) -> None:
        """`status` is None for one that failed without an answer."""
        faulty = status is None or (status >= 500 and status != _NOT_OFFERED)
        values: dict[str, float] = {
            REQUESTS: 1,
            OVERHEAD_MS: round(max(took_s - figures.provider_s, 0.0) * 1000, 3),
            ERRORS: int(faulty and not figures.provider_errors),
            PROVIDER_ERRORS: figures.provider_errors,
            SPILLED: figures.spilled,
            UNSTORED: figures.unstored,
        }
        if figures.first_token_ms is not None:
            values[FIRST_MS] = figures.first_token_ms
        if figures.store_s is not None:
            values[STORE_MS] = round(figures.store_s * 1000, 3)
        self.put(values)
