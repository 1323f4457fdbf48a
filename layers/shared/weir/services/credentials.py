"""Which key lies where, for each workspace: set, listed and removed. What a key is, nobody is told here."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from weir.domain.credential import CredentialReference, References, is_allowed, place_of
from weir.domain.errors import NotFound, RequestInvalid, Unauthorized
from weir.ledger.credentials import CredentialReferences


@dataclass(frozen=True, slots=True)
class Editor:
    """Who edits: the operator, for any workspace, or a workspace for itself."""

    workspace: str
    operator: bool


class Credentials:
    """Calls block, and may raise LedgerUnavailable. `allowed` is what references may begin with."""

    def __init__(
        self, references: CredentialReferences, allowed: tuple[str, ...], *, now: Callable[[], datetime]
    ) -> None:
        self._references = references
        self._allowed = allowed
        self._now = now

    def of(self, workspace: str) -> tuple[CredentialReference, ...]:
        """In the order of the providers' names."""
        found = self._references.of(workspace)
        return tuple(found[name] for name in sorted(found))

    def set(self, editor: Editor, provider: str, reference: str) -> CredentialReference:
        """Raises RequestInvalid when the reference is none, or none that this editor may set.

        Raises Unauthorized where the operator has set one, and the editor is not the operator.
        """
        self._check(editor, reference)
        new = CredentialReference(
            provider=provider, reference=reference, set_at=self._now(), by_operator=editor.operator
        )

        def put(found: References) -> References:
            _check_owner(editor, found.get(provider))
            return {**found, provider: new}

        self._references.edit(editor.workspace, put)
        return new

    def remove(self, editor: Editor, provider: str) -> CredentialReference:
        """What it was. Raises NotFound or Unauthorized."""
        removed: list[CredentialReference] = []

        def take(found: References) -> References:
            if provider not in found:
                raise NotFound("The workspace names no key for that provider.")
            _check_owner(editor, found[provider])
            removed[:] = [found[provider]]
            return {name: each for name, each in found.items() if name != provider}

        self._references.edit(editor.workspace, take)
        return removed[0]

    def _check(self, editor: Editor, reference: str) -> None:
        """What was sent is not repeated: it may be a key by mistake."""
        if not self._allowed:
            raise RequestInvalid(
                "This Weir reads no keys by reference: WEIR_CREDENTIALS, where it runs, says which it may.",
                param="reference",
                code="not_allowed",
            )
        if place_of(reference) is None:
            raise RequestInvalid(
                "'reference' must be ssm:/path/name, secretsmanager:name-or-arn, with #field for a member of its JSON, "
                "or env:NAME.",
                param="reference",
                code="invalid_value",
            )
        if is_allowed(reference, self._allowed, workspace=editor.workspace, by_operator=editor.operator):
            return
        if editor.operator:
            raise RequestInvalid(
                f"'reference' must begin with one of: {', '.join(self._allowed)} (WEIR_CREDENTIALS).",
                param="reference",
                code="not_allowed",
            )
        raise RequestInvalid(
            "'reference' must lie in this workspace's own folder; ask who runs Weir where that is.",
            param="reference",
            code="not_allowed",
        )


def _check_owner(editor: Editor, there: CredentialReference | None) -> None:
    if there is not None and there.by_operator and not editor.operator:
        raise Unauthorized("That key was named by the operator, who alone may change it.", forbidden=True)
