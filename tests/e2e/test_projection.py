"""`weir dev` projects what it keeps, and what it had begun when it was killed."""

import http.client
import json
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import urlsplit

from tests.weir_process import WeirProcess
from weir.ledger.archive import Archive
from weir.ledger.files import FileBlobStore
from weir.ledger.projections import Projections
from weir.ledger.sqlite import SQLiteRecordStore
from weir.ledger.sqlite_changes import SQLiteChangeFeed
from weir.ledger.sqlite_projection import SQLiteProjectionStore

PATIENCE_S = 60.0
ROUNDS = 6


def ask(weir: WeirProcess, method: str, path: str, body: Any = None) -> Any:
    with closing(http.client.HTTPConnection(urlsplit(weir.url).netloc, timeout=30)) as connection:
        headers = {"Authorization": f"Bearer {weir.key}", "Content-Type": "application/json"}
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        return json.loads(connection.getresponse().read())


def keep(weir: WeirProcess, count: int) -> None:
    logs = [{"model": f"m{number % 3}", "thread_identifier": f"s{number % 5}", "cost": 0.1} for number in range(count)]
    assert ask(weir, "POST", "/api/request-logs/bulk", {"logs": logs})["success_count"] == count


def waiting(data_dir: Path) -> int:
    with closing(sqlite3.connect(data_dir / "ledger.sqlite")) as connection:
        ((count,),) = connection.execute("SELECT count(*) FROM changes").fetchall()
        return int(count)


def wait_for_projection(data_dir: Path) -> float:
    begun = time.monotonic()
    while waiting(data_dir):
        assert time.monotonic() - begun < PATIENCE_S
        time.sleep(0.05)
    return time.monotonic() - begun


def test_what_is_kept_is_projected_once_however_often_the_process_is_killed(tmp_path: Path) -> None:
    random, kept = Random(7), 0
    for _ in range(ROUNDS):
        with WeirProcess(tmp_path) as weir:
            keep(weir, 60)
            kept += 60
            time.sleep(random.random() * 1.2)
            weir.kill()
    with WeirProcess(tmp_path) as weir:
        wait_for_projection(tmp_path)
        report = ask(weir, "GET", "/api/v1/reports/completeness")
        summary = ask(weir, "POST", "/api/request-logs/summary/", {})
    assert report["complete"], report
    (applications,) = [hour["applications"] for hour in report["data"][-1:]]
    assert sum(each["rolled_up"] for hour in report["data"] for each in hour["applications"]) == kept
    assert applications[0]["accepted"] == applications[0]["stored"] == applications[0]["archived"]
    assert summary["number_of_requests"] == kept
    with closing(SQLiteRecordStore(tmp_path / "ledger.sqlite")) as records:
        blobs = FileBlobStore(tmp_path / "blobs")
        archive = Archive(blobs, nonce=str)
        archived = [
            member.record.id
            for partition in archive.partitions("default")
            for number in archive.objects(partition)
            if (found := archive.read(partition, number)) is not None
            for member in found.members()
        ]
        assert sorted(archived) == sorted(record.id for record in records.newest("default", limit=10_000))
        projections = Projections(SQLiteProjectionStore(records), SQLiteChangeFeed(records, blobs))
        sessions = projections.newest_sessions("default", None, limit=10)
        assert sum(session.calls for session in sessions) == kept
