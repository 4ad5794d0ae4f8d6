"""What a misbehaving model does, how it is seen, and what it is told.

Each guard gives a nudge first; the same fault again and again becomes an ending with its reason.
"""

from __future__ import annotations

from dataclasses import dataclass

from nightmill.agent.nouns import Ending
from nightmill.model import ModelReply
from nightmill.prompt import part

__all__ = ["NOT_RUN", "Nudge", "of_calls", "of_reply", "usable"]

NOT_RUN = {
    "length": "not run: the reply was cut off at its token limit, so this call may be incomplete",
    "refused": "not run: the reply ended as a refusal, so this call may be incomplete",
}
"""What the calls of a reply get that ended so: the last may be cut off anywhere and still be JSON."""
MOST_IDLE = 4
"""Turns in a row without a usable tool call after which the agent is stuck."""
SAME_NUDGE, SAME_STUCK = 3, 6
"""The same call with the same result, so many times in a row."""
ALTERNATE_NUDGE, ALTERNATE_STUCK = 4, 8
"""Rounds of A, B, A, B… with the same results."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Nudge:
    """A guard that spoke: what the agent is told, or how its work ends."""

    guard: str
    message: str
    ending: Ending | None = None


def usable(reply: ModelReply) -> bool:
    """Whether *reply* has calls that may be run."""
    return bool(reply.calls) and reply.stop not in NOT_RUN


def of_reply(reply: ModelReply, *, idle: int) -> Nudge | None:
    """A fault of the reply itself: cut off, refused, empty, or words without a tool call."""
    if usable(reply):
        return None
    if reply.stop == "again" and idle + 1 < MOST_IDLE:
        return None  # the provider paused: asked again, it goes on
    name = {"length": "cut_off", "refused": "refusal"}.get(reply.stop, "monologue" if reply.text.strip() else "empty")
    message = part(f"guard/{name}").text
    if idle + 1 < MOST_IDLE:
        return Nudge(guard=name, message=message)
    kind = "refused" if name == "refusal" else "stuck"
    said = " ".join(reply.text.split())[:300]
    text = f"{MOST_IDLE} replies in a row without a usable tool call ({name.replace('_', ' ')})" + (
        f": {said!r}" if said else ""
    )
    return Nudge(guard=name, message=message, ending=Ending(kind=kind, text=text))  # type: ignore[arg-type]  # one of two literals


def of_calls(before: tuple[str, ...], now: tuple[str, ...]) -> Nudge | None:
    """A loop: the same call with the same result, or two that alternate."""
    if not now:
        return None
    seen = (*before, *now)
    same = next((count for count, each in enumerate(reversed(seen)) if each != seen[-1]), len(seen))
    if same >= SAME_STUCK:
        text = f"the same call with the same result {same} times in a row"
        return Nudge(guard="repeated_call", message="", ending=Ending(kind="stuck", text=text))
    if same >= SAME_NUDGE:
        return Nudge(guard="repeated_call", message=part("guard/repeated_call").text)
    rounds = _rounds(seen)
    if rounds >= ALTERNATE_STUCK:
        text = f"two calls with the same results, {rounds} times in turn"
        return Nudge(guard="alternating_calls", message="", ending=Ending(kind="stuck", text=text))
    if rounds >= ALTERNATE_NUDGE:
        return Nudge(guard="alternating_calls", message=part("guard/alternating_calls").text)
    return None


def _rounds(seen: tuple[str, ...]) -> int:
    """How often the latest two were made in turn, without a break."""
    if len(seen) < 2 or seen[-1] == seen[-2]:  # noqa: PLR2004 - a pair
        return 0
    broken = (at for at in range(len(seen)) if seen[-1 - at] != seen[-1 - at % 2])
    return next(broken, len(seen)) // 2
