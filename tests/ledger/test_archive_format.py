"""Archive objects hold what was put into them, and nobody in what is left of the erased."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import strategies
from tests.ledger.test_items import FULLEST, SMALLEST
from weir.domain.record import Failure, Payload, Record
from weir.ledger.archive_format import (
    Broken,
    Call,
    Chain,
    Erased,
    Erasing,
    Leaf,
    Member,
    Partition,
    canonical,
    from_line,
    line_hash,
    pack,
    pack_line,
    placed,
    read_head,
    read_object,
    to_line,
    to_object,
    without_identity,
)

PARTITION = Partition("main", "2026-01-01", 0)
calls = st.builds(Call, strategies.records(), st.none() | strategies.payloads)


@given(member=calls | st.builds(Erased, strategies.records()))
def test_a_member_is_read_as_it_was_written(member: Member) -> None:
    assert from_line(to_line(member, "nonce")) == member


@given(members=st.lists(calls, max_size=4), erases=st.lists(st.builds(Erasing, strategies.ids, st.none(), st.none())))
def test_an_object_is_read_as_it_was_written(members: list[Member], erases: list[Erasing]) -> None:
    packed = [pack(member, str(number)) for number, member in enumerate(members)]
    chain = Chain(PARTITION, 7, "hash", tuple(each.leaf for each in packed), tuple(erases))
    content = to_object(chain, [each.content for each in packed])
    found = read_object(content)
    assert found.chain == chain
    assert found.chain.hash == chain.hash
    assert list(found.members()) == members
    assert [line_hash(line) for line in found.lines()] == [leaf.sha256 for leaf in chain.leaves]
    assert [content[start : start + length] for start, length in found.head.ranges()] == [p.content for p in packed]
    assert read_head(content[: found.head.size - 1]) is None
    assert read_head(content[: found.head.size]) == found.head


def test_what_is_left_of_an_erased_call_names_nobody() -> None:
    left = without_identity(replace(FULLEST, failure=Failure("ProviderUnavailable", "Ann is unknown", "c", 529)))
    line = to_line(Erased(left)).decode()
    personal = ("order-1", '"s1"', '"r1"', '"u1"', '"c1"', "tier", "Ann")
    assert [text for text in personal if text in line] == []
    assert left.failure == Failure("ProviderUnavailable", "", "c", 529)
    counted = ("application", "intent", "provider", "model", "claimed_usage", "computed_cost", "latency_ms", "outcome")
    assert [getattr(left, name) for name in counted] == [getattr(FULLEST, name) for name in counted]


def test_the_nonce_hides_what_a_hash_would_tell() -> None:
    assert pack(Call(SMALLEST), "a").leaf.sha256 != pack(Call(SMALLEST), "b").leaf.sha256


def test_the_hash_of_an_object_is_that_of_its_chain_alone() -> None:
    chain = Chain(PARTITION, 1, None, (Leaf("a", 0, "x"),))
    text = '{"date":"2026-01-01","erases":[],"hour":0,"leaves":[["a",0,"x"]],"n":1,"previous":null,"workspace":"main"}'
    assert canonical(chain.to_json()) == text.encode()
    assert chain.hash == line_hash(text.encode())


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"plain",
        pack_line(b"[]"),
        pack_line(b'{"chain":{},"lengths":[]}'),
        pack_line(b"not JSON"),
        to_object(Chain(PARTITION, 1, None, (Leaf("a", 0, "x"),)), []),
        to_object(Chain(PARTITION, 1, None, ()), [pack_line(b"more")]),
        to_object(Chain(PARTITION, 1, None, ()), []) + b"more",
        to_object(Chain(PARTITION, 1, None, ()), [])[:-1],
    ],
)
def test_what_is_no_object_is_broken(content: bytes) -> None:
    with pytest.raises(Broken):
        read_object(content)


@pytest.mark.parametrize("line", [b"", b"[]", b"{}", b'{"kind":"other"}', b'{"kind":"call"}', b'{"kind":"erased"}'])
def test_what_is_no_member_is_broken(line: bytes) -> None:
    with pytest.raises(Broken):
        from_line(line)


@given(record=strategies.records(), n=st.integers(1, 999_999))
def test_a_key_says_where_an_object_belongs(record: Record, n: int) -> None:
    partition = Partition.of(record.workspace, record.id)
    assert placed(record.workspace, partition.key(n)) == (partition, n)
    assert placed(f"{record.workspace}x", partition.key(n)) is None


@pytest.mark.parametrize("n", [0, -1, 1_000_000])
def test_a_partition_ends(n: int) -> None:
    with pytest.raises(ValueError, match="999999"):
        PARTITION.key(n)


def test_a_payload_that_is_no_text_is_kept_too() -> None:
    call = Call(SMALLEST, Payload(b"{}", b"null", b"\xff\x00"))
    assert from_line(to_line(call)) == call
