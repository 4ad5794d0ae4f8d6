"""How far a quoted text stands from where it is in the file, so that what replaces it can be moved as far."""

from __future__ import annotations

from collections.abc import Callable, Sequence

__all__ = ["indent", "shift"]

Move = Callable[[str], str | None]
"""A line as it is quoted → as it belongs into the file; None: it is indented in a way that the rule does not know."""


def shift(quoted: Sequence[str], found: Sequence[str]) -> Move | None:
    """How the lines *found* are indented where *quoted* were; None: in no way that other lines could follow.

    Spaces for tabs, or tabs for spaces, at one width throughout; or all lines further in or out by the same.
    """
    pairs = {(indent(left), indent(right)) for left, right in zip(quoted, found, strict=True) if left.strip()}
    if all(left == right for left, right in pairs):
        return lambda line: line
    return _other_unit(pairs) or _further(pairs)


def _other_unit(pairs: set[tuple[str, str]]) -> Move | None:
    lefts, rights = "".join(left for left, _ in pairs), "".join(right for _, right in pairs)
    wide, narrow = (lefts, rights) if set(lefts) == {" "} else (rights, lefts)
    if (set(wide), set(narrow)) != ({" "}, {"\t"}):
        return None
    width, rest = divmod(len(wide), len(narrow))
    sizes = [sorted((len(left), len(right))) for left, right in pairs]
    if rest or any(most != width * least for least, most in sizes):
        return None
    tabs = " " * width
    old, new = (tabs, "\t") if wide is lefts else ("\t", tabs)
    return lambda line: indent(line).replace(old, new) + line.lstrip(" \t")


def _further(pairs: set[tuple[str, str]]) -> Move | None:
    quoted = min((left for left, _ in pairs), key=len)
    real = min((right for _, right in pairs), key=len)
    if any((left, right) != (quoted + left[len(quoted) :], real + left[len(quoted) :]) for left, right in pairs):
        return None

    def move(line: str) -> str | None:
        found = indent(line)
        more = found[len(quoted) :]
        if found.startswith(quoted) and not _mixed(real, more):
            return real + line[len(quoted) :]
        if not quoted.startswith(found):
            return None
        return real[: max(0, len(real) - len(quoted) + len(found))] + line[len(found) :]

    return move


def _mixed(real: str, more: str) -> bool:
    """Whether *more* behind *real* goes on with the other kind of white space; a comment's few spaces do not count."""
    return bool(real) and (("\t" in more and "\t" not in real) or ("\t" in real and more.startswith("    ")))


def indent(line: str) -> str:
    """The white space that *line* begins with."""
    return line[: len(line) - len(line.lstrip(" \t"))]
