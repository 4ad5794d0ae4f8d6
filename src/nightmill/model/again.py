"""A call that is made again while its provider is down: through the gate of its key, with pauses that grow."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, TypeVar

import httpx2

from nightmill.errors import ModelUnavailable
from nightmill.model.gate import Gate, Passage

if TYPE_CHECKING:
    from nightmill.model import Notice
    from nightmill.settings import Settings

__all__ = ["Load", "Surroundings", "persist"]

FIRST_WAIT, LONGEST_WAIT = 0.5, 8.0

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the world gives: connections, and the three things that a test wants to hold."""

    client: httpx2.AsyncClient
    sleep: Callable[[float], Awaitable[object]]
    random: Callable[[], float]
    clock: Callable[[], float]
    gate: Gate | None = None
    """What keeps the rates of the endpoint's key; None: nothing does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What a gate wants to know of a call: a body of *size* bytes, a reply of *most* tokens, whose place in line it has."""

    conversation: str
    size: int
    most: int


async def persist(
    go: Callable[[Passage | None], Awaitable[T]],
    *,
    load: Load,
    world: Surroundings,
    settings: Settings,
    notice: Notice,
) -> T:
    """What *go* gives, called again after each `ModelUnavailable` as often as the settings say.

    Raises:
        ModelUnavailable: If it still was so after the last, or asks for a longer wait than is slept.
        NotYet: If the key has no room for longer than is waited.
    """
    for attempt in count(1):
        try:
            async with _through(world.gate, load, notice) as passage:
                return await go(passage)
        except ModelUnavailable as error:
            wait = _wait(error.retry_after, attempt, settings=settings, jitter=world.random)
            if wait is None:
                raise
            notice(error.message, wait, attempt)
        await world.sleep(wait)
    raise AssertionError


def _wait(retry_after: float | None, attempt: int, *, settings: Settings, jitter: Callable[[], float]) -> float | None:
    """Seconds before the next request, None if there is to be none.

    Half a second that doubles up to eight, less up to a quarter; what the provider asks for, and up to a tenth
    more: else all that were refused at once would come back at once.
    """
    if attempt > settings.retries or (retry_after or 0.0) > settings.retry_after:
        return None
    drawn = jitter()
    own = min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** (attempt - 1)) * (1 - drawn / 4)
    return max(own, (retry_after or 0.0) * (1 + drawn / 10))


@asynccontextmanager
async def _through(gate: Gate | None, load: Load, notice: Notice) -> AsyncGenerator[Passage | None]:
    """One call's way through the gate."""
    if gate is None:
        yield None
        return
    passage = await gate.enter(
        load.conversation, size=load.size, most=load.most, tell=lambda words: notice(words, 0.0, 0)
    )
    try:
        yield passage
    finally:
        passage.leave()
