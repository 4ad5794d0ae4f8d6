"""Who elsewhere is told of what happens: webhooks, and how their letters went."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Dead", "Delivery", "Hook"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hook:
    """A webhook. Times are Unix seconds.

    Attributes:
        events: Names of what it is told of; (): of everything.
        project: Only of runs of this one; "": of all, and of what is about no run.
        seq: Number of the last entry that it needs nothing of any more.
        tries: How often the next one failed so far, and *reason*: why, the last time.
        due: When it is tried again.
        lost: How many in a row were given up before it.
        paused: Nothing is sent to it until somebody resumes it; what happens meanwhile is sent then.
    """

    id: str
    url: str
    events: tuple[str, ...]
    project: str
    added: float
    by: str
    seq: int
    tries: int
    reason: str
    due: float
    lost: int
    paused: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One letter that was sent, about the entry *seq*, 0: to try the hook out, of the name *event*.

    *status* is that of the answer, 0: there was none; *reason* says why it did not arrive, "": it did.
    """

    seq: int
    event: str
    at: float
    seconds: float
    status: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Dead:
    """The entry *seq* was given up for the hook *hook* at *at*, for *reason*; *again*: it is to be sent once more."""

    hook: str
    seq: int
    at: float
    reason: str
    again: bool
