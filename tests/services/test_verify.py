"""Whatever is changed in the archive shows, and where."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.ledger.test_archive import call, opened
from weir.domain.record import Payload
from weir.ledger.archive import Archive
from weir.ledger.archive_format import (
    ArchiveObject,
    Call,
    Chain,
    Erased,
    Erasing,
    Leaf,
    Partition,
    canonical,
    line_hash,
    pack,
    pack_line,
    read_object,
    to_line,
    to_object,
    without_identity,
)
from weir.ledger.files import FileBlobStore
from weir.ledger.seals import Seal, Seals, seal_key
from weir.services.seal import seal_late, seal_recent
from weir.services.verify import Break, Findings, verify

TWELVE, THIRTEEN = Partition("main", "2026-03-01", 12), Partition("main", "2026-03-01", 13)
AFTERNOON = datetime(2026, 3, 1, 14, tzinfo=UTC)
FIRST, SECOND, THIRD = (TWELVE.key(n) for n in (1, 2, 3))


@pytest.fixture
def blobs(tmp_path: Path) -> FileBlobStore:
    return FileBlobStore(tmp_path)


@pytest.fixture
def archive(blobs: FileBlobStore) -> Archive:
    """Two hours: three objects of two members each, and one."""
    archive = opened(blobs)
    for n in (1, 3, 5):
        archive.append(TWELVE, [call(n), call(n + 1)])
    archive.append(THIRTEEN, [call(1, hour=1)])
    seal_recent(archive, Seals(blobs), "main", AFTERNOON)
    return archive


def verified(blobs: FileBlobStore) -> Findings:
    return verify(opened(blobs), Seals(blobs), "main")


def broken(blobs: FileBlobStore) -> Break | None:
    return verified(blobs).broken


def read(blobs: FileBlobStore, key: str) -> ArchiveObject:
    content = blobs.get(key)
    assert content is not None
    return read_object(content)


def id_of(number: int) -> str:
    return call(number).record.id


def test_what_was_not_touched_is_as_it_was_written(archive: Archive, blobs: FileBlobStore) -> None:
    seal = Seals(blobs).last("main")
    assert seal is not None
    assert verified(blobs) == Findings("main", hours=2, objects=4, members=7, seal=(1, seal.hash))


def test_any_byte_that_is_flipped_shows(archive: Archive, blobs: FileBlobStore) -> None:
    content = blobs.get(SECOND)
    assert content is not None
    for position in range(len(content)):
        changed = bytearray(content)
        changed[position] ^= 1
        blobs.put(SECOND, bytes(changed))
        found = broken(blobs)
        assert found is not None
        assert found.key == SECOND


def repacked(found: ArchiveObject, lines: Sequence[bytes], leaves: Sequence[Leaf] | None = None) -> bytes:
    """As somebody would put it together who knows the format."""
    chain = found.chain if leaves is None else replace(found.chain, leaves=tuple(leaves))
    return to_object(chain, [pack_line(line) for line in lines])


def a_changed_answer(found: ArchiveObject) -> bytes:
    first, second = found.members()
    assert isinstance(second, Call)
    changed = Call(second.record, Payload(b"{}", b'"another answer"'))
    return repacked(found, [to_line(first), to_line(changed)])


def a_changed_answer_and_its_leaf(found: ArchiveObject) -> bytes:
    lines = list(found.lines())
    changed = lines[1].replace(b"answer", b"forged")
    leaves = [found.chain.leaves[0], found.chain.leaves[1]._replace(sha256=line_hash(changed))]
    return repacked(found, [lines[0], changed], leaves)


def without_a_member(found: ArchiveObject) -> bytes:
    lines = list(found.lines())
    return to_object(found.chain, [pack_line(lines[0])])


def without_a_member_and_its_leaf(found: ArchiveObject) -> bytes:
    return repacked(found, list(found.lines())[:1], found.chain.leaves[:1])


def with_one_more(found: ArchiveObject) -> bytes:
    more = pack(call(9), "nonce")
    return to_object(
        replace(found.chain, leaves=(*found.chain.leaves, more.leaf)),
        [*map(pack_line, found.lines()), more.content],
    )


def in_another_order(found: ArchiveObject) -> bytes:
    return repacked(found, list(found.lines())[::-1])


def in_another_order_with_their_leaves(found: ArchiveObject) -> bytes:
    return repacked(found, list(found.lines())[::-1], found.chain.leaves[::-1])


def erased_without_saying_so(found: ArchiveObject) -> bytes:
    lines = list(found.lines())
    left = to_line(Erased(without_identity(call(4).record)))
    return repacked(found, [lines[0], left])


HEAD = "the head does not follow object 2: one of the two heads was changed"
MEMBER = "is not the one that was archived, and no erasure names it"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (a_changed_answer, Break(SECOND, MEMBER, 1, id_of(3))),  # its nonce is another
        (a_changed_answer_and_its_leaf, Break(THIRD, HEAD)),
        (without_a_member, Break(SECOND, "the head does not have a length for each leaf")),
        (without_a_member_and_its_leaf, Break(THIRD, HEAD)),
        (with_one_more, Break(THIRD, HEAD)),
        (in_another_order, Break(SECOND, MEMBER, 1, id_of(3))),
        (in_another_order_with_their_leaves, Break(THIRD, HEAD)),
        (erased_without_saying_so, Break(SECOND, MEMBER, 2, id_of(4))),
    ],
)
def test_a_change_by_somebody_who_knows_the_format_shows(
    archive: Archive, blobs: FileBlobStore, change: Callable[[ArchiveObject], bytes], expected: Break
) -> None:
    blobs.put(SECOND, change(read(blobs, SECOND)))
    assert broken(blobs) == expected


@pytest.mark.parametrize("change", [a_changed_answer_and_its_leaf, without_a_member_and_its_leaf, with_one_more])
def test_a_change_of_the_last_object_shows_by_the_seal(
    archive: Archive, blobs: FileBlobStore, change: Callable[[ArchiveObject], bytes]
) -> None:
    blobs.put(THIRD, change(read(blobs, THIRD)))
    assert broken(blobs) == Break(THIRD, "the head is not the one that seal 1 names")


def test_an_object_that_is_gone_shows(archive: Archive, blobs: FileBlobStore) -> None:
    blobs.delete(SECOND)
    assert broken(blobs) == Break(SECOND, "the object is missing; the chain goes on with 3")


def test_the_last_object_of_an_hour_that_is_gone_shows(archive: Archive, blobs: FileBlobStore) -> None:
    blobs.delete(THIRD)
    assert broken(blobs) == Break(THIRD, "the object is missing; seal 1 names object 3")


def test_an_hour_that_is_gone_shows(archive: Archive, blobs: FileBlobStore) -> None:
    blobs.delete(THIRTEEN.key(1))
    assert broken(blobs) == Break(THIRTEEN.key(1), "the object is missing; seal 1 names object 1")


def test_two_objects_that_changed_places_show(archive: Archive, blobs: FileBlobStore) -> None:
    second, third = blobs.get(SECOND), blobs.get(THIRD)
    assert second is not None
    assert third is not None
    blobs.put(SECOND, third)
    blobs.put(THIRD, second)
    assert broken(blobs) == Break(SECOND, "this is the object that belongs to 2026-03-01 12:00 of main as number 3")


def test_an_object_of_another_hour_shows(archive: Archive, blobs: FileBlobStore) -> None:
    other = blobs.get(THIRTEEN.key(1))
    assert other is not None
    blobs.put(FIRST, other)
    assert broken(blobs) == Break(FIRST, "this is the object that belongs to 2026-03-01 13:00 of main as number 1")


def test_a_forged_object_at_the_end_does_not_hide_behind_the_seal(archive: Archive, blobs: FileBlobStore) -> None:
    """It may be added, as everybody may who can write; it is no change of what was there."""
    forged = pack(call(9), "nonce")
    blobs.put(TWELVE.key(4), to_object(Chain(TWELVE, 4, "guessed", (forged.leaf,)), [forged.content]))
    assert broken(blobs) == Break(TWELVE.key(4), "the head does not follow object 3: one of the two heads was changed")


def test_seals_are_a_chain_of_their_own(archive: Archive, blobs: FileBlobStore) -> None:
    seals = Seals(blobs)
    archive.append(THIRTEEN, [call(2, hour=1)])
    second = seal_recent(archive, seals, "main", AFTERNOON)
    archive.append(THIRTEEN, [call(3, hour=1)])
    third = seal_recent(archive, Seals(blobs), "main", AFTERNOON)
    assert seal_recent(archive, Seals(blobs), "main", AFTERNOON) is None
    assert second is not None
    assert third is not None
    assert (third.n, third.previous) == (3, second.hash)
    assert verified(blobs).seal == (3, third.hash)

    forged = Seal("main", 2, second.previous, second.at, second.tails[:1])
    keys = [seal_key("main", n) for n in (1, 2, 3)]
    kept = blobs.get(keys[1])
    assert kept is not None
    _put(blobs, forged)
    assert broken(blobs) == Break(keys[2], "the seal does not follow the one before it: one of the two was changed")
    blobs.delete(keys[1])
    assert broken(blobs) == Break(keys[1], f"the seal is missing; the next one is {keys[2]}")
    blobs.put(keys[1], b"no seal")
    assert broken(blobs) == Break(keys[1], "is not a seal")
    blobs.put(keys[1], kept)
    assert broken(blobs) is None


def test_the_end_of_everything_shows_by_a_hash_that_was_written_down(archive: Archive, blobs: FileBlobStore) -> None:
    anchor = verified(blobs).seal
    assert anchor is not None
    assert verify(archive, Seals(blobs), "main", anchor=anchor[1]).broken is None
    for key in [*blobs.list("seals/"), THIRD]:
        blobs.delete(key)
    assert broken(blobs) is None
    found = verify(archive, Seals(blobs), "main", anchor=anchor[1]).broken
    assert found == Break(seal_key("main", 1), "no seal has the hash that was written down")


def test_what_was_put_before_a_long_pause_of_the_schedule_is_sealed_after_it(
    archive: Archive, blobs: FileBlobStore
) -> None:
    archive.append(THIRTEEN, [call(2, hour=1)])
    seals, pause = Seals(blobs), timedelta(days=10)
    assert seal_recent(archive, seals, "main", AFTERNOON + pause) is not None
    assert seal_recent(archive, seals, "main", AFTERNOON + 2 * pause) is None
    blobs.delete(THIRTEEN.key(2))
    assert broken(blobs) == Break(THIRTEEN.key(2), "the object is missing; seal 2 names object 2")


def test_what_comes_late_is_sealed_at_once(archive: Archive, blobs: FileBlobStore) -> None:
    late = opened(blobs, after_put=seal_late(Seals(blobs), lambda: AFTERNOON + timedelta(days=3)))
    late.append(TWELVE, [call(9)])
    blobs.delete(TWELVE.key(4))
    assert broken(blobs) == Break(TWELVE.key(4), "the object is missing; seal 2 names object 4")
    recent = opened(blobs, after_put=seal_late(Seals(blobs), lambda: AFTERNOON))
    recent.append(TWELVE, [call(9)])
    last = Seals(blobs).last("main")
    assert last is not None
    assert last.n == 2


def erasing(blobs: FileBlobStore, n: int, *erases: Erasing) -> None:
    previous = read(blobs, TWELVE.key(n - 1)).chain.hash
    blobs.put(TWELVE.key(n), to_object(Chain(TWELVE, n, previous, (), erases), []))


def test_a_lawful_erasure_is_as_it_was_written(archive: Archive, blobs: FileBlobStore) -> None:
    found = read(blobs, SECOND)
    left = to_line(Erased(without_identity(call(4).record)))
    erasing(blobs, 4, Erasing(id_of(4), 0, line_hash(left)), Erasing(id_of(9), None, None))
    assert (verified(blobs).broken, verified(blobs).unfinished, verified(blobs).erased) == (None, 1, 0)
    lines = list(found.lines())
    blobs.put(SECOND, repacked(found, [lines[0], left]))
    assert (verified(blobs).broken, verified(blobs).unfinished, verified(blobs).erased) == (None, 0, 1)
    forged = left.replace(b"storage", b"request_log")
    blobs.put(SECOND, repacked(found, [lines[0], forged]))
    assert broken(blobs) == Break(SECOND, "is not what the erasure left of it", 2, id_of(4))


def test_an_erasure_of_another_object_erases_nothing_here(archive: Archive, blobs: FileBlobStore) -> None:
    found = read(blobs, SECOND)
    left = to_line(Erased(without_identity(call(4).record)))
    erasing(blobs, 4, Erasing(id_of(3), 0, line_hash(left)))
    blobs.put(SECOND, repacked(found, [next(found.lines()), left]))
    assert broken(blobs) == Break(SECOND, MEMBER, 2, id_of(4))


def test_hours_outside_the_window_or_past_their_time_are_left_aside(archive: Archive, blobs: FileBlobStore) -> None:
    blobs.delete(SECOND)
    seals, noon = Seals(blobs), TWELVE.start
    one = noon + timedelta(hours=1)
    assert verify(archive, seals, "main", since=one).hours == 1
    assert verify(archive, seals, "main", before=one).broken is not None
    found = verify(archive, seals, "main", kept_since=one)
    assert (found.broken, found.hours, found.expired) == (None, 1, 1)


def test_progress_is_told_by_the_hour(archive: Archive, blobs: FileBlobStore) -> None:
    told: list[tuple[int, int]] = []
    verify(archive, Seals(blobs), "main", progress=lambda done, of: told.append((done, of)))
    assert told == [(0, 2), (1, 2), (2, 2)]


def test_another_folder_of_the_same_files_verifies_alike(archive: Archive, tmp_path: Path) -> None:
    shutil.copytree(tmp_path, tmp_path / "copy")
    copy = FileBlobStore(tmp_path / "copy")
    assert verified(copy) == verified(FileBlobStore(tmp_path))


def _put(blobs: FileBlobStore, seal: Seal) -> None:
    blobs.put(seal_key(seal.workspace, seal.n), pack_line(canonical(seal.to_json())))
