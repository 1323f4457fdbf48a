"""What is set, as operators read it below `/api/v1` and as Maitai's clients get it when they start."""

import zlib
from collections.abc import Mapping
from typing import Any

from weir.domain.completion import NOTHING
from weir.domain.configuration import (
    WORKSPACE_LEVEL,
    Application,
    Intent,
    IntentGroup,
    Snapshot,
    Values,
    effective,
    levels_of,
)
from weir.domain.ids import milliseconds
from weir.domain.versions import Version, place_of

_CLIENT_DEFAULTS: Mapping[str, Any] = {
    "inference_location": 1,
    "evaluation_enabled": True,
    "apply_corrections": False,
    "temperature": 1,
    "streaming": False,
    "response_format": "text",
    "logprobs": False,
    "n": 1,
    "presence_penalty": 0,
    "frequency_penalty": 0,
    "timeout": 0,
    "context_retrieval_enabled": False,
    "safe_mode": False,
    "feedback": (),
    "metadata": NOTHING,
}
"""What maitai-python 1.2.34 takes for absent members. Written out, because 1.1 reads an absent one as 0 or false."""

_CLIENT_MEMBERS = frozenset(
    {
        *_CLIENT_DEFAULTS,
        "model",
        "stop",
        "max_tokens",
        "top_p",
        "top_k",
        "min_p",
        "repetition_penalty",
        "fallback_model",
        "intent_stability",
        "generating_sentinels",
        "sentinel_regeneration_enabled",
        "fallback_config",
        "extract_request_metadata",
        "system_prompt",
        "reasoning_effort",
        "reasoning",
        "default_chat_template_kwargs",
        "disable_session_update_events",
        "prompt_template",
    }
)
"""Of its Config object; what Weir has beside these is the server's alone."""


def application_view(application: Application, intents: tuple[Intent, ...], workspace: str) -> dict[str, Any]:
    """An application as operators see it, with what is set for it and for each intent. Instants are milliseconds."""
    return {
        **_application(application, workspace),
        "meta": application.config,
        "action_types": [intent_view(intent) for intent in intents],
    }


def intent_view(intent: Intent) -> dict[str, Any]:
    return {**_action(intent), "meta": intent.config}


def group_view(group: IntentGroup, workspace: str) -> dict[str, Any]:
    return {
        "id": group.id,
        "intent_name": group.name,
        "company_id": company_id(workspace),
        "date_created": milliseconds(group.created_at),
        "config": group.config,
    }


def tree_view(values: Values) -> dict[str, Any]:
    """What is set where, by names: the workspace, applications with their intents, groups, in the order of names."""
    applications: dict[str, dict[str, Any]] = {}
    groups: dict[str, Mapping[str, Any]] = {}
    for level in sorted(values, key=place_of):
        config = dict(sorted(values[level].items()))
        match level.application, level.intent:
            case str() as application, None:
                applications[application] = config
            case str() as application, str() as intent:
                applications.setdefault(application, {}).setdefault("intents", {})[intent] = config
            case None, str() as name:
                groups[name] = config
    whole = {"workspace": dict(sorted(values.get(WORKSPACE_LEVEL, NOTHING).items()))}
    whole |= {"applications": applications, "intent_groups": groups}
    return {name: member for name, member in whole.items() if member}


def version_view(version: Version) -> dict[str, Any]:
    """One edit. `before` and `after` hold the values that differ; one that was not set is absent."""
    changes = [
        {
            "level": change.level.kind,
            "application_ref_name": change.level.application,
            "intent_name": change.level.intent,
            "before": change.before,
            "after": change.after,
        }
        for change in version.changes
    ]
    return {
        "version": version.number,
        "date_created": milliseconds(version.at),
        "edited_by": version.by,
        "note": version.note,
        "changes": [{name: value for name, value in change.items() if value is not None} for change in changes],
    }


def client_views(snapshot: Snapshot, workspace: str) -> list[dict[str, Any]]:
    values = snapshot.values
    return [client_view(application, intents, values, workspace) for application, intents in snapshot.trees]


def client_view(
    application: Application, intents: tuple[Intent, ...], values: Values, workspace: str
) -> dict[str, Any]:
    """An application as `GET /config/init_sdk` gives it to Maitai's clients, with what holds for calls.

    An intent without a model is left out: a client that knows an intent sends a model and a temperature of its own
    invention where the caller gave none (maitai-python 1.2.34, models/config.py), and would override the application's
    later choice; one that does not know it leaves both to the server. So is one whose calls are split between models.
    """
    name = application.ref_name
    known = [(intent, _effective(values, name, intent.name)) for intent in intents]
    return {
        **_application(application, workspace),
        "meta": _whole(_effective(values, name, None)),
        "action_types": [{**_action(intent), "meta": _whole(config)} for intent, config in known if _has_model(config)],
    }


def company_id(workspace: str) -> int:
    """The workspace as a number: Maitai's clients refuse to start without one, or with 0."""
    return zlib.crc32(workspace.encode()) & 0x7FFFFFFF or 1  # some of them read 32 bits with a sign


def _application(application: Application, workspace: str) -> dict[str, Any]:
    return {
        "id": application.id,
        "application_name": application.name,
        "application_ref_name": application.ref_name,
        "company_id": company_id(workspace),
        "state": "ENABLED",
        "date_created": milliseconds(application.created_at),
    }


def _action(intent: Intent) -> dict[str, Any]:
    return {
        "id": intent.id,
        "action_type": intent.name,
        "application_id": intent.application_id,
        "date_created": milliseconds(intent.created_at),
    }


def _effective(values: Values, application: str, intent: str | None) -> Mapping[str, Any]:
    return effective(values.get(level, NOTHING) for level in levels_of(application, intent))


def _has_model(config: Mapping[str, Any]) -> bool:
    return "model" in config and "load_balance_models" not in config


def _whole(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """What its clients read. They know no response format but a text's."""
    told = {name: value for name, value in config.items() if name in _CLIENT_MEMBERS}
    if not isinstance(told.get("response_format", ""), str):
        del told["response_format"]
    return {**_CLIENT_DEFAULTS, **told}
