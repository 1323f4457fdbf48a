"""Calls out of the archive into a file, a batch in memory at a time, however many there are.

Their order is that of their ids, which is that of time. The engine is asked of each batch what the view `calls` has.
"""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import IO, Any, Literal, NamedTuple

from weir.analytics.batches import batches
from weir.analytics.engine import Analytics, Result
from weir.ledger.archive import Archive
from weir.protocols import jsonbytes

Format = Literal["jsonl", "parquet"]

_JSON_COLUMNS = ("metadata", "request", "response")
"""Texts of the archive that are JSON themselves, and objects again in JSON lines."""

_BODIES = ("request", "response")

_ROW_GROUP = "16MB"
"""Of the Parquet file: what a reader, and the writer, holds in memory at once."""


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


class Written(NamedTuple):
    """How far an export is: calls that are written, and hours of the archive that are done, the last one in part."""

    calls: int
    hours: float


class Export:
    """Of the hours of an archive that may hold what is asked for.

    `spill` is an empty folder for what is needed meanwhile. `memory` is the engine's, a number and a unit.
    """

    def __init__(
        self, archive: Archive, workspace: str, asked: Filter, *, spill: Path, memory: str, bodies: bool = True
    ) -> None:
        self._archive = archive
        self._asked = asked
        self._spill = spill
        self._memory = memory
        self._columns = "*" if bodies else f"* EXCLUDE ({', '.join(_BODIES)})"
        self.hours = tuple(archive.partitions(workspace, asked.since, asked.before))

    def jsonl(self, out: IO[bytes]) -> Iterator[Written]:
        """Write an object a line. Raises QueryFailed, Broken and LedgerUnavailable."""
        calls = 0
        with self._engine() as engine:
            for hours in self._batches(engine):
                result = self._ask(engine)
                while rows := result.rows():
                    out.writelines(_line(result.columns, row) for row in rows)
                    calls += len(rows)
                yield Written(calls, hours)

    def parquet(self, out: IO[bytes]) -> Iterator[Written]:
        """Write one file, compressed; as `jsonl`. A batch is a file first, and at the end they are put together."""
        calls, made, parts = 0, self._spill / "export.parquet", list[Path]()
        with self._engine() as engine:
            for number, hours in enumerate(self._batches(engine)):
                part = self._spill / f"part-{number:09}.parquet"
                ((count,),) = self._ask(engine, f"COPY ({{}}) TO '{_text(part)}' (FORMAT parquet)").rows()
                if count:
                    parts.append(part)
                else:
                    part.unlink()
                calls += count
                yield Written(calls, hours)
            gathered = f"SELECT * FROM read_parquet('{_text(self._spill / 'part-*.parquet')}')"
            if not parts:
                engine.turn_to_nothing()  # the last batch is deleted
                gathered = f"SELECT {self._columns} FROM calls WHERE false"
            # row groups of so many bytes come only without a promise of order; a single thread keeps it
            engine.ask("SET preserve_insertion_order = false")
            engine.ask(
                f"COPY ({gathered}) TO '{_text(made)}' "
                f"(FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE_BYTES '{_ROW_GROUP}')"
            )
        for part in parts:
            part.unlink()
        with made.open("rb") as whole:
            shutil.copyfileobj(whole, out)
        made.unlink()

    def _engine(self) -> Analytics:
        return Analytics(None, spill=self._spill, memory=self._memory, threads=1)

    def _batches(self, engine: Analytics) -> Iterator[float]:
        """Turn the engine to each batch in turn. Yields how many hours are done with it."""
        for number, hour in enumerate(self.hours):
            for place, batch in enumerate(batches(self._archive, hour, spill=self._spill)):
                lines = self._spill / f"batch-{number}-{place}.jsonl.gz"  # a name of its own: the engine caches by name
                lines.write_bytes(batch.content)
                engine.turn_to(lines, hour, longest=batch.longest)
                yield number + batch.done
                lines.unlink()

    def _ask(self, engine: Analytics, around: str = "{}") -> Result:
        where, values = self._asked.where()
        return engine.ask(around.format(f"SELECT {self._columns} FROM calls WHERE {where} ORDER BY id"), values)


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
