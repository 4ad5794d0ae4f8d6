"""Having runs begin on this machine, for the doors that programs come to."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nightmill.cli.door import Door
    from nightmill.desk.start import Wanted

__all__ = ["DoorStarter"]


@dataclass(frozen=True)
class DoorStarter:
    """A `peer.visit.Starter` on the store of a door.

    *here*: who asks is the person at this machine, so that it is as if they typed `nightmill run`: an external agent may do
    the work, and a worker is started if none is alive. Otherwise they come over the network, and it is as the API does it.
    """

    door: Door
    here: bool

    def plan(self, words: str, *, root: Path, blueprint: str, inputs: dict[str, str]) -> dict[str, Any]:
        """What *words* would come to in the project at *root*; nothing is started and no model asked."""
        from nightmill.cli.door import person
        from nightmill.cli.gateway import plain
        from nightmill.desk.asking import answer
        from nightmill.desk.processes import in_checkout
        from nightmill.desk.wish import Wish

        wish = Wish(words=words, blueprint=blueprint, sets=tuple(f"{name}={value}" for name, value in inputs.items()))
        told: list[str] = []
        return plain(answer(in_checkout(self.door, root, by=person(), home=Path.home()), wish, say=told.append))

    def take_up(self, task: str, *, by: str, home: Path) -> str:
        """Put the run in the queue; its id."""
        from nightmill.desk import remedy

        started = remedy.start(self.door, remedy.Wanted(task=task, by=by, home=home), now=time.time)
        if self.here:
            from nightmill.cli import beside

            beside.wake(self.door)
        return started.run.id

    def start(self, wanted: Wanted) -> str:
        """Put the run in the queue; its id."""
        from nightmill.desk.start import spec_file, start

        if not self.here:
            return start(self.door, wanted, now=time.time).id
        from nightmill.cli import asking
        from nightmill.store import projects

        door, settings = self.door, self.door.settings
        model, blueprint = wanted.model or settings.model, wanted.blueprint or settings.blueprint
        door = replace(door, settings=replace(settings, model=model, blueprint=blueprint))
        root = wanted.root or projects.get(door.database, wanted.project).root
        with spec_file(wanted.spec) as path:
            named = bool(wanted.model)
            return asking.asked(door, path, project=root, base=wanted.base, inputs=(), named=named, run=wanted.run)
