"""Watching a run until it ends, wherever its store is, and what a program is told of its end."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from nightmill.cli.screen import say

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from nightmill.kept import Entry, Run

__all__ = ["LEFT", "as_its_tasks", "detached", "exit_code", "watched"]


LEFT = 130
"""Exit status where whoever looked on has left with Ctrl-C: what was asked for is neither done nor failed."""


def detached(asked: str, *, json: bool) -> None:
    """Print the id of a run that goes on without this terminal."""
    sys.stdout.write(f'{{"run": "{asked}"}}\n' if json else f"{asked}\n")
    sys.stdout.flush()
    say(f"watch it: nightmill log --follow {asked}   where it is: nightmill show {asked}")


def watched(entries: Iterator[Entry | None], asked: str, *, json: bool) -> bool:
    """Show *entries* of the run *asked* until they end or a person must act; False: whoever looked on has left."""
    from nightmill.cli import live
    from nightmill.cli.runs import print_entry
    from nightmill.cli.screen import out

    try:
        if json:
            sight = live.Sight()
            for entry in filter(None, entries):
                print_entry(entry, json=True)
                sight.take(entry, entry.event())
                if sight.needs == "person":
                    break
        else:
            live.watch(entries, console=out())
    except KeyboardInterrupt:
        say(f"\n{asked} goes on without this terminal.")
        say(f"watch it: nightmill log --follow {asked}   stop it: nightmill cancel {asked}")
        return False
    return True


def as_its_tasks(run: Run, tasks: Sequence[Run]) -> Run:
    """*run*, which waits where one of its *tasks* does: its own row only says that it is at work."""
    from dataclasses import replace

    waits = next((task for task in tasks if task.state in {"parked", "paused"} and not run.over), run)
    return replace(run, state=waits.state, reason=waits.reason)


def exit_code(run: Run) -> int:
    """0 done, 1 failed or cancelled, 2 refused, 3 parked, 4 stopped by a limit."""
    if run.state == "done":
        return 0
    if run.state in {"parked", "paused"}:
        return 3
    return {"refused": 2, "limit": 4}.get(run.why, 1)
