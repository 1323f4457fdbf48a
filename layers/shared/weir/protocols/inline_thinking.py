"""Thinking that a model wrote into its text, between `<think>` and `</think>`, told apart from the answer.

Servers that know a model's template do this themselves (vLLM's and llama.cpp's reasoning parsers); others pass on what
the model wrote. A tag counts only at the very beginning: further on it is what the answer talks about.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from weir.domain.events import StreamEvent, TextDelta, ThinkingDelta

_TAGS = {"<think>": "</think>", "<thinking>": "</thinking>"}


class InlineThinking:
    """One choice's text, cut anywhere -> its thinking and its text, until `over`: from there on all is text.

    Nothing is held back but what may yet be a tag, and the white space around one. The tags and the white space that
    the answer would begin with are left out. A thought without an end is all thinking. Log-probabilities, those of the
    thinking among them, go with the text.
    """

    def __init__(self, choice: int) -> None:
        self._choice = choice
        self._held = ""
        self._close = ""
        self._answering = False
        self._logprobs: dict[str, Any] = {}
        self.over = False

    @property
    def undecided(self) -> bool:
        return not self._close

    def feed(self, text: str, logprobs: Mapping[str, Any] | None = None) -> Iterator[StreamEvent]:
        if logprobs is not None:
            self._keep(logprobs)
        self._held += text
        if not self._close:
            yield from self._begin()
        elif not self._answering:
            yield from self._think()
        else:
            yield from self._answer()

    def end(self) -> Iterator[StreamEvent]:
        """No more text: what is held is what it looked least like, a piece of the thinking or of the text."""
        rest, self._held, self.over = self._held, "", True
        if self._close and not self._answering and rest:
            yield ThinkingDelta(self._choice, rest)
            rest = ""
        if self._answering:
            rest = ""
        if rest or self._logprobs:
            yield self._text(rest)

    def _begin(self) -> Iterator[StreamEvent]:
        begun = self._held.lstrip()
        for tag, close in _TAGS.items():
            if begun.startswith(tag):
                self._close, self._held = close, begun[len(tag) :]
                yield from self._think()
                return
        if begun and not any(tag.startswith(begun) for tag in _TAGS):
            yield from self._all_text(self._held)

    def _think(self) -> Iterator[StreamEvent]:
        thought, closed, rest = self._held.partition(self._close)
        if closed:
            self._answering, self._held = True, rest
        else:
            keep = _beginning_at_the_end(thought, self._close)
            thought, self._held = thought[: len(thought) - keep], thought[len(thought) - keep :]
        if thought:
            yield ThinkingDelta(self._choice, thought)
        if closed:
            yield from self._answer()

    def _answer(self) -> Iterator[StreamEvent]:
        self._held = self._held.lstrip()
        if self._held:
            yield from self._all_text(self._held)

    def _all_text(self, text: str) -> Iterator[StreamEvent]:
        self._held, self.over = "", True
        yield self._text(text)

    def _text(self, text: str) -> TextDelta:
        logprobs, self._logprobs = self._logprobs, {}
        return TextDelta(self._choice, text, logprobs or None)

    def _keep(self, logprobs: Mapping[str, Any]) -> None:
        for name, more in logprobs.items():
            known = self._logprobs.get(name)
            self._logprobs[name] = known + more if isinstance(known, list) and isinstance(more, list) else more


def _beginning_at_the_end(text: str, tag: str) -> int:
    """How many characters at the end of `text` may be the beginning of `tag`."""
    return next((n for n in range(min(len(tag) - 1, len(text)), 0, -1) if text.endswith(tag[:n])), 0)
