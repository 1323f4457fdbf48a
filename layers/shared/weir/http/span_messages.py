"""What was said between caller and model, out of a span, in Chat Completions' form."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from weir.http.span_conventions import (
    CHOICE_EVENT,
    CONTENT_EVENTS,
    DETAILS_EVENT,
    EVENT_ROLES,
    INDEXED_INPUT,
    INDEXED_OUTPUT,
    INDEXED_TEXTS,
    INDEXED_TOOLS,
    INPUT_MESSAGES,
    OUTPUT_MESSAGES,
    SYSTEM_INSTRUCTIONS,
    TOOLS,
)
from weir.protocols import jsonbytes

Attributes = Mapping[str, Any]
Message = dict[str, Any]
Messages = list[Message]

_DEEPEST = 8
"""Dots of a name that are followed: `message.tool_calls.0.tool_call.function.arguments` has the most."""


def parsed(value: Any) -> Any:
    """What a text of JSON holds; everything else, and what is no JSON, as it is."""
    if isinstance(value, str) and value[:1] in ("[", "{"):
        try:
            return jsonbytes.loads(value)
        except jsonbytes.InvalidJSON:
            return value
    return value


def said(attributes: Attributes, events: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """`prompt_messages`, `completion_messages` and `tools`, as far as the span tells them.

    An answer has its `finish_reason` as a member.
    """
    fields: dict[str, Any] = {}
    for source in (attributes, *(of_event(event) for event in events if event.get("name") == DETAILS_EVENT)):
        fields = {**_structured(source), **fields}
    for name, messages in (*_indexed(attributes), *_texts(attributes), *_from_events(events)):
        if messages:
            fields.setdefault(name, messages)
    if tools := _tools(attributes):
        fields["tools"] = tools
    return fields


def of_event(event: Mapping[str, Any]) -> Attributes:
    attributes = event.get("attributes")
    return attributes if isinstance(attributes, dict) else {}


def _structured(attributes: Attributes) -> dict[str, Messages]:
    """The conventions' current form: whole conversations, as texts of JSON or as lists of maps."""
    instructions = _message("system", parsed(attributes.get(SYSTEM_INSTRUCTIONS)))
    asked = [*instructions, *_all(attributes, INPUT_MESSAGES)]
    answered = _all(attributes, OUTPUT_MESSAGES)
    return {
        name: messages for name, messages in (("prompt_messages", asked), ("completion_messages", answered)) if messages
    }


def _all(attributes: Attributes, names: Iterable[str]) -> Messages:
    for name in names:
        if isinstance(found := parsed(attributes.get(name)), list):
            return [made for member in found if isinstance(member, dict) for made in _from_parts(member)]
    return []


def _from_parts(message: Mapping[str, Any]) -> Iterator[Message]:
    if not isinstance(message.get("parts"), list):  # in Chat Completions' form already
        yield dict(message)
        return
    role = message.get("role") if isinstance(message.get("role"), str) else "user"
    for made in _message(str(role), message["parts"]):
        yield {
            **made,
            **{name: message[name] for name in ("name", "finish_reason") if isinstance(message.get(name), str)},
        }


def _message(role: str, parts: Any) -> Messages:
    """A message out of its parts; the result of a tool is one of its own, as Chat Completions has it."""
    if not isinstance(parts, list):
        return [{"role": role, "content": parts}] if isinstance(parts, str) and parts else []
    content: list[Any] = []
    thinking: list[str] = []
    calls: list[dict[str, Any]] = []
    results: Messages = []
    for part in parts:
        match part:
            case {"type": "text", "content": str(text)}:
                content.append({"type": "text", "text": text})
            case {"type": "reasoning", "content": str(text)}:
                thinking.append(text)
            case {"type": "tool_call", "name": str(name)}:
                calls.append(_call(part.get("id"), name, part.get("arguments")))
            case {"type": "tool_call_response"}:
                answer = part.get("response", part.get("result"))  # `result` in the first version of the conventions
                results.append({"role": "tool", "tool_call_id": part.get("id"), "content": _text(answer)})
            case _:  # media and whatever is added: as it came
                content.append(part)
    message: Message = {"role": role}
    match content:
        case [{"type": "text", "text": str(text)}]:
            message["content"] = text
        case [_, *_]:
            message["content"] = content
    if thinking:
        message["reasoning_content"] = "\n".join(thinking)
    if calls:
        message["tool_calls"] = calls
    return [*([message] if len(message) > 1 else []), *results]


def _call(id: Any, name: Any, arguments: Any) -> dict[str, Any]:
    call: dict[str, Any] = {"type": "function", "function": {"name": name, "arguments": _text(arguments)}}
    return {"id": id, **call} if id is not None else call


def _text(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else jsonbytes.dumps(value).decode()


def tree(attributes: Attributes, prefix: str) -> list[dict[str, Any]]:
    """The objects that are spread over `prefix.0.a`, `prefix.0.b.c`, `prefix.1.a`, in the order of their numbers."""
    found: dict[int, dict[str, Any]] = {}
    start = prefix + "."
    for name, value in attributes.items():
        if not name.startswith(start):
            continue
        number, *way = name[len(start) :].split(".", _DEEPEST)
        if way and number.isdecimal() and len(number) < 10:
            _put(found.setdefault(int(number), {}), way, value)
    return [found[number] for number in sorted(found)]


def _put(node: dict[str, Any], way: Sequence[str], value: Any) -> None:
    for step in way[:-1]:
        below = node.setdefault(step, {})
        if not isinstance(below, dict):  # the name of a value and the beginning of another name: the first stays
            return
        node = below
    node.setdefault(way[-1], value)


def _rows(node: Any) -> list[dict[str, Any]]:
    """The members that were numbered below a name."""
    if not isinstance(node, dict):
        return []
    numbered = sorted((int(name), row) for name, row in node.items() if name.isdecimal() and isinstance(row, dict))
    return [row for _, row in numbered]


def _indexed(attributes: Attributes) -> Iterator[tuple[str, Messages]]:
    for prefixes, name in ((INDEXED_INPUT, "prompt_messages"), (INDEXED_OUTPUT, "completion_messages")):
        for prefix in prefixes:
            role = "user" if name == "prompt_messages" else "assistant"
            yield name, [_indexed_message(node, role) for node in tree(attributes, prefix)]


def _indexed_message(node: Mapping[str, Any], role: str) -> Message:
    """OpenInference's lies below `message`, OpenLLMetry's is the node itself."""
    inner = node.get("message")
    source: Mapping[str, Any] = inner if isinstance(inner, dict) else node
    message: Message = {"role": source.get("role") or role}
    if (contents := _rows(source.get("contents"))) and "content" not in source:
        message["content"] = [_openinference_part(row.get("message_content")) for row in contents]
    elif "content" in source:
        message["content"] = source["content"]
    for name in ("name", "tool_call_id", "finish_reason", "refusal", "reasoning"):
        if name in source:
            message[name] = source[name]
    calls = [_indexed_call(row) for row in _rows(source.get("tool_calls"))]
    if "function_call_name" in source:
        calls.append(_call(None, source["function_call_name"], source.get("function_call_arguments_json")))
    if calls:
        message["tool_calls"] = calls
    return message


def _indexed_call(row: Mapping[str, Any]) -> dict[str, Any]:
    inner = row.get("tool_call")
    call: Mapping[str, Any] = inner if isinstance(inner, dict) else row
    function = call.get("function")
    source = function if isinstance(function, dict) else call
    return _call(call.get("id"), source.get("name"), source.get("arguments"))


def _openinference_part(node: Any) -> dict[str, Any]:
    match node:
        case {"type": "text", "text": text}:
            return {"type": "text", "text": text}
        case {"image": {"image": {"url": url}}}:
            return {"type": "image_url", "image_url": {"url": url}}
        case dict():
            return node
        case _:
            return {}


def _texts(attributes: Attributes) -> Iterator[tuple[str, Messages]]:
    for prefix, inner, name in INDEXED_TEXTS:
        role = "user" if name == "prompt_messages" else "assistant"
        found = [node.get(inner) for node in tree(attributes, prefix)]
        yield (
            name,
            [{"role": role, "content": text["text"]} for text in found if isinstance(text, dict) and "text" in text],
        )
    for name, messages in CONTENT_EVENTS.values():
        yield messages, _content(messages, attributes.get(name))


def _content(name: str, value: Any) -> Messages:
    """The oldest form: one text, of JSON or not, for all messages."""
    match parsed(value):
        case list() as members:
            return [dict(member) for member in members if isinstance(member, dict)]
        case str(text) if text:
            return [{"role": "user" if name == "prompt_messages" else "assistant", "content": text}]
        case dict() as member:
            return [member]
        case _:
            return []


def _from_events(events: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, Messages]]:
    asked: Messages = []
    answered: Messages = []
    for event in events:
        name, attributes = str(event.get("name")), of_event(event)
        if name in EVENT_ROLES:
            asked.append(_event_message(attributes, EVENT_ROLES[name]))
        elif name == CHOICE_EVENT:
            answered.append(_event_message(attributes, "assistant"))
        elif name in CONTENT_EVENTS:
            attribute, messages = CONTENT_EVENTS[name]
            yield messages, _content(messages, attributes.get(attribute))
    yield "prompt_messages", asked
    yield "completion_messages", answered


def _event_message(attributes: Attributes, role: str) -> Message:
    """A choice has its message as a member; both are attributes, or one text of JSON in `message`."""
    inner = parsed(attributes.get("message"))
    source = {**attributes, **inner} if isinstance(inner, dict) else attributes
    message: Message = {"role": source.get("role") or role}
    for name in ("content", "name", "finish_reason"):
        if name in source:
            message[name] = source[name]
    if role == "tool" and "id" in source:
        message["tool_call_id"] = source["id"]
    if isinstance(calls := parsed(source.get("tool_calls")), list) and calls:
        message["tool_calls"] = calls
    return message


def _tools(attributes: Attributes) -> list[dict[str, Any]]:
    for name in TOOLS:
        if isinstance(found := parsed(attributes.get(name)), list):
            return [_defined(tool) for tool in found if isinstance(tool, dict)]
    for prefix in INDEXED_TOOLS:
        if nodes := tree(attributes, prefix):
            return [_tool(node) for node in nodes]
    return []


def _defined(tool: Mapping[str, Any]) -> dict[str, Any]:
    """The conventions have a function's members beside its type, Chat Completions has them below `function`."""
    if tool.get("type") != "function" or "function" in tool:
        return dict(tool)
    return {"type": "function", "function": {name: value for name, value in tool.items() if name != "type"}}


def _tool(node: Mapping[str, Any]) -> dict[str, Any]:
    """OpenInference has the whole tool as a text of JSON, OpenLLMetry the members of a function."""
    inner = node.get("tool")
    schema = parsed(inner.get("json_schema")) if isinstance(inner, dict) else None
    if isinstance(schema, dict):
        return schema
    function = {name: parsed(node[name]) for name in ("name", "description", "parameters") if name in node}
    return {"type": "function", "function": function}
