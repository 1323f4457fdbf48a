"""`weir query` and `weir export`: SQL over the archive, and calls out of it into a file."""

import argparse
import csv
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, TYPE_CHECKING

from weir.cli.archive import instant
from weir.cli.folder import require_data
from weir.domain.errors import LedgerUnavailable
from weir.runtime.settings import Settings, SettingsInvalid

if TYPE_CHECKING:
    from rich.console import Console

    from weir.analytics.engine import Result
    from weir.analytics.export import Written

_SHOWN = 1000
"""Rows of a table for people; the other formats give all."""

_DAYS = 30
_DEFAULT = "default"


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    query = commands.add_parser(
        "query",
        help="ask the archive in SQL",
        description="Asks the archive in SQL, with DuckDB on this machine. The view `calls` has each call once; the "
        "table `archive` has the lines as they lie. Both have the columns workspace, date and hour: a query that "
        "filters by them reads less. What happened in the last seconds is not in the archive yet.",
        epilog="""weir query "SELECT model, count(*), sum(cost) FROM calls WHERE date > '2026-11-01' GROUP BY 1" """,
    )
    query.add_argument("sql", nargs="?", help="one SELECT; - reads it from standard input")
    query.add_argument("--saved", metavar="NAME", help="a saved query instead")
    query.add_argument("--list", action="store_true", help="show the saved queries and what they tell")
    query.add_argument("--format", choices=("table", "csv", "jsonl"), default="table")
    query.add_argument("--workspace", help="only of that one; default: all that are here (on AWS: default)")
    _places(query, "from this time on, by default all (on AWS: 30 days back)", "1GB")
    query.set_defaults(run=_query)

    export = commands.add_parser(
        "export",
        help="write calls out of the archive to a file",
        description="Writes calls, as JSON lines or Parquet, each once and as its record is now, in the order in which "
        "they came. A batch of calls is in memory at a time: the peak is about 200 MB, however many there are. Erased "
        "calls are not in it.",
    )
    export.add_argument("--format", choices=("jsonl", "parquet"), default="jsonl")
    export.add_argument("--out", required=True, metavar="FILE", help="- is standard output (JSON lines only)")
    export.add_argument("--no-bodies", action="store_true", help="without requests and responses")
    for name in ("environment", "application", "intent", "model", "provider"):
        export.add_argument(f"--{name}", metavar="NAME")
    for name, field in (("session", "session_id"), ("customer", "customer_identifier"), ("user", "user_id")):
        export.add_argument(f"--{name}", metavar="ID", dest=field)
    export.add_argument("--workspace", default=_DEFAULT)
    _places(export, "from this time on, by default all (on AWS: 30 days back)", "256MB")
    export.set_defaults(run=_export)


def _places(parser: argparse.ArgumentParser, since: str, memory: str) -> None:
    parser.add_argument("--since", type=instant, metavar="TIME", help=f"{since}; 2026-11-01 or 2026-11-01T12:30, UTC")
    parser.add_argument("--before", type=instant, metavar="TIME", help="not included")
    parser.add_argument(
        "--memory",
        default=memory,
        help=f"the most that DuckDB takes, beside about 100 MB for the program itself (default: {memory})",
    )


def _query(arguments: argparse.Namespace) -> int:
    from weir.analytics import saved

    if arguments.list:
        for name in saved.names():
            print(f"{name}\n    {saved.purpose(saved.query(name))}")
        return 0
    if (arguments.sql is None) == (arguments.saved is None):
        return _wrong("query: give one SELECT, or --saved NAME (weir query --list shows them)")
    if arguments.saved is not None and arguments.saved not in saved.names():
        return _wrong(f"query: there is no saved query {arguments.saved!r}; there are {', '.join(saved.names())}")
    sql = saved.query(arguments.saved) if arguments.saved is not None else arguments.sql
    sql = sys.stdin.read() if sql == "-" else sql

    from weir.analytics.engine import Analytics, QueryFailed, Scope

    with _archive(arguments) as (archive, spill):
        scope = Scope(workspace=arguments.workspace, since=arguments.since, before=arguments.before)
        try:
            with Analytics(archive, spill=spill, memory=arguments.memory, scope=scope) as analytics:
                _WRITERS[arguments.format](analytics.ask(sql))
        except QueryFailed as exc:
            return _wrong(f"query: {exc}", code=1)
    return 0


def _export(arguments: argparse.Namespace) -> int:
    if arguments.format == "parquet" and arguments.out == "-":
        return _wrong("export: Parquet needs a file, its end is written before its beginning: --out FILE")

    from weir.analytics.engine import QueryFailed
    from weir.analytics.export import Export, Filter
    from weir.ledger.archive_format import Broken
    from weir.ledger.files import FileBlobStore
    from weir.runtime.bootstrap import open_archive

    asked = Filter(**{name: getattr(arguments, name) for name in Filter.__slots__})
    with _archive(arguments) as (folder, spill):
        export = Export(
            open_archive(FileBlobStore(folder.parent)),
            arguments.workspace,
            asked,
            spill=spill,
            memory=arguments.memory,
            bodies=not arguments.no_bodies,
        )
        try:
            with _opened(arguments.out) as out:
                steps = export.parquet(out) if arguments.format == "parquet" else export.jsonl(out)
                count = _followed(steps, len(export.hours))
        except BrokenPipeError:  # `| head` has seen enough
            raise
        except (QueryFailed, Broken, LedgerUnavailable, OSError) as exc:
            return _wrong(f"export: {exc}", code=1)
    place = "standard output" if arguments.out == "-" else arguments.out
    print(f"{count:,} calls of {len(export.hours):,} hours written to {place}", file=sys.stderr)
    return 0


def _watched(keys: Sequence[str]) -> Iterable[str]:
    from rich.progress import track

    console = _console()
    return track(keys, "Reading the archive", total=len(keys), console=console, disable=not console.is_terminal)


def _followed(steps: "Iterator[Written]", hours: int) -> int:
    """How many calls were written, with a bar meanwhile where somebody watches."""
    from rich.progress import Progress

    console, calls = _console(), 0
    with Progress(console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("Exporting", total=hours)
        for written in steps:
            calls = written.calls
            bar.update(task, completed=written.hours)
    return calls


def _console() -> "Console":
    from rich.console import Console

    return Console(stderr=True)


@contextmanager
def _opened(name: str) -> Iterator[IO[bytes]]:
    """Standard output, or a file that has its name only when it is whole."""
    if name == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    target = Path(name)
    if target.is_dir():
        raise IsADirectoryError(f"{name} is a folder")
    with tempfile.NamedTemporaryFile(dir=target.absolute().parent, prefix=f".{target.name}.", delete=False) as file:
        part = Path(file.name)
        try:
            yield file
        except BaseException:
            part.unlink()
            raise
    part.replace(target)


@contextmanager
def _archive(arguments: argparse.Namespace) -> Iterator[tuple[Path, Path]]:
    """The folder of the archive, and one for what a query needs meanwhile."""
    settings = Settings.from_environ(os.environ)
    with tempfile.TemporaryDirectory(prefix="weir-") as spill:
        if settings.engine == "sqlite":
            require_data(settings)
            yield settings.data_dir / "blobs" / "archive", Path(spill)
            return
        if settings.bucket is None:
            raise SettingsInvalid("WEIR_BUCKET: must be set when WEIR_ENGINE is dynamodb")
        from weir.analytics.mirror import mirror
        from weir.ledger.s3 import open_s3

        arguments.workspace = arguments.workspace or _DEFAULT
        arguments.since = arguments.since or datetime.now(UTC) - timedelta(days=_DAYS)
        folder = settings.data_dir / "mirror" / settings.bucket
        mirror(open_s3(settings.bucket), folder, arguments.workspace, arguments.since, arguments.before, _watched)
        yield folder / "archive", Path(spill)


def _table(result: "Result") -> None:
    from rich.console import Console
    from rich.table import Table

    rows = result.rows(_SHOWN + 1)
    table = Table(*result.columns, header_style="bold")
    for row in rows[:_SHOWN]:
        table.add_row(*("" if value is None else str(value) for value in row))
    Console().print(table)
    if len(rows) > _SHOWN:
        print(f"The first {_SHOWN:,} rows; --format csv or jsonl gives all.", file=sys.stderr)


def _csv(result: "Result") -> None:
    writer = csv.writer(sys.stdout)
    writer.writerow(result.columns)
    while rows := result.rows():
        writer.writerows(rows)


def _jsonl(result: "Result") -> None:
    from weir.protocols import jsonbytes

    while rows := result.rows():
        for row in rows:
            sys.stdout.buffer.write(jsonbytes.dumps(dict(zip(result.columns, row, strict=True))) + b"\n")
    sys.stdout.buffer.flush()


_WRITERS = {"table": _table, "csv": _csv, "jsonl": _jsonl}


def _wrong(message: str, code: int = 2) -> int:
    print(f"weir {message}", file=sys.stderr)
    return code
