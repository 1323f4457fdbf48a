"""What a page, a summary or a group costs in reads, and how pages stay where they are."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

import pytest

from functions.request_log import app as request_log
from tests.functions.test_request_log import a_record, log
from tests.functions.watched import Watched, watched
from tests.runtime import START, TEST_KEY, Caller, fixed_runtime
from weir.domain.ids import instant_of, uuid7
from weir.domain.record import Record
from weir.ledger.keys import INDEXES, Index
from weir.ledger.ports import Entry
from weir.runtime.bootstrap import Runtime
from weir.services import log_queries
from weir.services.log_queries import REACH, SCAN_LIMIT, Place, Places

LIST = "/api/request-logs/list/"
SUMMARY = "/api/request-logs/summary/"
GROUPS = "/api/request-logs/groups/"
MANY = SCAN_LIMIT + 1_000


def many(count: int, **changes: Any) -> list[Record]:
    """One a second from START on, the newest last."""
    first = int(START.timestamp() * 1000)
    ids = [uuid7(first + number * 1000, number) for number in range(count)]
    return [replace(a_record(**changes), id=id, created_at=instant_of(id)) for id in ids]


def keep(store: Watched, records: list[Record]) -> None:
    for future in [store.submit(Entry(record)) for record in records]:
        future.result(60)


@dataclass(frozen=True, slots=True)
class Full:
    caller: Caller
    store: Watched

    def get(self, path: str, **parameters: Any) -> Any:
        answer = self.caller.get(path, params=parameters or None)
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Runtime, Watched]]:
    """A ledger with more records than are looked at for one answer."""
    runtime = fixed_runtime(tmp_path_factory.mktemp("large"))
    counted, store = watched(runtime)
    with closing(runtime.ledger), closing(store):
        keep(store, many(MANY))
        yield counted, store


@pytest.fixture
def full(large: tuple[Runtime, Watched]) -> Full:
    """The large ledger, whose places nobody has asked for yet."""
    counted, store = large
    store.read()
    return Full(Caller.of(counted, [request_log.mount]), store)


@pytest.fixture
def caller(runtime: Runtime) -> Caller:
    return Caller.of(runtime, [request_log.mount])


def ids(page: Any) -> list[str]:
    return [row["id"] for row in page["results"]]


def test_a_page_reads_what_it_shows_and_one_more_however_many_there_are(full: Full) -> None:
    for page in range(1, 4):
        assert len(full.get(LIST, page=page, page_size=100)["results"]) == 100
        assert full.store.read() == 101
    following = full.get(LIST, page_size=1000)["next"]
    full.store.read()
    assert len(full.get(following)["results"]) == 1000
    assert full.store.read() == 1001
    window = {"start_time": "2026-01-02T03:05:00Z", "end_time": "2026-01-02T03:05:09Z"}
    assert len(full.get(LIST, **window)["results"]) == 10
    assert full.store.read() == 10


def test_pages_asked_for_one_after_the_other_reach_the_end(full: Full) -> None:
    seen: list[str] = []
    for page in range(1, MANY // 1000 + 2):
        answer = full.get(LIST, page=page, page_size=1000, include_fields="id")
        seen += ids(answer)
        assert answer["count"] == len(seen) + (answer["next"] is not None)
    assert full.get(LIST, page=MANY // 1000 + 2, page_size=1000, include_fields="id")["results"] == []
    assert len(seen) == len(set(seen)) == MANY
    assert seen == sorted(seen, reverse=True)
    assert full.store.read() < MANY + MANY // 1000 + 2


def test_a_page_number_leaps_so_far_and_says_how_to_go_on(full: Full) -> None:
    assert len(full.get(LIST, page=REACH // 1000, page_size=1000)["results"]) == 1000
    answer = full.caller.get(LIST, params={"page": 2 * REACH // 1000 + 2, "page_size": 1000})
    assert answer.status_code == 400
    assert "'cursor'" in answer.json()["error"]


@pytest.mark.parametrize(
    ("method", "path", "options"),
    [
        ("GET", LIST, {"params": {"sort_by": "-cost"}}),
        ("GET", LIST, {"params": {"sort_by": "id"}}),
        ("GET", LIST, {"params": {"model": "nobody"}}),
        ("POST", LIST, {"json": {"filters": {"cost": {"operator": "gt", "value": [1]}}}}),
        ("GET", LIST, {"params": {"environment": "test"}}),
        ("POST", SUMMARY, {"json": {"filters": {"model": {"operator": "", "value": ["m"]}}}}),
        ("POST", GROUPS, {"json": {"filters": {"model": {"operator": "", "value": ["m"]}}}}),
    ],
)
def test_what_would_look_at_too_many_is_refused_with_the_way_out(
    full: Full, method: str, path: str, options: Any
) -> None:
    answer = full.caller.call(method, path, **options)
    assert answer.status_code == 400
    assert f"more than {SCAN_LIMIT} records" in answer.json()["error"]
    assert "Narrow 'start_time' and 'end_time'" in answer.json()["error"]
    assert full.store.read() <= SCAN_LIMIT + 1
    options["params"] = {**options.get("params", {}), "start_time": "2026-01-02T07:00:00Z"}
    assert full.caller.call(method, path, **options).status_code == 200


def test_a_summary_over_more_records_than_are_looked_at_is_summed_in_the_engine(full: Full) -> None:
    assert full.caller.post(SUMMARY).json()["number_of_requests"] == MANY
    assert [row["number_of_requests"] for row in full.get(GROUPS)["results"]] == [MANY]
    assert full.store.read() == 0


OF_C1 = {"customer_identifier": {"operator": "", "value": ["c1"]}}


@pytest.mark.parametrize("indexes", [INDEXES, frozenset[Index]()], ids=["index", "no-index"])
@pytest.mark.parametrize(
    ("path", "options", "read"),
    [
        (LIST, {"params": {"customer_identifier": "c1", "page_size": 4}}, 5),
        (LIST, {"params": {"page_size": 4}, "json": {"filters": OF_C1}}, 5),
        (LIST, {"json": {"filters": OF_C1, "operator": "OR"}}, 10),
        (LIST, {"json": {"filters": {**OF_C1, "model": {"value": "m"}}}}, 10),
        (LIST, {"params": {"sort_by": "-cost"}, "json": {"filters": OF_C1}}, 10),
        (LIST, {"params": {"customer_identifier": "c2"}, "json": {"filters": OF_C1}}, 0),
        (SUMMARY, {"json": {"filters": OF_C1}}, 10),
        (GROUPS, {"params": {"customer_identifier": "c1"}}, 10),
        (LIST, {"params": {"start_time": "2026-01-02T03:08:00Z", "customer_identifier": "c1"}}, 2),
    ],
)
def test_of_one_customer_only_that_ones_records_are_read_where_there_is_the_index(
    runtime: Runtime, path: str, options: Any, read: int, indexes: frozenset[Index]
) -> None:
    counted, store = watched(runtime)
    with closing(store):
        keep(
            store,
            [replace(each, customer_identifier="c1") if n % 30 == 0 else each for n, each in enumerate(many(300))],
        )
        settings = runtime.settings.model_copy(update={"indexes": indexes})
        by_time = Caller.of(
            replace(counted, settings=settings.model_copy(update={"indexes": frozenset()})), [request_log.mount]
        )
        caller = Caller.of(replace(counted, settings=settings), [request_log.mount])
        expected = by_time.post(path, **options).json()
        store.read()

        assert caller.post(path, **options).json() == expected
        assert (store.read() == read) == bool(indexes)


def test_rare_matches_come_on_short_pages_until_nothing_is_left_to_look_at(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_queries, "SCAN_LIMIT", 10)
    counted, store = watched(runtime)
    with closing(store):
        records = many(40)
        records[35], records[22] = replace(records[35], model="rare"), replace(records[22], model="rare")
        keep(store, records)
        caller = Caller.of(counted, [request_log.mount])
        first = caller.get(LIST, params={"model": "rare", "page_size": 5}).json()
        assert (ids(first), first["count"]) == ([records[35].id], 2)
        second = caller.get(LIST, params={"model": "rare", "page_size": 5, "page": 2}).json()
        assert (ids(second), second["count"]) == ([records[22].id], 3)
        assert ids(caller.get(first["next"]).json()) == [records[22].id]
        assert caller.get(LIST, params={"model": "rare", "page_size": 5, "page": 3}).status_code == 400


def test_page_numbers_stay_where_they_are_while_logs_come_in(caller: Caller) -> None:
    expected = [log(caller) for _ in range(5)][::-1]
    pages = []
    for page in range(1, 5):
        pages.append(ids(caller.get(LIST, params={"page": page, "page_size": 2}).json()))
        log(caller)
    assert pages == [expected[:2], expected[2:4], expected[4:], []]
    assert len(ids(caller.get(LIST, params={"page": 1, "page_size": 100}).json())) == 9


@pytest.mark.parametrize("sort_by", ["id", "-cost", "cost"])
def test_sorted_pages_stay_where_they_are_too(caller: Caller, sort_by: str) -> None:
    costs = [3, 1, 2, 5, 4]
    by_cost = {cost: log(caller, cost=cost) for cost in costs}
    order = {"id": costs, "cost": sorted(costs), "-cost": sorted(costs, reverse=True)}[sort_by]
    pages = []
    for page in range(1, 5):
        pages.append(ids(caller.get(LIST, params={"page": page, "page_size": 2, "sort_by": sort_by}).json()))
        log(caller, cost=2.5)
    expected = [by_cost[cost] for cost in order]
    assert pages == [expected[:2], expected[2:4], expected[4:], []]


def test_records_without_the_figure_come_last_in_either_direction(caller: Caller) -> None:
    unknown, cheap, dear = log(caller), log(caller, cost=1), log(caller, cost=2)
    for sort_by, expected in (("cost", [cheap, dear, unknown]), ("-cost", [dear, cheap, unknown])):
        page = caller.get(LIST, params={"sort_by": sort_by}).json()
        assert (ids(page), page["count"], page["next"]) == (expected, 3, None)


def test_a_sorted_page_names_the_next_by_its_number(caller: Caller) -> None:
    for cost in range(3):
        log(caller, cost=cost)
    first = caller.get(LIST, params={"sort_by": "-cost", "page_size": 2}).json()
    assert first["next"] == "/api/request-logs/list?sort_by=-cost&page_size=2&page=2"
    second = caller.get(first["next"]).json()
    assert [row["cost"] for row in second["results"]] == [0.0]
    assert second["next"] is None


def test_another_question_has_pages_of_its_own(caller: Caller) -> None:
    old = [log(caller) for _ in range(3)][::-1]
    caller.get(LIST, params={"page": 1, "page_size": 2})
    new = log(caller)
    assert ids(caller.get(LIST, params={"page": 2, "page_size": 2, "model": "m"}).json()) == old[1:]
    body = {"filters": {"model": {"operator": "", "value": ["m"]}}}
    assert ids(caller.post(LIST, params={"page": 2, "page_size": 2}, json=body).json()) == old[1:]
    assert ids(caller.with_key(TEST_KEY).get(LIST, params={"page": 2, "page_size": 2}).json()) == []
    assert new in ids(caller.get(LIST, params={"page_size": 2}).json())


def test_what_is_only_one_environments_is_read_in_growing_steps(runtime: Runtime) -> None:
    counted, store = watched(runtime)
    with closing(store):
        records = [replace(record, environment="test") if n % 2 else record for n, record in enumerate(many(400))]
        keep(store, records)
        caller = Caller.of(counted, [request_log.mount])
        assert len(ids(caller.get(LIST, params={"page_size": 50}).json())) == 50
        assert store.read() <= 110


def test_places_are_forgotten_after_a_while_and_with_a_new_first_page() -> None:
    time = 0.0
    places = Places(clock=lambda: time)
    places.remember("q", 2, Place("b", 50))
    places.remember("q", 3, Place("c", 100))
    assert places.find("q", 4) == (3, Place("c", 100))
    assert places.find("q", 1) == places.find("other", 3) == (1, Place(None))
    time = 599.0
    assert places.find("q", 2) == (2, Place("b", 50))
    time = 601.0
    assert places.find("q", 2) == (1, Place(None))
    places.remember("q", 2, Place("d", 50))
    assert places.find("q", 3) == (2, Place("d", 50))
    places.begin("q")
    assert places.find("q", 2) == (1, Place(None))


def test_no_more_places_are_held_than_a_process_can_bear() -> None:
    places = Places(clock=lambda: 0.0)
    for number in range(1_001):
        places.remember(str(number), 2, Place("b"))
    assert places.find("0", 2) == (1, Place(None))
    assert places.find("1", 2) == (2, Place("b"))
