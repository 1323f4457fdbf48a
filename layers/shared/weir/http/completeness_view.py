"""The report on completeness, as JSON."""

from collections.abc import Iterable
from typing import Any

from weir.domain.completeness import Gap, HourReport
from weir.domain.rollup import Rollup


def completeness_body(reports: Iterable[HourReport]) -> dict[str, Any]:
    found = [_hour(report) for report in reports]
    return {"data": found, "complete": all(hour["complete"] for hour in found)}


def _hour(report: HourReport) -> dict[str, Any]:
    check = report.check
    names = sorted(check.applications.keys() | report.rolled_up.keys(), key=lambda name: (name is not None, name or ""))
    return {
        "hour": f"{check.hour[:4]}-{check.hour[4:6]}-{check.hour[6:8]}T{check.hour[8:]}:00:00Z",
        "checked_at": check.checked_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "complete": report.complete,
        "applications": [_application(report, name) for name in names],
        "not_archived": check.not_archived,
        "gaps": [_gap(gap) for gap in report.gaps],
    }


def _application(report: HourReport, name: str | None) -> dict[str, Any]:
    """`stored` are those in the table when the hour was checked; what has expired since is rolled up all the same."""
    kept = report.check.applications.get(name)
    return {
        "application": name,
        "accepted": report.accepted(name),
        "stored": kept.records if kept is not None else 0,
        "archived": kept.archived if kept is not None else 0,
        "rolled_up": report.rolled_up[name].records if name in report.rolled_up else 0,
        "usage": _usage(report.rolled_up.get(name, Rollup())),
    }


def _usage(rollup: Rollup) -> dict[str, Any]:
    """What providers and callers claimed. Costs are those of the calls for which both are known, theirs and ours."""
    return {
        "told": rollup.counted,
        "not_told": rollup.records - rollup.counted,
        "prompt_tokens": rollup.tokens.get("prompt", 0),
        "completion_tokens": rollup.tokens.get("completion", 0),
        "compared": rollup.compared,
        "claimed_cost": float(rollup.compared_claimed),
        "computed_cost": float(rollup.compared_computed),
    }


def _gap(gap: Gap) -> dict[str, Any]:
    return {"application": gap.application, "after": gap.after, "before": gap.before, "missing": gap.missing}
