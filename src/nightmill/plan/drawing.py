"""Ask a model for a plan, and let it mend what is wrong with its answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import NamedTuple

from nightmill.errors import LimitReached, ToolError
from nightmill.model import Message, ModelReply, ModelRequest, Text, Thinking
from nightmill.plan.answer import read
from nightmill.plan.nouns import Plan
from nightmill.spec import Spec

__all__ = ["REPAIRS", "Ask", "Drawing", "draw_up"]

REPAIRS = 2
"""How often an answer that cannot be used is sent back."""
CONTINUATIONS = 3
"""How often a reply that the provider paused is asked to go on."""

Ask = Callable[[ModelRequest], Awaitable[ModelReply]]
"""Sends one request: `Model.reply`, or the corridor's step around it, which records every reply that was paid for."""


class Drawing(NamedTuple):
    """A plan, and every reply on the way to it."""

    plan: Plan
    replies: tuple[ModelReply, ...]


async def draw_up(spec: Spec, *, request: ModelRequest, ask: Ask) -> Drawing:
    """Ask for a plan of *spec* with *request*; an answer that cannot be used goes back with what is wrong with it.

    Every request goes through *ask*, the conversation so far in it, so that a step of a durable run can hold each.

    Raises:
        LimitReached: If no answer could be used after the repairs (limit "repairs"), or the model refused
            (limit "refused").
        ModelError: If *ask* raises it.
    """
    replies: list[ModelReply] = []
    problem = ""
    for _ in range(REPAIRS + 1):
        text, request = await _answer(request, ask, replies)
        last = replies[-1]
        if last.stop == "refused":
            raise LimitReached(
                f"the model refused to plan the spec {spec.title!r}",
                hint="take another model, or set `plan` to `single`",
                limit="refused",
            )
        try:
            if last.stop == "length":
                raise ToolError(
                    f"the answer was cut off after {last.usage.output} tokens", hint="answer shorter, with fewer tasks"
                )
            return Drawing(plan=read(text, spec, source="architect"), replies=tuple(replies))
        except ToolError as error:
            problem = error.message
            request = _said(request, Message(role="user", parts=(Text(text=f"{error.message}\n\n{error.hint}"),)))
    raise LimitReached(
        f"the architect's plan could not be used after {REPAIRS} repairs: {problem}",
        hint="take another model, cut the spec, or set `plan` to `single`",
        limit="repairs",
    )


async def _answer(request: ModelRequest, ask: Ask, replies: list[ModelReply]) -> tuple[str, ModelRequest]:
    """The text of one answer, and the request with it in the conversation."""
    parts: list[str] = []
    for _ in range(CONTINUATIONS + 1):
        reply = await ask(request)
        replies.append(reply)
        parts.append(reply.text)
        request = _said(request, _kept(reply))
        if reply.stop != "again":
            break
    return "".join(parts), request


def _kept(reply: ModelReply) -> Message:
    """The reply as it goes back. A call of a tool that was never offered has no result, and so cannot stay."""
    spoken = tuple(part for part in reply.parts if isinstance(part, Text) and part.text.strip())
    if reply.calls or not spoken:
        return Message(role="assistant", parts=spoken or (Text(text="(no answer)"),))
    return Message(role="assistant", parts=tuple(part for part in reply.parts if isinstance(part, Text | Thinking)))


def _said(request: ModelRequest, message: Message) -> ModelRequest:
    return replace(request, messages=(*request.messages, message))
