"""What checkov is not to ask for has a reason that stands beside it."""

import yaml

from tests.infra import template

CONFIG = (template.ROOT / ".checkov.yaml").read_text(encoding="utf-8")


def test_every_check_that_is_skipped_says_why() -> None:
    skipped = yaml.safe_load(CONFIG)["skip-check"]
    lines = [line.strip() for line in CONFIG.partition("skip-check:\n")[2].splitlines()]
    reasons = {line.removeprefix("- "): lines[number - 1] for number, line in enumerate(lines) if line[0] == "-"}
    assert list(reasons) == skipped
    assert [check for check, reason in reasons.items() if not reason.startswith("# ")] == []


def test_every_template_of_the_stack_is_looked_at() -> None:
    nested = [each["Properties"]["TemplateURL"] for each in template.resources("AWS::CloudFormation::Stack").values()]
    assert yaml.safe_load(CONFIG)["file"] == ["template.yaml", *nested]
