"""The dialects from the other side: what an agent asks in one of them, and what it is answered, whoever is asked in the end."""

from __future__ import annotations

from collections.abc import Mapping

from nightmill.model.front.anthropic import AnthropicFront
from nightmill.model.front.chat import ChatFront
from nightmill.model.front.gemini import GeminiFront
from nightmill.model.front.nouns import Front, Untranslatable
from nightmill.model.front.ollama import OllamaFront
from nightmill.model.front.responses import ResponsesFront

__all__ = ["FRONTS", "Front", "Untranslatable"]

FRONTS: Mapping[str, Front] = {
    front.name: front for front in (AnthropicFront(), ChatFront(), ResponsesFront(), GeminiFront(), OllamaFront())
}
"""By the name of the dialect."""
