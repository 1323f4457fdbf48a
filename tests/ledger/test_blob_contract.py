"""What every engine does with blobs."""

from concurrent.futures import ThreadPoolExecutor
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.ledger.engines import Engine
from weir.domain.errors import LedgerUnavailable
from weir.ledger.ports import BlobStore

_numbers = count()
one_engine_for_all_examples = settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
parts = st.text("ab=%-.0", min_size=1, max_size=3).filter(lambda part: not part.startswith("."))
keys = st.lists(parts, min_size=1, max_size=3).map("/".join)
_ABOVE_SLASH = str.maketrans("%-.", "ABC")


@pytest.fixture
def blobs(engine: Engine) -> BlobStore:
    return engine.blobs()


def test_a_blob_is_read_as_it_was_written(engine: Engine, blobs: BlobStore) -> None:
    blobs.put("a/b/c/d/e.gz", b"\x1f\x8b\x00first")
    blobs.put("a/b/c/d/e.gz", b"\x1f\x8b\x00again")
    assert engine.blobs().get("a/b/c/d/e.gz") == b"\x1f\x8b\x00again"
    assert engine.blobs().get("a/b/c/d/none.gz") is None


def test_what_is_put_new_is_put_once(blobs: BlobStore) -> None:
    assert blobs.put_new("a/b.gz", b"first")
    assert not blobs.put_new("a/b.gz", b"again")
    assert blobs.get("a/b.gz") == b"first"


def test_of_many_who_put_new_at_once_one_wins(blobs: BlobStore) -> None:
    with ThreadPoolExecutor(8) as threads:
        put = list(threads.map(lambda n: blobs.put_new("a/b.gz", b"%d" % n), range(32)))
    assert put.count(True) == 1
    assert blobs.get("a/b.gz") == b"%d" % put.index(True)


@pytest.mark.parametrize(
    ("start", "length", "expected"),
    [(0, 3, b"012"), (4, 2, b"45"), (8, 100, b"89"), (10, 5, b""), (50, 5, b""), (0, 1, b"0")],
)
def test_a_range_is_read_as_far_as_it_goes(blobs: BlobStore, start: int, length: int, expected: bytes) -> None:
    blobs.put("a/b.gz", b"0123456789")
    assert blobs.get_range("a/b.gz", start, length) == expected
    assert blobs.get_range("a/none.gz", start, length) is None


def test_what_is_deleted_is_gone_and_may_be_put_anew(blobs: BlobStore) -> None:
    blobs.put("a/b.gz", b"first")
    blobs.delete("a/b.gz")
    blobs.delete("a/b.gz")
    blobs.delete("none/c.gz")
    assert blobs.get("a/b.gz") is None
    assert list(blobs.list("")) == []
    assert blobs.put_new("a/b.gz", b"again")


@one_engine_for_all_examples
@given(
    found=st.sets(keys, max_size=12),
    prefix=st.text("ab=%-./", max_size=4),
    after=st.none() | keys | st.text("ab=%-./", max_size=4),
)
def test_a_list_is_in_the_order_of_keys(
    engine: Engine, blobs: BlobStore, found: set[str], prefix: str, after: str | None
) -> None:
    if engine.lists_by_folder:  # with these alone, and after one of the keys, it is S3's order as well
        found, prefix = {key.translate(_ABOVE_SLASH) for key in found}, prefix.replace("/", "").translate(_ABOVE_SLASH)
        after = after and min(found, default=None)
    folder = f"{next(_numbers)}/"
    # on a file system a name is a file or a folder
    found = {key for key in found if not any(other.startswith(f"{key}/") for other in found)}
    for key in found:
        blobs.put(folder + key, b"")
    start = None if after is None else folder + after
    expected = [key for key in sorted(found) if key.startswith(prefix) and key > (after or "")]
    assert [key.removeprefix(folder) for key in blobs.list(folder + prefix, start)] == expected


def test_a_list_goes_on_beyond_a_page(blobs: BlobStore) -> None:
    expected = [f"many/{n:04}.gz" for n in range(1100)]  # S3 gives a thousand at once
    for key in expected:
        blobs.put(key, b"")
    assert list(blobs.list("many/")) == expected
    assert list(blobs.list("many/", "many/1049.gz")) == expected[1050:]


@pytest.mark.parametrize("key", ["../a", "a/../../b", "/etc/a", "a/.hidden", ""])
def test_a_file_has_its_place_below_the_folder(sqlite: Engine, key: str) -> None:
    with pytest.raises(ValueError, match="blob key"):
        sqlite.blobs().put(key, b"")


def test_a_broken_engine_is_unavailable_and_nothing_else(dynamodb: Engine) -> None:
    blobs = dynamodb.blobs()
    with dynamodb.broken():
        for call in (
            lambda: blobs.put("a/b.gz", b""),
            lambda: blobs.put_new("a/b.gz", b""),
            lambda: blobs.get("a/b.gz"),
            lambda: blobs.get_range("a/b.gz", 0, 1),
            lambda: list(blobs.list("a/")),
            lambda: blobs.delete("a/b.gz"),
        ):
            with pytest.raises(LedgerUnavailable):
                call()
    assert list(blobs.list("")) == []
