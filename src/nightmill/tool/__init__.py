"""What an agent can do in its sandbox. Takes: ToolCall. Gives: ToolResult."""
