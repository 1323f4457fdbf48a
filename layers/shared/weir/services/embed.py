"""One call for embeddings: ask the provider, keep the record, then answer."""

from dataclasses import dataclass

from weir.domain.embedding import EmbeddingCall, Embeddings
from weir.domain.errors import MalformedReply, ProviderError
from weir.domain.record import Record
from weir.domain.routing import NO_DEADLINES, Deadlines
from weir.http.embedding_reply import embeddings_body
from weir.protocols import jsonbytes
from weir.providers.client import ProviderClient
from weir.providers.deadline import Patience, end_of_call
from weir.providers.registry import Registry
from weir.services.attempt import Answered, Ask, Attempt, Recorder


@dataclass(frozen=True, slots=True)
class EmbeddingAnswer:
    """The answer's JSON. `stored` is False when the ledger refused the record."""

    body: bytes
    record: Record
    stored: bool


class Embedder:
    """`deadlines` are the process's own, for calls that say nothing else."""

    def __init__(
        self, registry: Registry, client: ProviderClient, recorder: Recorder, deadlines: Deadlines = NO_DEADLINES
    ) -> None:
        self._registry = registry
        self._client = client
        self._recorder = recorder
        self._deadlines = deadlines

    def begin(self, ask: Ask[EmbeddingCall]) -> Attempt[EmbeddingCall]:
        return self._recorder.begin(ask)

    async def embed(self, attempt: Attempt[EmbeddingCall]) -> EmbeddingAnswer:
        """The vectors, their record durable. Raises ProviderError; the failed call is a record then, too.

        Raises RequestInvalid (ModelUnknown among them) for a call that cannot be made; nothing is kept of it.
        """
        try:
            target = attempt.aim(self._registry.resolve_embedding)
            call = attempt.ask.call
            patience = self._patience(attempt)
            found = await self._client.embed(target, call, attempt.exchange, attempt.ask.headers, patience)
            answered = _answered(call, found, target.provider.name)
        except ProviderError as exc:
            raise await self._recorder.keep_failure(attempt, exc) from exc
        record, stored = await self._recorder.keep(attempt, answered)
        return EmbeddingAnswer(answered.body, record, stored)

    def _patience(self, attempt: Attempt[EmbeddingCall]) -> Patience | None:
        """None where nothing bounds the call."""
        routing = attempt.ask.routing
        deadlines = self._deadlines if routing is None else routing.deadlines.over(self._deadlines)
        if deadlines == NO_DEADLINES:
            return None
        return Patience(deadlines, until=end_of_call(deadlines, self._recorder.elapsed_ms(attempt)))


def _answered(call: EmbeddingCall, found: Embeddings, provider: str) -> Answered:
    """Raises MalformedReply for an answer that is not one to this call."""
    if len(found.vectors) != len(call.inputs):
        raise MalformedReply(
            f"{provider} sent {len(found.vectors)} vectors for {len(call.inputs)} inputs.", provider=provider
        )
    try:
        body = embeddings_body(found, model=call.model, format=call.encoding_format or "float")
    except ValueError as exc:
        raise MalformedReply(f"{provider} sent a vector that cannot be read.", provider=provider) from exc
    return Answered(jsonbytes.dumps(body), found.model, found.usage)
