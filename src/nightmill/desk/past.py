"""How a role's instructions came to be: the commits that changed their file, and what they are elsewhere in its place.

Looked at when somebody asks for it: git goes through a whole history for one file. What a commit has behind it never
changes, so it is looked for once.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from nightmill import __version__, crew
from nightmill.crew.find import SIZE
from nightmill.desk.door import Door
from nightmill.errors import EngineError, NotYet, RepoError, SettingsError
from nightmill.line.submit import OPERATORS
from nightmill.repo import Hub
from nightmill.repo.git import HOST, Call, text

__all__ = ["HERE", "Past", "Version", "past"]

MOST = 50
"""Commits that are shown."""
PATIENCE = 10.0
"""Seconds in which git has found them."""
HERE, OPERATOR, SHIPPED = "here", "operator", "shipped"
"""Versions that are no commits: the file as it lies in the operator's home; the operator's, and the release's, behind a later one."""

AT_ONCE = threading.BoundedSemaphore(2)
"""Histories that are gone through at once."""


class Version(NamedTuple):
    """Instructions as they were, or are elsewhere. *id* is a commit, or what else it is.

    *said* is the first line of the commit, or where it is from; *by*, *at* (Unix seconds) and *file*, its path then, are "" and 0 for
    what is no commit.
    """

    id: str
    said: str
    by: str = ""
    at: int = 0
    file: str = ""


class _Place(NamedTuple):
    """A file of a repository as a commit has it."""

    repository: Path
    commit: str
    file: str


class Past(NamedTuple):
    """The *versions* of a role's file, newest first; *trouble* says what is missing, and why.

    *held* are the texts of those that are no commits; those of commits are in *place*.
    """

    versions: Sequence[Version]
    held: Mapping[str, str]
    place: _Place | None = None
    trouble: str = ""

    def text(self, version: str) -> str:
        """The text of the version with that id; "" of a commit that deleted it."""
        if version in self.held or self.place is None:
            return self.held.get(version, "")
        file = next((each.file for each in self.versions if each.id == version), self.place.file)
        try:
            return Hub(self.place.repository).show(version, file, limit=SIZE).decode("utf-8", "replace")
        except RepoError:
            return ""


def past(door: Door, project: str, role: crew.Role, commit: str) -> Past:
    """The versions of the file of *role* of *project*, whose main branch is at *commit*, and of those behind it.

    Raises:
        NotYet: If others look through histories just now.
        LimitReached: If a text is larger than instructions are.
    """
    operators = crew.in_folder(door.settings.home, (OPERATORS,))
    behind = _behind(role, operators)
    if role.source in operators:
        here = (Version(HERE, "as it lies in the operator's home"), operators[role.source])
        found = _with(_committed(_around(door.settings.home / role.source)), [], behind)
        newest = next((each.id for each in found.versions if each.at), "")
        return found if newest and found.text(newest) == here[1] else _with(found, [here], [])
    place = None if role.source in crew.shipped() else _Place(door.hub(project).path, commit, role.source)
    return _with(_committed(place), [], behind)


def _with(found: Past, before: list[tuple[Version, str]], behind: list[tuple[Version, str]]) -> Past:
    versions = [*(each for each, _ in before), *found.versions, *(each for each, _ in behind)]
    return found._replace(
        versions=versions, held={**found.held, **{each.id: text for each, text in (*before, *behind)}}
    )


def _behind(role: crew.Role, operators: dict[str, str]) -> list[tuple[Version, str]]:
    """What would be *role* without its file, and without the one behind it."""
    found = []
    if role.source not in operators:
        own = _named(role.name, operators)
        found += [(Version(OPERATOR, f"the operator's, {own}"), operators[own])] if own else []
    shipped = crew.shipped()
    ours = _named(role.name, shipped)
    said = f"as nightmill {__version__} ships it"
    return found + ([(Version(SHIPPED, said), shipped[ours])] if ours else [])


def _named(name: str, texts: Mapping[str, str]) -> str:
    """The path of the file in *texts* that is the role *name*; "" if there is none."""
    for path, body in texts.items():
        try:
            if crew.parse(body, source=path).name == name:
                return path
        except SettingsError:  # the page of the crew says what is wrong with it
            continue
    return ""


def _committed(place: _Place | None) -> Past:
    """The commits that changed the file at *place*."""
    if place is None:
        return Past([], {})
    if not AT_ONCE.acquire(blocking=False):
        raise NotYet("others look through histories just now", hint="try again in a moment", seconds=2)
    try:
        return Past(_log(place), {}, place)
    except (EngineError, RepoError) as error:
        return Past([], {}, place, error.message)
    finally:
        AT_ONCE.release()


@lru_cache(maxsize=128)
def _log(place: _Place) -> tuple[Version, ...]:
    commits = Hub(place.repository).followed(place.commit, place.file, limit=MOST, seconds=PATIENCE)
    return tuple(
        Version(each.sha, each.message.partition("\n")[0], f"{each.author} <{each.email}>", each.when, file)
        for each, file in commits
    )


def _around(file: Path) -> _Place | None:
    """The repository that *file* of the operator lies in, at what is checked out there; None: in none, or none that git trusts."""
    said = ("rev-parse", "--absolute-git-dir", "--show-prefix", "--verify", "HEAD")
    ran = HOST.run(Call(args=said, folder=file.parent))
    words = text(ran.out).split("\n")
    return None if ran.exit or len(words) < 3 else _Place(Path(words[0]), words[2], f"{words[1]}{file.name}")
