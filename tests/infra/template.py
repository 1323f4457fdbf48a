"""template.yaml as plain values; `!Ref X` and `!Sub X` are {"Ref": "X"} and {"Fn::Sub": "X"}, as in the JSON form."""

from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]


class _Loader(yaml.SafeLoader):
    """CloudFormation's YAML."""


def _tagged(loader: _Loader, tag: str, node: yaml.Node) -> dict[str, Any]:
    value: Any
    match node:
        case yaml.ScalarNode():
            value = loader.construct_scalar(node)
        case yaml.SequenceNode():
            value = loader.construct_sequence(node, deep=True)
        case yaml.MappingNode():
            value = loader.construct_mapping(node, deep=True)
    match tag:
        case "Ref" | "Condition":
            return {tag: value}
        case "GetAtt":
            return {"Fn::GetAtt": str(value).split(".", 1)}
        case _:
            return {f"Fn::{tag}": value}


_Loader.add_multi_constructor("!", _tagged)


def load(path: str = "template.yaml") -> dict[str, Any]:
    template: dict[str, Any] = yaml.load((ROOT / path).read_text(encoding="utf-8"), _Loader)
    return template


def resources(type: str) -> dict[str, dict[str, Any]]:
    """By logical id."""
    return {name: found for name, found in load()["Resources"].items() if found["Type"] == type}


def table_definition() -> dict[str, Any]:
    """The ledger's table, as the arguments of DynamoDB's CreateTable that describe its data."""
    (table,) = resources("AWS::DynamoDB::Table").values()
    properties = table["Properties"]
    return {
        **{name: properties[name] for name in ("AttributeDefinitions", "KeySchema", "BillingMode")},
        "StreamSpecification": {"StreamEnabled": True, **properties["StreamSpecification"]},
        **{name: properties[name] for name in ("GlobalSecondaryIndexes",) if name in properties},
    }
