"""The report on completeness, over HTTP."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from functions.portal import app as portal
from functions.request_log import app as request_log
from tests.functions.test_request_log import log
from tests.runtime import INGEST_KEY, OTHER_KEY, Caller, fixed_runtime
from weir.ledger.archive_format import Partition
from weir.ledger.ledger import Ledger
from weir.ledger.numbering import Numbering
from weir.runtime.bootstrap import Runtime

REPORT = "/api/v1/reports/completeness"


@pytest.fixture
def numbered(tmp_path: Path) -> Iterator[Runtime]:
    runtime = fixed_runtime(tmp_path)
    yield replace(
        runtime, ledger=Ledger(runtime.ledger.records, runtime.ledger.blobs, numbering=Numbering(lambda: "w"))
    )
    runtime.ledger.close()


@pytest.fixture
def caller(numbered: Runtime) -> Caller:
    return Caller.of(numbered, [request_log.mount, portal.mount])


def test_what_is_accepted_is_reported_by_hour_and_application(caller: Caller) -> None:
    ids = [log(caller, model="a", cost=0.1, prompt_tokens=1, completion_tokens=2) for _ in range(2)]
    answer = caller.get(REPORT)
    assert answer.status_code == 200
    report = answer.json()
    assert report["complete"] is False  # nobody has archived anything yet
    (hour,) = report["data"]
    assert hour["hour"] == "2026-01-02T03:00:00Z"
    assert sorted(hour["not_archived"]) == sorted(str(id) for id in ids)
    (application,) = hour["applications"]
    assert (application["application"], application["accepted"], application["stored"]) == (None, 2, 2)


def test_a_window_without_calls_is_complete(caller: Caller) -> None:
    log(caller, model="a")
    asked = {"start_time": "2026-01-01T00:00:00Z", "end_time": "2026-01-01T12:00:00Z"}
    assert caller.get(REPORT, params=asked).json() == {"data": [], "complete": True}
    assert caller.with_key(OTHER_KEY).get(REPORT).json() == {"data": [], "complete": True}


@pytest.mark.parametrize(
    ("parameters", "named"),
    [
        ({"start_time": "yesterday"}, "start_time"),
        ({"start_time": "2025-01-01T00:00:00Z"}, "start_time"),
        ({"workspace": "other"}, "workspace"),
    ],
)
def test_what_is_not_understood_is_named(caller: Caller, parameters: dict[str, str], named: str) -> None:
    answer = caller.get(REPORT, params=parameters)
    assert answer.status_code == 400
    assert named in answer.text


def test_reports_need_a_key_that_may_read(caller: Caller) -> None:
    assert caller.with_key(None).get(REPORT).status_code == 401
    assert caller.with_key(INGEST_KEY).get(REPORT).status_code == 403


def test_an_archive_that_is_broken_is_said_so(caller: Caller, numbered: Runtime) -> None:
    id = str(log(caller, model="a"))
    numbered.ledger.blobs.put(Partition.of("default", id).key(1), b"not an object")
    assert caller.get(REPORT).status_code == 503
