"""A request for embeddings as our callers send it: OpenAI's parameters, with Weir's own beside them."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from weir.domain.completion import NOTHING
from weir.domain.embedding import EmbeddingCall, EmbeddingInput
from weir.domain.errors import RequestInvalid
from weir.http.chat_request import NAME_LIMIT, CallTags, unnamed

_TOKENS = {"type": "array", "items": {"type": "integer", "minimum": 0}, "minItems": 1}
_TEXT = {"type": "string", "minLength": 1}
_INPUT = {
    "anyOf": [
        _TEXT,
        {"type": "array", "items": _TEXT, "minItems": 1},
        _TOKENS,
        {"type": "array", "items": _TOKENS, "minItems": 1},
    ]
}
_NOT_EXTRA = frozenset({"model", "input", "encoding_format"})
"""What decides where a call goes and how its answer is read."""


class EmbeddingParams(BaseModel):
    """OpenAI's parameters. Those without a name here pass through to providers that speak OpenAI's format."""

    model_config = ConfigDict(extra="allow", strict=True, defer_build=True)

    input: Annotated[Any, WithJsonSchema(_INPUT)]
    model: Annotated[str, Field(max_length=NAME_LIMIT)] | None = None
    dimensions: Annotated[int, Field(ge=1)] | None = None
    encoding_format: Literal["float", "base64"] | None = None
    user: str | None = None
    extra_headers: dict[str, Any] | None = None
    extra_body: dict[str, Any] | None = None


class EmbeddingBody(EmbeddingParams, CallTags):
    """The body of the embedding routes."""


def to_embedding_call(params: EmbeddingParams, model: str, *, drop_unsupported: bool = False) -> EmbeddingCall:
    """Raises RequestInvalid."""
    extra = unnamed(params)
    for name, value in (params.extra_body or NOTHING).items():
        if name in _NOT_EXTRA:
            raise RequestInvalid(f"'extra_body' cannot replace '{name}'.", param=f"extra_body.{name}")
        extra[name] = value
    return EmbeddingCall(
        model=model,
        inputs=_inputs(params.input),
        dimensions=params.dimensions,
        encoding_format=params.encoding_format,
        user=params.user,
        drop_unsupported=drop_unsupported,
        extra=extra or NOTHING,
    )


def _inputs(given: Any) -> tuple[EmbeddingInput, ...]:
    """A text, texts, the tokens of one text, or those of several."""
    match given:
        case str():
            return (_text(given, "input"),)
        case []:
            raise RequestInvalid("'input' must hold at least one text.", param="input", code="empty_array")
        case [int(), *_]:
            return (_tokens(given, "input"),)
        case [list(), *_]:
            return tuple(_tokens(one, f"input[{at}]") for at, one in enumerate(given))
        case [*_]:
            return tuple(_text(one, f"input[{at}]") for at, one in enumerate(given))
        case _:
            raise _wrong("input", "a text, a list of texts, or lists of tokens")


def _text(given: Any, where: str) -> str:
    if not isinstance(given, str):
        raise _wrong(where, "a text")
    if not given:
        raise RequestInvalid(f"'{where}' must not be empty.", param=where, code="empty_string")
    return given


def _tokens(given: Any, where: str) -> tuple[int, ...]:
    if not isinstance(given, list):
        raise _wrong(where, "a list of tokens")
    if not given:
        raise RequestInvalid(f"'{where}' must not be empty.", param=where, code="empty_array")
    return _whole_numbers(given, where)


def _whole_numbers(given: Sequence[Any], where: str) -> tuple[int, ...]:
    for at, token in enumerate(given):
        if type(token) is not int or token < 0:
            raise _wrong(f"{where}[{at}]", "a token, a whole number from 0")
    return tuple(given)


def _wrong(where: str, wanted: str) -> RequestInvalid:
    return RequestInvalid(f"'{where}' must be {wanted}.", param=where, code="invalid_type")
