"""What the line works with, made once by the worker and handed to every run."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from nightmill.errors import EngineError, SandboxError, StoreUnavailable
from nightmill.estate.environment import BUNDLE, place
from nightmill.model import Model
from nightmill.model.connect import Client, connect
from nightmill.repo.hub import Hub
from nightmill.store.questions import Questions

if TYPE_CHECKING:
    from nightmill.estate.environment import Base, Site
    from nightmill.estate.nouns import Project
    from nightmill.event import Event
    from nightmill.forge.local import LocalForge
    from nightmill.model.gate import Gates
    from nightmill.model.route import Circuits
    from nightmill.policy import Purse
    from nightmill.sandbox import Place, Sandboxes
    from nightmill.settings import Settings
    from nightmill.store.blobs import Blobs
    from nightmill.store.database import Database
    from nightmill.store.ledger import Ledger
    from nightmill.store.runs import Runs

__all__ = ["Machines"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Machines:
    """The outside world of one worker."""

    settings: Settings
    database: Database
    ledger: Ledger
    blobs: Blobs
    runs: Runs
    forge: LocalForge
    sandboxes: Sandboxes
    client: Client
    site: Site
    keys: Mapping[str, str]
    circuits: Circuits
    gates: Gates
    purse: Purse
    tools: Mapping[str, Path]
    """Host programs that every sandbox shows: uv, rg."""
    clock: Callable[[], float]
    """Seconds that only grow, for durations."""
    now: Callable[[], float]
    """Unix seconds."""
    worker: str

    @property
    def questions(self) -> Questions:
        """What runs ask people."""
        return Questions(self.database, self.now)

    def spare(self) -> None:
        """Look whether the disk of the home has room for one more step.

        Raises:
            SandboxError: If it has less than the setting `spare_megabytes`.
        """
        home, wanted = self.settings.home, self.settings.spare_megabytes
        free = shutil.disk_usage(home).free >> 20
        if free < wanted:
            raise SandboxError(
                f"the disk of {str(home)!r} has {free} MB left, and a step wants {wanted}",
                hint="make space there, then `nightmill resume`",
            )

    async def conclude(self, last: Event) -> None:
        """Tell *last*, with which a run ends, and wait until it is stored: the engine ends the run after it.

        What the run used is in the accounts before: nobody goes on with a run that is over.

        Raises:
            StoreUnavailable: If it cannot be stored just now.
        """
        self.purse.rest(last.run)
        await self.purse.written()
        for _ in range(2):
            self.ledger.emit(last)
            try:
                await self.ledger.flush()
                break
            except StoreUnavailable:
                raise
            except EngineError as lost:  # perhaps another run's; if it was this one, it is told again
                log.error("events were lost: %s", lost.message)  # noqa: TRY400 - its traceback says nothing

    def close(self) -> None:
        """Write what is left to be written of rates, money and events.

        Raises:
            EngineError: If events cannot be.
        """
        self.gates.close()
        self.purse.close()
        self.ledger.close()

    def model(self, name: str, base_url: str) -> Model:
        """The model *name* at *base_url*."""
        return connect(
            name, keys=self.keys, base_url=base_url, settings=self.settings, client=self.client, gates=self.gates
        )

    def hub(self, project: str) -> Hub:
        """The forge's repository of *project*."""
        return Hub(self.settings.home / "projects" / project / "hub.git")

    def place(self, project: Project, base: Base, *, directory: Path, bundle: Path | None = None) -> Place:
        """Where a sandbox over *base* works: in *directory*, with *bundle* shown to `prepare`."""
        found = place(project, base, directory=directory, files={BUNDLE: bundle} if bundle else {})
        return replace(found, tools={**found.tools, **self.tools})

    def folder(self, run: str) -> Path:
        """Where the sandbox of *run* lives."""
        return self.settings.home / "runs" / run
