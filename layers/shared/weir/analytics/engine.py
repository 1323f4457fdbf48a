"""DuckDB over an archive that lies in a folder, or over a part of it at a time."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import duckdb

from weir.analytics import saved
from weir.analytics.columns import COLUMNS, PARTITIONS, duckdb_type
from weir.ledger.archive_format import Partition

_TRINO = (
    "CREATE MACRO from_unixtime(seconds) AS make_timestamp(CAST(seconds * 1000000 AS BIGINT))",
    "CREATE MACRO approx_percentile(number, share) AS approx_quantile(number, share)",
)
"""Athena's names of functions that DuckDB calls otherwise: a query is written once."""

_LONGEST_LINE = 64_000_000
"""Bytes of a line: a request body of 6 MB, as text inside JSON, may grow several times."""


_SHORTEST_BUFFER = 1_000_000


class QueryFailed(ValueError):
    """The engine's own words; the query was not right, or too much for the memory that it may take."""


class Analytics:
    """The table `archive`, the lines as they lie, and the view `calls`, each call once.

    The engine may read nothing but the folder, and write nothing but `spill` when a query outgrows `memory`.
    """

    def __init__(self, archive: Path | None, *, spill: Path, memory: str = "1GB", threads: int | None = None) -> None:
        """`archive` is the folder that holds the folders `workspace=…`; without one nothing is in the table.

        `memory` is a number and a unit. By default there is a thread a core, and each has buffers of its own.
        """
        self._spill = spill
        self._connection = duckdb.connect(
            config={
                "memory_limit": memory,
                "temp_directory": str(spill),
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
            }
        )
        if threads is not None:
            self._connection.execute(f"SET threads = {threads}")
        self._connection.execute(f"CREATE VIEW archive AS {_nothing() if archive is None else _archive(archive)}")
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

    def ask(self, sql: str, parameters: Sequence[Any] = ()) -> "Result":
        """Raises QueryFailed, here or while the rows are read."""
        try:
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


def _archive(folder: Path) -> str:
    if not any(folder.glob("workspace=*/date=*/hour=*/*.jsonl.gz")):
        return _nothing()
    place = folder.absolute() / "workspace=*" / "date=*" / "hour=*" / "*.jsonl.gz"
    parts = ", ".join(f"{_quoted(name)}: VARCHAR" for name in PARTITIONS)
    return (
        f"SELECT * FROM read_json({_text(place)}, format = 'newline_delimited', columns = {_columns()}, "
        f"hive_partitioning = true, hive_types = {{{parts}}}, hive_types_autocast = false, "
        f"maximum_object_size = {_LONGEST_LINE})"
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
