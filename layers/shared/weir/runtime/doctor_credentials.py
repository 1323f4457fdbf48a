"""What `weir doctor` says of the keys that workspaces name for their providers: whether Weir may read them."""

from collections.abc import Iterator

from weir.domain.credential import is_allowed
from weir.ledger.credentials import CredentialReferences
from weir.runtime.bootstrap import WORKSPACE, Stores
from weir.runtime.finding import Finding
from weir.runtime.settings import Settings

_SUBJECT = "WEIR_CREDENTIALS"
_SHOWN = 5


def credential_findings(stores: Stores, settings: Settings) -> Iterator[Finding]:
    """Reads one item of every workspace that has keys; asks no source for a key. Raises LedgerUnavailable."""
    references = CredentialReferences(stores.configurations.store)
    found = [
        (workspace, each)
        for workspace in sorted({WORKSPACE, *stores.keys.workspaces()})
        for each in references.of(workspace).values()
    ]
    if not found:
        return
    if not settings.credentials:
        named = _shown([f"{each.provider} of {workspace}" for workspace, each in found])
        are = "is" if len(found) == 1 else "are"
        says = f"not set, so the {_keys(len(found))} that workspaces name ({named}) {are} not used: "
        says += "calls go out with the operator's"
        if settings.engine == "dynamodb":
            hint = "; the stack's functions have theirs from CredentialsPath and CredentialSecretArns"
            yield Finding(_SUBJECT, "note", says + hint)
        else:
            yield Finding(_SUBJECT, "wrong", says)
        return
    refused = [
        f"{each.provider} of {workspace} in {each.reference}"
        for workspace, each in found
        if not is_allowed(each.reference, settings.credentials, workspace=workspace, by_operator=each.by_operator)
    ]
    if refused:
        says = f"does not allow {_keys(len(refused))} that workspaces name, and calls to those providers fail"
        yield Finding(_SUBJECT, "wrong", f"{says}: {_shown(refused)}")
    else:
        yield Finding(_SUBJECT, "ok", f"allows all of the {_keys(len(found))} that workspaces name")


def _keys(count: int) -> str:
    return "1 key" if count == 1 else f"{count} keys"


def _shown(names: list[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
