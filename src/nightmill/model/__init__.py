"""Talk to any provider in one dialect. Takes: ModelRequest. Gives: ModelReply."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from nightmill.model.message import (
    Message,
    ModelReply,
    ModelRequest,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    ToolSchema,
    Usage,
)

__all__ = [
    "Message",
    "Model",
    "ModelReply",
    "ModelRequest",
    "Notice",
    "Progress",
    "Text",
    "Thinking",
    "ToolCall",
    "ToolResult",
    "ToolSchema",
    "Usage",
]

Progress = Callable[[str, str], None]
"""Called while a reply streams in: (kind of part, new text), for people to watch; never recorded.

The kinds are those of parts; "tool" begins a call and says its name, "aside" is of a call that began before another.
"""

Notice = Callable[[str, float, int], None]
"""Called before a retry: (reason, seconds to wait, attempt that failed, counted from 1).

With attempt 0 nothing failed: the call waits for the rate of its key, nobody knows for how long.
"""


class Model(Protocol):
    """One model of one provider, with its own retries inside."""

    async def reply(
        self, request: ModelRequest, *, progress: Progress | None = None, notice: Notice | None = None
    ) -> ModelReply:
        """Send *request* and return the whole reply.

        A reply counts only if its terminal event was seen. Cancelling the task closes the connection.

        Raises:
            ModelUnavailable: If the provider was still down, overloaded or limiting after the retries.
            ModelRefused: If it refused the request as such.
        """
        ...
