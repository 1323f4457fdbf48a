"""Each member is in the archive once, however it was delivered."""

import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tests.ledger.engines import Engine
from weir.domain.errors import LedgerUnavailable
from weir.domain.ids import instant_of, uuid7
from weir.domain.record import Payload, Record
from weir.ledger.archive import Appended, Archive
from weir.ledger.archive_format import Call, Chain, Erasing, Member, MemberKey, Partition, to_object
from weir.ledger.files import FileBlobStore
from weir.ledger.ports import BlobStore

NOON = int(datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp()) * 1000
HOUR = 3_600_000
PARTITION = Partition("main", "2026-03-01", 12)


def call(number: int, revision: int = 0, *, hour: int = 0, workspace: str = "main") -> Call:
    id = uuid7(NOON + hour * HOUR + number * 1000, number)
    record = Record(
        id=id,
        workspace=workspace,
        environment="prod",
        created_at=instant_of(id),
        origin="storage",
        inference_location="CLIENT",
        session_id=f"s{number}",
        revision=revision,
    )
    return Call(record, None if revision else Payload(b'{"n":%d}' % number, b'"answer"'))


def key(member: Member) -> MemberKey:
    return member.record.id, member.record.revision


def opened(blobs: BlobStore, **more: Any) -> Archive:
    numbers = count()
    nonce = f"{secrets.token_hex(4)}-"
    return Archive(blobs, nonce=lambda: f"{nonce}{next(numbers)}", **more)


def held(archive: Archive, partition: Partition = PARTITION) -> list[Member]:
    """Everything a partition holds, its chain checked on the way."""
    found: list[Member] = []
    previous = None
    for n, number in enumerate(archive.objects(partition), start=1):
        read = archive.read(partition, number)
        assert read is not None
        assert (read.chain.partition, read.chain.n, read.chain.previous) == (partition, n, previous)
        previous = read.chain.hash
        found += read.members()
    return found


@pytest.fixture
def archive(engine: Engine) -> Archive:
    return opened(engine.blobs())


def test_what_is_appended_is_read_back(archive: Archive, engine: Engine) -> None:
    first, second = [call(1), call(2)], [call(3), call(1, revision=1)]
    assert archive.append(PARTITION, first) == Appended((1,), tuple(map(key, first)))
    assert archive.append(PARTITION, second) == Appended((2,), tuple(map(key, second)))
    assert held(opened(engine.blobs())) == first + second


def test_what_comes_again_is_left_out(archive: Archive, engine: Engine) -> None:
    archive.append(PARTITION, [call(1), call(2), call(3)])
    for other in (archive, opened(engine.blobs())):
        assert other.append(PARTITION, [call(3), call(2)]) == Appended((), ())
    assert opened(engine.blobs()).append(PARTITION, [call(3), call(4), call(4)]) == Appended((2,), (key(call(4)),))
    assert held(archive) == [call(1), call(2), call(3), call(4)]


def test_an_object_takes_no_more_than_it_may(engine: Engine) -> None:
    archive = opened(engine.blobs(), object_members=2)
    calls = [call(n) for n in range(5)]
    assert archive.append(PARTITION, iter(calls)) == Appended((1, 2, 3), tuple(map(key, calls)))
    assert held(archive) == calls
    small = opened(engine.blobs(), object_size=1)
    assert small.append(PARTITION, [call(6), call(7)]).objects == (4, 5)


def test_a_process_that_fell_behind_goes_on_after_the_others(engine: Engine) -> None:
    slow, fast = opened(engine.blobs()), opened(engine.blobs())
    slow.append(PARTITION, [call(1)])
    fast.append(PARTITION, [call(2)])
    fast.append(PARTITION, [call(3)])
    assert slow.append(PARTITION, [call(2), call(4)]) == Appended((4,), (key(call(4)),))
    assert held(fast) == [call(1), call(2), call(3), call(4)]


def test_a_member_is_found_by_its_id(archive: Archive) -> None:
    archive.append(PARTITION, [call(1), call(2)])
    archive.append(PARTITION, [call(3), call(2, revision=1)])
    id = call(2).record.id
    assert archive.find("main", id) == (call(2), call(2, revision=1))
    assert archive.member("main", id) == call(2, revision=1)
    assert archive.member("main", call(9).record.id) is None
    assert archive.member("other", id) is None


def test_partitions_come_in_the_order_of_time(archive: Archive) -> None:
    hours = [-30, -1, 0, 1, 2]
    for hour in reversed(hours):
        for number in (1, 2):
            found = call(number, hour=hour).record
            archive.append(Partition.of("main", found.id), [Call(found)])
    other = call(1, workspace="main2").record
    archive.append(Partition.of("main2", other.id), [Call(other)])
    partitions = [Partition.of("main", call(1, hour=hour).record.id) for hour in hours]
    assert list(archive.partitions("main")) == partitions
    noon = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
    assert list(archive.partitions("main", since=noon)) == partitions[2:]
    assert list(archive.partitions("main", before=noon)) == partitions[:3]
    assert list(archive.partitions("main", noon, noon)) == partitions[2:3]
    assert list(archive.partitions("nobody")) == []


def test_what_was_erased_does_not_come_back(engine: Engine) -> None:
    """Also where another process has erased it in the meantime."""
    archive = opened(engine.blobs())
    archive.append(PARTITION, [call(1)])
    chain = archive.head(PARTITION, 1)
    assert chain is not None
    gone = call(2).record.id
    engine.blobs().put(
        PARTITION.key(2), to_object(Chain(PARTITION, 2, chain.chain.hash, (), (Erasing(gone, None, None),)), [])
    )
    for other in (archive, opened(engine.blobs())):
        other.append(PARTITION, [call(2), call(3)])
    assert held(archive) == [call(1), call(3)]
    assert archive.erased(PARTITION) == {gone}


def test_a_head_of_any_size_is_read_without_its_members(engine: Engine) -> None:
    archive = opened(engine.blobs())
    calls = [Call(call(n).record) for n in range(3000)]  # hashes do not compress: about 200 KB
    archive.append(PARTITION, calls)
    head = archive.head(PARTITION, 1)
    assert head is not None
    assert [leaf[:2] for leaf in head.chain.leaves] == [key(call) for call in calls]
    assert opened(engine.blobs()).append(PARTITION, calls) == Appended((), ())


def test_a_record_of_another_hour_is_refused(archive: Archive) -> None:
    with pytest.raises(ValueError, match="another partition"):
        archive.append(PARTITION, [call(1, hour=1)])


class LosesAnswers:
    """A store whose puts arrive and whose answers sometimes do not."""

    def __init__(self, blobs: BlobStore, random: Random) -> None:
        self._blobs, self._random = blobs, random
        self.get, self.get_range, self.list = blobs.get, blobs.get_range, blobs.list
        self.put, self.delete = blobs.put, blobs.delete

    def put_new(self, key: str, content: bytes) -> bool:
        put = self._blobs.put_new(key, content)
        fate = self._random.random()
        if fate < 0.2:
            raise LedgerUnavailable("The answer was lost.")
        return put and fate < 0.6  # a client that tries again by itself is told that something lies there


def test_many_projectors_at_once_append_each_member_once(tmp_path: Path) -> None:
    calls = [call(n) for n in range(200)]

    def project(seed: int) -> list[MemberKey]:
        random = Random(seed)
        archive = opened(LosesAnswers(FileBlobStore(tmp_path), random), object_members=7)
        new: list[MemberKey] = []
        for _ in range(40):
            batch = random.sample(calls, random.randint(1, 20))
            try:
                new += archive.append(PARTITION, batch).new
            except LedgerUnavailable:
                continue
        return new

    with ThreadPoolExecutor(6) as threads:
        said = [key for keys in threads.map(project, range(6)) for key in keys]
    found = [key(member) for member in held(opened(FileBlobStore(tmp_path)))]
    assert len(found) == len(set(found))
    assert set(said) <= set(found)
    assert len(said) == len(set(said))
    opened(FileBlobStore(tmp_path)).append(PARTITION, calls)
    assert sorted(map(key, held(opened(FileBlobStore(tmp_path))))) == sorted(map(key, calls))


class Deliveries(RuleBasedStateMachine):
    """Batches redelivered, split, reordered and mixed, to processes that come, go and fall behind."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = TemporaryDirectory()
        self._blobs = FileBlobStore(Path(self._folder.name))
        self._archives = [self._open() for _ in range(3)]
        self._expected: set[MemberKey] = set()

    def _open(self) -> Archive:
        return opened(LosesAnswers(self._blobs, Random(7)), object_members=3)

    @rule(
        which=st.integers(0, 2),
        batch=st.lists(st.builds(call, st.integers(0, 12), st.integers(0, 2)), max_size=8),
    )
    def deliver(self, which: int, batch: list[Call]) -> None:
        while True:  # as a change feed does
            try:
                appended = self._archives[which].append(PARTITION, batch)
            except LedgerUnavailable:
                continue
            break
        assert set(appended.new) <= set(map(key, batch))
        self._expected |= set(map(key, batch))

    @rule(which=st.integers(0, 2))
    def restart(self, which: int) -> None:
        self._archives[which] = self._open()

    @invariant()
    def each_is_there_once(self) -> None:
        found = [key(member) for member in held(opened(self._blobs))]
        assert sorted(found) == sorted(self._expected)

    def teardown(self) -> None:
        self._folder.cleanup()


TestDeliveries = Deliveries.TestCase
TestDeliveries.settings = settings(max_examples=25, stateful_step_count=15, deadline=None)


def test_an_id_that_is_none_of_ours_is_not_looked_for(archive: Archive) -> None:
    with pytest.raises(ValueError, match="version 7"):
        archive.find("main", "order-1")


def test_reading_is_lazy(archive: Archive) -> None:
    archive.append(PARTITION, [call(1), call(2)])
    read = archive.read(PARTITION, 1)
    assert read is not None
    assert isinstance(read.members(), Iterator)
    assert archive.read(PARTITION, 2) is None
    assert archive.head(PARTITION, 2) is None
