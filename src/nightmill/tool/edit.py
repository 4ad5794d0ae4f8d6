"""Edits by search and replace, that land although models misquote and never land in the wrong place.

Each search text is looked for in tiers, from exact to lenient; in the first tier that finds it, it must be found
exactly once. Only the matched span of the original is replaced. Several edits are made in order, all or none.
"""

from __future__ import annotations

import re
from difflib import SequenceMatcher
from itertools import accumulate

from pydantic import Field

from nightmill.errors import ToolError
from nightmill.tool.base import Answer, Arguments, ToolContext, digest, inside, known_as
from nightmill.tool.indent import shift

__all__ = ["EditFile", "apply_edit"]

MOST_BYTES = 16 << 20
MOST_SHOWN = 8
MOST_FOUND = 1000
NEWLINE = r"(?:\r\n|(?<!\r)\n)"
MARK = "\ufeff"
"""The byte order mark: not part of what anybody quotes."""
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
        body = text.encode("utf-8", "surrogateescape")
        await context.workspace.write(path, body)
        count = f": {len(places)} edits made" if len(places) > 1 else ""
        shown = _around(text, places)
        seen = ((known_as(path), digest(body)),)
        return Answer(
            text=f"edited {arguments.path}{count}\n{shown}", changed=True, edited=(arguments.path,), seen=seen
        )


def apply_edit(text: str, *, old: str, new: str, everywhere: bool = False) -> tuple[str, int]:
    """*text* with *old* replaced by *new*, and the offset of the first change.

    Raises:
        ToolError: If *old* is empty (except in an empty text), not found, or found more than once.
    """
    if old == new:
        raise ToolError("old and new are the same text.")
    mark = MARK if text.startswith(MARK) else ""
    text, old, new = text[len(mark) :], old.removeprefix(MARK), new.removeprefix(MARK)
    if not old and text:
        raise ToolError("old is empty: quote some lines of the file, or use write_file for a new file.")
    edited, at = _exact(text, old, new, everywhere=everywhere) or _lenient(text, old, new)
    return mark + edited, len(mark) + at


def _exact(text: str, old: str, new: str, *, everywhere: bool) -> tuple[str, int] | None:
    """Line ends do not count: where the model has its own, the file's are found, and put."""
    pattern = re.compile(NEWLINE.join(map(re.escape, old.replace("\r\n", "\n").split("\n"))))
    first = pattern.search(text)
    if first is None:
        return None
    usual = "\r\n" if 2 * text.count("\r\n") > text.count("\n") else "\n"

    def made(found: re.Match[str]) -> str:
        newline = usual if "\n" not in found[0] else "\r\n" if "\r\n" in found[0] else "\n"
        return new.replace("\r\n", "\n").replace("\n", newline)

    if everywhere and old:
        return pattern.sub(made, text), first.start()
    starts = _starts(pattern, text) if old else [0]
    if len(starts) > 1:
        where = ", ".join(str(text.count("\n", 0, start) + 1) for start in starts[:MOST_SHOWN])
        raise ToolError(f"old is found {len(starts)} times (lines {where}): quote more lines around it, or set all.")
    return text[: first.start()] + made(first) + text[first.end() :], first.start()


def _starts(pattern: re.Pattern[str], text: str) -> list[int]:
    """Where *pattern* is found, overlaps too; at most as many as anybody wants to know."""
    starts: list[int] = []
    while len(starts) < MOST_FOUND and (found := pattern.search(text, starts[-1] + 1 if starts else 0)):
        starts.append(found.start())
    return starts


def _lenient(text: str, old: str, new: str) -> tuple[str, int]:
    """Whole lines, apart from what models misquote. Lines that *new* has from *old* stay as the file has them."""
    lines = _split(text)
    quoted, made = _lines(old), _lines(new)
    for form in (str.rstrip, _plain, str.strip, lambda line: _plain(line).strip()):
        formed = [form(line) for line in lines]
        for wanted, put in ((quoted, made), _without_edges(quoted, made)):
            starts = _find(formed, [form(line) for line in wanted])
            if len(starts) > 1:
                where = ", ".join(str(start + 1) for start in starts[:MOST_SHOWN])
                raise ToolError(
                    f"old is found {len(starts)} times, apart from white space (lines {where}): quote more lines."
                )
            if starts:
                before, found = lines[: starts[0]], lines[starts[0] : starts[0] + len(wanted)]
                placed = _placed(found, wanted, put, ends=(old.endswith("\n"), new.endswith("\n")))
                after = lines[starts[0] + len(wanted) :]
                return "".join([*before, placed, *after]), sum(map(len, before))
    raise ToolError(f"old is not in the file. {_nearest(lines, quoted)}")


def _placed(found: list[str], wanted: list[str], put: list[str], *, ends: tuple[bool, bool]) -> str:
    """What takes the place of the lines *found*: *put*, moved by the indentation that *wanted* had not.

    *ends* says whether the quoted text and the new one end with a line end, as in an exact replacement.
    """
    move = shift(wanted, found)
    newline = "\r\n" if found[0].endswith("\r\n") else "\n"
    kept = {
        block.b + at: found[block.a + at]
        for block in SequenceMatcher(None, wanted, put, autojunk=False).get_matching_blocks()
        for at in range(block.size)
    }
    if move is None and any(line.strip() for at, line in enumerate(put) if at not in kept):
        raise ToolError("old is indented otherwise than the file: quote its white space as it is.")
    placed = [kept[at] if at in kept else move(line) if move else "" for at, line in enumerate(put)]
    head = "".join(_bare(line) + (_end(line) or newline) for line in placed[:-1])
    last = _end(found[-1])
    tail = (last if put else "") if ends[0] else (newline if ends[1] and put else "") + last
    return head + "".join(_bare(line) for line in placed[-1:]) + tail


def _split(text: str) -> list[str]:
    """The lines of *text* with their ends: only the ends that compilers and search tools count."""
    lines = [f"{line}\n" for line in text.split("\n")]
    lines[-1] = lines[-1][:-1]
    return lines if lines[-1] else lines[:-1]


def _lines(text: str) -> list[str]:
    return [_bare(line) for line in _split(text)]


def _bare(line: str) -> str:
    return line[: len(line) - len(_end(line))]


def _end(line: str) -> str:
    return "\r\n" if line.endswith("\r\n") else "\n" if line.endswith("\n") else ""


def _without_edges(wanted: list[str], put: list[str]) -> tuple[list[str], list[str]]:
    """Both without the blank lines at the edges of *wanted*."""
    wanted, put = list(wanted), list(put)
    for edge in (0, -1):
        while wanted and not wanted[edge].strip():
            del wanted[edge]
            if put and not put[edge].strip():
                del put[edge]
    return wanted, put


def _plain(line: str) -> str:
    return line.translate(TYPOGRAPHY).rstrip()


def _find(lines: list[str], wanted: list[str]) -> list[int]:
    if not any(wanted):
        return []
    head, size = wanted[0], len(wanted)
    return [
        at for at, line in enumerate(lines[: len(lines) - size + 1]) if line == head and lines[at : at + size] == wanted
    ]


def _nearest(lines: list[str], wanted: list[str]) -> str:
    """Where the file shares most lines with the quoted text, with line numbers."""
    keys = {line.strip() for line in wanted if line.strip()}
    size = len(wanted)
    hits = [line.strip() in keys for line in lines]
    if not any(hits):
        return "No line of it is there: read the file again."
    sums = [0, *accumulate(hits)]
    score = [sums[min(at + size, len(lines))] - sums[at] for at in range(max(1, len(lines) - size + 1))]
    best = score.index(max(score))
    shown = "".join(f"{number}\t{line}" for number, line in enumerate(lines[best : best + size + 2], best + 1))
    return f"The nearest lines are:\n{shown.rstrip()[:4000]}\nQuote them as they are."


def _around(text: str, places: list[tuple[int, int]]) -> str:
    """The lines of *text* at *places* (offset, lines) with one before and after each, numbered; long ones in part."""
    lines = _lines(text)
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
