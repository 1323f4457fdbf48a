"""Keys tell every name from every other, and keep each in its own partition."""

from hypothesis import example, given
from hypothesis import strategies as st

from tests import strategies
from weir.domain.ids import uuid7
from weir.ledger.keys import (
    caller_key,
    customer_partition,
    day_of,
    day_partition,
    days_partition,
    intent_partition,
    payload_blob_key,
    payload_key,
    record_key,
    session_partition,
)

ID = uuid7(1_767_225_600_000, 0)
OTHER_ID = uuid7(1_767_225_600_000, 1)


def test_the_keys_of_a_record() -> None:
    assert day_of(ID) == "20260101"
    assert record_key("main", ID, 1) == ("main#20260101#0", f"r#{ID}")
    assert payload_key("main", ID, 1) == ("main#20260101#0", f"p#{ID}")
    assert payload_key("main", ID, 1, OTHER_ID) == ("main#20260101#0", f"p#{OTHER_ID}")
    assert days_partition("main") == "main#days"
    assert session_partition("main", "s#1") == "main#s%231"
    assert customer_partition("main", "ann", 3) == "main#ann#3"
    assert intent_partition("main", "shop", "ask", 0) == "main#shop#ask#0"
    assert caller_key("main", "order 1") == ("main#id#order%201", "a")
    assert payload_blob_key("main", ID) == f"payloads/main/20260101/{ID}.json.gz"


def test_a_record_and_its_payload_share_a_partition_whatever_the_shards() -> None:
    for shards in range(1, 65):
        assert record_key("main", ID, shards).pk == payload_key("main", ID, shards).pk


def test_shards_share_the_ids() -> None:
    partitions = {record_key("main", uuid7(1_767_225_600_000, n), 8).pk for n in range(200)}
    assert partitions == {day_partition("main", "20260101", shard) for shard in range(8)}


@given(strategies.names, strategies.names, strategies.names, strategies.names)
@example("a#id#b", "c", "a", "b#id#c")
@example("a", "#id#", "a#id", "#")
@example("a%23", "b", "a#", "b")
@example("", "x" * 3000, "", "x" * 2999)
def test_two_callers_ids_share_a_key_only_if_they_are_the_same(
    workspace: str, caller_id: str, other_workspace: str, other_caller_id: str
) -> None:
    same = (workspace, caller_id) == (other_workspace, other_caller_id)
    assert (caller_key(workspace, caller_id) == caller_key(other_workspace, other_caller_id)) == same


@given(st.lists(strategies.names, min_size=6, max_size=6))
@example(["a", "b#c", "d", "a", "b", "c#d"])
@example(["a", "b", "c#0", "a", "b#c", "0"])
def test_two_records_share_a_place_in_an_index_only_by_the_same_names(names: list[str]) -> None:
    workspace, one, two, other_workspace, other_one, other_two = names
    assert (session_partition(workspace, one) == session_partition(other_workspace, other_one)) == (
        (workspace, one) == (other_workspace, other_one)
    )
    assert (customer_partition(workspace, one, 0) == customer_partition(other_workspace, other_one, 0)) == (
        (workspace, one) == (other_workspace, other_one)
    )
    assert (intent_partition(workspace, one, two, 0) == intent_partition(other_workspace, other_one, other_two, 0)) == (
        (workspace, one, two) == (other_workspace, other_one, other_two)
    )


@given(strategies.names, strategies.names, strategies.names)
@example("a", "a#20260101#0", "x")
@example("a", "a#days", "x")
@example("a", "a#id", "x")
@example("..", ".", "x")
@example("a", "A", "x")
def test_no_partition_and_no_blob_belongs_to_two_workspaces(workspace: str, other: str, caller_id: str) -> None:
    def places(of: str) -> set[str]:
        return {
            record_key(of, ID, 1).pk,
            days_partition(of),
            caller_key(of, caller_id).pk,
            payload_blob_key(of, ID),
        }

    assert len(places(workspace)) == 4
    assert places(workspace).isdisjoint(places(other)) == (workspace != other)


@given(strategies.names, strategies.names, strategies.ids)
def test_keys_are_as_long_as_dynamodb_and_file_systems_take(workspace: str, caller_id: str, id: str) -> None:
    in_index = intent_partition(workspace, caller_id, caller_id, 63)
    for pk, sk in (record_key(workspace, id, 64), caller_key(workspace, caller_id), (in_index, "r#")):
        assert 0 < len(pk.encode()) <= 2048
        assert 0 < len(sk.encode()) <= 1024
    folders = payload_blob_key(workspace, id).split("/")
    assert len(folders) == 4
    assert all(0 <= len(folder) <= 255 and folder not in (".", "..") for folder in folders)
