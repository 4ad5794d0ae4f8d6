"""The steps of a run that goes on from a moment of another: those up to there are that one's, given again to the same walk."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, NamedTuple

from nightmill.errors import EngineError
from nightmill.line.whole import Children

__all__ = ["Checkpoint", "Past"]

RECEIVED = "receive"
"""The engine's name for a message that came."""


class Checkpoint(NamedTuple):
    """What a step of a run gave."""

    name: str
    result: Any


class Past:
    """The steps of a run, the first of which were taken over: those give what they gave. *begun* is called before its own."""

    def __init__(self, steps: Children, *, begun: Callable[[], None]) -> None:
        self.steps = steps
        self.taking = False
        self._taken: deque[Checkpoint] = deque()
        self._begun = begun

    def take(self, taken: Iterable[Checkpoint]) -> None:
        """Give *taken* first."""
        self._taken, self.taking = deque(taken), True

    async def step(self, name: str, body: Callable[[], Awaitable[dict[str, Any]]]) -> dict[str, Any]:
        """The next of those that were taken over, or *body* as a step.

        Raises:
            EngineError: If another was taken over: the run does not go the way of the other one.
        """
        return self._next(name) if self._there() else await self.steps.step(name, body)

    async def receive(self, topic: str, seconds: float) -> Any | None:
        """The next message, as it came or as it comes."""
        return self._next(RECEIVED) if self._there() else await self.steps.receive(topic, seconds)

    async def start(self, run: str, workflow: str, *args: Any) -> None:
        """Start a child; none was taken over."""
        self._there()
        await self.steps.start(run, workflow, *args)

    async def result(self, run: str) -> Any:
        """Wait for a child."""
        self._there()
        return await self.steps.result(run)

    def _there(self) -> bool:
        if self.taking and not self._taken:
            self.taking = False
            self._begun()
        return self.taking

    def _next(self, name: str) -> Any:
        known = self._taken.popleft()
        if known.name != name:
            raise EngineError(
                f"the run that this goes on from did {known.name!r} where {name!r} comes now",
                hint="nightmill was changed since, and goes another way: start a new run",
            )
        return known.result
