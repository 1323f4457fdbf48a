"""OpenAI's own Python client, unmodified, against a running Weir."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from pydantic import BaseModel

from tests.functions.conftest import Served
from tests.upstream import SSE_TYPE, Reply, chunk, completion, error_reply, event, events

MESSAGES: Any = [{"role": "user", "content": "Say hello"}]
WEATHER: Any = {
    "type": "function",
    "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}},
}


@pytest.fixture
def client(served: Served) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{served.weir.url}/v1", api_key=served.weir.key, max_retries=0) as client:
        yield client


def whole(**fields: Any) -> Reply:
    return Reply([json.dumps(completion(**fields)).encode()])


def test_a_completion_is_the_providers_to_the_letter(served: Served, client: openai.OpenAI) -> None:
    sent = completion(service_tier="default", system_fingerprint="fp_1", x_vendor={"kept": True})
    served.upstream.replies["plain"] = Reply([json.dumps(sent).encode()])

    answer = client.chat.completions.with_raw_response.create(model="openai/plain", messages=MESSAGES)

    assert json.loads(answer.content) == sent
    assert served.log(answer.headers["x-weir-request-id"])["model"] == "openai/plain"


def test_every_parameter_of_the_client_reaches_the_provider(served: Served, client: openai.OpenAI) -> None:
    served.upstream.replies["params"] = whole()
    parameters: dict[str, Any] = {
        "audio": {"format": "wav", "voice": "alloy"},
        "frequency_penalty": 0.5,
        "logit_bias": {"50256": -100},
        "logprobs": True,
        "max_completion_tokens": 64,
        "max_tokens": 65,
        "metadata": {"team": "search"},
        "modalities": ["text", "audio"],
        "n": 2,
        "parallel_tool_calls": False,
        "prediction": {"type": "content", "content": "x"},
        "presence_penalty": -0.5,
        "prompt_cache_key": "k",
        "reasoning_effort": "low",
        "response_format": {"type": "json_object"},
        "safety_identifier": "s",
        "seed": 7,
        "service_tier": "auto",
        "stop": ["END"],
        "store": True,
        "temperature": 0.3,
        "tool_choice": {"type": "function", "function": {"name": "get_weather"}},
        "tools": [WEATHER],
        "top_logprobs": 3,
        "top_p": 0.9,
        "user": "u-1",
        "verbosity": "low",
        "web_search_options": {"search_context_size": "low"},
    }

    client.chat.completions.create(model="openai/params", messages=MESSAGES, **parameters)

    assert served.upstream.received[-1].json == {"model": "params", "messages": MESSAGES, **parameters}


def test_weirs_own_fields_stay_here(served: Served, client: openai.OpenAI) -> None:
    served.upstream.replies["tagged"] = whole()
    tags = {
        "application": "demo_app",
        "intent": "GREETING",
        "session_id": 5,
        "reference_id": "r-1",
        "user_id": "u-1",
        "customer_identifier": "cus-1",
        "evaluation_enabled": True,
        "fallback_models": ["x"],
    }

    answer = client.chat.completions.with_raw_response.create(model="openai/tagged", messages=MESSAGES, extra_body=tags)

    assert served.upstream.received[-1].json == {"model": "tagged", "messages": MESSAGES}
    log = served.log(answer.headers["x-weir-request-id"])
    assert (log["customer_identifier"], log["full_request"]) == (
        "cus-1",
        {"model": "openai/tagged", "messages": MESSAGES, **tags},
    )


def test_streams_come_chunk_by_chunk(served: Served, client: openai.OpenAI) -> None:
    served.upstream.replies["streamed"] = Reply(events("Hel", "lo"), headers=SSE_TYPE)

    with client.chat.completions.create(
        model="openai/streamed", messages=MESSAGES, stream=True, stream_options={"include_usage": True}
    ) as stream:
        chunks = list(stream)

    assert [c.choices[0].delta.content for c in chunks if c.choices] == ["", "Hel", "lo", None]
    assert {(c.id, c.created, c.model) for c in chunks} == {("chatcmpl-upstream-1", 1_760_000_000, "upstream-1")}
    assert [c.usage.total_tokens if c.usage else None for c in chunks] == [None, None, None, None, 11]


def test_usage_is_asked_of_the_provider_and_given_only_to_who_asked(served: Served, client: openai.OpenAI) -> None:
    served.upstream.replies["usage"] = Reply(events("Hi"), headers=SSE_TYPE)

    with client.chat.completions.with_streaming_response.create(
        model="openai/usage", messages=MESSAGES, stream=True
    ) as response:
        text = response.read().decode()
        id = response.headers["x-weir-request-id"]

    assert served.upstream.received[-1].json["stream_options"] == {"include_usage": True}
    assert '"usage"' not in text
    assert served.log(id)["prompt_tokens"] == 9


def test_tool_calls_stream_and_accumulate(served: Served, client: openai.OpenAI) -> None:
    begin = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": ""}}
    bodies = [
        chunk({"role": "assistant", "content": None, "tool_calls": [begin]}),
        chunk({"tool_calls": [{"index": 0, "function": {"arguments": '{"city":'}}]}),
        chunk({"tool_calls": [{"index": 0, "function": {"arguments": ' "Zürich"}'}}]}),
        chunk({}, "tool_calls"),
    ]
    served.upstream.replies["calls"] = Reply([event(b) for b in bodies] + [b"data: [DONE]\n\n"], headers=SSE_TYPE)

    with client.chat.completions.stream(model="openai/calls", messages=MESSAGES, tools=[WEATHER]) as stream:
        final = stream.get_final_completion()

    message = final.choices[0].message
    assert message.tool_calls is not None
    assert [(c.id, c.function.name, c.function.arguments) for c in message.tool_calls] == [
        ("call_1", "get_weather", '{"city": "Zürich"}')
    ]
    assert final.choices[0].finish_reason == "tool_calls"


class City(BaseModel):
    name: str
    population: int


def test_parse_gives_the_callers_own_model(served: Served, client: openai.OpenAI) -> None:
    served.upstream.replies["parsed"] = whole(text='{"name": "Zürich", "population": 447082}')

    answer = client.chat.completions.parse(model="openai/parsed", messages=MESSAGES, response_format=City)

    assert answer.choices[0].message.parsed == City(name="Zürich", population=447082)
    assert served.upstream.received[-1].json["response_format"]["json_schema"]["name"] == "City"


def test_n_answers_and_logprobs_arrive_as_they_were_given(served: Served, client: openai.OpenAI) -> None:
    token = {"token": "Hi", "logprob": -0.25, "bytes": [72, 105], "top_logprobs": []}
    choices = [
        {
            "index": i,
            "message": {"role": "assistant", "content": "Hi", "refusal": None},
            "logprobs": {"content": [token], "refusal": None},
            "finish_reason": "stop",
        }
        for i in range(2)
    ]
    served.upstream.replies["twice"] = whole(choices=choices)

    answer = client.chat.completions.create(model="openai/twice", messages=MESSAGES, n=2, logprobs=True)

    assert [c.model_dump(exclude_unset=True) for c in answer.choices] == choices


@pytest.mark.parametrize("stream", [False, True])
def test_the_demo_needs_no_provider(client: openai.OpenAI, stream: bool) -> None:
    said = "This is Weir's demo, no model was called. You said: Say hello"
    if not stream:
        whole_answer = client.chat.completions.create(model="demo/echo", messages=MESSAGES, n=2, logprobs=True)
        assert [c.message.content for c in whole_answer.choices] == [said, said]
        return
    with client.chat.completions.create(model="demo/echo", messages=MESSAGES, stream=True) as chunks:
        assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == said


def test_the_demo_parses_and_calls_tools(client: openai.OpenAI) -> None:
    parsed = client.chat.completions.parse(model="demo/echo", messages=MESSAGES, response_format=City)
    called = client.chat.completions.create(model="demo/echo", messages=MESSAGES, tools=[WEATHER])

    assert parsed.choices[0].message.parsed == City(name="demo", population=1)
    calls = called.choices[0].message.tool_calls
    assert calls is not None
    assert [(c.type, c.function.name, c.function.arguments) for c in calls if c.type == "function"] == [
        ("function", "get_weather", '{"city":"demo"}')
    ]


@pytest.mark.parametrize(
    ("status", "raised"),
    [
        (400, openai.BadRequestError),
        (401, openai.AuthenticationError),
        (403, openai.PermissionDeniedError),
        (404, openai.NotFoundError),
        (409, openai.ConflictError),
        (422, openai.UnprocessableEntityError),
        (429, openai.RateLimitError),
        (500, openai.InternalServerError),
        (503, openai.InternalServerError),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_a_providers_error_is_the_clients_own_exception(
    served: Served, client: openai.OpenAI, status: int, raised: type[openai.APIStatusError], stream: bool
) -> None:
    served.upstream.replies["failing"] = error_reply(
        status, f"The provider said {status}.", code=f"code_{status}", headers={"retry-after": "7"}
    )

    with pytest.raises(raised) as caught:
        client.chat.completions.create(model="openai/failing", messages=MESSAGES, stream=stream)

    assert caught.value.status_code == {500: 502}.get(status, status)
    assert (caught.value.code, caught.value.response.headers["retry-after"]) == (f"code_{status}", "7")
    log = served.log(caught.value.response.headers["x-weir-request-id"])
    assert (log["status_code"], log["error_message"]) == (caught.value.status_code, f"The provider said {status}.")


def test_an_unknown_model_is_not_found_and_the_nearest_are_named(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match=r"Did you mean openai/gpt-4o\?"):
        client.chat.completions.create(model="opnai/gpt-4o", messages=MESSAGES)


def test_a_wrong_key_is_an_authentication_error(served: Served) -> None:
    with (
        openai.OpenAI(base_url=f"{served.weir.url}/v1", api_key="canary-wrong", max_retries=0) as client,
        pytest.raises(openai.AuthenticationError) as caught,
    ):
        client.chat.completions.create(model="demo/echo", messages=MESSAGES)
    assert caught.value.code == "invalid_api_key"


def test_the_models_of_the_providers_are_listed(served: Served, client: openai.OpenAI) -> None:
    listing = {"object": "list", "data": [{"id": "gpt-x", "object": "model", "created": 1, "owned_by": "upstream"}]}
    served.upstream.replies["/v1/models"] = Reply([json.dumps(listing).encode()])

    ids = [model.id for model in client.models.list()]

    assert ids == ["demo/echo", "openai/gpt-x", "anthropic/gpt-x", "groq/gpt-x"]


def test_the_async_client_works_with_many_at_once(served: Served) -> None:
    served.upstream.replies["plain"] = whole(text="Hello there")
    served.upstream.replies["streamed"] = Reply(events("Hel", "lo"), headers=SSE_TYPE)

    async def one(client: openai.AsyncOpenAI, stream: bool) -> str:
        if not stream:
            answer = await client.chat.completions.create(model="openai/plain", messages=MESSAGES)
            return answer.choices[0].message.content or ""
        async with await client.chat.completions.create(
            model="openai/streamed", messages=MESSAGES, stream=True
        ) as chunks:
            return "".join([c.choices[0].delta.content or "" async for c in chunks if c.choices])

    async def all_of_them() -> list[str]:
        async with openai.AsyncOpenAI(
            base_url=f"{served.weir.url}/v1", api_key=served.weir.key, max_retries=0
        ) as client:
            return await asyncio.gather(*[one(client, bool(i % 2)) for i in range(20)])

    assert asyncio.run(all_of_them()) == ["Hello there", "Hello"] * 10
