"""The local forge and its repositories, as a door has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nightmill.cli.door import Door
    from nightmill.forge.local import LocalForge
    from nightmill.repo import Hub

__all__ = ["forge", "hub"]


def forge(door: Door) -> LocalForge:
    """The local forge."""
    import time

    from nightmill.forge.local import LocalForge

    return LocalForge(door.database, lambda project: hub(door, project), clock=time.time)


def hub(door: Door, project: str) -> Hub:
    """The repository of *project* on the local forge."""
    from nightmill.line.submit import hub_of

    return hub_of(door.settings, project)
