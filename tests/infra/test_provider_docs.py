"""docs/providers.md is what the code says, and says all of it."""

import dataclasses

import pytest

from infra.provider_docs import TARGET, departures, missing_features, page
from infra.provider_quirks import PHRASES
from weir.protocols.openai_chat import OpenAIChat, OpenAIDialect
from weir.providers.catalog import CATALOG
from weir.providers.variables import variables_of


def test_the_page_is_what_make_docs_writes() -> None:
    assert TARGET.read_text(encoding="utf-8") == page(), "run `make docs`"


def test_every_feature_is_in_a_table() -> None:
    assert missing_features() == set()


@pytest.mark.parametrize("dialect", PHRASES, ids=lambda dialect: dialect.__name__)
def test_every_field_of_a_dialect_has_its_words(dialect: type) -> None:
    assert set(PHRASES[dialect]) == {field.name for field in dataclasses.fields(dialect)}


@pytest.mark.parametrize("provider", CATALOG, ids=lambda provider: provider.name)
def test_every_variable_of_a_provider_is_on_the_page(provider: object) -> None:
    text = TARGET.read_text(encoding="utf-8")
    variables = variables_of(next(each for each in CATALOG if each is provider))
    named = {*variables.addresses, *(name for names in variables.keys for name in names)}
    named |= {name for name, _ in variables.others}
    assert {name for name in named if f"`{name}`" not in text} == set()


def test_departures_are_told_in_words() -> None:
    dialect = OpenAIDialect(provider="any", seed_field="random_seed", thinking_field=None)
    assert list(departures(OpenAIChat(dialect))) == [
        "earlier thinking does not go back",
        "`seed` is sent as `random_seed`",
    ]
    assert list(departures(OpenAIChat(OpenAIDialect(provider="any")))) == []
