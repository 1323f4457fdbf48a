"""Calls out of the archive into a file, hour by hour; the engine's limit bounds the memory that it takes."""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import IO, Any, Literal, NamedTuple

from weir.analytics.engine import Analytics
from weir.ledger.keys import archive_folder
from weir.protocols import jsonbytes

Format = Literal["jsonl", "parquet"]

_JSON_COLUMNS = ("metadata", "request", "response")
"""Texts of the archive that are JSON themselves, and objects again in JSON lines."""

_BODIES = ("request", "response")


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """What is asked for; None asks for nothing. The times are of acceptance, `before` is not included."""

    since: datetime | None = None
    before: datetime | None = None
    environment: str | None = None
    application: str | None = None
    intent: str | None = None
    session_id: str | None = None
    customer_identifier: str | None = None
    user_id: str | None = None
    model: str | None = None
    provider: str | None = None

    def where(self) -> tuple[str, list[Any]]:
        """As SQL over the view `calls`, with its parameters."""
        terms, values = ["true"], []
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None and field.name not in ("since", "before"):
                terms.append(f"{field.name} = ?")
                values.append(value)
        for instant, compared in ((self.since, ">="), (self.before, "<")):
            if instant is not None:
                terms.append(f"created_at {compared} ?")
                values.append(instant.astimezone(UTC).replace(tzinfo=None))
        return " AND ".join(terms), values


class Hour(NamedTuple):
    """A partition of the archive, by the names of its folders."""

    workspace: str
    date: str
    hour: str

    def may_hold(self, asked: Filter) -> bool:
        start = datetime.strptime(f"{self.date} {self.hour}", "%Y-%m-%d %H").replace(tzinfo=UTC)
        if asked.before is not None and start >= asked.before:
            return False
        return asked.since is None or (asked.since - start).total_seconds() < 3600


def hours(archive: Path, workspace: str, asked: Filter) -> list[Hour]:
    """Those that may hold what is asked for, in order."""
    found = (Hour(*(part.split("=", 1)[1] for part in path.parts[-3:])) for path in _folders(archive, workspace))
    return [hour for hour in found if hour.may_hold(asked)]


def export_jsonl(
    analytics: Analytics, parts: Sequence[Hour], asked: Filter, out: IO[bytes], *, bodies: bool = True
) -> Iterator[int]:
    """Write an object a line. Yields, after each hour, how many there are by then. Raises QueryFailed."""
    written = 0
    for part in parts:
        result = analytics.ask(*_calls_of(part, asked, bodies))
        while rows := result.rows():
            out.writelines(_line(result.columns, row) for row in rows)
            written += len(rows)
        yield written


def export_parquet(
    analytics: Analytics, parts: Sequence[Hour], asked: Filter, out: Path, *, spill: Path, bodies: bool = True
) -> Iterator[int]:
    """Write one file, compressed; as `export_jsonl`. It is gathered in a database in `spill` first."""
    written = 0
    gathered, made = spill / "export.duckdb", spill / "export.parquet"
    for path in (gathered, made):
        path.unlink(missing_ok=True)  # of an export that was cut off
    columns = "* EXCLUDE (request, response)" if not bodies else "*"
    analytics.ask(f"ATTACH '{_text(gathered)}' AS gathered")
    try:
        analytics.ask(f"CREATE TABLE gathered.calls AS SELECT {columns} FROM calls WHERE false")
        for part in parts:
            sql, values = _calls_of(part, asked, bodies)
            ((count,),) = analytics.ask(f"INSERT INTO gathered.calls {sql}", values).rows()
            written += count
            yield written
        analytics.ask(f"COPY (FROM gathered.calls) TO '{_text(made)}' (FORMAT parquet, COMPRESSION zstd)")
        shutil.move(made, out)
    finally:
        analytics.ask("DETACH gathered")
        for path in (gathered, made):
            path.unlink(missing_ok=True)


def _folders(archive: Path, workspace: str) -> list[Path]:
    return sorted((archive.parent / archive_folder(workspace)).glob("date=*/hour=*"))


def _calls_of(part: Hour, asked: Filter, bodies: bool) -> tuple[str, list[Any]]:
    columns = "*" if bodies else f"* EXCLUDE ({', '.join(_BODIES)})"
    where, values = asked.where()
    place = 'workspace = ? AND "date" = ? AND hour = ?'
    return f"SELECT {columns} FROM calls WHERE {place} AND {where} ORDER BY id", [*part, *values]


def _line(columns: Sequence[str], row: Sequence[Any]) -> bytes:
    """Fields that are not known are left out."""
    call = {name: _plain(name, value) for name, value in zip(columns, row, strict=True) if value is not None}
    return jsonbytes.dumps(call) + b"\n"


def _plain(name: str, value: Any) -> Any:
    if name in _JSON_COLUMNS:
        return _parsed(value)
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds") + "Z"
    return value


def _parsed(text: str) -> Any:
    try:
        return jsonbytes.loads(text)
    except jsonbytes.InvalidJSON:
        return text


def _text(path: Path) -> str:
    return str(path.absolute()).replace("'", "''")
