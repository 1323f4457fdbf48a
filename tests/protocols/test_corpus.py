"""Every recording whose API a protocol here speaks, through that protocol, and the answer our caller gets, read anew.

Replays `../shared/exchanges/open`, which is no part of the project, before the judge that lies beside it.
`python -m tests.protocols.corpus_report` shows the same for people.
"""

import logging
from functools import cache

import pytest

from tests.corpus import ABSENT, Exchange, exchanges
from tests.protocols import corpus_judge
from tests.protocols.corpus_judge import JUDGE, Judge
from tests.protocols.corpus_replay import replay
from tests.protocols.corpus_scope import LABELS, label_of, registry_for

logger = logging.getLogger(__name__)


@cache
def recordings() -> tuple[Exchange, ...]:
    return tuple(exchanges())


@pytest.mark.parametrize("label", LABELS)
def test_recorded_answers_reach_the_caller_as_they_were_given(label: str) -> None:
    recorded = [exchange for exchange in recordings() if label_of(exchange) == label]
    if not recorded:
        pytest.skip(ABSENT)
    if not JUDGE.is_dir():
        pytest.skip(corpus_judge.ABSENT)
    tally = replay(recorded, registry_for(recorded), Judge())
    logger.info("%s: %s", label, tally)
    assert not tally.failed, f"{label}: {tally}\n" + "\n".join(
        f"{id}: {found[0][:400]}" for id, found in tally.failed.items()
    )
    assert tally.passed + tally.out_of_scope.total() == len(recorded)
