"""The `weir` command."""

import argparse
import json
import os
import secrets
import shutil
import sys
from pathlib import Path

from weir import __version__
from weir.cli import analytics, archive, config, credentials, deadletters, keys, limits, rebuild
from weir.domain.errors import WeirError
from weir.runtime.settings import Settings, SettingsInvalid


def arguments_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="weir", description="LLM gateway and request ledger.")
    parser.add_argument("--version", action="version", version=f"weir {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    dev = commands.add_parser("dev", help="serve every route on this machine, data in a folder, no AWS")
    dev.add_argument("--port", type=int, help="default: $PORT or 8787; 0 takes a free one")
    dev.set_defaults(run=_dev)
    doctor = commands.add_parser(
        "doctor",
        help="check the settings, and list what can be called from here",
        description="Checks the settings and lists the providers: where each is, which variable holds its key, and "
        "what its formats cannot express. Calls no provider and shows no key. Exit code 1 if something is wrong; "
        "a key that is not set is not.",
    )
    doctor.add_argument("--json", action="store_true", help="for machines: everything, with every feature")
    doctor.set_defaults(run=_doctor)
    analytics.register(commands)
    deadletters.register(commands)
    archive.register(commands)
    rebuild.register(commands)
    keys.register(commands)
    credentials.register(commands)
    config.register(commands)
    limits.register(commands)
    return parser


def main() -> int:
    arguments = arguments_parser().parse_args()
    try:
        return int(arguments.run(arguments))
    except SettingsInvalid as exc:
        print(f"weir: {exc}", file=sys.stderr)
        return 2
    except WeirError as exc:
        print(f"weir: {exc}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("weir: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # `| head` has seen enough; nothing is to be written at the end, either
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _dev(arguments: argparse.Namespace) -> int:
    """One process, one event loop: SQLite's group commit and aiohttp's connections carry the load."""
    if arguments.port is not None:
        os.environ["PORT"] = str(arguments.port)
    os.environ.setdefault("WEIR_ENGINE", "sqlite")
    os.environ.setdefault("WEIR_TRANSPORT", "aiohttp")
    settings = Settings.from_environ(os.environ)
    if settings.api_key is None:
        os.environ["WEIR_API_KEY"] = _local_key(settings.data_dir)

    from weir.runtime.local_server import serve

    return serve(Settings.from_environ(os.environ))


def _doctor(arguments: argparse.Namespace) -> int:
    from weir.runtime.doctor import examine
    from weir.runtime.doctor_text import to_text

    report = examine(os.environ)
    if arguments.json:
        print(json.dumps({"version": __version__, **report.to_json()}, indent=2))
    else:
        print(f"Weir {__version__}\n\n{to_text(report, shutil.get_terminal_size((100, 24)).columns)}")
    return 0 if report.well else 1


def _local_key(data_dir: Path) -> str:
    """The key of this data folder, made at the first start."""
    path = data_dir / "key"
    if not path.exists():
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.touch(mode=0o600)
        path.write_text(f"weir-{secrets.token_urlsafe(24)}\n", encoding="utf-8")
    return path.read_text(encoding="utf-8").strip()
