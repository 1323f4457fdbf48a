"""Gemini's answers, streams and errors. Every exchange here is written from the API reference (origin = "written")."""

import json
import random
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import pytest

from weir.domain.completion import Choice, Completion, Text, Thinking, ToolCall, Usage
from weir.domain.errors import (
    MalformedReply,
    ProviderAuthFailed,
    ProviderError,
    ProviderRejected,
    ProviderThrottled,
    ProviderTimeout,
    ProviderUnavailable,
)
from weir.domain.events import Started, TextDelta, ToolCallDelta, collect
from weir.protocols.base import WireProtocol, decode
from weir.protocols.gemini import FINISH_REASONS, Gemini, GeminiDialect

STUDIO = Gemini(GeminiDialect(provider="gemini"))

Parts = Sequence[Mapping[str, Any]]


def candidate(*parts: Mapping[str, Any], finish: str | None = None, index: int = 0, **more: Any) -> dict[str, Any]:
    """A candidate on the wire: index 0 and an unfinished one's reason are left out there."""
    body: dict[str, Any] = {"content": {"role": "model", "parts": list(parts)}, **more}
    if finish is not None:
        body["finishReason"] = finish
    return {**body, "index": index} if index else body


def chunk(*candidates: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    return {"candidates": list(candidates), "modelVersion": "gemini-3-flash", "responseId": "resp-1", **more}


def sse(*chunks: Any) -> bytes:
    return b"".join(b"data: " + json.dumps(c, ensure_ascii=False).encode() + b"\r\n\r\n" for c in chunks)


def streamed(*chunks: Any) -> Completion:
    return collect(decode(STUDIO.decoder(), [sse(*chunks)]))


def parsed(reply: Any) -> Completion:
    return STUDIO.parse(json.dumps(reply).encode())


def only(completion: Completion) -> Choice:
    (choice,) = completion.choices
    return choice


COUNTS = {"promptTokenCount": 10, "candidatesTokenCount": 5, "thoughtsTokenCount": 20, "totalTokenCount": 35}
FIRST = {"promptTokenCount": 10, "totalTokenCount": 10}

THOUGHT_TEXT_AND_CALLS = (
    chunk(candidate({"text": "Let me ", "thought": True}), usageMetadata=FIRST),
    chunk(candidate({"text": "think – ünïcode 💡", "thought": True}), usageMetadata=FIRST),
    chunk(candidate({"text": "I shall "}), usageMetadata=FIRST),
    chunk(candidate({"text": "look."}), usageMetadata=FIRST),
    chunk(
        candidate(
            {
                "functionCall": {"id": "fc-1", "name": "weather", "args": {"city": "Zürich"}},
                "thoughtSignature": "c2VhbDE=",
            },
            {"functionCall": {"name": "clock", "args": {}}},
        )
    ),
    chunk(candidate({"text": "", "thoughtSignature": "c2VhbDI="}, finish="STOP"), usageMetadata=COUNTS),
)
WHOLE = chunk(
    candidate(
        {"text": "Let me think – ünïcode 💡", "thought": True},
        {"text": "I shall look."},
        {"functionCall": {"id": "fc-1", "name": "weather", "args": {"city": "Zürich"}}, "thoughtSignature": "c2VhbDE="},
        {"functionCall": {"name": "clock"}},
        {"text": "", "thoughtSignature": "c2VhbDI="},
        finish="STOP",
    ),
    usageMetadata=COUNTS,
)


def test_it_is_a_wire_protocol() -> None:
    assert isinstance(STUDIO, WireProtocol)


def test_a_stream_and_a_whole_answer_give_the_same_completion() -> None:
    expected = Completion(
        "resp-1",
        "gemini-3-flash",
        (
            Choice(
                0,
                (
                    Thinking("Let me think – ünïcode 💡", provider="gemini"),
                    Text("I shall look."),
                    ToolCall("fc-1", "weather", '{"city":"Zürich"}', "c2VhbDE="),
                    ToolCall("call_resp-1_0_1", "clock", "{}"),
                    Thinking("", "c2VhbDI=", provider="gemini"),
                ),
                "tool_calls",
                "STOP",
            ),
        ),
        Usage(10, 25, reasoning=20),
    )
    assert parsed(WHOLE) == expected
    assert streamed(*THOUGHT_TEXT_AND_CALLS) == expected


def test_any_chunking_gives_the_same_events() -> None:
    data = sse(*THOUGHT_TEXT_AND_CALLS)
    whole = list(decode(STUDIO.decoder(), [data]))
    dice = random.Random(20)
    cuts = [0, *sorted(dice.sample(range(1, len(data)), 40)), len(data)]
    assert list(decode(STUDIO.decoder(), [data[i : i + 1] for i in range(len(data))])) == whole
    assert list(decode(STUDIO.decoder(), [data[a:b] for a, b in pairwise(cuts)])) == whole
    assert list(decode(STUDIO.decoder(), [data.replace(b"\r\n", b"\n")])) == whole


def test_every_prefix_is_an_error() -> None:
    data = sse(*THOUGHT_TEXT_AND_CALLS)
    assert data.endswith(b"\r\n\r\n")  # at the last CR the blank line is there, with or without the LF
    for end in range(len(data) - 1):
        with pytest.raises(MalformedReply):
            list(decode(STUDIO.decoder(), [data[:end]]))


def test_what_came_before_the_break_is_still_given() -> None:
    decoder = STUDIO.decoder()
    events = list(decoder.feed(sse(chunk(candidate({"text": "Half"})))))
    assert events == [Started("resp-1", "gemini-3-flash"), TextDelta(0, "Half")]
    with pytest.raises(MalformedReply):
        list(decoder.close())


def test_a_reason_given_with_every_chunk_finishes_the_choice_once_and_last() -> None:
    """Gemini 1.5 did that."""
    events = list(
        decode(
            STUDIO.decoder(),
            [sse(chunk(candidate({"text": "a"}, finish="STOP")), chunk(candidate({"text": "b"}, finish="STOP")))],
        )
    )
    assert [type(event).__name__ for event in events] == [
        "Started",
        "TextDelta",
        "TextDelta",
        "ChoiceFinished",
        "Ended",
    ]


def test_a_stream_with_one_of_two_candidates_unfinished_was_cut_off() -> None:
    chunks = (chunk(candidate({"text": "a"}, finish="STOP"), candidate({"text": "b"}, index=1)),)
    with pytest.raises(MalformedReply):
        streamed(*chunks)
    done = streamed(*chunks, chunk(candidate({"text": "c"}, finish="MAX_TOKENS", index=1)))
    assert done.choices == (
        Choice(0, (Text("a"),), "stop", "STOP"),
        Choice(1, (Text("bc"),), "length", "MAX_TOKENS"),
    )


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        pytest.param(
            [{"text": "Hi", "thoughtSignature": "cw=="}],
            (Thinking("", "cw==", provider="gemini"), Text("Hi")),
            id="on a text",
        ),
        pytest.param(
            [{"text": "Hi"}, {"text": "", "thoughtSignature": "cw=="}],
            (Text("Hi"), Thinking("", "cw==", provider="gemini")),
            id="on an empty text",
        ),
        pytest.param(
            [{"text": "Hm", "thought": True}, {"text": "Aha", "thought": True, "thoughtSignature": "cw=="}],
            (Thinking("Hm", provider="gemini"), Thinking("Aha", "cw==", provider="gemini")),
            id="on the second of two thoughts",
        ),
        pytest.param(
            [{"text": "Hm", "thought": True, "thoughtSignature": "cw=="}, {"text": "Aha", "thought": True}],
            (Thinking("Hm", "cw==", provider="gemini"), Thinking("Aha", provider="gemini")),
            id="on the first of two thoughts",
        ),
        pytest.param(
            [{"text": "Hm", "thought": True}, {"text": "", "thought": True, "thoughtSignature": "cw=="}],
            (Thinking("Hm", "cw==", provider="gemini"),),
            id="after a thought",
        ),
        pytest.param(
            [{"text": "", "thought": True, "thoughtSignature": "cw=="}, {"text": "Hi"}],
            (Thinking("", "cw==", True, provider="gemini"), Text("Hi")),
            id="on a hidden thought",
        ),
        pytest.param(
            [{"text": "A", "thought": True}, {"text": "B"}, {"text": "C", "thought": True}, {"text": "D"}],
            (Thinking("A", provider="gemini"), Text("B"), Thinking("C", provider="gemini"), Text("D")),
            id="nowhere, thoughts between texts",
        ),
    ],
)
def test_signatures_keep_their_place(parts: Parts, expected: tuple[Any, ...]) -> None:
    assert only(parsed(chunk(candidate(*parts, finish="STOP")))).parts == expected


def test_a_call_in_pieces_is_put_together() -> None:
    def piece(call: Mapping[str, Any], **more: Any) -> dict[str, Any]:
        return chunk(candidate({"functionCall": call, **more}))

    completion = streamed(
        piece({"name": "book", "willContinue": True}, thoughtSignature="cw=="),
        piece(
            {"partialArgs": [{"jsonPath": "$.to", "stringValue": "Bos", "willContinue": True}], "willContinue": True}
        ),
        piece({"partialArgs": [{"jsonPath": "$.to", "stringValue": "ton"}], "willContinue": True}),
        piece({"partialArgs": [{"jsonPath": "$.seats[1].row", "numberValue": 7}], "willContinue": True}),
        piece({"partialArgs": [{"jsonPath": "$.seats[0]['a b']", "boolValue": False}], "willContinue": True}),
        piece({"partialArgs": [{"jsonPath": '$["note"]', "nullValue": "NULL_VALUE"}], "willContinue": True}),
        piece({}),
        piece({"name": "pay", "willContinue": True}),
        piece({"partialArgs": [{"jsonPath": "$.sum", "numberValue": 0.5}]}),  # a list's last piece ends the call
        piece({"name": "ping"}),
        chunk(candidate(finish="STOP")),
    )
    assert only(completion).parts == (
        ToolCall("call_resp-1_0_0", "book", '{"to":"Boston","seats":[{"a b":false},{"row":7}],"note":null}', "cw=="),
        ToolCall("call_resp-1_0_1", "pay", '{"sum":0.5}'),
        ToolCall("call_resp-1_0_2", "ping", "{}"),
    )


def test_a_call_cut_short_by_the_limit_keeps_the_pieces_that_came() -> None:
    completion = streamed(
        chunk(candidate({"functionCall": {"name": "write", "willContinue": True}})),
        chunk(
            candidate(
                {"functionCall": {"partialArgs": [{"jsonPath": "$.t", "stringValue": "ab"}], "willContinue": True}},
                finish="MAX_TOKENS",
            )
        ),
    )
    assert only(completion) == Choice(0, (ToolCall("call_resp-1_0_0", "write", '{"t":"ab"}'),), "length", "MAX_TOKENS")


@pytest.mark.parametrize("path", ["to", "$", "$.a.[", "$.a[99999999]", "$.a.b", "$[0]"])
def test_a_piece_without_a_sensible_place_is_malformed(path: str) -> None:
    pieces = [{"jsonPath": "$.a[0]", "numberValue": 1}, {"jsonPath": path, "numberValue": 1}]
    with pytest.raises(MalformedReply):
        streamed(chunk(candidate({"functionCall": {"name": "f", "partialArgs": pieces}}, finish="STOP")))


def test_parts_without_a_name_are_kept_whole_and_in_order() -> None:
    parts = (
        {"executableCode": {"language": "PYTHON", "code": "print(1)"}},
        {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1\n"}},
        {"inlineData": {"mimeType": "image/png", "data": "iVBORw0="}, "thoughtSignature": "cw=="},
        {"brandNew": {"thing": 1}},
    )
    expected = Choice(0, (Text("Done."),), "stop", "STOP", message_extra={"content_parts": list(parts)})
    assert only(parsed(chunk(candidate(*parts, {"text": "Done."}, finish="STOP")))) == expected
    chunks = [chunk(candidate(part)) for part in parts]
    assert only(streamed(*chunks, chunk(candidate({"text": "Done."}, finish="STOP")))) == expected


def test_grounding_becomes_annotations_counted_in_characters() -> None:
    text = "Zürich liegt am See. Es regnet."
    grounding = {
        "webSearchQueries": ["zürich"],
        "groundingChunks": [
            {"web": {"uri": "https://a.example/", "title": "A"}},
            {"retrievedContext": {"uri": "gs://b/doc", "title": "B"}},
            {"image": {}},
        ],
        "groundingSupports": [
            {"segment": {"endIndex": 21, "text": "Zürich liegt am See."}, "groundingChunkIndices": [0, 1, 2, 9]},
            {"segment": {"partIndex": 1, "endIndex": 4, "text": "regnet"}, "groundingChunkIndices": [0]},
            {"segment": {"endIndex": 4, "text": "not in the answer"}, "groundingChunkIndices": [0]},
        ],
    }
    citations = {
        "citations": [{"uri": "https://c.example/", "startIndex": 22, "endIndex": 24}, {"uri": "https://d/"}, {}]
    }
    metadata: dict[str, Any] = {"groundingMetadata": grounding, "citationMetadata": citations}

    def cited(url: str, title: str, start: int, end: int) -> dict[str, Any]:
        citation = {"url": url, "title": title, "start_index": start, "end_index": end}
        return {"type": "url_citation", "url_citation": citation}

    expected = Choice(
        0,
        (Text(text),),
        "stop",
        "STOP",
        message_extra={
            "annotations": [
                cited("https://a.example/", "A", 0, 20),
                cited("gs://b/doc", "B", 0, 20),
                cited("https://a.example/", "A", 24, 30),
                cited("https://c.example/", "", 21, 23),
            ]
        },
        extra=metadata,
    )
    assert only(parsed(chunk(candidate({"text": text}, finish="STOP", **metadata)))) == expected
    assert (
        only(
            streamed(
                chunk(candidate({"text": text[:9]}, groundingMetadata={})),
                chunk(candidate({"text": text[9:]}, **metadata)),
                chunk(candidate(finish="STOP", groundingMetadata={})),
            )
        )
        == expected
    )


def test_log_probabilities_take_openais_form() -> None:
    result = {
        "chosenCandidates": [{"token": "Hi", "tokenId": 1, "logProbability": -0.5}, {"token": "!", "tokenId": 2}],
        "topCandidates": [{"candidates": [{"token": "Hi", "logProbability": -0.5}]}],
        "logProbabilitySum": -0.5,
    }
    hi = {"token": "Hi", "logprob": -0.5, "bytes": None}
    expected = {
        "content": [{**hi, "top_logprobs": [hi]}, {"token": "!", "logprob": 0.0, "bytes": None, "top_logprobs": []}]
    }
    reply = candidate({"text": "Hi!"}, finish="STOP", logprobsResult=result, avgLogprobs=-0.25)
    assert only(parsed(chunk(reply))) == Choice(
        0, (Text("Hi!"),), "stop", "STOP", expected, extra={"avgLogprobs": -0.25}
    )


@pytest.mark.parametrize(("word", "reason"), FINISH_REASONS.items())
def test_finish_reasons_are_translated_and_kept(word: str, reason: str | None) -> None:
    choice = only(parsed(chunk(candidate({"text": "x"}, finish=word))))
    assert (choice.reason, choice.raw_reason) == (reason, word)


def test_every_reason_of_the_vendors_types_is_in_the_table() -> None:
    types = pytest.importorskip("google.genai.types")
    assert {reason.value for reason in types.FinishReason} == set(FINISH_REASONS)


def test_an_unknown_reason_is_kept_raw() -> None:
    choice = only(parsed(chunk(candidate({"text": "x"}, finish="BRAND_NEW"))))
    assert (choice.reason, choice.raw_reason) == (None, "BRAND_NEW")


def test_a_filtered_candidate_without_content_is_an_answer() -> None:
    ratings = [{"category": "HARM_CATEGORY_HARASSMENT", "probability": "HIGH", "blocked": True}]
    reply = {"candidates": [{"content": {}, "finishReason": "SAFETY", "safetyRatings": ratings}]}
    assert parsed(reply) == Completion(
        None, None, (Choice(0, (), "content_filter", "SAFETY", extra={"safetyRatings": ratings}),)
    )


@pytest.mark.parametrize("word", ["PROHIBITED_CONTENT", "OTHER", "BRAND_NEW"])
def test_a_blocked_prompt_is_one_filtered_choice(word: str) -> None:
    feedback = {"blockReason": word}
    reply = {"promptFeedback": feedback, "responseId": "resp-1", "usageMetadata": FIRST}
    expected = Completion(
        "resp-1", None, (Choice(0, (), "content_filter", word),), Usage(10, 0), extra={"promptFeedback": feedback}
    )
    assert parsed(reply) == expected
    assert streamed(reply) == expected


def test_usage_adds_up_to_the_providers_total_and_keeps_the_rest() -> None:
    audio = [{"modality": "TEXT", "tokenCount": 60}, {"modality": "AUDIO", "tokenCount": 40}]
    usage = {
        "promptTokenCount": 100,
        "cachedContentTokenCount": 30,
        "toolUsePromptTokenCount": 7,
        "candidatesTokenCount": 11,
        "thoughtsTokenCount": 13,
        "totalTokenCount": 131,
        "promptTokensDetails": audio,
        "candidatesTokensDetails": [{"modality": "AUDIO", "tokenCount": 11}],
        "trafficType": "ON_DEMAND",
    }
    completion = parsed(chunk(candidate({"text": "x"}, finish="STOP"), usageMetadata=usage))
    assert completion.usage == Usage(
        107,
        24,
        cached=30,
        reasoning=13,
        prompt_audio=40,
        completion_audio=11,
        extra={
            "toolUsePromptTokenCount": 7,
            "promptTokensDetails": audio,
            "candidatesTokensDetails": [{"modality": "AUDIO", "tokenCount": 11}],
            "trafficType": "ON_DEMAND",
        },
    )
    assert completion.usage is not None
    assert completion.usage.total == usage["totalTokenCount"]


def test_usage_without_counts_is_unknown() -> None:
    assert (
        parsed(chunk(candidate({"text": "x"}, finish="STOP"), usageMetadata={"trafficType": "ON_DEMAND"})).usage is None
    )


def test_the_time_of_creation_is_read() -> None:
    reply = chunk(candidate({"text": "x"}, finish="STOP"), createTime="2026-02-15T07:50:39.178410Z")
    assert parsed(reply).created == 1771141839


def google_error(code: int, status: str, *details: Mapping[str, Any], message: str = "No.") -> dict[str, Any]:
    return {"error": {"code": code, "message": message, "status": status, "details": list(details)}}


def detail(kind: str, **fields: Any) -> dict[str, Any]:
    return {"@type": f"type.googleapis.com/google.rpc.{kind}", **fields}


BAD_KEY = google_error(400, "INVALID_ARGUMENT", detail("ErrorInfo", reason="API_KEY_INVALID", domain="googleapis.com"))
QUOTA = google_error(429, "RESOURCE_EXHAUSTED", detail("Help"), detail("RetryInfo", retryDelay="48.9s"))
BAD_FIELD = google_error(
    400, "INVALID_ARGUMENT", detail("BadRequest", fieldViolations=[{"field": "contents[0]", "description": "Bad."}])
)


def told(error: ProviderError) -> tuple[Any, ...]:
    return type(error), str(error), error.status, error.code, error.type, error.param, error.retry_after


@pytest.mark.parametrize(
    ("status", "reply", "expected"),
    [
        (400, BAD_KEY, (ProviderAuthFailed, "No.", 400, "API_KEY_INVALID", "INVALID_ARGUMENT", None, None)),
        (
            400,
            google_error(400, "INVALID_ARGUMENT", message="API key not valid."),
            (ProviderRejected, "API key not valid.", 400, "INVALID_ARGUMENT", "INVALID_ARGUMENT", None, None),
        ),
        (400, BAD_FIELD, (ProviderRejected, "No.", 400, "INVALID_ARGUMENT", "INVALID_ARGUMENT", "contents[0]", None)),
        (429, QUOTA, (ProviderThrottled, "No.", 429, "RESOURCE_EXHAUSTED", "RESOURCE_EXHAUSTED", None, "49")),
        (429, [QUOTA], (ProviderThrottled, "No.", 429, "RESOURCE_EXHAUSTED", "RESOURCE_EXHAUSTED", None, "49")),
        (404, google_error(404, "NOT_FOUND"), (ProviderRejected, "No.", 404, "NOT_FOUND", "NOT_FOUND", None, None)),
        (503, {}, (ProviderUnavailable, "gemini answered with status 503.", 503, None, None, None, None)),
        (504, [], (ProviderTimeout, "gemini answered with status 504.", 504, None, None, None, None)),
    ],
)
def test_http_errors_have_a_class_and_the_providers_words(status: int, reply: Any, expected: tuple[Any, ...]) -> None:
    body = json.dumps(reply).encode()
    error = STUDIO.error(status, {}, body)
    assert told(error) == expected
    assert error.raw == body


def test_a_header_says_better_when_to_retry_and_html_is_not_shown() -> None:
    assert STUDIO.error(429, {"retry-after": "5"}, json.dumps(QUOTA).encode()).retry_after == "5"
    error = STUDIO.error(502, {}, b"<html>canary</html>")
    assert told(error) == (ProviderUnavailable, "gemini answered with status 502.", 502, None, None, None, None)


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (QUOTA, ProviderThrottled),
        ([QUOTA], ProviderThrottled),
        (BAD_KEY, ProviderAuthFailed),
        ({"error": {"status": "UNAVAILABLE", "message": "Overloaded."}}, ProviderUnavailable),
        ({"error": {"status": "DEADLINE_EXCEEDED"}}, ProviderTimeout),
        ({"error": {"message": "What?"}}, ProviderUnavailable),
    ],
)
def test_errors_inside_a_200_are_errors_of_their_own_class(reply: Any, expected: type[ProviderError]) -> None:
    begun = sse(chunk(candidate({"text": "Half"})))
    with pytest.raises(expected):
        parsed(reply)
    with pytest.raises(expected):
        list(decode(STUDIO.decoder(), [begun, sse(reply)]))
    with pytest.raises(expected):  # without "data:", as it comes when the answer breaks off
        list(decode(STUDIO.decoder(), [begun, json.dumps(reply, indent=2).encode()]))


@pytest.mark.parametrize(
    "body",
    [b"", b"null", b"[]", b"{}", b'{"candidates": []}', b'{"candidates": [1]}', b'{"candidates": {"a": 1}}', b"<html>"],
)
def test_what_is_not_an_answer_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedReply):
        STUDIO.parse(body)
    with pytest.raises(MalformedReply):
        list(decode(STUDIO.decoder(), [b"data: " + body + b"\n\n"]))


def test_comments_between_chunks_are_ignored() -> None:
    data = b": keep-alive\n\n" + sse(chunk(candidate({"functionCall": {"name": "f"}}, finish="STOP"))) + b": bye\n\n"
    assert ToolCallDelta(0, 0, "call_resp-1_0_0", "f", "{}") in list(decode(STUDIO.decoder(), [data]))
