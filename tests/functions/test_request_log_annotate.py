"""What is said of a log after it was kept."""

from dataclasses import replace
from typing import Any

import pytest

from functions.request_log import app as request_log
from tests.functions.test_request_log import a_record, an_id, everything, kept, log, read
from tests.runtime import INGEST_KEY, OTHER_KEY, READ_KEY, Caller
from weir.runtime.bootstrap import Runtime

SEVERAL = "/api/request-logs/batch-update/"


@pytest.fixture
def caller(runtime: Runtime) -> Caller:
    return Caller.of(runtime, [request_log.mount])


def patch(caller: Caller, id: str, body: Any) -> Any:
    return caller.call("PATCH", f"/api/request-logs/{id}/", json=body)


CHANGES: dict[str, Any] = {
    "metadata": {"plan": "pro", "seen": True},
    "note": "looks right",
    "positive_feedback": False,
    "custom_identifier": 7,
}


@pytest.mark.parametrize("path", ["/api/request-logs/{}/", "/api/request-logs/{}", "/request-logs/{}"])
def test_an_annotation_is_seen_by_every_reader(caller: Caller, runtime: Runtime, path: str) -> None:
    id = log(caller, metadata={"plan": "free", "team": "a"}, note="?", custom_identifier="first", output="kept")
    answer = caller.call("PATCH", path.format(id), json=CHANGES)
    assert (answer.status_code, answer.json()) == (
        200,
        {"message": "log updated", "id": id, "unique_id": id, **CHANGES},
    )
    expected = {
        "metadata": {"plan": "pro", "team": "a", "seen": True},
        "note": "looks right",
        "positive_feedback": False,
        "custom_identifier": "7",
    }
    shown, (row,) = read(caller, id), caller.get("/api/request-logs/list").json()["results"]
    assert {name: shown[name] for name in expected} == expected
    assert {name: row[name] for name in expected} == expected
    assert shown["output"] == "kept"
    assert kept(runtime, id) == a_record(**expected, revision=1)


def test_a_log_is_annotated_under_the_id_that_its_sender_gave_it(caller: Caller, runtime: Runtime) -> None:
    id = log(caller, unique_id="mine")
    assert patch(caller, "mine", {"positive_feedback": True}).json()["id"] == id
    assert read(caller, "mine")["positive_feedback"] is True


def test_null_takes_a_value_away(caller: Caller, runtime: Runtime) -> None:
    id = log(caller, metadata={"plan": "free", "team": "a"}, note="?", positive_feedback=True, custom_identifier="i")
    changes = {"metadata": {"plan": None}, "note": None, "positive_feedback": None, "custom_identifier": None}
    assert patch(caller, id, changes).status_code == 200
    assert kept(runtime, id) == a_record(metadata={"team": "a"}, revision=1)
    assert not {"note", "positive_feedback", "custom_identifier"} & read(caller, id).keys()
    patch(caller, id, {"metadata": {"team": None}})
    assert "metadata" not in read(caller, id)


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"note": "n", "cost": 1}, "cost"),
        ({"model": "other"}, "model"),
        ({"unique_id": "other", "note": "n"}, "unique_id"),
        ({"unheard_of": 1}, "unheard_of"),
        ({"note": 5}, "note"),
        ({"note": "n" * 4097}, "note"),
        ({"positive_feedback": "yes"}, "positive_feedback"),
        ({"custom_identifier": "c" * 257}, "custom_identifier"),
        ({"metadata": None}, "metadata"),
        ({"metadata": {"k" * 257: 1}}, f"metadata.{'k' * 80}"),
        ({"metadata": {str(number): 1 for number in range(65)}}, "metadata"),
    ],
)
def test_what_cannot_be_changed_is_named_and_nothing_is(
    caller: Caller, runtime: Runtime, body: Any, named: str
) -> None:
    id = log(caller)
    answer = patch(caller, id, body)
    assert (answer.status_code, list(answer.json())) == (400, [named, "error"])
    assert kept(runtime, id) == a_record()


def test_tags_beyond_the_limit_are_refused_whole(caller: Caller, runtime: Runtime) -> None:
    many = {str(number): number for number in range(60)}
    id = log(caller, metadata=many)
    answer = patch(caller, id, {"metadata": {f"more {number}": 1 for number in range(5)}, "note": "n"})
    assert answer.status_code == 400
    assert answer.json()["metadata"] == ["'metadata' would hold more than 64 keys."]
    assert kept(runtime, id) == a_record(metadata=many)


@pytest.mark.parametrize(("body", "status"), [({}, 400), ([], 400), ("{", 400)])
def test_what_says_nothing_is_refused(caller: Caller, body: Any, status: int) -> None:
    id = log(caller)
    content = {"content": body} if isinstance(body, str) else {"json": body}
    assert caller.call("PATCH", f"/api/request-logs/{id}", **content).status_code == status


@pytest.mark.parametrize("id", ["nope", an_id(9)])
def test_an_unknown_log_is_not_found(caller: Caller, id: str) -> None:
    answer = patch(caller, id, {"note": "n"})
    assert (answer.status_code, answer.json()) == (404, {"detail": "Not found."})


def test_only_a_key_of_the_workspace_that_may_write_annotates(caller: Caller, runtime: Runtime) -> None:
    id = log(caller)
    for key, status in ((None, 401), (READ_KEY, 403), (OTHER_KEY, 404), (INGEST_KEY, 200)):
        assert patch(caller.with_key(key), id, {"note": str(status)}).status_code == status
    assert kept(runtime, id) == a_record(note="200", revision=1)


def test_who_may_not_read_is_shown_nothing_but_what_they_sent(caller: Caller) -> None:
    id = log(caller, note="private", customer_identifier="c")
    answer = patch(caller.with_key(INGEST_KEY), id, {"positive_feedback": True})
    assert answer.json() == {"message": "log updated", "id": id, "unique_id": id, "positive_feedback": True}


def test_several_are_annotated_and_the_failures_named(caller: Caller, runtime: Runtime) -> None:
    first, second = log(caller), log(caller, unique_id="mine")
    rows = [
        {"unique_id": first, "note": "one"},
        {"id": "mine", "metadata": {"a": 1}},
        {"unique_id": "mine", "metadata": {"b": 2}},
        {"unique_id": "nope", "note": "n"},
        {"unique_id": first, "cost": 1},
        {"note": "n"},
        "row",
    ]
    answer = caller.call("PATCH", SEVERAL, json={"logs": rows})
    assert (answer.status_code, answer.json()) == (
        200,
        {
            "success_count": 3,
            "error_count": 4,
            "errors": [
                {"index": 3, "error": "Not found."},
                {
                    "index": 4,
                    "error": "'cost' cannot be changed; metadata, note, positive_feedback, custom_identifier can.",
                },
                {"index": 5, "error": "'unique_id' is required."},
                {"index": 6, "error": "A row must be a JSON object."},
            ],
        },
    )
    newest, oldest = everything(runtime)
    assert oldest == a_record(note="one", revision=1)
    assert newest == replace(oldest, id=second, created_at=newest.created_at, caller_id="mine", note=None,
                             metadata={"a": 1, "b": 2}, revision=2)  # fmt: skip


def test_when_none_can_be_annotated_the_whole_is_refused(caller: Caller) -> None:
    answer = caller.call("PATCH", SEVERAL, json={"logs": [{"unique_id": "nope", "note": "n"}]})
    assert (answer.status_code, answer.json()["error_count"]) == (400, 1)
    assert caller.call("PATCH", SEVERAL, json={"logs": []}).status_code == 400
