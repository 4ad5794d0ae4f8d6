"""What an external agent is told, and what is made of what it says: messages, a reply, an ending's evidence."""

from __future__ import annotations

import re
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from nightmill.model import Message, ModelReply, Text, Usage
from nightmill.prompt import part, render

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nightmill.agent import AgentState
    from nightmill.agent.external import Heard
    from nightmill.line.meter import Used
    from nightmill.model.message import Part
    from nightmill.spec import Criterion

__all__ = ["evidence", "go_on", "mark", "messages", "reply", "summary", "words"]

MARK = "acp"
MOST_SUMMARY, MOST_EVIDENCE = 8_000, 1_000


def go_on() -> str:
    """What an agent is told that remembers where it was."""
    return part("external/go_on").text


def words(state: AgentState, task: str, *, remembers: bool) -> str:
    """What an agent is told next, in the *state* of its work on *task*."""
    last = state.messages[-1:]
    texts = [
        each.text for message in last for each in message.parts if isinstance(each, Text) and message.role == "user"
    ]
    given = "\n\n".join(texts)
    if not state.turn:
        return "\n\n".join((task, *texts))
    if remembers:
        return given or go_on()
    heard = [text for text in state.working.told if text not in texts]
    said = [each.text for message in state.messages for each in message.parts if isinstance(each, Text)]
    latest = "\n\n".join(text for text in said if text.strip() and text not in {*texts, *heard})[-MOST_SUMMARY:]
    todo = "\n".join(f"- [{item.state}] {item.text}" for item in state.todo)
    parts = (*heard, f"It said last:\n\n{latest}" if latest else "", todo and f"Its list:\n\n{todo}")
    done = "\n\n".join(filter(None, parts))
    return render("external/again", task=task, done=done, given=given).text


def summary(said: str) -> str:
    """The end of what it *said*."""
    return said.strip()[-MOST_SUMMARY:] or "(it said nothing)"


def evidence(said: str, criteria: tuple[Criterion, ...]) -> Iterator[tuple[str, str]]:
    """Lines of what it *said* that begin with the id of a criterion."""
    for each in criteria:
        line = re.search(rf"^[\s>*`-]*{re.escape(each.id)}\b[*`]*\s*[:–—-]\s*(\S.*)$", said, re.MULTILINE)
        if line is not None:
            yield each.id, line[1].strip()[:MOST_EVIDENCE]


def messages(heard: Heard, mark: dict[str, Any]) -> tuple[Message, ...]:
    """What it did as messages; *mark* is what the next process has to know of the session."""
    said = Message(role="assistant", parts=_marked(heard, mark))
    return (said, Message(role="user", parts=heard.results)) if heard.results else (said,)


def reply(
    heard: Heard, state: AgentState, used: Used, *, model: str, seconds: float, mark: dict[str, Any]
) -> ModelReply:
    """A turn's calls of *model* as the one reply that a turn has: what is *used* now and was not in *state*."""
    names = [each.name for each in fields(Usage)]
    return ModelReply(
        parts=_marked(heard, mark),
        stop="tools" if heard.results else "end",
        usage=Usage(**{name: getattr(used.usage, name) - getattr(state.usage, name) for name in names}),
        model=model,
        cost=used.cost - state.cost if used.priced else None,
        seconds=seconds,
    )


def mark(state: AgentState) -> dict[str, Any]:
    """What the newest turn of *state* says of its session."""
    for message in reversed(state.messages):
        for each in reversed(message.parts):
            if isinstance(each, Text) and MARK in each.opaque:
                found: dict[str, Any] = each.opaque[MARK]
                return found
    return {}


def _marked(heard: Heard, mark: dict[str, Any]) -> tuple[Part, ...]:
    return (*heard.parts, Text(text="", opaque={MARK: mark}))
