"""Where the commands about what a project has work: the checkout here, or a server."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from nightmill.cli.desks import at_project
from nightmill.cli.door import Door, keeper, open_door, person, settings
from nightmill.desk.own import Belongings, Remembered, Repertoire, Team
from nightmill.desk.processes import Processes, in_checkout, is_file

if TYPE_CHECKING:
    from nightmill.client.project import ProjectClient
    from nightmill.policy import Policy, Record
    from nightmill.settings import Settings
    from nightmill.store.notes import Note

__all__ = ["CheckoutDesk", "here", "open_belongings", "open_process", "open_repertoire"]


@contextmanager
def open_belongings(folder: Path) -> Iterator[Belongings]:
    """What the project around *folder* has, where the settings say.

    Raises:
        SettingsError: If the settings are wrong.
    """
    if not (found := settings()).server:
        yield CheckoutDesk(open_door(), folder)
        return
    with _at_server(found, folder) as client:
        yield client


@contextmanager
def open_repertoire(folder: Path) -> Iterator[Repertoire]:
    """Its processes, likewise.

    Raises:
        SettingsError: If the settings are wrong.
    """
    if not (found := settings()).server:
        yield in_checkout(open_door(), folder, by=person(), home=Path.home())
    else:
        with _at_server(found, folder) as client:
            yield client


@contextmanager
def open_process(named: str, folder: Path) -> Iterator[tuple[Repertoire, str]]:
    """The processes that have the one that is *named*, and its name; of a file those here, whatever server is looked at.

    Raises:
        SettingsError: If the settings are wrong, or there is no such file.
    """
    if is_file(named):
        yield here(folder).with_file(Path(named)), Path(named).stem
        return
    with open_repertoire(folder) as found:
        yield found, named


def here(folder: Path) -> Processes:
    """The processes of the checkout around *folder*, whatever server is looked at."""
    return in_checkout(keeper(), folder, by=person(), home=Path.home())


@contextmanager
def _at_server(found: Settings, folder: Path) -> Iterator[ProjectClient]:
    from nightmill.client.project import ProjectClient

    with at_project(found, folder) as (desk, project):
        yield ProjectClient(desk.client.connection, project)


class CheckoutDesk:
    """A `Belongings` of the project around *folder*, with the store here."""

    def __init__(self, door: Door, folder: Path) -> None:
        self.door = door
        self.folder = folder

    @property
    def id(self) -> str:
        """Of the project."""
        return self.door.project(self.folder).id

    def team(self) -> Team:
        """Who acts in it; outside of any project, who would."""
        from nightmill.crew import find, in_folder

        top = self.folder.resolve()
        root = next((folder for folder in (top, *top.parents) if (folder / "nightmill.yaml").is_file()), top)
        found = find(project=in_folder(root), operator=in_folder(self.door.settings.home, ("crew",)))
        return Team(crew=found, records=self._records())

    def remembered(self, role: str) -> Remembered:
        """What *role* remembers of it."""
        from nightmill.desk.belongings import remembered

        return remembered(self.door, self.id, role, here=True)

    def forget(self, role: str, number: int, note: str) -> None:
        """Take a note out of that."""
        from nightmill.desk.belongings import forget

        forget(self.door, self.id, role, number, note, by=person())

    def policy(self) -> Policy:
        """What holds for its changes."""
        from nightmill.estate.rules import holding

        return holding(self.door.project(self.folder), home=self.door.settings.home)

    def notes(self) -> Sequence[Note]:
        """What agents noted, newest first."""
        from nightmill.store import notes

        return notes.newest(self.door.database, self.id)

    def forget_notes(self, ids: Collection[str] | None) -> int:
        """Delete those notes, None: all."""
        from nightmill.store import notes

        return notes.delete(self.door.database, self.id, ids, by=person(), at=time.time())

    def _records(self) -> tuple[Record, ...]:
        """What the roles did wrong of late in it, if it is a project that can be read."""
        from nightmill.errors import SettingsError
        from nightmill.policy import WINDOW, records
        from nightmill.store import mistakes

        settings = self.door.settings
        if not settings.store and not (settings.home / "nightmill.db").exists():
            return ()
        try:
            ladder = self.policy().ladder
        except SettingsError:  # the commands that need it say what is wrong with it
            return ()
        made = mistakes.recent(self.door.database, self.id, runs=WINDOW)
        return records(ladder, ((each.role, each.model, each.kind) for each in made))
