"""What every engine does with references to provider keys."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from tests.ledger.engines import Engine
from weir.domain.configuration import Snapshot
from weir.domain.credential import CredentialReference, References
from weir.domain.errors import Conflict, LedgerUnavailable
from weir.ledger.configuration import Configurations
from weir.ledger.credentials import CredentialReferences
from weir.ledger.ports import ConfigStore

NOON = datetime(2026, 3, 1, 12, 0, 0, 5000, tzinfo=UTC)


def reference(provider: str, *, by_operator: bool = False) -> CredentialReference:
    return CredentialReference(
        provider=provider, reference=f"ssm:/weir/main/{provider}", set_at=NOON, by_operator=by_operator
    )


def adding(*found: CredentialReference) -> Mapping[str, CredentialReference]:
    return {each.provider: each for each in found}


def test_references_are_read_as_they_were_set(engine: Engine, configuration: ConfigStore) -> None:
    references = CredentialReferences(configuration)
    openai, groq = reference("openai", by_operator=True), reference("groq")
    assert references.of("main") == {}
    references.edit("main", lambda found: {**found, "openai": openai})
    references.edit("main", lambda found: {**found, "groq": groq})
    assert CredentialReferences(engine.configuration()).of("main") == adding(openai, groq)
    references.edit("main", lambda found: {name: each for name, each in found.items() if name != "openai"})
    assert references.of("main") == adding(groq)
    assert [references.of(other) for other in ("other", "", "Main")] == [{}, {}, {}]


def test_they_are_no_part_of_what_holds_for_calls(configuration: ConfigStore) -> None:
    CredentialReferences(configuration).edit("main", lambda _: adding(reference("openai")))
    assert Configurations(configuration).snapshot("main") == Snapshot(version=0, config={}, trees=(), groups=())


def test_of_many_edits_at_once_none_is_lost(configuration: ConfigStore) -> None:
    references = CredentialReferences(configuration)

    def add(number: int) -> None:
        def put(found: References) -> References:
            return {**found, f"p{number}": reference(f"p{number}")}

        while True:
            try:
                references.edit("main", put)
            except Conflict:
                continue
            return

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(add, range(16)))
    assert references.of("main") == adding(*(reference(f"p{number}") for number in range(16)))


def test_a_broken_engine_is_unavailable_and_nothing_else(engine: Engine, configuration: ConfigStore) -> None:
    references = CredentialReferences(configuration)
    with engine.broken():
        with pytest.raises(LedgerUnavailable):
            references.of("main")
        with pytest.raises(LedgerUnavailable):
            references.edit("main", lambda _: {})
