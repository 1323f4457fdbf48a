"""DuckDB over an archive that lies in a folder."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import duckdb

from weir.analytics import saved
from weir.analytics.columns import COLUMNS, PARTITIONS, duckdb_type

_TRINO = (
    "CREATE MACRO from_unixtime(seconds) AS make_timestamp(CAST(seconds * 1000000 AS BIGINT))",
    "CREATE MACRO approx_percentile(number, share) AS approx_quantile(number, share)",
)
"""Athena's names of functions that DuckDB calls otherwise: a query is written once."""

_LONGEST_LINE = 64_000_000
"""Bytes of a line: a request body of 6 MB, as text inside JSON, may grow several times."""


class QueryFailed(ValueError):
    """The engine's own words; the query was not right, or too much for the memory that it may take."""


class Analytics:
    """The table `archive`, the lines as they lie, and the view `calls`, each call once.

    The engine may read nothing but the folder, and write nothing but `spill` when a query outgrows `memory`.
    """

    def __init__(self, archive: Path, *, spill: Path, memory: str = "1GB") -> None:
        """`archive` is the folder that holds the folders `workspace=…`. `memory` is a number and a unit."""
        self._connection = duckdb.connect(
            config={
                "memory_limit": memory,
                "temp_directory": str(spill),
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
            }
        )
        self._connection.execute(f"CREATE VIEW archive AS {_archive(archive)}")
        for macro in _TRINO:
            self._connection.execute(macro)
        for name in saved.VIEWS:
            self._connection.execute(f"CREATE VIEW {name} AS {saved.view(name)}")
        self._connection.execute("SET allowed_directories = ?", [[str(archive.absolute()), str(spill.absolute())]])
        self._connection.execute("SET enable_external_access = false")

    def ask(self, sql: str, parameters: Sequence[Any] = ()) -> "Result":
        """Raises QueryFailed, here or while the rows are read."""
        try:
            cursor = self._connection.cursor().execute(sql, list(parameters))
        except duckdb.Error as exc:
            raise QueryFailed(str(exc)) from exc
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
            raise QueryFailed(str(exc)) from exc


def _archive(folder: Path) -> str:
    columns = ", ".join(f"{name}: '{duckdb_type(kind)}'" for name, kind in COLUMNS)
    if not any(folder.glob("workspace=*/date=*/hour=*/*.jsonl.gz")):
        nothing = [f"CAST(NULL AS {duckdb_type(kind)}) AS {name}" for name, kind in COLUMNS]
        nothing += [f"CAST(NULL AS VARCHAR) AS {_quoted(name)}" for name in PARTITIONS]
        return f"SELECT {', '.join(nothing)} WHERE false"
    place = str(folder.absolute() / "workspace=*" / "date=*" / "hour=*" / "*.jsonl.gz").replace("'", "''")
    parts = ", ".join(f"{_quoted(name)}: VARCHAR" for name in PARTITIONS)
    return (
        f"SELECT * FROM read_json('{place}', format = 'newline_delimited', columns = {{{columns}}}, "
        f"hive_partitioning = true, hive_types = {{{parts}}}, hive_types_autocast = false, "
        f"maximum_object_size = {_LONGEST_LINE})"
    )


def _quoted(name: str) -> str:
    return f'"{name}"'
