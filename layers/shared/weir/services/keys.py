"""API keys as operators and tenants make, list, replace and end them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from weir.domain.api_key import ApiKey, Scope, read_id, write_key
from weir.domain.errors import Conflict, NotFound, RequestInvalid, WeirError
from weir.domain.limit import EACH, OPERATOR, Subject
from weir.domain.record import Environment
from weir.http.auth import digest_of
from weir.ledger.limit_rules import LimitRules
from weir.ledger.ports import KeyStore


@dataclass(frozen=True, slots=True, kw_only=True)
class NewKey:
    """What is asked for."""

    workspace: str
    name: str
    scopes: frozenset[Scope]
    environment: Environment = "prod"
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class MadeKey:
    """`text` is the key itself. It is here and nowhere else: who made it is the only one who will ever see it."""

    key: ApiKey
    text: str = field(repr=False)
    new_workspace: bool


class Keys:
    """Calls block, and may raise LedgerUnavailable. `random` gives RANDOM_BITS bits, `now` the time of day.

    `home` is the operator's own workspace, which is there before any key.
    """

    def __init__(self, store: KeyStore, home: str, *, now: Callable[[], datetime], random: Callable[[], int]) -> None:
        self._store = store
        self._home = home
        self._now, self._random = now, random

    def create(self, asked: NewKey) -> MadeKey:
        return self._make(asked, self._now())

    def of(self, workspace: str) -> tuple[ApiKey, ...]:
        return self._store.of(workspace)

    def all(self) -> tuple[ApiKey, ...]:
        return tuple(key for workspace in self._store.workspaces() for key in self._store.of(workspace))

    def find(self, id: str, workspace: str | None = None) -> ApiKey:
        """By its id or its prefix, and of the workspace, if one is named. Raises NotFound: another's key is none."""
        key = self._store.find(id.removeprefix("weir_"))
        if key is None or workspace not in (None, key.workspace):
            raise NotFound("There is no such API key.")  # what was named may be a whole key
        return key

    def check_named(self, subject: Subject, workspace: str) -> None:
        """Raises RequestInvalid where a limit names a key that is not the workspace's: it would never hold."""
        if subject.per != "key" or subject.name == EACH or (subject.name == OPERATOR and workspace == self._home):
            return
        key = None if subject.name == OPERATOR else self._store.find(subject.name)
        if key is None or key.workspace != workspace:
            raise RequestInvalid(f"The tenant {workspace!r} has no such API key.", param="name", code="invalid_value")

    def revoke(self, id: str, workspace: str | None = None) -> ApiKey:
        """Raises NotFound. A key that is revoked already stays as it was."""
        key = self.find(id, workspace)
        return self._store.revoke(key.id, self._now()) or key

    def replace(
        self,
        id: str,
        workspace: str | None = None,
        *,
        overlap: timedelta = timedelta(),
        expires_at: datetime | None = None,
        limits: LimitRules | None = None,
    ) -> MadeKey:
        """A new key for the same; the old one is good for `overlap` longer, and never longer than it was anyway.

        Without an `expires_at` the new key lives as long as the old one was to. It gets those of `limits` that name the
        old one. Raises NotFound, and Conflict when the old one is good no more.
        """
        now = self._now()
        old = self.find(id, workspace)
        if (state := old.state(now)) != "active":
            raise Conflict(f"The API key {old.id} is {state}; create a new one.")
        if expires_at is None and old.expires_at is not None:
            expires_at = now + (old.expires_at - old.created_at)
        asked = NewKey(
            workspace=old.workspace,
            name=old.name,
            scopes=old.scopes,
            environment=old.environment,
            expires_at=expires_at,
        )
        made = self._make(asked, now, replaces=old.id)
        if limits is not None:  # nobody has the new key as yet
            limits.hand_over(old.workspace, old.id, made.key.id, keep=overlap > timedelta(), at=now)
        self._store.revoke(old.id, now + overlap)
        return made

    def _make(self, asked: NewKey, now: datetime, replaces: str | None = None) -> MadeKey:
        text = write_key(self._random())
        id = read_id(text)
        if id is None:
            raise WeirError("A key was written that cannot be read.")
        key = ApiKey(
            id=id,
            workspace=asked.workspace,
            name=asked.name,
            environment=asked.environment,
            scopes=asked.scopes,
            digest=digest_of(text),
            created_at=now,
            expires_at=asked.expires_at,
            replaces=replaces,
        )
        first = self._store.add(key)
        return MadeKey(key, text, new_workspace=first and key.workspace != self._home)
