"""An agent is a fold: turn(state) → TurnRecord, apply(state, record) → state. These are its values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from nightmill.model import Message, ModelReply, Usage

__all__ = ["AgentState", "Brief", "Ending", "Todo", "TurnRecord"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Todo:
    """One line of the agent's own list."""

    text: str
    state: Literal["pending", "doing", "done"] = "pending"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How an agent's work ended: "finished" (it says so), or why the loop stopped it.

    *limit* names the budget of a "limit" ending; *text* is for people, and of "finished" the agent's summary.
    """

    kind: Literal["finished", "limit", "stuck", "refused"]
    text: str
    limit: str = ""
    evidence: tuple[tuple[str, str], ...] = ()
    """Of "finished": (criterion id, what shows it, in the agent's words: test ids, commands)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Brief:
    """What one agent is given, once; the fixed part of each of its requests.

    Attributes:
        role: Name of the role; its instructions are in *system*.
        model: The provider's name of the model.
        system: Instructions, stable texts first.
        anchor: The task as it is put to the agent, first user message of the conversation.
        prompts: Digests of the prompt parts that *system* and *anchor* were assembled from, by name.
        conversation: Key of the provider's cache.
    """

    role: str
    model: str
    system: tuple[str, ...]
    anchor: str
    prompts: dict[str, str]
    conversation: str
    max_tokens: int = 8192
    thinking: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnRecord:
    """What one turn added: never the whole history. Together with a snapshot id it is the checkpoint.

    Attributes:
        turn: From 1.
        reply: What the model said, whole.
        messages: What the turn added to the conversation: the reply, and the results or a nudge.
        todo: The list after the turn, None if unchanged.
        guards: Names of the guards that spoke.
        changed: Whether anything ran that may have changed the workspace.
        edited: Paths that the edit tools wrote.
        seconds: By part: "model", "tools", "first".
    """

    turn: int
    reply: ModelReply
    messages: tuple[Message, ...]
    todo: tuple[Todo, ...] | None = None
    guards: tuple[str, ...] = ()
    ending: Ending | None = None
    changed: bool = False
    edited: tuple[str, ...] = ()
    seconds: dict[str, float] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentState:
    """The fold of all records so far."""

    messages: tuple[Message, ...] = ()
    todo: tuple[Todo, ...] = ()
    turn: int = 0
    usage: Usage = Usage()
    cost: float = 0.0
    priced: bool = True
    """Whether every reply had a known price, so that *cost* is the whole cost."""
    seconds: float = 0.0
    """At work: waiting for the model and running tools."""
    context: int = 0
    """Tokens of the latest request and its reply together."""
    digest: str = ""
    """Chained over all messages: equal digests are equal conversations."""
    idle: int = 0
    """Turns in a row without a tool call."""
    signatures: tuple[str, ...] = ()
    """Of the latest tool calls and results, newest last: what the loop guards compare."""
    ending: Ending | None = None
