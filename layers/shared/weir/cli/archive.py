"""`weir verify`: is the archive as it was written? `weir erase`: what somebody has left, gone from everywhere."""

import argparse
import json
import os
import sys
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from weir.cli.folder import require_data
from weir.runtime.settings import Settings

if TYPE_CHECKING:
    from weir.ledger.archive import Archive
    from weir.ledger.seals import Seals
    from weir.services.erase import Whose
    from weir.services.verify import Findings

_BAR = 30


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    verify = commands.add_parser(
        "verify",
        help="check that the archive is as it was written",
        description="Computes every hash of the archive anew and names the first thing that is not as it was written. "
        "An erasure made by weir is no such thing. Exit code 1 if something was changed. A folder is looked at as if "
        "the archive were kept for ever; --since leaves out what has expired.",
    )
    verify.add_argument("--workspace", help="default: each that has an archive")
    verify.add_argument(
        "--since", type=instant, metavar="TIME", help="the first hour, in UTC: 2026-03-01 or 2026-03-01T12"
    )
    verify.add_argument("--before", type=instant, metavar="TIME", help="the hour after the last")
    verify.add_argument("--folder", type=Path, help="a copy of the bucket, or a data folder's blobs; needs no settings")
    verify.add_argument("--anchor", metavar="HASH", help="of a seal, written down elsewhere, that must be there")
    verify.add_argument("--json", action="store_true", help="for machines: one line for each workspace")
    verify.set_defaults(run=run_verify)
    erase = commands.add_parser(
        "erase",
        help="erase the calls of a session, a customer or a user",
        description="Erases calls from the table, the payloads, what was put aside, and the archive, and says what was "
        "removed. Sums by customer and sessions are summed up anew without the calls; sums that name nobody keep "
        "them. It can be asked for again after it was interrupted, and goes on.",
    )
    whose = erase.add_mutually_exclusive_group(required=True)
    whose.add_argument("--session", metavar="ID", type=named, help="calls of that session")
    whose.add_argument("--customer", metavar="ID", type=named, help="calls with that customer_identifier")
    whose.add_argument("--user", metavar="ID", type=named, help="calls with that user id")
    erase.add_argument("--workspace", required=True)
    erase.add_argument("--dry-run", action="store_true", help="only say how many calls there are")
    erase.add_argument("--json", action="store_true", help="for machines")
    erase.set_defaults(run=run_erase)


def run_verify(arguments: argparse.Namespace) -> int:
    from weir.domain.errors import LedgerUnavailable
    from weir.ledger.archive_format import Broken
    from weir.ledger.files import FileBlobStore
    from weir.ledger.seals import Seals
    from weir.runtime.bootstrap import now, open_archive, open_blobs
    from weir.services.verify import verify

    if arguments.folder is not None and not arguments.folder.is_dir():
        print(f"weir: {arguments.folder} is no folder", file=sys.stderr)
        return 2
    if arguments.anchor is not None and arguments.workspace is None:
        print("weir: --anchor is one of a workspace's seals: say which, with --workspace", file=sys.stderr)
        return 2
    local = arguments.folder is not None
    settings = Settings() if local else Settings.from_environ(os.environ)
    if not local:
        require_data(settings)
    blobs = FileBlobStore(arguments.folder) if local else open_blobs(settings)
    archive, seals = open_archive(blobs), Seals(blobs)
    well = True
    try:
        names = _workspaces(archive, seals, arguments.workspace)
        if arguments.anchor is not None:
            names = [arguments.workspace]
        elif arguments.workspace is not None and not names:
            print(f"weir: the workspace {arguments.workspace} has no archive", file=sys.stderr)
            return 2
        for workspace in names:
            progress = bar(f"verifying {workspace}")
            findings = verify(
                archive,
                seals,
                workspace,
                since=arguments.since,
                before=arguments.before,
                kept_since=settings.retention.kept_since(workspace, "archive", now()),
                anchor=arguments.anchor,
                progress=progress,
            )
            progress(1, 1)  # it may have stopped half-way
            well = well and findings.broken is None
            print(json.dumps(asdict(findings)) if arguments.json else to_text(findings))
    except (LedgerUnavailable, Broken) as exc:
        print(f"weir: {exc}", file=sys.stderr)
        return 1
    if not names:
        print("There is no archive.", file=sys.stderr)
    return 0 if well else 1


def _workspaces(archive: "Archive", seals: "Seals", asked: str | None) -> list[str]:
    """Those that have an archive, or seals that say so; only the one asked for, if it has."""
    if asked is None:
        return sorted({*archive.workspaces(), *seals.workspaces()})
    return [asked] if seals.last(asked) is not None or any(archive.partitions(asked)) else []


def run_erase(arguments: argparse.Namespace) -> int:
    from weir.domain.errors import LedgerUnavailable
    from weir.ledger.archive_format import Broken
    from weir.runtime.bootstrap import open_archive, open_stores
    from weir.services.erase import Subject, erase, find

    given: tuple[tuple[Whose, str | None], ...] = (
        ("session_id", arguments.session),
        ("customer_identifier", arguments.customer),
        ("user_id", arguments.user),
    )
    ((whose, value),) = ((name, value) for name, value in given if value is not None)
    subject = Subject(arguments.workspace, whose, value)
    settings = Settings.from_environ(os.environ)
    require_data(settings)
    stores = open_stores(settings)
    ledger = stores.ledger
    try:
        archive = open_archive(ledger.blobs)
        found: dict[str, int]
        if arguments.dry_run:
            hours = find(ledger, archive, subject, progress=steps())
            found = {"calls": sum(map(len, hours.values())), "archive_hours": len(hours)}
        else:
            found = asdict(erase(ledger, archive, stores.projections, subject, progress=steps()))
    except (LedgerUnavailable, Broken) as exc:
        print(f"weir: {exc} Not finished: run it again.", file=sys.stderr)
        return 1
    finally:
        ledger.close()
    if arguments.json:
        print(json.dumps({**found, "dry_run": arguments.dry_run}))
    else:
        print("Would erase:" if arguments.dry_run else "Erased:")
        print("\n".join(f"  {count:>8}  {name.replace('_', ' ')}" for name, count in found.items()))
    return 0


def to_text(findings: "Findings") -> str:
    lines = [
        f"{findings.workspace}: {findings.members} members in {findings.objects} objects of {findings.hours} hours"
        f"{f', {findings.erased} of them erased' if findings.erased else ''}"
    ]
    if findings.expired:
        lines.append(f"  {findings.expired} hours are past the time that the archive is kept and were not looked at")
    if findings.unfinished:
        lines.append(f"  an erasure is not finished: {findings.unfinished} members are still there; run it again")
    if findings.seal is not None:
        lines.append(f"  last seal: {findings.seal[0]}, hash {findings.seal[1]}")
    elif findings.broken is None:
        lines.append("  no seals: that the last object of an hour is gone would not show")
    if (broken := findings.broken) is None:
        lines.append("  as it was written")
    else:
        member = "" if broken.member is None else f", member {broken.member} ({broken.id})"
        lines.append(f"  BROKEN at {broken.key}{member}:\n    {broken.says}")
    return "\n".join(lines)


def named(text: str) -> str:
    """Raises ArgumentTypeError: an empty name is a shell's variable that was not set, and never somebody's."""
    if not text:
        raise argparse.ArgumentTypeError("is empty")
    return text


def instant(text: str) -> datetime:
    """A date or a date and time, in UTC unless it says otherwise. Raises ArgumentTypeError."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        message = f"{text!r} is not a date or time such as 2026-03-01 or 2026-03-01T12"
        raise argparse.ArgumentTypeError(message) from None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def bar(title: str) -> Callable[[int, int], None]:
    """A line that is written over as the work goes on, where a person looks at it."""
    if not sys.stderr.isatty():
        return lambda done, of: None

    def show(done: int, of: int) -> None:
        full = _BAR if of == 0 else _BAR * done // of
        end = "\r\033[K" if done >= of else ""
        print(f"\r{title} [{'#' * full}{'.' * (_BAR - full)}] {done}/{of}{end}", end="", file=sys.stderr, flush=True)

    return show


def steps() -> Callable[[str, int, int], None]:
    """As `bar`, for work of several steps, of which some do not know how much there is."""
    if not sys.stderr.isatty():
        return lambda what, done, of: None

    def show(what: str, done: int, of: int) -> None:
        count = f"{done}/{of}" if of else str(done)
        print(f"\r\033[K{what}: {count}", end="\r", file=sys.stderr, flush=True)

    return show
