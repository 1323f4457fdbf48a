"""What is wrong with a body, told to who sent it: the member by name, what it must be, and OpenAI's code for it."""

from collections.abc import Set
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from weir.domain.errors import RequestInvalid

_Model = TypeVar("_Model", bound=BaseModel)

_TYPES = {"str", "int", "float", "bool"}
"""What pydantic puts into a place beside the names of members, for a member that may be of several types."""

_LONGEST_NAME = 100
"""Of a member: a longer one is told by what it is a member of."""


def validated(model: type[_Model], body: Any, *, where: str = "") -> _Model:
    """The body as `model`. Raises RequestInvalid that names the first wrong field, e.g. `messages[0].content`."""
    if not isinstance(body, dict):
        raise RequestInvalid("The request body must be a JSON object.", param=where or None)
    try:
        return model.model_validate(body)
    except ValidationError as exc:
        raise _first_problem(exc) from None


def _first_problem(exc: ValidationError) -> RequestInvalid:
    # A wrong member of a union gives one error per member: the deepest says most.
    problems = exc.errors(include_url=False)
    problem = max(problems, key=lambda e: (e["type"] != "missing", len(e["loc"])))
    param = _named(problem["loc"])
    what, code = _told(problem)
    types = {each["type"] for each in problems if each["type"] in _TYPED and _named(each["loc"]) == param}
    if problem["type"] in _TYPED:
        what = f"must be {_one_of(types)}"
    elif problem["type"] == "literal_error" and types:
        what += f" or {_one_of(types)}"
    subject = f"'{param}'" if param else "A member of the body"
    return RequestInvalid(f"{subject} {what}.", param=param or None, code=code)


def _named(place: tuple[str | int, ...]) -> str:
    param = ""
    for step in place:
        if isinstance(step, int):
            param += f"[{step}]"
        elif len(step) <= _LONGEST_NAME and (step.isdecimal() or (step.isidentifier() and step not in _TYPES)):
            param += f".{step}" if param else step
    return param


def _told(problem: ErrorDetails) -> tuple[str, str]:
    """In our words, which never repeat what was sent, and OpenAI's code."""
    given, bounds = problem["input"], problem.get("ctx", {})
    number = "integer" if isinstance(given, int) else "decimal"
    match problem["type"]:
        case "missing":
            return "is required", "missing_required_parameter"
        case "greater_than_equal":
            return f"must be at least {_plain(bounds['ge'])}", f"{number}_below_min_value"
        case "greater_than":
            return f"must be above {_plain(bounds['gt'])}", f"{number}_below_min_value"
        case "less_than_equal":
            return f"must be at most {_plain(bounds['le'])}", f"{number}_above_max_value"
        case "finite_number":
            return "must be a finite number", "invalid_value"
        case "string_too_long":
            return f"must be at most {_many(bounds['max_length'], 'character')} long", "string_above_max_length"
        case "string_too_short":
            return "must not be empty", "empty_string"
        case "too_long":
            return f"must hold at most {_many(bounds['max_length'], 'element')}", "array_above_max_length"
        case "too_short":
            return f"must hold at least {_many(bounds['min_length'], 'element')}", "empty_array"
        case "literal_error":
            return f"must be one of {bounds['expected']}", "invalid_value"
        case "value_error":
            return f"is wrong: {bounds['error']}", "invalid_value"
        case "extra_forbidden":
            return "is not known here", "unknown_parameter"
        case _:
            return f"is wrong: {problem['msg']}", "invalid_type"


_TYPED = {
    "string_type": "a text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "list_type": "an array",
    "model_type": "an object",
    "dict_type": "an object",
}


def _one_of(types: Set[str]) -> str:
    told = dict.fromkeys(what for type, what in _TYPED.items() if type in types)
    if "a number" in told:
        told.pop("a whole number", None)
    return " or ".join(told)


def _plain(bound: float) -> str:
    return f"{bound:,}".removesuffix(".0").replace(",", "")


def _many(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
