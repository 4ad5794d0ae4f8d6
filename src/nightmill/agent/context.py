"""The next request, assembled anew at every turn from parts that each have an owner and a bound.

What never changes comes first and what changes at every turn comes last, so that the provider's cache holds all but
the end: instructions, the task, what is carried from turns that are not shown any more, the latest turns, and the
system's words for this turn, which are part of no history.
"""

from __future__ import annotations

from typing import NamedTuple

from nightmill.agent import drift, remind, working
from nightmill.agent.measure import bytes_of
from nightmill.agent.nouns import AgentState, Brief
from nightmill.model import Message, ModelRequest, Text
from nightmill.prompt import part, render
from nightmill.tool import Toolset
from nightmill.tool.base import cut

__all__ = ["Share", "ask", "shares", "tail"]

MOST_TAIL = 2_400
"""Characters of the system's words for a turn, without a longer reminder of the task."""
MOST_TODO = 900


class Share(NamedTuple):
    """A part of a request: who answers for it, and its tokens, estimated."""

    name: str
    owner: str
    tokens: int


def ask(brief: Brief, state: AgentState, tools: Toolset, *, max_tokens: int) -> ModelRequest:
    """The next request."""
    first = (Text(text=brief.anchor), *((Text(text=state.carried),) if state.carried else ()))
    return ModelRequest(
        model=brief.model,
        system=brief.system,
        messages=(Message(role="user", parts=first), *state.messages),
        tools=tools.schemas,
        max_tokens=max_tokens,
        thinking=brief.thinking,
        conversation=brief.conversation,
        tail=tail(brief, state),
    )


def tail(brief: Brief, state: AgentState) -> str:
    """The system's words for the next turn: the task, the list, what is verified, and what it is reminded of."""
    if not brief.tag:
        return ""
    left = [each for each in state.todo if each.state != "done"]
    done = len(state.todo) - len(left)
    lines = [f"{brief.tag} Turn {state.turn + 1}. Your task: {brief.objective}"]
    if state.todo:
        lines.append(
            f"Todo ({done} of {len(state.todo)} done):\n{cut(working.todo(left), most=MOST_TODO)}".rstrip("\n")
        )
    if verified := working.verification(brief, state.working):
        lines.append(f"Verified:\n{verified}")
    failed = "; ".join(filter(None, state.working.failed))
    if failed and not state.carried:
        lines.append(f"Tried, and failed: {cut(failed, most=MOST_TODO)}")
    text = cut("\n".join([*lines, *remind.reminders(brief, state)]), most=MOST_TAIL)
    found = drift.score(brief, state)
    if found.score >= drift.ADRIFT:
        text += "\n" + render("agent/drift", why=found.why, objective=cut(brief.objective, most=1_200)).text
    if state.trim:
        text += "\n" + part("agent/trim").text
    return text


def shares(brief: Brief, state: AgentState, tools: Toolset) -> tuple[Share, ...]:
    """What the next request is made of, largest first."""

    def tokens(*texts: str) -> int:
        return int(state.density * sum(len(text.encode("utf-8", "surrogatepass")) for text in texts))

    results = said = 0
    for message in state.messages:
        size = int(state.density * bytes_of(message.parts))
        results, said = (results + size, said) if message.role == "user" else (results, said + size)
    found = (
        Share("instructions", "crew", tokens(*brief.system)),
        Share("task", "spec", tokens(brief.anchor)),
        Share("tools", "tool", tokens(repr(tools.schemas))),
        Share("working state", "agent", tokens(state.carried)),
        Share("replies", "model", said),
        Share("results", "tool", results),
        Share("reminders", "agent", tokens(tail(brief, state))),
    )
    return tuple(sorted((share for share in found if share.tokens), key=lambda share: -share.tokens))
