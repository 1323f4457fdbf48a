"""`weir deadletters`, and what the doctor says of a projection, as a person runs them."""

from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.ledger.test_projections import call
from tests.test_cli import report, weir
from weir.domain.ids import milliseconds
from weir.domain.record import Payload, Record
from weir.ledger import payloads
from weir.ledger.ports import Entry
from weir.ledger.sqlite import SQLiteRecordStore
from weir.runtime.bootstrap import Stores, open_stores
from weir.runtime.local_projection import project_next
from weir.runtime.projection import local_feed, open_projection
from weir.runtime.settings import Settings

NOW = datetime.now(UTC)


class Local:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.settings = Settings.from_environ({"WEIR_DATA_DIR": str(folder)})

    def keep(self, *entries: Entry, project: bool = True) -> None:
        stores = open_stores(self.settings)
        with closing(stores.ledger):
            for future in [stores.ledger.records.submit(entry) for entry in entries]:
                future.result(20)
            if project:
                self._project(stores)

    def _project(self, stores: Stores) -> None:
        assert isinstance(stores.ledger.records, SQLiteRecordStore)
        projection = open_projection(stores.ledger, stores.projections, self.settings)
        project_next(local_feed(stores.ledger, stores.ledger.records), projection.projector)

    def findings(self) -> dict[str, tuple[str, str]]:
        found = report(self.folder)["settings"]
        return {each["subject"]: (each["verdict"], each["says"]) for each in found}


@pytest.fixture
def local(tmp_path: Path) -> Local:
    return Local(tmp_path)


def recent(number: int, writer: str | None = None) -> Record:
    return call(number, milliseconds(NOW), workspace="default", writer=writer)


GOOD = payloads.to_bytes(Payload(b"{}"))


def test_what_is_set_aside_is_listed_and_tried_again(local: Local) -> None:
    torn, good = recent(1), recent(2)
    local.keep(Entry(torn, b"\x1f\x8btorn"), Entry(good, GOOD))
    environ = {"WEIR_DATA_DIR": str(local.folder)}
    line = f"default  {torn.id}  The payload cannot be read (ValueError).\n"
    listed = weir("deadletters", **environ)
    assert (listed.returncode, listed.stdout, listed.stderr) == (1, line, "")
    again = weir("deadletters", "--redrive", **environ)
    assert (again.returncode, again.stdout, again.stderr) == (1, f"0 done\n{line}", "")
    assert local.findings()["dead letters"] == ("wrong", "1 that cannot be projected; weir deadletters lists them")


def test_nothing_set_aside_is_nothing_to_say(local: Local) -> None:
    local.keep(Entry(recent(1), GOOD))
    listed = weir("deadletters", WEIR_DATA_DIR=str(local.folder))
    assert (listed.returncode, listed.stdout) == (0, "")


def test_the_doctor_tells_how_far_the_projection_is(local: Local) -> None:
    local.keep(Entry(recent(1), GOOD))
    found = local.findings()
    assert found["projection"] == ("ok", "nothing waits")
    assert found["dead letters"] == ("ok", "none")
    assert found["completeness"] == ("ok", "of 1 calls accepted in the last 24 hours 1 are stored")
    waits = recent(2)
    local.keep(Entry(waits, GOOD), project=False)
    found = local.findings()
    assert found["projection"][1].startswith("changes that wait: 1, the oldest for ")
    assert found["completeness"] == (
        "ok",
        f"of 2 calls accepted in the last 24 hours 2 are stored, 1 of them not archived yet: {waits.id}",
    )


def test_a_call_that_was_lost_is_wrong(local: Local) -> None:
    first, third = recent(1, "w:1"), recent(3, "w:3")
    local.keep(Entry(first, GOOD), Entry(third, GOOD))
    assert local.findings()["completeness"] == (
        "wrong",
        f"of 3 calls accepted in the last 24 hours 2 are stored; missing: 1 between {first.id} and {third.id}",
    )


def test_what_has_waited_long_is_noted(local: Local) -> None:
    old = call(1, milliseconds(NOW - timedelta(hours=30)), workspace="default")
    local.keep(Entry(old, GOOD), project=False)
    assert local.findings()["projection"][0] == "note"


def test_a_limit_is_a_number_from_one_on(tmp_path: Path) -> None:
    for limit in ("0", "-5", "all"):
        ran = weir("deadletters", f"--limit={limit}", WEIR_DATA_DIR=str(tmp_path))
        assert (ran.returncode, ran.stderr.splitlines()[-1]) == (
            2,
            f"weir deadletters: error: argument --limit: '{limit}' is not a number from 1 on",
        )
