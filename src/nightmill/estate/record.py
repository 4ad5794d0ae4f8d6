"""The environment record: everything that decides what a base holds, as one value with one hash.

The hash names the base, is told in every run, and is what `env lock` agrees on. The commit is not part of it.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

from nightmill.estate import devcontainer, flake, wishes
from nightmill.estate.nouns import Project
from nightmill.estate.tools import Tool, Wish, tools, used
from nightmill.estate.tracked import Tracked, at_commit, in_checkout
from nightmill.repo import Hub

__all__ = ["MANIFESTS", "VERSION", "Record", "committed", "names", "present", "record"]

NAME = "nightmill.yaml"

VERSION = 4
"""Part of every hash: raise it when what a base holds changes with this code."""

MANIFESTS = ("pyproject.toml", "package.json", "go.mod", "Cargo.toml")
"""Files in which wishes for versions stand beside much else: their content counts where `locks` names them."""

DESCRIPTIONS = (*wishes.FILES, *flake.FILES)
"""Files that do nothing but describe an environment: their content always counts."""

MOST = 100
"""Devcontainers of a checkout that are looked at."""

LANGUAGES = {"python": ("python", "uv"), "javascript": ("node",), "go": ("go",), "rust": ("rust", "cargo")}
"""Programs that a project of a language runs, whatever its install lines say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What was found and decided.

    Attributes:
        sources: SHA-256 of each file whose content counts; None: `locks` names it, and it is not there.
        platform: The machine's kind, its C library, and the Python of its system.
        hosts: As nightmill.yaml has them: names and presets, and not what this machine's tools make of a preset.
    """

    language: str
    sources: dict[str, str | None]
    tools: tuple[Tool, ...]
    install: tuple[str, ...]
    hosts: tuple[str, ...]
    env: dict[str, str]
    locks: tuple[str, ...]
    services: tuple[dict[str, Any], ...]
    platform: dict[str, str]

    def plain(self) -> dict[str, Any]:
        """The record as plain JSON data."""
        found: dict[str, Any] = json.loads(json.dumps({"version": VERSION, **asdict(self)}))
        return found

    @property
    def canonical(self) -> bytes:
        """The one way to write it down."""
        return json.dumps(self.plain(), sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()

    @property
    def hash(self) -> str:
        """32 hexadecimal digits."""
        return hashlib.sha256(self.canonical).hexdigest()[:32]


def record(project: Project, tracked: Tracked) -> Record:
    """The record of *project* as the files *tracked* have it, on this machine. Nothing of them is run.

    Raises:
        SettingsError: If a file whose content counts is too large.
    """
    wanted = project.environment
    container = devcontainer.read(tracked)
    described = [name for name in (*DESCRIPTIONS, *devcontainer.files(tracked)[:1]) if name in tracked]
    language = [Wish(tool=name, version="", file=NAME) for name in LANGUAGES.get(project.language, ())]
    asked = (*language, *used(wanted.install, file=NAME), *wishes.wishes(tracked))
    return Record(
        language=project.language,
        sources={name: tracked.digest(name) for name in sorted({*wanted.locks, *described})},
        tools=tools((*asked, *(container.wishes if container else ()))),
        install=wanted.install,
        hosts=wanted.hosts,
        env=wanted.env,
        locks=wanted.locks,
        services=tuple(asdict(service) for service in project.services),
        platform=_platform(),
    )


def committed(project: Project, *, hub: Hub, commit: str) -> Record:
    """The record of *project* as *commit* has it."""
    return record(project, at_commit(hub, commit, names(project)))


def present(project: Project) -> Record:
    """The record of *project* as its checkout stands, with what is in no commit yet."""
    folder = project.root / devcontainer.FOLDER
    below = () if folder.is_symlink() else islice(folder.glob(f"*/{devcontainer.NAME}"), MOST)
    inside = [str(path.relative_to(project.root)) for path in (folder / devcontainer.NAME, *below)]
    listed = (*names(project), *inside)
    return record(project, in_checkout(project.root, [name for name in listed if os.path.lexists(project.root / name)]))


def names(project: Project) -> tuple[str, ...]:
    """The files and folders that a record of *project* is made from."""
    own = (*DESCRIPTIONS, *MANIFESTS, devcontainer.FOLDER, f".{devcontainer.NAME}")
    return tuple(dict.fromkeys((*own, *project.environment.locks)))


def _platform() -> dict[str, str]:
    library, number = platform.libc_ver()
    return {"machine": platform.machine(), "libc": f"{library} {number}".strip()}
