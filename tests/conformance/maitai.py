"""maitai-python and maitai-cli, as they come from PyPI, against WEIR_URL. Run by run.py in their own environment.

The client stores and reports in threads of its own, so each check looks for its session."""

import asyncio
import json
import os
import subprocess
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from tests.conformance.checking import KEY, UPSTREAM, URL, check, kept, refused, rows, run

os.environ |= {"MAITAI_HOST": URL, "MAITAI_API_KEY": KEY, "MAITAI_BASE_URL": f"{URL}/api/v1"}
os.environ.pop("OPENAI_API_KEY", None)

from maitai import Maitai, MaitaiAsync  # it reads its host when it is imported
from maitai.exceptions import BadRequestError, NotFoundError
from openai import NOT_GIVEN

HELLO: Any = [{"role": "user", "content": "hi"}]
_LOOKS, _LOOK_S = 1200, 0.05


def logs(session: str) -> list[dict[str, Any]]:
    return rows(session_id=session)


def awaited(session: str, ready: Callable[[list[dict[str, Any]]], bool]) -> list[dict[str, Any]]:
    """The session's logs as soon as they are `ready`: the client stores and reports in threads of its own."""
    for _ in range(_LOOKS):
        found = logs(session)
        if ready(found):
            return found
        time.sleep(_LOOK_S)
    raise AssertionError(f"not what was awaited: {json.dumps(logs(session))[:1500]}")


def one(session: str) -> dict[str, Any]:
    """The session's only log, read with all that is kept of it."""
    (row,) = awaited(session, bool)
    time.sleep(0.2)
    (row,) = logs(session)
    return kept(row["id"])


def text(chunks: Any) -> str:
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


def create(client: Any, session: str, **arguments: Any) -> Any:
    wanted = {"application": "shop", "intent": "CHAT", "messages": HELLO, "model": "gpt-either"}
    return client.chat.completions.create(session_id=session, **(wanted | arguments))


def cli(*arguments: str) -> Any:
    done = subprocess.run(["maitai", *arguments], capture_output=True, encoding="utf-8", timeout=60)
    assert done.returncode == 0, f"maitai {' '.join(arguments)}: {done.stdout[-500:]} {done.stderr[-1500:]}"
    return json.loads(done.stdout)


@check
def server_side_only_whole_answer() -> None:
    answer = create(Maitai(server_side_only=True), "s1", request_id="req-s1", metadata={"k": "v"}, user_id="u")
    assert answer.choices[0].message.content == "whole answer"
    assert answer.request_id == "req-s1"
    (log,) = awaited("s1", lambda found: bool(found and found[0].get("client_latency")))
    assert (log["request_id"], log["user_id"], log["metadata"]) == ("req-s1", "u", {"k": "v"})


@check
def server_side_only_stream_with_times_of_the_client() -> None:
    assert text(create(Maitai(server_side_only=True), "s2", stream=True)) == "streamed answer"
    awaited("s2", lambda found: bool(found and found[0].get("client_time_to_first_token")))


@check
def server_side_only_stream_with_usage() -> None:
    chunks = list(create(Maitai(server_side_only=True), "s3", stream=True, stream_options={"include_usage": True}))
    assert chunks[-1].usage.total_tokens == 11


@check
def fallbacks_and_why() -> None:
    client, fallback = Maitai(server_side_only=True), {"model": "gpt-either", "strategy": "reactive", "timeout": 0}
    whole = create(client, "fallback", model="gpt-status-503", fallback_config=fallback)
    assert (whole.choices[0].message.content, whole.fallback_reason) == ("whole answer", "unavailable")
    chunks = list(create(client, "fallback", model="gpt-status-503", fallback_config=fallback, stream=True))
    assert (text(chunks), {chunk.fallback_reason for chunk in chunks}) == ("streamed answer", {"unavailable"})


@check
def plain_client_whole_and_stream() -> None:
    client = Maitai()
    assert create(client, "s4").choices[0].message.content == "whole answer"
    assert text(create(client, "s4", stream=True)) == "streamed answer"
    assert len(awaited("s4", lambda found: len(found) == 2)) == 2


@check
def plain_client_with_tools_and_every_argument() -> None:
    tool = {
        "type": "function",
        "function": {"name": "find", "description": "f", "parameters": {"type": "object", "properties": {}}},
    }
    create(
        Maitai(), "s5", reference_id=7, temperature=0.3, max_tokens=9, top_p=0.9, stop=["x"], seed=1, n=1, tools=[tool],
        tool_choice="auto", reasoning={"effort": "high"}, response_format={"type": "json_object"}, logprobs=True,
    )  # fmt: skip
    assert one("s5")["reference_id"] == "7"


@check
def async_client_whole_and_stream() -> None:
    async def run() -> tuple[str, str]:
        client = MaitaiAsync()
        whole = await create(client, "s6")
        pieces = [chunk async for chunk in await create(client, "s6", stream=True)]
        return whole.choices[0].message.content, text(pieces)

    assert asyncio.run(run()) == ("whole answer", "streamed answer")


@check
def callers_mistake_is_bad_request() -> None:
    mistakes: tuple[dict[str, Any], ...] = ({"messages": []}, {"model": "openai/gpt-refused"}, {"temperature": "hot"})
    for mistake in mistakes:
        said = str(refused(BadRequestError, partial(create, Maitai(server_side_only=True), "s7", **mistake)))
        assert said.startswith("Error code: 400 - "), said


@check
def unknown_model_is_not_found() -> None:
    said = str(refused(NotFoundError, lambda: create(Maitai(server_side_only=True), "s8", model="no-such-model")))
    assert "no-such-model" in said, said


@check
def without_any_model_the_server_says_so() -> None:
    said = str(refused(BadRequestError, lambda: create(Maitai(), "s9", intent="UNSET", model=NOT_GIVEN)))
    assert "no default model is configured" in said, said


def local(session: str, **arguments: Any) -> Any:
    client = Maitai(openai_api_key="canary-clients-own-openai-key", base_url=f"{UPSTREAM}/v1")
    return create(client, session, **({"server_side_inference": False} | arguments))


@check
def client_side_inference_stored() -> None:
    assert local("c1", evaluation_enabled=False).choices[0].message.content == "whole answer"
    log = one("c1")
    assert log["completion_message"]["content"] == "whole answer"
    assert (log["inference_location"], log["total_request_tokens"], log["latency"] > 0) == ("CLIENT", 12, True)
    assert "canary" not in json.dumps(log)


@check
def client_side_inference_evaluated() -> None:
    assert local("c2").choices[0].message.content == "whole answer"
    log = one("c2")
    assert (log["completion_message"]["content"], log["application"], log["intent"]) == ("whole answer", "shop", "CHAT")
    assert "canary" not in json.dumps(log)


@check
def client_side_stream_stored_and_evaluated() -> None:
    assert text(local("c3", stream=True, evaluation_enabled=False)) == "streamed answer"
    assert text(local("c4", stream=True)) == "streamed answer"
    for session in ("c3", "c4"):
        log = one(session)
        assert log["completion_message"]["content"] == "streamed answer"
        assert log["time_to_first_token"] > 0


@check
def client_side_inference_with_a_callback() -> None:
    seen: list[Any] = []
    local("c5", callback=seen.append)
    log = one("c5")
    assert [(r.evaluation_request_id, r.session_id, r.evaluation_results) for r in seen] == [(log["id"], "c5", [])]


@check
def async_client_side_inference() -> None:
    async def run() -> None:
        client = MaitaiAsync(openai_api_key="canary-clients-own-openai-key", base_url=f"{UPSTREAM}/v1")
        await create(client, "c6", server_side_inference=False)
        await create(client, "c7", server_side_inference=False, evaluation_enabled=False)
        for session in ("c6", "c7"):  # the client stores in tasks of this loop
            await asyncio.to_thread(awaited, session, bool)

    asyncio.run(run())
    assert one("c6")["completion_message"]["content"] == one("c7")["completion_message"]["content"] == "whole answer"


@check
def fallback_after_a_failed_call_is_a_call_of_its_own() -> None:
    answer = local("f1", server_side_inference=True, model="gpt-only-to-clients", request_id="req-f1")
    assert answer.choices[0].message.content == "whole answer"
    found = awaited("f1", lambda found: len(found) == 2)
    told = sorted((log["status"], log["inference_location"]) for log in found)
    assert told == [("failed", "SERVER"), ("success", "CLIENT")]


@check
def log_of_each_provider() -> None:
    client = Maitai()
    request = {"model": "gpt-4o", "messages": HELLO}
    openai = {
        "object": "chat.completion", "model": "gpt-4o",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "yo"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
    }  # fmt: skip
    anthropic = {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-x", "stop_reason": "end_turn",
        "content": [{"type": "text", "text": "yo"}], "usage": {"input_tokens": 1, "output_tokens": 2},
    }  # fmt: skip
    gemini = {
        "candidates": [{"content": {"role": "model", "parts": [{"text": "yo"}]}, "finish_reason": "STOP", "index": 0}],
        "usage_metadata": {"prompt_token_count": 1, "candidates_token_count": 2, "total_token_count": 3},
        "model_version": "gemini-x",
    }  # fmt: skip
    for provider, response in (("openai", openai), ("anthropic", anthropic), ("gemini", gemini)):
        session = f"l-{provider}"
        client.log(
            intent="CHAT", application="shop", provider=provider, request=request, response=response, session_id=session
        )
        log = one(session)
        said = (log["completion_message"]["content"], log["total_request_tokens"], log["finish_reason"])
        assert said == ("yo", 3, "stop"), (provider, said)
        assert "warnings" not in log, log["warnings"]


@check
def command_line_configures_and_the_server_decides() -> None:
    application = next(found for found in cli("applications", "list") if found["application_ref_name"] == "shop")
    id = str(application["id"])
    cli("applications", "update-config", id, "--body", json.dumps({"model": "gpt-configured", "temperature": 0.5}))
    answer = Maitai(server_side_only=True).chat.completions.create(
        application="shop", intent="CHAT", messages=HELLO, session_id="d1"
    )
    assert answer.choices[0].message.content == "whole answer"
    assert one("d1")["model"] == "gpt-configured"


@check
def intent_known_from_init_sdk() -> None:
    application = cli("applications", "create", "--application-name", "Known Shop")
    id = str(application["id"])
    intent = cli("applications", "create-intent", id, "--body", json.dumps({"action_type": "KNOWN"}))
    config = {"model": "gpt-configured", "temperature": 0.25, "max_tokens": 77}
    changed = cli("applications", "update-intent-config", id, str(intent["id"]), "--body", json.dumps(config))
    assert changed == config
    Maitai().chat.completions.create(application="known_shop", intent="KNOWN", messages=HELLO, session_id="d2")
    sent = one("d2")["full_request"]["params"]
    assert {name: sent[name] for name in config} == config


@check
def intent_whose_inference_is_the_clients() -> None:
    id = str(next(found["id"] for found in cli("applications", "list") if found["application_ref_name"] == "shop"))
    intent = cli("applications", "create-intent", id, "--body", json.dumps({"action_type": "LOCAL"}))
    config = {"inference_location": "CLIENT", "model": "gpt-either", "evaluation_enabled": False}
    cli("applications", "update-intent-config", id, str(intent["id"]), "--body", json.dumps(config))
    client = Maitai(openai_api_key="canary-clients-own-openai-key", base_url=f"{UPSTREAM}/v1")
    client.chat.completions.create(application="shop", intent="LOCAL", messages=HELLO, session_id="d3")
    assert one("d3")["inference_location"] == "CLIENT"


@check
def command_line_reads_and_resets() -> None:
    id = str(
        next(found["id"] for found in cli("applications", "list") if found["application_ref_name"] == "known_shop")
    )
    assert cli("applications", "get", id)["application_name"] == "Known Shop"
    (intent,) = cli("applications", "list-intents", id)
    number = str(intent["id"])
    assert cli("applications", "get-intent", id, number)["action_type"] == "KNOWN"
    assert cli("applications", "get-intent-config", id, number)["model"] == "gpt-configured"
    assert cli("applications", "reset-intent-config", id, number) == {}
    assert cli("applications", "get-config", id) == {}


if __name__ == "__main__":
    run("maitai-python", "maitai-cli")
