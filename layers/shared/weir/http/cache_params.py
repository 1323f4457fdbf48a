"""Whether a call is to be answered from the cache: by its own parameters, else by what is set for its intent.

The names are Keywords AI's (`cache_enabled`, `cache_ttl`, `cache_options`); `tool_calls` and `truncated` among the
options are Weir's own.
"""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StrictBool

from weir.domain.caching import DEFAULT_TTL_S, LONGEST_TTL_S, CacheTerms
from weir.domain.completion import NOTHING
from weir.http.maitai_config import CacheOptionsBody
from weir.http.validation import validated


class CacheBody(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True, defer_build=True)

    cache_enabled: StrictBool | None = None
    cache_ttl: Annotated[float, Field(ge=0)] | None = None
    cache_options: CacheOptionsBody | None = None


def to_terms(said: Mapping[str, Any], config: Mapping[str, Any]) -> CacheTerms | None:
    """None when the cache is off for the call. `said` are the call's own parameters, which go before `config`.

    Raises RequestInvalid that names the wrong one. A longer time than the longest counts as that, none at all as off.
    """
    asked = validated(CacheBody, said)
    given = validated(CacheBody, {name: config[name] for name in CacheBody.model_fields if name in config})
    enabled = given.cache_enabled if asked.cache_enabled is None else asked.cache_enabled
    ttl = given.cache_ttl if asked.cache_ttl is None else asked.cache_ttl
    ttl = DEFAULT_TTL_S if ttl is None else min(ttl, LONGEST_TTL_S)
    if not enabled or ttl == 0:
        return None
    options = {**_options(given), **_options(asked)}
    return CacheTerms(
        ttl_s=ttl,
        by_customer=options.get("cache_by_customer", False),
        tool_calls=options.get("tool_calls", False),
        truncated=options.get("truncated", False),
    )


def _options(body: CacheBody) -> Mapping[str, Any]:
    return NOTHING if body.cache_options is None else body.cache_options.model_dump(exclude_none=True)
