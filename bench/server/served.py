"""`nightmill serve` as a process on one core, with people who may look and runs to look at."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.stage import until
from nightmill import event as e
from nightmill.access import Grant, hashed
from nightmill.cli.door import Door
from nightmill.settings import load
from nightmill.store.keys import Keys
from nightmill.store.people import People

__all__ = ["PROJECT", "Served"]

AT = re.compile(r"nightmill is at http://127\.0\.0\.1:(\d+);")
PROJECT = "shop"


@dataclass
class Served:
    """A store below *folder* and the server of it, which has the *core* for itself as far as we have a say in it."""

    folder: Path
    core: int | None = None
    workers: int = 0
    port: int = 0
    door: Door = field(init=False)
    process: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        self.door = Door(load(file={}, environment={"NIGHTMILL_HOME": str(self.folder / "home")}, flags={}))
        self.people = People(self.door.database, time.time)
        self.keys = Keys(self.door.database, time.time, known=self.people.known)

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """Of its process."""
        assert self.process is not None
        return self.process.pid

    def start(self) -> float:
        """Start it, again on the port that it had; return the seconds until it said that it is there."""
        said = self.folder / "said.log"
        said.unlink(missing_ok=True)
        words = ["serve", "--port", str(self.port), "--workers", str(self.workers)]
        clean = {name: value for name, value in os.environ.items() if not name.startswith("NIGHTMILL_")}
        began = time.monotonic()
        with said.open("wb") as out:
            self.process = subprocess.Popen(
                [*self._pin(), sys.executable, "-m", "nightmill.cli", *words],
                env={**clean, "NIGHTMILL_HOME": str(self.folder / "home"), "XDG_CONFIG_HOME": str(self.folder)},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        found = until(lambda: AT.search(said.read_text()), what="the server")
        assert found is not None
        self.port = int(found[1])
        return time.monotonic() - began

    def kill(self) -> None:
        """End it as a power cut does."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """End it as Ctrl-C does."""
        assert self.process is not None
        self.process.terminate()
        self.process.wait(60)

    def _pin(self) -> Sequence[str]:
        return () if self.core is None else ("taskset", "--cpu-list", str(self.core))

    # What there is

    def let_in(self, number: int) -> list[str]:
        """Tokens of so many people who may look."""
        password, found = hashed("correct horse battery"), []
        for each in range(number):
            address = f"viewer{each}@example.org"
            secret = self.people.invite(address, grants=[Grant(role="viewer")], by="Ada <ada@example.org>")
            person = self.people.redeem(secret, name=f"Viewer {each}", password=password)
            assert person is not None
            found.append(self.keys.make("bench", owner=person, scopes=["view"], seconds=86_400))
        return found

    def runs(self, number: int) -> list[str]:
        """The ids of so many new runs."""
        ids = [f"rbench{each}" for each in range(number)]
        for each in ids:
            queued = e.RunQueued(run=each, kind="task", title=f"Mend {each}", project=PROJECT, spec="s", model="m")
            self.door.runs.create(queued, assignment="a")
        return ids
