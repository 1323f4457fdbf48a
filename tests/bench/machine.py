"""What the operating system knows: cores, file systems, and what a process has used."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PROJECT = Path(__file__).resolve().parents[2]
_IN_MEMORY = frozenset({"tmpfs", "ramfs"})


def cores() -> tuple[int, int]:
    """The core for Weir and the one for everything else; the same one twice on a machine with one."""
    available = sorted(os.sched_getaffinity(0))
    return available[0], available[-1]


@contextmanager
def on_core(core: int) -> Iterator[None]:
    """What is started inside stays on `core` with all its threads."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def is_on_disk(folder: Path) -> bool:
    """Whether the folder's file system writes to something that survives a power failure."""
    best, kind = "", ""
    for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines():
        _, place, this_kind, *_ = line.split(" ")
        if folder.resolve().is_relative_to(place) and len(place) >= len(best):
            best, kind = place, this_kind
    return kind not in _IN_MEMORY


def cpu_seconds(pid: int) -> float:
    """Processor time of all its threads so far."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def cpu_ms(pid: int) -> float:
    """The same, to the nanosecond: of the threads that are there now, from what the scheduler knows of each."""
    tasks = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(task.read_text(encoding="ascii").split()[0]) for task in tasks) / 1e6


def peak_rss_mb(pid: int) -> float:
    """The most memory it ever had in use."""
    return _status_mb(pid, "VmHWM")


def rss_mb(pid: int) -> float:
    """The memory it has in use."""
    return _status_mb(pid, "VmRSS")


@contextmanager
def data_folder() -> Iterator[Path]:
    """A folder on a disk, for a while: where /tmp is memory, one in the project."""
    parent = Path(tempfile.gettempdir())
    with tempfile.TemporaryDirectory(prefix=".weir-bench-", dir=parent if is_on_disk(parent) else _PROJECT) as folder:
        yield Path(folder)


def _status_mb(pid: int, name: str) -> float:
    for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) / 1024
    raise ValueError(f"/proc/{pid}/status does not say {name}")
