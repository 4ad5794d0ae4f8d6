"""The agent's own list, and its word that it is done."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from nightmill.errors import ToolError
from nightmill.tool.base import Answer, Arguments, Finish, Progress, ToolContext

__all__ = ["FinishWork", "Remember", "UpdateTodo"]


class Item(Arguments):
    """One line of the list."""

    text: str = Field(description="What is to be done.")
    state: Progress = Field(default="pending", description="How far it is.")


class UpdateTodo:
    """Replace the agent's list."""

    name = "update_todo"
    description = "Replace your list of what is to be done. Keep it short and true; one item at a time is doing."
    reads = False

    class Call(Arguments):
        items: list[Item] = Field(max_length=50, description="The whole list, in order.")

    arguments = Call

    def label(self, arguments: Call) -> str:
        done = sum(item.state == "done" for item in arguments.items)
        return f"{done} of {len(arguments.items)} done"

    async def call(self, arguments: Call, context: ToolContext) -> Answer:
        del context
        left = [item.text for item in arguments.items if item.state != "done"]
        text = f"noted; {len(left)} left" if left else "noted; nothing left"
        return Answer(text=text, todo=tuple((item.text, item.state) for item in arguments.items))


class Remember:
    """Keep a note that outlives the conversation it was made in."""

    name = "remember"
    description = (
        "Keep a note that stays with you when older parts of this conversation are left out: "
        "what you found out, or what you tried that did not work, and why."
    )
    reads = False

    class Call(Arguments):
        kind: Literal["discovery", "failed_approach", "next"] = Field(
            description="discovery: a fact about the code; failed_approach: what did not work and why; "
            "next: what you are about to do, in place of the last such note."
        )
        text: str = Field(min_length=1, max_length=1000, description="One or two sentences, with paths and names.")
        replaces: list[int] = Field(
            default_factory=list, max_length=50, description="Numbers of notes of this kind that it takes the place of."
        )

    arguments = Call

    def label(self, arguments: Call) -> str:
        return f"{arguments.kind.replace('_', ' ')}: {arguments.text}"

    async def call(self, arguments: Call, context: ToolContext) -> Answer:
        if not context.fits(arguments.kind, arguments.text, arguments.replaces):
            raise ToolError(
                "your notes of this kind are full, and this one was not kept: say in one what several say, and name the"
                " numbers of those in `replaces`"
            )
        return Answer(text="noted", notes=((arguments.kind, arguments.text, tuple(arguments.replaces)),))


class Shown(Arguments):
    """What shows one criterion."""

    criterion: str = Field(description="Id of the acceptance criterion.")
    by: str = Field(
        description="Tests (path::name as the runner prints it), separated by commas, or a command. "
        "Where only reading shows it: path:first-last and those lines in backquotes."
    )


class FinishWork:
    """Say that the task is done."""

    name = "finish"
    description = (
        "Say that the task is done. The checks are then run on your work by the system itself; "
        "if they fail you get their output. "
        "Name for each acceptance criterion the tests (path::name) or the command that show it."
    )
    reads = False

    class Call(Arguments):
        summary: str = Field(
            min_length=1,
            description="The whole change as it is now, and why, for whoever reads nothing else: a few sentences.",
        )
        evidence: list[Shown] = Field(default_factory=list, description="What shows each acceptance criterion.")

    arguments = Call

    def label(self, arguments: Call) -> str:
        return arguments.summary

    async def call(self, arguments: Call, context: ToolContext) -> Answer:
        del context
        evidence = tuple((each.criterion, each.by) for each in arguments.evidence)
        return Answer(text="noted; the checks run now", finish=Finish(summary=arguments.summary, evidence=evidence))
