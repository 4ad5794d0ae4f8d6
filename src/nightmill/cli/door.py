"""What every command starts with: settings, and the store when it is needed. Only here is the environment read."""

from __future__ import annotations

import getpass
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from nightmill.errors import SettingsError
from nightmill.settings import Settings, load

if TYPE_CHECKING:
    from nightmill.estate.nouns import Project
    from nightmill.store.blobs import Blobs
    from nightmill.store.database import Database
    from nightmill.store.ledger import Ledger
    from nightmill.store.runs import Runs

__all__ = ["STALE", "Door", "keys", "open_door", "person", "settings_file"]

STALE = 20.0
"""Seconds without a heartbeat after which a worker of another machine counts as dead."""

KEYS = {account: f"{account.upper()}_API_KEY" for account in ("anthropic", "openai", "gemini", "ollama")}


@dataclass(frozen=True)
class Door:
    """Settings and the store, each part opened when it is first used."""

    settings: Settings

    @cached_property
    def database(self) -> Database:
        """Our tables."""
        from nightmill.store.database import Database

        self.make_home()
        return Database.open(self.settings.store or f"sqlite:///{self.settings.home / 'nightmill.db'}")

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

        return Blobs(self.settings.home / "blobs")

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

        top = Path(os.path.realpath(root))
        found = next((folder for folder in (top, *top.parents) if (folder / "nightmill.yaml").is_file()), None)
        if found is None:
            raise SettingsError(f"there is no nightmill.yaml in {str(top)!r} or above it", hint="nightmill init")
        return load_project(found)


def open_door(**flags: Any) -> Door:
    """The settings in force: file, then environment, then *flags*.

    Raises:
        SettingsError: If the file or a value is wrong.
    """
    environment = dict(os.environ)
    settings = load(file=_file(environment), environment=environment, flags=flags)
    if settings.home == Path():
        data = Path(environment.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
        settings = replace(settings, home=data / "nightmill")
    return Door(replace(settings, home=settings.home.absolute()))


def keys() -> dict[str, str]:
    """Providers' keys, by provider."""
    return {provider: value for provider, name in KEYS.items() if (value := os.environ.get(name))}


def person() -> str:
    """Who is at this terminal, as "Name <address>", for the record and for merges."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = f"uid-{os.getuid()}"
    return f"{user} <{user}@{os.uname().nodename}>"


def settings_file(environment: Mapping[str, str]) -> Path:
    """Where the settings file is, or would be."""
    config = Path(environment.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return Path(environment.get("NIGHTMILL_SETTINGS") or config / "nightmill" / "settings.yaml")


def _file(environment: Mapping[str, str]) -> dict[str, Any]:
    """What the settings file holds; only one that is named has to be there."""
    named, path = environment.get("NIGHTMILL_SETTINGS"), settings_file(environment)
    hint = "it holds lines like `budget_turns: 50`"
    try:
        read = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        if named:
            raise SettingsError(f"there is no settings file {named!r}", hint="correct NIGHTMILL_SETTINGS") from error
        return {}
    except (OSError, ValueError, yaml.YAMLError) as error:
        said = " ".join(str(error).split())
        raise SettingsError(f"the settings file {str(path)!r} cannot be read: {said}", hint=hint) from error
    if read is not None and not isinstance(read, dict):
        raise SettingsError(f"the settings file {str(path)!r} must hold `name: value` lines", hint=hint)
    return read or {}
