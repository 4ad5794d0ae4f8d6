"""Whether what a person edits in a checkout fits what is there at a snapshot, looked at without opening it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from nightmill.errors import SandboxError, SettingsError
from nightmill.estate.environment import Base
from nightmill.line.assignment import Origin
from nightmill.sandbox.disk.shelf import Shelf
from nightmill.sandbox.disk.view import View, file, opened

__all__ = ["must_fit"]

TOP = "repo/"
"""Where the checkout is, below what a snapshot shows."""


def must_fit(moment: Origin, base: Base, *, directory: Path, shelf: Path) -> None:
    """Raise `SettingsError` if a file that is edited at *moment* cannot be there, or is deleted and is not.

    What is behind a link is left to the sandbox, which follows it.
    """
    edits = [each for each in moment.own if each.kind == "file"]
    if not edits:
        return
    try:
        with opened(directory, moment.snapshot, layers=base.layers, shelf=Shelf(shelf)) as view:
            for each in edits:
                if why := _written(view, each.what) if each.body else _deleted(view, each.what):
                    raise SettingsError(f"at {moment.moment} {why}", hint="name a file that is there, or can be")
    except SandboxError as error:
        raise SettingsError(
            f"the snapshot of {moment.run} at {moment.moment}: {error.message}", hint="edit nothing"
        ) from error


def _written(view: View, path: str) -> str:
    """Why nothing can be put at *path*, "" if it can."""
    if _kind(view, path) == "folder":
        return f"{path!r} is a folder"
    return next((f"{each!r} is a file, and no folder" for each in _above(path) if _kind(view, each) == "file"), "")


def _deleted(view: View, path: str) -> str:
    """Why the file *path* cannot be deleted, "" if it can."""
    found = _kind(view, path)
    return {"": f"there is no file {path!r}", "folder": f"{path!r} is a folder"}.get(found, "")


def _kind(view: View, path: str) -> str:
    """What is at *path*: "file", "folder", "link", also where one is on the way, or "" for nothing."""
    try:
        return "" if file(view, f"{TOP}{path}", most=0) is None else "file"
    except ValueError as error:
        said = str(error)
        return "folder" if said == "is no file" else "link" if "link" in said else "file"


def _above(path: str) -> Iterator[str]:
    parts = path.split("/")
    return ("/".join(parts[:end]) for end in range(1, len(parts)))
