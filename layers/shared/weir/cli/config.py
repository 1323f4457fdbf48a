"""`weir config`: a tenant's configuration as a file, and its versions, where the ledger is."""

import argparse
import asyncio
import difflib
import json
import os
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from weir.cli.tenants import warn_of_unknown_tenant
from weir.domain.errors import NotFound, WeirError
from weir.domain.versions import OPERATOR, LevelChange, Version, difference
from weir.runtime.settings import Settings

if TYPE_CHECKING:
    from weir.services.configure import Configure

_EPILOG = (
    "Works on the ledger that the settings name, as the functions do: SQLite in WEIR_DATA_DIR, or with "
    "WEIR_ENGINE=dynamodb the table WEIR_TABLE. Whoever can read and write that is the operator; no key is asked for. "
    "A server that runs meanwhile knows within ten seconds."
)
_STANDARD = "-"
_REFUSED = 2


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    config = commands.add_parser(
        "config",
        help="keep the configuration as a file, see its versions and go back",
        description="What is set for the calls of a tenant: for its workspace, applications, intent groups, intents.",
        epilog=_EPILOG,
    )
    actions = config.add_subparsers(dest="action", required=True, metavar="action")

    def action(name: str, help: str, description: str) -> argparse.ArgumentParser:
        parser = actions.add_parser(name, help=help, description=description, epilog=_EPILOG)
        parser.add_argument("--tenant", default="default", metavar="NAME", help="default: the operator's own")
        return parser

    export = action("export", "write it as TOML", "Writes all that is set as TOML, always in the same order.")
    export.add_argument("file", nargs="?", default=_STANDARD, help="default: standard output")
    export.set_defaults(run=_export)

    apply = action(
        "apply",
        "set what a TOML file says",
        "Sets what the file says, and takes away what it does not name. Shows the differences first, and asks.",
    )
    apply.add_argument("file", help="as export writes it; - is standard input")
    apply.set_defaults(run=_apply)

    log = action("log", "list the versions", "Lists the versions, the newest first: who changed what, and when.")
    log.add_argument("--limit", type=int, default=20, metavar="N", help="default: 20; 1,000 are kept")
    log.set_defaults(run=_log)

    show = action("show", "show what a version changed", "Shows what a version changed, value by value.")
    show.add_argument("version", nargs="?", type=int, help="default: the newest")
    show.set_defaults(run=_show)

    rollback = action(
        "rollback",
        "set again what was set after a version",
        "Makes a new version in which everything is set as it was after that one; 0 is the beginning. Shows the "
        "differences first, and asks.",
    )
    rollback.add_argument("version", type=int)
    rollback.set_defaults(run=_rollback)

    for parser in (apply, rollback):
        parser.add_argument("--yes", action="store_true", help="do not ask")
        parser.add_argument("--dry-run", action="store_true", help="show the differences, and change nothing")
    for parser in (log, show):
        parser.add_argument("--json", action="store_true", help="for machines; times in milliseconds")


def _export(arguments: argparse.Namespace) -> int:
    from weir.cli.config_file import to_toml

    snapshot = asyncio.run(_open().snapshot(arguments.tenant))
    text = to_toml(snapshot.values)
    if arguments.file == _STANDARD:
        print(text, end="")
        return 0
    try:
        Path(arguments.file).write_text(text, encoding="utf-8", newline="\n")
    except OSError as exc:
        raise WeirError(f"{arguments.file} cannot be written: {exc.strerror}.") from None
    print(f"{arguments.file}: version {snapshot.version} of {arguments.tenant}", file=sys.stderr)
    return 0


def _apply(arguments: argparse.Namespace) -> int:
    from weir.cli.config_file import from_toml
    from weir.runtime.bootstrap import environment_secrets
    from weir.services.configure import Editor

    name = "standard input" if arguments.file == _STANDARD else arguments.file
    values = from_toml(_read(arguments.file), name, environment_secrets(os.environ))
    configure = _open()
    snapshot = asyncio.run(configure.snapshot(arguments.tenant))
    if not _agreed(difference(snapshot.values, values), arguments, "apply"):
        return _REFUSED
    if arguments.dry_run:
        return 0
    editor = Editor(OPERATOR, snapshot.version)
    note = f"applied {Path(name).name[:100]}"
    made = _made(asyncio.run(configure.replace(arguments.tenant, values, editor, note=note)))
    warn_of_unknown_tenant(arguments.tenant)
    return made


def _rollback(arguments: argparse.Namespace) -> int:
    from weir.services.configure import Editor

    configure = _open()
    snapshot, values = asyncio.run(configure.plan_roll_back(arguments.tenant, arguments.version))
    if not _agreed(difference(snapshot.values, values), arguments, "roll back"):
        return _REFUSED
    if arguments.dry_run:
        return 0
    editor = Editor(OPERATOR, snapshot.version)
    return _made(asyncio.run(configure.roll_back(arguments.tenant, arguments.version, editor)))


def _log(arguments: argparse.Namespace) -> int:
    from weir.http.config_views import version_view

    versions = asyncio.run(_open().versions(arguments.tenant, limit=max(arguments.limit, 0)))
    if arguments.json:
        print(json.dumps([version_view(version) for version in versions], indent=2))
    for version in () if arguments.json else versions:
        print(_headline(version))
    if not versions and not arguments.json:
        print("Nothing was ever set.")
    return 0


def _show(arguments: argparse.Namespace) -> int:
    from weir.http.config_views import version_view

    version = asyncio.run(_version(_open(), arguments.tenant, arguments.version))
    if arguments.json:
        print(json.dumps(version_view(version), indent=2))
    else:
        print(_headline(version))
        print("\n".join(_lines(version.changes)))
    return 0


async def _version(configure: "Configure", tenant: str, number: int | None) -> Version:
    if number is not None:
        return await configure.version(tenant, number)
    for version in await configure.versions(tenant, limit=1):
        return version
    raise NotFound("Nothing was ever set.")


def _agreed(changes: tuple[LevelChange, ...], arguments: argparse.Namespace, verb: str) -> bool:
    """Shows the changes, and asks for a yes unless that was given, or there is nothing to ask."""
    if not changes:
        if arguments.dry_run:
            print("There is nothing to change.")
        return True
    print("\n".join(_lines(changes)))
    if arguments.yes or arguments.dry_run:
        return True
    if not sys.stdin.isatty() or ("file" in arguments and arguments.file == _STANDARD):
        print(f"weir: nobody is there to be asked; --yes will {verb} it.", file=sys.stderr)
        return False
    try:
        answer = input(f"{verb.capitalize()} this? [y/N] ")
    except EOFError:
        answer = ""
    if answer.strip().lower() in ("y", "yes"):
        return True
    print("Nothing was changed.", file=sys.stderr)
    return False


def _made(versions: tuple[Version, ...]) -> int:
    if not versions:
        print("There is nothing to change.")
    for version in versions:
        print(f"Version {version.number} holds. Servers know within ten seconds.")
    return 0


def _open() -> "Configure":
    from weir.runtime.bootstrap import open_configure

    return open_configure(Settings.from_environ(os.environ))


def _read(file: str) -> str:
    try:
        return sys.stdin.read() if file == _STANDARD else Path(file).read_text(encoding="utf-8")
    except OSError as exc:
        raise WeirError(f"{file} cannot be read: {exc.strerror}.") from None
    except UnicodeDecodeError:
        raise WeirError(f"{file} is not UTF-8.") from None


def _headline(version: Version) -> str:
    from weir.cli.config_file import dotted, path_of

    by = version.by if version.by == OPERATOR else f"weir_{version.by}"
    where = [f"{dotted(path_of(change.level))} ({', '.join(change.names)})" for change in version.changes[:3]]
    more = len(version.changes) - len(where)
    parts = [f"{version.number:>4}  {_minute(version.at)}  {by}", version.note, "; ".join(where)]
    return "  ".join(part for part in parts if part) + (f"; {more} more" if more else "")


def _lines(changes: tuple[LevelChange, ...]) -> Iterator[str]:
    from weir.cli.config_file import dotted, path_of

    for change in changes:
        yield f"[{dotted(path_of(change.level))}]"
        for name in change.names:
            yield from _value_lines(name, change.before.get(name), change.after.get(name))


def _value_lines(name: str, before: Any, after: Any) -> Iterator[str]:
    """None is not set. Of long texts the lines that differ."""
    if isinstance(before, str) and isinstance(after, str) and "\n" in before + after:
        yield f"  {name}:"
        lines = difflib.unified_diff(before.split("\n"), after.split("\n"), n=1, lineterm="")
        yield from (f"    {line}" for line in list(lines)[2:])
        return
    if before is not None:
        yield f"  - {name} = {json.dumps(before, ensure_ascii=False)}"
    if after is not None:
        yield f"  + {name} = {json.dumps(after, ensure_ascii=False)}"


def _minute(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%d %H:%MZ")
