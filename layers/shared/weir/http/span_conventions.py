"""Which attribute of a span means what, by convention. Of several names for one thing the first that is set counts.

Where the names come from:

    gen_ai.* (current)   OpenTelemetry's conventions for generative AI (open-telemetry/semantic-conventions-genai; the
                         constants are in opentelemetry-semantic-conventions 0.66b2, gen_ai_attributes)
    gen_ai.* (older)     the same package's deprecated names: gen_ai.system, gen_ai.prompt, gen_ai.usage.prompt_tokens
    traceloop.*, llm.request.type, llm.usage.*, llm.is_streaming, and cache and reasoning counts
                         OpenLLMetry (opentelemetry-semantic-conventions-ai 0.5.1), with the names it had before
    openinference.span.kind, llm.model_name, llm.token_count.*, input.value, session.id, tag.tags, metadata
                         OpenInference (openinference-semantic-conventions 0.1.42); Maitai's observe() sends these, and
                         maitai.* (maitai-python 1.2.34)
    keywordsai.*         keywordsai-sdk 0.5.2, span_types
    respan.*             respan-sdk 2.9.0, constants/span_attributes and otlp_constants
    gen_ai.usage.cost    OpenLIT (openlit 1.45.0, semcov)
"""

from collections.abc import Mapping

from weir.domain.completion import FinishReason

Names = tuple[str, ...]


def _ours(*names: str) -> Names:
    """Names that Keywords AI has kept below its new name."""
    return tuple(f"{company}.{name}" for name in names for company in ("respan", "keywordsai"))


_ASSOCIATED = "traceloop.association.properties."

NAMES: Mapping[str, Names] = {
    "model": (
        "gen_ai.request.model",
        "llm.request.model_name",
        "llm.model_name",
        "embedding.model_name",
        "reranker.model_name",
    ),
    "answered_model": ("gen_ai.response.model", "llm.response.model_name"),
    "provider": ("gen_ai.provider.name", "gen_ai.system", "llm.provider", "llm.system"),
    "thread_identifier": (
        *_ours("threads.thread_identifier", "sessions.session_identifier"),
        "maitai.session_id",
        "gen_ai.conversation.id",
        "session.id",
        *(_ASSOCIATED + name for name in ("thread_identifier", "thread_id", "session_id", "chat_id")),
    ),
    "customer_identifier": (
        *_ours("customer_params.customer_identifier"),
        *(_ASSOCIATED + name for name in ("customer_identifier", "customer_id")),
    ),
    "user_id": (
        "user.id",
        _ASSOCIATED + "user_id",
        "gen_ai.user",
        "llm.user",
        "enduser.id",
    ),
    "custom_identifier": _ours("span_params.custom_identifier"),
    "group_identifier": _ours("trace.trace_group_identifier"),
    "span_workflow_name": ("traceloop.workflow.name", "gen_ai.workflow.name"),
    "prompt_id": ("prompt.id", "traceloop.prompt.key"),
    "prompt_name": ("gen_ai.prompt.name",),
    "gateway_log_id": _ours("gateway.log_id"),
    "error_message": ("error.message", "exception.message"),
    "error_code": ("error.type", "exception.type"),
}
"""Identifiers and names: texts, or numbers that stand for one."""

COUNTS: Mapping[str, Names] = {
    "prompt_tokens": ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens", "llm.token_count.prompt"),
    "completion_tokens": (
        "gen_ai.usage.output_tokens",
        "gen_ai.usage.completion_tokens",
        "llm.token_count.completion",
    ),
    "total_tokens": ("gen_ai.usage.total_tokens", "llm.usage.total_tokens", "llm.token_count.total"),
    "prompt_cache_hit_tokens": (
        "gen_ai.usage.cache_read.input_tokens",
        "gen_ai.usage.cache_read_input_tokens",
        "llm.token_count.prompt_details.cache_read",
        "prompt_cache_hit_tokens",
    ),
    "prompt_cache_creation_tokens": (
        "gen_ai.usage.cache_creation.input_tokens",
        "gen_ai.usage.cache_creation_input_tokens",
        "llm.token_count.prompt_details.cache_write",
        "prompt_cache_creation_tokens",
    ),
    "reasoning_tokens": (
        "gen_ai.usage.reasoning.output_tokens",
        "gen_ai.usage.reasoning_tokens",
        "llm.usage.reasoning_tokens",
        "llm.token_count.completion_details.reasoning",
    ),
    "max_tokens": ("gen_ai.request.max_tokens", "max_tokens", "max_completion_tokens"),
    "status_code": ("status_code", "http.response.status_code", "http.status_code"),
}

NUMBERS: Mapping[str, Names] = {
    "cost": ("llm.cost.total", "gen_ai.usage.cost"),
    "time_to_first_token": (
        "gen_ai.response.time_to_first_chunk",
        "llm.openai.chat_completions.streaming_time_to_first_token",
    ),
    "temperature": ("gen_ai.request.temperature", "temperature"),
    "top_p": ("gen_ai.request.top_p", "top_p"),
    "frequency_penalty": ("gen_ai.request.frequency_penalty", "llm.frequency_penalty", "frequency_penalty"),
    "presence_penalty": ("gen_ai.request.presence_penalty", "llm.presence_penalty", "presence_penalty"),
}
"""Durations are in seconds, costs in US dollars. Names without a dot are those of PARAMETERS."""

ANSWER_ID: Names = ("gen_ai.response.id",)

STREAM: Names = ("gen_ai.request.stream", "gen_ai.is_streaming", "llm.is_streaming")

INPUT: Names = ("traceloop.entity.input", "input.value", "gen_ai.tool.call.arguments")
OUTPUT: Names = ("traceloop.entity.output", "output.value", "gen_ai.tool.call.result")

MEDIA_TYPES: Names = ("input.mime_type", "output.mime_type")
PARAMETERS = "llm.invocation_parameters"

FINISH: Names = (
    "gen_ai.response.finish_reasons",
    "gen_ai.response.finish_reason",
    "llm.response.finish_reason",
    "llm.finish_reason",
    "gen_ai.completion.0.finish_reason",
    "gen_ai.response.stop_reason",
    "llm.response.stop_reason",
)

LOG_TYPE: Names = _ours("entity.log_type")

KINDS: tuple[tuple[str, Mapping[str, str]], ...] = (
    ("traceloop.span.kind", {kind: kind for kind in ("workflow", "task", "agent", "tool")}),
    (
        "openinference.span.kind",
        {
            "LLM": "chat",
            "EMBEDDING": "embedding",
            "CHAIN": "task",
            "RETRIEVER": "task",
            "PROMPT": "task",
            "EVALUATOR": "task",
            "RERANKER": "reranker",
            "TOOL": "tool",
            "AGENT": "agent",
            "GUARDRAIL": "guardrail",
        },
    ),
    (
        "gen_ai.operation.name",
        {
            "chat": "chat",
            "generate_content": "chat",
            "text_completion": "completion",
            "embeddings": "embedding",
            "retrieval": "task",
            "create_agent": "agent",
            "invoke_agent": "agent",
            "execute_tool": "tool",
            "invoke_workflow": "workflow",
        },
    ),
    ("llm.request.type", {"chat": "chat", "completion": "completion", "embedding": "embedding", "rerank": "reranker"}),
)
"""A span's kind in the words of `log_type`, for spans that do not give theirs."""

OTHER = "other"
"""The `log_type` of spans without one: HTTP requests, database queries, a program's own functions."""

SUMS = frozenset({"workflow", "agent", "task", "tool", "handoff", "guardrail", "function", "custom", "score", OTHER})
"""Kinds of span that make no call of a model themselves: counts on them repeat those of the spans below."""

METADATA: Names = ("metadata", *_ours("metadata", "properties"))
"""Objects of tags, as texts of JSON; a tag may also be an attribute of its own below one of TAGS."""

TAGS: Names = (*_ours("metadata.", "properties."), _ASSOCIATED)
TAG_LIST = "tag.tags"
APPLICATION: Names = ("maitai.application",)
"""Of the resource, not of the span."""

SERVICE = "service.name"

FIRST_CHUNK = frozenset({"gen_ai.content.completion.chunk", "llm.content.completion.chunk", "First Token Stream Event"})
"""Events that tell a chunk of a stream: OpenLLMetry's, by both its names, and OpenInference's for LlamaIndex."""

SYSTEM_INSTRUCTIONS = "gen_ai.system_instructions"
INPUT_MESSAGES: Names = ("gen_ai.input.messages",)
OUTPUT_MESSAGES: Names = ("gen_ai.output.messages",)
TOOLS: Names = ("gen_ai.tool.definitions",)

INDEXED_INPUT: Names = ("gen_ai.prompt", "llm.input_messages")
INDEXED_OUTPUT: Names = ("gen_ai.completion", "llm.output_messages")
INDEXED_TOOLS: Names = ("llm.request.functions", "llm.tools")
INDEXED_TEXTS: tuple[tuple[str, str, str], ...] = (
    ("llm.prompts", "prompt", "prompt_messages"),
    ("llm.choices", "completion", "completion_messages"),
)
"""OpenInference's texts of completions without messages: `llm.prompts.0.prompt.text`."""

EVENT_ROLES: Mapping[str, str] = {
    "gen_ai.system.message": "system",
    "gen_ai.user.message": "user",
    "gen_ai.assistant.message": "assistant",
    "gen_ai.tool.message": "tool",
}
CHOICE_EVENT = "gen_ai.choice"
CONTENT_EVENTS: Mapping[str, tuple[str, str]] = {
    "gen_ai.content.prompt": ("gen_ai.prompt", "prompt_messages"),
    "gen_ai.content.completion": ("gen_ai.completion", "completion_messages"),
}
DETAILS_EVENT = "gen_ai.client.inference.operation.details"
"""Events that hold what was said: one a message until version 1.36 of the conventions, one for all since."""

CONTENT = (
    SYSTEM_INSTRUCTIONS,
    *INPUT_MESSAGES,
    *OUTPUT_MESSAGES,
    *INDEXED_INPUT,
    *INDEXED_OUTPUT,
    *INDEXED_TOOLS,
    *TOOLS,
    *(prefix for prefix, _, _ in INDEXED_TEXTS),
)
"""Attributes, and beginnings of their names, that hold what was said between caller and model."""

PROVIDERS: Mapping[str, str] = {
    "aws": "bedrock",
    "aws.bedrock": "bedrock",
    "az.ai.inference": "azure",
    "az.ai.openai": "azure",
    "azure.ai.inference": "azure",
    "azure.ai.openai": "azure",
    "gcp.gemini": "gemini",
    "gcp.gen_ai": "gemini",
    "gcp.vertex_ai": "vertex",
    "google": "gemini",
    "mistral_ai": "mistral",
    "mistralai": "mistral",
    "together_ai": "together",
    "vertex_ai": "vertex",
    "vertexai": "vertex",
    "x_ai": "xai",
}
"""Words for providers that are not those of our catalogue."""

FINISH_REASONS: Mapping[str, FinishReason] = {
    "stop": "stop",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "length": "length",
    "max_tokens": "length",
    "tool_calls": "tool_calls",
    "tool_call": "tool_calls",
    "tool_use": "tool_calls",
    "function_call": "function_call",
    "content_filter": "content_filter",
    "refusal": "content_filter",
}
"""Lower-case words of providers and of the conventions themselves; of another one no reason is known."""
