"""How models misquote the form of a text: white space, typography, escapes, and what they wrap around it.

Each takes a quote and gives a case, or None where the text offers no occasion. They were written before the finder was
changed to meet them, after what issue threads of agents show and what `docs/benchmarks.md` names.
"""

from __future__ import annotations

import html
import json
import re
from dataclasses import replace

from bench.edits.quote import Case, Quote

__all__ = ["FORMS"]

CURLY = str.maketrans({"'": "\u2019", '"': "\u201d", "-": "\u2013"})
LOOSE = re.compile(r"(?<=[\w)\]])\s*(=|==|\+|\*|,|:)\s*(?=[\w(\[])")


def exact(quote: Quote) -> Case | None:
    """As it is in the file."""
    return quote.case(quote.old, quote.new)


def part_of_a_line(quote: Quote) -> Case | None:
    """The first and the last line are quoted in part."""
    old, new = quote.old, quote.new
    if not quote.before or not quote.after or min(len(old[0].strip()), len(old[-1].strip())) < 8:
        return None
    head, tail = len(old[0]) - len(old[0].strip()) // 2, len(old[-1].strip()) // 2
    cut = [[lines[0][head:], *lines[1:-1], lines[-1][:-tail]] for lines in (old, new)]
    return quote.case(*cut) if "".join(f"{line}\n" for line in quote.lines).count("\n".join(cut[0])) == 1 else None


def space_behind(quote: Quote) -> Case | None:
    """The file has white space at the ends of lines that nobody sees."""
    file = list(quote.lines)
    for at in quote.rng.sample(range(len(quote.old)), max(1, len(quote.old) // 3)):
        file[quote.start + at] += quote.rng.choice(("  ", " ", "\t"))
    return quote.case(quote.old, quote.new, file=file)


def space_too_many(quote: Quote) -> Case | None:
    """White space at the ends of lines that the file has not."""
    changed = {
        at: f"{quote.old[at]}{quote.rng.choice(('  ', ' '))}" for at in quote.around() if quote.rng.random() < 0.5
    }
    return quote.case(*quote.mapped(dict(changed))) if changed else None


def dedented(quote: Quote) -> Case | None:
    """Without the indentation that all lines have."""
    full = [line[: len(line) - len(line.lstrip())] for line in quote.old + quote.put if line.strip()]
    common = 0
    while len({depth[: common + 1] for depth in full}) == 1 and all(len(depth) > common for depth in full):
        common += 1
    if not common:
        return None
    cut = [[line[common:] for line in lines] for lines in (quote.old, quote.new)]
    return quote.case(*cut, resolvable=quote.sibling() < 1)


def indented(quote: Quote) -> Case | None:
    """One level further in."""
    unit = "\t" if any(line.startswith("\t") for line in quote.lines) else "    "
    if len({line[0] for line in quote.old + quote.put if line[:1].isspace() and line.strip()}) > 1:
        return None  # the change itself is from tabs to spaces
    moved = [[f"{unit}{line}" if line.strip() else line for line in lines] for lines in (quote.old, quote.new)]
    return quote.case(*moved, resolvable=quote.sibling() < 1)


def first_line_stripped(quote: Quote) -> Case | None:
    """The first line begins at its first letter, the others are as they are."""
    if not quote.before or not quote.old[0][:1].isspace() or not quote.old[0].strip():
        return None
    cut = [[lines[0].lstrip(), *lines[1:]] for lines in (quote.old, quote.new)]
    return quote.case(*cut, resolvable=quote.sibling() < 1)


def other_unit(quote: Quote) -> Case | None:
    """Spaces for tabs, or tabs for spaces."""
    tabs = any(line.startswith("\t") for line in quote.old)
    width = " " * quote.rng.choice((2, 4, 8)) if tabs else "    "
    lines = [line for line in quote.old + quote.put if line.strip()]
    depths = [line[: len(line) - len(line.lstrip())] for line in lines]
    if not any(depths) or any(depth.replace("\t" if tabs else "    ", "") for depth in depths):
        return None

    def turned(line: str) -> str:
        depth = line[: len(line) - len(line.lstrip())]
        return (depth.replace("\t", width) if tabs else depth.replace("    ", "\t")) + line.lstrip()

    return quote.case(
        *([turned(line) for line in each] for each in (quote.old, quote.new)), resolvable=quote.sibling() < 1
    )


def typography(quote: Quote) -> Case | None:
    """The file has typographic quotes and dashes, the model writes the plain ones."""
    file = list(quote.lines)
    apt = [at for at in quote.around() if re.search("['\"-]", quote.old[at])]
    for at in apt:
        file[quote.start + at] = file[quote.start + at].translate(CURLY)
    return quote.case(quote.old, quote.new, file=file) if apt else None


def hard_spaces(quote: Quote) -> Case | None:
    """The file has no-break spaces inside its lines."""
    file = list(quote.lines)
    apt = [at for at in range(len(quote.old)) if " " in quote.old[at].strip()]
    for at in quote.rng.sample(apt, min(2, len(apt))):
        line = file[quote.start + at]
        body = line.lstrip()
        file[quote.start + at] = line[: len(line) - len(body)] + body.replace(" ", "\u00a0", 1)
    return quote.case(quote.old, quote.new, file=file) if apt else None


def other_quotes(quote: Quote) -> Case | None:
    """Double quotation marks for single ones, or the other way round, in lines that stay."""
    changed: dict[int, str | None] = {}
    for at in quote.around():
        line = quote.old[at]
        marks = set(line) & {"'", '"'}
        if len(marks) == 1 and line.count(mark := marks.pop()) % 2 == 0:
            changed[at] = line.replace(mark, "'" if mark == '"' else '"')
    return quote.case(*quote.mapped(changed), resolvable=quote.sibling() < 1) if changed else None


def space_inside(quote: Quote) -> Case | None:
    """Formatted: white space inside lines that stay, and in those to be replaced."""
    old, changed = quote.old, 0
    first, last = quote.edges
    keep = dict[int, str]()
    for at, line in enumerate(old):
        depth = line[: len(line) - len(line.lstrip())]
        made = depth + LOOSE.sub(
            lambda found: f" {found[1]} " if found[1] not in ",:" else f"{found[1]} ", line.lstrip()
        )
        if made != line and not re.search(r"[\"'`#]|//", line):
            keep[at], changed = made, changed + 1
    if not changed:
        return None
    _, new = quote.mapped({at: line for at, line in keep.items() if not first <= at < last})
    return quote.case([keep.get(at, line) for at, line in enumerate(old)], new, resolvable=quote.sibling() < 1)


def line_numbers(quote: Quote) -> Case | None:
    """The numbers that read_file shows, copied along; into the new text, too, or not."""
    width = quote.rng.choice((0, 6))
    old = [f"{number:>{width}}\t{line}" for number, line in enumerate(quote.old, quote.start + 1)]
    new = [f"{number:>{width}}\t{line}" for number, line in enumerate(quote.new, quote.start + 1)]
    return quote.case(old, new if quote.rng.random() < 0.5 else quote.new)


def diff_marks(quote: Quote) -> Case | None:
    """The marks of a diff before each line."""
    head, tail = ([f" {line}" for line in lines] for lines in (quote.before, quote.after))
    old = [*head, *(f"-{line}" for line in quote.gone), *tail]
    new = [*head, *(f"+{line}" for line in quote.put), *tail]
    return quote.case(old, new) if quote.gone and quote.put else None


def fenced(quote: Quote) -> Case | None:
    """A fence of Markdown around both, or around the old text alone."""
    head = "```" + quote.rng.choice(("", quote.pair.language))
    old, new = ([head, *lines, "```"] for lines in (quote.old, quote.new))
    return quote.case(old, new if quote.rng.random() < 0.7 else quote.new)


def escaped(quote: Quote) -> Case | None:
    """Escaped for JSON once too often, whole or only the quotation marks or the line ends."""
    old, new = "\n".join(quote.old), "\n".join(quote.new)
    how = quote.rng.choice(("whole", "marks", "ends"))
    if how == "marks" and ('"' not in old or "\\" in old + new):
        return None
    if how == "ends" and "\\" in old + new:
        return None
    made = {
        "whole": lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
        "marks": lambda text: text.replace('"', '\\"'),
        "ends": lambda text: text.replace("\n", "\\n"),
    }[how]
    return quote.case([made(old)], [made(new)])


def entities(quote: Quote) -> Case | None:
    """Escaped for HTML."""
    old, new = (html.escape("\n".join(lines), quote=quote.rng.random() < 0.3) for lines in (quote.old, quote.new))
    return quote.case([old], [new]) if "&" in old and old != "\n".join(quote.old) else None


def blank_edges(quote: Quote) -> Case | None:
    """Blank lines around the quote that the file has not."""
    head, tail = quote.rng.choice(((1, 1), (0, 1), (1, 0), (0, 2)))
    old, new = ([*[""] * head, *lines, *[""] * tail] for lines in (quote.old, quote.new))
    return quote.case(old, new) if quote.old[0].strip() and quote.old[-1].strip() else None


def line_end_behind(quote: Quote) -> Case | None:
    """Old and new text both end with a line end, where the file may have none."""
    made = quote.case([*quote.old, ""], [*quote.new, ""])
    if quote.after and quote.end == len(quote.lines) and made.truth:
        return replace(made, text=made.text[:-1], truth=made.truth[:-1])
    return made


def carriage_returns(quote: Quote) -> Case | None:
    """The file has the line ends of Windows, and perhaps white space before them."""
    made = space_behind(quote) if quote.rng.random() < 0.4 else exact(quote)
    assert made is not None
    assert made.truth is not None
    return replace(made, text=made.text.replace("\n", "\r\n"), truth=made.truth.replace("\n", "\r\n"))


def byte_order_mark(quote: Quote) -> Case | None:
    """The file begins with a mark that nobody quotes."""
    made = quote.case(quote.old, quote.new)
    return replace(made, text=f"\ufeff{made.text}", truth=f"\ufeff{made.truth}") if quote.start == 0 else None


FORMS = (
    exact,
    part_of_a_line,
    space_behind,
    space_too_many,
    dedented,
    indented,
    first_line_stripped,
    other_unit,
    typography,
    hard_spaces,
    other_quotes,
    space_inside,
    line_numbers,
    diff_marks,
    fenced,
    escaped,
    entities,
    blank_edges,
    line_end_behind,
    carriage_returns,
    byte_order_mark,
)
