"""Texts to vectors: what is asked, and what is answered."""

import base64
import sys
from array import array
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from weir.domain.completion import NOTHING, Usage

EmbeddingInput = str | tuple[int, ...]
"""A text, or its tokens."""

Vector = tuple[float, ...] | str
"""The numbers, or their little-endian 32-bit floats in base64."""

EncodingFormat = Literal["float", "base64"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddingCall:
    """One request for a vector for each of `inputs`. None means that the caller did not say.

    `model` is the provider's own name. `extra` and `drop_unsupported` mean what they mean in a ChatCall.
    """

    model: str
    inputs: tuple[EmbeddingInput, ...]
    dimensions: int | None = None
    encoding_format: EncodingFormat | None = None
    user: str | None = None
    drop_unsupported: bool = False
    extra: Mapping[str, Any] = NOTHING

    @property
    def stream(self) -> bool:
        """Vectors come all at once."""
        return False


@dataclass(frozen=True, slots=True)
class Embeddings:
    """A vector for each input, in the order of the inputs. `extra` as in a Completion."""

    vectors: tuple[Vector, ...]
    model: str | None = None
    usage: Usage | None = None
    extra: Mapping[str, Any] = NOTHING


def to_base64(vector: Vector) -> str:
    """A number beyond the range of 32 bits becomes infinite."""
    if isinstance(vector, str):
        return vector
    return base64.b64encode(_little_endian(array("f", vector)).tobytes()).decode()


def to_floats(vector: Vector) -> tuple[float, ...]:
    """Raises ValueError for a text that does not hold 32-bit floats."""
    if isinstance(vector, str):
        numbers = array("f")
        numbers.frombytes(base64.b64decode(vector, validate=True))
        return tuple(_little_endian(numbers))
    return vector


def _little_endian(numbers: "array[float]") -> "array[float]":
    """From or to the order of this machine; changes `numbers` itself."""
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers
