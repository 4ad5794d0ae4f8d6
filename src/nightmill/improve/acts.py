"""What an agent did in its sandbox, read from the records of its turns: its acts in order, and the traps it met."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nightmill.errors import ToolError
from nightmill.model.history import read_object
from nightmill.model.message import ToolCall, ToolResult
from nightmill.tool.base import one_line

if TYPE_CHECKING:
    from nightmill.agent import TurnRecord
    from nightmill.tool import Toolset

__all__ = ["Act", "Trap", "acts", "traps"]

COMMAND = "run_command"
EDITS = frozenset({"edit_file", "write_file", "apply_patch"})
MOST_SAID = 400
MOST_TRAPS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """One call that may have changed the workspace.

    Attributes:
        number: From 1, over the whole step.
        call: As the model made it, so that the same tool can make it again.
        command: What bash ran; "" for an edit.
        ok: Whether it ended well: exit status 0, or an edit that was made.
        said: What it gave, as the agent was shown it.
    """

    number: int
    turn: int
    call: ToolCall
    command: str
    ok: bool
    said: str

    @property
    def label(self) -> str:
        """The act on one line."""
        path = (read_object(self.call.arguments) or {}).get("path", "")
        return one_line(self.command or f"{self.call.name} {path}".strip())


@dataclass(frozen=True, slots=True, kw_only=True)
class Trap:
    """What the agent tried that did not work, what that said, and what worked instead ("": nothing that is known)."""

    tried: str
    said: str
    instead: str


def acts(records: Iterable[TurnRecord], tools: Toolset) -> tuple[Act, ...]:
    """Commands and edits of *records*, in order, by the *tools* that the agent had. Reads and what never ran are none."""
    found: list[Act] = []
    for record in records:
        results = {part.call: part for part in _parts(record) if isinstance(part, ToolResult)}
        ends = iter(record.ran)
        for call in (part for part in _parts(record) if isinstance(part, ToolCall)):
            result = results.get(call.id)
            name = _tool(call, tools) if result else ""
            if result is None or name not in {COMMAND, *EDITS}:
                continue
            command, ok = "", not result.error
            if name == COMMAND:
                if result.error or (ran := next(ends, None)) is None:
                    continue  # nothing was run
                command, ok = ran.command, ran.ok
            found.append(
                Act(number=len(found) + 1, turn=record.turn, call=call, command=command, ok=ok, said=result.text)
            )
    return tuple(found)


def traps(done: Sequence[Act], kept: Sequence[Act]) -> tuple[Trap, ...]:
    """The failures among *done*, each once, with what of *kept* worked instead: the same program's next, or the next."""
    found: dict[str, Trap] = {}
    for act in done:
        if act.ok or act in kept:
            continue
        later = [each for each in kept if each.number > act.number]
        alike = [each for each in later if _program(each) == _program(act)]
        instead = next(iter(alike or later), None)
        tail = one_line(act.said[-MOST_SAID:], most=MOST_SAID)
        found.setdefault(act.label, Trap(tried=act.label, said=tail, instead=instead.label if instead else ""))
    return tuple(found.values())[:MOST_TRAPS]


def _tool(call: ToolCall, tools: Toolset) -> str:
    """The tool that *call* was understood as, "" for none: then nothing was done."""
    try:
        return tools.prepare(call).tool.name
    except ToolError:
        return ""


def _parts(record: TurnRecord) -> Iterator[object]:
    for message in record.messages:
        yield from message.parts


def _program(act: Act) -> str:
    try:
        words = shlex.split(act.command, comments=True)
    except ValueError:
        words = act.command.split()
    return words[0] if words else act.call.name
