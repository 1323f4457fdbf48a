"""Several logs in one request."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from functions.request_log import app as request_log
from tests.functions.test_request_log import an_id, everything, read
from tests.functions.watched import watched
from tests.runtime import OTHER_KEY, READ_KEY, Caller
from weir.runtime.bootstrap import Runtime

BULK = "/api/request-logs/bulk/"
BATCH = "/api/request-logs/batch/create/"


@pytest.fixture
def caller(runtime: Runtime) -> Caller:
    return Caller.of(runtime, [request_log.mount])


@pytest.mark.parametrize("path", [BULK, "/api/request-logs/bulk", "/request-logs/bulk"])
def test_a_bulk_with_bad_rows_keeps_the_others_and_names_the_bad(caller: Caller, runtime: Runtime, path: str) -> None:
    rows: list[Any] = [{"model": f"m{number}", "metadata": {"n": number}} for number in range(500)]
    rows[7], rows[250], rows[499] = {"prompt_tokens": 1}, {"model": "m", "cost": "much"}, "a log"
    answer = caller.post(path, json={"logs": rows})
    assert (answer.status_code, answer.json()) == (
        201,
        {
            "success_count": 497,
            "error_count": 3,
            "errors": [
                {"index": 7, "error": "'model' is required."},
                {"index": 250, "error": "'cost' must be a number."},
                {"index": 499, "error": "The request body must be a JSON object."},
            ],
        },
    )
    kept = asyncio.run(runtime.ledger.newest("default", limit=1000))
    assert {record.model for record in kept} == {f"m{number}" for number in range(500)} - {"m7", "m250", "m499"}


def test_a_row_is_read_back_as_it_was_sent(caller: Caller) -> None:
    row = {"model": "m", "cost": 0.5, "output": "ü", "unheard_of": [1, None, {"deep": 1e-9}], "unique_id": "mine"}
    assert caller.post(BULK, json={"logs": [row]}).status_code == 201
    shown = read(caller, "mine")
    assert {name: shown[name] for name in row if name != "unique_id"} == {
        name: value for name, value in row.items() if name != "unique_id"
    }


def test_a_bulk_of_nothing_but_bad_rows_is_refused(caller: Caller, runtime: Runtime) -> None:
    answer = caller.post(BULK, json={"logs": [{}, {"model": 1}]})
    assert (answer.status_code, answer.json()) == (
        400,
        {
            "success_count": 0,
            "error_count": 2,
            "errors": [
                {"index": 0, "error": "'model' is required."},
                {"index": 1, "error": "'model' must be a text."},
            ],
        },
    )
    assert everything(runtime) == ()


def test_the_older_batch_tells_the_id_of_each(caller: Caller, runtime: Runtime) -> None:
    answer = caller.post(BATCH, json={"logs": [{"model": "a"}, {}, {"model": "b"}]})
    assert (answer.status_code, answer.json()) == (
        200,
        {
            "results": [
                {"id": an_id(1), "status": "success"},
                {"id": None, "status": "error", "error": "'model' is required."},
                {"id": an_id(2, 1), "status": "success"},
            ]
        },
    )
    assert [record.model for record in everything(runtime)] == ["b", "a"]


@pytest.mark.parametrize(
    ("path", "body", "named"),
    [
        (BULK, {"logs": [{"model": "m"}] * 501}, "logs"),
        (BATCH, {"logs": [{"model": "m"}] * 5001}, "logs"),
        (BULK, {"logs": []}, "logs"),
        (BULK, {"logs": {"model": "m"}}, "logs"),
        (BULK, {}, "logs"),
        (BULK, [{"model": "m"}], "logs"),
    ],
)
def test_what_is_no_bulk_is_refused_whole(caller: Caller, runtime: Runtime, path: str, body: Any, named: str) -> None:
    answer = caller.post(path, json=body)
    assert (answer.status_code, list(answer.json())) == (400, [named, "error"])
    assert everything(runtime) == ()


def test_an_id_sent_twice_is_one_record_also_within_a_bulk(caller: Caller, runtime: Runtime) -> None:
    rows = [{"model": "m", "unique_id": "mine"}, {"model": "m", "unique_id": "mine"}, {"model": "m"}]
    for _ in range(2):
        assert caller.post(BULK, json={"logs": rows[:2]}).json()["success_count"] == 2
    assert [record.caller_id for record in everything(runtime)] == ["mine"]
    ids = {row["id"] for row in caller.post(BATCH, json={"logs": rows[:2]}).json()["results"]}
    assert ids == {everything(runtime)[0].id}


def test_a_bulk_sent_again_under_its_idempotency_key_is_kept_once(caller: Caller, runtime: Runtime) -> None:
    for _ in range(2):
        caller.post(BULK, json={"logs": [{"model": "a"}, {"model": "b"}]}, headers={"idempotency-key": "try"})
    assert [(record.model, record.caller_id) for record in everything(runtime)] == [("b", "try:1"), ("a", "try:0")]


def test_a_key_that_may_only_read_keeps_nothing(caller: Caller, runtime: Runtime) -> None:
    for path in (BULK, BATCH):
        assert caller.with_key(None).post(path, json={"logs": [{"model": "m"}]}).status_code == 401
        assert caller.with_key(READ_KEY).post(path, json={"logs": [{"model": "m"}]}).status_code == 403
    assert everything(runtime) == ()


def test_a_bulk_belongs_to_the_keys_workspace(caller: Caller, runtime: Runtime) -> None:
    caller.with_key(OTHER_KEY).post(BULK, json={"logs": [{"model": "m"}]})
    assert everything(runtime) == ()


def test_a_bulk_beyond_the_limit_of_a_body_is_refused(caller: Caller, runtime: Runtime) -> None:
    assert caller.post(BULK, content=b" " * (runtime.settings.body_limit + 1)).status_code == 413


def test_no_key_of_a_bulk_is_kept(caller: Caller, runtime: Runtime) -> None:
    secret = "canary-secret-of-a-row"
    rows = [{"model": "m", "full_request": {"api_key": secret}}, {"model": "m", "output": f"it said {secret}"}]
    results = caller.post(BATCH, json={"logs": rows}).json()["results"]
    assert all(secret not in json.dumps(read(caller, row["id"])) for row in results)


@pytest.fixture
def refused(runtime: Runtime) -> Iterator[Caller]:
    """Calls a Weir whose ledger refuses records of the model `full`."""
    refusing, store = watched(runtime)
    with closing(store):
        yield Caller.of(refusing, [request_log.mount])


def test_rows_that_the_ledger_refuses_are_named(refused: Caller) -> None:
    answer = refused.post(BULK, json={"logs": [{"model": "full"}, {"model": "m"}]})
    assert (answer.status_code, answer.json()) == (
        201,
        {
            "success_count": 1,
            "error_count": 1,
            "errors": [{"index": 0, "error": "The ledger cannot be written."}],
        },
    )


def test_a_bulk_that_the_ledger_refuses_whole_may_be_sent_again(refused: Caller) -> None:
    answer = refused.post(BULK, json={"logs": [{"model": "full"}, {}]})
    assert (answer.status_code, answer.json()) == (503, {"detail": "The ledger cannot be written."})
