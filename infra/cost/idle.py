"""What a stack costs a month when nobody calls: by its resources."""

from collections.abc import Iterator, Mapping
from typing import Any

from infra.resolve import resolved
from tests.infra.template import load

OPTIONS: Mapping[str, Mapping[str, str]] = {
    "by default": {},
    "Alarms=on": {"Alarms": "on"},
    "Dashboard=on": {"Dashboard": "on"},
}


def idle_bill(prices: Mapping[str, Any], parameters: Mapping[str, Any] | None = None) -> float:
    """Dollars a month, without free tiers. Raises KeyError for what has no price: say what it costs."""
    made = _resources(load(), parameters or {})
    return sum(float(prices["idle"][each["Type"]]) * _times(each) for each in made)


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
