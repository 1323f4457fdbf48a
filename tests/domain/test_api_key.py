"""How a key is written, and until when it is good."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weir.domain.api_key import RANDOM_BITS, ApiKey, read_id, write_key

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEY = ApiKey(
    id="0123456789ab",
    workspace="main",
    name="CI",
    environment="prod",
    scopes=frozenset({"read"}),
    digest=b"canary-digest",
    created_at=NOON,
)
randoms = st.integers(0, 2**RANDOM_BITS - 1)


@given(randoms)
def test_a_key_is_64_characters_that_no_place_needs_to_escape(random: int) -> None:
    key = write_key(random)
    assert len(key) == 64
    assert key.startswith("weir_")
    assert key.isascii()
    assert key.replace("_", "").isalnum()
    assert read_id(key) == key[5:17]


@given(randoms, randoms)
def test_different_bits_are_different_keys(one: int, other: int) -> None:
    assert (write_key(one) == write_key(other)) == (one == other)


@given(randoms, st.integers(0, 63), st.characters())
def test_a_slip_of_the_pen_is_no_key(random: int, place: int, letter: str) -> None:
    key = write_key(random)
    slipped = key[:place] + letter + key[place + 1 :]
    assert (read_id(slipped) is None) == (slipped != key)


@given(st.text() | st.builds(lambda text: f"weir_{text}", st.text(max_size=70)))
def test_other_texts_are_no_keys(text: str) -> None:
    assert read_id(text) is None


@pytest.mark.parametrize("change", [lambda key: key + "\n", lambda key: " " + key, lambda key: key[:-1], str.upper])
def test_a_key_is_read_to_the_letter(change: Callable[[str], str]) -> None:
    assert read_id(change(write_key(1))) is None


def test_the_form_of_a_key_never_changes() -> None:
    """Keys are out there: what was written once must be read for ever."""
    assert write_key(0) == "weir_000000000000_00000000000000000000000000000000000000004oE7es"
    assert write_key(2**RANDOM_BITS - 1) == "weir_z1ci99jj7473_TbNFAUDBv1zim5OG8JWR4tyGGpTr377FIEKU5V271LJwdQ"


@pytest.mark.parametrize(
    ("expires", "revoked", "state"),
    [
        (None, None, "active"),
        (1, None, "active"),
        (0, None, "expired"),
        (None, 1, "active"),
        (None, 0, "revoked"),
        (0, 0, "revoked"),
        (0, 1, "expired"),
        (1, 0, "revoked"),
    ],
)
def test_a_key_ends_at_the_earlier_of_its_ends(expires: int | None, revoked: int | None, state: str) -> None:
    def at(seconds: int | None) -> datetime | None:
        return None if seconds is None else NOON + timedelta(seconds=seconds)

    key = replace(KEY, expires_at=at(expires), revoked_at=at(revoked))
    assert (key.state(NOON), key.may_end) == (state, expires is not None or revoked is not None)


def test_a_keys_digest_is_not_shown() -> None:
    assert "canary" not in repr(KEY)
