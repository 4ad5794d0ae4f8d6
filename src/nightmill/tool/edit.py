"""Edits by search and replace, that land although models misquote and never land in the wrong place.

Each search text is looked for in tiers, from exact to lenient; in the first tier that finds it, it must be found
exactly once. Only the matched span of the original is replaced. Several edits are made in order, all or none.
"""

from __future__ import annotations

from pydantic import Field

from nightmill.errors import ToolError
from nightmill.tool.base import Answer, Arguments, ToolContext, inside

__all__ = ["EditFile", "apply_edit"]

MOST_BYTES = 16 << 20
MOST_SHOWN = 8
TYPOGRAPHY = str.maketrans(
    {
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-"),
        **dict.fromkeys("\u2018\u2019\u201a\u201b", "'"),
        **dict.fromkeys("\u201c\u201d\u201e\u201f", '"'),
        **dict.fromkeys("\u00a0\u2002\u2003\u2009\u202f\u3000", " "),
    }
)


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
                text, at = apply_edit(text, old=edit.old, new=edit.new, everywhere=edit.all)
            except ToolError as error:
                which = f"edit {number} of {len(arguments.edits)}: " if len(arguments.edits) > 1 else ""
                raise ToolError(f"{which}{error.message} Nothing was changed in {arguments.path!r}.") from None
            moved = len(text) - before
            places = [(start + moved if start > at else start, lines) for start, lines in places]
            places.append((at, edit.new.count("\n") + 1))
        await context.workspace.write(path, text.encode("utf-8", "surrogateescape"))
        count = f": {len(places)} edits made" if len(places) > 1 else ""
        shown = _around(text, places)
        return Answer(text=f"edited {arguments.path}{count}\n{shown}", changed=True, edited=(arguments.path,))


def apply_edit(text: str, *, old: str, new: str, everywhere: bool = False) -> tuple[str, int]:
    """*text* with *old* replaced by *new*, and the offset of the first change.

    Raises:
        ToolError: If *old* is empty, not found, or found more than once.
    """
    if old == new:
        raise ToolError("old and new are the same text.")
    if not old.strip():
        raise ToolError("old is empty: quote some lines of the file, or use write_file for a new file.")
    newline = "\r\n" if "\r\n" in text else "\n"
    old, new = (part.replace("\r\n", "\n").replace("\n", newline) for part in (old, new))
    hits = text.count(old)
    if hits == 1 or (hits and everywhere):
        return text.replace(old, new), text.index(old)
    if hits:
        raise ToolError(f"old is found {hits} times ({_lines_of(text, old)}): quote more lines around it, or set all.")
    return _lenient(text, old, new, newline)


def _lenient(text: str, old: str, new: str, newline: str) -> tuple[str, int]:
    lines = text.splitlines(keepends=True)
    wanted = old.strip("\r\n").splitlines()
    for form in (str.rstrip, _plain, str.strip, lambda line: _plain(line).strip()):
        starts = _find([form(line) for line in lines], [form(line) for line in wanted])
        if len(starts) > 1:
            where = ", ".join(str(start + 1) for start in starts[:MOST_SHOWN])
            raise ToolError(
                f"old is found {len(starts)} times, apart from white space (lines {where}): quote more lines."
            )
        if starts:
            start, end = starts[0], starts[0] + len(wanted)
            replaced = _reindent(new.strip("\r\n") if old.strip("\r\n") != old else new, wanted, lines[start:end])
            if replaced and lines[end - 1].endswith("\n") and not replaced.endswith("\n"):
                replaced += newline
            return "".join([*lines[:start], replaced, *lines[end:]]), sum(map(len, lines[:start]))
    raise ToolError(f"old is not in the file. {_nearest(lines, wanted)}")


def _plain(line: str) -> str:
    return line.translate(TYPOGRAPHY).rstrip()


def _find(lines: list[str], wanted: list[str]) -> list[int]:
    if not any(wanted):
        return []
    head, size = wanted[0], len(wanted)
    return [
        at for at, line in enumerate(lines[: len(lines) - size + 1]) if line == head and lines[at : at + size] == wanted
    ]


def _reindent(new: str, wanted: list[str], found: list[str]) -> str:
    """*new*, moved by the indentation that *found* has and the quoted *wanted* had not."""
    quoted, real = next(((_indent(a), _indent(b)) for a, b in zip(wanted, found, strict=True) if a.strip()), ("", ""))
    if quoted == real:
        return new
    return "".join(
        real + line.removeprefix(quoted) if line.strip() and line.startswith(quoted) else line
        for line in new.splitlines(keepends=True)
    )


def _indent(line: str) -> str:
    return line[: len(line) - len(line.lstrip(" \t"))]


def _lines_of(text: str, old: str) -> str:
    at, found = text.find(old), list[str]()
    while at >= 0 and len(found) < MOST_SHOWN:
        found.append(str(text.count("\n", 0, at) + 1))
        at = text.find(old, at + 1)
    return "lines " + ", ".join(found)


def _nearest(lines: list[str], wanted: list[str]) -> str:
    """Where the file shares most lines with the quoted text, with line numbers."""
    keys = {line.strip() for line in wanted if line.strip()}
    size = len(wanted)
    hits = [line.strip() in keys for line in lines]
    if not any(hits):
        return "No line of it is there: read the file again."
    score = [sum(hits[at : at + size]) for at in range(max(1, len(lines) - size + 1))]
    best = score.index(max(score))
    shown = "".join(f"{number}\t{line}" for number, line in enumerate(lines[best : best + size + 2], best + 1))
    return f"The nearest lines are:\n{shown.rstrip()[:4000]}\nQuote them as they are."


def _around(text: str, places: list[tuple[int, int]]) -> str:
    """The lines of *text* at *places* (offset, lines) with one before and after each, numbered; long ones in part."""
    lines = text.splitlines()
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
