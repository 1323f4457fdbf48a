"""What every engine does with its indexes: sessions, customers and intents."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import strategies
from tests.ledger.engines import Engine
from tests.ledger.test_contract import HOUR, NOON, _numbers, keep, one_engine_for_all_examples, record
from weir.domain.annotation import Annotation
from weir.domain.errors import LedgerUnavailable, RequestInvalid
from weir.domain.ids import uuid7
from weir.domain.record import Record
from weir.ledger.keys import INDEXES, Index
from weir.ledger.ports import Entry, RecordStore


def turn(n: int, *, workspace: str = "main", session_id: str | None = "s1") -> Record:
    """One an hour, from different customers and intents by turns."""
    return replace(
        record(NOON + n * HOUR, n, workspace=workspace),
        session_id=session_id,
        customer_identifier=f"c{n % 2}",
        application="shop",
        intent=f"i{n % 3}",
    )


def test_a_session_is_read_in_order(records: RecordStore) -> None:
    turns = [turn(n) for n in range(30)]
    keep(records, *(Entry(item, b"content") for item in turns[::-1]))
    keep(records, Entry(turn(40, session_id="s2")), Entry(turn(41, session_id=None)))
    assert records.of_session("main", "s1", limit=200) == tuple(turns)
    assert records.of_session("main", "s1", limit=7) == tuple(turns[:7])
    assert records.of_session("main", "s1", limit=7, after=turns[6].id) == tuple(turns[7:14])
    assert records.of_session("main", "s1", limit=7, after=turns[-1].id) == ()
    assert records.of_session("main", "s1", limit=0) == ()


def test_a_customer_is_read_from_the_newest(records: RecordStore) -> None:
    found = [turn(n) for n in range(30)]
    keep(records, *map(Entry, found))
    of_customer = found[1::2][::-1]
    assert records.of_customer("main", "c1", limit=200) == tuple(of_customer)
    assert records.of_customer("main", "c1", limit=4) == tuple(of_customer[:4])
    assert records.of_customer("main", "c1", limit=4, before=of_customer[3].id) == tuple(of_customer[4:8])
    assert records.of_customer("main", "c1", limit=99, since=of_customer[3].id) == tuple(of_customer[:4])


def test_an_intent_is_read_within_a_window(records: RecordStore) -> None:
    found = [turn(n) for n in range(30)]
    keep(records, *map(Entry, found))
    of_intent = found[2::3][::-1]
    assert records.of_intent("main", "shop", "i2", limit=200) == tuple(of_intent)
    window = partial(records.of_intent, "main", "shop", "i2", since=of_intent[5].id, before=of_intent[2].id)
    assert window(limit=200) == tuple(of_intent[3:6])
    assert window(limit=2) == tuple(of_intent[3:5])
    assert records.of_intent("main", "i2", "shop", limit=200) == ()


def test_a_record_is_in_an_index_only_with_what_is_looked_up_there(records: RecordStore) -> None:
    plain = record(random=1)
    keep(records, Entry(plain), Entry(replace(plain, id=uuid7(NOON, 2), application="shop")))
    for name in ("", "None", "null"):
        assert records.of_session("main", name, limit=9) == ()
        assert records.of_customer("main", name, limit=9) == ()
        assert records.of_intent("main", "shop", name, limit=9) == ()


def test_an_index_belongs_to_its_workspace_and_its_name(records: RecordStore) -> None:
    keep(records, Entry(turn(1, workspace="main", session_id="s#1")))
    for workspace, session_id in (("other", "s#1"), ("main#s", "1"), ("main", "s"), ("main", "S#1"), ("Main", "s#1")):
        assert records.of_session(workspace, session_id, limit=9) == ()
    for workspace, customer in (("other", "c1"), ("main#c1", ""), ("main", "C1"), ("", "main#c1")):
        assert records.of_customer(workspace, customer, limit=9) == ()
    for workspace, application, intent in (("other", "shop", "i1"), ("main", "shop#i1", ""), ("main", "shop#", "i1")):
        assert records.of_intent(workspace, application, intent, limit=9) == ()


def test_what_is_annotated_is_read_so_by_every_index(records: RecordStore) -> None:
    kept = turn(1)
    keep(records, Entry(kept))
    changed = records.annotate("main", kept.id, Annotation(note="checked"))
    assert changed == replace(kept, note="checked", revision=1)
    assert records.of_session("main", "s1", limit=9) == (changed,)
    assert records.of_customer("main", "c1", limit=9) == (changed,)
    assert records.of_intent("main", "shop", "i1", limit=9) == (changed,)


def test_what_an_annotation_gives_another_session_or_customer_is_found_there(records: RecordStore) -> None:
    kept = replace(turn(1), session_id=None)
    keep(records, Entry(kept, b"content"))
    changed = records.annotate("main", kept.id, Annotation(session_id="s1", customer_identifier="c2"))
    assert changed == replace(kept, session_id="s1", customer_identifier="c2", revision=1)
    assert records.of_session("main", "s1", limit=9) == (changed,)
    assert records.of_customer("main", "c2", limit=9) == (changed,)
    assert records.of_customer("main", "c1", limit=9) == ()
    gone = records.annotate("main", kept.id, Annotation(session_id=None, customer_identifier=None))
    assert gone == replace(kept, customer_identifier=None, revision=2)
    assert records.of_session("main", "s1", limit=9) == records.of_customer("main", "c2", limit=9) == ()
    assert records.newest("main", limit=9) == (gone,)
    assert records.of_intent("main", "shop", "i1", limit=9) == (gone,)


def test_an_attempt_that_was_refused_is_in_no_index(engine: Engine, records: RecordStore) -> None:
    with engine.refusing_records(), pytest.raises(LedgerUnavailable):
        keep(records, Entry(turn(1), b"content"))
    assert records.of_session("main", "s1", limit=9) == ()
    assert records.of_customer("main", "c1", limit=9) == ()


@one_engine_for_all_examples
@given(found=strategies.records(), names=st.tuples(*[strategies.names] * 4))
def test_any_name_is_found_in_its_index(records: RecordStore, found: Record, names: tuple[str, str, str, str]) -> None:
    session_id, customer, application, intent = names
    kept = replace(
        found,
        id=(id := uuid7(NOON, next(_numbers))),
        created_at=record(NOON).created_at,
        workspace=f"{id} {found.workspace}",
        caller_id=None,
        session_id=session_id,
        customer_identifier=customer,
        application=application,
        intent=intent,
    )
    keep(records, Entry(kept))
    assert records.of_session(kept.workspace, session_id, limit=2) == (kept,)
    assert records.of_customer(kept.workspace, customer, limit=2) == (kept,)
    assert records.of_intent(kept.workspace, application, intent, limit=2) == (kept,)


@one_engine_for_all_examples
@given(
    moments=st.sets(st.tuples(st.integers(NOON, NOON + 100 * HOUR), st.integers(0, 3)), max_size=30),
    limit=st.integers(0, 12),
    since=st.none()
    | st.builds(uuid7, st.integers(NOON, NOON + 100 * HOUR), st.integers(0, 3))
    | st.sampled_from(["", "0", "g"]),
    before=st.none()
    | st.builds(uuid7, st.integers(NOON, NOON + 100 * HOUR), st.integers(0, 3))
    | st.sampled_from(["", "0", "g"]),
)
def test_every_index_keeps_to_its_bounds(
    records: RecordStore, moments: set[tuple[int, int]], limit: int, since: str | None, before: str | None
) -> None:
    workspace = f"workspace {next(_numbers)}"
    plain = (record(*moment, workspace=workspace) for moment in moments)
    keep(
        records,
        *(Entry(replace(item, session_id="s", customer_identifier="c", application="a", intent="i")) for item in plain),
    )
    ids = sorted(uuid7(*moment) for moment in moments)
    inside = [id for id in reversed(ids) if (since or "") <= id and (before is None or id < before)][:limit]
    for found in (
        records.of_customer(workspace, "c", limit=limit, before=before, since=since),
        records.of_intent(workspace, "a", "i", limit=limit, before=before, since=since),
    ):
        assert [item.id for item in found] == inside
    turns = records.of_session(workspace, "s", limit=limit, after=since)
    assert [item.id for item in turns] == [id for id in ids if id > (since or "")][:limit]


def test_a_broken_engine_is_unavailable_and_nothing_else(engine: Engine, records: RecordStore) -> None:
    keep(records, Entry(turn(1)))
    with engine.broken():
        for read in questions(records).values():
            with pytest.raises(LedgerUnavailable):
                read()


@pytest.mark.parametrize("off", sorted(INDEXES))
def test_an_index_that_is_off_says_so_and_costs_the_others_nothing(engine: Engine, off: Index) -> None:
    kept = turn(1)
    with closing(engine.open(indexes=INDEXES - {off})) as records:
        keep(records, Entry(kept))
        for index, read in questions(records).items():
            if index == off:
                with pytest.raises(RequestInvalid, match=f"without the index '{off}'"):
                    read()
            else:
                assert read() == (kept,)
    with closing(engine.open()) as records:  # what was kept without it is not in it
        assert questions(records)[off]() == ()


def questions(records: RecordStore) -> dict[Index, Callable[[], tuple[Record, ...]]]:
    return {
        "session": partial(records.of_session, "main", "s1", limit=9),
        "customer": partial(records.of_customer, "main", "c1", limit=9),
        "intent": partial(records.of_intent, "main", "shop", "i1", limit=9),
    }
