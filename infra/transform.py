"""Print template.yaml as CloudFormation makes it of SAM's short form, as JSON.

`.venv-aws/bin/python infra/transform.py`. It needs no credentials; code and layers are given as objects of a bucket.
"""

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
    os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")
    template = yaml_parse(TEMPLATE.read_text(encoding="utf-8"))
    for resource in template["Resources"].values():
        for name in ("CodeUri", "ContentUri"):
            if name in resource.get("Properties", {}):
                folder = Path(resource["Properties"][name]).stem
                resource["Properties"][name] = {"Bucket": "built", "Key": f"{folder}.zip"}
    sys.stdout.write(json.dumps(transform(template, {}, _ManagedPolicies()), indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
