"""JSON Schema as each provider takes it: what it would refuse is left out, and checked when the call is read."""

from __future__ import annotations

from typing import Any

__all__ = ["GEMINI", "OLLAMA", "OPENAI", "strict", "subset"]

NESTED = {"type", "description", "properties", "required", "items", "enum", "anyOf"}
GEMINI = frozenset(
    NESTED
    | {"additionalProperties", "format", "minItems", "maxItems", "minimum", "maximum", "oneOf", "prefixItems", "title"}
)
"""Of `parametersJsonSchema` (documentation of the Gemini API's FunctionDeclaration)."""
OLLAMA = frozenset(NESTED)
"""Of Ollama's `ToolFunctionParameters` and `ToolProperty`; its server drops the rest."""
OPENAI = frozenset(
    NESTED
    | {
        "additionalProperties", "const", "exclusiveMaximum", "exclusiveMinimum", "format", "maxItems", "maximum",
        "minItems", "minimum", "multipleOf", "pattern",
    }
)  # fmt: skip
"""Of schemas with `strict` (OpenAI's guide to structured outputs)."""


def subset(schema: dict[str, Any], words: frozenset[str]) -> dict[str, Any]:
    """*schema* with only the keywords *words*, at every level."""
    made: dict[str, Any] = {}
    for name, value in schema.items():
        if name == "properties":
            made[name] = {each: _sub(inner, words) for each, inner in value.items()}
        elif name in words:
            made[name] = _sub(value, words)
    return made


def _sub(value: Any, words: frozenset[str]) -> Any:
    if isinstance(value, dict):
        return subset(value, words)
    return [_sub(each, words) for each in value] if isinstance(value, list) else value


def strict(schema: dict[str, Any]) -> dict[str, Any] | None:
    """*schema* as one that OpenAI promises to keep to, None if it cannot be: an object of any names is none.

    Every property is required there; one that was optional may be null instead, which whoever reads the call takes
    for absent.
    """
    return _closed(subset(schema, OPENAI))


def _closed(schema: dict[str, Any]) -> dict[str, Any] | None:
    made = dict(schema)
    if made.get("type") == "object" or "properties" in made:
        if not made.get("properties") or made.get("additionalProperties"):
            return None
        properties = made["properties"]
        inner = {name: closed for name, each in properties.items() if (closed := _closed(each)) is not None}
        if len(inner) < len(properties):
            return None
        optional = set(inner) - set(made.get("required") or ())
        made["properties"] = {name: _nullable(each) if name in optional else each for name, each in inner.items()}
        made |= {"required": list(inner), "additionalProperties": False}
    if "items" in made:
        made["items"] = _closed(made["items"])
        if made["items"] is None:
            return None
    if "anyOf" in made:
        made["anyOf"] = [_closed(each) for each in made["anyOf"]]
        if None in made["anyOf"]:
            return None
    return made


def _nullable(schema: dict[str, Any]) -> dict[str, Any]:
    kind = schema.get("type")
    if isinstance(kind, str):
        enum = {"enum": [*schema["enum"], None]} if "enum" in schema else {}
        return {**schema, "type": [kind, "null"], **enum}
    return {"anyOf": [schema, {"type": "null"}]} if "anyOf" not in schema else {
        **schema, "anyOf": [*schema["anyOf"], {"type": "null"}]
    }  # fmt: skip
