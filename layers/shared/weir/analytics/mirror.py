"""A copy of a part of the archive on this machine, for an engine that reads files."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from weir.ledger.archive_format import placed
from weir.ledger.keys import archive_folder
from weir.protocols import jsonbytes

Watched = Callable[[Sequence[str]], Iterable[str]]
"""Gives the keys on as they are asked for, and shows how far that is."""


class StampedBlobs(Protocol):
    """What ledger.s3.S3BlobStore offers."""

    def get(self, key: str) -> bytes | None: ...

    def stamps(self, prefix: str) -> Iterator[tuple[str, str]]: ...


def mirror(
    blobs: StampedBlobs,
    folder: Path,
    workspace: str,
    since: datetime | None,
    before: datetime | None,
    watched: Watched = iter,
) -> int:
    """Make the hours' objects below `folder` those of the store. Gives how many were fetched. Raises LedgerUnavailable.

    An object changes only when a call in it is erased; its stamp tells. What is gone from the store goes here as well.
    """
    manifest = folder / f"{archive_folder(workspace).replace('/', '-')}stamps.json"
    here: dict[str, str] = jsonbytes.loads(manifest.read_bytes()) if manifest.exists() else {}
    there = dict(blobs.stamps(archive_folder(workspace)))
    for key in here.keys() - there.keys():
        (folder / key).unlink(missing_ok=True)
        del here[key]
    asked = [key for key in sorted(there) if _within(workspace, key, since, before)]
    lacking = [key for key in asked if here.get(key) != there[key]]
    try:
        for key in watched(lacking):
            content = blobs.get(key)
            if content is not None:
                _write(folder / key, content)
                here[key] = there[key]
    finally:
        _write(manifest, jsonbytes.dumps(here))
    return len(lacking)


def _within(workspace: str, key: str, since: datetime | None, before: datetime | None) -> bool:
    place = placed(workspace, key)
    if place is None:
        return False
    start = place[0].start
    return (before is None or start < before) and (since is None or start + timedelta(hours=1) > since)


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    part = path.with_name(f".{path.name}.{os.getpid()}")
    part.write_bytes(content)
    part.replace(path)
