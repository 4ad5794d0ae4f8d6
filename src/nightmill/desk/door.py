"""The store as every door has it: settings, tables, ledger, blobs and forge, each opened when it is first used."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from nightmill.errors import SettingsError
from nightmill.settings import Settings

if TYPE_CHECKING:
    from nightmill.desk.nouns import Use
    from nightmill.estate.nouns import Project
    from nightmill.forge.local import LocalForge
    from nightmill.repo import Hub
    from nightmill.store.blobs import Blobs
    from nightmill.store.database import Database
    from nightmill.store.hooks import Hooks
    from nightmill.store.ledger import Ledger
    from nightmill.store.questions import Questions
    from nightmill.store.redaction import Redaction
    from nightmill.store.runs import Runs
    from nightmill.store.tasks import Tasks
    from nightmill.store.vault import Vault

__all__ = ["STALE", "Door"]

STALE = 20.0
"""Seconds without a heartbeat after which a worker of another machine counts as dead."""


@dataclass(frozen=True)
class Door:
    """Settings and the store, each part opened when it is first used."""

    settings: Settings
    secrets: Callable[[], Iterable[str]] = tuple
    """What must be in no ledger and no blob; asked once, when something is first stored."""

    key: Callable[[], bytes | None] = lambda: None
    """Under which secrets are kept; None: that of its file."""

    uses: Callable[[], tuple[Use, ...]] = tuple
    """What takes which of the secrets that are kept."""

    keys: Callable[[], Mapping[str, str]] = dict
    """Providers' keys, by provider, for a model that is asked before there is a run."""

    @property
    def vault(self) -> Vault:
        """The secrets that are kept."""
        from nightmill.store.vault import Vault

        return Vault(home=self.settings.home, key=self.key())

    @cached_property
    def hooks(self) -> Hooks:
        """Who elsewhere is told of what."""
        from nightmill.store.hooks import Hooks

        return Hooks(self.database, time.time)

    @cached_property
    def hidden(self) -> Redaction:
        """Hides the secrets."""
        import secrets

        from nightmill.store.keyfile import made_once
        from nightmill.store.redaction import BYTES, Redaction

        path = self.settings.home / "marks.key"
        return Redaction(self.secrets, key=lambda: made_once(path, secrets.token_bytes(BYTES)))

    @cached_property
    def database(self) -> Database:
        """Our tables."""
        from nightmill.store.database import Database

        self.make_home()
        url = self.settings.store or f"sqlite:///{self.settings.home / 'nightmill.db'}"
        return Database.open(url, hidden=self.hidden)

    def make_home(self) -> None:
        """Make the folder that everything is kept in.

        Raises:
            SettingsError: If it cannot be.
        """
        home = self.settings.home
        try:
            home.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise SettingsError(
                f"the home folder {str(home)!r} cannot be made: {error.strerror}", hint="NIGHTMILL_HOME names another"
            ) from error

    @cached_property
    def ledger(self) -> Ledger:
        """What happened."""
        from nightmill.store.ledger import Ledger

        return Ledger(self.database, time.time)

    @cached_property
    def runs(self) -> Runs:
        """The runs."""
        from nightmill.store.runs import Runs

        return Runs(self.database, time.time)

    @cached_property
    def blobs(self) -> Blobs:
        """Large bodies."""
        from nightmill.store.blobs import Blobs

        return Blobs(self.settings.home / "blobs", hidden=self.hidden)

    @cached_property
    def questions(self) -> Questions:
        """What waits for a person."""
        from nightmill.store.questions import Questions

        return Questions(self.database, time.time)

    @cached_property
    def tasks(self) -> Tasks:
        """What runs left for somebody to start."""
        from nightmill.store.tasks import Tasks

        return Tasks(self.database, time.time)

    @cached_property
    def forge(self) -> LocalForge:
        """Where pull requests live."""
        from nightmill.forge.local import LocalForge

        return LocalForge(self.database, self.hub, clock=time.time)

    def hub(self, project: str) -> Hub:
        """The repository of *project* on the local forge."""
        from nightmill.repo import Hub

        return Hub(self.settings.home / "projects" / project / "hub.git")

    def alive(self) -> bool:
        """Whether any worker of this store is alive."""
        from nightmill.store import process
        from nightmill.store.workers import Workers

        here = process.host()
        return any(
            each.host != here or process.is_alive(each.pid, each.started)
            for each in Workers(self.database).alive(stale_seconds=STALE)
        )

    def project(self, root: Path) -> Project:
        """The project whose nightmill.yaml stands in *root* or above it."""
        from nightmill.estate.file import load as load_project

        return load_project(self.root(root))

    def root(self, root: Path) -> Path:
        """The folder of that project."""
        top = Path(os.path.realpath(root))
        found = next((folder for folder in (top, *top.parents) if (folder / "nightmill.yaml").is_file()), None)
        if found is None:
            raise SettingsError(f"there is no nightmill.yaml in {str(top)!r} or above it", hint="nightmill init")
        return found
