"""Requests made from the OpenAPI document: every route, with whatever ids, names and filters there are.

What the document says of a body is followed; what it leaves open (parameters of paths and queries, bodies without a
schema) is in the tables here. A route that neither fills raises Unfillable: it must be added, not left out.
"""

import json
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any
from urllib.parse import quote, urlencode

from tests.tenancy.workspaces import LURES, Workspace


class Unfillable(Exception):
    """The generator does not know what to send."""


@dataclass(frozen=True, slots=True)
class Route:
    method: str
    path: str
    schema: Mapping[str, Any] | None = field(compare=False, repr=False)

    @property
    def writes(self) -> bool:
        return self.method != "GET" and not self.path.endswith(_ASKING)

    @property
    def parameters(self) -> list[str]:
        return [part[1:-1] for part in self.path.split("/") if part.startswith("{")]


@dataclass(frozen=True, slots=True)
class Request:
    route: Route
    target: str
    body: bytes

    @property
    def text(self) -> bytes:
        return self.target.encode() + b" " + self.body


_ASKING = ("/list", "/summary", "/groups")
"""Ends of paths whose POST asks for something and changes nothing."""

_CHATS = ("/v1/chat/completions", "/chat/completions", "/api/chat/completions")

_PATHS: Mapping[str, str] = {
    "action_id": "intent",
    "application_id": "application",
    "id": "record",
    "intent_group_id": "group",
    "intent_id": "intent",
    "key_id": "key",
    "limit_id": "limit",
    "model_id": "model",
    "provider": "provider",
    "request_id": "record",
    "session_id": "session",
    "version": "version",
}
"""The parameters of paths, and what each names."""

_PROVIDERS = ("openai", "groq", "mistral")

_LOG_FIELDS: Mapping[str, str] = {
    "customer_identifier": "customer",
    "thread_identifier": "session",
    "custom_identifier": "custom",
    "group_identifier": "group",
    "trace_unique_id": "trace",
    "prompt_id": "prompt",
    "application": "application",
    "metadata__customer": "customer",
}
_QUERIES: Sequence[tuple[str, Sequence[str]]] = (
    ("/api/v1/api-keys", ("tenant",)),
    ("/api/v1/config/effective", ("application", "intent")),
    ("/api/v1/config/versions", ("before", "limit")),
    ("/api/v1/config", ()),
    ("/api/v1/credentials", ("tenant",)),
    ("/api/v1/limits", ("tenant",)),
    ("/api/v1/reports/completeness", ("start_time",)),
    ("/api/v1/analytics", ("start_date",)),
    ("/api/v1/models/{", ()),
    ("/api/v1/models", ("model_type", "limit")),
    ("/api/v1/sessions", ("application_id", "offset", "limit")),
    ("/api/v1/requests", ("application_id", "intent_id", "include_messages", "offset", "limit", "start_date")),
    ("/api/v1", ("offset", "limit", "detailed", "include_messages")),
    (
        "/api/request-logs",
        ("page", "page_size", "cursor", "sort_by", "group_by", "start_time", "all_envs", *_LOG_FIELDS),
    ),
    ("/request-logs", ("page", "page_size", "cursor", "sort_by", "group_by", "all_envs", *_LOG_FIELDS)),
)
"""What may be asked in a query, by the beginning of the path; the first that fits."""

_CHOICES: Mapping[str, Sequence[str]] = {
    "all_envs": ("true",),
    "before": ("2", "9", "40"),
    "detailed": ("true",),
    "group_by": ("customer_identifier", "custom_identifier", "trace", "thread", "prompt_id", "model"),
    "include_messages": ("true",),
    "limit": ("5", "50", "100"),
    "model_type": ("llm",),
    "offset": ("0", "1", "5"),
    "page": ("1", "2", "3"),
    "page_size": ("5", "50", "100"),
    "sort_by": ("-id", "cost", "-latency", "timestamp"),
    "start_date": ("2026-01-01T00:00:00Z",),
    "start_time": ("2026-01-01T00:00:00Z",),
}
"""Parameters of queries that name nothing of a workspace's."""

_ONLY_NAMED = 0.6
"""How often a member that may be left out is there."""


class Generator:
    """Requests of `actor`; ids and names are those of `target`, which may be the actor itself.

    Towards another workspace a writing request names lures only: what is written is the actor's own from then on.
    """

    def __init__(self, document: Mapping[str, Any], random: Random, actor: Workspace, target: Workspace) -> None:
        self._random = random
        self._actor, self._target = actor, target
        self.routes = tuple(_routes(document))

    def request(self, route: Route) -> Request:
        """Raises Unfillable."""
        place = dict(zip(("application", "intent"), self._random.choice(self._whose().intents or [()]), strict=False))
        path = "/".join(
            quote(self._path_value(part[1:-1], route, place), safe="") if part.startswith("{") else part
            for part in route.path.split("/")
        )
        query = self._query(route)
        body = self._body(route)
        target = f"{path}?{urlencode(query)}" if query else path
        return Request(route, target, b"" if body is None else json.dumps(body).encode())

    def _path_value(self, name: str, route: Route, place: Mapping[str, int]) -> str:
        """`place`: an intent and its application."""
        if name not in _PATHS:
            raise Unfillable(f"{route.method} {route.path}: nothing is known of {{{name}}}; add it to _PATHS")
        kind = _PATHS[name]
        if kind == "provider":
            return self._random.choice(_PROVIDERS)
        if kind == "session":
            return self._name(kind, writes=False)
        if kind in ("record", "key"):
            ids = self._whose().ids[kind]
            names = self._whose().names["caller"] if kind == "record" else ()
            return self._random.choice([*ids, *names] or ["none"])
        if kind in place and self._random.random() < 0.7:
            return str(place[kind])
        numbers = sorted(self._whose().numbers[kind] | self._actor.numbers[kind])
        return str(self._random.choice([*numbers, *numbers, 1, 2, 3]))

    def _whose(self) -> Workspace:
        return self._target if self._random.random() < 0.8 else self._actor

    def _name(self, kind: str, *, writes: bool) -> str:
        whose = self._whose()
        names = whose.names[kind]
        return self._random.choice(names if whose is self._actor or not writes else names[:LURES])

    def _query(self, route: Route) -> list[tuple[str, str]]:
        if (route.method not in ("GET", "DELETE") and route.writes) or self._random.random() < 0.4:
            return []
        if route.path.endswith("/groups"):
            return [("group_by", self._query_value("group_by"))]
        if route.path.endswith("/use"):  # of a limit that is each customer's
            return [("name", self._name("customer", writes=False)), *([("application", "a")] if self.flag() else [])]
        known = next((names for start, names in _QUERIES if route.path.startswith(start)), ())
        chosen = self._random.sample(known, min(len(known), self._random.randint(1, 2)))
        return [(name, self._query_value(name)) for name in chosen]

    def _query_value(self, name: str) -> str:
        if name in _LOG_FIELDS:
            return self._name(_LOG_FIELDS[name], writes=False)
        if name in _CHOICES:
            return self._random.choice(_CHOICES[name])
        match name:
            case "intent":
                return self._name("intent", writes=False)
            case "tenant":
                return self._target.name
            case "application_id" | "intent_id":
                return str(self._random.choice(sorted(self._target.numbers[name.removesuffix("_id")]) or [1]))
            case "cursor":
                return self._random.choice(self._target.ids["cursor"] or ["none"])
        raise Unfillable(f"nothing is known of the parameter {name!r}")

    def _body(self, route: Route) -> Any:
        if route.path in _CHATS and self._random.random() < 0.7:
            return self.asked_before()
        if route.schema is not None:
            return self._shaped(route.schema, {}, "body", route)
        if route.method in ("GET", "DELETE") or route.path.endswith(("/reset", "/restore")):
            return None
        if route.path.endswith(_ASKING):
            return self._filters()
        if route.path.endswith(("/v1/traces", "/v2/traces")):
            return self._spans()
        if route.path.endswith("/python_sdk_error"):
            return {"error": self._actor.secret()}
        raise Unfillable(f"{route.method} {route.path}: nothing is known of its body; describe it or add it here")

    def _shaped(self, schema: Mapping[str, Any], definitions: Mapping[str, Any], name: str, route: Route) -> Any:
        definitions = {**definitions, **schema.get("$defs", {})}
        if "$ref" in schema:
            found = definitions[schema["$ref"].rpartition("/")[2]]
            return self._shaped(found, definitions, name, route)
        if "anyOf" in schema:
            found = next(each for each in schema["anyOf"] if each.get("type") != "null")
            return self._shaped(found, definitions, name, route)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return self._random.choice(schema["enum"])
        match schema.get("type"):
            case "object" if "properties" in schema:
                return self._members(schema, definitions, route)
            case "array":
                count = self._random.randint(1, 2)
                return [self._shaped(schema["items"], definitions, name, route) for _ in range(count)]
            case "integer" | "number":
                return self._random.randint(int(schema.get("minimum", 1)), 5)
            case "boolean":
                return self._random.random() < 0.5
            case "string":
                return self._actor.secret()
            case "object":
                return {}
        raise Unfillable(f"{route.method} {route.path}: nothing is known of {name!r} in its body")

    def _members(self, schema: Mapping[str, Any], definitions: Mapping[str, Any], route: Route) -> dict[str, Any]:
        required = schema.get("required", ())
        body: dict[str, Any] = {}
        for name, each in schema["properties"].items():
            if name not in required and self._random.random() > _ONLY_NAMED:
                continue
            if name in _VALUES:
                body[name] = _VALUES[name](self)
            elif name in required or "properties" in _resolved(each, definitions):
                value = self._shaped(each, definitions, name, route)
                body |= {name: value} if value or name in required else {}
        if route.path.endswith("/batch-update") and "logs" not in body:
            body["unique_id"] = self.stored_id()  # the schema is that of one annotation, whose id is in its path
        if "messages" in body and "completion" in route.path and self._random.random() < 0.5:
            body |= {"cache_enabled": True, "cache_ttl": 1_000_000}
        return body

    def asked_before(self) -> dict[str, Any]:
        """What the other workspace has asked, to the letter, and has in its cache."""
        question = {"role": "user", "content": self._name("question", writes=True)}
        messages = [{"role": "system", "content": "Answer."}, question]  # so that no prompt of the workspace's is added
        return {"model": "demo/echo", "messages": messages, "cache_enabled": True, "cache_ttl": 1_000_000}

    def lure(self, kind: str) -> str:
        return self._name(kind, writes=True)

    def fresh(self, kind: str) -> str:
        return self._actor.fresh(kind)

    def secret(self) -> str:
        return self._actor.secret()

    def own_or_lure_id(self) -> str:
        """What a call is known by: another's is tried, too, and a new one most of the time."""
        if self._random.random() < 0.6:
            return self.fresh("caller")
        return self._random.choice([self.lure("caller"), *self._target.ids["record"][:LURES]])

    def conversation(self) -> list[dict[str, Any]]:
        """At times a question that the other workspace has asked, and has an answer to."""
        if self._random.random() < 0.4:
            return [{"role": "user", "content": self._name("question", writes=True)}]
        return [{"role": "user", "content": f"says {self.secret()}"}]

    def stored_id(self) -> str:
        return self._random.choice([self._name("caller", writes=False), *self._target.ids["record"]])

    def tenant(self) -> str:
        return self._target.name

    def reference(self) -> str:
        folder = self._target if self._random.random() < 0.5 else self._actor
        return f"ssm:/weir/{folder.name}/{self.secret()}"

    def flag(self) -> bool:
        return self._random.random() < 0.4

    def _filters(self) -> dict[str, Any]:
        names = self._random.sample(sorted(_LOG_FIELDS), self._random.randint(0, 2))
        conditions = {
            name: {
                "operator": self._random.choice(("", "not", "contains", "in")),
                "value": [self._name(_LOG_FIELDS[name], writes=False)],
            }
            for name in names
        }
        return {"filters": conditions}

    def _spans(self) -> dict[str, Any]:
        attributes = {
            "gen_ai.request.model": "gpt-4o",
            "gen_ai.prompt.0.content": self.secret(),
            "gen_ai.prompt.0.role": "user",
            "gen_ai.completion.0.content": self.secret(),
            "respan.customer_params.customer_identifier": self.lure("customer"),
            "respan.trace.session_id": self.lure("session"),
        }
        span = {
            "traceId": secrets.token_hex(16),
            "spanId": secrets.token_hex(8),
            "name": self.secret(),
            "attributes": [{"key": name, "value": {"stringValue": value}} for name, value in attributes.items()],
        }
        return {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}


def _completion(generator: Generator) -> dict[str, Any]:
    return {
        "id": generator.fresh("answer"),
        "object": "chat.completion",
        "created": 1_760_000_000,
        "model": "gpt-4o",
        "choices": _choices(generator),
        "usage": {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12},
    }


def _choices(generator: Generator) -> list[dict[str, Any]]:
    return [{"index": 0, "message": _message(generator), "finish_reason": "stop"}]


def _message(generator: Generator) -> dict[str, Any]:
    return {"role": "assistant", "content": generator.secret()}


def _row_id(generator: Generator) -> str:
    return generator.own_or_lure_id()


_VALUES: Mapping[str, Callable[[Generator], Any]] = {
    "action_type": lambda g: g.lure("intent"),
    "application": lambda g: g.lure("application"),
    "application_name": lambda g: g.secret(),
    "application_ref_name": lambda g: g.lure("application"),
    "chat_completion_response": _completion,
    "choices": _choices,
    "comment": lambda g: g.secret(),
    "completion_message": _message,
    "custom_identifier": lambda g: g.lure("custom"),
    "customer_identifier": lambda g: g.lure("customer"),
    "deployment_name": lambda g: g.lure("deployment"),
    "group_identifier": lambda g: g.lure("group"),
    "input": lambda g: g.secret(),
    "intent": lambda g: g.lure("intent"),
    "intent_name": lambda g: g.lure("intent") if g.flag() else g.fresh("intent"),
    "limit": lambda g: 1_000_000_000,
    "message_content": lambda g: g.secret(),
    "messages": Generator.conversation,
    "metadata": lambda g: {"customer": g.lure("customer"), "words": g.secret()},
    "model": lambda g: "demo/echo",
    "name": lambda g: g.secret(),
    "note": lambda g: g.secret(),
    "prompt_id": lambda g: g.lure("prompt"),
    "prompt_messages": Generator.conversation,
    "prompt_name": lambda g: g.lure("prompt"),
    "provider": lambda g: "openai",
    "reference": Generator.reference,
    "reference_id": lambda g: g.lure("reference"),
    "request": lambda g: {"model": "gpt-4o", "messages": g.conversation()},
    "request_id": Generator.own_or_lure_id,
    "response": _completion,
    "session_id": lambda g: g.lure("session"),
    "session_identifier": lambda g: g.lure("session"),
    "span_name": lambda g: g.secret(),
    "span_parent_id": lambda g: g.lure("span"),
    "span_unique_id": lambda g: g.fresh("span") if g.flag() else g.lure("span"),
    "stream": Generator.flag,
    "system_prompt": lambda g: g.secret(),
    "tenant": Generator.tenant,
    "thread_identifier": lambda g: g.lure("session"),
    "trace_unique_id": lambda g: g.lure("trace"),
    "unique_id": _row_id,
    "user_id": lambda g: g.lure("user"),
    "warn_at": lambda g: 900_000_000,
}
"""Members of bodies, by their names, whatever the route. What is not here is sent only where a schema requires it."""


def _routes(document: Mapping[str, Any]) -> Iterator[Route]:
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            content = operation.get("requestBody", {}).get("content", {})
            yield Route(method.upper(), path, content.get("application/json", {}).get("schema"))


def _resolved(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Mapping[str, Any]:
    for each in (schema, *schema.get("anyOf", ())):
        if "$ref" in each:
            found: Mapping[str, Any] = definitions[each["$ref"].rpartition("/")[2]]
            return found
    return schema
