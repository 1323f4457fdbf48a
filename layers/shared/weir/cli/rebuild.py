"""`weir rebuild`: table, rollups and sessions anew, from the archive alone."""

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

from weir.cli.archive import instant
from weir.cli.folder import require_data
from weir.runtime.settings import Settings

if TYPE_CHECKING:
    from weir.ledger.archive_format import Partition
    from weir.services.rebuild import Rebuild, Rebuilt


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    rebuild = commands.add_parser(
        "rebuild",
        help="make table, rollups and sessions anew from the archive",
        description="Puts every call of the archive into the table that the settings name, and lets rollups and "
        "sessions take it in. What is there already stays as it is; what was erased is not put back. It can be "
        "interrupted, and goes on where it was when it is run again. Configuration and API keys are not in the "
        "archive. Payloads too large for the table are put into the bucket again.",
    )
    rebuild.add_argument("--workspace", help="default: each that has an archive")
    rebuild.add_argument("--since", type=instant, metavar="TIME", help="the first hour, in UTC: 2026-03-01T12")
    rebuild.add_argument("--before", type=instant, metavar="TIME", help="the hour after the last")
    rebuild.add_argument("--from-start", action="store_true", help="do hours again that an earlier run has done")
    rebuild.add_argument("--json", action="store_true", help="for machines")
    rebuild.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    from dataclasses import asdict

    from weir.domain.errors import LedgerUnavailable
    from weir.ledger.archive_format import Broken
    from weir.runtime.bootstrap import open_archive, open_stores
    from weir.services.project import Projector
    from weir.services.rebuild import Rebuild

    settings = Settings.from_environ(os.environ)
    require_data(settings)
    stores = open_stores(settings)
    archive = open_archive(stores.ledger.blobs)
    bookmark = Bookmark(settings)
    if arguments.from_start:
        bookmark.remove()
    try:
        names = [arguments.workspace] if arguments.workspace is not None else list(archive.workspaces())
        found = [
            partition for name in names for partition in archive.partitions(name, arguments.since, arguments.before)
        ]
        left = [partition for partition in found if not bookmark.passed(partition)]
        rebuild = Rebuild(archive, stores.ledger.without_spill(), Projector(archive, stores.projections).catch_up)
        done = asyncio.run(_hours(rebuild, left, bookmark))
    except (LedgerUnavailable, Broken) as exc:
        print(f"weir: {exc} Not finished: run it again, and it goes on from here.", file=sys.stderr)
        return 1
    finally:
        stores.ledger.close()
    bookmark.remove()
    skipped = len(found) - len(left)
    if arguments.json:
        print(json.dumps({**asdict(done), "hours": len(left), "hours_done_before": skipped}))
    else:
        print(_to_text(done, len(left), skipped))
    return 0


class Bookmark:
    """Which hours an unfinished run for this table has done: a line each, in the data folder."""

    def __init__(self, settings: Settings) -> None:
        self._path = settings.data_dir / "rebuild.jsonl"
        self._table = settings.table if settings.engine == "dynamodb" else "sqlite"
        self._done = self._read()

    def passed(self, partition: "Partition") -> bool:
        return self._line(partition) in self._done

    def put(self, partition: "Partition") -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(f"\n{self._line(partition)}")  # a kill may have left half a line before it

    def remove(self) -> None:
        self._path.unlink(missing_ok=True)
        self._done = frozenset()

    def _line(self, partition: "Partition") -> str:
        return json.dumps([self._table, partition.workspace, partition.date, partition.hour])

    def _read(self) -> frozenset[str]:
        try:
            return frozenset(self._path.read_text(encoding="utf-8").splitlines())
        except FileNotFoundError:
            return frozenset()


async def _hours(rebuild: "Rebuild", partitions: list["Partition"], bookmark: Bookmark) -> "Rebuilt":
    from weir.services.rebuild import Rebuilt

    done = Rebuilt()
    for partition in _watched(partitions):
        done += await rebuild.hour(partition)
        bookmark.put(partition)
    return done


def _watched(partitions: list["Partition"]) -> Iterable["Partition"]:
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    return track(partitions, "Rebuilding", console=console, disable=not console.is_terminal)


def _to_text(done: "Rebuilt", hours: int, skipped: int) -> str:
    lines = [f"{hours:,} hours of the archive{f', {skipped:,} more were done before' if skipped else ''}"]
    lines.append(f"  {done.kept:,} calls put, {done.there:,} were there already")
    if done.erased:
        lines.append(f"  {done.erased:,} were erased and stay so")
    if done.bare:
        lines.append(f"  {done.bare:,} have no body in the archive and were left out")
    return "\n".join(lines)
