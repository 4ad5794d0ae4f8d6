"""Running a command in the sandbox."""

from __future__ import annotations

from dataclasses import replace

from pydantic import Field

from nightmill.errors import ToolError
from nightmill.sandbox import Command
from nightmill.tool.base import MOST_CHARACTERS, Answer, Arguments, Kept, ToolContext, plain
from nightmill.tool.outputs import shown
from nightmill.tool.veil import marked, unmarked

__all__ = ["RunCommand"]

LONGEST = 1800.0
MOST_BYTES = 120_000
"""The kernel takes an argument of 128 KiB."""
KEPT = 8 << 20
"""Bytes of output that can be read afterwards; the middle of more is lost."""

RAISED = "what a command may have is in nightmill.yaml, for a person to raise:"


class RunCommand:
    """Run a shell command."""

    name = "run_command"
    description = (
        "Run a shell command (bash) at the root of the repository, in a sandbox without network. "
        "Each call is a shell of its own: only files stay from call to call, below /work for good, in /tmp for a while. "
        "Standard output and error come together."
    )
    reads = False

    class Call(Arguments):
        command: str = Field(description="What bash runs.")
        timeout: float | None = Field(
            default=None,
            gt=0,
            le=LONGEST,
            description="Seconds after which it is stopped; the project sets the default, mostly 30.",
        )

    arguments = Call

    def label(self, arguments: Call) -> str:
        first, more, _ = arguments.command.strip().partition("\n")
        return f"{first[:160]} …" if more or len(first) > 160 else first  # one line of a wide terminal

    async def call(self, arguments: Call, context: ToolContext) -> Answer:
        if len(arguments.command.encode()) > MOST_BYTES:
            raise ToolError("the command is too long for the system: write a file with write_file, then run that")
        if "\0" in arguments.command:
            raise ToolError("a command cannot contain a NUL character")
        unmarked(arguments.command, context)
        if context.results and (kept := await context.results.find(arguments.command, context.workspace)):
            return await _known(arguments.command, kept, context)
        limits = replace(context.limits, output=max(KEPT, context.limits.output))
        limits = replace(limits, seconds=arguments.timeout) if arguments.timeout else limits
        command = Command(argv=("bash", "-c", arguments.command), limits=limits)
        output = context.watch(self.label(arguments)) if context.watch else None
        outcome = await context.workspace.run(command, output=output)
        if context.results:
            await context.results.keep(arguments.command, outcome, context.workspace)
        ends = {
            "": f"exit status {outcome.exit}",
            "timeout": f"stopped after {limits.seconds:g} s: it ran too long",
            "memory": f"stopped: it needs more than {limits.memory >> 20} MB of memory; {RAISED} limits.memory",
            "processes": f"stopped: more than {limits.processes} processes; {RAISED} limits.processes",
            "disk": f"stopped: the disk of this sandbox is used up, delete something; {RAISED} limits.disk",
            "output": "stopped: too much output",
            "cancelled": "stopped by a person",
        }
        said = await marked(plain(outcome.text), context)
        text = shown(said, context.outputs, most=MOST_CHARACTERS).rstrip("\n")
        told = f"{text}\n({ends[outcome.stopped]})" if text else f"({ends[outcome.stopped]}, no output)"
        # What was stopped has not passed, whatever it had printed by then.
        ran = ((arguments.command, outcome.exit == 0 and not outcome.stopped, "" if outcome.stopped else text),)
        news = await marked(context.news(), context)
        return Answer(text="\n".join(part for part in (told, news) if part), changed=True, ran=ran, veiled=True)


async def _known(command: str, kept: Kept, context: ToolContext) -> Answer:
    """The answer to *command*, which was not run."""
    said = await marked(plain(kept.output), context)
    text = shown(said, context.outputs, most=MOST_CHARACTERS).rstrip("\n")
    told = (
        f"(exit status {kept.exit}; not run now: this is how it ended, after {kept.seconds:.1f} s, on the same files in"
        f" {kept.whence}. Call it once more to have it run.)"
    )
    lines = (text, told, await marked(context.news(), context))
    ran = ((command, kept.exit == 0, text),)
    return Answer(text="\n".join(part for part in lines if part), ran=ran, veiled=True)
