"""Tenants without keys: what is set for one holds for no call, and a slip of the pen is soon made."""

import difflib
import os
import sys

from weir.runtime.settings import Settings


def warn_of_unknown_tenant(tenant: str) -> None:
    """On standard error: a tenant begins with its first key, and may be set up before. May raise LedgerUnavailable."""
    from weir.runtime.bootstrap import WORKSPACE, open_key_store

    if tenant == WORKSPACE:
        return
    known = open_key_store(Settings.from_environ(os.environ)).workspaces()
    if tenant not in known:
        near = difflib.get_close_matches(tenant, known, n=1)
        meant = f" Did you mean {near[0]!r}?" if near else ""
        print(f"weir: the tenant {tenant!r} has no API keys yet, so this holds for no call.{meant}", file=sys.stderr)
