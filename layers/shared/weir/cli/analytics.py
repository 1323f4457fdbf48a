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
from typing import IO, TYPE_CHECKING, TypeVar

from weir.runtime.settings import Settings, SettingsInvalid

if TYPE_CHECKING:
    from weir.analytics.engine import Result

Step = TypeVar("Step")

_SHOWN = 1000
"""Rows of a table for people; the other formats give all."""

_DAYS = 30


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
    _places(query, "on AWS, the part of the archive that is fetched: from this time on (default: 30 days back)")
    query.set_defaults(run=_query)

    export = commands.add_parser(
        "export",
        help="write calls out of the archive to a file",
        description="Writes calls, as JSON lines or Parquet, each once and as its record is now. Takes no "
        "more memory than --memory allows. Erased calls are not in it.",
    )
    export.add_argument("--format", choices=("jsonl", "parquet"), default="jsonl")
    export.add_argument("--out", required=True, metavar="FILE", help="- is standard output (JSON lines only)")
    export.add_argument("--no-bodies", action="store_true", help="without requests and responses")
    for name in ("environment", "application", "intent", "model", "provider"):
        export.add_argument(f"--{name}", metavar="NAME")
    for name, field in (("session", "session_id"), ("customer", "customer_identifier"), ("user", "user_id")):
        export.add_argument(f"--{name}", metavar="ID", dest=field)
    _places(export, "from this time on, by default all (on AWS: 30 days back)")
    export.set_defaults(run=_export)


def _places(parser: argparse.ArgumentParser, since: str) -> None:
    parser.add_argument("--workspace", default="default")
    parser.add_argument("--since", type=_instant, metavar="TIME", help=f"{since}; 2026-11-01 or 2026-11-01T12:30, UTC")
    parser.add_argument("--before", type=_instant, metavar="TIME", help="not included")
    parser.add_argument("--memory", default="1GB", help="the most that the engine takes (default: 1GB)")


def _instant(text: str) -> datetime:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        message = f"{text!r} is not a date or time such as 2026-11-01 or 2026-11-01T12:30"
        raise argparse.ArgumentTypeError(message) from None
    return instant if instant.tzinfo is not None else instant.replace(tzinfo=UTC)


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

    from weir.analytics.engine import Analytics, QueryFailed

    with _archive(arguments) as (archive, spill):
        try:
            with Analytics(archive, spill=spill, memory=arguments.memory) as analytics:
                _WRITERS[arguments.format](analytics.ask(sql))
        except QueryFailed as exc:
            return _wrong(f"query: {exc}", code=1)
    return 0


def _export(arguments: argparse.Namespace) -> int:
    if arguments.format == "parquet" and arguments.out == "-":
        return _wrong("export: Parquet needs a file, its end is written before its beginning: --out FILE")

    from weir.analytics.engine import Analytics, QueryFailed
    from weir.analytics.export import Filter, export_jsonl, export_parquet, hours

    asked = Filter(**{name: getattr(arguments, name) for name in Filter.__slots__})
    bodies = not arguments.no_bodies
    with _archive(arguments) as (archive, spill), Analytics(archive, spill=spill, memory=arguments.memory) as analytics:
        parts = hours(archive, arguments.workspace, asked)
        try:
            if arguments.format == "parquet":
                steps = export_parquet(analytics, parts, asked, Path(arguments.out), spill=spill, bodies=bodies)
                count = _followed(steps, len(parts))
            else:
                with _opened(arguments.out) as out:
                    count = _followed(export_jsonl(analytics, parts, asked, out, bodies=bodies), len(parts))
        except (QueryFailed, OSError) as exc:
            return _wrong(f"export: {exc}", code=1)
    place = "standard output" if arguments.out == "-" else arguments.out
    print(f"{count:,} calls of {len(parts):,} hours written to {place}", file=sys.stderr)
    return 0


def _watched(keys: Sequence[str]) -> Iterable[str]:
    return _tracked(keys, "Reading the archive", len(keys))


def _followed(steps: Iterator[int], hours: int) -> int:
    """How many were written, with a bar meanwhile where somebody watches."""
    return max(_tracked(steps, "Exporting", hours), default=0)


def _tracked(steps: Iterable[Step], title: str, total: int) -> Iterable[Step]:
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    return track(steps, title, total=total, console=console, disable=not console.is_terminal)


@contextmanager
def _opened(name: str) -> Iterator[IO[bytes]]:
    """Standard output, or a file that has its name only when it is whole."""
    if name == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    target = Path(name)
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
            yield settings.data_dir / "blobs" / "archive", Path(spill)
            return
        if settings.bucket is None:
            raise SettingsInvalid("WEIR_BUCKET: must be set when WEIR_ENGINE is dynamodb")
        from weir.analytics.mirror import mirror
        from weir.ledger.s3 import open_s3

        since = arguments.since or datetime.now(UTC) - timedelta(days=_DAYS)
        folder = settings.data_dir / "mirror" / settings.bucket
        mirror(open_s3(settings.bucket), folder, arguments.workspace, since, arguments.before, _watched)
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
