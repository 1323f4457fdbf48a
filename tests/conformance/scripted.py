"""What the provider behind Weir, and behind clients that call it themselves, answers to each model."""

from collections.abc import Mapping

from tests.upstream import Received, Reply, Script, completion_reply, error_reply, stream_reply


def _either(received: Received) -> Reply:
    body = received.json
    if not body.get("stream"):
        return completion_reply("whole answer")
    return stream_reply("streamed ", "answer", usage=bool((body.get("stream_options") or {}).get("include_usage")))


def _only_to_clients(received: Received) -> Reply:
    if not received.headers.get("user-agent", "").startswith("OpenAI/"):
        return error_reply(500, "Only the client's own call is answered.")
    return _either(received)


SCRIPTED: Mapping[str, Script] = {
    "gpt-either": _either,
    "gpt-configured": _either,
    "gpt-only-to-clients": _only_to_clients,
    "gpt-refused": error_reply(400, "No.\nReally not."),
}
