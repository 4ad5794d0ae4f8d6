"""What a project has at its main branch beside its processes: who acts in it, what they remember, what was noted."""

from __future__ import annotations

import time
from email.utils import parseaddr

from nightmill.crew import Memory
from nightmill.crew.memory import Person
from nightmill.desk.door import Door
from nightmill.desk.own import Remembered, Team
from nightmill.desk.shelf import mistaken, shelf

__all__ = ["forget", "remembered", "team"]


def team(door: Door, project: str) -> Team:
    """Who acts in *project*.

    Raises:
        SettingsError: If there is no such project, or a file of its crew cannot be used.
    """
    found = shelf(door, project)
    return Team(crew=found.roles, records=mistaken(door, project, found.commit))


def remembered(door: Door, project: str, role: str, *, here: bool) -> Remembered:
    """What *role* remembers of *project*; *here*: whoever asks is on this machine, and can use the folder."""
    kept = Memory(door.settings.home)
    page = kept.page(project, role)
    folder = str(kept.folder) if here and kept.folder.exists() else ""
    trouble = page.trouble if here else page.trouble.replace(repr(str(kept.folder)), "the memory")
    return Remembered(notes=page.notes, trouble=trouble, folder=folder)


def forget(door: Door, project: str, role: str, number: int, note: str, *, by: str) -> None:
    """Take the *note* of that *number* out of what *role* remembers of *project*, in the name of *by*.

    Raises:
        SettingsError: If there is no such note.
        RepoError: If another has that number by now, or its file cannot be used.
    """
    name, mail = parseaddr(by)
    author = Person(name=name, email=mail)
    Memory(door.settings.home).forget(project, role, number, note=note, author=author, at=time.time())
