"""Where provider keys lie, as the developer API has it. Times are milliseconds; a key itself is never shown."""

import re
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from weir.domain.credential import REFERENCE_LIMIT, CredentialReference
from weir.domain.errors import RequestInvalid
from weir.domain.ids import milliseconds
from weir.http.api_keys import NAME_LIMIT

_PROVIDER = re.compile(r"[a-z0-9][a-z0-9-]{0,63}", re.ASCII)


class CredentialBody(BaseModel):
    """Where the key lies. `tenant` is the workspace it is for, the caller's own when left open."""

    model_config = ConfigDict(extra="forbid", strict=True, defer_build=True)

    reference: Annotated[str, Field(min_length=1, max_length=REFERENCE_LIMIT)]
    tenant: Annotated[str, Field(min_length=1, max_length=NAME_LIMIT)] | None = None


def checked_provider(name: str) -> str:
    """Raises RequestInvalid."""
    if _PROVIDER.fullmatch(name) is None:
        raise RequestInvalid(
            "A provider's name is of small letters, digits and hyphens, as in provider/model.", param="provider"
        )
    return name


def reference_view(found: CredentialReference, *, operator: bool) -> dict[str, Any]:
    """To a tenant, where the operator's secrets lie is not told."""
    return {
        "provider": found.provider,
        "reference": found.reference if operator or not found.by_operator else None,
        "set_by": "operator" if found.by_operator else "tenant",
        "set_at": milliseconds(found.set_at),
    }
