"""What holds after any fault: nothing acknowledged is lost, nothing is there twice, nothing counts twice."""

from collections.abc import Iterable, Sequence

from tests.faults.client import LEAVING, Client, Sent
from tests.faults.process import WORKSPACE, Process
from tests.faults.storages import Storage
from weir.domain.record import Payload, Record
from weir.domain.rollup import Dimensions, Family, Rollup, rollups
from weir.domain.session import sessions
from weir.domain.totals import grouped
from weir.http.request_log_query import Window
from weir.ledger.archive_format import Call, Erased, Member
from weir.services.verify import verify

_FIRST, _LAST = "2026030100", "2026030223"
_MANY = 1_000


def hold(client: Client, storage: Storage) -> None:
    """Raises AssertionError."""
    process = client.process
    records = process.ledger.records.newest(WORKSPACE, limit=_MANY)
    sent = list(client.sent.values())
    by_mark = _once(records)
    _is_kept(process, sent, by_mark)
    _is_listed_once(process, records)
    archived = _archived(process)
    _is_archived_once(records, archived)
    _is_gone(process, storage, [each for each in sent if each.erased], by_mark, archived)
    _counts_once(process, records, archived)
    assert storage.dead() == 0
    findings = verify(process.archive, process.seals, WORKSPACE)
    assert (findings.broken, findings.unfinished) == (None, 0)


def _once(records: Sequence[Record]) -> dict[str | None, Record]:
    found = {record.custom_identifier: record for record in records}
    assert len(found) == len(records), "a call is there twice"
    return found


def _is_kept(process: Process, sent: Iterable[Sent], by_mark: dict[str | None, Record]) -> None:
    """By every id that was acknowledged, as it was sent and with what was said of it since."""
    for each in sent:
        if not each.ids or each.erased:
            continue
        assert each.mark in by_mark, f"{each.mark} was acknowledged and is lost"
        record = by_mark[each.mark]
        for id in each.ids | ({each.caller_id} if each.caller_id else set()):
            found = process.run(process.ledger.get(WORKSPACE, id))
            assert found == (record, Payload(each.request)), f"{each.mark} is not found as it was kept, by {id}"
        assert record.caller_id == each.caller_id
        assert record.claimed_usage is not None
        assert record.claimed_usage.prompt == each.fields["prompt_tokens"]
        if each.note is not None:
            assert record.note == each.note, f"what was said of {each.mark} is lost"
        if each.moved:
            assert (record.session_id, record.customer_identifier) == ("s-found", "c-found")


def _is_listed_once(process: Process, records: Sequence[Record]) -> None:
    store = process.ledger.records
    for session in {record.session_id for record in records if record.session_id is not None}:
        mine = [record for record in reversed(records) if record.session_id == session]
        assert list(store.of_session(WORKSPACE, session, limit=_MANY)) == mine
    for customer in {record.customer_identifier for record in records if record.customer_identifier is not None}:
        mine = [record for record in records if record.customer_identifier == customer]
        assert list(store.of_customer(WORKSPACE, customer, limit=_MANY)) == mine


def _archived(process: Process) -> list[Member]:
    return [
        member
        for partition in process.archive.partitions(WORKSPACE)
        for n in process.archive.objects(partition)
        if (read := process.archive.read(partition, n)) is not None
        for member in read.members()
    ]


def _is_archived_once(records: Sequence[Record], archived: Sequence[Member]) -> None:
    """Each revision once at most, the last of them as the record is now, the payload with one of them."""
    keys = [(member.record.id, member.record.revision) for member in archived]
    assert len(keys) == len(set(keys)), "a revision is in the archive twice"
    calls = [member for member in archived if isinstance(member, Call)]
    latest: dict[str, Record] = {}
    for member in calls:
        before = latest.get(member.record.id)
        if before is None or before.revision < member.record.revision:
            latest[member.record.id] = member.record
    assert latest == {record.id: record for record in records}
    payloads = [member.record.id for member in calls if member.payload is not None]
    assert sorted(payloads) == sorted(latest), "a payload is in the archive twice, or not at all"


def _is_gone(
    process: Process,
    storage: Storage,
    erased: Sequence[Sent],
    by_mark: dict[str | None, Record],
    archived: Sequence[Member],
) -> None:
    ids = {id for each in erased for id in each.ids}
    marks = {each.mark for each in erased}
    assert not marks & by_mark.keys(), "an erased call is in the table"
    for id in ids | {each.caller_id for each in erased if each.caller_id is not None}:
        assert process.run(process.ledger.get(WORKSPACE, id)) is None
    texts = [member for member in archived if isinstance(member, Call)]
    assert not marks & {member.record.custom_identifier for member in texts}, "an erased call is in the archive"
    assert not [key for key in process.ledger.blobs.list("") for id in ids if id in key]
    assert not ids & storage.payload_ids(), "an erased call's payload is in the table"
    assert list(process.spill.waiting()) == []


def _counts_once(process: Process, records: Sequence[Record], archived: Sequence[Member]) -> None:
    """Rollups, sessions and sums are those of the records. What is left of an erased call counts as it did."""
    remains = [member.record for member in archived if isinstance(member, Erased)]
    left = {record.id: record for record in sorted(remains, key=lambda record: record.revision)}
    counted = [*records, *left.values()]
    assert _rows(process, "calls") == {
        each: rollup for each, rollup in rollups(counted).items() if each.family == "calls"
    }
    assert _others(_rows(process, "customers")) == _others(
        {each: rollup for each, rollup in rollups(records).items() if each.family == "customers"}
    )
    for id, session in sessions([record for record in records if record.session_id != "s-leaves"]).items():
        assert (found := process.projections.session(WORKSPACE, id)) == session, f"{found} instead of {session}"
    listed = [each.first_id for each in process.projections.newest_sessions(WORKSPACE, None, limit=_MANY)]
    assert len(listed) == len(set(listed))
    assert process.run(process.queries.totals(WORKSPACE, Window())) == grouped(counted, None)


def _rows(process: Process, family: Family) -> dict[Dimensions, Rollup]:
    """Summed over the hours, of which each has rows of its own."""
    found: dict[Dimensions, Rollup] = {}
    for row in process.projections.rollups(WORKSPACE, family, _FIRST, _LAST):
        found[row.dimensions] = found.get(row.dimensions, Rollup()) + row.rollup
    return found


def _others(rows: dict[Dimensions, Rollup]) -> dict[Dimensions, Rollup]:
    """Not of the customer that has left: whether its row counts a call depends on which came first."""
    return {each: rollup for each, rollup in rows.items() if each.value("customer_identifier") not in (LEAVING, None)}
