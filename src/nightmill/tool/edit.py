"""Edits by search and replace, that land although models misquote and never land in the wrong place.

Each search text is looked for in tiers, from exact to lenient; in the first tier that finds it, it must be found
exactly once. Only the matched span of the original is replaced. Several edits are made in order, all or none.
"""

from __future__ import annotations

from pydantic import Field

from nightmill.errors import ToolError
from nightmill.tool.base import Answer, Arguments, ToolContext, digest, inside, known_as
from nightmill.tool.landing import apply_edit
from nightmill.tool.landing.page import bare, split

__all__ = ["EditFile"]

MOST_BYTES = 16 << 20
MOST_SHOWN = 8


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
        path = inside(arguments.path)
        body = await context.workspace.read(path, limit=MOST_BYTES + 1)
        if len(body) > MOST_BYTES:
            raise ToolError(f"{arguments.path!r} is larger than {MOST_BYTES >> 20} MiB: change it with a command")
        text = body.decode("utf-8", "surrogateescape")
        places: list[tuple[int, int]] = []
        for number, edit in enumerate(arguments.edits, 1):
            before = len(text)
            try:
                text, at, _ = apply_edit(text, old=edit.old, new=edit.new, everywhere=edit.all)
            except ToolError as error:
                which = f"edit {number} of {len(arguments.edits)}: " if len(arguments.edits) > 1 else ""
                raise ToolError(f"{which}{error.message} Nothing was changed in {arguments.path!r}.") from None
            moved = len(text) - before
            places = [(start + moved if start > at else start, lines) for start, lines in places]
            places.append((at, edit.new.count("\n") + 1))
        body = text.encode("utf-8", "surrogateescape")
        await context.workspace.write(path, body)
        count = f": {len(places)} edits made" if len(places) > 1 else ""
        shown = _around(text, places)
        seen = ((known_as(path), digest(body)),)
        return Answer(
            text=f"edited {arguments.path}{count}\n{shown}", changed=True, edited=(arguments.path,), seen=seen
        )


def _around(text: str, places: list[tuple[int, int]]) -> str:
    """The lines of *text* at *places* (offset, lines) with one before and after each, numbered; long ones in part."""
    lines = [bare(line) for line in split(text)]
    wanted: set[int] = set()
    for offset, size in places:
        line = text.count("\n", 0, offset)
        wanted |= set(range(max(0, line - 1), min(len(lines), line + min(size, MOST_SHOWN) + 1)))
    found, last = list[str](), -1
    for number in sorted(wanted):
        found += ["…"] if last >= 0 and number > last + 1 else []
        found.append(f"{number + 1}\t{lines[number][:300]}")
        last = number
    return "\n".join(found)
