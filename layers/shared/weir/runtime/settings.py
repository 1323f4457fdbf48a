"""Everything that the environment decides, read once."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from weir.domain.credential import KINDS
from weir.domain.retention import Days, Retention
from weir.domain.routing import Deadlines
from weir.ledger.keys import INDEXES, Index
from weir.protocols import jsonbytes


class SettingsInvalid(ValueError):
    """The environment does not make sense; the message names the variable."""


def _names(listed: object) -> object:
    if not isinstance(listed, str):
        return listed
    return () if listed.strip() == "none" else tuple(name.strip() for name in listed.split(","))


def _starts(listed: object) -> object:
    if not isinstance(listed, str):
        return listed
    starts = tuple(start for each in listed.split(",") if (start := each.strip()))
    for start in starts:
        kind, colon, rest = start.partition(":")
        if not colon or kind not in KINDS or (kind != "env" and not rest):
            raise ValueError(f"{start!r} must begin with ssm:, secretsmanager: or env:, and go on")
    return starts


def _object(text: object) -> object:
    try:
        return jsonbytes.loads(text) if isinstance(text, str) else text
    except jsonbytes.InvalidJSON as exc:
        raise ValueError(f"must be JSON: {exc}") from None


def _none_for_zero(days: int | None) -> int | None:
    return days or None


Kept = Annotated[int | None, Field(ge=0, le=36_500), AfterValidator(_none_for_zero)]


class WorkspaceDays(BaseModel):
    """What a workspace keeps for a shorter time than all."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    payloads: Kept = None
    records: Kept = None
    archive: Kept = None


class Settings(BaseModel):
    """One frozen model of the environment. Each field's variable is WEIR_ and its name in capitals, or the alias."""

    model_config = ConfigDict(frozen=True, populate_by_name=True, extra="ignore")

    api_key: str | None = Field(default=None, description="a key with all scopes")
    engine: Literal["sqlite", "dynamodb"] = "sqlite"
    data_dir: Path = Path(".weir")
    table: str | None = Field(default=None, description="DynamoDB table")
    bucket: str | None = Field(default=None, description="S3 bucket")
    dead_letters: str | None = Field(default=None, description="URL of the queue for changes that cannot be projected")
    shards: Annotated[int, Field(ge=1, le=64)] = 1
    indexes: Annotated[frozenset[Index], BeforeValidator(_names)] = Field(
        default=INDEXES, description="of session,customer,intent, those that are written; or none"
    )
    payload_days: Kept = Field(default=None, description="days that payloads are kept; 0: for ever")
    record_days: Kept = Field(default=None, description="days that records are kept, in the table")
    archive_days: Kept = Field(default=None, description="days that the archive is kept")
    workspace_days: Annotated[Mapping[str, WorkspaceDays], BeforeValidator(_object)] = Field(
        default_factory=dict, description='shorter times of workspaces: {"team-b": {"payloads": 7}}'
    )
    providers: Annotated[Mapping[str, str], BeforeValidator(_object)] = Field(
        default_factory=dict,
        description='variables of providers that are not set by themselves: {"OPENAI_API_KEY": "…"}',
    )
    credentials: Annotated[tuple[str, ...], BeforeValidator(_starts)] = Field(
        default=(),
        description="what references to workspaces' provider keys may begin with: ssm:/weir/,secretsmanager:weir/,env:",
    )
    port: Annotated[int, Field(ge=0, le=65535)] = Field(default=8787, validation_alias="PORT")
    transport: Literal["httpx", "aiohttp"] = Field(default="httpx", description="aiohttp for a long-running server")
    connect_timeout_s: Annotated[float, Field(gt=0)] = 10
    read_timeout_s: Annotated[float, Field(gt=0)] = Field(default=600, description="longest silence of a provider")
    first_token_timeout_s: Annotated[float | None, Field(gt=0)] = Field(
        default=None, description="what a provider may take to begin its answer"
    )
    between_tokens_timeout_s: Annotated[float | None, Field(gt=0)] = Field(
        default=None, description="longest silence within an answer; a provider's mere signs of life are silence"
    )
    total_timeout_s: Annotated[float | None, Field(gt=0)] = Field(
        default=None, description="what a call may take, with all of its attempts"
    )
    heartbeat_s: Annotated[float, Field(ge=0)] = Field(
        default=15, description="silence of a stream after which its caller is told that it goes on; 0: never"
    )
    body_limit: Annotated[int, Field(gt=0)] = Field(
        default=6_000_000, description="bytes of a request body; Lambda takes 6 MB"
    )
    log_level: str = "INFO"
    service: str = "weir"

    @property
    def retention(self) -> Retention:
        default = Days(self.payload_days, self.record_days, self.archive_days)
        own = {name: Days(each.payloads, each.records, each.archive) for name, each in self.workspace_days.items()}
        return Retention(default, own)

    @property
    def deadlines(self) -> Deadlines:
        """Those of calls that say nothing else; connecting has its own limit in any case."""
        return Deadlines(
            first_token_s=self.first_token_timeout_s,
            between_tokens_s=self.between_tokens_timeout_s,
            total_s=self.total_timeout_s,
        )

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Self:
        """Raises SettingsInvalid. Empty variables count as unset."""
        variables = {
            name: str(field.validation_alias or f"WEIR_{name.upper()}") for name, field in cls.model_fields.items()
        }
        found = {name: value for name, variable in variables.items() if (value := environ.get(variable))}
        try:
            return cls.model_validate(found)
        except ValidationError as exc:
            first = exc.errors()[0]
            raise SettingsInvalid(f"{variables[str(first['loc'][0])]}: {first['msg']}") from None
