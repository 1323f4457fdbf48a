"""What a stack costs a month when nobody calls: by its resources, and by what its schedules run."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

import pytest

from infra.resolve import resolved
from tests.infra.flows import World, world
from tests.infra.template import load

OPTIONS: Mapping[str, Mapping[str, str]] = {
    "by default": {},
    "Alarms=on": {"Alarms": "on"},
    "Dashboard=on": {"Dashboard": "on"},
}
SECONDS_A_RUN = 1.0
"""Assumed, of a scheduled run with nothing to do; what it asks the stores is counted."""

_PRICES = {"ListObjectsV2": "s3_put", "GetObject": "s3_get", "Query": "read_unit", "BatchGetItem": "read_unit"}
_PRICES |= {"GetItem": "read_unit", "PutItem": "write_unit", "DeleteItem": "write_unit"}
_HOURS = 730
"""A month's, as AWS counts."""
_MINUTES = {"minute": 1, "hour": 60}


def idle_bill(prices: Mapping[str, Any], parameters: Mapping[str, Any] | None = None) -> float:
    """Dollars a month, without free tiers. Raises KeyError for what has no price: say what it costs."""
    made = list(_resources(load(), parameters or {}))
    for_each = sum(float(prices["idle"][each["Type"]]) * _times(each) for each in made)
    return for_each + _HOURS * _hour(made, prices)


def _hour(made: list[dict[str, Any]], prices: Mapping[str, Any]) -> float:
    """Dollars for the scheduled runs of an hour."""
    runs = _runs(made)
    seconds = sum(count * SECONDS_A_RUN * size / 1024 for count, size in runs.values())
    lambdas = sum(count for count, _ in runs.values()) * _price(prices, "lambda_request")
    stores = sum(count * _price(prices, _PRICES[operation]) for operation, count in _asked(runs).items())
    return lambdas + seconds * float(prices["lambda_gb_second"]["usd"]) + stores


def _asked(runs: Mapping[str, tuple[int, int]]) -> Counter[str]:
    """What the runs of an hour ask of a table and a bucket that have been used, each a small read or write."""
    with pytest.MonkeyPatch.context() as patch, world(patch) as weir:
        weir.complete()
        weir.project(weir.stream(payloads=True))
        _run(weir, hour=2, checks=runs["Check"][0])
        weir.recording.operations.clear()
        _run(weir, hour=3, checks=runs["Check"][0])
        return weir.recording.operations


def _run(weir: World, hour: int, checks: int) -> None:
    for number in range(checks):
        weir.check(timedelta(hours=hour, minutes=number))
    weir.keep_up()


def _runs(made: list[dict[str, Any]]) -> Mapping[str, tuple[int, int]]:
    """By the name of the schedule: runs an hour, and the MB of the function."""
    size = load()["Globals"]["Function"]["MemorySize"]
    return {
        name: (_an_hour(event["Properties"]["Schedule"]), each["Properties"].get("MemorySize", size))
        for each in made
        for name, event in each["Properties"].get("Events", {}).items()
        if event["Type"] == "Schedule"
    }


def _an_hour(schedule: str) -> int:
    found = re.fullmatch(r"rate\((\d+) (minute|hour)s?\)", schedule)
    if found is None:
        raise ValueError(f"no rule for the schedule {schedule}")
    return 60 // (int(found[1]) * _MINUTES[found[2]])


def _price(prices: Mapping[str, Any], name: str) -> float:
    return float(prices[name]["usd_per_million"]) / 1e6


def _resources(template: Mapping[str, Any], parameters: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for each in resolved(template, parameters)["Resources"].values():
        yield each
        if each["Type"] == "AWS::CloudFormation::Stack":
            properties = each["Properties"]
            yield from _resources(load(properties["TemplateURL"]), properties["Parameters"])


def _times(resource: Mapping[str, Any]) -> int:
    """An alarm is paid for each metric that it looks at, everything else once."""
    metrics = resource["Properties"].get("Metrics", ()) if resource["Type"] == "AWS::CloudWatch::Alarm" else ()
    return sum("MetricStat" in metric for metric in metrics) or 1
