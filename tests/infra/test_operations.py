"""Alarms and dashboard: each alarm has its page, each metric somebody who writes it, each name is one of the stack."""

import ast
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from infra.resolve import resolved
from tests.infra import template
from weir.analytics import saved
from weir.cli import arguments_parser

OPERATIONS = template.load("infra/operations.yaml")
RUNBOOKS = template.ROOT / "docs" / "runbooks"
WEIR = template.ROOT / "layers" / "shared" / "weir"
METRICS = WEIR / "runtime" / "metrics.py"
FOLDERS = {path.parent.name for path in template.ROOT.glob("functions/*/app.py")}

OF_AWS = {
    "AWS/ApiGateway": ("ApiName", {"Count", "5XXError"}),
    "AWS/DynamoDB": (
        "TableName",
        {"ConsumedReadCapacityUnits", "ConsumedWriteCapacityUnits", "ReadThrottleEvents", "WriteThrottleEvents"},
    ),
    "AWS/Lambda": ("FunctionName", {"ConcurrentExecutions", "Errors", "Invocations", "IteratorAge", "Throttles"}),
    "AWS/SQS": ("QueueName", {"ApproximateNumberOfMessagesVisible"}),
}
"""Those that are looked at: the dimension, and names that the services' guides have."""


class Metric(NamedTuple):
    namespace: str
    name: str
    dimension: str
    value: str
    """`${Name}` for what is a parameter."""


def alarms() -> dict[str, dict[str, Any]]:
    """By the name without the stack's."""
    found = resolved(OPERATIONS, _given(Alarms="on"))["Resources"].values()
    alarms = (each["Properties"] for each in found if each["Type"] == "AWS::CloudWatch::Alarm")
    return {each["AlarmName"]["Fn::Sub"].removeprefix("${Name}-"): each for each in alarms}


def board() -> dict[str, Any]:
    found = resolved(OPERATIONS, _given(Dashboard="on"))["Resources"]
    body: dict[str, Any] = json.loads(found["Board"]["Properties"]["DashboardBody"]["Fn::Sub"])
    return body


def _given(**parameters: Any) -> dict[str, Any]:
    """What template.yaml hands on; a name of a resource stands for itself."""
    (stack,) = template.resources("AWS::CloudFormation::Stack").values()
    handed = stack["Properties"]["Parameters"]
    assert handed.keys() == OPERATIONS["Parameters"].keys()
    switches = {"Alarms": "off", "Dashboard": "off", "AlarmEmail": "", "AlarmTopicArn": "", "SlowFirstTokenMs": 1}
    return {name: f"${{{name}}}" for name in handed} | switches | parameters


def watched() -> Iterator[Metric]:
    """By the alarms."""
    for alarm in alarms().values():
        stats = [each["MetricStat"]["Metric"] for each in alarm.get("Metrics", ()) if "MetricStat" in each]
        for each in stats or [alarm]:
            ((name, value),) = [(found["Name"], found["Value"]) for found in each["Dimensions"]]
            yield Metric(each["Namespace"], each["MetricName"], name, value)


def shown() -> Iterator[Metric]:
    """By the dashboard."""
    for widget in board()["widgets"]:
        for metric in widget["properties"]["metrics"]:
            yield Metric(*metric[:4])


def test_every_alarm_has_its_page_and_every_page_its_alarm() -> None:
    pages = {path.stem: path.read_text(encoding="utf-8") for path in RUNBOOKS.glob("*.md") if path.stem != "README"}
    assert set(pages) == set(alarms())
    for name, alarm in alarms().items():
        assert alarm["AlarmDescription"].endswith(f" docs/runbooks/{name}.md")
        assert pages[name].startswith(f"# {name}\n\n**What it means.** ")
        assert "\n**How to look.**" in pages[name]
        assert "\n**What to do.**" in pages[name]


@pytest.mark.parametrize("page", sorted(RUNBOOKS.glob("*.md")), ids=lambda page: page.stem)
def test_what_a_page_tells_to_run_and_to_look_for_is_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for command in re.findall(r"(?:^    |`)(?:\.venv/bin/)?(weir [^`\n]+)", text, re.MULTILINE):
        arguments_parser().parse_args(shlex.split(command, comments=True)[1:])
    for name in re.findall(r"--saved (\w+)", text):
        assert name in saved.names()
    for message in re.findall(r"""--filter-pattern '"([^"]+)"'""", text):
        assert any(f'"{message}"' in source.read_text(encoding="utf-8") for source in WEIR.rglob("*.py"))
    for name in re.findall(r"<([A-Z]\w+)>", text):
        assert name in template.load()["Outputs"]


def test_the_list_of_runbooks_has_all_of_them() -> None:
    listed = re.findall(
        r"^\| \[([a-z-]+)\]\(([a-z-]+)\.md\)", (RUNBOOKS / "README.md").read_text("utf-8"), re.MULTILINE
    )
    assert sorted(listed) == sorted((name, name) for name in alarms())


@pytest.mark.parametrize("metric", sorted({*watched(), *shown()}))
def test_every_metric_is_written_by_somebody_about_something_of_the_stack(metric: Metric) -> None:
    if metric.namespace == "Weir":
        assert metric.dimension == "service"
        assert metric.value in FOLDERS
    else:
        dimension, names = OF_AWS[metric.namespace]
        assert metric.dimension == dimension
        assert metric.name in names
        assert metric.value.removeprefix("${").removesuffix("}") in OPERATIONS["Parameters"]


def test_metrics_of_ours_have_the_names_that_the_code_gives_them() -> None:
    code = ast.parse(METRICS.read_text(encoding="utf-8"))
    texts = {node.value for node in ast.walk(code) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    assert {metric.name for metric in (*watched(), *shown()) if metric.namespace == "Weir"} <= texts


def test_alarms_go_where_they_are_wanted_and_end_there_too() -> None:
    for given, target in (
        ({}, []),
        ({"AlarmEmail": "ops@example.com"}, [{"Ref": "Topic"}]),
        ({"AlarmTopicArn": "arn:aws:sns:canary"}, ["arn:aws:sns:canary"]),
    ):
        made = resolved(OPERATIONS, _given(Alarms="on", **given))["Resources"]
        found = [each["Properties"] for each in made.values() if each["Type"] == "AWS::CloudWatch::Alarm"]
        assert [(each["AlarmActions"], each["OKActions"]) for each in found] == [(target, target)] * len(alarms())
        assert ("Topic" in made) == ("AlarmEmail" in given)


def test_only_what_is_asked_for_is_made() -> None:
    def types(**parameters: str) -> set[str]:
        return {each["Type"] for each in resolved(OPERATIONS, _given(**parameters))["Resources"].values()}

    assert types(Alarms="on") == {"AWS::CloudWatch::Alarm"}
    assert types(Dashboard="on", AlarmEmail="ops@example.com") == {"AWS::CloudWatch::Dashboard"}


def test_an_upkeep_that_tells_nothing_is_one_that_has_not_run() -> None:
    missing = {name: alarm["TreatMissingData"] for name, alarm in alarms().items()}
    assert {name for name, how in missing.items() if how == "breaching"} == {"upkeep-missed"}
    assert set(missing.values()) == {"breaching", "notBreaching"}


def test_names_in_the_dashboard_are_parameters() -> None:
    used = set(re.findall(r"\$\{([\w:]+)\}", json.dumps(board())))
    assert used <= {*OPERATIONS["Parameters"], "AWS::Region"}


def test_widgets_do_not_lie_over_each_other() -> None:
    taken = [
        (x, y)
        for widget in board()["widgets"]
        for x in range(widget["x"], widget["x"] + widget["width"])
        for y in range(widget["y"], widget["y"] + widget["height"])
    ]
    assert len(taken) == len(set(taken))
    assert max(x for x, _ in taken) < 24
