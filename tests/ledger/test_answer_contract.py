"""What every engine does with answers that may be given again."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from tests.ledger.engines import DynamoDBAndS3, Engine
from weir.domain.errors import LedgerUnavailable
from weir.ledger.ports import AnswerStore

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEY, OTHER = "k" * 32, "o" * 32


def later(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


@pytest.fixture
def answers(engine: Engine) -> Iterator[AnswerStore]:
    with engine.answers() as store:
        yield store


def test_an_answer_is_found_until_it_expires(answers: AnswerStore) -> None:
    answers.put("main", KEY, b"\x00answer", later(60))
    found = [answers.get("main", KEY, later(seconds)) for seconds in (0, 59.999, 60, 61)]
    assert found == [b"\x00answer", b"\x00answer", None, None]
    assert answers.get("main", OTHER, NOON) is None


def test_the_later_one_takes_the_place_of_the_earlier(answers: AnswerStore) -> None:
    answers.put("main", KEY, b"first", later(60))
    answers.put("main", KEY, b"second", later(30))
    assert [answers.get("main", KEY, later(seconds)) for seconds in (0, 30)] == [b"second", None]


def test_another_workspace_finds_nothing(answers: AnswerStore) -> None:
    answers.put("main", KEY, b"answer", later(60))
    for other in ("other", "", "Main", "main#cache", f"main#cache#{KEY}"):
        assert answers.get(other, KEY, NOON) is None
        answers.delete(other, KEY)
    assert answers.get("main", KEY, NOON) == b"answer"


def test_another_process_finds_it_at_once(engine: Engine, answers: AnswerStore) -> None:
    with engine.answers() as elsewhere:
        answers.put("main", KEY, b"answer", later(60))
        assert elsewhere.get("main", KEY, NOON) == b"answer"
        elsewhere.delete("main", KEY)
    assert answers.get("main", KEY, NOON) is None
    answers.delete("main", KEY)


def test_it_is_no_record(engine: Engine, answers: AnswerStore) -> None:
    answers.put("main", KEY, b"answer", later(60))
    with closing(engine.open()) as records:
        assert records.newest("main", limit=10) == ()
        assert records.get("main", KEY) is None
    assert engine.configuration().all("main") == {}


def test_what_has_expired_is_deleted(sqlite: Engine) -> None:
    with sqlite.answers() as answers:
        for number in range(450):
            answers.put("main", f"{number:032}", b"answer", later(number))
        assert answers.expire(later(409)) == 410
        assert answers.expire(later(409)) == 0
        left = [number for number in range(450) if answers.get("main", f"{number:032}", NOON - timedelta(1))]
        assert left == list(range(410, 450))


def test_dynamodb_deletes_it_by_itself(dynamodb: DynamoDBAndS3) -> None:
    with dynamodb.answers() as answers:
        answers.put("main", KEY, b"answer", later(0.9))
        assert answers.expire(later(99)) == 0
    (put,) = [arguments["Item"] for operation, arguments in dynamodb.wire.calls if operation == "put_item"]
    assert put["expires_at"] == {"N": str(int(NOON.timestamp()))}


def test_an_answer_is_found_by_one_read(dynamodb: DynamoDBAndS3) -> None:
    with dynamodb.answers() as answers:
        answers.put("main", KEY, b"answer", later(60))
        dynamodb.wire.calls.clear()
        answers.get("main", KEY, NOON)
    assert [(operation, arguments["ConsistentRead"]) for operation, arguments in dynamodb.wire.calls] == [
        ("get_item", True)
    ]


def test_a_broken_engine_is_unavailable_and_nothing_else(engine: Engine, answers: AnswerStore) -> None:
    answers.put("main", KEY, b"answer", later(60))
    with engine.broken():
        with pytest.raises(LedgerUnavailable):
            answers.get("main", KEY, NOON)
        with pytest.raises(LedgerUnavailable):
            answers.put("main", KEY, b"other", later(60))
        with pytest.raises(LedgerUnavailable):
            answers.delete("main", KEY)
    assert answers.get("main", KEY, NOON) == b"answer"
