"""How others find what is to be replaced, written anew from descriptions of their ways (July 2026); none of their code.

Each takes the text of a file, an old and a new text, and gives the new file; None: it refuses. What they would ask the
model for in another shape (a patch for Codex) is the same lines here.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator
from difflib import SequenceMatcher

__all__ = ["PEERS"]

PLAIN = str.maketrans(
    {
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-"),
        **dict.fromkeys("\u2018\u2019\u201a\u201b", "'"),
        **dict.fromkeys("\u201c\u201d\u201e\u201f", '"'),
        **dict.fromkeys("\u00a0\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000", " "),
    }
)


def codex(text: str, old: str, new: str) -> str | None:
    """Codex, apply-patch: whole lines, exact, then without white space behind, around, then plain; the first wins."""
    lines, wanted = text.split("\n"), old.removesuffix("\n").split("\n")
    put = new.removesuffix("\n").split("\n") if new else []
    for form in (str, str.rstrip, str.strip, lambda line: line.strip().translate(PLAIN)):
        formed, looked = [form(line) for line in lines], [form(line) for line in wanted]
        for at in range(len(lines) - len(wanted) + 1):
            if formed[at : at + len(wanted)] == looked:
                return "\n".join([*lines[:at], *put, *lines[at + len(wanted) :]])
    return None


def aider(text: str, old: str, new: str) -> str | None:
    """aider, search/replace blocks: whole lines, then moved by one indentation, a blank first line less, then dots."""
    whole, part, put = (each if each.endswith("\n") else f"{each}\n" for each in (text, old, new))
    lines, wanted, made = (each.splitlines(keepends=True) for each in (whole, part, put if new else ""))
    found = _aider_lines(lines, wanted, made)
    if found is None and len(wanted) > 2 and not wanted[0].strip():
        found = _aider_lines(lines, wanted[1:], made)
    return found if found is not None else _aider_dots(whole, part, put)


def _aider_lines(lines: list[str], wanted: list[str], made: list[str]) -> str | None:
    size = len(wanted)
    for at in range(len(lines) - size + 1):
        if lines[at : at + size] == wanted:
            return "".join([*lines[:at], *made, *lines[at + size :]])
    depths = [len(line) - len(line.lstrip()) for line in wanted + made if line.strip()]
    least = min(depths, default=0)
    wanted, made = ([line[least:] if line.strip() else line for line in each] for each in (wanted, made))
    for at in range(len(lines) - size + 1):
        found = lines[at : at + size]
        if [line.lstrip() for line in found] != [line.lstrip() for line in wanted]:
            continue
        added = {line[: len(line) - len(other)] for line, other in zip(found, wanted, strict=True) if line.strip()}
        if len(added) == 1:
            more = added.pop()
            return "".join(
                [*lines[:at], *(more + line if line.strip() else line for line in made), *lines[at + size :]]
            )
    return None


def _aider_dots(text: str, old: str, new: str) -> str | None:
    dots = re.compile(r"(^\s*\.\.\.\n)", re.MULTILINE)
    olds, news = dots.split(old), dots.split(new)
    if len(olds) != len(news) or len(olds) == 1 or olds[1::2] != news[1::2]:
        return None
    for part, put in zip(olds[::2], news[::2], strict=True):
        if not part and put:
            text = (text if text.endswith("\n") else f"{text}\n") + put
        elif part:
            if text.count(part) != 1:
                return None
            text = text.replace(part, put, 1)
    return text


def opencode(text: str, old: str, new: str) -> str | None:
    """opencode: nine ways to find a candidate; the first that names a text that is in the file once wins."""
    for way in (_simple, _trimmed, _anchored, _white, _flexible, _escapes, _boundary, _context):
        for candidate in way(text, old):
            if candidate and text.count(candidate) == 1:
                return text.replace(candidate, new, 1)
    return None


def _simple(_: str, old: str) -> Iterator[str]:
    yield old


def _windows(text: str, size: int) -> Iterator[list[str]]:
    lines = text.split("\n")
    for at in range(len(lines) - size + 1):
        yield lines[at : at + size]


def _wanted(old: str) -> list[str]:
    lines = old.split("\n")
    return lines[:-1] if lines[-1] == "" else lines


def _trimmed(text: str, old: str) -> Iterator[str]:
    wanted = [line.strip() for line in _wanted(old)]
    for window in _windows(text, len(wanted)):
        if window[0].strip() == wanted[0] and [line.strip() for line in window] == wanted:
            yield "\n".join(window)


def _anchored(text: str, old: str) -> Iterator[str]:
    """First and last line are right; of several places the most alike, at 0.3 at least, a single one always."""
    wanted = [line.strip() for line in _wanted(old)]
    if len(wanted) < 3:
        return
    lines = text.split("\n")
    stripped = [line.strip() for line in lines]
    spans = []
    for at, line in enumerate(stripped):
        if line == wanted[0]:
            try:
                spans.append((at, stripped.index(wanted[-1], at + 2)))
            except ValueError:
                continue
    scored = [(_alike(stripped[first + 1 : last], wanted[1:-1]), first, last) for first, last in spans]
    if scored:
        score, first, last = max(scored, key=lambda each: each[0])
        if len(scored) == 1 or score >= 0.3:
            yield "\n".join(lines[first : last + 1])


def _alike(found: list[str], wanted: list[str]) -> float:
    pairs = list(zip(found, wanted, strict=False))
    return sum(SequenceMatcher(None, *pair).ratio() for pair in pairs) / len(pairs) if pairs else 1.0


def _white(text: str, old: str) -> Iterator[str]:
    wanted = " ".join(old.split())
    size = len(old.split("\n"))
    if size == 1:
        words = old.split()
        pattern = re.compile(r"\s+".join(map(re.escape, words))) if words else None
        for line in text.split("\n"):
            if " ".join(line.split()) == wanted:
                yield line
            elif pattern and wanted in " ".join(line.split()) and (found := pattern.search(line)):
                yield found[0]
        return
    for window in _windows(text, size):
        if " ".join(" ".join(window).split()) == wanted:
            yield "\n".join(window)


def _flexible(text: str, old: str) -> Iterator[str]:
    wanted = _outdented(old.split("\n"))
    for window in _windows(text, len(wanted)):
        if window[0].strip() == wanted[0].strip() and _outdented(window) == wanted:
            yield "\n".join(window)


def _outdented(lines: list[str]) -> list[str]:
    least = min((len(line) - len(line.lstrip()) for line in lines if line.strip()), default=0)
    return [line[least:] if line.strip() else line for line in lines]


def _escapes(text: str, old: str) -> Iterator[str]:
    known = {"n": "\n", "t": "\t", "r": "\r"}
    plain = re.sub(r"\\(n|t|r|'|\"|`|\\|\n|\$)", lambda found: known.get(found[1], found[1]), old)
    if plain in text:
        yield plain


def _boundary(text: str, old: str) -> Iterator[str]:
    if old.strip() == old:
        return
    yield old.strip()
    for window in _windows(text, len(old.split("\n"))):
        if "\n".join(window).strip() == old.strip():
            yield "\n".join(window)


def _context(text: str, old: str) -> Iterator[str]:
    """First and last line are right, as many lines, and half of those between."""
    wanted = [line.strip() for line in _wanted(old)]
    if len(wanted) < 3:
        return
    for window in _windows(text, len(wanted)):
        if window[0].strip() == wanted[0] and window[-1].strip() == wanted[-1]:
            inner = [(a.strip(), b) for a, b in zip(window[1:-1], wanted[1:-1], strict=True) if a.strip() or b]
            if not inner or sum(a == b for a, b in inner) / len(inner) >= 0.5:
                yield "\n".join(window)
                return


def openhands(text: str, old: str, new: str) -> str | None:
    """OpenHands, str_replace: exactly once, or once when both texts have lost the white space around them."""
    for part, put in ((old, new), (old.strip(), new.strip())):
        if part and (count := text.count(part)):
            return text.replace(part, put) if count == 1 else None
    return None


def pi(text: str, old: str, new: str) -> str | None:
    """Pi: exactly once; else once in the file with everything made plain, which is then what is written."""
    mark = "\ufeff" if text.startswith("\ufeff") else ""
    ends = "\r\n" if "\r\n" in text else "\n"
    text, old, new = (
        text.removeprefix("\ufeff").replace("\r\n", "\n"),
        old.replace("\r\n", "\n"),
        new.replace("\r\n", "\n"),
    )
    if old not in text:
        text, old = _plain(text), _plain(old)
    if not old or text.count(old) != 1:
        return None
    return mark + text.replace(old, new, 1).replace("\n", ends)


def _plain(text: str) -> str:
    made = unicodedata.normalize("NFKC", text).translate(PLAIN)
    return "\n".join(line.rstrip() for line in made.split("\n"))


PEERS: dict[str, Callable[[str, str, str], str | None]] = {
    "aider": aider,
    "Codex": codex,
    "opencode": opencode,
    "OpenHands": openhands,
    "pi": pi,
}
