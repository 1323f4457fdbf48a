"""Who is calling."""

import pytest

from weir.domain.errors import Unauthorized
from weir.http.auth import Keyring, Principal, presented_key

TEAM = Principal("team", "test", frozenset({"complete", "read"}))
RING = Keyring({"canary-team": TEAM, "canary-all": Principal("all")})


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": "Bearer canary-team"},
        {"authorization": "bearer canary-team"},
        {"authorization": "Api-Key canary-team"},
        {"authorization": "  Bearer   canary-team  "},
        {"authorization": "canary-team"},
        {"x-api-key": "canary-team"},
        {"x-maitai-api-key": " canary-team "},
        {"x-api-key": "canary-team", "authorization": "Bearer something-else"},
        {"x-api-key": "", "authorization": "Bearer canary-team"},
    ],
)
def test_a_key_is_taken_from_each_of_its_places(headers: dict[str, str]) -> None:
    assert RING.authenticate(headers, "complete") == TEAM


@pytest.mark.parametrize("headers", [{}, {"authorization": ""}, {"authorization": "   "}, {"x-api-key": " "}])
def test_without_a_key_nobody_is_calling(headers: dict[str, str]) -> None:
    assert presented_key(headers) is None
    with pytest.raises(Unauthorized, match="No API key") as refused:
        RING.authenticate(headers, "complete")
    assert not refused.value.forbidden


@pytest.mark.parametrize("key", ["canary", "canary-teams", "CANARY-TEAM", "Basic canary-team", "schlüssel", "\udcff"])
def test_a_wrong_key_is_refused_and_not_repeated(key: str) -> None:
    with pytest.raises(Unauthorized, match="not valid") as refused:
        RING.authenticate({"authorization": f"Bearer {key}"}, "complete")
    assert (refused.value.forbidden, key in str(refused.value)) == (False, False)


def test_a_key_without_the_scope_may_not() -> None:
    with pytest.raises(Unauthorized, match="'admin'") as refused:
        RING.authenticate({"x-api-key": "canary-team"}, "admin")
    assert refused.value.forbidden
    assert RING.authenticate({"x-api-key": "canary-all"}, "admin") == Principal("all")


def test_no_key_is_kept_as_it_is() -> None:
    assert "canary" not in repr(vars(RING))
