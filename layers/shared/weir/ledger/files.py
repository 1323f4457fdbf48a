"""Blobs as files below a folder: written beside, fsynced, renamed, and the folder fsynced."""

import os
import tempfile
from pathlib import Path

from weir.domain.errors import LedgerUnavailable


class FileBlobStore:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, key: str, content: bytes) -> None:
        path = self._path(key)
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", delete=False) as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(file.name).replace(path)
            for folder in (path.parent, path.parent.parent, path.parent.parent.parent):  # each may be new
                _fsync(folder)
        except OSError as exc:
            raise LedgerUnavailable("The payload cannot be written.") from exc

    def get(self, key: str) -> bytes | None:
        try:
            return self._path(key).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as exc:
            raise LedgerUnavailable("The payload cannot be read.") from exc

    def _path(self, key: str) -> Path:
        path = (self._folder / key).resolve()
        if not path.is_relative_to(self._folder.resolve()):
            raise ValueError("a blob key must stay inside its folder")
        return path


def _fsync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
