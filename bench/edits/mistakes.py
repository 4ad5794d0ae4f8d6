"""How models misquote what a text says: lines left out, renamed, reworded, reordered, from an older state, or twice there."""

from __future__ import annotations

import re
from dataclasses import replace

from bench.edits.quote import Case, Quote, places
from bench.edits.sources import Hunk

__all__ = ["MISTAKES"]

NAME = re.compile(r"(?<![\w.])[a-z_][a-z0-9_]{3,}(?![\w(])")
COMMENT = re.compile(r"^\s*(#|//|\*|/\*|--|<!--)\s*\w")
IMPORT = re.compile(r"^\s*(import |from \S+ import|#include|use |const .*require\(|export .* from )")
KEYWORDS = frozenset(
    """
    return yield while else elif from import pass break continue None True False class async await
    lambda raise assert with except finally global nonlocal this const function typeof instanceof
    undefined null true false switch case default delete void throw catch self export extends static
    super
    """.split()
)
MARKS = {"py": "#", "pyi": "#", "toml": "#", "yml": "#", "md": "<!--", "html": "<!--", "rst": "..", "txt": "#"}
FEW_LEFT = 0.5


def _clear(quote: Quote, spoiled: int) -> bool:
    """Most of the quote is right, and no other place has half of it."""
    full = sum(bool(line.strip()) for line in quote.old)
    return quote.sibling() < FEW_LEFT and spoiled <= full * FEW_LEFT


def _apart(quote: Quote) -> int:
    """How far from the change a line may be misquoted: next to a pure insertion, nobody knows on which side it goes."""
    return 0 if quote.gone else 1


def elided(quote: Quote) -> Case | None:
    """Lines in the middle are an ellipsis or a comment that says so, in the old and in the new text."""
    found = _elision(quote)
    if found is None:
        return None
    (first, last), mark = found
    changed: dict[int, str | None] = dict.fromkeys(range(first, last))
    changed[first] = mark
    head = quote.old[:first] if first < quote.edges[0] else quote.old[quote.edges[1] : first]
    return quote.case(
        *quote.mapped(changed), resolvable=quote.sibling() < FEW_LEFT and any(line.strip() for line in head)
    )


def elided_in_new(quote: Quote) -> Case | None:
    """The old text is whole, the new one has a comment for lines that it does not repeat."""
    found = _elision(quote, words=True)
    if found is None:
        return None
    (first, last), mark = found
    changed: dict[int, str | None] = dict.fromkeys(range(first, last))
    changed[first] = mark
    start, end = quote.edges
    between = quote.old[last:start] if last <= start else quote.old[end:first]
    made = quote.case(quote.old, quote.mapped(changed)[1], resolvable=len(places(quote.old, between)) == 1)
    return replace(made, formerly=True)


def elided_edge(quote: Quote) -> Case | None:
    """An ellipsis before or behind the quoted lines, in both."""
    mark = _mark(quote, words=quote.rng.random() < 0.5)
    if quote.rng.random() < 0.5:
        return quote.case([mark, *quote.old], [mark, *quote.new])
    return quote.case([*quote.old, mark], [*quote.new, mark])


def _elision(quote: Quote, *, words: bool = False) -> tuple[tuple[int, int], str] | None:
    """Three lines or more that stay, apart from the change and from the edges, and what stands for them."""
    first, last = quote.edges
    sides = [side for side in ((1, first - 1), (last + 1, len(quote.old) - 1)) if side[1] - side[0] >= 3]
    if not sides:
        return None
    start, end = quote.rng.choice(sides)
    begin = quote.rng.randint(start, end - 3)
    mark = _mark(quote, words=words or quote.rng.random() < 0.5)
    line = quote.old[begin]
    return (begin, quote.rng.randint(begin + 3, end)), line[: len(line) - len(line.lstrip())] + mark


def _mark(quote: Quote, *, words: bool) -> str:
    if not words:
        return "..."
    sign = MARKS.get(quote.pair.language, "//")
    said = quote.rng.choice(
        ("... existing code ...", "... rest of the code ...", "... (unchanged) ...", "rest unchanged")
    )
    return f"{sign} {said} -->" if sign == "<!--" else f"{sign} {said}"


def renamed(quote: Quote) -> Case | None:
    """A local name is another one, in lines that stay."""
    inside = set(NAME.findall("\n".join([*quote.gone, *quote.put])))
    return _renamed(quote, set(NAME.findall("\n".join([*quote.before, *quote.after]))) - inside)


def renamed_target(quote: Quote) -> Case | None:
    """A local name is another one, also in lines that are replaced: to refuse is right, to see through it, too."""
    made = _renamed(quote, set(NAME.findall("\n".join(quote.gone))))
    return made and replace(made, resolvable=False, formerly=False)


def _renamed(quote: Quote, names: set[str]) -> Case | None:
    apt = sorted(name for name in names if name not in KEYWORDS)
    if not apt:
        return None
    name = quote.rng.choice(apt)
    other = quote.rng.choice(
        (f"{name}s", f"_{name}", f"{name}_value", name[:3], f"my_{name}", f"the{name.capitalize()}")
    )
    word = re.compile(rf"\b{re.escape(name)}\b")
    old, new = ([word.sub(other, line) for line in lines] for lines in (quote.old, quote.new))
    _, last = quote.edges
    at = [each for each in quote.around() if word.search(quote.old[each])]
    near = not quote.gone and {len(quote.before) - 1, last} <= set(at)
    clear = _clear(quote, len(at)) and not near
    changed = word.search("\n".join([*quote.gone, *quote.put]))  # then nobody knows which name is meant there
    return replace(quote.case(old, new, resolvable=clear and not changed), formerly=clear)


def reworded(quote: Quote) -> Case | None:
    """A comment that stays says the same in other words."""
    apt = [at for at in quote.around() if COMMENT.match(quote.old[at]) and len(quote.old[at].split()) > 4]
    if not apt:
        return None
    at = quote.rng.choice(apt)
    words = quote.old[at].split(" ")
    where = quote.rng.randrange(len(words) // 2, len(words))
    words[where : where + 1] = quote.rng.choice(([], ["the", words[where]], [words[where], "here"], ["it"]))
    line = " ".join(words)
    return quote.case(*quote.swapped(at, line), resolvable=_clear(quote, 1)) if line != quote.old[at] else None


def misspelt(quote: Quote) -> Case | None:
    """A letter or a sign is wrong in a line that stays."""
    apt = [at for at in quote.around() if len(quote.old[at].strip()) > 12]
    if not apt:
        return None
    at = quote.rng.choice(apt)
    line = quote.old[at]
    depth = len(line) - len(line.lstrip())
    where = quote.rng.randrange(depth + 4, len(line))
    made = line[:where] + quote.rng.choice(("", "s", ",", "_", "x")) + line[where + 1 :]
    return quote.case(*quote.swapped(at, made), resolvable=_clear(quote, 1)) if made.strip() != line.strip() else None


def left_out(quote: Quote) -> Case | None:
    """A line that stays is not quoted at all, in the middle."""
    apt = [at for at in quote.around(apart=_apart(quote)) if 0 < at < len(quote.old) - 1 and quote.old[at].strip()]
    return quote.case(*quote.swapped(quote.rng.choice(apt), None), resolvable=_clear(quote, 1)) if apt else None


def blank_lines(quote: Quote) -> Case | None:
    """Blank lines in the middle are left out, or there is one more."""
    apt = [at for at in quote.around(apart=_apart(quote)) if 0 < at < len(quote.old) - 1]
    blank = [at for at in apt if not quote.old[at].strip()]
    if blank:
        return quote.case(*quote.mapped(dict.fromkeys(blank)), resolvable=quote.sibling() < 1)
    if not apt:
        return None
    at = quote.rng.choice(apt)
    return quote.case(*quote.swapped(at, f"{quote.old[at]}\n"), resolvable=quote.sibling() < 1)


def imports_reordered(quote: Quote) -> Case | None:
    """Imports that stay are quoted in another order."""
    near = quote.around(apart=1)
    apt = [at for at in near if IMPORT.match(quote.old[at])]
    run = [at for at in apt if at + 1 in apt or at - 1 in apt]
    if len(run) < 2:
        return None
    shuffled = run[:]
    while shuffled == run:
        quote.rng.shuffle(shuffled)
    spoiled = sum(left != right for left, right in zip(run, shuffled, strict=True))
    changed: dict[int, str | None] = {at: quote.old[other] for at, other in zip(run, shuffled, strict=True)}
    return quote.case(*quote.mapped(changed), resolvable=_clear(quote, spoiled - 1))


def joined(quote: Quote) -> Case | None:
    """Two lines that stay are quoted as one."""
    near = quote.around(apart=1)
    apt = [
        at for at in near if at + 1 in near and quote.old[at].rstrip()[-1:] in set("([{,") and quote.old[at + 1].strip()
    ]
    if not apt:
        return None
    at = quote.rng.choice(apt)
    gap = " " if quote.old[at].rstrip().endswith(",") else ""
    line = quote.old[at].rstrip() + gap + quote.old[at + 1].strip()
    return quote.case(*quote.mapped({at: line, at + 1: None}), resolvable=_clear(quote, 2))


def stale_around(quote: Quote) -> Case | None:
    """Quoted from an older state: a real change close by was made meanwhile, the lines to replace are as they were."""
    first, last = quote.start, quote.end
    gone = (quote.start + quote.edges[0], quote.start + quote.edges[1])
    others = [
        hunk
        for hunk in quote.pair.hunks
        if first <= hunk.start and hunk.end <= last and (hunk.end < gone[0] or hunk.start > gone[1])
    ]
    if not others:
        return None
    other = quote.rng.choice(others)
    file, truth = _with(quote.lines, other), _with(quote.result(), _moved(quote, other))
    spoiled = [at for at in range(other.start - first, other.end - first) if quote.old[at].strip()]
    full = [at for at, line in enumerate(quote.old) if line.strip()]
    clear = _clear(quote, len(spoiled))
    cut_off = full[0] in spoiled or full[-1] in spoiled  # so does a sibling look, where the place itself is gone
    made = quote.case(quote.old, quote.new, file=file, truth=truth, resolvable=clear and not cut_off)
    return replace(made, formerly=clear)


def _with(lines: list[str], hunk: Hunk) -> list[str]:
    return [*lines[: hunk.start], *hunk.put, *lines[hunk.end :]]


def _moved(quote: Quote, hunk: Hunk) -> Hunk:
    by = len(quote.put) - len(quote.gone) if hunk.start > quote.start + quote.edges[0] else 0
    return Hunk(hunk.start + by, hunk.end + by, hunk.put)


def target_changed(quote: Quote) -> Case | None:
    """A line to be replaced is another one by now: what it became would be lost."""
    apt = [at for at, line in enumerate(quote.gone) if re.search(r"\w", line)]
    if not apt:
        return None
    at = quote.rng.choice(apt)
    words = list(re.finditer(r"\w+", quote.gone[at]))
    word = quote.rng.choice(words)
    line = quote.gone[at][: word.start()] + quote.rng.choice(("0", "other", "x2", "")) + quote.gone[at][word.end() :]
    file = list(quote.lines)
    file[quote.start + quote.edges[0] + at] = line
    if line == quote.gone[at] or places(file, quote.old):
        return None
    made = quote.case(quote.old, quote.new, file=file, refused=True, resolvable=not _left(quote, file))
    return replace(made, formerly=True)


def made_before(quote: Quote) -> Case | None:
    """The change was made already."""
    file = quote.result()
    return quote.case(quote.old, quote.new, file=file, refused=True) if _absent(quote, file) else None


def place_gone(quote: Quote) -> Case | None:
    """All that is quoted was deleted; something like it may be left elsewhere: all of it, and nobody can know."""
    file = quote.lines[: quote.start] + quote.lines[quote.end :]
    if not _absent(quote, file):
        return None
    made = quote.case(quote.old, quote.new, file=file, refused=True, resolvable=not _left(quote, file))
    return replace(made, formerly=True)


def _left(quote: Quote, file: list[str]) -> bool:
    """Whether *file* has all the quoted lines one behind the other, apart from white space."""
    wanted, there = (["".join(line.split()) for line in lines if line.strip()] for lines in (quote.old, file))
    return bool(places(there, wanted))


def _absent(quote: Quote, file: list[str]) -> bool:
    return bool(file) and "\n".join(quote.old) not in "\n".join(file)


def twice(quote: Quote) -> Case | None:
    """The quoted lines are there twice."""
    at = quote.rng.randint(0, len(quote.lines))
    at = quote.end if quote.start < at < quote.end else at
    file = [*quote.lines[:at], *quote.old, *quote.lines[at:]]
    return quote.case(quote.old, quote.new, file=file, refused=True)


def twice_misquoted(quote: Quote) -> Case | None:
    """They are there twice, apart from indentation or ends of lines, and quoted as neither."""
    how = quote.rng.choice(("    {}", "{}  "))
    copy = [how.format(line) if line.strip() else line for line in quote.old]
    file = [*quote.lines, *copy]
    spoiled = [[f" {line}" if "{}" in how[:3] else f"  {line}" for line in lines] for lines in (quote.old, quote.new)]
    return quote.case(*spoiled, file=file, refused=True)


def twice_but_for_a_line(quote: Quote) -> Case | None:
    """A copy elsewhere differs in one line that stays, and the quote has the line of the right one, badly indented."""
    apt = [at for at in quote.around() if len(quote.old[at].strip()) > 6]
    if not apt:
        return None
    copy = list(quote.old)
    at = quote.rng.choice(apt)
    copy[at] = copy[at].replace(copy[at].strip(), copy[at].strip()[::-1])
    if copy[at] == quote.old[at] or any(line.startswith("\t") for line in quote.old + quote.put):
        return None
    file = [*quote.lines, *copy]
    moved = [[f"    {line}" if line.strip() else line for line in lines] for lines in (quote.old, quote.new)]
    return quote.case(*moved, file=file, resolvable=quote.sibling() < 1)


MISTAKES = (
    elided,
    elided_in_new,
    elided_edge,
    renamed,
    renamed_target,
    reworded,
    misspelt,
    left_out,
    blank_lines,
    imports_reordered,
    joined,
    stale_around,
    target_changed,
    made_before,
    place_gone,
    twice,
    twice_misquoted,
    twice_but_for_a_line,
)
