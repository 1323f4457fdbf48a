"""JSON in and out: strict, and without losing a digit."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weir.protocols import jsonbytes

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner),
)


@given(values)
def test_a_value_survives_the_way_out_and_back(value: Any) -> None:
    assert jsonbytes.loads(jsonbytes.dumps(value)) == value
    assert json.loads(jsonbytes.dumps(value)) == value


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(b"NaN", id="not a number"),
        pytest.param(b'{"a": Infinity}', id="infinity"),
        pytest.param(b"[-Infinity]", id="minus infinity"),
        pytest.param(b'"\xff"', id="invalid UTF-8"),
        pytest.param(b'"\xed\xa0\x80"', id="surrogate in UTF-8"),
        pytest.param(rb'"\ud800"', id="lone surrogate"),
        pytest.param(rb'"\udc00\ud800"', id="surrogates the wrong way round"),
        pytest.param(b"[" * 1000 + b"]" * 1000, id="1,000 levels of lists"),
        pytest.param(b'{"a":' * 1000 + b"1" + b"}" * 1000, id="1,000 levels of objects"),
        pytest.param(b"", id="nothing"),
        pytest.param(b"{", id="half an object"),
        pytest.param(b"[1,]", id="trailing comma"),
        pytest.param(b"{} {}", id="two values"),
    ],
)
def test_what_is_not_json_is_refused(text: bytes) -> None:
    with pytest.raises(jsonbytes.InvalidJSON):
        jsonbytes.loads(text)


def test_a_refusal_gives_the_place_and_never_the_text() -> None:
    with pytest.raises(jsonbytes.InvalidJSON, match="line 1 column 21") as refused:
        jsonbytes.loads(b'{"key": "canary-1", }')
    assert "canary" not in str(refused.value)


def test_large_integers_keep_every_digit() -> None:
    text = b"[123456789012345678901234567890,-9007199254740993]"
    assert jsonbytes.loads(text) == [123456789012345678901234567890, -9007199254740993]
    assert jsonbytes.dumps(jsonbytes.loads(text)) == text


def test_floats_stay_floats() -> None:
    assert [repr(value) for value in jsonbytes.loads(b"[1.0, 0.1, -0.0, 1e22]")] == ["1.0", "0.1", "-0.0", "1e+22"]
    assert jsonbytes.dumps([1.0, 0.1]) == b"[1.0,0.1]"


def test_text_goes_out_as_it_is() -> None:
    assert jsonbytes.dumps({"a": "grün 🙂\n"}) == '{"a":"grün 🙂\\n"}'.encode()


@pytest.mark.parametrize("text", [b'{"a": [1e999]}', b"[-1e999]", b"[%b.5]" % (b"9" * 400)])
def test_a_number_out_of_range_is_refused_from_callers_and_null_when_it_is_passed_on(text: bytes) -> None:
    with pytest.raises(jsonbytes.InvalidJSON, match="number out of range"):
        jsonbytes.loads_finite(text)
    assert b"null" in jsonbytes.dumps(jsonbytes.loads(text))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_null(value: float) -> None:
    assert jsonbytes.dumps([value]) == b"[null]"


@pytest.mark.parametrize("value", ["\ud800", object(), b"\xff"])
def test_what_has_no_json_form_is_not_written(value: Any) -> None:
    with pytest.raises(jsonbytes.InvalidJSON):
        jsonbytes.dumps(value)


def test_words_that_look_like_constants_are_written() -> None:
    assert jsonbytes.dumps({"a": "NaN", "Infinity": 1}) == b'{"a":"NaN","Infinity":1}'
