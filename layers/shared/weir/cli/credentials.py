"""`weir credentials`: where each tenant's provider keys lie, named, listed and removed where the ledger is."""

import argparse
import json
import os
import sys
from typing import TYPE_CHECKING

from weir.cli.tenants import warn_of_unknown_tenant
from weir.runtime.settings import Settings

if TYPE_CHECKING:
    from weir.services.credentials import Credentials, Editor

_EPILOG = (
    "Works on the ledger that the settings name, as the functions do: SQLite in WEIR_DATA_DIR, or with "
    "WEIR_ENGINE=dynamodb the table WEIR_TABLE. WEIR_CREDENTIALS says what references may begin with, separated by "
    "commas; servers need the same. A server that runs meanwhile knows within ten seconds."
)


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    credentials = commands.add_parser(
        "credentials",
        help="say where tenants' provider keys lie",
        description="A tenant's own keys for providers, by reference: Weir keeps where a key lies, never the key.",
        epilog=_EPILOG,
    )
    actions = credentials.add_subparsers(dest="action", required=True, metavar="action")

    named = actions.add_parser(
        "set",
        help="name the key for a provider",
        description="Calls of the tenant to that provider use this key from then on, and never the operator's.",
        epilog=_EPILOG,
    )
    named.add_argument("provider", help="as in provider/model")
    named.add_argument(
        "reference", help="ssm:/path/name, secretsmanager:name-or-arn, with #field for a member of its JSON, env:NAME"
    )
    named.set_defaults(run=_set)

    listed = actions.add_parser("list", help="list what is named", description="Never shows a key.", epilog=_EPILOG)
    listed.set_defaults(run=_list)

    removed = actions.add_parser(
        "remove",
        help="use the operator's key again",
        description="The tenant's calls to that provider use the operator's key again.",
        epilog=_EPILOG,
    )
    removed.add_argument("provider", help="as in provider/model")
    removed.set_defaults(run=_remove)

    for parser in (named, listed, removed):
        parser.add_argument(
            "--tenant", default="default", metavar="NAME", help="whose; default: the operator's own workspace"
        )
        parser.add_argument("--json", action="store_true", help="for machines; times in milliseconds")


def _set(arguments: argparse.Namespace) -> int:
    from weir.http.credential_references import checked_provider, reference_view

    editor = _operator(arguments)
    found = _open().set(editor, checked_provider(arguments.provider), arguments.reference)
    if arguments.json:
        print(json.dumps(reference_view(found, operator=True), indent=2))
    else:
        print(f"{editor.workspace} calls {found.provider} with the key in {found.reference}, within ten seconds.")
    _warn_of_unknown(found.provider)
    warn_of_unknown_tenant(editor.workspace)
    return 0


def _warn_of_unknown(provider: str) -> None:
    from weir.providers.catalog import CATALOG

    if all(provider != known.name for known in CATALOG):
        variable = provider.upper().replace("-", "_")
        said = f"{provider} is a provider only where {variable}_BASE_URL and {variable}_API_KEY are set for the server."
        print(f"weir: {said}", file=sys.stderr)


def _list(arguments: argparse.Namespace) -> int:
    from weir.http.credential_references import reference_view

    found = _open().of(_operator(arguments).workspace)
    if arguments.json:
        print(json.dumps([reference_view(each, operator=True) for each in found], indent=2))
    elif not found:
        print(f"{arguments.tenant} names no keys of its own; its calls use the operator's.")
    else:
        width = max(len(each.provider) for each in found)
        for each in found:
            by = "operator" if each.by_operator else "tenant"
            print(f"{each.provider.ljust(width)}  {each.reference}  (set by the {by}, {each.set_at:%Y-%m-%d %H:%MZ})")
    return 0


def _remove(arguments: argparse.Namespace) -> int:
    from weir.http.credential_references import checked_provider, reference_view

    editor = _operator(arguments)
    found = _open().remove(editor, checked_provider(arguments.provider))
    if arguments.json:
        print(json.dumps(reference_view(found, operator=True), indent=2))
    else:
        print(f"{editor.workspace} calls {found.provider} with the operator's key again, within ten seconds.")
    return 0


def _operator(arguments: argparse.Namespace) -> "Editor":
    from weir.http.api_keys import checked_name
    from weir.services.credentials import Editor

    return Editor(checked_name(arguments.tenant, "tenant"), operator=True)


def _open() -> "Credentials":
    from weir.runtime.bootstrap import open_credentials

    return open_credentials(Settings.from_environ(os.environ))
