"""nightmill.yaml: read strictly, with the line of every mistake, and written for people to change."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from pathlib import Path
from typing import Any

from nightmill.errors import LimitReached, RepoError, SettingsError
from nightmill.estate import form, services, shape
from nightmill.estate.nouns import Access, Environment, Project
from nightmill.policy import Policy, said
from nightmill.repo import Hub
from nightmill.review import Check
from nightmill.sandbox import Limits

__all__ = ["NAME", "at_commit", "identify", "load", "parse"]

NAME = "nightmill.yaml"


def load(root: Path) -> Project:
    """The project that *root*'s nightmill.yaml describes.

    Raises:
        SettingsError: If there is none, or it cannot be used; the message names the line.
    """
    try:
        with os.fdopen(os.open(root / NAME, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            body = file.read(form.LARGEST + 1) if stat.S_ISREG(os.fstat(file.fileno()).st_mode) else b"\0"
    except FileNotFoundError as error:
        raise SettingsError(f"there is no {NAME} in {str(root)!r}", hint="run `nightmill init` there") from error
    except OSError as error:
        raise SettingsError(
            f"{NAME} in {str(root)!r} cannot be read: {error.strerror}", hint="it must be a file that you may read"
        ) from error
    return parse(body, root=root)


def at_commit(hub: Hub, commit: str, *, root: Path) -> Project:
    """The project of the checkout *root* as *commit* describes it, whatever the checkout holds.

    Raises:
        SettingsError: If that has none, or it cannot be used; the message names the line.
    """
    try:
        body = hub.show(commit, NAME, limit=form.LARGEST)
    except (RepoError, LimitReached) as error:
        raise SettingsError(
            f"the commit {commit[:12]} has no {NAME} that can be read, so nothing says how its changes are judged",
            hint=f"commit it: git add {NAME} && git commit -m 'How it is tested'",
        ) from error
    return parse(body, root=root)


def parse(body: bytes, *, root: Path) -> Project:
    """The project that the text *body* describes, for the checkout *root*.

    Raises:
        SettingsError: If it cannot be used; the message names the line.
    """
    values = form.read(body, shape.FILE, name=NAME)
    checks = tuple(_check(each) for each in values.get("checks", []))
    return Project(
        id=identify(root),
        root=root.resolve(),
        language=values.get("language", "other"),
        environment=Environment(
            install=tuple(values.get("install", ())),
            hosts=tuple(values.get("hosts", ())),
            env=values.get("env", {}),
            locks=tuple(values.get("locks", ())),
        ),
        checks=checks,
        network=Access(**{name: tuple(each) for name, each in values.get("network", {}).items()}),
        services=services.read(values.get("services", [])),
        instructions=tuple(values.get("instructions", ())),
        limits=Limits(**{name: value for name, value in values.get("limits", {}).items() if name != "disk"}),
        disk=values.get("limits", {}).get("disk", 10 << 30),
        budget=values.get("budget", 0.0),
        co_author=values.get("co_author", ""),
        requires=tuple(values.get("requires", ())),
        protected=tuple(values.get("protected", ())),
        policy=said(values["policy"], source=NAME) if "policy" in values else Policy(),
    )


def identify(root: Path) -> str:
    """The id of the project at *root*: its folder's name and eight digits of the hash of its real path."""
    real = root.resolve()
    name = re.sub(r"[^a-z0-9]+", "-", real.name.lower()).strip("-")[:60] or "project"
    return f"{name}-{hashlib.sha256(os.fsencode(real)).hexdigest()[:8]}"


def _check(plain: dict[str, Any]) -> Check:
    return Check(
        name=plain["name"],
        command=plain["run"],
        format=plain.get("format", "exit"),
        report=plain.get("report", ""),
        least=plain.get("least", 0.0),
        seconds=plain.get("seconds", 600.0),
        memory=plain.get("memory", 4 << 30),
    )
