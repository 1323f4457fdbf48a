"""Zip files for Lambda."""

import os
import zipfile
from pathlib import Path

from infra.pack import pack


def folder_of(path: Path, names: list[str], at: float) -> Path:
    for name in names:
        file = path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"the content of {name}")
        os.utime(file, (at, at))
    (path / "bin" / "run").chmod(0o755)
    return path


def test_the_same_files_make_the_same_bytes_whenever_they_were_written(tmp_path: Path) -> None:
    names = ["python/b.py", "bin/run", "python/a.py"]
    pack(folder_of(tmp_path / "one", names, 1e9), tmp_path / "one.zip")
    pack(folder_of(tmp_path / "two", names[::-1], 1.5e9), tmp_path / "two.zip")

    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "one.zip") as archive:
        rights = {info.filename: oct(info.external_attr >> 16) for info in archive.infolist()}
    assert rights == {"bin/run": "0o100755", "python/a.py": "0o100644", "python/b.py": "0o100644"}
