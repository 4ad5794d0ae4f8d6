"""What of a foreign request is passed on, by the name of the dialect that it is asked in."""

from __future__ import annotations

__all__ = ["FIELDS", "INNER", "LENGTHS", "MESSAGES", "OWN_TOOLS", "PLACES"]

FIELDS = {
    "anthropic": frozenset({
        "cache_control", "context_management", "max_tokens", "messages", "metadata", "model", "output_config",
        "output_format", "stop_sequences", "stream", "system", "temperature", "thinking", "tool_choice", "tools",
        "top_k", "top_p",
    }),
    "chat": frozenset({
        "frequency_penalty", "logit_bias", "max_completion_tokens", "max_tokens", "messages", "model",
        "parallel_tool_calls", "presence_penalty", "prompt_cache_key", "reasoning", "reasoning_effort",
        "response_format", "seed", "stop", "stream", "stream_options", "temperature", "thinking", "tool_choice", "tools",
        "top_p", "user", "verbosity",
    }),
    "responses": frozenset({
        "include", "input", "instructions", "max_output_tokens", "metadata", "model", "parallel_tool_calls",
        "prompt_cache_key", "reasoning", "safety_identifier", "store", "stream", "temperature", "text", "tool_choice",
        "tools", "top_p", "truncation", "user",
    }),
    "gemini": frozenset({
        "contents", "generationConfig", "safetySettings", "systemInstruction", "toolConfig", "tools",
    }),
    "ollama": frozenset({
        "format", "messages", "model", "options", "stream", "think", "tools",
    }),
}  # fmt: skip
"""`n`, `service_tier`, `background` and `candidateCount` would change what a reply costs, `cachedContent` and `keep_alive` last."""

INNER = {
    "gemini": frozenset({
        "frequencyPenalty", "maxOutputTokens", "presencePenalty", "responseJsonSchema", "responseMimeType",
        "responseSchema", "seed", "stopSequences", "temperature", "thinkingConfig", "topK", "topP",
    }),
    "ollama": frozenset({
        "frequency_penalty", "min_p", "num_predict", "presence_penalty", "repeat_last_n", "repeat_penalty", "seed",
        "stop", "temperature", "top_k", "top_p", "typical_p",
    }),
}  # fmt: skip
"""Of the field that holds the others, where there is one. Ollama's `num_ctx` is memory of the operator's machine."""

MESSAGES = {
    "anthropic": "messages",
    "chat": "messages",
    "responses": "input",
    "gemini": "contents",
    "ollama": "messages",
}

OWN_TOOLS = {
    "anthropic": ("custom", "bash_", "text_editor_", "computer_", "memory_"),
    "chat": ("function", "custom"),
    "responses": ("function", "custom", "local_shell", "apply_patch"),
    "ollama": ("function",),
}
"""How the kinds of tools begin that the agent carries out itself."""

LENGTHS = {
    "anthropic": ("max_tokens",),
    "chat": ("max_completion_tokens", "max_tokens"),
    "responses": ("max_output_tokens",),
    "gemini": ("generationConfig", "maxOutputTokens"),
    "ollama": ("options", "num_predict"),
}
"""Fields that bound the reply; where there is an inner one, it is the second."""

PLACES = ("image_url", "file_url", "video_url", "audio_url", "url", "server_url", "fileUri")
"""Fields of a block that say where its content is."""
