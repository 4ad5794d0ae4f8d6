"""What takes long says that it goes on, so that nobody takes it for dead: after some seconds, and then at twice as many."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["lasting", "written"]

FIRST = 5.0
"""Seconds of silence."""

Say = Callable[[str], None]


@contextmanager
def lasting(say: Say, *, first: float = FIRST) -> Iterator[Callable[..., None]]:
    """Gives what says a step, with how to tell *so_far* what came of it; until the next, or the end of the block, it is said again."""
    begun: list[tuple[str, float, Callable[[], str]]] = []
    over = threading.Event()

    def step(text: str, *, so_far: Callable[[], str] = str) -> None:
        say(text)
        begun.append((text, time.monotonic(), so_far))

    def repeat() -> None:
        at, due = 0, first
        while not over.wait(first / 10):
            if at != len(begun):
                at, due = len(begun), first
            if not begun or (passed := time.monotonic() - begun[-1][1]) < due:
                continue
            text, _, so_far = begun[-1]
            due = passed * 2
            say(f"{text}: {', '.join(filter(None, (so_far(), f'{passed:.0f} s')))} so far")

    thread = threading.Thread(target=repeat, name="lasting", daemon=True)
    thread.start()
    try:
        yield step
    finally:
        over.set()
        thread.join()


def written(folder: Path) -> Callable[[], str]:
    """How much *folder* holds by now more than it did, as people say it; "" for little."""
    before = _size(folder)

    def told() -> str:
        grown = (_size(folder) - before) // 1_000_000
        return f"{grown:,} MB" if grown > 0 else ""

    return told


def _size(folder: Path) -> int:
    found = 0
    for path in folder.rglob("*"):
        try:
            found += path.lstat().st_size
        except OSError:  # gone meanwhile
            continue
    return found
