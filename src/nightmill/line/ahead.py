"""Bases built before a run asks for them: when a project's branch or its settings moved, and nothing else is to be done."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import math
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from nightmill import event
from nightmill.errors import NightmillError, SandboxError
from nightmill.estate import environment
from nightmill.estate.file import NAME, load
from nightmill.line.stop import Stopped
from nightmill.store import AWAY, projects

if TYPE_CHECKING:
    from nightmill.line.machines import Machines
    from nightmill.repo import Hub
    from nightmill.store.projects import Known

__all__ = ["Ahead"]

EVERY = 5.0
"""Seconds between looks."""

MOST_TEXT = 4096

Mark = tuple[tuple[int, int, int], ...]
"""Which files a project's branch and settings stand in, and which state of each: equal marks, nothing moved."""

log = logging.getLogger(__name__)


class Ahead:
    """Builds, one at a time and at low priority, the base that the newest commit of each known project needs.

    A look costs one query and some calls of `stat` for each project; git is asked only about one that moved. What
    failed is told once, and tried again when something moved.
    """

    def __init__(self, machines: Machines) -> None:
        self.machines = machines
        self._site = replace(machines.site, before=("nice", "-n", "15"))
        self._marks: dict[str, Mark] = {}
        self._looked = -math.inf
        self._building: asyncio.Task[None] | None = None

    @property
    def busy(self) -> bool:
        """Whether a base is being built."""
        return self._building is not None and not self._building.done()

    def look(self) -> None:
        """Begin to build for the first project that moved since the last look, if it is time to look again."""
        if self.busy or self.machines.clock() - self._looked < EVERY:
            return
        self._looked = self.machines.clock()
        for project in projects.known(self.machines.database):
            mark = _mark(project)
            if self._marks.get(project.id) != mark:
                self._marks[project.id] = mark
                self._building = asyncio.ensure_future(self._ready(project))
                self._looked = -math.inf  # the next project that moved need not wait
                return

    async def leave(self) -> None:
        """End the build that is under way; nothing of it stays."""
        if self._building is not None:
            self._building.cancel()
            await asyncio.wait({self._building})

    async def _ready(self, known: Known) -> None:
        """See to it that the base for the newest commit of *known* is there."""
        try:
            await self._build(known)
        except AWAY:
            self._marks.pop(known.id, None)  # looked at again once the store is back
        except NightmillError as error:
            self._fail(known, Stopped.of(error))
        except Exception as error:
            log.exception("the environment of %s could not be built ahead", known.id)
            self._fail(known, Stopped.of(error))

    async def _build(self, known: Known) -> None:
        if not known.root.is_dir() or self._failed_before(known):
            return  # moved away or deleted, so that nobody waits for it; or as broken as it was
        try:
            self.machines.spare()
        except SandboxError:
            self._marks.pop(known.id, None)  # what space is left is for runs
            return
        project = await asyncio.to_thread(load, known.root)
        hub = self.machines.hub(known.id)
        commit = await asyncio.to_thread(_newest, hub, known.root)
        if commit is None or await environment.standing(project, hub=hub, commit=commit, site=self._site):
            return
        started = self.machines.clock()
        made = await environment.base(
            project, hub=hub, commit=commit, site=self._site, progress=lambda text: log.info("%s: %s", known.id, text)
        )
        seconds = self.machines.clock() - started
        self.machines.ledger.emit(
            event.EnvironmentBuilt(run="", project=known.id, environment=made.hash, commit=commit, seconds=seconds)
        )

    def _fail(self, known: Known, stop: Stopped) -> None:
        log.warning("the environment of %s could not be built ahead: %s", known.id, stop.reason)
        self.machines.ledger.emit(
            event.EnvironmentFailed(
                run="", project=known.id, mark=self._named(known), reason=stop.reason[-MOST_TEXT:], hint=stop.hint
            )
        )

    def _failed_before(self, known: Known) -> bool:
        """Whether any worker failed on *known* as it stands."""
        told = self.machines.ledger.read(run="", names={event.EnvironmentFailed.name})
        now = event.EnvironmentFailed(run="", project=known.id, mark=self._named(known), reason="")
        return any(entry.key == now.key for entry in told)

    def _named(self, known: Known) -> str:
        """The mark of *known* as a word. It is of what a base is built from, and not of what an error said."""
        return hashlib.sha256(repr(self._marks.get(known.id)).encode()).hexdigest()[:16]


def _newest(hub: Hub, root: Path) -> str | None:
    """The newest commit of the hub's branch, the checkout's own if that one is ahead; None: there is none."""
    tip, branch = hub.resolve("HEAD"), _branch(hub.path)
    try:
        # Of another user's checkout a person has to say first that it is trusted; here nobody can be asked.
        if not branch or (root / ".git").lstat().st_uid != os.geteuid():
            return tip
        mine = hub.take(root, branch)
    except (OSError, NightmillError):
        return tip
    return mine if tip is None or hub.contains(commit=mine, ancestor=tip) else tip


def _mark(known: Known) -> Mark:
    """The state of the branch in the hub and in the checkout, and of nightmill.yaml, as the file system tells it."""
    ref = f"refs/heads/{_branch(known.hub)}"
    names = (ref, "packed-refs", "reftable/tables.list")
    files = [folder / name for folder in (known.hub, known.root / ".git") for name in names]
    return tuple(_state(file) for file in (*files, known.root / NAME))


def _branch(hub: Path) -> str:
    """The branch that the repository *hub* is on."""
    try:
        head = (hub / "HEAD").read_text(encoding="utf-8", errors="replace")[:MOST_TEXT].strip()
    except OSError:
        return ""
    return head.removeprefix("ref: refs/heads/") if head.startswith("ref: refs/heads/") else ""


def _state(file: Path) -> tuple[int, int, int]:
    try:
        status = file.stat()
    except (OSError, ValueError):
        return (0, 0, 0)
    return (status.st_ino, status.st_size, status.st_mtime_ns)
