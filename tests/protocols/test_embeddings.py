"""The formats of embeddings: exact requests, answers as values, and what is refused."""

import base64
import json
import struct
from typing import Any

import boto3
import cohere
import httpx
import mistralai.client
import pytest
from botocore.config import Config
from google import genai
from google.genai import types as google

from tests.upstream import Reply, Upstream
from weir.domain.completion import Usage
from weir.domain.embedding import EmbeddingCall, Embeddings, to_base64, to_floats
from weir.domain.errors import MalformedReply, ProviderAuthFailed, ProviderError, ProviderThrottled, RequestInvalid
from weir.protocols.base import WireRequest
from weir.protocols.bedrock_embeddings import BedrockEmbeddings
from weir.protocols.cohere_embeddings import CohereEmbeddings
from weir.protocols.embedding import EmbeddingProtocol, WireReply
from weir.protocols.gemini_embeddings import GeminiEmbeddings
from weir.protocols.openai_embeddings import OpenAIEmbeddingDialect, OpenAIEmbeddings
from weir.providers.catalog import CATALOG

OPENAI = OpenAIEmbeddings(OpenAIEmbeddingDialect(provider="openai"))
MISTRAL = next(provider for provider in CATALOG if provider.name == "mistral").embeddings
TITAN = "amazon.titan-embed-text-v2:0"
TITAN_V1 = "amazon.titan-embed-text-v1"
FORMATS: dict[str, tuple[EmbeddingProtocol, str]] = {
    "openai": (OPENAI, "m"),
    "gemini": (GeminiEmbeddings(), "m"),
    "cohere": (CohereEmbeddings(), "m"),
    "titan": (BedrockEmbeddings(), TITAN),
    "cohere on bedrock": (BedrockEmbeddings(), "cohere.embed-v4:0"),
}


def call(model: str = "m", *inputs: str | tuple[int, ...], **fields: Any) -> EmbeddingCall:
    return EmbeddingCall(model=model, inputs=inputs or ("one", "two"), **fields)


def reply(body: Any, **headers: str) -> WireReply:
    return WireReply(json.dumps(body).encode(), {name.replace("_", "-"): value for name, value in headers.items()})


def of(**dialect: Any) -> OpenAIEmbeddings:
    return OpenAIEmbeddings(OpenAIEmbeddingDialect(provider="vendor", **dialect))


def sent(protocol: EmbeddingProtocol, asked: EmbeddingCall) -> list[tuple[str, Any]]:
    return [(wire.path, wire.body) for wire in protocol.render(asked)]


def test_openais_request_has_every_parameter() -> None:
    asked = call("m", "one", (1, 2), dimensions=3, encoding_format="base64", user="u", extra={"x": 1})
    body = {"model": "m", "input": ["one", (1, 2)], "encoding_format": "base64", "dimensions": 3, "user": "u", "x": 1}
    assert OPENAI.render(asked) == (WireRequest("/embeddings", body),)


def test_a_deployment_stands_in_the_path() -> None:
    azure = OpenAIEmbeddings(OpenAIEmbeddingDialect(provider="azure"), "/deployments/{model}/embeddings?api-version=v")
    assert azure.render(call("my/model"))[0].path == "/deployments/my%2Fmodel/embeddings?api-version=v"


def test_a_vendor_without_base64_is_not_asked_for_it() -> None:
    assert of(base64=False).render(call(encoding_format="base64"))[0].body == {"model": "m", "input": ["one", "two"]}


def test_mistrals_request_is_that_of_its_own_client() -> None:
    assert MISTRAL is not None
    asked = call("mistral-embed", dimensions=64, encoding_format="float")
    answer = {"id": "1", "object": "list", "model": "mistral-embed", "data": [], "usage": {}}
    with Upstream({"mistral-embed": Reply([json.dumps(answer).encode()])}) as upstream:
        with mistralai.client.Mistral(api_key="canary", server_url=upstream.url) as client:
            client.embeddings.create(
                model="mistral-embed", inputs=["one", "two"], output_dimension=64, encoding_format="float"
            )
        (received,) = upstream.received
    assert sent(MISTRAL({}), asked) == [(received.path, received.json)]


def test_geminis_request_is_that_of_its_own_client() -> None:
    asked = call("gemini-embedding-001", dimensions=64, extra={"taskType": "RETRIEVAL_QUERY", "title": "t"})
    with Upstream({"batchEmbedContents": Reply([b'{"embeddings": []}'])}) as upstream:
        options = google.HttpOptions(base_url=upstream.url, api_version="v1beta")
        with genai.Client(api_key="canary", vertexai=False, http_options=options) as client:
            client.models.embed_content(
                model="gemini-embedding-001",
                contents=["one", "two"],
                config=google.EmbedContentConfig(task_type="RETRIEVAL_QUERY", title="t", output_dimensionality=64),
            )
        (received,) = upstream.received
    (wire,) = GeminiEmbeddings().render(asked)
    theirs = received.json
    for request in theirs["requests"]:
        request["content"].pop("role", None)
    assert (wire.path, wire.body) == (received.path, theirs)


def test_coheres_request_is_that_of_its_own_client() -> None:
    answer = {"id": "1", "embeddings": {"float": []}, "response_type": "embeddings_by_type"}
    with Upstream({"embed-v4.0": Reply([json.dumps(answer).encode()])}) as upstream:
        with httpx.Client() as http:
            cohere.ClientV2(api_key="canary", base_url=upstream.url, httpx_client=http).embed(
                model="embed-v4.0",
                input_type="search_query",
                texts=["one", "two"],
                output_dimension=256,
                embedding_types=["float"],
                truncate="END",
            )
        (received,) = upstream.received
    asked = call("embed-v4.0", dimensions=256, extra={"input_type": "search_query", "truncate": "END"})
    assert sent(CohereEmbeddings(), asked) == [(received.path, received.json)]


def test_cohere_is_told_that_texts_are_documents_unless_the_caller_says_otherwise() -> None:
    assert CohereEmbeddings().render(call())[0].body["input_type"] == "search_document"


def test_titan_takes_one_text_a_request_at_the_path_of_awss_client() -> None:
    with Upstream({"/invoke": Reply([b"{}"])}) as upstream:
        client = boto3.client(
            "bedrock-runtime",
            endpoint_url=upstream.url,
            region_name="us-east-1",
            aws_access_key_id="canary-id",
            aws_secret_access_key="canary-secret",
            config=Config(retries={"max_attempts": 0}),
        )
        client.invoke_model(modelId=TITAN, body=b"{}")["body"].read()
        client.close()
        (received,) = upstream.received
    asked = call(TITAN, dimensions=256, extra={"normalize": False})
    assert sent(BedrockEmbeddings(), asked) == [
        (received.path, {"inputText": "one", "dimensions": 256, "normalize": False}),
        (received.path, {"inputText": "two", "dimensions": 256, "normalize": False}),
    ]


@pytest.mark.parametrize("model", ["cohere.embed-v4:0", "eu.cohere.embed-v4:0"])
def test_cohere_on_bedrock_has_coheres_body_without_the_model(model: str) -> None:
    body = {
        "texts": ["one", "two"],
        "input_type": "search_document",
        "embedding_types": ["float"],
        "output_dimension": 256,
    }
    path = f"/model/{model.replace(':', '%3A')}/invoke"
    assert sent(BedrockEmbeddings(), call(model, dimensions=256)) == [(path, body)]


@pytest.mark.parametrize(
    ("protocol", "model", "sizes"),
    [
        (GeminiEmbeddings(), "m", [100, 100, 5]),
        (CohereEmbeddings(), "m", [96, 96, 13]),
        (BedrockEmbeddings(), "cohere.embed-multilingual-v3", [96, 96, 13]),
        (BedrockEmbeddings(), TITAN, [1] * 205),
    ],
)
def test_many_texts_are_several_requests_in_order(protocol: EmbeddingProtocol, model: str, sizes: list[int]) -> None:
    texts = [str(number) for number in range(205)]
    found: list[list[str]] = []
    for _, body in sent(protocol, call(model, *texts)):
        match body:
            case {"requests": requests}:
                found.append([request["content"]["parts"][0]["text"] for request in requests])
            case {"inputText": text}:
                found.append([text])
            case _:
                found.append(body["texts"])
    assert [len(batch) for batch in found] == sizes
    assert [text for batch in found for text in batch] == texts


@pytest.mark.parametrize(
    ("protocol", "asked", "param"),
    [
        (GeminiEmbeddings(), call(user="u"), "user"),
        (GeminiEmbeddings(), call(extra={"x": 1}), "x"),
        (CohereEmbeddings(), call(user="u"), "user"),
        (CohereEmbeddings(), call(extra={"embedding_types": ["int8"]}), "embedding_types"),
        (BedrockEmbeddings(), call(TITAN, user="u"), "user"),
        (BedrockEmbeddings(), call(TITAN, extra={"embeddingTypes": ["binary"]}), "embeddingTypes"),
        (BedrockEmbeddings(), call(TITAN_V1, dimensions=256), "dimensions"),
        (BedrockEmbeddings(), call(TITAN_V1, extra={"normalize": True}), "normalize"),
        (BedrockEmbeddings(), call("cohere.embed-english-v3", dimensions=256), "dimensions"),
        (BedrockEmbeddings(), call("cohere.embed-v4:0", extra={"priority": 1}), "priority"),
        (of(dimensions_field=None), call(dimensions=2), "dimensions"),
        (of(user=False), call(user="u"), "user"),
    ],
)
def test_what_cannot_be_expressed_is_refused_or_left_out(
    protocol: EmbeddingProtocol, asked: EmbeddingCall, param: str
) -> None:
    with pytest.raises(RequestInvalid) as refused:
        protocol.render(asked)
    assert refused.value.param == param

    fields = {name: getattr(asked, name) for name in ("dimensions", "user", "extra")}
    kept = protocol.render(EmbeddingCall(model=asked.model, inputs=asked.inputs, drop_unsupported=True, **fields))
    plain = protocol.render(EmbeddingCall(model=asked.model, inputs=asked.inputs))
    assert [wire.body for wire in kept] == [wire.body for wire in plain]
    assert {wire.dropped for wire in kept} == {(param,)}


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "openai"])
def test_tokens_are_refused_by_name_where_only_texts_are_taken(name: str) -> None:
    protocol, model = FORMATS[name]
    with pytest.raises(RequestInvalid, match=r"cannot take tokens at input\[1\]") as refused:
        protocol.render(call(model, "one", (1, 2)))
    assert refused.value.param == "input[1]"


def test_another_model_on_bedrock_is_refused_by_name() -> None:
    with pytest.raises(RequestInvalid, match=r"amazon\.nova-2-embed") as refused:
        BedrockEmbeddings().render(call("amazon.nova-2-embed"))
    assert refused.value.param == "model"


def test_openais_answer_is_read_in_the_order_of_its_indexes() -> None:
    body = {
        "object": "list",
        "data": [
            {"object": "embedding", "index": 1, "embedding": [0.5, 1]},
            {"object": "embedding", "index": 0, "embedding": "AAAAPw=="},
        ],
        "model": "m-1",
        "usage": {"prompt_tokens": 4, "total_tokens": 4},
        "id": "e-1",
        "created": None,
    }
    assert OPENAI.parse([reply(body)]) == Embeddings(("AAAAPw==", (0.5, 1.0)), "m-1", Usage(4, 0), {"id": "e-1"})


def test_geminis_answer_has_usage_only_where_it_counts() -> None:
    vectors = {"embeddings": [{"values": [0.5]}, {"values": [-1]}]}
    counted = {**vectors, "usageMetadata": {"promptTokenCount": 3, "totalTokenCount": 3}}
    assert GeminiEmbeddings().parse([reply(vectors)]) == Embeddings(((0.5,), (-1.0,)))
    assert GeminiEmbeddings().parse([reply(counted)]) == Embeddings(((0.5,), (-1.0,)), None, Usage(3, 0))


def test_coheres_answer_is_billed_by_its_meta() -> None:
    body = {
        "id": "e-1",
        "embeddings": {"float": [[0.5], [1.5]]},
        "texts": ["one", "two"],
        "meta": {"api_version": {"version": "2"}, "billed_units": {"input_tokens": 4.0}},
        "response_type": "embeddings_by_type",
    }
    usage = Usage(4, 0, extra={"billed_units": {"input_tokens": 4.0}})
    assert CohereEmbeddings().parse([reply(body)]) == Embeddings(((0.5,), (1.5,)), None, usage)


def test_titans_answers_are_one_and_their_tokens_add_up() -> None:
    replies = [
        reply({"embedding": [0.5], "embeddingsByType": {"float": [0.5]}, "inputTextTokenCount": 3}),
        reply({"embedding": [1.5], "inputTextTokenCount": 4}),
    ]
    assert BedrockEmbeddings().parse(replies) == Embeddings(((0.5,), (1.5,)), None, Usage(7, 0))


@pytest.mark.parametrize("vectors", [[[0.5], [1.5]], {"float": [[0.5], [1.5]]}])
def test_cohere_on_bedrock_counts_in_a_header(vectors: Any) -> None:
    answer = reply({"id": "1", "embeddings": vectors}, x_amzn_bedrock_input_token_count="5")
    assert BedrockEmbeddings().parse([answer]) == Embeddings(((0.5,), (1.5,)), None, Usage(5, 0))


def test_a_count_that_one_of_several_answers_lacks_is_unknown() -> None:
    replies = [reply({"embedding": [0.5], "inputTextTokenCount": 3}), reply({"embedding": [1.5]})]
    assert BedrockEmbeddings().parse(replies).usage is None


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"7",
        b"null",
        b"{}",
        b'{"data": 5, "embeddings": 5, "embedding": 5}',
        b'{"data": [5], "embeddings": [5], "embedding": [null]}',
        b'{"data": [{"embedding": []}], "embeddings": [[]], "embedding": []}',
        b'{"data": [{"embedding": [1e999]}], "embeddings": [{"values": [1e999]}], "embedding": [1e999]}',
        b'{"data": [{"embedding": null}], "embeddings": {"float": null}, "embedding": null}',
    ],
)
def test_what_is_no_answer_is_malformed_and_keeps_its_bytes(name: str, body: bytes) -> None:
    with pytest.raises(MalformedReply) as malformed:
        FORMATS[name][0].parse([WireReply(body)])
    assert malformed.value.raw == body


@pytest.mark.parametrize("indexes", [[0, 0], [0, 2], [1, 2]])
def test_indexes_with_a_gap_are_malformed(indexes: list[int]) -> None:
    data = [{"index": index, "embedding": [0.5]} for index in indexes]
    with pytest.raises(MalformedReply):
        OPENAI.parse([reply({"data": data})])


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("openai", {"error": {"message": "slow down", "code": "rate_limit_exceeded"}}),
        ("gemini", {"error": {"message": "slow down", "code": 429, "status": "RESOURCE_EXHAUSTED"}}),
        ("cohere", {"message": "slow down", "status_code": 429}),
    ],
)
def test_an_error_inside_a_200_is_that_error(name: str, body: Any) -> None:
    with pytest.raises(ProviderThrottled, match="slow down"):
        FORMATS[name][0].parse([reply(body)])


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("openai", {"error": {"message": "bad key", "code": "invalid_api_key"}}),
        ("gemini", {"error": {"message": "bad key", "code": 401, "status": "UNAUTHENTICATED"}}),
        ("cohere", {"message": "bad key"}),
        ("titan", {"message": "bad key"}),
    ],
)
def test_an_http_error_is_that_of_the_chat(name: str, body: Any) -> None:
    error: ProviderError = FORMATS[name][0].error(401, {}, json.dumps(body).encode())
    assert (type(error), str(error), error.status) == (ProviderAuthFailed, "bad key", 401)


def test_base64_is_little_endian_single_precision_both_ways() -> None:
    numbers = (0.5, -1.25, 3.0)
    text = base64.b64encode(struct.pack("<3f", *numbers)).decode()
    assert (to_base64(numbers), to_base64(text)) == (text, text)
    assert (to_floats(text), to_floats(numbers)) == (numbers, numbers)


@pytest.mark.parametrize("text", ["AAA=", "not base64!", "AAAA"])
def test_text_that_holds_no_floats_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        to_floats(text)
