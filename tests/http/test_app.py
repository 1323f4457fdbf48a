import pytest

from weir.domain.errors import RequestInvalid
from weir.http.app import parse_json


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"a": 1e999}', "The request body is not valid JSON: number out of range."),
        (b'{"a": -1E+400}', "The request body is not valid JSON: number out of range."),
        (b'{"a": %b.5}' % (b"9" * 400), "The request body is not valid JSON: number out of range."),
        (b"[" * 195 + b"]" * 195, "The request body is nested too deeply."),
    ],
)
def test_what_could_not_be_read_back_is_refused(body: bytes, message: str) -> None:
    with pytest.raises(RequestInvalid) as refused:
        parse_json(body)
    assert str(refused.value) == message


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b'{"a": "1e999"}', {"a": "1e999"}),
        (b'{"a": 1e300}', {"a": 1e300}),
        (b"[%b]" % b",".join([b"{}"] * 300), [{}] * 300),
        (b"9" * 400, int("9" * 400)),
    ],
)
def test_what_only_looks_like_it_is_taken(body: bytes, value: object) -> None:
    assert parse_json(body) == value
