"""How long one waits for a server that is away: longer each time, and in all no longer than one has patience."""

from __future__ import annotations

from nightmill.client.connection import Away, Connection
from nightmill.errors import NotYet

__all__ = ["Patience"]

SOON, LATE = 0.5, 10.0
"""Seconds between two attempts to reach a server that is away: the first, and the most."""


class Patience:
    """That of whoever takes something long from a server over *connection*: *seconds* of waiting from when it last said something."""

    def __init__(self, connection: Connection, seconds: float) -> None:
        self.connection = connection
        self.seconds = seconds
        self.restore()

    def restore(self) -> None:
        """It said something."""
        self._next, self._waited = SOON, 0.0

    @property
    def over(self) -> bool:
        """Whether nobody waits any longer."""
        return self._waited >= self.seconds

    def wait(self, away: Away | NotYet | None = None) -> None:
        """Wait before it is asked again, as long as it said, if it said for how long."""
        if isinstance(away, NotYet):
            self._next = max(self._next, away.seconds)
        self.connection.sleep(self._next)
        self._waited, self._next = self._waited + self._next, min(LATE, self._next * 2)
