"""The archive as DuckDB reads it, its view and its saved queries, and what is exported from it."""

import io
import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from infra import analytics as athena
from tests import strategies
from weir.analytics import batches, saved
from weir.analytics.columns import COLUMNS
from weir.analytics.engine import Analytics, QueryFailed, Scope
from weir.analytics.export import Export, Filter
from weir.domain.completion import Usage
from weir.domain.ids import instant_of, milliseconds, uuid7
from weir.domain.record import Failure, Payload, Record
from weir.ledger.archive import Archive
from weir.ledger.archive_format import Call, Partition, to_line
from weir.ledger.files import FileBlobStore
from weir.protocols import jsonbytes

NOW = datetime.now(UTC).replace(microsecond=0)
"""The saved queries look back from today."""


def record(number: int, *, hours_ago: int = 0, **fields: Any) -> Record:
    id = uuid7(milliseconds(NOW - timedelta(hours=hours_ago)) + number, number)
    given: dict[str, Any] = {
        "workspace": "default",
        "environment": "prod",
        "origin": "storage",
        "inference_location": "CLIENT",
        "provider": "openai",
        "model": "gpt-a",
    }
    return Record(id=id, created_at=instant_of(id), **{**given, **fields})


def call(number: int, **fields: Any) -> Call:
    return Call(record(number, **fields), Payload(b'{"n":%d}' % number, b'{"said":"yes"}'))


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    numbers = count()
    return Archive(FileBlobStore(tmp_path / "blobs"), nonce=lambda: str(next(numbers)))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "blobs" / "archive"


def keep(archive: Archive, *calls: Call) -> None:
    for each in calls:
        archive.append(Partition.of(each.record.workspace, each.record.id), [each])


@pytest.fixture
def ask(folder: Path, tmp_path: Path) -> Iterator[Any]:
    """Opened when it is first asked: the archive is filled before."""
    opened: list[Analytics] = []

    def asked(sql: str) -> list[tuple[Any, ...]]:
        opened.append(Analytics(folder, spill=tmp_path / "spill"))
        return opened[-1].ask(sql).rows()

    yield asked
    for each in opened:
        each.close()


def test_the_view_has_each_call_once_as_it_is_now_with_its_bodies(archive: Archive, ask: Any) -> None:
    first, second = call(1, claimed_cost=Decimal("0.25"), metadata={"team": {"a": 1}}), call(2, status_code=500)
    later = Call(record(1, claimed_cost=Decimal("0.25"), note="checked", revision=1))
    keep(archive, first, second, later)
    columns = "id, created_at, note, cost, failed, metadata, request, response, workspace"
    assert ask(f"SELECT {columns} FROM calls ORDER BY id") == [
        (
            first.record.id,
            first.record.created_at.replace(tzinfo=None),
            "checked",
            Decimal("0.25"),
            False,
            None,
            '{"n":1}',
            '{"said":"yes"}',
            "default",
        ),
        (
            second.record.id,
            second.record.created_at.replace(tzinfo=None),
            None,
            None,
            True,
            None,
            '{"n":2}',
            '{"said":"yes"}',
            "default",
        ),
    ]


def test_an_archive_without_objects_answers_every_saved_query_with_nothing(ask: Any) -> None:
    assert [ask(saved.query(name)) for name in saved.names()] == [[]] * len(saved.names())


def test_cost_by_customer(archive: Archive, ask: Any) -> None:
    keep(
        archive,
        call(1, customer_identifier="c1", claimed_cost=Decimal("0.5"), claimed_usage=Usage(10, 5)),
        call(2, customer_identifier="c1", computed_cost=Decimal("0.25"), claimed_usage=Usage(1, 1)),
        call(3, customer_identifier="c2"),
        call(4, customer_identifier="c3", claimed_cost=Decimal(9), hours_ago=24 * 40),
    )
    assert ask(saved.query("cost_by_customer")) == [
        ("c1", 2, 11, 6, Decimal("0.75"), 0),
        ("c2", 1, None, None, None, 1),
    ]


def test_cost_by_model_says_the_model_that_answered(archive: Archive, ask: Any) -> None:
    keep(
        archive,
        call(1, answered_model="gpt-a-1", claimed_cost=Decimal("0.5"), claimed_usage=Usage(10, 5, cached=3)),
        call(2, claimed_cost=Decimal("0.1")),
    )
    assert ask(saved.query("cost_by_model")) == [
        ("openai", "gpt-a-1", 1, 10, 3, 5, Decimal("0.5")),
        ("openai", "gpt-a", 1, None, None, None, Decimal("0.1")),
    ]


def test_slow_intents_looks_at_calls_that_were_answered(archive: Archive, ask: Any) -> None:
    keep(
        archive,
        *(call(n, application="shop", intent="slow", latency_ms=900.0, first_token_ms=90.0) for n in range(3)),
        *(call(n, application="shop", intent="quick", latency_ms=9.0) for n in range(10, 13)),
        call(20, application="shop", intent="broken", latency_ms=9000.0, outcome="error", status_code=502),
    )
    assert ask(saved.query("slow_intents")) == [
        ("shop", "slow", 3, 900.0, 900.0, 900.0, 90.0),
        ("shop", "quick", 3, 9.0, 9.0, 9.0, None),
    ]


def test_error_budget_counts_what_failed_in_either_way(archive: Archive, ask: Any) -> None:
    keep(
        archive,
        call(1, application="shop"),
        call(2, application="shop", status_code=429),
        call(3, application="shop", outcome="cut_off", failure=Failure("MalformedReply", "broke off")),
        call(4, application="shop"),
        call(5, application="fine"),
    )
    assert ask(saved.query("error_budget")) == [("shop", 4, 2, 0.5, 50.0), ("fine", 1, 0, 0.0, 0.0)]


@settings(deadline=None, max_examples=50)
@given(strategies.records())
def test_every_field_of_a_line_is_a_column(found: Record) -> None:
    line = jsonbytes.loads(to_line(Call(found, Payload(b"{}", b"{}", b"text")), "nonce"))
    assert line.keys() - {name for name, _ in COLUMNS} <= {"nonce", "workspace"}


def test_a_query_reaches_nothing_but_the_archive(archive: Archive, ask: Any, tmp_path: Path) -> None:
    keep(archive, call(1))
    secret = tmp_path / "secret.csv"
    secret.write_text("a\n1\n", encoding="utf-8")
    for sql in (f"SELECT * FROM read_csv('{secret}')", f"COPY calls TO '{tmp_path / 'out.csv'}'", "INSTALL httpfs"):
        with pytest.raises(QueryFailed):
            ask(sql)
    assert not (tmp_path / "out.csv").exists()


def export(folder: Path, tmp_path: Path, asked: Filter, workspace: str = "default", *, bodies: bool = True) -> Export:
    spill = tmp_path / "exporting"
    spill.mkdir(exist_ok=True)
    reader = Archive(FileBlobStore(folder.parent), nonce=str)
    return Export(reader, workspace, asked, spill=spill, memory="256MB", bodies=bodies)


def exported(
    folder: Path, tmp_path: Path, asked: Filter, workspace: str = "default", *, bodies: bool = True
) -> list[dict[str, Any]]:
    out = io.BytesIO()
    steps = list(export(folder, tmp_path, asked, workspace, bodies=bodies).jsonl(out))
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    assert (steps[-1].calls if steps else 0) == len(lines)
    assert list((tmp_path / "exporting").iterdir()) == []
    return lines


def in_parquet(
    folder: Path, tmp_path: Path, asked: Filter, workspace: str = "default", *, bodies: bool = True
) -> list[tuple[Any, ...]]:
    out = tmp_path / "calls.parquet"
    with out.open("wb") as file:
        steps = list(export(folder, tmp_path, asked, workspace, bodies=bodies).parquet(file))
    assert list((tmp_path / "exporting").iterdir()) == []
    import duckdb

    with duckdb.connect() as connection:
        rows = connection.execute("SELECT * FROM read_parquet(?)", [str(out)]).fetchall()
    assert (steps[-1].calls if steps else 0) == len(rows)
    return rows


def test_json_lines_have_objects_where_the_archive_has_texts(archive: Archive, folder: Path, tmp_path: Path) -> None:
    kept = call(1, metadata={"a": 1}, claimed_cost=Decimal("0.000125"), claimed_usage=Usage(3, 4))
    keep(archive, kept)
    partition = Partition.of("default", kept.record.id)
    assert exported(folder, tmp_path, Filter()) == [
        {
            "id": kept.record.id,
            "created_at": f"{kept.record.created_at.isoformat(timespec='milliseconds')[:23]}Z",
            "environment": "prod",
            "origin": "storage",
            "inference_location": "CLIENT",
            "request_type": "PROD",
            "provider": "openai",
            "model": "gpt-a",
            "stream": False,
            "status_code": 200,
            "outcome": "complete",
            "failed": False,
            "prompt_tokens": 3,
            "completion_tokens": 4,
            "claimed_cost": "0.000125",
            "cost": "0.000125",
            "metadata": {"a": 1},
            "request": {"n": 1},
            "response": {"said": "yes"},
            "workspace": "default",
            "date": partition.date,
            "hour": f"{partition.hour:02}",
        }
    ]


@pytest.mark.parametrize(
    ("asked", "numbers"),
    [
        (Filter(), [4, 3, 1, 2]),
        (Filter(application="shop"), [1]),
        (Filter(customer_identifier="c", intent="i"), [2]),
        (Filter(session_id="s", environment="test"), [3]),
        (Filter(user_id="nobody"), []),
        (Filter(since=NOW - timedelta(hours=5)), [3, 1, 2]),
        (Filter(before=NOW - timedelta(hours=1)), [4, 3]),
        (Filter(since=NOW - timedelta(hours=5), before=NOW), [3]),
    ],
)
def test_filters(archive: Archive, folder: Path, tmp_path: Path, asked: Filter, numbers: list[int]) -> None:
    keep(
        archive,
        call(1, application="shop"),
        call(2, customer_identifier="c", intent="i"),
        call(3, session_id="s", environment="test", hours_ago=3),
        call(4, hours_ago=30),
    )
    assert [line["request"]["n"] for line in exported(folder, tmp_path, asked)] == numbers
    assert all("request" not in line for line in exported(folder, tmp_path, asked, bodies=False))


def test_a_workspace_of_any_name_is_exported(archive: Archive, folder: Path, tmp_path: Path) -> None:
    keep(archive, call(1, workspace="team ü/1"), call(2))
    (line,) = exported(folder, tmp_path, Filter(), "team ü/1")
    assert (line["workspace"], line["request"]) == ("team ü/1", {"n": 1})


def test_an_export_tells_how_far_it_is(archive: Archive, folder: Path, tmp_path: Path, in_batches_of_two: None) -> None:
    calls = [call(n) for n in range(4)]
    archive.append(Partition.of("default", calls[0].record.id), calls)
    keep(archive, call(9, hours_ago=1))
    made = export(folder, tmp_path, Filter())
    steps = list(made.jsonl(io.BytesIO()))
    assert (len(made.hours), [step.calls for step in steps], [round(step.hours, 1) for step in steps]) == (
        2,
        [1, 3, 5],
        [1.0, 1.5, 2.0],
    )


@pytest.fixture
def in_batches_of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "BATCH_CALLS", 2)


PARTS = (
    Filter(),
    Filter(application="shop"),
    Filter(model="gpt-a", provider="openai", environment="test"),
    Filter(since=NOW - timedelta(hours=2)),
    Filter(before=NOW - timedelta(hours=1)),
)


def mixed(archive: Archive) -> None:
    """Three hours of calls in objects whose ids overlap, some changed later, one erased, one that is no text."""
    for hours_ago in range(3):
        calls = [
            call(
                n,
                hours_ago=hours_ago,
                application=("shop", "desk", None)[n % 3],
                environment=("prod", "test")[n % 2],
                claimed_cost=Decimal(n) / 7 if n % 4 else None,
                metadata={"n": [n]} if n % 5 else {},
            )
            for n in range(13)
        ]
        calls[5] = Call(calls[5].record, Payload(b'{"broken', b"\xff\xfe"))
        partition = Partition.of("default", calls[0].record.id)
        changed = [
            Call(replace(each.record, note=f"note {revision}", revision=revision))
            for revision in (1, 2)
            for each in calls[::3]
        ]
        for part in (calls[1::2], calls[::2], changed):
            archive.append(partition, part)
        archive.name_erased(partition, [calls[3].record.id, calls[4].record.id])
        archive.blank(partition)


def as_line(columns: list[str], row: tuple[Any, ...]) -> dict[str, Any]:
    found = {name: value for name, value in zip(columns, row, strict=True) if value is not None}
    for name, value in found.items():
        if name in ("metadata", "request", "response"):
            with suppress(ValueError):
                found[name] = json.loads(value)
        elif isinstance(value, Decimal):
            found[name] = f"{value.normalize():f}"
        elif isinstance(value, datetime):
            found[name] = f"{value.isoformat(timespec='milliseconds')}Z"
    return found


@pytest.mark.parametrize("asked", PARTS)
@pytest.mark.parametrize("bodies", [True, False])
def test_an_export_in_batches_has_what_the_view_has_of_the_whole_archive(
    archive: Archive, folder: Path, tmp_path: Path, asked: Filter, bodies: bool, in_batches_of_two: None
) -> None:
    mixed(archive)
    keep(archive, call(1, workspace="another"))
    where, values = asked.where()
    columns = "*" if bodies else "* EXCLUDE (request, response)"
    with Analytics(folder, spill=tmp_path) as analytics:
        result = analytics.ask(
            f"SELECT {columns} FROM calls WHERE workspace = 'default' AND {where} ORDER BY id", values
        )
        whole = result.rows()
    assert len(whole) > 5
    assert in_parquet(folder, tmp_path, asked, bodies=bodies) == whole
    assert exported(folder, tmp_path, asked, bodies=bodies) == [as_line(result.columns, row) for row in whole]


def test_parquet_of_nothing_has_the_columns(archive: Archive, folder: Path, tmp_path: Path) -> None:
    assert in_parquet(folder, tmp_path, Filter()) == []
    keep(archive, call(1))
    assert in_parquet(folder, tmp_path, Filter(model="nobody has asked for it")) == []


@pytest.mark.parametrize(
    ("scope", "found"),
    [
        (Scope(), [("a/b", 4), ("default", 1), ("default", 2), ("default", 3)]),
        (Scope(workspace="a/b"), [("a/b", 4)]),
        (Scope(workspace="default", since=NOW - timedelta(hours=2)), [("default", 1), ("default", 2)]),
        (Scope(workspace="default", before=NOW - timedelta(hours=1)), [("default", 3)]),
        (Scope(since=NOW - timedelta(minutes=1), before=NOW + timedelta(minutes=1)), [("a/b", 4), ("default", 1)]),
        (Scope(workspace="nobody"), []),
    ],
)
def test_a_query_is_about_the_workspace_and_the_time_that_are_given(
    archive: Archive, folder: Path, tmp_path: Path, scope: Scope, found: list[tuple[str, int]]
) -> None:
    kept = {n: call(n, hours_ago=hours) for n, hours in ((1, 0), (2, 1), (3, 5))} | {4: call(4, workspace="a/b")}
    keep(archive, *kept.values())
    numbers = {each.record.id: number for number, each in kept.items()}
    with Analytics(folder, spill=tmp_path / "spill", scope=scope) as analytics:
        rows = analytics.ask("SELECT workspace, id FROM calls ORDER BY ALL").rows()
    assert sorted((workspace, numbers[id]) for workspace, id in rows) == found


def test_the_template_for_athena_is_what_the_queries_say() -> None:
    assert athena.TARGET.read_text(encoding="utf-8") == athena.text(), "run: make analytics"
    queries = [
        r["Properties"] for r in athena.template()["Resources"].values() if r["Type"] == "AWS::Athena::NamedQuery"
    ]
    assert sorted(query["Name"] for query in queries) == sorted([*saved.VIEWS, *saved.names()])
    assert all(query["Description"] for query in queries)
