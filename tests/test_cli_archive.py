"""`weir verify` and `weir erase`, as a person runs them."""

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.ledger.test_archive import call, opened
from tests.ledger.test_contract import NOON, record
from tests.test_cli import report, weir
from weir.domain.record import Payload
from weir.ledger.archive_format import Call, Partition
from weir.ledger.files import FileBlobStore
from weir.ledger.ledger import Ledger
from weir.ledger.seals import Seals
from weir.ledger.spill import Spill
from weir.ledger.sqlite import SQLiteRecordStore
from weir.services.seal import seal_recent

TWELVE = Partition("main", "2026-03-01", 12)


def an_archive(folder: Path) -> FileBlobStore:
    blobs = FileBlobStore(folder)
    archive = opened(blobs)
    archive.append(TWELVE, [call(1), call(2)])
    archive.append(TWELVE, [call(3)])
    other = call(1, workspace="team one")
    archive.append(Partition.of("team one", other.record.id), [other])
    seal_recent(archive, Seals(blobs), "main", datetime(2026, 3, 1, 13, tzinfo=UTC))
    return blobs


def test_verify_says_what_it_looked_at(tmp_path: Path) -> None:
    seal = Seals(an_archive(tmp_path)).last("main")
    assert seal is not None
    ran = weir("verify", "--folder", str(tmp_path))
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout == (
        "main: 3 members in 2 objects of 1 hours\n"
        f"  last seal: 1, hash {seal.hash}\n"
        "  as it was written\n"
        "team one: 1 members in 1 objects of 1 hours\n"
        "  no seals: that the last object of an hour is gone would not show\n"
        "  as it was written\n"
    )
    assert weir("verify", "--folder", str(tmp_path), "--workspace", "main", "--anchor", seal.hash).returncode == 0
    assert weir("verify", "--folder", str(tmp_path), "--workspace", "main", "--anchor", "0" * 64).returncode == 1


def test_verify_names_the_first_break(tmp_path: Path) -> None:
    blobs = an_archive(tmp_path)
    blobs.delete(TWELVE.key(1))
    ran = weir("verify", "--folder", str(tmp_path), "--workspace", "main")
    assert (ran.returncode, ran.stderr) == (1, "")
    assert ran.stdout.endswith(f"  BROKEN at {TWELVE.key(1)}:\n    the object is missing; the chain goes on with 2\n")
    ran = weir("verify", "--folder", str(tmp_path), "--json", "--since", "2026-03-01T12", "--before", "2026-03-02")
    assert [json.loads(line)["broken"] for line in ran.stdout.splitlines()] == [
        {
            "key": TWELVE.key(1),
            "says": "the object is missing; the chain goes on with 2",
            "member": None,
            "id": None,
        },
        None,
    ]
    assert weir("verify", "--folder", str(tmp_path), "--since", "2026-03-02").returncode == 0


def test_verify_says_so_when_there_is_nothing(tmp_path: Path) -> None:
    ran = weir("verify", WEIR_DATA_DIR=str(tmp_path))
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "There is no archive.\n")
    ran = weir("verify", "--folder", str(tmp_path / "none"))
    assert (ran.returncode, ran.stderr) == (2, f"weir: {tmp_path / 'none'} is no folder\n")
    ran = weir("verify", "--folder", str(tmp_path), "--workspace", "mian")
    assert (ran.returncode, ran.stdout, ran.stderr) == (2, "", "weir: the workspace mian has no archive\n")
    ran = weir("verify", "--folder", str(tmp_path), "--workspace", "main", "--anchor", "0" * 64)
    assert (ran.returncode, "no seal has the hash" in ran.stdout) == (1, True)
    assert weir("verify", "--folder", str(tmp_path), "--anchor", "0" * 64).returncode == 2
    ran = weir("verify", "--since", "soon")
    assert ran.stderr.endswith("--since: 'soon' is not a date or time such as 2026-03-01 or 2026-03-01T12\n")


def test_verify_misses_an_archive_of_which_nothing_is_left(tmp_path: Path) -> None:
    blobs = an_archive(tmp_path)
    for key in list(blobs.list("archive/")):
        blobs.delete(key)
    ran = weir("verify", "--folder", str(tmp_path))
    assert (ran.returncode, ran.stderr) == (1, "")
    assert ran.stdout.endswith(f"  BROKEN at {TWELVE.key(1)}:\n    the object is missing; seal 1 names object 2\n")


@pytest.mark.parametrize(
    ("waiting", "expected"),
    [
        (0, ("ok", "nothing waits to be put back")),
        (2, ("note", "2 records wait to be put back, the oldest since 2026-03-01T12:00:00Z")),
    ],
)
def test_doctor_shows_what_waits_to_be_put_back(tmp_path: Path, waiting: int, expected: tuple[str, str]) -> None:
    SQLiteRecordStore(tmp_path / "ledger.sqlite").close()
    for number in range(waiting):
        Spill(FileBlobStore(tmp_path / "blobs")).put(record(NOON + number, number), Payload(b"{}"))
    found = {each["subject"]: (each["verdict"], each["says"]) for each in report(tmp_path)["settings"]}
    assert found["spill"] == expected


def test_erase_says_what_it_removed(tmp_path: Path) -> None:
    files = FileBlobStore(tmp_path / "blobs")
    found = replace(record(), session_id="s-1")
    ledger = Ledger(SQLiteRecordStore(tmp_path / "ledger.sqlite"), files)
    asyncio.run(ledger.keep(found, Payload(b"{}")))
    ledger.close()
    opened(files).append(Partition.of("main", found.id), [Call(found, Payload(b"{}"))])
    session = ("--workspace", "main", "--session", "s-1")

    ran = weir("erase", *session, "--dry-run", WEIR_DATA_DIR=str(tmp_path))
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout == "Would erase:\n         1  calls\n         1  archive hours\n"
    ran = weir("erase", *session, WEIR_DATA_DIR=str(tmp_path))
    assert ran.stdout == (
        "Erased:\n         1  calls\n         1  records\n         0  payload blobs\n         0  put aside\n"
        "         0  sessions\n         0  customer sums\n         1  archive members\n         1  archive hours\n"
    )
    ran = weir("erase", *session, "--json", WEIR_DATA_DIR=str(tmp_path))
    assert json.loads(ran.stdout)["calls"] == 0
    assert "1 of them erased" in weir("verify", WEIR_DATA_DIR=str(tmp_path)).stdout


def test_erase_wants_to_know_whose_and_where(tmp_path: Path) -> None:
    for arguments in (
        ("--workspace", "main"),
        ("--session", "s"),
        ("--workspace", "w", "--session", "s", "--user", "u"),
        ("--workspace", "w", "--customer", ""),
    ):
        assert weir("erase", *arguments, WEIR_DATA_DIR=str(tmp_path)).returncode == 2
