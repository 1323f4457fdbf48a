"""What is made anew from the archive is what was there."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tests.ledger.engines import DynamoDBAndS3, Engine, SQLiteAndFiles
from tests.ledger.memory import Killed
from tests.services.test_project import call
from weir.cli.rebuild import Bookmark
from weir.domain.annotation import Annotation
from weir.domain.record import Payload, Record
from weir.ledger.archive import Archive
from weir.ledger.archive_format import Call, Partition
from weir.ledger.ledger import Ledger
from weir.ledger.ports import BlobStore, ProjectionStore, Replacement
from weir.ledger.projections import Projections
from weir.ledger.settlement import CheckedSettlement
from weir.runtime.settings import Settings
from weir.services.erase import Erasure, Subject, erase
from weir.services.project import Projector
from weir.services.rebuild import Rebuild, Rebuilt

PROJECT = Path(__file__).resolve().parents[2]
INLINE_LIMIT = 500
_numbers = count()


def payload(number: int) -> Payload:
    text = b"long " * (200 if number % 5 == 0 else 1)
    body = b'{"n":%d,"text":"%b%b"}' % (number, text, os.urandom(400).hex().encode() if number % 5 == 0 else b"")
    return Payload(body, b'{"said":"yes"}', b"raw \xff")


class World:
    """One engine with what was kept in it, archived and summed up; `blobs` is the archive's store."""

    def __init__(self, engine: Engine, blobs: BlobStore) -> None:
        self.engine = engine
        self.records = engine.open()
        self.ledger = Ledger(self.records, blobs, INLINE_LIMIT)
        numbers = count()
        self.archive = Archive(blobs, nonce=lambda: str(next(numbers)), object_members=4)

    def fill(self, records: list[Record]) -> None:
        async def keep() -> None:
            for number, record in enumerate(records):
                await self.ledger.keep(record, payload(number))
            await self.ledger.annotate("main", records[1].id, Annotation(note="checked"))
            await self.ledger.annotate("main", records[4].id, Annotation(metadata={"a": 1}))
            await self.ledger.annotate("main", records[4].id, Annotation(positive_feedback=True))

        asyncio.run(keep())
        for record in records:
            found = asyncio.run(self.ledger.get("main", record.id))
            assert found is not None
            partition = Partition.of("main", record.id)
            self.archive.append(partition, [Call(replace(found[0], note=None, revision=0), found[1])])
            if found[0].revision:
                self.archive.append(partition, [Call(found[0])])
        self.project()

    def project(self) -> None:
        for partition in self.archive.partitions("main"):
            with self.engine.projections() as store:
                Projector(self.archive, Projections(store, CheckedSettlement(store))).catch_up(partition)

    def rebuild(self) -> Rebuilt:
        done = Rebuilt()
        with self.engine.projections() as store:
            projector = Projector(self.archive, Projections(store, CheckedSettlement(store)))
            rebuild = Rebuild(self.archive, self.ledger, projector.catch_up)
            for partition in self.archive.partitions("main"):
                done += asyncio.run(rebuild.hour(partition))
        return done

    def erase(self, subject: Subject) -> Erasure:
        with self.engine.projections() as store:
            return erase(self.ledger, self.archive, Projections(store, CheckedSettlement(store)), subject)

    def everything(self, ids: list[str]) -> dict[str, Any]:
        """All that can be asked of it."""
        first, last = "2026030100", "2026030223"
        with self.engine.projections() as store:
            projections = Projections(store, CheckedSettlement(store))
            derived = {
                "calls": projections.rollups("main", "calls", first, last),
                "customers": projections.rollups("main", "customers", first, last),
                "sessions": [projections.session("main", f"s{number}") for number in range(5)],
                "newest sessions": [projections.newest_sessions("main", name, limit=99) for name in ("shop", "desk")],
            }
        return {
            "newest": self.records.newest("main", limit=99),
            "session": self.records.of_session("main", "s1", limit=99),
            "customer": self.records.of_customer("main", "c1", limit=99),
            "intent": self.records.of_intent("main", "shop", "i", limit=99),
            "one": [asyncio.run(self.ledger.get("main", id)) for id in ids],
            **derived,
        }


@pytest.fixture(params=["sqlite", "dynamodb"])
def engines(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Engine, Engine]:
    if request.param == "sqlite":
        return SQLiteAndFiles(tmp_path / "old"), SQLiteAndFiles(tmp_path / "new")
    databases, buckets = request.getfixturevalue("moto")[:2]
    number = next(_numbers)
    return DynamoDBAndS3(databases, buckets, f"old-{number}"), DynamoDBAndS3(databases, buckets, f"new-{number}")


@pytest.fixture
def worlds(engines: tuple[Engine, Engine]) -> Iterator[tuple[World, World]]:
    """The second is empty, and has the archive of the first."""
    old, new = engines
    first = World(old, old.blobs())
    with closing(first.records):
        second = World(new, old.blobs())
        with closing(second.records):
            yield first, second


def records() -> list[Record]:
    """Two of them under one caller's id, as when the first had failed."""
    found = [call(number, intent="i") for number in range(12)]
    found[3] = replace(found[3], caller_id="order-3")
    found[6] = replace(found[6], caller_id="order-6", claimed_cost=Decimal("0.1"))
    return found


def test_the_result_is_what_was_there(worlds: tuple[World, World]) -> None:
    old, new = worlds
    kept = records()
    old.fill(kept)
    assert new.records.newest("main", limit=9) == ()
    assert new.rebuild() == Rebuilt(kept=12)
    asked = [*(record.id for record in kept), "order-3", "order-6"]
    assert new.everything(asked) == old.everything(asked)


def test_doing_it_again_changes_nothing(worlds: tuple[World, World]) -> None:
    old, new = worlds
    kept = records()
    old.fill(kept)
    new.rebuild()
    before = new.everything([record.id for record in kept])
    assert new.rebuild() == Rebuilt(there=12)
    assert new.everything([record.id for record in kept]) == before


@pytest.mark.parametrize("at", [0, 1, 5, 11])
def test_one_that_was_cut_off_goes_on(worlds: tuple[World, World], at: int, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = worlds
    kept = records()
    old.fill(kept)
    keep, calls = Ledger.keep, count()

    async def killed(self: Ledger, *arguments: Any, **named: Any) -> Any:
        if next(calls) == at:
            raise Killed
        return await keep(self, *arguments, **named)

    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "keep", killed)
        with pytest.raises(Killed):
            new.rebuild()
    done = new.rebuild()
    assert done.kept + done.there == 12
    assert new.everything([record.id for record in kept]) == old.everything([record.id for record in kept])


@pytest.mark.parametrize("killed", [False, True])
def test_what_is_erased_while_it_runs_stays_away(
    worlds: tuple[World, World], monkeypatch: pytest.MonkeyPatch, killed: bool
) -> None:
    """The erasure comes when the calls are read and not yet put. Where it is killed then, it goes on."""
    old, new = worlds
    kept = records()
    old.fill(kept)
    subject = Subject("main", "customer_identifier", "c1")
    keep, erasures = Ledger.keep, list[asyncio.Task[Erasure]]()

    async def erased_meanwhile(self: Ledger, record: Record, *arguments: Any, **named: Any) -> Any:
        if not erasures:
            erasures.append(asyncio.create_task(asyncio.to_thread(new.erase, subject)))
        await erasures[0]
        found = await keep(self, record, *arguments, **named)
        if killed and record.id == kept[-2].id:
            raise Killed
        return found

    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "keep", erased_meanwhile)
        if killed:
            with pytest.raises(Killed):
                new.rebuild()
        else:
            new.rebuild()
    assert killed or new.records.newest("main", limit=99) == tuple(
        record for record in old.records.newest("main", limit=99) if record.customer_identifier != "c1"
    )
    assert new.rebuild().erased == 6
    old.erase(subject)
    asked = [record.id for record in kept]
    assert new.everything(asked) == old.everything(asked)


class Interrupted:
    """A projection store before whose first change of a sum of the customer c1 something else happens."""

    def __init__(self, store: ProjectionStore, interrupt: Callable[[], object]) -> None:
        self._store, self._interrupt = store, [interrupt]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def replace(self, changes: Sequence[Replacement]) -> list[bool]:
        if any(change.key.sk.endswith("#c1") for change in changes) and self._interrupt:
            self._interrupt.pop()()
        return self._store.replace(changes)


@pytest.mark.parametrize("subject", [Subject("main", "customer_identifier", "c1"), Subject("main", "session_id", "s1")])
def test_what_is_erased_while_it_is_summed_up_names_nobody(
    worlds: tuple[World, World], subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = worlds
    monkeypatch.setattr(old, "project", lambda: None)
    kept = records()
    old.fill(kept)
    for partition in old.archive.partitions("main"):
        with old.engine.projections() as store:
            interrupted: Any = Interrupted(store, lambda: old.erase(subject))
            Projector(old.archive, Projections(interrupted, CheckedSettlement(store))).catch_up(partition)
    new.rebuild()
    asked = [record.id for record in kept]
    there = old.everything(asked)
    assert subject.value not in str([there["sessions"], there["customers"], there["newest sessions"]])
    assert there == new.everything(asked)


@pytest.mark.parametrize("subject", [Subject("main", "customer_identifier", "c1"), Subject("main", "session_id", "s1")])
def test_what_is_summed_up_while_it_is_erased_names_nobody(
    worlds: tuple[World, World], subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the sums were made anew, and before the archive is rewritten."""
    old, new = worlds
    kept = records()
    with monkeypatch.context() as patch:
        patch.setattr(old, "project", lambda: None)
        old.fill(kept)

    def project(what: str, done: int, of: int) -> None:
        if (what, done) == ("deleting records", 0):
            old.project()

    with old.engine.projections() as store:
        derived = Projections(store, CheckedSettlement(store))
        erase(old.ledger, old.archive, derived, subject, progress=project)
    new.rebuild()
    asked = [record.id for record in kept]
    assert old.everything(asked) == new.everything(asked)


def test_a_callers_id_stands_for_the_newest_of_its_records(worlds: tuple[World, World]) -> None:
    old, new = worlds
    first, second = (replace(call(number), caller_id="order") for number in (1, 4))
    for number, record in enumerate((second, first)):
        old.archive.append(Partition.of("main", record.id), [Call(record, payload(number))])
    assert new.rebuild() == Rebuilt(kept=2)
    assert new.records.newest("main", limit=9) == (second, first)
    found = asyncio.run(new.ledger.get("main", "order"))
    assert found is not None
    assert found[0] == second


@pytest.mark.parametrize(
    ("subject", "calls"),
    [
        (Subject("main", "customer_identifier", "c1"), 6),
        (Subject("main", "session_id", "s1"), 3),
        (Subject("main", "user_id", "user-17"), 1),
    ],
)
def test_what_was_erased_stays_away_and_still_counts(worlds: tuple[World, World], subject: Subject, calls: int) -> None:
    old, new = worlds
    kept = records()
    kept[2] = replace(kept[2], user_id="user-17")
    old.fill(kept)
    before = old.everything([])
    erased = old.erase(subject)
    assert erased.records == calls
    assert (erased.customer_sums > 0) == (subject.whose == "customer_identifier")
    assert new.rebuild() == Rebuilt(kept=12 - calls, erased=calls)
    asked = [record.id for record in kept]
    there, made = old.everything(asked), new.everything(asked)
    assert subject.value not in str([there["sessions"], there["customers"], there["newest sessions"]])
    assert made == there
    assert made["calls"] == before["calls"]
    # An archive that was blanked does not say whose the erased calls were: they count under no customer.
    assert sum(row.rollup.records for row in made["customers"]) == 12
    nobodys = sum(
        row.rollup.records for row in made["customers"] if row.dimensions.value("customer_identifier") is None
    )
    assert nobodys == calls


def test_a_change_without_its_call_is_told_and_left_out(worlds: tuple[World, World]) -> None:
    old, new = worlds
    lone = replace(call(1), revision=1)
    old.archive.append(Partition.of("main", lone.id), [Call(lone)])
    assert new.rebuild() == Rebuilt(bare=1)
    assert new.records.newest("main", limit=9) == ()


def weir(data: Path, *arguments: str) -> tuple[int, str, str]:
    ran = subprocess.run(
        [sys.executable, "-m", "weir", "rebuild", *arguments],
        env={
            "PYTHONPATH": str(PROJECT / "layers" / "shared"),
            "PATH": os.environ["PATH"],
            "WEIR_DATA_DIR": str(data),
        },
        capture_output=True,
        encoding="utf-8",
        timeout=60,
    )
    return ran.returncode, ran.stdout, ran.stderr


def test_the_command_goes_on_where_it_was(tmp_path: Path) -> None:
    engine = SQLiteAndFiles(tmp_path)
    archive = Archive(engine.blobs(), nonce=lambda: "x")
    for number in range(4):
        record = call(number)
        archive.append(Partition.of("main", record.id), [Call(record, payload(number))])
    first, second = archive.partitions("main")
    Bookmark(Settings(data_dir=tmp_path)).put(first)
    with (tmp_path / "rebuild.jsonl").open("a") as file:
        file.write('\n["sqlite", "ma')  # a kill
    code, out, err = weir(tmp_path, "--json")
    assert (code, err) == (0, "")
    assert json.loads(out) == {"kept": 1, "there": 0, "erased": 0, "bare": 0, "hours": 1, "hours_done_before": 1}
    assert not (tmp_path / "rebuild.jsonl").exists()
    Bookmark(Settings(data_dir=tmp_path)).put(second)  # of a run --since its beginning: not what was before it
    code, out, _ = weir(tmp_path, "--json")
    assert (code, json.loads(out)["hours"], json.loads(out)["kept"]) == (0, 1, 3)
    assert weir(tmp_path) == (0, "2 hours of the archive\n  0 calls put, 4 were there already\n", "")
    assert weir(tmp_path, "--workspace", "nobody") == (
        0,
        "0 hours of the archive\n  0 calls put, 0 were there already\n",
        "",
    )
