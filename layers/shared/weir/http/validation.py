"""What is wrong with a body, told to who sent it: the member by name, what it must be, and OpenAI's code for it."""

from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from weir.domain.errors import RequestInvalid

_Model = TypeVar("_Model", bound=BaseModel)

_TYPES = {"str", "int", "float", "bool"}
"""What pydantic puts into a place beside the names of members, for a member that may be of several types."""


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
    problem = max(exc.errors(include_url=False), key=lambda e: (e["type"] != "missing", len(e["loc"])))
    param = ""
    for step in problem["loc"]:
        if isinstance(step, int):
            param += f"[{step}]"
        elif step.isidentifier() and step not in _TYPES:
            param += f".{step}" if param else step
    what, code = _told(problem)
    return RequestInvalid(f"'{param}' {what}.", param=param, code=code)


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
        case "model_type" | "dict_type":
            return "must be an object", "invalid_type"
        case type:
            return _TYPED.get(type, f"is wrong: {problem['msg']}"), "invalid_type"


_TYPED = {
    "string_type": "must be a text",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "list_type": "must be an array",
}


def _plain(bound: float) -> str:
    return f"{bound:,}".removesuffix(".0").replace(",", "")


def _many(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
