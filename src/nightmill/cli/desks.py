"""Where the commands that look at runs and steer them work: the store here, or a server."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from nightmill.cli.door import Door, open_door, person, settings, token
from nightmill.desk.nouns import Asked, Comparison, Ended, Part, Remainder, Seat, Standing, Thing, Verb
from nightmill.errors import NightmillError, SettingsError
from nightmill.kept import Back, Draft, Entry, Filed, Run, Task, Wanted

if TYPE_CHECKING:
    from nightmill.access import Person
    from nightmill.client import ServerDesk
    from nightmill.desk.requested import Requested, Sent
    from nightmill.settings import Settings

__all__ = ["StoreDesk", "at_project", "at_server", "open_desk", "opened"]

T = TypeVar("T")

ID = re.compile(r"[a-z0-9-]{1,60}-[0-9a-f]{8}")
"""Of a project, as `estate.file.identify` makes it."""

MOST = 200
"""Runs among whose projects one is looked for."""


def open_desk() -> AbstractContextManager[Seat]:
    """The one that the settings name. Raises as `opened`."""
    return opened(StoreDesk, lambda desk: desk)


@contextmanager
def opened(here: Callable[[Door], T], there: Callable[[ServerDesk], T]) -> Iterator[T]:
    """What *here* makes of the store, or *there* of the server, whichever the settings name.

    Raises:
        SettingsError: If the settings are wrong.
    """
    found = settings()
    if not found.server:
        yield here(open_door())
        return
    with at_server(found) as desk:
        yield there(desk)


@contextmanager
def at_server(found: Settings) -> Iterator[ServerDesk]:
    """The one at the server that the settings *found* name."""
    from nightmill.client import Client, Connection, ServerDesk

    authorities = None if found.authorities == Path() else found.authorities
    with closing(Connection(found.server, token(), authorities=authorities)) as connection:
        yield ServerDesk(Client(connection))


@contextmanager
def at_project(found: Settings, folder: Path) -> Iterator[tuple[ServerDesk, str]]:
    """The same, and the project: that of the checkout around *folder*, or the one whose id at the server *folder* is.

    Raises:
        SettingsError: If the server does not know it; the hint says which it may be there.
    """
    project = str(folder) if ID.fullmatch(str(folder)) and not folder.exists() else Door(found).project(folder).id
    with at_server(found) as desk:
        try:
            yield desk, project
        except NightmillError as error:
            others = _others(desk, project) if project in error.message else []
            if not others:
                raise
            raise SettingsError(
                error.message, hint=f"a checkout elsewhere has another id there: --project {' or '.join(others)}"
            ) from error


def _others(desk: ServerDesk, project: str) -> list[str]:
    """What *project* may be called at the server if it is unknown there: first of all what has the same name."""
    known = sorted({run.project for run in desk.runs(limit=MOST)})
    alike = [each for each in known if each.rpartition("-")[0] == project.rpartition("-")[0]]
    return [] if project in known else (alike or known)[:5]


class StoreDesk:
    """A `Seat` on the store here, of whoever is at this terminal."""

    def __init__(self, door: Door) -> None:
        self.door = door

    def runs(self, *, project: str = "", parent: str = "", limit: int | None = None) -> Sequence[Run]:
        """Runs, newest first."""
        return self.door.runs.list(projects=[project] if project else None, parent=parent or None, limit=limit)

    def run(self, name: str) -> Run:
        """One run."""
        return self.door.runs.get(name)

    def events(self, run: Run) -> Sequence[Entry]:
        """What happened in *run* alone."""
        return self.door.ledger.read(run=run.id)

    def entries(self, run: Run, *, wait: bool) -> Iterator[Entry | None]:
        """What happened in *run* and in its tasks."""
        from nightmill.cli import follow

        return follow.entries(self.door, run, wait=wait)

    def live(self, run: Run) -> Iterator[Entry | Draft | None]:
        """As `entries` until it ends, and what is being written meanwhile."""
        from nightmill.cli import follow

        return follow.live(self.door, run)

    def waiting(self) -> Sequence[tuple[Thing, str]]:
        """What waits for a person; of projects that this folder is not in, the commands say where."""
        from nightmill.desk import attention

        roots = attention.elsewhere(self.door, Path.cwd())
        return [(each, attention.commands(each, roots=roots)[0]) for each in attention.waiting(self.door)]

    def asked(self, name: str) -> Sequence[Asked]:
        """What a run and its tasks ask now."""
        from nightmill.desk import decide

        return decide.questions(self.door, self.run(name))

    def want(self, name: str, wanted: Wanted) -> Run:
        """Pause, resume or cancel a run."""
        from nightmill.desk import steer

        return steer.want(self.door, name, wanted, by=person())

    def say(self, name: str, text: str) -> Run:
        """Say something to whoever is at work in a run."""
        from nightmill.desk import steer

        return steer.say(self.door, name, text, by=person())

    def rewind(self, name: str, back: Back) -> Run:
        """A new run that goes on from an earlier moment of a run."""
        from nightmill.desk import steer

        return steer.rewind(self.door, name, back, by=person())

    def compare(self, name: str, other: str) -> Comparison:
        """Two runs beside each other."""
        from nightmill.desk import compare

        return compare.compare(self.door, name, other)

    def decide(self, name: str, verb: Verb, words: str, *, question: str = "", tree: str = "") -> Ended:
        """Say yes, no, or what the answer is."""
        from nightmill.desk import decide

        return decide.settle(self.door, self.run(name), verb, words, by=person(), question=question, tree=tree)

    def plan(self, name: str) -> Standing:
        """The plan that a run is part of."""
        from nightmill.desk.planned import standing

        return standing(self.door, self.run(name))

    def tasks(self, *, project: str = "", every: bool = False) -> Sequence[Filed]:
        """What runs left and nobody has ended yet."""
        states: Sequence[Task] = () if every else ("open", "started")
        return self.door.tasks.list(projects=[project] if project else None, states=states)

    def task(self, name: str) -> Remainder:
        """A task that a run left."""
        from nightmill.desk import remedy

        return remedy.shown(self.door, name)

    def drop(self, name: str, *, because: str) -> Filed:
        """Let nobody go on with a task that a run left."""
        from nightmill.desk import remedy

        return remedy.drop(self.door, name, by=person(), because=because)

    def me(self) -> Person:
        """Whoever is at this terminal."""
        from nightmill.cli.door import here

        return here()

    def turn(self, run: str, *, role: str, number: int) -> Sequence[Part]:
        """A turn of *role*, whole."""
        from nightmill.desk.turn import turn

        return turn(self.door, self.run(run), role=role, number=number)

    def requested(self, run: str) -> Sequence[Requested]:
        """What a model was sent in a run."""
        from nightmill.desk.rebuilt import requested

        return requested(self.door, self.run(run))

    def request(self, run: str, number: int, *, role: str) -> Sent:
        """One request, byte for byte."""
        from nightmill.desk.rebuilt import request

        return request(self.door, self.run(run), number, role=role)

    def diff(self, run: str) -> str:
        """What a run has changed so far."""
        from nightmill.desk.changed import changed

        return changed(self.door, self.run(run))

    def attend(self, run: str, terminal: str, *, seconds: float) -> Sequence[str]:
        """Say that one looks on, and hear who else does."""
        from nightmill.store.presence import Presence

        return Presence(self.door.database).attend(self.run(run).id, terminal, by=person(), seconds=seconds)

    def idle(self) -> bool:
        """Whether no worker is alive."""
        return not self.door.alive()
