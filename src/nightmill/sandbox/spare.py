"""One sandbox ahead: started while nothing else is, like the one asked for last, for the next who asks for the same.

Nothing but a run's own folder differs between the starts of two runs on one base, so a spare is a whole sandbox, with
every wall, on a folder of its own, in which nothing has run but the runner. It is given away once: its upper and its
work folder are renamed into the run's. overlayfs holds its folders and does not look for their names again.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import socket
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from nightmill.errors import SandboxError
from nightmill.sandbox.disk.folder import clear_work, lock, prepare, unused
from nightmill.sandbox.disk.layers import remove
from nightmill.sandbox.launch import Processes
from nightmill.sandbox.nouns import Place
from nightmill.sandbox.owner import Owner
from nightmill.sandbox.profile import check

__all__ = ["Spares", "leftovers"]

PREFIX = ".spare-"

PAUSE = 0.25
"""Seconds without a start after which a spare is made: it is not to be in the way of what was just opened."""

IDLE = 600.0
"""Seconds after which a spare that nobody wanted ends; what it shows of /etc is no older."""

Started = tuple[Processes, socket.socket]
Likeness = tuple[object, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Spare:
    """A sandbox that is nobody's yet."""

    like: Likeness
    directory: Path
    held: int
    started: Started


class Spares:
    """At most one. For one event loop at a time."""

    def __init__(self, start: Callable[[Place], Started], *, folder: Path, owner: Owner | None) -> None:
        """*start* starts the processes of a place. Spares lie in *folder*, on the file system of the runs' folders."""
        self.start, self.folder, self.owner, self.pause = start, folder, owner, PAUSE
        self.spare: Spare | None = None
        self.timer: asyncio.TimerHandle | None = None
        self.ending: set[asyncio.Task[None]] = set()

    def take(self, place: Place) -> Started | None:
        """The spare, moved into the folder of *place*, whose upper was laid; None: there is none for it.

        Raises:
            SandboxError: If it was moved by half.
        """
        found = self.spare
        if found is None or found.like != _likeness(place) or not _ready(found):
            return None
        self.spare = None
        moved = False
        try:
            moved = _move(found.directory, place.directory)
        finally:
            if not moved:
                self._end(found)
        if not moved:
            return None
        _clear(found.directory, found.held)
        return found.started

    def want(self, place: Place) -> None:
        """Have one like *place* soon, unless another is asked for before."""
        like = _likeness(place)
        if like is not None:
            self._after(self.pause, lambda: self._make(place, like))

    async def close(self) -> None:
        """End it."""
        if self.timer:
            self.timer.cancel()
        self._drop()
        if self.ending:
            await asyncio.wait(self.ending)

    def _after(self, seconds: float, work: Callable[[], None]) -> None:
        if self.timer:
            self.timer.cancel()
        self.timer = asyncio.get_running_loop().call_later(seconds, work)

    def _make(self, place: Place, like: Likeness) -> None:
        self._after(IDLE, self._drop)
        if self.spare and self.spare.like == like and _ready(self.spare):
            return
        self._drop()
        with contextlib.suppress(SandboxError, OSError):  # whoever starts one is told
            self.spare = self._made(place, like)

    def _made(self, place: Place, like: Likeness) -> Spare:
        leftovers(self.folder)
        directory = self.folder / f"{PREFIX}{secrets.token_hex(8)}"
        directory.mkdir(parents=True)
        held = lock(directory)
        try:
            prepare(directory, place.layers, [], self.owner)
            clear_work(directory, self.owner)
            place = replace(place, directory=directory)
            check(place, self.owner)
            if _likeness(place) != like:
                raise SandboxError("what it was to be like is gone or on another disk")
            started = self.start(place)
        except BaseException:
            _clear(directory, held)
            raise
        return Spare(like=like, directory=directory, held=held, started=started)

    def _drop(self) -> None:
        found, self.spare = self.spare, None
        if found:
            self._end(found)

    def _end(self, found: Spare) -> None:
        task = asyncio.get_running_loop().create_task(_ended(found))
        self.ending.add(task)
        task.add_done_callback(self.ending.discard)


def _clear(directory: Path, held: int) -> None:
    """Delete the folder of a spare, which another worker may be about to do, too: it may look left over by now."""
    with contextlib.suppress(OSError):
        remove(directory)
    os.close(held)


def leftovers(folder: Path) -> list[Path]:
    """Delete what spares of a nightmill that was killed left in *folder*, and say which."""
    gone = []
    for each in folder.glob(f"{PREFIX}*"):
        with contextlib.suppress(SandboxError, OSError), unused(each):
            remove(each)
            gone.append(each)
    return gone


def _likeness(place: Place) -> Likeness | None:
    """What two places have alike if one's sandbox can be the other's; None: it can be nobody else's.

    Files by what they are now, not by their names: what was replaced since is not alike. A network has a socket of its
    own, and an upper that was restored is no other: even of an empty one the root has a time.
    """
    if place.hosts or place.snapshot or not place.layers:
        return None
    if any(source.is_relative_to(place.directory.parent) for source in place.files.values()):
        return None  # it lies in the run's own folder
    shown: list[tuple[object, Path]] = [*enumerate(place.layers), *place.files.items(), *place.tools.items()]
    try:
        if any((place.directory / "upper").iterdir()):
            return None
        device = place.directory.stat().st_dev  # renames stay on it
        facts = [(name, path, _facts(path)) for name, path in shown]
    except OSError:
        return None
    return (asyncio.get_running_loop(), place.trusted, device, *facts)


def _facts(path: Path) -> tuple[int, ...]:
    found = path.stat()
    return (found.st_dev, found.st_ino, found.st_mtime_ns, found.st_mode)


def _ready(found: Spare) -> bool:
    """Whether its runner has said so: before, bubblewrap may still look for folders by their names."""
    try:
        return bool(found.started[1].recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
    except OSError:
        return False


def _move(source: Path, target: Path) -> bool:
    """Rename the upper and work folder of *source* over the empty ones of *target*; False: it cannot be done."""
    try:
        (source / "upper").rename(target / "upper")
    except OSError:
        return False
    try:
        (source / "work").rename(target / "work")
    except OSError as error:
        raise SandboxError(f"a spare sandbox cannot be moved to {str(target)!r}: {error.strerror}") from error
    return True


async def _ended(found: Spare) -> None:
    processes, sock = found.started
    sock.close()
    if processes.init < 0:
        os.set_blocking(processes.told, False)
        with contextlib.suppress(OSError, ValueError):  # bubblewrap has not come so far
            await processes.find()
    await processes.end()
    if processes.groups:
        processes.groups.close()
    _clear(found.directory, found.held)
