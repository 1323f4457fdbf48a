"""An export of four times as many calls takes no more memory."""

import os
import subprocess
import sys
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import pytest

from weir.domain.ids import instant_of, milliseconds, uuid7
from weir.domain.record import Payload, Record
from weir.ledger.archive import Archive
from weir.ledger.archive_format import Call, Partition
from weir.ledger.files import FileBlobStore

PROJECT = Path(__file__).resolve().parents[2]

CALLS = 2_500
SIZE = 12_000
"""Bytes of a call: four times as many calls are 90 MB more."""

EXPORT = """
import re, sys
from pathlib import Path
from weir.analytics import batches
from weir.cli import main

batches.BATCH_SIZE = 1_000_000  # so that the fewer calls are many batches, too
code = main()
print(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])
sys.exit(code)
"""


def keep(data: Path, calls: int) -> None:
    numbers = count()
    archive = Archive(FileBlobStore(data / "blobs"), nonce=lambda: str(next(numbers)))
    partition = Partition("default", "2026-03-01", 12)
    start = milliseconds(datetime(2026, 3, 1, 12, tzinfo=UTC))
    ids = (uuid7(start + number, number) for number in range(calls))
    archive.append(
        partition,
        (
            Call(
                Record(
                    id=id,
                    created_at=instant_of(id),
                    workspace="default",
                    environment="prod",
                    origin="storage",
                    inference_location="CLIENT",
                ),
                Payload(b'{"said":"%b"}' % (id.encode() * (SIZE // len(id))), b"{}"),
            )
            for id in ids
        ),
    )


def peak(data: Path, out: Path) -> int:
    """KB of memory that an export of the whole archive took."""
    ran = subprocess.run(
        [sys.executable, "-c", EXPORT, "export", "--format", out.suffix.removeprefix("."), "--out", str(out)],
        env={
            "PYTHONPATH": str(PROJECT / "layers" / "shared"),
            "PATH": os.environ["PATH"],
            "WEIR_DATA_DIR": str(data),
        },
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=True,
    )
    return int(ran.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak from /proc")
def test_memory_does_not_grow_with_the_calls(tmp_path: Path) -> None:
    few, many = tmp_path / "few", tmp_path / "many"
    keep(few, CALLS)
    keep(many, 4 * CALLS)
    for name in ("calls.jsonl", "calls.parquet"):
        once, fourfold = peak(few, tmp_path / name), peak(many, tmp_path / name)
        assert fourfold < 1.4 * once, f"{name}: {once:,} KB, then {fourfold:,} KB"
