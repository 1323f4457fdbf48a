"""`weir query` and `weir export`, as a person runs them."""

import json
import os
import signal
import subprocess
import sys
from itertools import count
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from tests.analytics.test_analytics import NOW, call, keep
from weir.analytics.mirror import mirror
from weir.ledger.archive import Archive
from weir.ledger.archive_format import Partition
from weir.ledger.files import FileBlobStore
from weir.ledger.s3 import S3BlobStore

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with three calls in its archive."""
    numbers = count()
    archive = Archive(FileBlobStore(tmp_path / "data" / "blobs"), nonce=lambda: str(next(numbers)))
    keep(archive, call(1, application="shop"), call(2, application="shop", hours_ago=2), call(3, application="desk"))
    return tmp_path / "data"


def weir(data: Path, *arguments: str, stdin: str = "") -> tuple[int, str, str]:
    ran = subprocess.run(
        [sys.executable, "-m", "weir", *arguments],
        env={
            "PYTHONPATH": str(PROJECT / "layers" / "shared"),
            "PATH": os.environ["PATH"],
            "WEIR_DATA_DIR": str(data),
            "COLUMNS": "100",
        },
        input=stdin,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
    )
    return ran.returncode, ran.stdout, ran.stderr


COUNTED = "SELECT application, count(*) AS calls FROM calls GROUP BY application ORDER BY application"


def test_a_query_as_a_table(data: Path) -> None:
    code, out, err = weir(data, "query", COUNTED)
    assert (code, err) == (0, "")
    assert [line.replace("│", " ").split() for line in out.splitlines() if "│" in line] == [
        ["desk", "1"],
        ["shop", "2"],
    ]


def test_a_query_from_standard_input_for_machines(data: Path) -> None:
    assert weir(data, "query", "-", "--format", "jsonl", stdin=COUNTED) == (
        0,
        '{"application":"desk","calls":1}\n{"application":"shop","calls":2}\n',
        "",
    )
    assert weir(data, "query", COUNTED, "--format", "csv") == (0, "application,calls\ndesk,1\nshop,2\n", "")


def test_saved_queries_say_what_they_tell_and_run(data: Path) -> None:
    code, out, _ = weir(data, "query", "--list")
    assert (code, out.splitlines()[:2]) == (
        0,
        ["cost_by_customer", "    What each customer cost in the last 30 days, the dearest first."],
    )
    code, out, _ = weir(data, "query", "--saved", "error_budget", "--format", "jsonl")
    assert (code, [json.loads(line)["calls"] for line in out.splitlines()]) == (0, [2, 1])


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["query"], 2, "weir query: give one SELECT, or --saved NAME (weir query --list shows them)\n"),
        (["query", "--saved", "x"], 2, "weir query: there is no saved query 'x'; there are cost_by_customer, "),
        (["query", "SELECT nothing FROM calls"], 1, "weir query: Binder Error: "),
        (["query", ""], 1, "weir query: this is not one statement, but none\n"),
        (["query", "SELECT 1; SELECT 2"], 1, "weir query: this is not one statement, but 2\n"),
        (["query", "SELECT now() AS at"], 1, "weir query: the column at is a time with a zone; CAST(at AS TIMESTAMP) "),
        (["query", "SELECT 1", "--memory", "lots"], 1, "weir query: 'lots' is no amount of memory such as 512MB"),
        (["export", "--out", "x", "--memory", "lots"], 1, "weir export: 'lots' is no amount of memory such as 512MB"),
        (["export", "--out", "/"], 1, "weir export: / is a folder\n"),
        (["export", "--format", "parquet", "--out", "/nowhere/x"], 1, "weir export: [Errno 2] No such file or dir"),
        (["export", "--format", "parquet", "--out", "-"], 2, "weir export: Parquet needs a file, "),
        (["export", "--out", "/nowhere/at/all.jsonl"], 1, "weir export: [Errno 2] No such file or directory"),
        (["export", "--out", "x", "--since", "soon"], 2, "usage: weir export"),
    ],
)
def test_mistakes_are_named(data: Path, arguments: list[str], code: int, said: str) -> None:
    ran = weir(data, *arguments)
    assert ran[:2] == (code, "")
    assert ran[2].startswith(said)
    assert "Traceback" not in ran[2]


@pytest.mark.parametrize("command", ["query", "export", "verify", "erase", "rebuild", "deadletters"])
def test_a_folder_that_is_not_there_is_no_empty_ledger(tmp_path: Path, command: str) -> None:
    arguments = {
        "query": ["SELECT 1"],
        "export": ["--out", str(tmp_path / "calls.jsonl")],
        "erase": ["--customer", "c", "--workspace", "default"],
    }
    missing = tmp_path / "mistyped"
    assert weir(missing, command, *arguments.get(command, [])) == (
        2,
        "",
        f"weir: WEIR_DATA_DIR: there is no folder {missing}\n",
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["dev", "rebuild", "deadletters"])
def test_a_file_that_is_no_ledger_is_named(tmp_path: Path, command: str) -> None:
    ledger = tmp_path / "ledger.sqlite"
    ledger.write_text("what somebody else keeps here\n" * 100)
    code, _, err = weir(tmp_path, command)
    assert (code, err) == (1, f"weir: The ledger {ledger} cannot be opened: file is not a database.\n")


def test_an_export_that_is_killed_leaves_no_half_file(data: Path, tmp_path: Path) -> None:
    """As it is just before its name is given: what lies there meanwhile has another one."""
    killing = (
        "import os, pathlib, sys, weir.cli;"
        "pathlib.Path.replace = lambda *_: os._exit(9);"
        "sys.argv = ['weir', *sys.argv[1:]]; weir.cli.main()"
    )
    for format in ("jsonl", "parquet"):
        out = tmp_path / f"calls.{format}"
        ran = subprocess.run(
            [sys.executable, "-c", killing, "export", "--format", format, "--out", str(out)],
            env={"PYTHONPATH": str(PROJECT / "layers" / "shared"), "WEIR_DATA_DIR": str(data)},
            capture_output=True,
            timeout=60,
        )
        assert (ran.returncode, out.exists()) == (9, False)


def test_an_export_to_somebody_who_has_seen_enough_ends_quietly(data: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    ran = subprocess.run(
        [sys.executable, "-m", "weir", "export", "--out", "-"],
        env={"PYTHONPATH": str(PROJECT / "layers" / "shared"), "WEIR_DATA_DIR": str(data)},
        stdout=writing,
        stderr=subprocess.PIPE,
        timeout=60,
    )
    os.close(writing)
    assert (ran.returncode, ran.stderr) == (0, b"")


def test_an_export_to_a_file(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "calls.jsonl"
    assert weir(data, "export", "--out", str(out), "--application", "shop", "--no-bodies") == (
        0,
        "",
        f"2 calls of {hours_of(data)} hours written to {out}\n",
    )
    assert [json.loads(line)["application"] for line in out.read_text(encoding="utf-8").splitlines()] == ["shop"] * 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["calls.jsonl", "data"]


def hours_of(data: Path) -> int:
    return len(list((data / "blobs" / "archive").glob("*/*/*")))


def test_the_mirror_follows_the_store() -> None:
    with mock_aws(), pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_DEFAULT_REGION", "us-east-1")
        client: Any = boto3.client("s3")
        client.create_bucket(Bucket="weir")
        _follows(S3BlobStore(client, "weir"))


def _follows(blobs: S3BlobStore) -> None:
    import tempfile

    numbers = count()
    archive = Archive(blobs, nonce=lambda: str(next(numbers)))
    recent, old = call(1), call(2, hours_ago=50)
    keep(archive, recent, old)
    key = Partition.of("default", recent.record.id).key(1)
    old_key = Partition.of("default", old.record.id).key(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)

        def copy(**bounds: Any) -> int:
            return mirror(blobs, folder, "default", bounds.get("since"), None)

        assert copy(since=NOW) == 1
        assert ((folder / key).read_bytes(), (folder / old_key).exists()) == (blobs.get(key), False)
        assert copy() == 1
        assert copy() == 0
        blobs.put(key, b"with a call erased")
        assert copy() == 1
        assert (folder / key).read_bytes() == b"with a call erased"
        blobs.delete(old_key)
        assert copy() == 0
        assert not (folder / old_key).exists()


def test_an_interrupted_command_says_so(data: Path) -> None:
    asking = subprocess.Popen(
        [sys.executable, "-u", "-c", _SAYS_WHEN_IT_READS, "query", "-"],
        env={"PYTHONPATH": str(PROJECT / "layers" / "shared"), "WEIR_DATA_DIR": str(data)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert asking.stdout is not None
    assert asking.stdout.readline() == b"reading\n"
    asking.send_signal(signal.SIGINT)
    assert asking.communicate(timeout=60) == (b"", b"weir: interrupted\n")
    assert asking.returncode == 130


_SAYS_WHEN_IT_READS = """
import io, sys, weir.cli

class Input(io.StringIO):
    def read(self, size=-1):
        print("reading", flush=True)
        return sys.__stdin__.read()

sys.stdin = Input()
sys.exit(weir.cli.main())
"""
