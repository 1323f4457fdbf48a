"""Print a template as CloudFormation makes it of SAM's short form, as JSON; no credentials are needed."""

import argparse
import json
import os
import sys
from pathlib import Path

from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse

TEMPLATE = Path(__file__).resolve().parents[1] / "template.yaml"


class _ManagedPolicies:
    def load(self) -> dict[str, str]:
        return {}


def main() -> int:
    options = _options()
    os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")
    template = yaml_parse(options.template.read_text(encoding="utf-8"))
    for resource in template["Resources"].values():
        for name in ("CodeUri", "ContentUri"):
            if name in resource.get("Properties", {}):
                folder = Path(resource["Properties"][name]).name
                resource["Properties"][name] = {"Bucket": options.bucket, "Key": f"{folder}.zip"}
    sys.stdout.write(json.dumps(transform(template, {}, _ManagedPolicies()), indent=1) + "\n")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("template", nargs="?", type=Path, default=TEMPLATE, help="default: template.yaml")
    parser.add_argument(
        "--bucket",
        default="built",
        help="where code and layers lie, as completion.zip, shared.zip …",
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
