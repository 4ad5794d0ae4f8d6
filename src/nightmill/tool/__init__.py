"""What an agent can do in its sandbox. Takes: ToolCall. Gives: ToolResult."""

from __future__ import annotations

from nightmill.tool.base import Answer, ToolContext
from nightmill.tool.toolset import Toolset, crewed, developing, exploring, standard

__all__ = ["Answer", "ToolContext", "Toolset", "crewed", "developing", "exploring", "standard"]
