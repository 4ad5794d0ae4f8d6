"""The three places that blueprints are read from. No link is followed, and nothing is larger than people write."""

from __future__ import annotations

import errno
import os
import stat
from functools import cache
from importlib import resources
from pathlib import Path

from nightmill.blueprint.catalogue import ENDINGS, Place, Shelf
from nightmill.blueprint.reading import LARGEST
from nightmill.errors import LimitReached, RepoError, SettingsError
from nightmill.repo import Hub

__all__ = ["FOLDER", "OPERATORS", "SHIPPED", "at_commit", "in_folder", "shipped"]

FOLDER = ".nightmill/blueprints"
"""In a project."""
OPERATORS = "blueprints"
"""In the home of nightmill."""
SHIPPED = "nightmill/blueprint/shipped"
MOST = 200
"""Files in one place."""
REGULAR = ("100644", "100755")


@cache
def shipped() -> Shelf:
    """Those of this release."""
    folder = resources.files("nightmill.blueprint") / "shipped"
    return Shelf(
        "shipped", {f"{SHIPPED}/{each.name}": each.read_bytes() for each in folder.iterdir() if _yaml(each.name)}
    )


def in_folder(root: Path, within: str = "", *, place: Place) -> Shelf:
    """Those in the folder *within* of *root*, named as below *root*; an empty shelf if there is no such folder.

    Raises:
        SettingsError: If the folder cannot be read, or holds too many.
    """
    shown = within or str(root)
    try:
        here = _opened(root, within)
    except FileNotFoundError:
        return Shelf(place, {})
    except OSError as error:
        raise SettingsError(
            f"{shown!r} cannot be read: {error.strerror}", hint="make it a folder, no link, that you may read"
        ) from error
    bodies: dict[str, bytes] = {}
    unread: dict[str, str] = {}
    try:
        for name in _bounded([each for each in os.listdir(here) if _yaml(each)], shown):  # noqa: PTH208 - of an open folder
            try:
                bodies[f"{shown}/{name}"] = _body(name, here)
            except OSError as error:
                unread[f"{shown}/{name}"] = f"it cannot be read: {error.strerror}"
    finally:
        os.close(here)
    return Shelf(place, bodies, unread)


def at_commit(hub: Hub, commit: str) -> Shelf:
    """The project's own, as *commit* has them.

    Raises:
        SettingsError: If there are too many.
    """
    bodies: dict[str, bytes] = {}
    unread: dict[str, str] = {}
    depth = FOLDER.count("/") + 1
    found = {each.path: each.mode for each in hub.files(commit, within=(FOLDER,)) if each.path.count("/") == depth}
    for path in _bounded([path for path in found if _yaml(path)], FOLDER):
        try:
            if found[path] not in REGULAR:
                raise RepoError("it is no regular file")
            bodies[path] = hub.show(commit, path, limit=LARGEST + 1)
        except (RepoError, LimitReached) as error:
            unread[path] = error.message
    return Shelf("project", bodies, unread)


def _opened(root: Path, within: str) -> int:
    here = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    for part in filter(None, within.split("/")):
        try:
            below = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=here)
        finally:
            os.close(here)
        here = below
    return here


def _body(name: str, here: int) -> bytes:
    # Not blocking: a fifo must not hold us.
    file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=here)
    try:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise OSError(errno.EINVAL, "it is no regular file")
        return os.read(file, LARGEST + 1)
    finally:
        os.close(file)


def _bounded(names: list[str], shown: str) -> list[str]:
    if len(names) > MOST:
        raise SettingsError(f"{shown} holds {len(names)} blueprints, more than {MOST}", hint="keep the ones in use")
    return sorted(names)


def _yaml(name: str) -> bool:
    return name.endswith(ENDINGS) and name.isprintable()
