"""Record ids carry their time."""

import uuid
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weir.domain.ids import instant_of, is_uuid7, uuid7

milliseconds = st.integers(0, int(datetime(9999, 12, 31, tzinfo=UTC).timestamp() * 1000))
randoms = st.integers(0, 2**80)


@given(milliseconds, randoms)
def test_an_id_is_a_version_7_uuid_in_its_canonical_spelling(ms: int, random: int) -> None:
    id = uuid7(ms, random)
    assert is_uuid7(id)
    assert (uuid.UUID(id).version, uuid.UUID(id).variant, str(uuid.UUID(id))) == (7, uuid.RFC_4122, id)


@given(milliseconds, randoms)
def test_the_instant_of_an_id_can_be_read_back(ms: int, random: int) -> None:
    assert round(instant_of(uuid7(ms, random)).timestamp() * 1000) == ms


@given(milliseconds, milliseconds, randoms, randoms)
def test_ids_of_different_milliseconds_sort_by_time(a: int, b: int, random_a: int, random_b: int) -> None:
    if a != b:
        assert (uuid7(a, random_a) < uuid7(b, random_b)) == (a < b)


@given(milliseconds, st.integers(0, 2**74 - 1), st.integers(0, 2**74 - 1))
def test_no_random_bit_is_lost(ms: int, a: int, b: int) -> None:
    assert (uuid7(ms, a) == uuid7(ms, b)) == (a == b)


def test_an_id_looks_like_this() -> None:
    # RFC 9562, appendix A.6: its example time, and all random bits set.
    assert uuid7(0x017F22E279B0, 2**74 - 1) == "017f22e2-79b0-7fff-bfff-ffffffffffff"
    assert instant_of("017f22e2-79b0-7fff-bfff-ffffffffffff") == datetime(2022, 2, 22, 19, 22, 22, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "017f22e2-79b0-4fff-bfff-ffffffffffff",  # version 4
        "017F22E2-79B0-7FFF-BFFF-FFFFFFFFFFFF",
        "017f22e279b07fffbfffffffffffffff",
        "{017f22e2-79b0-7fff-bfff-ffffffffffff}",
    ],
)
def test_anything_else_is_not_an_id(text: str) -> None:
    assert not is_uuid7(text)
    with pytest.raises(ValueError, match="version 7"):
        instant_of(text)
