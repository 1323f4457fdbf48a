"""What CloudFormation makes of a template for given parameters: conditions decided, `Fn::If` and `Ref` of parameters
replaced. What only AWS knows, such as the ARN of a resource, stays as it is written.
"""

from collections.abc import Mapping
from typing import Any

_NOTHING = {"Ref": "AWS::NoValue"}

Template = Mapping[str, Any]


def resolved(template: Template, parameters: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The resources and outputs that are made. Raises KeyError for a parameter that is not there or has no value."""
    return _Resolver(template, parameters or {}).result()


class _Resolver:
    def __init__(self, template: Template, parameters: Mapping[str, Any]) -> None:
        declared = template.get("Parameters", {})
        if unknown := parameters.keys() - declared.keys():
            raise KeyError(f"no such parameters: {sorted(unknown)}")
        defaults = {name: each["Default"] for name, each in declared.items() if "Default" in each}
        self._values = {**defaults, **parameters}
        self._template = template

    def result(self) -> dict[str, Any]:
        return {section: self._made(self._template.get(section, {})) for section in ("Resources", "Outputs")}

    def _made(self, declared: Mapping[str, Any]) -> dict[str, Any]:
        return {
            name: {key: self._value(each) for key, each in found.items() if key != "Condition"}
            for name, found in declared.items()
            if "Condition" not in found or self._holds({"Condition": found["Condition"]})
        }

    def _value(self, value: Any) -> Any:
        match value:
            case {"Fn::If": [name, yes, no]}:
                return self._value(yes if self._holds({"Condition": name}) else no)
            case {"Ref": name} if name in self._values:
                return self._values[name]
            case dict():
                found = {key: self._value(each) for key, each in value.items()}
                return {key: each for key, each in found.items() if each != _NOTHING}
            case list():
                return [found for each in value if (found := self._value(each)) != _NOTHING]
            case _:
                return value

    def _holds(self, condition: Any) -> bool:
        match condition:
            case {"Condition": name}:
                return self._holds(self._template["Conditions"][name])
            case {"Fn::Equals": [one, other]}:
                return str(self._value(one)) == str(self._value(other))
            case {"Fn::Not": [only]}:
                return not self._holds(only)
            case {"Fn::And": each}:
                return all(map(self._holds, each))
            case {"Fn::Or": each}:
                return any(map(self._holds, each))
            case _:
                raise LookupError(f"no rule for the condition {condition}")
