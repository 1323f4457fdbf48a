"""What every engine does. An engine joins by a fixture in conftest.py."""

import math
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import astuple, replace
from datetime import UTC, datetime
from decimal import Decimal
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests import strategies
from tests.ledger.engines import Engine
from weir.domain.annotation import METADATA_KEYS_LIMIT, Annotation, annotated
from weir.domain.completion import Usage
from weir.domain.errors import LedgerUnavailable, RequestInvalid
from weir.domain.ids import instant_of, uuid7
from weir.domain.record import Environment, Failure, Record
from weir.domain.totals import GroupField, Totals, grouped
from weir.ledger.ports import Entry, Kept, RecordStore

NOON = int(datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp()) * 1000
HOUR = 3_600_000
WAIT_S = 20
_numbers = count()
one_engine_for_all_examples = settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def record(
    milliseconds: int = NOON,
    random: int = 1,
    workspace: str = "main",
    caller_id: str | None = None,
    model: str | None = None,
) -> Record:
    id = uuid7(milliseconds, random)
    return Record(
        id=id,
        workspace=workspace,
        environment="prod",
        created_at=instant_of(id),
        origin="storage",
        inference_location="CLIENT",
        caller_id=caller_id,
        model=model,
    )


def keep(store: RecordStore, *entries: Entry) -> list[Kept]:
    futures = [store.submit(entry) for entry in entries]
    return [future.result(WAIT_S) for future in futures]


def test_a_record_is_kept_with_its_payload(records: RecordStore) -> None:
    entry = Entry(record(), inline=b"\x1f\x8bcontent")
    assert keep(records, entry) == [Kept(entry.record.id, new=True)]
    assert records.get("main", entry.record.id) == entry


@pytest.mark.parametrize(
    "entry",
    [
        Entry(record()),
        Entry(record(), inline=b""),
        Entry(record(), inline=bytes(range(256)) * 400),
        Entry(record(), blob_key="payloads/main/20260301/x.json.gz"),
    ],
    ids=["no payload", "empty", "100 KB", "blob"],
)
def test_a_payload_lies_beside_its_record_or_in_a_blob(records: RecordStore, entry: Entry) -> None:
    keep(records, entry)
    assert records.get("main", entry.record.id) == entry


@one_engine_for_all_examples
@given(found=strategies.records(), inline=st.none() | st.binary(max_size=20))
def test_any_record_is_read_as_it_was_written(records: RecordStore, found: Record, inline: bytes | None) -> None:
    milliseconds = int(found.created_at.timestamp() * 1000)
    id = uuid7(milliseconds, next(_numbers))  # examples repeat ids and callers' ids, which are kept once
    caller_id = None if found.caller_id is None else f"{id} {found.caller_id}"
    entry = Entry(replace(found, id=id, created_at=instant_of(id), caller_id=caller_id), inline)
    assert keep(records, entry) == [Kept(id, new=True)]
    assert records.get(found.workspace, id) == entry
    if caller_id is not None:
        assert records.get(found.workspace, caller_id) == entry


def test_the_same_id_again_is_the_same_record(records: RecordStore) -> None:
    first, again = Entry(record(model="first"), b"first"), Entry(record(model="again"), b"again")
    assert keep(records, first) == [Kept(first.record.id, new=True)]
    assert keep(records, again) == [Kept(first.record.id, new=False)]
    assert records.get("main", first.record.id) == first
    assert records.newest("main", limit=10) == (first.record,)


def test_the_same_callers_id_again_is_the_same_record(records: RecordStore) -> None:
    first = Entry(record(random=1, caller_id="order-1"), b"first")
    again = Entry(record(NOON + 30 * HOUR, 2, caller_id="order-1"), b"again")
    assert keep(records, first) == [Kept(first.record.id, new=True)]
    assert keep(records, again) == [Kept(first.record.id, new=False)]
    assert records.get("main", "order-1") == first
    assert records.get("main", again.record.id) is None
    assert records.newest("main", limit=10) == (first.record,)


def test_of_many_at_once_with_the_same_callers_id_one_is_kept(records: RecordStore) -> None:
    entries = [Entry(record(random=n, caller_id="order-1", model=str(n)), b"%d" % n) for n in range(16)]
    with ThreadPoolExecutor(16) as threads:
        kept = list(threads.map(lambda entry: keep(records, entry)[0], entries))
    assert [result.new for result in kept].count(True) == 1
    (id,) = {result.id for result in kept}
    (listed,) = records.newest("main", limit=100)
    found = records.get("main", "order-1")
    assert found is not None
    assert found.record == listed
    assert found.record.id == id
    assert found.inline == str(found.record.model).encode()  # the payload that came with it


def test_a_callers_id_belongs_to_its_workspace(records: RecordStore) -> None:
    entries = [Entry(record(random=n, workspace=f"team{n}", caller_id="order-1"), b"%d" % n) for n in range(2)]
    assert [kept.new for kept in keep(records, *entries)] == [True, True]
    assert [records.get(f"team{n}", "order-1") for n in range(2)] == entries


def test_another_workspace_sees_nothing(records: RecordStore) -> None:
    entry = Entry(record(workspace="main", caller_id="order-1"), b"content")
    keep(records, entry)
    for workspace in ("other", "", "main#", "main#20260301", "main%23", "Main"):
        assert records.get(workspace, entry.record.id) is None
        assert records.get(workspace, "order-1") is None
        assert records.newest(workspace, limit=10) == ()


@pytest.mark.parametrize(
    "id",
    [
        uuid7(NOON, 99),
        "",
        "#",
        "no such id",
        "x" * 5000,
        "ffffffff-ffff-7fff-bfff-ffffffffffff",
        "9073926b-929f-41c2-a012-ab6f8fd3a9a5",
    ],
    ids=["unused", "empty", "separator", "words", "long", "later than any date", "another version"],
)
def test_what_was_never_kept_is_not_found(records: RecordStore, id: str) -> None:
    keep(records, Entry(record()))
    assert records.get("main", id) is None


def test_a_callers_id_may_look_like_one_of_ours(records: RecordStore) -> None:
    """Whoever sends ids of that form finds their own record by them, also when another record has that id."""
    ours = Entry(record(random=1), b"ours")
    theirs = Entry(record(random=2, caller_id=ours.record.id), b"theirs")
    keep(records, ours)
    assert keep(records, theirs) == [Kept(theirs.record.id, new=True)]
    assert records.get("main", ours.record.id) == theirs
    assert records.get("main", theirs.record.id) == theirs


def test_an_attempt_that_died_half_way_does_not_block_the_callers_id(engine: Engine, records: RecordStore) -> None:
    died = Entry(record(NOON, 1, caller_id="order-1", model="died"), b"died")
    again = Entry(record(NOON + 30 * HOUR, 2, caller_id="order-1", model="again"), b"again")
    with engine.refusing_records(), pytest.raises(LedgerUnavailable):
        keep(records, died)
    assert records.get("main", "order-1") is None
    assert records.newest("main", limit=10) == ()

    (kept,) = keep(records, again)
    assert kept.new
    expected = Entry(replace(again.record, id=kept.id, created_at=instant_of(kept.id)), b"again")
    assert records.get("main", "order-1") == expected
    assert records.get("main", kept.id) == expected
    assert records.newest("main", limit=10) == (expected.record,)
    assert keep(records, replace(died, record=replace(died.record, id=uuid7(NOON, 3)))) == [Kept(kept.id, new=False)]


def test_an_attempt_that_died_half_way_hides_no_record(engine: Engine, records: RecordStore) -> None:
    ours = Entry(record(random=1), b"ours")
    theirs = Entry(record(random=2, caller_id=ours.record.id), b"theirs")
    keep(records, ours)
    with engine.refusing_records(), pytest.raises(LedgerUnavailable):
        keep(records, theirs)
    assert records.get("main", ours.record.id) == ours


def test_a_claimed_callers_id_waits_for_its_record(records: RecordStore) -> None:
    entry = Entry(record(random=1, caller_id="order-1"), b"content")
    assert records.claim("main", "order-1", entry.record.id) == entry.record.id
    assert records.claim("main", "order-1", uuid7(NOON, 2)) == entry.record.id
    assert records.claim("main", "order-1", entry.record.id) == entry.record.id
    assert records.claim("other", "order-1", uuid7(NOON, 2)) == uuid7(NOON, 2)
    assert records.get("main", "order-1") is None
    assert records.newest("main", limit=10) == ()
    assert keep(records, replace(entry, claimed=True)) == [Kept(entry.record.id, new=True)]
    assert records.get("main", "order-1") == entry
    assert records.claim("main", "order-1", uuid7(NOON, 2)) == entry.record.id


def test_a_record_under_a_claimed_id_takes_the_place_of_the_one_to_come(records: RecordStore) -> None:
    claimed = Entry(record(random=1, caller_id="order-1", model="claimed"), b"claimed", claimed=True)
    quick = Entry(record(NOON + 30 * HOUR, 2, caller_id="order-1", model="quick"), b"quick")
    records.claim("main", "order-1", claimed.record.id)
    assert keep(records, quick) == [Kept(claimed.record.id, new=True)]
    assert keep(records, claimed) == [Kept(claimed.record.id, new=False)]
    at = instant_of(claimed.record.id)
    expected = Entry(replace(quick.record, id=claimed.record.id, created_at=at), b"quick")
    assert records.get("main", "order-1") == expected
    assert records.newest("main", limit=10) == (expected.record,)


def test_a_claim_moves_from_what_it_stood_for_and_from_nothing_else(records: RecordStore) -> None:
    failed = Entry(record(random=1, caller_id="order-1", model="failed"), b"failed")
    again = Entry(record(random=2, caller_id="order-1", model="again"), b"again", claimed=True)
    keep(records, failed)
    assert records.claim("main", "order-1", again.record.id, instead_of=uuid7(NOON, 9)) == failed.record.id
    assert records.claim("main", "order-1", again.record.id, instead_of=failed.record.id) == again.record.id
    assert records.claim("main", "order-1", uuid7(NOON, 3), instead_of=failed.record.id) == again.record.id
    assert keep(records, again) == [Kept(again.record.id, new=True)]
    assert records.get("main", "order-1") == replace(again, claimed=False)
    assert records.get("main", failed.record.id) == failed


def test_a_claim_is_given_up_by_who_has_it(records: RecordStore) -> None:
    records.claim("main", "order-1", uuid7(NOON, 1))
    assert records.claim("main", "order-1", None, instead_of=uuid7(NOON, 2)) == uuid7(NOON, 1)
    assert records.claim("main", "order-1", None, instead_of=uuid7(NOON, 1)) is None
    assert records.claim("main", "order-1", None, instead_of=uuid7(NOON, 1)) is None
    assert records.claim("main", "order-1", uuid7(NOON, 3)) == uuid7(NOON, 3)


def test_a_claim_hides_no_record_whose_own_id_it_is(records: RecordStore) -> None:
    ours = Entry(record(random=1), b"ours")
    keep(records, ours)
    records.claim("main", ours.record.id, uuid7(NOON, 2))
    assert records.get("main", ours.record.id) == ours


def test_a_broken_engine_claims_nothing(engine: Engine, records: RecordStore) -> None:
    with engine.broken(), pytest.raises(LedgerUnavailable):
        records.claim("main", "order-1", uuid7(NOON, 1))


def test_what_was_refused_is_not_there_and_may_be_sent_again(engine: Engine, records: RecordStore) -> None:
    before, refused = Entry(record(random=1), b"before"), Entry(record(random=2), b"refused")
    keep(records, before)
    with engine.refusing_records(), pytest.raises(LedgerUnavailable):
        keep(records, refused)
    assert records.get("main", refused.record.id) is None
    assert records.newest("main", limit=10) == (before.record,)
    assert keep(records, refused) == [Kept(refused.record.id, new=True)]
    assert records.get("main", refused.record.id) == refused


def test_a_broken_engine_is_unavailable_and_nothing_else(engine: Engine, records: RecordStore) -> None:
    entry = Entry(record(caller_id="order-1"), b"content")
    keep(records, entry)
    with engine.broken():
        with pytest.raises(LedgerUnavailable):
            keep(records, Entry(record(random=2), b"content"))
        with pytest.raises(LedgerUnavailable):
            records.get("main", entry.record.id)
        with pytest.raises(LedgerUnavailable):
            records.newest("main", limit=10)
        with pytest.raises(LedgerUnavailable):
            records.delete("main", entry.record.id)
    assert records.get("main", "order-1") == entry


def test_who_stops_waiting_does_not_stop_the_write(engine: Engine, records: RecordStore) -> None:
    entries = [Entry(record(random=n), b"content") for n in range(64)]
    with engine.stalled():
        futures = [records.submit(entry) for entry in entries]
        assert not any(future.cancel() for future in futures)
    assert [future.result(WAIT_S) for future in futures] == [Kept(entry.record.id, new=True) for entry in entries]


def test_a_record_that_cannot_be_written_harms_no_other(engine: Engine, records: RecordStore) -> None:
    unwritable = replace(record(random=1), metadata={"when": object()})
    entry = Entry(record(random=2), b"content")
    with pytest.raises(ValueError, match="serialize"):
        keep(records, Entry(unwritable))
    assert keep(records, entry) == [Kept(entry.record.id, new=True)]


def test_newest_come_first_across_days(records: RecordStore) -> None:
    found = [record(NOON + n * 5 * HOUR, n) for n in range(20)]  # over five days
    keep(records, *(Entry(item) for item in found[::2]), *(Entry(item) for item in found[1::2]))
    assert records.newest("main", limit=100) == tuple(reversed(found))
    assert records.newest("main", limit=3) == tuple(reversed(found[-3:]))
    assert records.newest("main", limit=0) == ()


def test_pages_follow_each_other_without_a_gap(records: RecordStore) -> None:
    found = [record(NOON + n // 3 * 11 * HOUR, n) for n in range(25)]
    keep(records, *map(Entry, found))
    pages: list[tuple[Record, ...]] = []
    before: str | None = None
    for _ in range(8):
        pages.append(records.newest("main", limit=4, before=before))
        before = pages[-1][-1].id if pages[-1] else before
    assert [item for page in pages for item in page] == found[::-1]
    assert [len(page) for page in pages] == [4, 4, 4, 4, 4, 4, 1, 0]


@one_engine_for_all_examples
@given(
    moments=st.sets(st.tuples(st.integers(NOON, NOON + 100 * HOUR), st.integers(0, 3)), max_size=30),
    limit=st.integers(0, 12),
    before=st.none()
    | st.builds(uuid7, st.integers(NOON, NOON + 100 * HOUR), st.integers(0, 3))
    | st.sampled_from(["", "0", "g", "ffffffff-ffff-7fff-bfff-ffffffffffff"]),
)
def test_newest_are_the_last_of_the_sorted_ids(
    records: RecordStore, moments: set[tuple[int, int]], limit: int, before: str | None
) -> None:
    workspace = f"workspace {next(_numbers)}"
    keep(records, *(Entry(record(*moment, workspace=workspace)) for moment in moments))
    ids = sorted((uuid7(*moment) for moment in moments), reverse=True)
    expected = [id for id in ids if before is None or id < before][:limit]
    assert [item.id for item in records.newest(workspace, limit=limit, before=before)] == expected


@one_engine_for_all_examples
@given(
    moments=st.sets(st.tuples(st.integers(NOON, NOON + 100 * HOUR), st.integers(0, 3)), max_size=30),
    since=st.builds(uuid7, st.integers(NOON, NOON + 100 * HOUR), st.integers(0, 3)) | st.sampled_from(["", "0", "g"]),
    before=st.none()
    | st.builds(uuid7, st.integers(NOON, NOON + 100 * HOUR), st.integers(0, 3))
    | st.sampled_from(["", "0", "g"]),
)
def test_a_window_holds_its_first_id_and_not_its_last(
    records: RecordStore, moments: set[tuple[int, int]], since: str, before: str | None
) -> None:
    workspace = f"workspace {next(_numbers)}"
    keep(records, *(Entry(record(*moment, workspace=workspace)) for moment in moments))
    ids = sorted((uuid7(*moment) for moment in moments), reverse=True)
    expected = [id for id in ids if since <= id and (before is None or id < before)]
    assert [item.id for item in records.newest(workspace, limit=50, before=before, since=since)] == expected
    assert [item.id for item in records.newest(workspace, limit=2, before=before, since=since)] == expected[:2]


CORRECTED = datetime(2026, 3, 1, 12, tzinfo=UTC)
ANNOTATION = Annotation(
    note="checked",
    positive_feedback=True,
    custom_identifier="c",
    corrected_at=CORRECTED,
    session_review={"feedback": 1},
    metadata={"b": 2, "c": "3"},
)
PLACE_IN_A_TRACE: dict[str, Any] = {
    "session_id": "session",
    "customer_identifier": "customer",
    "trace_id": "t" * 32,
    "span_id": "s" * 16,
    "parent_span_id": "p" * 16,
    "span_name": "chat",
    "workflow_name": "answer",
}


def test_an_annotation_changes_its_fields_and_nothing_else(records: RecordStore) -> None:
    entry = Entry(replace(record(caller_id="order-1"), metadata={"a": 1, "b": 1}), b"content")
    keep(records, entry)
    expected = replace(
        entry.record,
        note="checked",
        positive_feedback=True,
        custom_identifier="c",
        corrected_at=CORRECTED,
        session_review={"feedback": 1},
        metadata={"a": 1, "b": 2, "c": "3"},
        revision=1,
    )
    assert records.annotate("main", entry.record.id, ANNOTATION) == expected
    assert records.get("main", "order-1") == replace(entry, record=expected)
    assert records.newest("main", limit=10) == (expected,)


def test_an_annotation_gives_a_record_its_place_in_a_trace(records: RecordStore) -> None:
    entry = Entry(record(), b"content")
    keep(records, entry)
    expected = replace(entry.record, **PLACE_IN_A_TRACE, revision=1)
    assert records.annotate("main", entry.record.id, Annotation(**PLACE_IN_A_TRACE)) == expected
    assert records.get("main", entry.record.id) == replace(entry, record=expected)


def test_an_annotation_finds_the_record_by_the_callers_id(records: RecordStore) -> None:
    entry = Entry(record(caller_id="order-1"), blob_key="payloads/main/20260301/x.json.gz")
    keep(records, entry)
    expected = replace(entry.record, note="n", revision=1)
    assert records.annotate("main", "order-1", Annotation(note="n")) == expected
    assert records.get("main", entry.record.id) == replace(entry, record=expected)


def test_a_later_annotation_keeps_what_it_does_not_name(records: RecordStore) -> None:
    entry = Entry(record())
    keep(records, entry)
    records.annotate("main", entry.record.id, ANNOTATION)
    changed = records.annotate("main", entry.record.id, Annotation(note=None, metadata={"b": None, "d": 4}))
    expected = replace(
        entry.record,
        positive_feedback=True,
        custom_identifier="c",
        corrected_at=CORRECTED,
        session_review={"feedback": 1},
        metadata={"c": "3", "d": 4},
        revision=2,
    )
    assert changed == expected
    again = records.annotate("main", entry.record.id, Annotation(note=None, metadata={"d": 4}))
    assert again == expected  # nothing has changed


@pytest.mark.parametrize(("workspace", "id"), [("main", "nobody"), ("main", uuid7(NOON, 9)), ("other", "order-1")])
def test_what_is_not_there_is_not_annotated(records: RecordStore, workspace: str, id: str) -> None:
    entry = Entry(record(caller_id="order-1"))
    keep(records, entry)
    assert records.annotate(workspace, id, ANNOTATION) is None
    assert records.newest("main", limit=10) == (entry.record,)


def test_what_is_deleted_is_gone_from_everywhere(records: RecordStore) -> None:
    gone = replace(record(random=1, caller_id="order-1"), session_id="s", customer_identifier="c", application="a")
    entries = [
        Entry(replace(gone, intent="i"), b"gone"),
        Entry(record(random=2, caller_id="order-2"), b"stays"),
        Entry(record(random=3), blob_key="payloads/main/20260301/x.json.gz"),
    ]
    keep(records, *entries)
    assert [records.delete("main", entry.record.id) for entry in (entries[0], entries[2])] == [True, True]
    assert records.newest("main", limit=10) == (entries[1].record,)
    assert [records.get("main", id) for id in (gone.id, "order-1", entries[2].record.id)] == [None, None, None]
    assert records.of_session("main", "s", limit=10) == ()
    assert records.of_customer("main", "c", limit=10) == ()
    assert records.of_intent("main", "a", "i", limit=10) == ()
    assert records.get("main", "order-2") == entries[1]
    again = Entry(record(random=4, caller_id="order-1"), b"again")
    assert keep(records, again) == [Kept(again.record.id, new=True)]
    assert records.get("main", "order-1") == again


@pytest.mark.parametrize(("workspace", "id"), [("main", "order-1"), ("other", None), ("main", uuid7(NOON, 9))])
def test_only_an_id_of_ours_is_deleted(records: RecordStore, workspace: str, id: str | None) -> None:
    entry = Entry(record(caller_id="order-1"), b"content")
    keep(records, entry)
    assert not records.delete(workspace, id or entry.record.id)
    assert records.get("main", "order-1") == entry


def test_the_claim_of_another_record_outlives_the_deleted_one(records: RecordStore) -> None:
    first, second = Entry(record(random=1, caller_id="order-1"), b"1"), Entry(record(random=2), b"2")
    keep(records, first, second)
    assert records.claim("main", "order-1", second.record.id, instead_of=first.record.id) == second.record.id
    assert records.delete("main", first.record.id)
    assert records.get("main", "order-1") == second


def test_what_a_dead_attempt_left_is_deleted_too(engine: Engine, records: RecordStore) -> None:
    died = Entry(record(caller_id="order-1"), b"died")
    with engine.refusing_records(), pytest.raises(LedgerUnavailable):
        keep(records, died)
    again = Entry(record(random=2, caller_id="order-1"), b"again")
    (kept,) = keep(records, again)
    assert records.delete("main", kept.id)
    assert not records.delete("main", kept.id)
    assert records.get("main", "order-1") is None
    (anew,) = keep(records, Entry(record(random=3, caller_id="order-1"), b"anew"))
    assert anew == Kept(uuid7(NOON, 3), new=True)


def test_of_many_annotations_at_once_none_is_lost(records: RecordStore) -> None:
    entry = Entry(record())
    keep(records, entry)
    with ThreadPoolExecutor(3) as threads:
        list(
            threads.map(lambda n: records.annotate("main", entry.record.id, Annotation(metadata={str(n): n})), range(3))
        )
    assert records.newest("main", limit=1) == (
        replace(entry.record, metadata={str(n): n for n in range(3)}, revision=3),
    )


def test_an_annotation_beyond_the_limit_changes_nothing_and_harms_no_other(records: RecordStore) -> None:
    entry = Entry(replace(record(), metadata={str(n): n for n in range(METADATA_KEYS_LIMIT)}))
    keep(records, entry)
    with pytest.raises(RequestInvalid, match="metadata"):
        records.annotate("main", entry.record.id, Annotation(note="n", metadata={"one more": 1}))
    assert records.newest("main", limit=1) == (entry.record,)
    keep(records, Entry(record(random=2)))


def test_a_broken_engine_annotates_nothing(engine: Engine, records: RecordStore) -> None:
    entry = Entry(record())
    keep(records, entry)
    with engine.broken(), pytest.raises(LedgerUnavailable):
        records.annotate("main", entry.record.id, ANNOTATION)
    assert records.newest("main", limit=1) == (entry.record,)


LARGE = {f"tag {n}": "größe " * 200 for n in range(20)}
"""Far more than an item of DynamoDB's may take where it is to cost one write unit."""


@pytest.mark.parametrize(
    "entry", [Entry(record()), Entry(record(), b"content"), Entry(record(), blob_key="payloads/x")]
)
def test_a_record_is_read_whole_however_much_it_says(records: RecordStore, entry: Entry) -> None:
    large = replace(
        entry,
        record=replace(
            entry.record,
            metadata=LARGE,
            warnings=("w" * 900, "v" * 900),
            session_id="s" * 900,
            failure=Failure("ProviderRejected", "It broke. " * 50),
            claimed_usage=Usage(1, 2),
        ),
    )
    plain = [replace(record(NOON + n, n), session_id="s" * 900) for n in range(2, 20)]
    keep(records, large, *map(Entry, plain))
    assert records.get("main", entry.record.id) == large
    assert records.newest("main", limit=30) == (*plain[::-1], large.record)
    assert records.of_session("main", "s" * 900, limit=30) == (large.record, *plain)


def test_a_list_of_many_large_records_is_whole(records: RecordStore) -> None:
    found = [replace(record(NOON + n, n), metadata={**LARGE, "n": n}, session_id="s") for n in range(130)]
    keep(records, *map(Entry, found))
    assert records.newest("main", limit=200) == tuple(reversed(found))
    assert records.of_session("main", "s", limit=200) == tuple(found)


def test_a_record_grows_and_shrinks_by_annotations(records: RecordStore) -> None:
    entry = Entry(replace(record(), session_id="s"), b"content")
    keep(records, entry)
    steps = [
        Annotation(metadata=LARGE),
        Annotation(note="n" * 500),
        Annotation(metadata={"tag 3": None}),
        Annotation(note=None),
        Annotation(metadata=dict.fromkeys(LARGE)),
        Annotation(metadata=LARGE, note="again"),
    ]
    expected = entry.record
    for step in steps:
        expected = annotated(expected, step)
        assert records.annotate("main", entry.record.id, step) == expected
        assert records.get("main", entry.record.id) == replace(entry, record=expected)
        assert records.newest("main", limit=9) == records.of_session("main", "s", limit=9) == (expected,)


def test_of_many_large_annotations_at_once_none_is_lost(records: RecordStore) -> None:
    entry = Entry(replace(record(), metadata=LARGE), b"content")
    keep(records, entry)
    with ThreadPoolExecutor(3) as threads:
        list(
            threads.map(lambda n: records.annotate("main", entry.record.id, Annotation(metadata={str(n): n})), range(3))
        )
    assert records.newest("main", limit=1) == (
        replace(entry.record, metadata={**LARGE, **{str(n): n for n in range(3)}}, revision=3),
    )


def test_what_a_refused_attempt_left_behind_is_not_taken_for_anothers(engine: Engine, records: RecordStore) -> None:
    """The same id with another content comes of a call that is kept under another id than its caller's at first."""
    refused = Entry(replace(record(), metadata=LARGE), b"refused")
    kept = Entry(replace(record(), metadata={**LARGE, "tag 1": "other " * 200}), b"kept")
    with engine.refusing_records(), pytest.raises(LedgerUnavailable):
        keep(records, refused)
    assert keep(records, kept) == [Kept(kept.record.id, new=True)]
    assert keep(records, refused) == [Kept(kept.record.id, new=False)]
    assert records.get("main", kept.record.id) == kept
    assert records.newest("main", limit=9) == (kept.record,)
    changed = records.annotate("main", kept.record.id, Annotation(metadata={"tag 2": None}))
    assert changed is not None
    assert records.get("main", kept.record.id) == replace(kept, record=changed)


@one_engine_for_all_examples
@given(
    found=st.lists(strategies.records(), max_size=8),
    group_by=st.none() | st.sampled_from(["model", "customer_identifier", "trace_id"]),
    environment=st.none() | st.sampled_from(["prod", "test"]),
)
def test_an_engine_that_sums_sums_right(
    records: RecordStore, found: list[Record], group_by: GroupField | None, environment: Environment | None
) -> None:
    workspace = f"workspace {next(_numbers)}"
    kept = [
        replace(item, id=(id := uuid7(NOON + n, next(_numbers))), created_at=instant_of(id), workspace=workspace,
                caller_id=None)
        for n, item in enumerate(found)
    ]  # fmt: skip
    keep(records, *map(Entry, kept))
    totals = records.totals(workspace, group_by=group_by, before=uuid7(NOON + 6, 0), environment=environment)
    if totals is not None:
        inside = [item for item in kept[:6] if environment in (None, item.environment)]
        expected = grouped(inside, group_by)
        assert totals.keys() == expected.keys()
        assert all(nearly(totals[key], expected[key]) for key in expected)


def nearly(one: Totals, other: Totals) -> bool:
    pairs = zip(astuple(one), astuple(other), strict=True)
    return all(math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-10) for a, b in pairs)


def test_the_sum_of_many_small_costs_is_exact(records: RecordStore) -> None:
    keep(records, *(Entry(replace(record(NOON, n), claimed_cost=Decimal("0.0025"))) for n in range(400)))
    totals = records.totals("main")
    assert totals is None or totals == {None: Totals(records=400, priced=400, cost=Decimal(1))}


def test_closing_finishes_what_was_submitted_and_takes_no_more(engine: Engine) -> None:
    entries = [Entry(record(NOON + n * HOUR, n, caller_id=f"order-{n}"), b"%d" % n) for n in range(40)]
    store = engine.open()
    futures = [store.submit(entry) for entry in entries]
    store.close()
    assert [future.result(0) for future in futures] == [Kept(entry.record.id, new=True) for entry in entries]
    with pytest.raises(LedgerUnavailable):
        store.submit(Entry(record(random=99))).result(WAIT_S)
    with closing(engine.open()) as reopened:
        assert reopened.newest("main", limit=100) == tuple(entry.record for entry in reversed(entries))
        assert [reopened.get("main", f"order-{n}") for n in range(40)] == entries


def test_what_one_process_keeps_another_sees(engine: Engine, records: RecordStore) -> None:
    entry = Entry(record(caller_id="order-1"), b"content")
    with closing(engine.open()) as other:
        keep(other, entry)
        assert records.get("main", "order-1") == entry
        assert keep(records, Entry(record(random=2, caller_id="order-1"))) == [Kept(entry.record.id, new=False)]
