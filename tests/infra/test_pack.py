"""Zip files for Lambda."""

import os
import zipfile
from pathlib import Path

import pytest

from infra import pack as packing
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


@pytest.mark.parametrize(
    ("files", "python", "said"),
    [
        (["python/weir/runtime/dataclass_code.marshal", "bin/run"], "python", ""),
        (
            ["python/weir/runtime/dataclass_code.py", "bin/run"],
            "python",
            "The layer has no compiled dataclasses: each cold start takes 0.04 s more. Its build says why.\n",
        ),
        (["bin/run"], None, ""),  # it was told that there is no bytecode at all
    ],
)
def test_a_layer_that_starts_slower_than_it_could_is_told_of_at_the_end(
    files: list[str],
    python: str | None,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder_of(tmp_path / "SharedLayer", files, 1e9)
    (tmp_path / "template.yaml").write_text("      ContentUri: SharedLayer\n", encoding="utf-8")
    monkeypatch.setattr(packing, "ROOT", tmp_path)
    monkeypatch.setattr(packing, "BUILT", tmp_path)
    monkeypatch.setattr(packing, "target_python", lambda: python)

    assert (packing.main(), capsys.readouterr().err) == (0, said)
    assert (tmp_path / "template.yaml").read_text(encoding="utf-8") == "      ContentUri: SharedLayer.zip\n"
