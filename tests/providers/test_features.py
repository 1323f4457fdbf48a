"""What the formats are said to express is what their protocols do."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest

from weir.domain.chat import ChatCall, Message
from weir.domain.completion import Completion, Text
from weir.domain.errors import ProviderError, RequestInvalid
from weir.protocols.base import StreamDecoder, Unsupported, WireProtocol, WireRequest
from weir.providers.catalog import CATALOG, own_provider
from weir.providers.features import ANY_MODEL, MODELS, PROBES, Format, ask, formats

ENVIRON = {"VERTEX_PROJECT": "p"}
FORMATS = [each for provider in (*CATALOG, own_provider("own", "http://h")) for each in formats(provider, ENVIRON)]
BY_NAME = {(each.provider, each.api): each for each in FORMATS}


def refused(provider: str, api: str = "") -> set[str]:
    return {feature for feature, answer in BY_NAME[provider, api].features.items() if answer == "refused"}


@dataclass(frozen=True)
class Picky:
    """Takes a temperature, refuses a seed, knows of no `stop` and says nothing of `user`."""

    name: str = "picky"
    provider: str = "picky"

    def render(self, call: ChatCall) -> WireRequest:
        unsupported = Unsupported(call, self.provider)
        body: dict[str, Any] = {"model": call.model, "temperature": call.temperature}
        if call.seed is not None:
            unsupported.drop("seed")
        if call.stop:
            unsupported.dropped.append("stop")
        return WireRequest("/stream" if call.stream else "/", body, {}, tuple(unsupported.dropped))

    def parse(self, body: bytes) -> Completion:
        raise NotImplementedError

    def decoder(self) -> StreamDecoder:
        raise NotImplementedError

    def error(self, status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
        raise NotImplementedError


@pytest.mark.parametrize(
    ("feature", "answer"),
    [
        ("temperature", "sent"),
        ("streaming", "sent"),
        ("seed", "refused"),
        ("stop", "refused"),
        ("user", "kept here"),
    ],
)
def test_the_protocol_itself_is_asked(feature: str, answer: str) -> None:
    assert ask(Picky(), *PROBES[feature], ANY_MODEL) == answer


def test_vendors_of_openais_form_get_everything_but_what_their_dialect_says() -> None:
    chat = [name for name, each in BY_NAME.items() if each.protocol.name == "openai_chat"]
    assert {name: refused(*name) for name in chat if refused(*name)} == {
        ("mistral", ""): {"user", "logit_bias", "service_tier flex"}
    }
    assert BY_NAME["openai", ""].features["metadata"] == "sent"
    assert BY_NAME["groq", ""].features["metadata"] == "kept here"


def test_what_others_cannot_express_is_refused() -> None:
    assert {"json_object", "seed", "n", "logit_bias", "logprobs", "audio"} <= refused("anthropic")
    assert refused("vertex", "anthropic") == refused("anthropic") | {"images by URL", "files by URL"}
    assert refused("gemini") == {"parallel_tool_calls false", "logit_bias", "user"}
    assert {"tool_choice named", "audio", "n"} <= refused("cohere")
    assert "tool_choice required" in refused("cohere", "v1")
    assert {"stop", "seed", "n"} <= refused("openai", "responses")
    assert "stop" not in refused("openrouter", "responses")


@pytest.mark.parametrize("each", FORMATS, ids=lambda each: f"{each.provider}/{each.api}")
def test_every_format_streams_takes_tools_and_answers_every_probe(each: Format) -> None:
    assert each.features.keys() == PROBES.keys()
    assert (each.features["streaming"], each.features["tools"]) == ("sent", "sent")


def says(protocol: WireProtocol, call: ChatCall) -> str:
    try:
        protocol.render(call)
    except RequestInvalid as refusal:
        return refusal.code or ""
    return "accepted"


@pytest.mark.parametrize("each", FORMATS, ids=lambda each: f"{each.provider}/{each.api}")
def test_a_refusal_is_that_of_the_feature_and_not_of_a_broken_probe(each: Format) -> None:
    for feature, (without, call) in PROBES.items():
        model = each.model or ANY_MODEL
        assert says(each.protocol, replace(without, model=model)) == "accepted"
        said = says(each.protocol, replace(call, model=model))
        expected = {"sent": {"accepted"}, "kept here": {"accepted"}}.get(
            each.features[feature], {"unsupported_parameter", "unsupported_content"}
        )
        assert said in expected, f"{feature}: {said}"


def test_models_to_ask_for_are_those_of_formats_that_exist() -> None:
    assert MODELS.keys() <= BY_NAME.keys()


def test_probes_ask_for_no_model_of_their_own() -> None:
    for without, call in PROBES.values():
        assert without.model == call.model == ""
        assert [type(part) for part in without.messages[0].parts] == [Text]
        assert isinstance(call.messages[0], Message)
