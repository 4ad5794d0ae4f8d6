"""Whether a file is beyond what a task was planned to touch: tests and prose never are, nor a new file beside what is planned."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatch
from posixpath import dirname

from nightmill.code import is_test
from nightmill.errors import ToolError
from nightmill.tool.base import ROOT, ToolContext, known_as

__all__ = ["beyond", "keep_within"]

PROSE = (".md", ".rst", ".txt")
MOST_NAMED = 12


def beyond(path: str, footprint: Iterable[str], *, new: bool) -> bool:
    """Whether *path*, which is *new* or was there before, is outside of *footprint*, paths or globs."""
    if is_test(path) or path.lower().endswith(PROSE):
        return False
    return not any(_within(path, each) or (new and dirname(path) == dirname(_bare(each))) for each in footprint)


def keep_within(path: str, context: ToolContext, *, new: bool) -> None:
    """Raise `ToolError` if *path* may not be written, because its agent may not go beyond the footprint."""
    known = known_as(path)
    inner = known.removeprefix(f"{ROOT}/")
    if context.within and inner != known and beyond(inner, context.within, new=new):
        planned = ", ".join(context.within[:MOST_NAMED])
        raise ToolError(
            f"{path!r} is outside of what this task was planned to touch ({planned}), and writing beyond that was taken from "
            "your role. Do it inside, or hand over and say what else has to change, and why."
        )


def _within(path: str, part: str) -> bool:
    bare = _bare(part)
    return fnmatch(path, bare) or path.startswith(f"{bare}/")


def _bare(part: str) -> str:
    return part.removeprefix("./").rstrip("/")
