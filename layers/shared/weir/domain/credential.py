"""Where a workspace's key for a provider lies: a reference, never the key itself."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple, cast

Kind = Literal["ssm", "secretsmanager", "env"]
KINDS: tuple[Kind, ...] = ("ssm", "secretsmanager", "env")

REFERENCE_LIMIT = 2_048

_WRITTEN = re.compile(r"(ssm|secretsmanager|env):([!-\"$-~]+)(?:#([!-~]+))?", re.ASCII)
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
"""Of a workspace that may have a folder of its own: any other sign could lead into another's."""


class Place(NamedTuple):
    """`name` of a parameter, a secret (or its ARN) or a variable; `field` of the JSON object that the secret holds."""

    kind: Kind
    name: str
    field: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialReference:
    """`by_operator`: whoever runs Weir has set it; else the workspace itself has."""

    provider: str
    reference: str
    set_at: datetime
    by_operator: bool


References = Mapping[str, CredentialReference]
"""Of one workspace, by provider."""


def place_of(reference: str) -> Place | None:
    """None for a text that is no reference: `ssm:/path/name`, `secretsmanager:name-or-arn[#field]`, `env:NAME`."""
    found = _WRITTEN.fullmatch(reference)
    if found is None or len(reference) > REFERENCE_LIMIT:
        return None
    kind, name, field = cast("tuple[Kind, str, str | None]", found.groups())
    if field is not None and kind != "secretsmanager":
        return None
    return Place(kind, name, field)


def is_allowed(reference: str, allowed: tuple[str, ...], *, workspace: str, by_operator: bool) -> bool:
    """Whether it begins as one of `allowed` does; one that a workspace sets itself, in a folder of its own below that.

    The folder is named as the workspace is, and what is allowed must end with a slash to have folders below it. The
    process's own variables are the operator's alone.
    """
    place = place_of(reference)
    if place is None or ".." in reference:
        return False
    if by_operator:
        return any(reference.startswith(start) for start in allowed)
    if place.kind == "env" or _PLAIN_NAME.fullmatch(workspace) is None:
        return False
    return any(start.endswith("/") and reference.startswith(f"{start}{workspace}/") for start in allowed)
