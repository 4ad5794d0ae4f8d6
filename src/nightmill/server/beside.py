"""Another run beside the one that a request is about."""

from __future__ import annotations

from nightmill.desk import compare as desk
from nightmill.desk.nouns import Comparison
from nightmill.server.guard import Who
from nightmill.server.problem import Refused
from nightmill.server.site import Site
from nightmill.store import Run

__all__ = ["compared"]


def compared(site: Site, run: Run, who: Who, other: str) -> Comparison:
    """*run* beside *other*.

    Raises:
        Refused: If there is no such run that *who* may see.
    """
    beside = next(iter(site.door.runs.some({other})), None)
    if beside is None or not who.may("view", beside.project):
        raise Refused(404, f"there is no run {other[:80]!r} that you may see")
    return desk.compare(site.door, run.id, beside.id)
