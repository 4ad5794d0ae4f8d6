"""The dialect of patches that OpenAI's models were trained on: several files in one text, all of it or nothing.

The format is that of Codex' `apply_patch` (its instructions for models, June 2026). Its lines are found as those of
`edit_file` are: in one place from where the last change was, or not at all.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from nightmill.errors import ToolError

__all__ = ["Hunk", "Operation", "parse"]

HEAD = re.compile(r"\*\*\* (Add|Delete|Update) File: (.+)")
MOVE = re.compile(r"\*\*\* Move to: (.+)")
EDGES = ("*** Begin Patch", "*** End Patch")
END = "*** End of File"


@dataclass(slots=True)
class Hunk:
    """Lines *old* become *new*: behind the lines *under*, one after another; *last*: at the end of the file."""

    under: list[str] = field(default_factory=list)
    old: list[str] = field(default_factory=list)
    new: list[str] = field(default_factory=list)
    last: bool = False


@dataclass(slots=True)
class Operation:
    """What is done with one file; *content* is that of a new one, *target* where one is moved to, if anywhere."""

    kind: Literal["Add", "Delete", "Update"]
    path: str
    hunks: list[Hunk] = field(default_factory=list)
    content: list[str] = field(default_factory=list)
    target: str = ""


def parse(patch: str) -> list[Operation]:
    """The operations of *patch*, in order.

    Raises:
        ToolError: If it is no such patch; the message names the line.
    """
    operations: list[Operation] = []
    for number, line in _body(patch):
        operation = _begun(line)
        if operation:
            operations.append(operation)
        elif not operations and not line.strip():
            continue
        elif not operations:
            raise ToolError(
                f"line {number} of the patch belongs to no file: {line[:80]!r}; begin with *** Update File: path"
            )
        else:
            _add(operations[-1], number, line)
    _check(operations)
    return operations


def _check(operations: Sequence[Operation]) -> None:
    idle = next((each for each in operations if each.kind == "Update" and not each.hunks and not each.target), None)
    if idle:
        raise ToolError(f"the patch changes nothing in {idle.path!r}")
    if not operations:
        raise ToolError("the patch names no file: *** Update File: path, *** Add File: path or *** Delete File: path")
    paths = [path for each in operations for path in (each.path, each.target) if path]
    if len(set(paths)) < len(paths):
        raise ToolError("the patch names a file twice: put all changes of one file under one head")


def _begun(line: str) -> Operation | None:
    head = HEAD.fullmatch(line.rstrip())
    match head.groups() if head else ():
        case (("Add" | "Delete" | "Update") as kind, str(path)):
            return Operation(kind=kind, path=path.strip())
    return None


def _body(patch: str) -> Iterator[tuple[int, str]]:
    """The lines between the edges, numbered; the edges may be missing, or have a shell's here-document around them."""
    lines = patch.replace("\r\n", "\n").strip("\n").split("\n")
    marks = [line.strip() for line in lines]
    first = marks.index(EDGES[0]) + 1 if EDGES[0] in marks else 0
    last = marks.index(EDGES[1]) if EDGES[1] in marks else len(lines)
    yield from enumerate(lines[first:last], first + 1)


def _add(operation: Operation, number: int, line: str) -> None:
    if operation.kind == "Add":
        if not line.startswith("+") and line.strip():
            raise ToolError(
                f"line {number} of the patch has no + in front, in the new file {operation.path!r}: {line[:80]!r}"
            )
        operation.content.append(line[1:])
    elif operation.kind == "Delete":
        if line.strip():
            raise ToolError(f"line {number} of the patch stands under a file to delete: {line[:80]!r}")
    elif move := MOVE.fullmatch(line.rstrip()):
        operation.target = move[1].strip()
    else:
        _add_to_hunk(operation, number, line)


def _add_to_hunk(operation: Operation, number: int, line: str) -> None:
    hunks = operation.hunks
    begun = bool(hunks) and not hunks[-1].last
    if line.startswith("@@"):
        under = re.sub(r"^@@ ?|(?<=\S) ?@@$", "", line.rstrip())
        under = "" if re.fullmatch(r"-\d+(,\d+)? \+\d+(,\d+)?( @@.*)?", under) else under
        if not begun or hunks[-1].old or hunks[-1].new:
            hunks.append(Hunk())
        hunks[-1].under += [under] if under.strip() else []
        return
    if not begun:
        hunks.append(Hunk())
    hunk = hunks[-1]
    if line.rstrip() == END:
        hunk.last = True
        return
    if line[:1] not in {" ", "-", "+", ""}:
        raise ToolError(
            f"line {number} of the patch begins with none of ' ', '-', '+' and '@@', in {operation.path!r}: {line[:80]!r}"
        )
    hunk.old += [line[1:]] if line[:1] != "+" else []
    hunk.new += [line[1:]] if line[:1] != "-" else []


def trimmed(hunk: Hunk) -> tuple[Sequence[str], Sequence[str]]:
    """Old and new lines without blank ones at the end that both have: they stood between two hunks of the patch."""
    old, new = list(hunk.old), list(hunk.new)
    while old and new and not old[-1] and not new[-1]:
        del old[-1], new[-1]
    return old, new
