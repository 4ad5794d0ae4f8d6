"""What a run has changed so far: its newest snapshot beside the one that it began with. Nothing is run for it."""

from __future__ import annotations

import difflib
from contextlib import ExitStack
from functools import lru_cache
from pathlib import Path

from nightmill.desk.door import Door
from nightmill.errors import NightmillError
from nightmill.line.moments import base_of, moments
from nightmill.sandbox.disk.shelf import Shelf
from nightmill.sandbox.disk.view import Difference, differences, opened
from nightmill.store.runs import Run

__all__ = ["so_far"]

TOP = "repo/"
"""Where the project is in a workspace."""
MADE = (".git", "__pycache__", "node_modules", ".venv", ".pytest_cache", ".mypy_cache", ".ruff_cache")
"""Names of folders that tools fill and nobody reads."""
MOST_FILES, MOST_BYTES, MOST_LINES = 200, 200_000, 3_000
"""Files that are shown, and of each the bytes and lines up to which its texts are compared."""


def so_far(door: Door, run: Run) -> str:
    """The diff as git would write it; "" if nothing changed, or the workspace is not on this machine (any more).

    Files that git ignores are in it, but for what is in folders of `MADE`, and none that is no text.
    """
    found, home = moments(door.ledger, run.id), door.settings.home
    if not found or found[0].snapshot == found[-1].snapshot:
        return ""
    directory = home / "runs" / run.id / "sandbox"
    try:
        base = base_of(door.ledger, run.id, home=home, project=run.project)
        return door.hidden.patch(
            _between(directory, found[0].snapshot, found[-1].snapshot, base.layers, home / "layers")
        )
    except (NightmillError, OSError):
        return ""  # tidied away, or a worker elsewhere has it


@lru_cache(maxsize=32)
def _between(directory: Path, before: str, after: str, layers: tuple[Path, ...], shelf: Path) -> str:
    parts = list[str]()
    with ExitStack() as stack:
        old, new = (
            stack.enter_context(opened(directory, each, layers=layers, shelf=Shelf(shelf))) for each in (before, after)
        )
        for each in differences(old, new):
            if len(parts) < MOST_FILES and each.path.startswith(TOP) and not set(each.path.split("/")) & {*MADE}:
                parts += _file(each)
    return "".join(parts)


def _file(found: Difference) -> list[str]:
    """Its part of the diff, none if one of the two is no text."""
    path = "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in found.path[len(TOP) :])
    head = [f"diff --git a/{path} b/{path}"]
    head += {"added": ["new file mode 100644"], "removed": ["deleted file mode 100644"]}.get(found.what, [])
    bodies = [body if body is not None else b"" for body in (found.old, found.new)]
    if any(b"\0" in body for body in bodies) or (found.old is None and found.new is None):
        return []
    texts = [body.decode("utf-8", "replace").split("\n") for body in bodies]
    if max(map(len, bodies)) > MOST_BYTES or max(map(len, texts)) > MOST_LINES:
        lines = [f"too long to be compared here: {found.before or 0:,} bytes, then {found.after or 0:,}"]
    else:
        old, new = (lines[:-1] if lines[-1] == "" else lines for lines in texts)
        lines = list(difflib.unified_diff(old, new, f"a/{path}", f"b/{path}", lineterm=""))
    return ["\n".join([*head, *lines, ""])]
