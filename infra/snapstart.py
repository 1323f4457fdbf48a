"""`make build SNAPSTART=on`: turn SnapStart on for the functions behind the API, in what is built.

It is not a parameter of the template: SnapStart holds for published versions only, SAM publishes one for every function
that has an alias, whatever the parameters say, and a version keeps the settings and the API key it was published with.
So it is done with each build; the random text that is written down makes each one publish anew.
"""

import secrets
import sys
from pathlib import Path
from typing import Any

from samcli.yamlhelper import yaml_dump, yaml_parse

BUILT = Path(__file__).resolve().parents[1] / ".aws-sam" / "build" / "template.yaml"
ALIAS = "live"
_ALIAS_RESOURCE = f"Alias{ALIAS}"
"""How SAM names the resource of a function's alias, after the function."""


def with_snapstart(template: dict[str, Any], release: str) -> dict[str, Any]:
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function" and _is_behind_the_api(resource["Properties"]):
            resource["Properties"] |= {
                "AutoPublishAlias": ALIAS,
                "AutoPublishCodeSha256": release,
                "VersionDeletionPolicy": "Delete",
                "SnapStart": {"ApplyOn": "PublishedVersions"},
            }
    version = {"Ref": f"Completion{_ALIAS_RESOURCE}"}
    template["Resources"]["CompletionUrl"]["Properties"]["TargetFunctionArn"] = version
    for permission in ("CompletionUrlIsOpen", "CompletionUrlInvokes"):
        template["Resources"][permission]["Properties"]["FunctionName"] = version
    return template


def _is_behind_the_api(properties: dict[str, Any]) -> bool:
    return any(event["Type"] == "Api" for event in properties.get("Events", {}).values())


def main() -> int:
    built = Path(sys.argv[1]) if len(sys.argv) > 1 else BUILT
    if not built.exists():
        sys.stderr.write("Nothing is built: `make build` first.\n")
        return 1
    template = with_snapstart(yaml_parse(built.read_text(encoding="utf-8")), secrets.token_hex(32))
    built.write_text(yaml_dump(template), encoding="utf-8")
    sys.stdout.write("SnapStart is on in what is built\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
