"""DuckDB over an archive that lies in a folder, or over a part of it at a time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import duckdb

from weir.analytics import saved
from weir.analytics.columns import COLUMNS, PARTITIONS, duckdb_type
from weir.domain.ids import milliseconds
from weir.ledger.archive_format import Partition
from weir.ledger.keys import archive_folder

_TRINO = (
    "CREATE MACRO from_unixtime(seconds) AS make_timestamp(CAST(seconds * 1000000 AS BIGINT))",
    "CREATE MACRO approx_percentile(number, share) AS approx_quantile(number, share)",
)
"""Athena's names of functions that DuckDB calls otherwise: a query is written once."""

_LONGEST_LINE = 64_000_000
"""Bytes of a line: a request body of 6 MB, as text inside JSON, may grow several times."""


_SHORTEST_BUFFER = 1_000_000

_ZONED = ("TIMESTAMP WITH TIME ZONE", "TIME WITH TIME ZONE")


class QueryFailed(ValueError):
    """The engine's own words; the query was not right, or too much for the memory that it may take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What of an archive is in the tables: calls of a workspace, accepted from `since` until before `before`."""

    workspace: str | None = None
    since: datetime | None = None
    before: datetime | None = None

    @property
    def folder(self) -> str:
        """What the names of the workspaces' folders are like."""
        return "workspace=*" if self.workspace is None else archive_folder(self.workspace).split("/")[1]

    def where(self) -> str:
        """Of erased calls, which do not say when they came, whole hours are taken."""
        terms = ["true"]
        for instant, compared in ((self.since, ">="), (self.before, "<")):
            if instant is not None:
                terms.append(f"coalesce(created_at {compared} {milliseconds(instant)}, true)")
        if self.since is not None:
            terms.append(f""""date" || hour >= '{_hour(self.since)}'""")
        if self.before is not None:
            terms.append(f""""date" || hour <= '{_hour(self.before)}'""")
        return " AND ".join(terms)


_EVERYTHING = Scope()


class Analytics:
    """The table `archive`, the lines as they lie, and the view `calls`, each call once.

    The engine may read nothing but the folder, and write nothing but `spill` when a query outgrows `memory`.
    """

    def __init__(
        self,
        archive: Path | None,
        *,
        spill: Path,
        memory: str = "1GB",
        threads: int | None = None,
        scope: Scope = _EVERYTHING,
    ) -> None:
        """`archive` is the folder that holds the folders `workspace=…`; without one nothing is in the table.

        `memory` is a number and a unit; raises QueryFailed if it is not. By default there is a thread a core, and each
        has buffers of its own.
        """
        self._spill = spill
        try:
            self._connection = duckdb.connect(
                config={
                    "memory_limit": memory,
                    "temp_directory": str(spill),
                    "autoinstall_known_extensions": False,
                    "autoload_known_extensions": False,
                }
            )
        except duckdb.ParserException as exc:
            raise QueryFailed(f"{memory!r} is no amount of memory such as 512MB or 2GB") from exc
        if threads is not None:
            self._connection.execute(f"SET threads = {threads}")
        self._connection.execute(
            f"CREATE VIEW archive AS {_nothing() if archive is None else _archive(archive, scope)}"
        )
        for macro in _TRINO:
            self._connection.execute(macro)
        for name in saved.VIEWS:
            self._connection.execute(f"CREATE VIEW {name} AS {saved.view(name)}")
        allowed = [str(folder.absolute()) for folder in (archive, spill) if folder is not None]
        self._connection.execute("SET allowed_directories = ?", [allowed])
        self._connection.execute("SET enable_external_access = false")

    def turn_to(self, lines: Path, partition: Partition, *, longest: int) -> None:
        """From now on a file in `spill`, gzipped lines of a partition, is all that the table holds.

        `longest` are the bytes of its longest line: the engine's buffers are made to its measure.
        """
        self._connection.execute(f"CREATE OR REPLACE VIEW archive AS {_lines(lines, partition, longest)}")

    def turn_to_nothing(self) -> None:
        """The table is empty from now on."""
        self._connection.execute(f"CREATE OR REPLACE VIEW archive AS {_nothing()}")

    def ask(self, sql: str, parameters: Sequence[Any] = ()) -> "Result":
        """One statement. Raises QueryFailed, here or while the rows are read."""
        try:
            if (count := len(self._connection.extract_statements(sql))) != 1:
                raise QueryFailed(f"this is not one statement, but {count or 'none'}")
            cursor = self._connection.cursor().execute(sql, list(parameters))
        except duckdb.Error as exc:
            raise QueryFailed(_words(exc)) from exc
        return Result(cursor)

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Result:
    """The rows of an answer, read in turn."""

    def __init__(self, cursor: duckdb.DuckDBPyConnection) -> None:
        self._cursor = cursor
        self.columns: list[str] = [column[0] for column in cursor.description or ()]
        for name, kind, *_ in cursor.description or ():
            if str(kind) in _ZONED:  # DuckDB asks for pytz, which is not installed, to make Python's times of them
                raise QueryFailed(f"the column {name} is a time with a zone; CAST({name} AS TIMESTAMP) gives it in UTC")

    def rows(self, at_most: int = 1000) -> list[tuple[Any, ...]]:
        """The next ones; none when there are no more."""
        try:
            return self._cursor.fetchmany(at_most)
        except duckdb.Error as exc:
            raise QueryFailed(_words(exc)) from exc


def _words(exc: duckdb.Error) -> str:
    if isinstance(exc, duckdb.OutOfMemoryException):
        return "this takes more memory than it may have; --memory allows it more"
    return str(exc)


def _hour(instant: datetime) -> str:
    return instant.astimezone(UTC).strftime("%Y-%m-%d%H")


def _archive(folder: Path, scope: Scope) -> str:
    if not any(folder.glob(f"{scope.folder}/date=*/hour=*/*.jsonl.gz")):
        return _nothing()
    place = folder.absolute() / scope.folder / "date=*" / "hour=*" / "*.jsonl.gz"
    parts = ", ".join(f"{_quoted(name)}: VARCHAR" for name in PARTITIONS)
    return (
        f"SELECT * FROM read_json({_text(place)}, format = 'newline_delimited', columns = {_columns()}, "
        f"hive_partitioning = true, hive_types = {{{parts}}}, hive_types_autocast = false, "
        f"maximum_object_size = {_LONGEST_LINE}) WHERE {scope.where()}"
    )


def _lines(file: Path, partition: Partition, longest: int) -> str:
    values = (partition.workspace, partition.date, f"{partition.hour:02}")
    parts = ", ".join(f"{_text(value)} AS {_quoted(name)}" for name, value in zip(PARTITIONS, values, strict=True))
    return (
        f"SELECT *, {parts} FROM read_json({_text(file.absolute())}, format = 'newline_delimited', "
        f"columns = {_columns()}, maximum_object_size = {max(longest, _SHORTEST_BUFFER)})"
    )


def _nothing() -> str:
    nothing = [f"CAST(NULL AS {duckdb_type(kind)}) AS {name}" for name, kind in COLUMNS]
    nothing += [f"CAST(NULL AS VARCHAR) AS {_quoted(name)}" for name in PARTITIONS]
    return f"SELECT {', '.join(nothing)} WHERE false"


def _columns() -> str:
    columns = ", ".join(f"{name}: '{duckdb_type(kind)}'" for name, kind in COLUMNS)
    return f"{{{columns}}}"


def _text(value: Path | str) -> str:
    quoted = str(value).replace("'", "''")
    return f"'{quoted}'"


def _quoted(name: str) -> str:
    return f'"{name}"'
