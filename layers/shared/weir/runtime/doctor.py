"""What `weir doctor` finds out: whether the settings make sense, and what this installation can call. Never a key."""

import asyncio
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from weir.domain.errors import LedgerUnavailable
from weir.ledger.spill import Spill
from weir.providers.catalog import Provider, vertex_place
from weir.providers.features import Format, formats
from weir.providers.registry import Registry
from weir.providers.variables import variables_of
from weir.runtime.bootstrap import WORKSPACE, environment_secrets, open_blobs, open_stores
from weir.runtime.doctor_credentials import credential_findings
from weir.runtime.doctor_ledger import ledger_findings
from weir.runtime.finding import Finding
from weir.runtime.settings import Settings, SettingsInvalid
from weir.runtime.weak_keys import weakness

_LEAST_SECRET = 8
"""Shorter ones are looked for in no address: they are parts of words."""


@dataclass(frozen=True, slots=True)
class Reach:
    """One provider as this installation would call it.

    `key` says where the key is found, or where it would be looked for; `usable`: a call would have what it needs.
    """

    name: str
    base_url: str
    key: str
    usable: bool
    formats: tuple[Format, ...]


@dataclass(frozen=True, slots=True)
class Report:
    findings: tuple[Finding, ...]
    providers: tuple[Reach, ...]

    @property
    def well(self) -> bool:
        return all(finding.verdict != "wrong" for finding in self.findings)

    def to_json(self) -> dict[str, Any]:
        return {
            "ok": self.well,
            "settings": [
                {"subject": each.subject, "verdict": each.verdict, "says": each.says} for each in self.findings
            ],
            "providers": [
                {
                    "name": each.name,
                    "base_url": each.base_url,
                    "key": each.key,
                    "usable": each.usable,
                    "formats": [
                        {"model": called(form), "protocol": form.protocol.name, "features": dict(form.features)}
                        for form in each.formats
                    ],
                }
                for each in self.providers
            ],
        }


def examine(environ: Mapping[str, str]) -> Report:
    """Opens the ledger if there is one, calls no provider."""
    registry = Registry.from_environ(environ)
    findings = (*_settings(environ), *_providers(registry, environ))
    return Report(findings, tuple(_reach(provider, environ) for provider in registry.providers))


def called(form: Format) -> str:
    """How a model is named that is to be asked in this format."""
    return f"{form.provider}/{form.api}/<model>" if form.api else f"{form.provider}/<model>"


def _settings(environ: Mapping[str, str]) -> Iterator[Finding]:
    try:
        settings = Settings.from_environ(environ)
    except SettingsInvalid as exc:
        subject, _, says = str(exc).partition(": ")
        yield Finding(subject, "wrong", says)
        return
    yield _api_key(settings)
    if settings.engine == "sqlite":
        folder = _data_dir(settings.data_dir)
        yield folder
        if folder.verdict == "wrong":
            return
    yield from _engine(settings)


def _api_key(settings: Settings) -> Finding:
    if settings.api_key is None:
        if settings.engine == "dynamodb":
            return Finding("WEIR_API_KEY", "note", "not set here; the stack's functions have theirs")
        return Finding("WEIR_API_KEY", "note", f"not set; weir dev keeps one of its own in {settings.data_dir / 'key'}")
    if (weak := weakness(settings.api_key)) is not None:
        return Finding("WEIR_API_KEY", "wrong", f"set, but weak: {weak}")
    return Finding("WEIR_API_KEY", "ok", "set")


def _data_dir(folder: Path) -> Finding:
    if not folder.exists():
        there = next(parent for parent in folder.absolute().parents if parent.exists())
        says = f"{folder} does not exist; the first start makes it"
    else:
        there, says = folder, f"{folder} can be written"
    try:
        with tempfile.TemporaryFile(dir=there):
            return Finding("WEIR_DATA_DIR", "ok", says)
    except OSError as exc:
        return Finding("WEIR_DATA_DIR", "wrong", f"{there} cannot be written: {exc.strerror}")


def _engine(settings: Settings) -> Iterator[Finding]:
    """Reads the newest record, as any reader does, and how far the projector is."""
    if settings.engine == "sqlite" and not (settings.data_dir / "ledger.sqlite").exists():
        yield Finding("WEIR_ENGINE", "ok", "sqlite; there is no ledger yet")
        yield _backlog(settings)
        return
    try:
        found = _read_aws(settings) if settings.engine == "dynamodb" else _read(settings)
    except (SettingsInvalid, LedgerUnavailable, OSError, sqlite3.Error) as exc:
        cause = f" ({type(exc.__cause__).__name__})" if exc.__cause__ is not None else ""
        yield Finding("WEIR_ENGINE", "wrong", f"{settings.engine} cannot be used: {exc}{cause}")
        return
    yield Finding("WEIR_ENGINE", "ok", f"{settings.engine} answers")
    yield _backlog(settings)
    yield from found


def _backlog(settings: Settings) -> Finding:
    """What the record store refused and has not taken back."""
    try:
        backlog = Spill(open_blobs(settings)).backlog()
    except LedgerUnavailable as exc:
        return Finding("spill", "wrong", str(exc))
    if backlog.oldest is None:
        return Finding("spill", "ok", "nothing waits to be put back")
    oldest = backlog.oldest.isoformat(timespec="seconds").replace("+00:00", "Z")
    return Finding("spill", "note", f"{backlog.count} records wait to be put back, the oldest since {oldest}")


def _read(settings: Settings) -> list[Finding]:
    stores = open_stores(settings)
    try:
        asyncio.run(stores.ledger.newest(WORKSPACE, limit=1))
        return [*ledger_findings(stores, settings, WORKSPACE), *credential_findings(stores, settings)]
    finally:
        stores.ledger.close()


def _read_aws(settings: Settings) -> list[Finding]:
    from weir.ledger import aws
    from weir.ledger.s3 import open_s3

    with aws.refused_as("The AWS environment is not complete."):  # no region, no credentials
        open_s3(settings.bucket or "").get("weir-doctor")
        return _read(settings)


def _providers(registry: Registry, environ: Mapping[str, str]) -> Iterator[Finding]:
    for provider in registry.providers:
        subject = variables_of(provider).addresses[:1] or (provider.name,)
        if not _is_address(provider.base_url):
            yield Finding(subject[0], "wrong", "is not an http:// or https:// address")
        if (missing := _missing(provider, registry.has_key(provider), environ)) is not None:
            yield Finding(provider.name, "wrong", missing)
    if bool(environ.get("AWS_ACCESS_KEY_ID")) != bool(environ.get("AWS_SECRET_ACCESS_KEY")):
        yield Finding("AWS_ACCESS_KEY_ID", "wrong", "means nothing without AWS_SECRET_ACCESS_KEY, nor that without it")
    for name in sorted(name for name in environ if name.endswith("_BASE_URL")):
        key = name.removesuffix("_BASE_URL") + "_API_KEY"
        if not environ.get(key) and len(Registry.from_environ({**environ, key: "any"}).providers) > len(
            registry.providers
        ):
            yield Finding(name, "note", f"names no provider yet; it takes {key} as well")


def _missing(provider: Provider, keyed: bool, environ: Mapping[str, str]) -> str | None:
    """What a provider that has a key lacks besides."""
    if keyed and (urlsplit(provider.base_url).hostname or "").endswith(".invalid"):
        return f"has a key and no address: set {' or '.join(variables_of(provider).addresses)}"
    if keyed and provider.name == "vertex" and not vertex_place(environ)[0]:
        return "has a key and no project: set VERTEX_PROJECT"
    return None


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _reach(provider: Provider, environ: Mapping[str, str]) -> Reach:
    variables = variables_of(provider)
    found = variables.key_set(environ)
    if found is not None:
        key = f"{' and '.join(found)}: set"
    elif not variables.keys:
        key = "not needed"
    elif provider.key == "aws":
        key = f"{variables.keys[1][0]}: not set; asks AWS's chain"
    else:
        key = f"{variables.keys[0][0]}: not {'needed' if provider.keyless else 'set'}"
    usable = (found is not None or provider.keyless) and _missing(provider, True, environ) is None
    if provider.key == "none":
        usable = True
    return Reach(provider.name, _shown(provider.base_url, environ), key, usable, formats(provider, environ))


def _shown(url: str, environ: Mapping[str, str]) -> str:
    """The address without the places where people put keys: user, query, and any key that stands in it."""
    if not _is_address(url):
        return "not an address"
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    if host.endswith(".invalid"):
        return "" if parts.scheme == "http" else "not set"
    shown = f"{parts.scheme}://{host}{parts.path}"
    for secret in environment_secrets(environ):
        if len(secret) >= _LEAST_SECRET:
            shown = shown.replace(secret, "***")
    return shown
