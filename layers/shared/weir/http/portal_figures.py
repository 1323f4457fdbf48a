"""Sums as the developer API shows them."""

from collections.abc import Mapping
from typing import Any

from weir.domain.totals import Totals
from weir.http.portal import present


def figures(totals: Totals) -> dict[str, Any]:
    """Counts, tokens, US dollars, and averages in milliseconds; what nobody knows is absent, never 0.

    A fault is a call without a whole answer.
    """
    return present(
        {
            "request_count": totals.records,
            **fault_rate(totals),
            "prompt_tokens": totals.prompt_tokens if totals.counted else None,
            "completion_tokens": totals.completion_tokens if totals.counted else None,
            "total_tokens": totals.tokens if totals.counted else None,
            "cost": float(totals.cost) if totals.priced else None,
            "average_response_time": _average(totals.latency_ms, totals.timed),
            "average_first_token_time": _average(totals.first_token_ms, totals.first_token_timed),
        }
    )


def fault_rate(totals: Totals) -> dict[str, Any]:
    return present(
        {
            "request_count": totals.records,
            "fault_count": totals.errors,
            "fault_rate": round(totals.errors / totals.records, 6) if totals.records else None,
        }
    )


def by_day(days: Mapping[str, Totals], *, faults_only: bool) -> list[dict[str, Any]]:
    return [{"date": day, **(fault_rate(of_it) if faults_only else figures(of_it))} for day, of_it in days.items()]


def _average(sum: float, count: int) -> float | None:
    return round(sum / count, 3) if count else None
