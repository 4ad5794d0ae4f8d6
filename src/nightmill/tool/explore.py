"""Sending explorers: questions about the code that others answer, beside each other, in contexts of their own."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from nightmill.errors import ToolError
from nightmill.tool.base import Answer, Arguments, Finish, Question, ToolContext, one_line

__all__ = ["Explore", "Report"]

MOST = 5


class Asked(Arguments):
    """One question for one explorer."""

    question: str = Field(
        min_length=1, max_length=2000, description="What you need to know, whole: it is all that is seen."
    )
    where: str = Field(default="", description="Where to begin: files, folders, names.")


class Explore:
    """Ask explorers."""

    name = "explore"
    description = (
        "Send two to five explorers out at once, each with one narrow question about the code. They only read, see nothing "
        "of this conversation, and each gives a short report. For broad questions whose answer lies in many files."
    )
    reads = False  # what those before it used must be known when it goes

    class Call(Arguments):
        questions: list[Asked] = Field(min_length=1, max_length=MOST, description="One for each explorer.")

    arguments = Call

    def label(self, arguments: Call) -> str:
        return "; ".join(one_line(each.question, most=60) for each in arguments.questions)

    async def call(self, arguments: Call, context: ToolContext) -> Answer:
        if context.explore is None:
            raise ToolError("there are no explorers here: search and read yourself")
        explored = await context.explore(
            tuple(Question(text=each.question, where=each.where) for each in arguments.questions)
        )
        return Answer(text=explored.report, explored=explored)


class Report:
    """An explorer's last word."""

    name = "report"
    description = "Give your report and end. It is all that the asker sees of your work."
    reads = False

    class Call(Arguments):
        findings: str = Field(
            min_length=1,
            description="The answer first; then what shows it, as path:line with a short quote; then what you could not find.",
        )

    arguments = Call

    def label(self, arguments: Call) -> str:
        return arguments.findings

    async def call(self, arguments: Any, context: ToolContext) -> Answer:
        del context
        return Answer(text="noted", finish=Finish(summary=arguments.findings))
