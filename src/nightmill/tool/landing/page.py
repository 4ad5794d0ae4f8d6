"""A file as lines, and the forms in which lines are compared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from io import StringIO

__all__ = ["FORMS", "Page", "bare", "depth", "end", "loose", "plain", "split"]

TYPOGRAPHY = {
    **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-"),
    **dict.fromkeys("\u2018\u2019\u201a\u201b", "'"),
    **dict.fromkeys("\u201c\u201d\u201e\u201f", '"'),
    **dict.fromkeys("\u00a0\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000", " "),
}
"""One character for one, so that places stay what they are."""
ONE_QUOTE = bytes.maketrans(b'"`', b"''")


def plain(text: str) -> str:
    """*text* with the signs of a keyboard for those of a typesetter, as long as before."""
    if not text.isascii():
        for sign, key in TYPOGRAPHY.items():
            text = text.replace(sign, key)
    return text


def loose(text: str) -> bytes:
    """*text*, a line or many, without white space inside lines, all quotation marks alike: the coarsest form."""
    return plain(text).encode("utf-8", "surrogatepass").translate(ONE_QUOTE, b" \t\r\x0b\x0c")


FORMS: tuple[Callable[[str], str], ...] = (
    str,
    str.rstrip,
    lambda line: plain(line).rstrip(),
    str.strip,
    lambda line: plain(line).strip(),
    lambda line: loose(line).decode("utf-8", "surrogatepass"),
)
"""From exact to lenient; lines that are alike in one are alike in all that follow."""


class Page:
    """The text of one file, looked at as lines."""

    def __init__(self, text: str) -> None:
        self.text = text

    @cached_property
    def lines(self) -> list[str]:
        """The lines with their ends: only the ends that compilers and search tools count."""
        return split(self.text)

    @cached_property
    def loose(self) -> list[bytes]:
        """Each line in the coarsest form."""
        return loose(self.text).split(b"\n")[: len(self.lines)]

    @cached_property
    def full(self) -> list[int]:
        """The lines that are not blank."""
        return [at for at, line in enumerate(self.loose) if line]

    def find(self, wanted: Sequence[bytes]) -> list[int]:
        """Where the lines *wanted*, in the coarsest form, stand one behind the other."""
        return _find(self.loose, wanted)

    def find_full(self, wanted: Sequence[bytes]) -> list[int]:
        """Where *wanted* stand one behind the other but for blank lines: the place in `full` of the first of each."""
        return _find([self.loose[at] for at in self.full], wanted)

    def offset(self, line: int) -> int:
        """Where the line *line*, from 0, begins in the text."""
        return sum(map(len, self.lines[:line]))


def _find(lines: Sequence[bytes], wanted: Sequence[bytes]) -> list[int]:
    if not any(wanted):
        return []
    size, head = len(wanted), next(at for at, line in enumerate(wanted) if line)
    wanted, found, at = list(wanted), list[int](), head - 1
    while True:
        try:
            at = lines.index(wanted[head], at + 1)
        except ValueError:
            return found
        if lines[at - head : at - head + size] == wanted:
            found.append(at - head)


def split(text: str) -> list[str]:
    """The lines of *text* with their ends."""
    return list(StringIO(text, newline="\n"))


def bare(line: str) -> str:
    """*line* without its end."""
    return line[: len(line) - len(end(line))]


def depth(line: str) -> int:
    """How far in *line* stands, a tab as four columns."""
    line = line.expandtabs(4)
    return len(line) - len(line.lstrip())


def end(line: str) -> str:
    """The end of *line*: nothing, a line feed, or both signs of Windows."""
    return "\r\n" if line.endswith("\r\n") else "\n" if line.endswith("\n") else ""
