"""After `sam build`: make of each artifact a zip file that is the same bytes whenever it is made of the same files.

The functions are compiled here for Lambda's Python; what they import is in the layer, which its Makefile compiles.
"""

import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BUILT = ROOT / ".aws-sam" / "build"
TARGET = "3.13"
LARGEST_LAYER_MB = 60
_WHERE = re.compile(r"^( +(?:CodeUri|ContentUri): )(\S+)$", re.MULTILINE)


def main() -> int:
    template = BUILT / "template.yaml"
    text = template.read_text(encoding="utf-8")
    compiler = target_python()
    for _, where in _WHERE.findall(text):
        source = BUILT / where
        if where.endswith(".zip"):
            continue
        artifact = BUILT / f"{source.name}.zip"
        if not source.is_relative_to(BUILT) or ".." in where:
            source = compiled(source, BUILT / source.name, compiler)
        pack(source, artifact)
        sys.stdout.write(f"{artifact.relative_to(ROOT)}: {_mb(artifact.stat().st_size)}, unzipped {_size(artifact)}\n")
    template.write_text(_WHERE.sub(_as_zip, text), encoding="utf-8")
    if compiler is not None and not has_compiled_dataclasses(BUILT / "SharedLayer.zip"):
        sys.stderr.write(
            "The layer has no compiled dataclasses: each cold start takes 0.04 s more. Its build says why.\n"
        )
    layer_mb = unzipped_bytes(BUILT / "SharedLayer.zip") / 1e6
    if layer_mb > LARGEST_LAYER_MB:
        sys.stderr.write(f"The layer is {layer_mb:.1f} MB unzipped; at most {LARGEST_LAYER_MB} MB are wanted.\n")
        return 1
    return 0


def target_python() -> str | None:
    """The path of a Python whose bytecode Lambda reads."""
    found = subprocess.run([ROOT / "layers/shared/find-python", TARGET], capture_output=True, text=True)  # noqa: S603
    if found.returncode != 0:
        sys.stderr.write(
            f"There is no Python {TARGET} on this machine: what is built has no bytecode, and starts slower.\n"
        )
    return found.stdout.strip() or None


def pack(folder: Path, archive: Path) -> None:
    """Every file in the order of its name, at one date, with no rights but to read and, where it has that, to run."""
    with zipfile.ZipFile(archive, "w") as target:
        for file in sorted(_files(folder)):
            info = zipfile.ZipInfo(file.relative_to(folder).as_posix())  # of 1980, the first year that zip files know
            info.create_system = 3  # Unix: else Lambda does not read the rights
            info.external_attr = (0o100755 if file.stat().st_mode & 0o100 else 0o100644) << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            target.writestr(info, file.read_bytes(), compresslevel=9)


def has_compiled_dataclasses(layer: Path) -> bool:
    with zipfile.ZipFile(layer) as opened:
        return "python/weir/runtime/dataclass_code.marshal" in opened.namelist()


def unzipped_bytes(archive: Path) -> int:
    with zipfile.ZipFile(archive) as opened:
        return sum(info.file_size for info in opened.infolist())


def compiled(function: Path, copy: Path, compiler: str | None) -> Path:
    """A copy of a function's folder, with the target's bytecode and nobody else's."""
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(function, copy, ignore=shutil.ignore_patterns("__pycache__"))
    if compiler is not None:
        command = [compiler, "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash"]
        subprocess.run([*command, "-s", copy, "-p", "/var/task", copy], check=True)  # noqa: S603
    return copy


def _files(folder: Path) -> Iterable[Path]:
    return (path for path in folder.rglob("*") if path.is_file())


def _as_zip(found: re.Match[str]) -> str:
    name = found[2] if found[2].endswith(".zip") else f"{Path(found[2]).name}.zip"
    return f"{found[1]}{name}"


def _size(archive: Path) -> str:
    return _mb(unzipped_bytes(archive))


def _mb(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size > 1e5 else f"{size / 1e3:.1f} kB"


if __name__ == "__main__":
    sys.exit(main())
