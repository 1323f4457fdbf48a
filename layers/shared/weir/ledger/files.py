"""Blobs as files below a folder: written beside, fsynced, named, and the folders fsynced."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from weir.domain.errors import LedgerUnavailable

_UNFINISHED = "."
"""What a file's name begins with until its content is whole; a crash may leave such a file behind."""


class FileBlobStore:
    def __init__(self, folder: Path) -> None:
        self._folder = folder.absolute()
        self._known: set[Path] = set()  # folders whose own names are durable

    def put(self, key: str, content: bytes) -> None:
        path = self._path(key)
        with _refused_as("The payload cannot be written."), self._written(path, content) as file:
            file.replace(path)

    def put_new(self, key: str, content: bytes) -> bool:
        path = self._path(key)
        with _refused_as("The payload cannot be written."), self._written(path, content) as file:
            try:
                path.hardlink_to(file)
            except FileExistsError:
                return False
            return True

    def get(self, key: str) -> bytes | None:
        with _refused_as("The payload cannot be read."):
            try:
                return self._path(key).read_bytes()
            except FileNotFoundError:
                return None

    def get_range(self, key: str, start: int, length: int) -> bytes | None:
        with _refused_as("The payload cannot be read."):
            try:
                with self._path(key).open("rb") as file:
                    file.seek(start)
                    return file.read(length)
            except FileNotFoundError:
                return None

    def list(self, prefix: str, after: str | None = None) -> Iterator[str]:
        with _refused_as("The payloads cannot be listed."):
            yield from _below(self._folder, "", prefix, after or "")

    def delete(self, key: str) -> None:
        path = self._path(key)
        with _refused_as("The payload cannot be deleted."):
            try:
                path.unlink()
            except FileNotFoundError:
                return
            _fsync(path.parent)

    @contextmanager
    def _written(self, path: Path, content: bytes) -> Iterator[Path]:
        """A file beside `path` with that content on the disk. What is named after it inside is durable afterwards."""
        self._make(path.parent)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=_UNFINISHED, delete=False) as unfinished:
            file = Path(unfinished.name)
            try:
                unfinished.write(content)
                unfinished.flush()
                os.fsync(unfinished.fileno())
                yield file
            finally:
                file.unlink(missing_ok=True)
        _fsync(path.parent)  # also when somebody else's file is there: its name may not be on the disk yet

    def _make(self, folder: Path) -> None:
        """Make a folder, and its name and those above durable, once in a process: no folder is ever deleted."""
        if folder in self._known:
            return
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        above = folder
        while above != self._folder.parent:
            _fsync(above.parent)
            above = above.parent
        self._known.add(folder)

    def _path(self, key: str) -> Path:
        path = self._folder / key
        if (
            ".." in path.parts
            or not path.is_relative_to(self._folder)
            or path.name.startswith(_UNFINISHED)
            or path == self._folder
        ):
            raise ValueError("a blob key must name a file inside its folder, and not begin that name with a dot")
        return path


def _below(folder: Path, name: str, prefix: str, after: str) -> Iterator[str]:
    """The keys below a folder, whose own is `name` (empty, or ending in a slash)."""
    try:
        entries = [(f"{name}{entry.name}{'/' if entry.is_dir() else ''}", entry.name) for entry in os.scandir(folder)]
    except FileNotFoundError:
        return
    for key, entry in sorted(entries):
        if key.endswith("/"):
            common = min(len(key), len(prefix))
            if key[:common] == prefix[:common] and (key > after or after.startswith(key)):
                yield from _below(folder / entry, key, prefix, after)
        elif key.startswith(prefix) and key > after and not entry.startswith(_UNFINISHED):
            yield key


@contextmanager
def _refused_as(message: str) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise LedgerUnavailable(message) from exc


def _fsync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
