"""A unified diff as git writes it → files, hunks and numbered lines; and small diffs of two texts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal, NamedTuple

__all__ = ["File", "Line", "between", "parse"]

header = re.compile(r"@@ -(\d{1,9})(?:,(\d{1,9}))? \+(\d{1,9})(?:,(\d{1,9}))? @@ ?(.*)")
MOST_COMPARED = 400
"""Lines on each side up to which two texts are compared; beyond, all of one is replaced by all of the other."""


class Line(NamedTuple):
    """One line. *old* and *new* are its numbers, 0 where it is not; *spot* is what differs inside it, as offsets."""

    kind: Literal["same", "add", "cut", "hunk", "note"]
    text: str
    old: int = 0
    new: int = 0
    spot: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """What a diff does to one file. *how* is what is to be said of it besides lines: new, deleted, renamed or binary."""

    path: str
    how: tuple[str, ...]
    lines: tuple[Line, ...]
    added: int
    removed: int


def parse(text: str) -> list[File]:
    """The files of a unified diff. Lines that no diff should hold are kept as notes, never dropped."""
    files: list[File] = []
    block: list[str] = []
    for kind, line in _counted(text.split("\n")):
        if kind == "head" and line.startswith("diff --git ") and block:
            files.append(_file(block))
            block = []
        block.append(line)
    if any(line.strip() for line in block):
        files.append(_file(block))
    return files


def between(old: str, new: str) -> tuple[Line, ...]:
    """How *old* became *new*, line by line, without line numbers."""
    before, after = old.split("\n"), new.split("\n")
    if max(len(before), len(after)) > MOST_COMPARED:
        steps = [("replace", 0, len(before), 0, len(after))]
    else:
        steps = list(SequenceMatcher(None, before, after, autojunk=False).get_opcodes())
    lines: list[Line] = []
    for step, i1, i2, j1, j2 in steps:
        if step == "equal":
            lines += [Line("same", each) for each in before[i1:i2]]
        else:
            lines += [Line("cut", each) for each in before[i1:i2]]
            lines += [Line("add", each) for each in after[j1:j2]]
    return tuple(_spotted(lines))


def _counted(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Each line with whether it is inside a hunk: a removed line may look like a header."""
    old = new = 0
    for line in lines:
        if old <= 0 and new <= 0:
            found = header.match(line)
            if found:
                old, new = int(found[2] or 1), int(found[4] or 1)
            yield ("hunk" if found else "head"), line
            continue
        old -= line[:1] in {" ", "-", ""}
        new -= line[:1] in {" ", "+", ""}
        yield "body", line


def _file(block: Sequence[str]) -> File:
    names: dict[str, str] = {}
    how: list[str] = []
    lines: list[Line] = []
    old = new = 0
    for kind, line in _counted(block):
        if kind == "hunk" and (found := header.match(line)):
            old, new = int(found[1]), int(found[3])
            lines.append(Line("hunk", found[5]))
        elif kind == "head":
            if (note := _heading(line, names, how)) is not None:
                lines.append(note)
        else:
            step = _body(line, old, new)
            old, new = old + (step.old > 0), new + (step.new > 0)
            lines.append(step)
    path = names.get("+++") or names.get("---") or names.get("diff", "")
    return File(
        path=path,
        how=tuple(how),
        lines=tuple(_spotted(lines)),
        added=sum(line.kind == "add" for line in lines),
        removed=sum(line.kind == "cut" for line in lines),
    )


def _body(line: str, old: int, new: int) -> Line:
    match line[:1]:
        case "+":
            return Line("add", line[1:], 0, new)
        case "-":
            return Line("cut", line[1:], old, 0)
        case " " | "":
            return Line("same", line[1:], old, new)
        case _:
            return Line("note", line.removeprefix("\\ "))


HEADINGS = {
    "new file mode ": "new, mode ",
    "deleted file mode ": "deleted, mode ",
    "old mode ": "mode was ",
    "new mode ": "mode is ",
    "rename from ": "renamed from ",
    "copy from ": "copied from ",
    "Binary files ": "binary",
    "GIT binary patch": "binary",
}
QUIET = ("index ", "similarity ", "dissimilarity ", "rename to ", "copy to ")


def _heading(line: str, names: dict[str, str], how: list[str]) -> Line | None:
    if line.startswith("diff --git "):
        names["diff"] = line.removeprefix("diff --git ").rpartition(" b/")[2]
        return None
    if line[:4] in {"--- ", "+++ "}:
        path = line[4:].split("\t", 1)[0]
        names[line[:3]] = "" if path == "/dev/null" else re.sub(r'^("?)[ab]/', r"\1", path)
        return None
    for begin, word in HEADINGS.items():
        if line.startswith(begin):
            how.append(word if word == "binary" else word + line.removeprefix(begin))
            return None
    if not line or line.startswith(QUIET):
        return None
    return Line("note", line.removeprefix("\\ "))


def _spotted(lines: Sequence[Line]) -> Iterator[Line]:
    """Where as many lines were added as were cut right before, what differs inside each pair is marked."""
    index = 0
    while index < len(lines):
        cuts = _run(lines, index, "cut")
        adds = _run(lines, index + len(cuts), "add")
        if cuts and len(cuts) == len(adds):
            pairs = [_spot(a.text, b.text) for a, b in zip(cuts, adds, strict=True)]
            yield from (line._replace(spot=spots[0]) for line, spots in zip(cuts, pairs, strict=True))
            yield from (line._replace(spot=spots[1]) for line, spots in zip(adds, pairs, strict=True))
        else:
            yield from cuts
            yield from adds
        index += len(cuts) + len(adds)
        if not cuts and not adds:
            yield lines[index]
            index += 1


def _run(lines: Sequence[Line], start: int, kind: str) -> list[Line]:
    end = start
    while end < len(lines) and lines[end].kind == kind:
        end += 1
    return list(lines[start:end])


def _spot(old: str, new: str) -> tuple[tuple[int, int], tuple[int, int]]:
    shorter = min(len(old), len(new))
    head = next((at for at in range(shorter) if old[at] != new[at]), shorter)
    tail = next((at for at in range(shorter - head) if old[-1 - at] != new[-1 - at]), shorter - head)
    if head + tail < shorter // 3:
        return (0, 0), (0, 0)  # The lines have little in common: marking nearly all of them would say nothing.
    return (head, len(old) - tail), (head, len(new) - tail)
