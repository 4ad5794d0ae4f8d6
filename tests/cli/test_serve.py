"""A worker as a process: what it does when it ends."""

from __future__ import annotations

import time
from pathlib import Path

from nightmill.cli.door import Door
from nightmill.cli.serve import serve
from nightmill.event import RunQueued
from nightmill.settings import Settings
from nightmill.store.ledger import Ledger


class Closing(Ledger):
    """A ledger in which somebody asks for a run while its worker ends."""

    door: Door

    def close(self) -> None:
        super().close()
        asked = RunQueued(run="r1", kind="spec", title="t", project="p", spec="s", model="m")
        self.door.runs.create(asked, assignment="a")


def test_a_run_that_was_asked_for_while_an_idle_worker_ended_gets_the_next_worker(tmp_path: Path) -> None:
    door, after = Door(Settings(home=tmp_path)), list[Door]()
    closing = Closing(door.database, time.time)
    closing.door = door
    door.__dict__["ledger"] = closing
    serve(door, until_idle=0, succeed=after.append)

    assert after == [door]
    assert not door.alive(), "by the time it looks it is seen by nobody any more"
    door.database.close()


def test_an_idle_worker_that_nobody_needs_has_no_successor(tmp_path: Path) -> None:
    door, after = Door(Settings(home=tmp_path)), list[Door]()
    serve(door, until_idle=0, succeed=after.append)

    assert after == []
    door.database.close()
