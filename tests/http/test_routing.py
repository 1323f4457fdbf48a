"""What a call and a configuration may say of routing, and what is wrong with what they say."""

import gc
import weakref
from dataclasses import replace
from typing import Any

import pytest

from weir.domain.errors import RequestInvalid
from weir.domain.routing import Deadlines, Retries, Routing, Share
from weir.http.chat_request import KEYWORDS_PARAMETERS, CallTags
from weir.http.maitai_config import ConfigBody, to_changes
from weir.http.routing import ROUTING_PARAMETERS, configured_routing, to_routing
from weir.http.validation import validated


@pytest.mark.parametrize(
    ("said", "routing"),
    [
        ({}, None),
        ({"fallback_config": None, "fallback_model": "", "fallback_models": []}, None),
        ({"fallback_config": {"model": None, "strategy": "reactive", "timeout": 0}}, None),
        ({"fallback_config": {"strategy": "first_response"}}, None),
        ({"retry_params": {"retry_enabled": False, "num_retries": 3}}, None),
        ({"retry_params": {"num_retries": 0}}, None),
        ({"fallback_config": {"model": "b"}}, Routing(fallbacks=("b",))),
        ({"fallback_model": "b"}, Routing(fallbacks=("b",))),
        ({"fallback_models": ["b", "c"]}, Routing(fallbacks=("b", "c"))),
        (
            {"fallback_config": {"model": "b", "strategy": "timeout", "timeout": 3}, "fallback_models": ["c"]},
            Routing(strategy="timeout", fallbacks=("b", "c"), wait_s=3),
        ),
        (
            {"fallback_config": {"model": "b", "strategy": "first_response", "timeout": 0}},
            Routing(strategy="first_response", fallbacks=("b",)),
        ),
        ({"retry_params": {}}, Routing(retries=Retries(3, 0.2))),
        ({"retry_params": {"num_retries": 2.0, "retry_after": 1}}, Routing(retries=Retries(2, 1))),
        (
            {"load_balance_models": [{"model": "a", "weight": 9}, {"model": "b", "weight": 0.5, "credentials": {}}]},
            Routing(shares=(Share("a", 9), Share("b", 0.5))),
        ),
        (
            {"connect_timeout": 1, "first_token_timeout": 2.5, "between_tokens_timeout": 3, "timeout": 60},
            Routing(deadlines=Deadlines(connect_s=1, first_token_s=2.5, between_tokens_s=3, total_s=60)),
        ),
        ({"timeout": 0}, Routing(deadlines=Deadlines(total_s=0))),
    ],
)
def test_a_call_says_it_in_anybodys_names(said: dict[str, Any], routing: Routing | None) -> None:
    assert to_routing(said) == (routing, ())


@pytest.mark.parametrize(
    ("said", "param"),
    [
        ({"fallback_config": "b"}, "fallback_config"),
        ({"fallback_config": {"model": 1}}, "fallback_config.model"),
        ({"fallback_config": {"model": "b", "strategy": "never"}}, "fallback_config.strategy"),
        ({"fallback_config": {"model": "b", "strategy": "timeout"}}, "fallback_config.timeout"),
        ({"fallback_config": {"model": "b", "timeout": -1}}, "fallback_config.timeout"),
        ({"fallback_models": "b"}, "fallback_models"),
        ({"fallback_models": ["b", 1]}, "fallback_models[1]"),
        ({"fallback_models": [""]}, "fallback_models[0]"),
        ({"fallback_models": ["b"] * 11}, "fallback_models"),
        ({"retry_params": 3}, "retry_params"),
        ({"retry_params": {"num_retries": 11}}, "retry_params.num_retries"),
        ({"retry_params": {"retry_after": 0}}, "retry_params.retry_after"),
        ({"load_balance_models": [{"weight": 1}]}, "load_balance_models[0].model"),
        ({"load_balance_models": [{"model": "b", "weight": 0}]}, "load_balance_models[0].weight"),
        ({"timeout": "60"}, "timeout"),
        ({"timeout": float("inf")}, "timeout"),
        ({"first_token_timeout": -1}, "first_token_timeout"),
        ({"between_tokens_timeout": True}, "between_tokens_timeout"),
    ],
)
def test_what_is_wrong_is_named(said: dict[str, Any], param: str) -> None:
    with pytest.raises(RequestInvalid) as caught:
        to_routing(said)
    assert (caught.value.param, param in str(caught.value)) == (param, True)


CONFIG = {
    "fallback_config": {"model": "b", "strategy": "timeout", "timeout": 4},
    "retry_params": {"num_retries": 1},
    "load_balance_models": [{"model": "a", "weight": 1}],
    "first_token_timeout": 9,
    "timeout": 90,
}
CONFIGURED = Routing(
    strategy="timeout",
    fallbacks=("b",),
    wait_s=4,
    retries=Retries(1),
    shares=(Share("a", 1),),
    deadlines=Deadlines(first_token_s=9, total_s=90),
)


@pytest.mark.parametrize(
    ("said", "differs"),
    [
        ({}, {}),
        ({"fallback_models": ["c"]}, {"fallbacks": ("c",), "strategy": "reactive", "wait_s": None}),
        ({"fallback_config": {"model": None, "strategy": "reactive", "timeout": 0}}, {}),
        (
            {"fallback_config": {"model": "c", "strategy": "timeout", "timeout": 2}},
            {"fallbacks": ("c",), "wait_s": 2},
        ),
        ({"retry_params": {"retry_enabled": False}}, {"retries": Retries(0)}),
        ({"load_balance_models": [{"model": "c"}]}, {"shares": (Share("c", 1),)}),
        ({"timeout": 0}, {"deadlines": Deadlines(first_token_s=9, total_s=0)}),
    ],
)
def test_the_calls_own_word_goes_before_the_configuration(said: dict[str, Any], differs: dict[str, Any]) -> None:
    assert to_routing(said, CONFIG) == (replace(CONFIGURED, **differs), ())


@pytest.mark.parametrize(("model", "split"), [(None, True), ("a", True), ("another", False)])
def test_a_model_that_the_call_names_goes_before_a_configured_split_of_others(model: str | None, split: bool) -> None:
    config = {"load_balance_models": [{"model": "a", "weight": 1}, {"model": "b", "weight": 1}]}
    shares = (Share("a", 1), Share("b", 1))
    assert to_routing({}, config, model=model) == (Routing(shares=shares) if split else None, ())
    assert to_routing(config, {}, model=model) == (Routing(shares=shares), ())


def test_what_is_configured_is_read_once_and_for_each_by_itself() -> None:
    configs: list[dict[str, Any]] = [CONFIG, {"fallback_models": ["c"]}, {"retry_params": "often"}, {}]
    for config in [*configs, *configs, *({**each} for each in configs)]:
        for model in (None, "a", "another"):
            assert configured_routing(config, model, ("main",)) == to_routing({}, config, model=model)
    first, _ = configured_routing(CONFIG, "a", ("main",))
    assert configured_routing(CONFIG, "a", ("main",))[0] is first


def test_a_configuration_that_was_read_anew_takes_the_place_of_the_one_before() -> None:
    """It may be large, and is read every ten seconds."""
    config = Config(CONFIG)
    before = weakref.ref(config)
    for place in (("main", "shop", None), ("other", "shop", None)):
        configured_routing(config, "a", place)
    config = Config(CONFIG)
    configured_routing(config, "a", ("main", "shop", None))
    assert before() is not None
    configured_routing(config, "a", ("other", "shop", None))
    gc.collect()
    assert before() is None


class Config(dict[str, Any]):
    """Can be referred to weakly."""


def test_a_call_can_do_without_fallbacks_whatever_is_configured() -> None:
    without = replace(CONFIGURED, strategy="reactive", fallbacks=(), wait_s=None)
    assert to_routing({}, CONFIG, no_fallbacks=True) == (without, ())


def test_the_zeros_of_a_configuration_say_nothing() -> None:
    """Maitai's clients write them for what nobody set."""
    assert to_routing({}, {"timeout": 0, "fallback_config": {"model": None, "strategy": "reactive", "timeout": 0}}) == (
        None,
        (),
    )


def test_a_configuration_that_cannot_be_read_does_not_refuse_the_call() -> None:
    routing, warnings = to_routing({"fallback_models": ["b"]}, {"retry_params": "often"})
    assert routing == Routing(fallbacks=("b",))
    assert len(warnings) == 1
    assert "retry_params" in warnings[0]


def test_a_configuration_holds_every_parameter_in_its_own_form() -> None:
    assert to_changes(validated(ConfigBody, CONFIG)) == CONFIG
    for wrong in (
        {"fallback_config": {"strategy": "never"}},
        {"fallback_config": {"strategy": "timeout"}},
        {"retry_params": {"num_retries": 3, "often": True}},
        {"load_balance_models": [{"model": "a", "credentials": {"api_key": "canary-key"}}]},
    ):
        with pytest.raises(RequestInvalid, match=next(iter(wrong))):
            validated(ConfigBody, wrong)


def test_no_provider_gets_any_of_them() -> None:
    assert KEYWORDS_PARAMETERS | CallTags.model_fields.keys() >= ROUTING_PARAMETERS
