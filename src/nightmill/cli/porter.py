"""The worker's end of `bell`: it takes in runs that are asked for through the socket, and wakes the worker for them."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import secrets
import socket
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from nightmill.cli import bell
from nightmill.cli.door import KEYS, Door, credentials, fingerprints, keys, settings_file
from nightmill.cli.site import worker_of
from nightmill.cli.surroundings import surroundings, unlike
from nightmill.errors import NightmillError
from nightmill.line import submit
from nightmill.model import connect
from nightmill.settings import load

__all__ = ["Porter", "take"]

PATIENCE = 5.0
"""Seconds for a question: whoever connects and says nothing holds nothing up, but is not waited for either."""

log = logging.getLogger(__name__)


class Porter:
    """Answers until the end of its block. What it cannot or may not do it leaves to who asks: only they can say what is wrong.

    It asks under the worker's home and store and nowhere else, for a program that is its own. A run of an external
    agent is not taken in: the asker's file says what that agent is.
    """

    def __init__(
        self,
        door: Door,
        *,
        wake: Callable[[], None],
        leave: Callable[[], bool] | None = None,
        off_loop: Callable[..., Awaitable[bool]] = asyncio.to_thread,
    ) -> None:
        """*wake* is called when there is something to do, and *off_loop* with blocking work and its arguments.

        *leave* has the worker end if nothing is in its hands, and says whether it does; None: a person wants it to stay.
        """
        self.door, self.wake, self.leave, self.off_loop = door, wake, leave, off_loop
        self._keys, self._held = fingerprints(), surroundings(door.settings)
        self.place = bell.place(door.settings.home)
        self._socket = socket.socket(socket.AF_UNIX)
        self._inode = -1
        self._open = False
        self._meetings: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        """Be there for who asks, in the place of any worker that was before; where no socket can be made, nobody is."""
        new = self.place.with_name(f".{self.place.name}-{secrets.token_hex(4)}")
        self._socket.setblocking(False)
        try:
            self._socket.bind(str(new))
            new.chmod(0o600)
            self._inode = new.stat().st_ino
            self._socket.listen()
            new.rename(self.place)
        except OSError as error:  # a path too long for a socket, or a file system that has none
            log.info("runs are not taken in over a socket: %s", error)
        else:
            self._open = True
            asyncio.get_running_loop().add_reader(self._socket, self._accept)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Take the socket away, unless another worker has put its own there."""
        if self._open:
            with suppress(OSError):
                if self.place.stat().st_ino == self._inode:
                    self.place.unlink()
            asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()
        if self._meetings:  # who was promised a run is told so
            await asyncio.wait(self._meetings, timeout=PATIENCE)

    def _accept(self) -> None:
        try:
            line, _ = self._socket.accept()
        except OSError as error:  # it went away, or no descriptor is free: then it asks in vain, and does without
            log.warning("somebody could not be heard: %s", error)
            return
        line.setblocking(False)
        meeting = asyncio.create_task(self._meet(line))
        self._meetings.add(meeting)
        meeting.add_done_callback(self._meetings.discard)

    async def _meet(self, line: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        with line, suppress(OSError, ValueError, RecursionError):  # it went away, or said what nobody can read
            async with asyncio.timeout(PATIENCE):
                said = b""
                while (
                    not said.endswith(b"\n")
                    and len(said) < bell.LONGEST
                    and (more := await loop.sock_recv(line, bell.LONGEST))
                ):
                    said += more
            answer = await self._answer(bell.heard(said))
            await loop.sock_sendall(line, json.dumps(answer).encode() + b"\n")
            if answer == bell.LEAVES:
                line.detach()  # it is closed with this process, which is what who asks waits for

    async def _answer(self, asked: dict[str, Any] | None) -> bell.Answer | str:
        if asked is None:
            return bell.Answer()
        theirs = asked.get("held")
        other = self._other_keys(asked.get("keys"))
        other += unlike(self._held, theirs) if isinstance(theirs, dict) else ()
        if other and self.leave and self.leave():
            return bell.LEAVES
        done = "run" not in asked or await self.off_loop(take, self.door, asked)
        if done:
            self.wake()
        return bell.Answer(done, other, os.getpid(), stays=self.leave is None)

    def _other_keys(self, theirs: object) -> tuple[str, ...]:
        """The keys of who asks that this worker does not have, or has others of."""
        named = theirs if isinstance(theirs, dict) else {}
        return tuple(sorted(KEYS[each] for each, key in named.items() if each in KEYS and self._keys.get(each) != key))


def take(door: Door, asked: dict[str, Any]) -> bool:
    """Queue the run that is *asked* for in the store of *door*; whether that was possible."""
    try:
        return _taken(door, asked)
    except NightmillError as error:
        log.info("a run is not taken in: %s", error.message)
    except Exception:
        log.exception("a run could not be taken in")
    return False


def _taken(door: Door, asked: dict[str, Any]) -> bool:
    own, settings = door.settings, load(file={}, environment={}, flags=asked["settings"])
    if (settings.home, settings.store, asked["config"]) != (own.home, own.store, str(settings_file(os.environ))):
        return False
    project = door.project(Path(asked["project"]))
    theirs, agent = worker_of(Door(settings), project.root, asked=asked["named"])
    if agent is not None:
        return False
    credentials()  # those that are used; what the file says by now may be wrong
    connect.check(theirs.settings.model, base_url=theirs.settings.base_url, keys=keys())
    ask = submit.Ask(
        run=asked["run"],
        spec=Path(asked["spec"]),
        root=project.root,
        base=asked["base"],
        by=asked["by"],
        home=Path(asked["home"]),
        now=time.time,
        inputs=tuple(asked["inputs"]),
    )
    submit.submit(
        ask, settings=theirs.settings, database=door.database, blobs=door.blobs, runs=door.runs, project=project
    )
    return True
