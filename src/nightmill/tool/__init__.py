"""What an agent can do in its sandbox. Takes: ToolCall. Gives: ToolResult."""

from __future__ import annotations

from nightmill.tool.base import Answer, Tool, ToolContext
from nightmill.tool.toolset import Toolset, developing, exploring, standard

__all__ = ["Answer", "Tool", "ToolContext", "Toolset", "developing", "exploring", "standard"]
