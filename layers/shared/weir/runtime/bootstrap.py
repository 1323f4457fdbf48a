"""The one place that wires: settings, keys, ledger, providers, client and clocks into a Runtime."""

import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, cached_property, partial
from typing import TYPE_CHECKING, Any, NamedTuple

from weir.domain.api_key import RANDOM_BITS
from weir.domain.ids import milliseconds, uuid7
from weir.http.auth import Keyring, Principal
from weir.ledger import payloads
from weir.ledger.configuration import Configurations
from weir.ledger.files import FileBlobStore
from weir.ledger.ledger import Ledger
from weir.ledger.limit_rules import LimitRules
from weir.ledger.numbering import Numbering
from weir.ledger.ports import BlobStore, ConfigStore, KeyStore
from weir.ledger.spill import Spill
from weir.runtime.settings import Settings, SettingsInvalid
from weir.runtime.weak_keys import HOW_TO_MAKE_ONE, weakness
from weir.services.defaults import Defaults
from weir.services.keys import Keys
from weir.services.limit_rules import LimitBook

if TYPE_CHECKING:
    from weir.ledger.archive import Archive
    from weir.ledger.counters import CounterStore
    from weir.ledger.projections import Projections
    from weir.ledger.sqlite import SQLiteRecordStore
    from weir.providers.client import ProviderClient
    from weir.services.attempt import Recorder
    from weir.services.cache import AnswerCache
    from weir.services.complete import Completions
    from weir.services.configure import Configure
    from weir.services.credentials import Credentials
    from weir.services.embed import Embedder
    from weir.services.lending import Lending
    from weir.services.limits import Limits
    from weir.services.offered_models import OfferedModels

WORKSPACE = "default"
"""The workspace of the key in WEIR_API_KEY."""

_SECRET_ENDS = ("_API_KEY", "_SECRET_ACCESS_KEY", "_SESSION_TOKEN", "_BEARER_TOKEN_BEDROCK")


@dataclass(frozen=True)
class Runtime:
    """What every function may use. `now` gives UTC instants in whole milliseconds, `new_id` record ids for an instant.

    `secrets` must never be stored or shown, whoever sends them. Without `lending` no workspace has provider keys.
    """

    settings: Settings
    keyring: Keyring
    keys: Keys
    ledger: Ledger
    configurations: Configurations
    defaults: Defaults
    limits: LimitBook
    open_projections: "Callable[[], Projections]"
    environ: Mapping[str, str]
    secrets: frozenset[str]
    now: Callable[[], datetime]
    new_id: Callable[[datetime], str]
    lending: "Lending | None" = None

    @property
    def projections(self) -> "Projections":
        return self.open_projections()

    @cached_property
    def counters(self) -> "CounterStore":
        """What limits are counted by: one for all of the process, which knows some of it before it is written."""
        return open_counters(self)


def bootstrap(environ: Mapping[str, str], *, weak_key_allowed: bool = False) -> Runtime:
    """Raises SettingsInvalid. A WEIR_API_KEY that can be guessed is refused unless `weak_key_allowed`."""
    settings = Settings.from_environ(environ)
    if settings.api_key is None:
        raise SettingsInvalid("WEIR_API_KEY: must be set")
    if not weak_key_allowed and (weak := weakness(settings.api_key)) is not None:
        raise SettingsInvalid(f"WEIR_API_KEY: is refused outside `weir dev`: {weak}; {HOW_TO_MAKE_ONE}")
    stores = open_stores(settings, Numbering())
    configurations = stores.configurations
    environ = {**settings.providers, **environ}
    return Runtime(
        settings=settings,
        keyring=Keyring({settings.api_key: Principal(WORKSPACE)}, stores.keys, now=now),
        keys=open_keys(stores.keys),
        ledger=stores.ledger,
        configurations=configurations,
        defaults=Defaults(configurations, now=now, clock=time.monotonic),
        limits=LimitBook(LimitRules(configurations.store), now=now, clock=time.monotonic),
        open_projections=stores.open_projections,
        environ=environ,
        secrets=environment_secrets(environ),
        now=now,
        new_id=new_id,
        lending=open_lending(settings, configurations, environ) if settings.credentials else None,
    )


def now() -> datetime:
    instant = datetime.now(UTC)
    return instant.replace(microsecond=instant.microsecond // 1000 * 1000)


def new_id(instant: datetime) -> str:
    return uuid7(milliseconds(instant), secrets.randbits(74))


def environment_secrets(environ: Mapping[str, str]) -> frozenset[str]:
    """The values of the variables that hold keys, by the ends of their names."""
    return frozenset(value for name, value in environ.items() if value and name.endswith(_SECRET_ENDS))


def open_keys(store: KeyStore) -> Keys:
    return Keys(store, WORKSPACE, now=now, random=lambda: secrets.randbits(RANDOM_BITS))


def open_key_store(settings: Settings) -> KeyStore:
    """By itself, for who needs nothing else of the engine."""
    if settings.engine == "dynamodb":
        if settings.table is None:
            raise SettingsInvalid("WEIR_TABLE: must be set when WEIR_ENGINE is dynamodb")
        from weir.ledger import aws
        from weir.ledger.dynamodb_keys import DynamoDBKeyStore

        return DynamoDBKeyStore(aws.client("dynamodb", connections=2), settings.table)
    from weir.ledger.sqlite_keys import SQLiteKeyStore

    return SQLiteKeyStore(settings.data_dir / "ledger.sqlite")


def open_configure(settings: Settings) -> "Configure":
    """By itself, as well."""
    from weir.services.configure import Configure

    configurations = Configurations(open_config_store(settings))
    return Configure(configurations, Defaults(configurations, now=now, clock=time.monotonic), now=now)


def open_config_store(settings: Settings) -> ConfigStore:
    if settings.engine == "dynamodb":
        if settings.table is None:
            raise SettingsInvalid("WEIR_TABLE: must be set when WEIR_ENGINE is dynamodb")
        from weir.ledger import aws
        from weir.ledger.dynamodb_config import DynamoDBConfigStore

        return DynamoDBConfigStore(aws.client("dynamodb", connections=2), settings.table)
    from weir.ledger.sqlite_config import SQLiteConfigStore

    return SQLiteConfigStore(settings.data_dir / "ledger.sqlite")


def open_credentials(settings: Settings, configurations: Configurations | None = None) -> "Credentials":
    """Where provider keys lie, for who edits that."""
    from weir.ledger.credentials import CredentialReferences
    from weir.services.credentials import Credentials

    store = open_config_store(settings) if configurations is None else configurations.store
    return Credentials(CredentialReferences(store), settings.credentials, now=now)


def open_lending(settings: Settings, configurations: Configurations, environ: Mapping[str, str]) -> "Lending":
    from weir.ledger.credentials import CredentialReferences
    from weir.providers.secret_sources import SecretSources
    from weir.services.lending import Lending

    references = CredentialReferences(configurations.store)
    return Lending(references, settings.credentials, SecretSources(environ).read, clock=time.monotonic)


def open_ledger(settings: Settings) -> Ledger:
    return open_stores(settings).ledger


class Stores(NamedTuple):
    ledger: Ledger
    configurations: Configurations
    keys: KeyStore
    open_projections: "Callable[[], Projections]"
    """Who only accepts calls never needs them, and what they are made of."""

    @property
    def projections(self) -> "Projections":
        return self.open_projections()


def open_stores(settings: Settings, numbering: Numbering | None = None) -> Stores:
    """The engine that the settings name. Engines are imported only when they are used.

    Whoever accepts calls has a `numbering`.
    """
    if settings.engine == "dynamodb":
        if settings.table is None or settings.bucket is None:
            raise SettingsInvalid("WEIR_TABLE and WEIR_BUCKET: must be set when WEIR_ENGINE is dynamodb")
        from weir.ledger.dynamodb import open_dynamodb
        from weir.ledger.dynamodb_answers import DynamoDBAnswerStore
        from weir.ledger.dynamodb_config import DynamoDBConfigStore
        from weir.ledger.dynamodb_keys import DynamoDBKeyStore
        from weir.ledger.s3 import open_s3

        records = open_dynamodb(
            settings.table, shards=settings.shards, indexes=settings.indexes, retention=settings.retention
        )
        configurations = Configurations(DynamoDBConfigStore(records.client, settings.table))
        keys = DynamoDBKeyStore(records.client, settings.table)
        blobs = open_s3(settings.bucket)
        ledger = Ledger(
            records,
            blobs,
            level=payloads.SMALL,
            spill=Spill(blobs),
            retention=settings.retention,
            numbering=numbering,
            answers=DynamoDBAnswerStore(records.client, settings.table),
        )
        opening = partial(_dynamodb_projections, records.client, settings.table)
        return Stores(ledger, configurations, keys, cache(opening))
    from weir.ledger.sqlite import SQLiteRecordStore
    from weir.ledger.sqlite_answers import SQLiteAnswerStore
    from weir.ledger.sqlite_config import SQLiteConfigStore
    from weir.ledger.sqlite_keys import SQLiteKeyStore

    path = settings.data_dir / "ledger.sqlite"
    local, files = SQLiteRecordStore(path, indexes=settings.indexes), FileBlobStore(settings.data_dir / "blobs")
    ledger = Ledger(
        local,
        files,
        spill=Spill(files),
        retention=settings.retention,
        numbering=numbering,
        answers=SQLiteAnswerStore(local),
    )
    opening = partial(_sqlite_projections, local, files)
    return Stores(ledger, Configurations(SQLiteConfigStore(path)), SQLiteKeyStore(path), cache(opening))


def _dynamodb_projections(client: Any, table: str) -> "Projections":
    from weir.ledger.dynamodb_projection import DynamoDBProjectionStore
    from weir.ledger.projections import Projections
    from weir.ledger.settlement import CheckedSettlement

    derived = DynamoDBProjectionStore(client, table)
    return Projections(derived, CheckedSettlement(derived))


def _sqlite_projections(records: "SQLiteRecordStore", files: FileBlobStore) -> "Projections":
    from weir.ledger.projections import Projections
    from weir.ledger.sqlite_changes import SQLiteChangeFeed
    from weir.ledger.sqlite_projection import SQLiteProjectionStore

    return Projections(SQLiteProjectionStore(records), SQLiteChangeFeed(records, files))


def open_blobs(settings: Settings) -> BlobStore:
    if settings.engine == "dynamodb":
        if settings.bucket is None:
            raise SettingsInvalid("WEIR_BUCKET: must be set when WEIR_ENGINE is dynamodb")
        from weir.ledger.s3 import open_s3

        return open_s3(settings.bucket)
    return FileBlobStore(settings.data_dir / "blobs")


def open_archive(blobs: BlobStore) -> "Archive":
    """What is put into an hour that the scheduled seals no longer look at is sealed at once."""
    from weir.ledger.archive import Archive
    from weir.ledger.seals import Seals
    from weir.services.seal import seal_late

    return Archive(blobs, nonce=lambda: secrets.token_hex(16), after_put=seal_late(Seals(blobs), now))


def completions(runtime: Runtime) -> "tuple[Completions, Embedder]":
    """The services that call providers, with one client; only the functions that need them import them."""
    from weir.providers.models import ModelList
    from weir.providers.registry import Registry
    from weir.services.complete import Completions
    from weir.services.embed import Embedder

    registry = Registry.from_environ(runtime.environ)
    recorder = _recorder(runtime)
    client = open_client(runtime.settings)
    models = ModelList(registry, client, time.monotonic)
    completing = Completions(registry, client, recorder, models, runtime.settings.deadlines)
    return completing, Embedder(registry, client, recorder, runtime.settings.deadlines)


def _recorder(runtime: Runtime) -> "Recorder":
    from weir.services.attempt import Recorder

    return Recorder(runtime.ledger, runtime.secrets, now=runtime.now, new_id=runtime.new_id, clock=time.perf_counter)


def answer_cache(runtime: Runtime) -> "AnswerCache":
    """For who gets a call that may be answered from it."""
    from weir.services.cache import AnswerCache

    return AnswerCache(runtime.ledger, _recorder(runtime), runtime.secrets)


def limits_in_force(runtime: Runtime) -> "Limits":
    """For who calls providers."""
    from weir.services.limits import Limits

    return Limits(
        runtime.limits,
        runtime.counters,
        _recorder(runtime),
        now=runtime.now,
        clock=time.monotonic,
        deadlines=runtime.settings.deadlines,
    )


def open_counters(runtime: Runtime) -> "CounterStore":
    """Of the engine that the ledger is on."""
    settings, ledger = runtime.settings, runtime.ledger
    if settings.engine == "dynamodb":
        from weir.ledger.dynamodb import DynamoDBRecordStore
        from weir.ledger.dynamodb_counters import DynamoDBCounterStore

        if not isinstance(ledger.records, DynamoDBRecordStore) or settings.table is None:
            raise SettingsInvalid("WEIR_ENGINE: the ledger is on another engine")
        return DynamoDBCounterStore(ledger.records.client, settings.table)
    from weir.ledger.sqlite_counters import SQLiteCounterStore

    return SQLiteCounterStore(settings.data_dir / "limits.sqlite", now=runtime.now)


def offered_models(runtime: Runtime) -> "OfferedModels":
    """The models of this installation's providers, asked through a client of its own."""
    from weir.providers.models import ModelList
    from weir.providers.registry import Registry
    from weir.services.offered_models import OfferedModels

    registry = Registry.from_environ(runtime.environ)
    return OfferedModels(ModelList(registry, open_client(runtime.settings), time.monotonic))


def open_client(settings: Settings) -> "ProviderClient":
    """The process's connections to providers. `aiohttp` carries several times the load, and takes longer to import."""
    import httpx

    from weir.providers.catalog import DEMO
    from weir.providers.client import ProviderClient
    from weir.providers.demo import DemoTransport
    from weir.providers.trust import trusted

    limits = httpx.Limits(max_connections=1000, max_keepalive_connections=200, keepalive_expiry=20)
    transport: httpx.AsyncBaseTransport = httpx.AsyncHTTPTransport(
        verify=trusted(),
        limits=limits,
        retries=1,  # of connecting only
    )
    local: dict[str, httpx.AsyncBaseTransport] = {DEMO.name: DemoTransport()}
    if settings.transport == "aiohttp":
        from weir.runtime.aiohttp_transport import open_transport

        local["bedrock"] = transport  # aiohttp spells the `%3A` of a model id as `:`, and the signature no longer holds
        transport = open_transport()
    timeout = httpx.Timeout(settings.read_timeout_s, connect=settings.connect_timeout_s)
    return ProviderClient(transport, timeout=timeout, local=local)
