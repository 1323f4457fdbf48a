"""Setting a whole configuration and going back, whatever was set before."""

import asyncio
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from weir.domain.configuration import Level, Values
from weir.domain.versions import difference
from weir.ledger.configuration import Configurations
from weir.ledger.sqlite_config import SQLiteConfigStore
from weir.services.configure import Configure, Editor
from weir.services.defaults import Defaults

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
NAMES = st.none() | st.sampled_from(["a", "b", "a b", "#"])
TREES = st.dictionaries(
    st.builds(Level, NAMES, NAMES), st.dictionaries(st.sampled_from("xyz"), st.integers(0, 2), min_size=1)
)
OPERATOR = Editor("operator")


def configure(folder: str) -> Configure:
    configurations = Configurations(SQLiteConfigStore(Path(folder) / "ledger.sqlite"))
    return Configure(configurations, Defaults(configurations, now=lambda: NOON, clock=lambda: 0.0), now=lambda: NOON)


@settings(max_examples=20, deadline=None)
@given(st.lists(TREES, min_size=1, max_size=4))
def test_what_is_set_everywhere_is_what_is_there_and_comes_back(trees: list[Values]) -> None:
    async def set_and_go_back(configure: Configure) -> None:
        numbers = []
        for tree in trees:
            await configure.replace("main", tree, OPERATOR, note="applied")
            snapshot = await configure.snapshot("main")
            assert difference(snapshot.values, tree) == ()
            numbers.append(snapshot.version)
        for number, tree in zip(numbers, trees, strict=True):
            await configure.roll_back("main", number, OPERATOR)
            assert difference((await configure.snapshot("main")).values, tree) == ()
        assert (await configure.snapshot("other")).levels() == {Level()}

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(set_and_go_back(configure(folder)))
