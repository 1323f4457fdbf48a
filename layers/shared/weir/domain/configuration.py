"""What calls are for, and what holds for them: applications and their intents, each with defaults for its calls."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from weir.domain.completion import NOTHING


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """One purpose within an application; `name` is what callers send as `action_type`.

    `config` holds what is set for it, by the names that Maitai's Config object has; what is not set is absent.
    """

    id: int
    application_id: int
    application: str
    name: str
    created_at: datetime
    config: Mapping[str, Any] = NOTHING


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """`ref_name` is what callers send, and never changes. `config` is as an Intent's, for all of its intents."""

    id: int
    ref_name: str
    name: str
    created_at: datetime
    config: Mapping[str, Any] = NOTHING


def effective(application: Application | None, intent: Intent | None) -> Mapping[str, Any]:
    """What holds for a call: the intent's own values, then the application's."""
    if application is None:
        return NOTHING if intent is None else intent.config
    if intent is None or not intent.config:
        return application.config
    return {**application.config, **intent.config} if application.config else intent.config


def changed(config: Mapping[str, Any], changes: Mapping[str, Any]) -> Mapping[str, Any]:
    """`config` with `changes`: None takes a value away, what is not named stays."""
    return {name: value for name, value in {**config, **changes}.items() if value is not None}
