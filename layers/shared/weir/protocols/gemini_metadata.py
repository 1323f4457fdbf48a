"""What comes beside a Gemini answer's text: token counts, log probabilities, sources."""

from collections.abc import Iterator, Mapping
from typing import Any

from weir.domain.completion import NOTHING, Usage

_COUNTED = frozenset(
    {"promptTokenCount", "candidatesTokenCount", "thoughtsTokenCount", "cachedContentTokenCount", "totalTokenCount"}
)


def usage_of(usage: Mapping[str, Any]) -> Usage | None:
    """None when there is no prompt count. Whatever has no name in Usage is kept in `extra`, as it came.

    `totalTokenCount` is the sum of prompt, tool use prompt, candidates and thoughts (reference of UsageMetadata): the
    results of built-in tools are input beside the prompt, and thoughts are output beside the candidates.
    """
    prompt = usage.get("promptTokenCount")
    if prompt is None:
        return None
    thoughts = usage.get("thoughtsTokenCount")
    return Usage(
        prompt + (usage.get("toolUsePromptTokenCount") or 0),
        (usage.get("candidatesTokenCount") or 0) + (thoughts or 0),
        cached=usage.get("cachedContentTokenCount"),
        reasoning=thoughts,
        prompt_audio=_audio(usage.get("promptTokensDetails")),
        completion_audio=_audio(usage.get("candidatesTokensDetails")),
        extra={name: value for name, value in usage.items() if name not in _COUNTED and value is not None} or NOTHING,
    )


def _audio(details: Any) -> int | None:
    counts = [d.get("tokenCount") or 0 for d in details or () if d.get("modality") == "AUDIO"]
    return sum(counts) if counts else None


def logprobs_of(result: Mapping[str, Any]) -> dict[str, Any]:
    """`logprobsResult` in OpenAI's form. Both lists hold one entry for each step of decoding."""
    chosen = result.get("chosenCandidates") or ()
    top = result.get("topCandidates") or ()
    return {
        "content": [
            {
                **_token(token),
                "top_logprobs": [_token(t) for t in top[i].get("candidates") or ()] if i < len(top) else [],
            }
            for i, token in enumerate(chosen)
        ]
    }


def _token(token: Mapping[str, Any]) -> dict[str, Any]:
    """Gemini gives a token's text and number, never its bytes. A log probability of 0 is left out on its wire."""
    return {"token": token.get("token") or "", "logprob": token.get("logProbability") or 0.0, "bytes": None}


def annotations_of(text: str, candidate: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Sources that name a stretch of `text`, as OpenAI's `url_citation`; the rest is only in the metadata kept raw."""
    grounding = candidate.get("groundingMetadata") or NOTHING
    citations = (candidate.get("citationMetadata") or NOTHING).get("citations") or ()
    return [*_grounded(text, grounding), *_cited(text, citations)]


def _grounded(text: str, grounding: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    chunks = grounding.get("groundingChunks") or ()
    for support in grounding.get("groundingSupports") or ():
        segment = support.get("segment") or NOTHING
        place = _place(text, segment)
        if place is None:
            continue
        for at in support.get("groundingChunkIndices") or ():
            chunk = chunks[at] if at < len(chunks) else NOTHING
            source = chunk.get("web") or chunk.get("retrievedContext") or chunk.get("maps") or NOTHING
            if uri := source.get("uri"):
                yield _citation(uri, source.get("title"), place)


def _cited(text: str, citations: Any) -> Iterator[dict[str, Any]]:
    for citation in citations:
        place = _place(text, citation) if citation.get("endIndex") else None
        if place is not None and (uri := citation.get("uri")):
            yield _citation(uri, citation.get("title"), place)


def _citation(uri: str, title: str | None, place: tuple[int, int]) -> dict[str, Any]:
    start, end = place
    citation = {"url": uri, "title": title or "", "start_index": start, "end_index": end}
    return {"type": "url_citation", "url_citation": citation}


def _place(text: str, segment: Mapping[str, Any]) -> tuple[int, int] | None:
    """Gemini counts UTF-8 bytes within one part, OpenAI characters of the whole text. A start of 0 is left out."""
    quoted = segment.get("text")
    data = text.encode()
    before = data[: segment.get("startIndex") or 0].decode(errors="ignore")
    inside = data[segment.get("startIndex") or 0 : segment.get("endIndex") or 0].decode(errors="ignore")
    if inside and quoted in (None, inside):
        return len(before), len(before) + len(inside)
    start = text.find(quoted) if quoted else -1  # counted in a later part
    return (start, start + len(quoted)) if quoted and start >= 0 else None
