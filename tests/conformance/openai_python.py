"""openai for Python, as it comes from PyPI, with Weir's URL for its base_url. Run by run.py in its own environment."""

import asyncio
import base64
import json
import os
import struct
from collections.abc import Callable
from functools import partial
from typing import Any

import httpx2
import openai
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel

from tests.conformance.checking import KEY, URL, check, equal, holds, new, only, refused, run

HELLO: Any = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Grüezi, 世界 👋"}]
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
CALLS = [("call_0", "weather", {"city": "Bern"}), ("call_1", "weather", {"city": "Genève"})]
_SENT: list[Any] = []


def _remember(request: httpx2.Request) -> None:
    if request.method == "POST":
        _SENT.append(json.loads(request.content))


async def _remember_too(request: httpx2.Request) -> None:
    _remember(request)


def client(base: str = "/v1", **options: Any) -> OpenAI:
    """`max_retries` 0 unless a check is about retries."""
    http = httpx2.Client(event_hooks={"request": [_remember]}, timeout=30)
    return OpenAI(**{"api_key": KEY, "base_url": URL + base, "max_retries": 0, "http_client": http, **options})


def async_client() -> AsyncOpenAI:
    http = httpx2.AsyncClient(event_hooks={"request": [_remember_too]}, timeout=30)
    return AsyncOpenAI(api_key=KEY, base_url=f"{URL}/v1", max_retries=0, http_client=http)


def create(model: str, messages: Any = HELLO, **arguments: Any) -> Any:
    return client().chat.completions.create(model=model, messages=messages, **arguments)


def kept(**expected: Any) -> dict[str, Any]:
    """The check's one record, which holds the request as the client sent it."""
    log = only()
    equal(log["full_request"], _SENT[-1])
    holds(log, **expected)
    return log


def calls_of(message: Any) -> list[tuple[str, str, Any]]:
    return [(call.id, call.function.name, json.loads(call.function.arguments)) for call in message.tool_calls]


class City(BaseModel):
    city: str
    degrees: int


class Weather(BaseModel):
    city: str


@check
def whole_answer_is_the_one_that_is_kept() -> None:
    raw = client().chat.completions.with_raw_response.create(model="gpt-either", messages=HELLO)
    answer = raw.parse()
    equal(answer.choices[0].message.content, "whole answer")
    equal(answer.usage and answer.usage.total_tokens, 12)
    log = kept(
        status="success", model="gpt-either", answered_model="upstream-1", provider_id="openai", origin="completion",
        prompt_messages=HELLO, prompt_tokens=9, completion_tokens=3, total_request_tokens=12, stream=False,
        finish_reason="stop", inference_location="SERVER", outcome="complete",
    )  # fmt: skip
    equal(log["full_response"], json.loads(raw.content))
    equal(raw.headers["x-weir-request-id"], log["id"])


@check
def every_base_url_reaches_the_same() -> None:
    for base in ("/v1", "/api", "", "/v1/"):
        answer = client(base).chat.completions.create(model="openai/gpt-either", messages=HELLO)
        equal(answer.choices[0].message.content, "whole answer")
    equal([log["model"] for log in new(4)], ["openai/gpt-either"] * 4)


@check
def environment_alone_points_the_client_here() -> None:
    os.environ |= {"OPENAI_BASE_URL": f"{URL}/v1", "OPENAI_API_KEY": KEY}
    with OpenAI() as made:
        equal(
            made.chat.completions.create(model="gpt-either", messages=HELLO).choices[0].message.content, "whole answer"
        )
    holds(only(), prompt_messages=HELLO, status="success")


@check
def every_parameter_reaches_the_provider() -> None:
    arguments: dict[str, Any] = {
        "temperature": 0.25, "top_p": 0.5, "seed": 7, "stop": ["x", "y"], "n": 1, "user": "u-1",
        "logit_bias": {"50256": -100}, "presence_penalty": 0.5, "frequency_penalty": -0.5,
        "max_completion_tokens": 99, "logprobs": True, "top_logprobs": 2, "parallel_tool_calls": False,
        "tools": [WEATHER], "tool_choice": "none", "store": False, "reasoning_effort": "low",
        "service_tier": "default", "prediction": {"type": "content", "content": "p"},
        "response_format": {"type": "json_object"}, "verbosity": "low", "safety_identifier": "s-1",
        "prompt_cache_key": "k",
    }  # fmt: skip
    answer = create("gpt-asked", **arguments)
    asked = json.loads(answer.choices[0].message.content)
    equal(asked, {"model": "gpt-asked", "messages": HELLO, **arguments})
    kept(temperature=0.25, tools=[WEATHER], stop=["x", "y"], response_format={"type": "json_object"})


@check
def fields_of_weirs_own_in_extra_body() -> None:
    fields = {
        "session_id": 42, "customer_identifier": "customer-1", "metadata": {"plan": "pro"}, "application": "shop",
        "intent": "CHAT", "reference_id": "ref-1", "user_id": "user-1", "request_id": "req-openai-python",
    }  # fmt: skip
    create("gpt-either", extra_body=fields)
    told = {**fields, "session_id": "42", "thread_identifier": "42"}
    kept(**told)


@check
def same_request_id_twice_is_one_record() -> None:
    for _ in range(2):
        create("gpt-either", extra_body={"request_id": "req-twice"})
    kept(request_id="req-twice")


@check
def stream_with_usage() -> None:
    chunks = list(create("gpt-either", stream=True, stream_options={"include_usage": True}))
    equal("".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices), "streamed answer")
    equal([chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1], "stop")
    equal((chunks[-1].choices, chunks[-1].usage.total_tokens), ([], 11))
    equal(len({chunk.id for chunk in chunks}), 1)
    log = kept(stream=True, total_request_tokens=11, finish_reason="stop", status="success")
    equal(log["completion_message"], {"role": "assistant", "content": "streamed answer"})
    assert 0 < log["time_to_first_token"] <= log["latency"], log


@check
def stream_without_usage_is_counted_all_the_same() -> None:
    chunks = list(create("gpt-either", stream=True))
    equal([chunk for chunk in chunks if chunk.usage is not None or not chunk.choices], [])
    kept(stream=True, total_request_tokens=11)


@check
def streaming_helper() -> None:
    with client().chat.completions.stream(model="gpt-either", messages=HELLO) as stream:
        deltas = [event.delta for event in stream if event.type == "content.delta" and event.delta]
        final = stream.get_final_completion()
    equal(deltas, ["streamed ", "answer"])
    equal(final.choices[0].message.content, "streamed answer")
    kept(stream=True)


@check
def streaming_helper_with_tools_and_a_parsed_type() -> None:
    tool = openai.pydantic_function_tool(Weather, name="weather")
    with client().chat.completions.stream(model="gpt-tools", messages=HELLO, tools=[tool]) as stream:
        done = [event.arguments for event in stream if event.type == "tool_calls.function.arguments.done"]
        message = stream.get_final_completion().choices[0].message
    equal([json.loads(arguments) for arguments in done], [arguments for _, _, arguments in CALLS])
    parsed = [call.function.parsed_arguments for call in message.tool_calls or ()]
    equal(parsed, [Weather(city="Bern"), Weather(city="Genève")])
    with client().chat.completions.stream(model="gpt-object", messages=HELLO, response_format=City) as stream:
        equal(stream.get_final_completion().choices[0].message.parsed, City(city="Bern", degrees=7))
    equal([log["finish_reason"] for log in new(2)], ["tool_calls", "stop"])


@check
def async_whole_stream_and_side_by_side() -> None:
    async def ask() -> tuple[list[Any], str]:
        async with async_client() as weir:
            wanted = [weir.chat.completions.create(model="gpt-either", messages=HELLO) for _ in range(8)]
            whole = [answer.choices[0].message.content for answer in await asyncio.gather(*wanted)]
            stream = await weir.chat.completions.create(model="gpt-either", messages=HELLO, stream=True)
            pieces = [chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices]
            return whole, "".join(pieces)

    equal(asyncio.run(ask()), (["whole answer"] * 8, "streamed answer"))
    equal(sorted(log["stream"] for log in new(9)), [False] * 8 + [True])


@check
def tool_loop() -> None:
    first = create("gpt-tools", tools=[WEATHER]).choices[0]
    equal((first.finish_reason, calls_of(first.message)), ("tool_calls", CALLS))
    results = [{"role": "tool", "tool_call_id": id, "content": f"7 in {call['city']}"} for id, _, call in CALLS]
    history = [*HELLO, first.message, *results]
    answer = create("gpt-tools", history, tools=[WEATHER]).choices[0]
    equal((answer.finish_reason, answer.message.content), ("stop", "7 degrees in Bern"))
    called, answered = new(2)
    equal([call["id"] for call in called["tool_calls"]], ["call_0", "call_1"])
    equal(answered["prompt_messages"], _SENT[-1]["messages"])
    holds(answered, completion_message={"role": "assistant", "content": "7 degrees in Bern"})


@check
def streamed_tool_calls() -> None:
    pieces: dict[int, list[str]] = {}
    for chunk in create("gpt-tools", tools=[WEATHER], stream=True):
        for call in chunk.choices[0].delta.tool_calls or () if chunk.choices else ():
            pieces.setdefault(call.index, []).append(call.function.arguments or "")
    equal([json.loads("".join(parts)) for parts in pieces.values()], [arguments for _, _, arguments in CALLS])
    log = kept(stream=True, finish_reason="tool_calls")
    found = [(c["id"], c["function"]["name"], json.loads(c["function"]["arguments"])) for c in log["tool_calls"]]
    equal(found, CALLS)


@check
def parse_into_a_type() -> None:
    answer = client().chat.completions.parse(model="gpt-object", messages=HELLO, response_format=City)
    equal(answer.choices[0].message.parsed, City(city="Bern", degrees=7))
    log = kept()
    equal(log["response_format"]["json_schema"]["name"], "City")


@check
def several_choices() -> None:
    answer = create("gpt-choices", n=2)
    equal([(choice.index, choice.message.content) for choice in answer.choices], [(0, "first"), (1, "second")])
    log = kept(n=2)
    equal([message["content"] for message in log["completion_messages"]], ["first", "second"])


@check
def embeddings_as_floats_and_packed() -> None:
    made = client().embeddings
    by_default = made.create(model="text-embedding-3-small", input=["one", "two"])
    equal([found.embedding for found in by_default.data], [[0.5, -0.25, 1.0]] * 2)
    floats = made.create(model="text-embedding-3-small", input="one", encoding_format="float", dimensions=2)
    equal(floats.data[0].embedding, [0.5, -0.25])
    packed: Any = made.create(model="text-embedding-3-small", input="one", encoding_format="base64").data[0].embedding
    equal(struct.unpack("<3f", base64.b64decode(packed)), (0.5, -0.25, 1.0))
    logs = new(3)
    equal([log["log_type"] for log in logs], ["embedding"] * 3)
    equal([log["prompt_tokens"] for log in logs], [4] * 3)
    equal([log["full_request"] for log in logs], _SENT[-3:])


@check
def async_embeddings() -> None:
    async def ask() -> Any:
        async with async_client() as weir:
            return await weir.embeddings.create(model="text-embedding-3-small", input="one")

    equal(asyncio.run(ask()).data[0].embedding, [0.5, -0.25, 1.0])
    kept(log_type="embedding", input="one")


@check
def models_are_listed_and_nothing_is_recorded() -> None:
    names = [model.id for model in client().models.list()]
    assert {"openai/gpt-either", "openai/gpt-tools"} <= set(names), names
    new(0)


@check
def providers_refusals_are_the_clients_own_errors() -> None:
    expected: list[tuple[int, type[openai.APIStatusError], int]] = [
        (400, openai.BadRequestError, 400),
        (401, openai.AuthenticationError, 401),
        (403, openai.PermissionDeniedError, 403),
        (404, openai.NotFoundError, 404),
        (409, openai.ConflictError, 409),
        (422, openai.UnprocessableEntityError, 422),
        (429, openai.RateLimitError, 429),
        (500, openai.InternalServerError, 502),
        (503, openai.InternalServerError, 503),
    ]
    for status, error, answered in expected:
        for stream in (False, True):
            exc = refused(error, partial(create, f"gpt-status-{status}", stream=stream))
            equal(exc.status_code, answered)
            assert f"Refused with {status}." in exc.message, exc.message
            if status == 429:
                equal(exc.response.headers["retry-after"], "7")
    logs = new(2 * len(expected))
    equal([log["status_code"] for log in logs], [answered for _, _, answered in expected for _ in range(2)])
    equal({(log["status"], log["outcome"]) for log in logs}, {("failed", "error")})


@check
def weirs_own_refusals() -> None:
    wrong = client(api_key="canary-no-key-of-weirs")
    unknown = refused(
        openai.AuthenticationError, lambda: wrong.chat.completions.create(model="gpt-either", messages=HELLO)
    )
    assert "canary" not in unknown.message, unknown.message
    nearest = refused(openai.NotFoundError, lambda: create("no-such-model"))
    assert "no-such-model" in nearest.message, nearest.message
    mistakes: list[dict[str, Any]] = [{"messages": []}, {"temperature": "hot"}, {"messages": [{"role": "user"}]}]
    for mistake in mistakes:
        refused(openai.BadRequestError, partial(create, "gpt-either", **mistake))
    large: Any = [{"role": "user", "content": "x" * 7_000_000}]
    exc = refused(openai.APIStatusError, lambda: create("gpt-either", large))
    equal(exc.status_code, 413)


@check
def what_is_not_offered_is_not_found() -> None:
    unoffered: list[Callable[[], object]] = [
        lambda: client().responses.create(model="gpt-either", input="hi"),
        lambda: client().completions.create(model="gpt-either", prompt="hi"),
        lambda: client().files.list(),
    ]
    for call in unoffered:
        refused(openai.NotFoundError, call)
    new(0)


@check
def retry_is_a_second_record() -> None:
    answer = client(max_retries=2).chat.completions.create(model="gpt-fails-once", messages=HELLO)
    equal(answer.choices[0].message.content, "whole answer")
    equal([log["status"] for log in new(2)], ["failed", "success"])


@check
def failure_within_a_stream_is_raised() -> None:
    def read(model: str) -> list[str]:
        pieces: list[str] = []
        for chunk in create(model, stream=True):
            pieces += [chunk.choices[0].delta.content or "" for _ in chunk.choices]
        return pieces

    broken = refused(openai.APIError, lambda: read("gpt-broken"))
    assert "It broke." in broken.message, broken.message
    refused(openai.APIError, lambda: read("gpt-cut"))
    logs = new(2)
    equal([(log["status"], log["completion_message"]["content"]) for log in logs], [("failed", "begun")] * 2)
    equal([log["outcome"] for log in logs], ["error", "cut_off"])


@check
def stream_that_is_closed_is_cut_off_and_kept() -> None:
    stream = create("gpt-endless", stream=True)
    for chunk in stream:
        if chunk.choices and chunk.choices[0].delta.content:
            break
    stream.close()
    log = kept(outcome="caller_gone", status="failed", stream=True)
    equal(log["completion_message"]["content"], "begun")


@check
def call_that_is_given_up_is_kept_with_its_answer() -> None:
    hasty = client(timeout=0.3).chat.completions
    refused(openai.APITimeoutError, lambda: hasty.create(model="gpt-late", messages=HELLO))
    kept(completion_message={"role": "assistant", "content": "late answer"}, stream=False)


@check
def demo_answers_offline() -> None:
    answer = create("demo/echo")
    assert "世界" in answer.choices[0].message.content, answer
    text = "".join(chunk.choices[0].delta.content or "" for chunk in create("demo/echo", stream=True) if chunk.choices)
    assert "世界" in text, text
    equal([log["provider_id"] for log in new(2)], ["demo"] * 2)


if __name__ == "__main__":
    run("openai")
