"""One person at the store, and what they may reach there through a program of theirs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from nightmill.access import Act, Person
from nightmill.desk.door import Door
from nightmill.desk.start import Wanted
from nightmill.errors import SettingsError
from nightmill.kept import Filed
from nightmill.peer.once import Started, begun
from nightmill.store import Run
from nightmill.store.projects import known

__all__ = ["Place", "Starter", "Visit"]


class Starter(Protocol):
    """What has runs begin on this machine. Its methods block."""

    def plan(self, words: str, *, root: Path, blueprint: str, inputs: dict[str, str]) -> dict[str, Any]:
        """What *words* would come to in the project at *root*, as plain data; nothing is started and no model asked.

        Raises:
            NightmillError: If they cannot be read, or the project cannot.
        """
        ...

    def start(self, wanted: Wanted) -> str:
        """Put a run of what is *wanted* in the queue; its id.

        Raises:
            NightmillError: If it is refused; the message says why.
        """
        ...

    def take_up(self, task: str, *, by: str, home: Path) -> str:
        """Put a run that goes on with *task* in the queue, in the name of *by*; its id.

        Raises:
            NightmillError: If it is refused; the message says why.
        """
        ...


class Place(NamedTuple):
    """A project, and the folder of it that is meant."""

    project: str
    root: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """Who came, to which store.

    Attributes:
        starter: None: no runs begin here.
        here: The folder that the program works in, None for one that is elsewhere: its project is meant if none is named.
        home: Of the user whose git configuration says which folders to trust.
    """

    door: Door
    who: Person
    home: Path
    starter: Starter | None = None
    here: Path | None = None

    def may(self, act: Act) -> bool:
        """Whether there is any project in which they may do *act*."""
        return self.who.projects(act) != frozenset()

    def run(self, name: str, act: Act) -> Run:
        """The run whose id is or begins with *name*, if they may do *act* there.

        Raises:
            SettingsError: If they may not. Of what they may not see it is not said that it is there.
        """
        try:
            found = self.door.runs.get(name)
        except SettingsError:
            found = None
        if found is None or not self.who.may("view", found.project):
            raise SettingsError(f"there is no run {name[:40]!r} that you may see", hint="the tool `runs` lists them")
        self._must(act, found.project)
        return found

    def task(self, name: str, act: Act) -> Filed:
        """The task whose id is or begins with *name*, likewise.

        Raises:
            SettingsError: If they may not. Of what they may not see it is not said that it is there.
        """
        try:
            found = self.door.tasks.get(name)
        except SettingsError:
            found = None
        if found is None or not self.who.may("view", found.project):
            raise SettingsError(
                f"there is no task {name[:80]!r} that you may see", hint="the tool `waiting` lists them"
            )
        self._must(act, found.project)
        return found

    def place(self, project: str, act: Act) -> Place:
        """*project*, "" for the one that is meant where none is named, if they may do *act* there.

        Raises:
            SettingsError: If they may not, or none or several could be meant.
        """
        if not project and self.here is not None:
            found = self.door.project(self.here)
            self._must(act, found.id)
            return Place(found.id, found.root)
        seen = [each for each in known(self.door.database) if self.who.may("view", each.id)]
        fits = [each for each in seen if project in {"", each.id}]
        if len(fits) != 1:
            names = ", ".join(each.id for each in seen[:20]) or "none"
            raise SettingsError(
                f"there is no project {project[:80]!r} that you may see" if project else "it is not said which project",
                hint=f"`project` is one of: {names}",
            )
        self._must(act, fits[0].id)
        return Place(fits[0].id, fits[0].root)

    def start(self, spec: str, place: Place, *, key: str = "", **named: str) -> Started:
        """A run of the text *spec* at *place*, in their name, once (`once.begun`); *named* are others of what `desk.start` takes.

        Raises:
            NightmillError: If it is refused, or no runs begin here.
        """
        if self.starter is None:
            raise SettingsError("no runs begin here", hint="`nightmill run` on the machine of the project")
        wanted = Wanted(
            project=place.project, root=place.root, spec=spec, errand=None, by=self.who.by, home=self.home, **named
        )
        found = begun(self.door, wanted, key=key)
        return found if found.before else Started(self.starter.start(replace(wanted, run=found.run)), before=False)

    def take_up(self, task: Filed) -> str:
        """The id of the run that goes on with *task*, in their name.

        Raises:
            NightmillError: If it is refused, or no runs begin here.
        """
        if self.starter is None:
            raise SettingsError("no runs begin here", hint="`nightmill task start` on the machine of the project")
        return self.starter.take_up(task.id, by=self.who.by, home=self.home)

    def _must(self, act: Act, project: str) -> None:
        if not self.who.may(act, project):
            raise SettingsError(f"{self.who.address} may not {act} in {project}", hint="ask an admin for the role")
