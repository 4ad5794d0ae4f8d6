"""Edits of one file by search and replace: made in order, all or none; where each lands is `landing`'s matter."""

from __future__ import annotations

from typing import NamedTuple

from pydantic import Field

from nightmill.errors import ToolError
from nightmill.tool.base import Answer, Arguments, ToolContext, digest, inside, known_as
from nightmill.tool.coding import Coded
from nightmill.tool.footprint import keep_within
from nightmill.tool.landing import apply_edit
from nightmill.tool.landing.page import bare, split
from nightmill.tool.syntax import broken
from nightmill.tool.veil import meant

__all__ = ["CHANGED", "EditFile", "around", "text_of"]

MOST_BYTES = 16 << 20
MOST_SHOWN = 8
MORE = 4
CHANGED = "(the file changed since you read it, elsewhere or in what you did not quote; this is how it is now)"


class Edit(Arguments):
    """One replacement."""

    old: str = Field(
        description="The text to replace, exactly as in the file, with enough lines around it to be unique."
    )
    new: str = Field(description="What takes its place.")
    all: bool = Field(default=False, description="Replace every exact occurrence.")


class EditFile:
    """Replace parts of a file."""

    name = "edit_file"
    description = (
        "Change a file by replacing texts in it. Each old text must be found exactly once (unless all is true). "
        "Several edits of one file are made in order, all or none. Line numbers are not part of the file."
    )
    reads = False

    class Call(Arguments):
        path: str = Field(description="Path from the root of the repository.")
        edits: list[Edit] = Field(min_length=1, description="The replacements, in order.")

    arguments = Call

    def label(self, arguments: Call) -> str:
        more = f" ({len(arguments.edits)} edits)" if len(arguments.edits) > 1 else ""
        return f"{arguments.path}{more}"

    async def call(self, arguments: Call, context: ToolContext) -> Answer:
        """Make all edits, or none.

        A file that changed since the agent saw it (a command, a formatter) is still edited where every old text is there
        exactly: then the change elsewhere does not matter, and the answer says that there was one. Where old would
        only be found leniently, nobody knows whether it was misquoted or is of the past, and the edit is refused.
        """
        path = inside(arguments.path)
        before = await text_of(arguments.path, context)
        keep_within(path, context, new=False)
        coded = Coded.of(before)
        stale = context.known.get(known_as(path)) not in {None, digest(before)}
        made = _made(coded, await _meant(arguments, coded.text, context), exactly=stale)
        after = coded.encoded(made.text)
        await context.workspace.write(path, after)
        count = f": {len(made.places)} edits made" if len(made.places) > 1 else ""
        wrong = await broken(path, before, after, context)
        parts = [f"edited {arguments.path}{count}", CHANGED if stale else "", wrong]
        shown = around(made.text, made.places, more=MORE if stale else 1)
        return Answer(
            text="\n".join(part for part in (*parts, shown) if part),
            changed=True,
            edited=(arguments.path,),
            seen=((known_as(path), digest(after)),),
        )


async def text_of(path: str, context: ToolContext) -> bytes:
    """What the file *path* holds.

    Raises:
        ToolError: If there is none, it is no text, or it is too large to be edited.
    """
    body = await context.workspace.read(inside(path), limit=MOST_BYTES + 1)
    if len(body) > MOST_BYTES:
        raise ToolError(f"{path!r} is larger than {MOST_BYTES >> 20} MiB: change it with a command")
    return body


async def _meant(arguments: EditFile.Call, text: str, context: ToolContext) -> EditFile.Call:
    """*arguments* as they are about what the file really holds."""
    quoted = await meant([part for edit in arguments.edits for part in (edit.old, edit.new)], text, context)
    pairs = zip(quoted[::2], quoted[1::2], strict=True)
    edits = [
        edit.model_copy(update={"old": old, "new": new})
        for edit, (old, new) in zip(arguments.edits, pairs, strict=True)
    ]
    return arguments.model_copy(update={"edits": edits})


class _Made(NamedTuple):
    text: str
    places: list[tuple[int, int]]


def _made(coded: Coded, arguments: EditFile.Call, *, exactly: bool) -> _Made:
    """The text with all edits, and where each is (offset, lines).

    Raises:
        ToolError: If one cannot be made; the message says which, and that none was.
    """
    text = coded.text
    places: list[tuple[int, int]] = []
    for number, edit in enumerate(arguments.edits, 1):
        before = len(text)
        try:
            landed = apply_edit(text, old=coded.asked(edit.old), new=coded.asked(edit.new), everywhere=edit.all)
            if landed.how and exactly:
                line = text.count("\n", 0, landed.at) + 1
                raise ToolError(f"old is not in the file exactly, only {landed.how} (line {line}).")
        except ToolError as error:
            which = f"edit {number} of {len(arguments.edits)}: " if len(arguments.edits) > 1 else ""
            since = " The file changed since you read it: read it again." if exactly else ""
            raise ToolError(f"{which}{error.message}{since} Nothing was changed in {arguments.path!r}.") from None
        text, at = landed.text, landed.at
        moved = len(text) - before
        places = [(start + moved if start > at else start, lines) for start, lines in places]
        places.append((at, edit.new.count("\n") + 1))
    return _Made(text, places)


def around(text: str, places: list[tuple[int, int]], *, more: int) -> str:
    """The lines of *text* at *places* (offset, lines) with *more* before and after each, numbered; long ones in part."""
    lines = [bare(line) for line in split(text)]
    wanted: set[int] = set()
    for offset, size in places:
        line = text.count("\n", 0, offset)
        wanted |= set(range(max(0, line - more), min(len(lines), line + min(size, MOST_SHOWN) + more)))
    found, last = list[str](), -1
    for number in sorted(wanted):
        found += ["…"] if last >= 0 and number > last + 1 else []
        found.append(f"{number + 1}\t{lines[number][:300]}")
        last = number
    return "\n".join(found)
