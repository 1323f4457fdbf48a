"""The exact cache: a call that asks what another has asked gets its answer, without a provider, where both allow it.

A key is a digest of the question: the call with its defaults filled in, the models that share it, the environment, the
headers for the provider and the keys that the caller brought, so that nobody gets an answer that another's key has paid
for. What changes no answer is left out: whose the call is and what for, and whether it is streamed. The workspace is in
the partition.
"""

import base64
import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from weir.domain.caching import CacheTerms
from weir.domain.chat import ChatCall
from weir.domain.completion import Usage
from weir.domain.errors import LedgerUnavailable
from weir.domain.ids import instant_of
from weir.domain.record import Payload, Record
from weir.http.scrub import erase
from weir.ledger import payloads
from weir.ledger.items import to_fields
from weir.ledger.ledger import Ledger
from weir.protocols import jsonbytes
from weir.services.attempt import Answered, Ask, Attempt, Recorder
from weir.services.repeats import Earlier

logger = logging.getLogger("weir.cache")

FINGERPRINT = "cache"

LARGEST = 100_000
"""Bytes of a packed answer: beyond that, putting it there costs more than most calls that it would save."""

_NO_QUESTION = frozenset({"stream", "include_usage", "stream_options", "user", "metadata"})
_NO_QUESTION_EXTRA = frozenset({"safety_identifier", "prompt_cache_key", "prompt_cache_retention"})
"""Members of a call that say for whom it is and how its answer is to come."""

_UNORDERED = frozenset({"extra", "logit_bias"})
"""Members whose own members come in any order; those of a tool's schema are in the order that the model reads."""

_TRUNCATED = frozenset({"length", "content_filter"})
_TOOLS = frozenset({"tool_calls", "function_call"})

_ORIGINAL = ("id", "provider", "model", "answered_model", "finish_reason", "raw_finish_reason", "claimed_usage")
"""What is kept of the record beside its answer: nothing that says whose it was."""


class AnswerCache:
    """`secrets` are those of the process."""

    def __init__(self, ledger: Ledger, recorder: Recorder, secrets: frozenset[str]) -> None:
        self._ledger = ledger
        self._recorder = recorder
        self._secrets = secrets

    async def answer(self, attempt: Attempt[ChatCall], terms: CacheTerms) -> Earlier | None:
        """The answer to the same call, with the record of this one; None when the provider is to be asked.

        Then what that answers is put where the next such call looks. A cache that cannot be read stops no call.
        """
        ask = attempt.ask
        key = key_of(ask, terms)
        try:
            content = await self._ledger.cached(ask.workspace, key, attempt.accepted_at)
        except LedgerUnavailable:
            logger.exception("cache not read", extra={"record_id": attempt.id})
            content = None
        cached = None if content is None else _parse(content)
        if cached is None or attempt.accepted_at - cached.at >= timedelta(seconds=terms.ttl_s):
            attempt.caching = _Caching(self._ledger, key, terms, attempt, self._secrets)
            return None
        attempt.cached_from, attempt.provider = cached.id, cached.provider
        if cached.model is not None:  # of a split, the one that answered
            attempt.ask = replace(ask, model=cached.model)
        if ask.call.stream:
            attempt.first_token_ms = self._recorder.elapsed_ms(attempt)
        record, stored = await self._recorder.keep(attempt, cached.answered)
        return Earlier(record, cached.answered.body, repeated=False, stored=stored)


@dataclass(frozen=True, slots=True)
class _Cached:
    """An answer as it is given again, and the call that it answered."""

    id: str
    at: datetime
    provider: str | None
    model: str | None
    answered: Answered


class _Caching:
    """Puts the answer to one call into the cache, if it is one that may be given again."""

    def __init__(
        self, ledger: Ledger, key: str, terms: CacheTerms, attempt: Attempt[ChatCall], secrets: frozenset[str]
    ) -> None:
        self._ledger = ledger
        self._attempt = attempt
        self._key = key
        self._terms = terms
        self._secrets = secrets

    async def keep(self, record: Record, body: bytes) -> Record:
        """Not what ended for a reason that only its provider knows: the body says "stop" then, the record none.

        Nor what another model answered in place of the one that was asked: once that works again, it is to be asked.
        """
        if record.fallback_reason is not None:
            return record
        if record.finish_reason is None or not _may_be_given_again(jsonbytes.loads(body), self._terms):
            return record
        body = self._without_notices(body)
        content = _render(record, body)
        if len(content) > LARGEST or erase(body, self._secrets | self._attempt.ask.secrets) != body:
            return record
        until = record.created_at + timedelta(seconds=self._terms.ttl_s)
        kept = replace(record, cache_key=self._key)
        try:
            return kept if await self._ledger.cache(record, self._key, content, until) else record
        except LedgerUnavailable:  # it may be there all the same: the key in the record lets an erasure find it
            logger.exception("answer not put into the cache", extra={"record_id": record.id})
            return kept

    def _without_notices(self, body: bytes) -> bytes:
        """What limits say of this call's key or customer is nothing to whoever gets the answer again."""
        if not self._attempt.notices:
            return body
        said = {name: value for name, value in jsonbytes.loads(body).items() if name != "warnings"}
        left_out = self._attempt.left_out
        return jsonbytes.dumps(said | ({"warnings": left_out} if left_out else {}))

    async def forget(self, record: Record) -> None:
        if record.cache_key is None:
            return
        try:
            await self._ledger.uncache(record.workspace, record.cache_key)
        except LedgerUnavailable:
            logger.exception("cache not cleared", extra={"record_id": record.id})


def key_of(ask: Ask[ChatCall], terms: CacheTerms) -> str:
    """32 characters. Two calls have the same if a provider would be asked the same, whoever asks."""
    call = {
        field.name: _plain(value, sort=field.name in _UNORDERED)
        for field in fields(ask.call)
        if field.name not in _NO_QUESTION and (value := getattr(ask.call, field.name)) is not None
    }
    for name in _NO_QUESTION_EXTRA & ask.call.extra.keys():
        del call["extra"][name]
    asked = {
        "call": call,
        "environment": ask.environment,
        "headers": sorted((name.lower(), value) for name, value in ask.headers.items()),
        "keys": sorted((name, ask.provider_keys[name]) for name in ask.provider_keys.keys() - ask.lent),
        "customer": [ask.customer_identifier] if terms.by_customer else None,
        "shares": None if ask.routing is None else _plain(ask.routing.shares),
    }
    digest = hashlib.blake2b(jsonbytes.dumps(asked), digest_size=24, person=b"weir cache 1")
    return base64.urlsafe_b64encode(digest.digest()).decode()


def _plain(value: Any, *, sort: bool = False) -> Any:
    """As JSON values, each kind of part by its name."""
    if is_dataclass(value):
        return [type(value).__name__, *(_plain(getattr(value, field.name)) for field in fields(value))]
    if isinstance(value, tuple | list):
        return [_plain(member) for member in value]
    if isinstance(value, Mapping):
        return dict(sorted(value.items())) if sort else value
    return value


def _may_be_given_again(body: Mapping[str, Any], terms: CacheTerms) -> bool:
    """Whether each choice ended as it should."""
    allowed = {"stop"} | (_TRUNCATED if terms.truncated else set()) | (_TOOLS if terms.tool_calls else set())
    choices = body["choices"]
    return bool(choices) and all(
        choice["finish_reason"] in allowed and (terms.tool_calls or not _TOOLS & choice["message"].keys())
        for choice in choices
    )


def _render(record: Record, body: bytes) -> bytes:
    said = to_fields(record)
    return payloads.to_bytes(Payload(jsonbytes.dumps({name: said[name] for name in _ORIGINAL if name in said}), body))


def _parse(content: bytes) -> _Cached:
    payload = payloads.from_bytes(content)
    said: Mapping[str, Any] = jsonbytes.loads(payload.request)
    body: dict[str, Any] = jsonbytes.loads(payload.response or b"{}")
    usage = said.get("claimed_usage")
    body["system_fingerprint"] = FINGERPRINT
    if "cost" in body.get("usage", ()):
        body["usage"]["cost"] = 0
    return _Cached(
        said["id"],
        instant_of(said["id"]),
        said.get("provider"),
        said.get("model"),
        Answered(
            jsonbytes.dumps(body),
            said.get("answered_model"),
            None if usage is None else Usage(**usage),
            reason=said.get("finish_reason"),
            raw_reason=said.get("raw_finish_reason"),
        ),
    )
