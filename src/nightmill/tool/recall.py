"""Reading what was left out of a result."""

from __future__ import annotations

from pydantic import Field

from nightmill.errors import ToolError
from nightmill.sandbox import Command
from nightmill.tool.base import MOST_CHARACTERS, Answer, Arguments, ToolContext, cut

__all__ = ["ReadOutput"]

MOST_LINES = 1000
LONGEST_LINE = 2000
NO_HITS = 1


class ReadOutput:
    """Read a kept output by range, or search it."""

    name = "read_output"
    description = (
        "Read what was left out of an earlier result, by the reference that the result names: some lines of it, or with "
        "pattern the lines that fit."
    )
    reads = True

    class Call(Arguments):
        reference: str = Field(description="As the result names it.")
        offset: int = Field(default=1, ge=1, description="First line, from 1.")
        limit: int = Field(default=200, ge=1, le=MOST_LINES, description="How many lines.")
        column: int = Field(default=1, ge=1, description="First character of each line, for lines that were cut.")
        pattern: str = Field(default="", description="Regular expression (ripgrep syntax): only lines that fit.")
        context: int = Field(default=0, ge=0, le=10, description="Lines to show around each hit.")

    arguments = Call

    def label(self, arguments: Call) -> str:
        what = f"{arguments.pattern!r} in " if arguments.pattern else ""
        return f"{what}{arguments.reference}:{arguments.offset}"

    async def call(self, arguments: Call, context: ToolContext) -> Answer:
        text = context.outputs.get(arguments.reference)
        if arguments.pattern:
            return Answer(text=await _hits(text, arguments, context))
        lines = text.split("\n")
        lines = lines if lines[-1] else lines[:-1]
        chosen = lines[arguments.offset - 1 : arguments.offset - 1 + arguments.limit]
        if not chosen:
            raise ToolError(f"the output has {len(lines)} lines; offset {arguments.offset} is behind them")
        numbered: list[str] = []
        room = MOST_CHARACTERS
        for number, line in enumerate(chosen, arguments.offset):
            numbered.append(f"{number}\t{_part(line, arguments.column)}")
            room -= len(numbered[-1]) + 1
            if room < 0 and len(numbered) > 1:
                numbered.pop()
                break
        last = arguments.offset + len(numbered) - 1
        return Answer(text="\n".join(numbered) + f"\n(lines {arguments.offset}–{last} of {len(lines)})")


def _part(line: str, column: int) -> str:
    part = line[column - 1 : column - 1 + LONGEST_LINE]
    behind = len(line) - (column - 1) - len(part)
    return f"{part}[… {behind:,} characters more: column {column + len(part)} …]" if behind > 0 else part


async def _hits(text: str, arguments: ReadOutput.Call, context: ToolContext) -> str:
    """The lines that fit; searched in the sandbox, where no pattern can hold up anything but itself."""
    if "\0" in arguments.pattern:
        raise ToolError("a search cannot contain a NUL character: write \\x00")
    argv = ("/opt/nightmill/bin/rg", "--line-number", "--no-heading", "--color=never", "--text", "--max-columns=2000",
            "--max-columns-preview", f"--context={arguments.context}", "--regexp", arguments.pattern, "-")  # fmt: skip
    stdin = text.encode("utf-8", "replace")
    outcome = await context.workspace.run(Command(argv=argv, stdin=stdin, limits=context.limits))
    if outcome.stopped:
        raise ToolError(f"the search was stopped ({outcome.stopped})")
    if outcome.exit == NO_HITS:
        return "(no hits)"
    if outcome.exit != 0:
        raise ToolError(outcome.text.strip() or "the search failed")
    lines = outcome.text.splitlines(keepends=True)
    skipped = "".join(lines[arguments.offset - 1 :]) if arguments.offset > 1 else outcome.text
    return cut(skipped)
