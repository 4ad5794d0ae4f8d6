"""What a shell completes: ids of runs, newest first."""

from __future__ import annotations

from contextlib import suppress

__all__ = ["run_ids"]

MOST = 50


def run_ids(incomplete: str) -> list[tuple[str, str]]:
    """Ids of runs in the store here that begin so, each with its title; a shell is never shown an error."""
    from nightmill.cli.door import open_door
    from nightmill.cli.screen import safe

    with suppress(Exception):
        found = open_door().runs.list(limit=MOST)
        return [(run.id, safe(" ".join(run.title.split()))) for run in found if run.id.startswith(incomplete)]
    return []
