"""What a run has changed, whether there is a pull request yet or not."""

from __future__ import annotations

from nightmill.desk.door import Door
from nightmill.desk.seen import request
from nightmill.desk.sofar import so_far
from nightmill.kept import Run

__all__ = ["changed"]

MOST = 1_000_000
"""Characters of a diff that are given."""


def changed(door: Door, run: Run) -> str:
    """The diff as git writes it, without its end where that is very long; "" if nothing changed, or nobody here knows."""
    if (found := request(door, run)) is not None:
        text = door.hidden.patch(door.hub(run.project).diff(found.base, found.head).text)
    else:
        text = so_far(door, run) if run.kind == "task" else ""
    return text if len(text) <= MOST else f"{text[: text.rfind(chr(10), 0, MOST)]}\n… the rest is left out\n"
