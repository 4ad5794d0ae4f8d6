"""The processes of a project: those of a checkout, or those at its main branch."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from email.utils import parseaddr
from functools import cached_property
from pathlib import Path

from nightmill import crew
from nightmill.blueprint import shelves
from nightmill.blueprint.approval import Standing, standing
from nightmill.blueprint.catalogue import ENDINGS, Catalogue, Entry, Place, Shelf
from nightmill.desk.consent import authors, consent
from nightmill.desk.door import Door
from nightmill.desk.own import Approved, Explained, Ground, Process, Whole
from nightmill.desk.shelf import known, shelf
from nightmill.errors import SettingsError
from nightmill.estate.nouns import Project
from nightmill.line.process import functions
from nightmill.line.submit import OPERATORS
from nightmill.repo import inspect
from nightmill.store import blueprints
from nightmill.store.blueprints import Approval

__all__ = ["Processes", "at_main", "in_checkout", "is_file"]


@dataclass(frozen=True)
class Processes:
    """A `desk.own.Repertoire` of *project*, None outside of any: then of the operator and the release alone.

    *by* is who approves and revokes. *commit* is where the project's own stand, "" for a checkout, which is looked at as
    the user of *home*. *apart*: who wrote one does not approve of it; whoever has the store itself is not asked.
    """

    door: Door
    project: Project | None
    catalogue: Catalogue
    by: str
    home: Path | None = None
    commit: str = ""
    apart: bool = False

    @property
    def id(self) -> str:
        """Of the project, "" outside of any."""
        return self.project.id if self.project is not None else ""

    @cached_property
    def approvals(self) -> Sequence[Approval]:
        """What people said of this project's; asks nothing of a store that is not there yet."""
        settings = self.door.settings
        if self.project is None or not (settings.store or (settings.home / "nightmill.db").exists()):
            return ()
        return blueprints.kept(self.door.database, self.project.id)

    def standing(self, name: str) -> Standing:
        """How *name* stands.

        Raises:
            SettingsError: If there is no such blueprint.
        """
        return standing(self.catalogue, name, self.approvals)

    def listed(self) -> Sequence[Process]:
        """All, in the order of names."""
        return [self._process(each) for each in self.catalogue.entries.values()]

    def whole(self, name: str) -> Whole:
        """One, with its file."""
        entry = self.catalogue.entry(name)
        return Whole(self._process(entry), entry)

    def approved(self, name: str) -> Approved:
        """What was approved of it last, and still is."""
        last = next((each for each in self.approvals if each.name == name and each.stands), None)
        if last is None:
            raise SettingsError(f"no version of {name!r} was approved here", hint="name what to compare it with")
        return Approved(self.door.blobs.get(last.digest), last.version, last.by)

    def approve(self, name: str, *, closure: str) -> Process:
        """Say yes to it as *closure* has it."""
        if self.project is None:
            raise SettingsError("an approval is for a project, and there is none here", hint="nightmill init")
        if self.wrote(name):
            raise SettingsError(
                f"{parseaddr(self.by)[1]} has written part of {name!r}, so somebody else has to approve of it",
                hint="ask another approver",
            )
        consent(self.door, self.catalogue, name, project=self.id, by=self.by, closure=closure)
        self.__dict__.pop("approvals", None)
        return self._process(self.catalogue.entry(name))

    def wrote(self, name: str) -> bool:
        """Whether whoever approves has written part of what is to be approved of, as far as that is asked."""
        if not self.apart or not self.commit:
            return False
        found = authors(self.door, self.catalogue, name, project=self.id, commit=self.commit, approvals=self.approvals)
        return parseaddr(self.by)[1].casefold() in found

    def revoke(self, name: str, *, digest: str) -> Sequence[int]:
        """Take the yes to it back, if its file's digest begins so; of which versions."""
        mine = [each for each in self.approvals if each.name == name and each.stands and each.digest.startswith(digest)]
        if not mine:
            raise SettingsError(f"no approval of {name!r} stands in this project", hint="nightmill blueprint list")
        now = time.time()
        return [each.version for each in mine if blueprints.revoke(self.door.database, each, by=self.by, at=now)]

    def revoked(self, name: str, *, digest: str) -> Sequence[int]:
        """The versions of it to which who looks took the yes back, if the file's digest begins so."""
        gone = (each for each in self.approvals if each.name == name and each.digest.startswith(digest))
        return [each.version for each in gone if each.revoked_by == self.by]

    def explained(self, name: str, *, spec: Path | None) -> Explained:
        """What its agents will see."""
        from nightmill.desk.explained import explained  # noqa: PLC0415 - all that agents are given, which a server at rest need not hold

        return explained(self.door, self.catalogue, name, ground=self.ground(), spec=spec)

    def ground(self) -> Ground:
        """Where what agents see is measured: at the commit, or at the newest one here of the branch that the checkout is on."""
        if self.project is None:
            return Ground(project=None, branch="", commit="")
        hub = self.door.hub(self.project.id)
        if self.commit:
            return Ground(project=self.project, branch=hub.head(), commit=self.commit)
        branch = inspect(self.project.root, home=self.home).branch
        commit = hub.resolve(branch) if hub.path.is_dir() and branch else None
        return Ground(project=self.project, branch=branch, commit=commit or "")

    def chosen(self, named: str) -> tuple[Entry, Catalogue]:
        """The blueprint *named*, or the one in the file of that path, with the catalogue that it stands in.

        Raises:
            SettingsError: If there is none.
        """
        if not is_file(named):
            return self.catalogue.entry(named), self.catalogue
        found = self.with_file(Path(named)).catalogue
        return found.entry(Path(named).stem), found

    def file(self, name: str, place: Place) -> bytes | None:
        """The file *name* of *place*, as people are shown it; None if there is none."""
        for each in self.catalogue.shelves:
            if each.place == place and name in each.files:
                return each.files[name]
        path = Path(name)
        return path.read_bytes() if place == "project" and path.is_file() else None

    def with_file(self, path: Path) -> Processes:
        """These with the file *path*, which may lie anywhere, in the place of what has its name, which is that of the file.

        Raises:
            SettingsError: If it cannot be read.
        """
        try:
            with path.open("rb") as file:
                body = file.read((256 << 10) + 1)
        except OSError as error:
            raise SettingsError(
                f"the file {str(path)!r} cannot be read: {error.strerror}", hint="check the path"
            ) from error
        if path.suffix not in ENDINGS:
            raise SettingsError(f"{str(path)!r} is no YAML file", hint="name it NAME.yaml")
        old = self.catalogue
        both = replace(old, shelves=(Shelf("project", {str(path): body}), *old.shelves))
        return replace(self, catalogue=both)

    def _process(self, entry: Entry) -> Process:
        read, stands = entry.blueprint, self.standing(entry.name)
        try:
            closure = self.catalogue.closure(entry.name)
        except SettingsError:
            closure = None
        return Process(
            name=entry.name,
            place=entry.place,
            source=entry.source,
            version=read.version if read else None,
            title=read.title if read else "",
            digest=read.digest if read else None,
            closure=closure.digest if closure else "",
            calls=tuple(each.name for each in closure.blueprints[1:]) if closure else (),
            changes=read.changes if read else None,
            cues=read.cues if read else (),
            faults=entry.faults,
            hint=entry.hint,
            hides=entry.hides,
            state=stands.word,
            why=stands.said,
            by=stands.last.by if stands.last else "",
        )


def in_checkout(door: Door, folder: Path, *, by: str, home: Path) -> Processes:
    """Those of the project around *folder*, as it is checked out there.

    Raises:
        SettingsError: If its nightmill.yaml or one of its roles is wrong.
    """
    project = door.project(folder) if _within_one(folder) else None
    own = [shelves.in_folder(project.root, shelves.FOLDER, place="project")] if project else []
    roles = crew.find(
        project=crew.in_folder(project.root) if project else {},
        operator=crew.in_folder(door.settings.home, (OPERATORS,)),
    )
    found = (*own, shelves.in_folder(door.settings.home / shelves.OPERATORS, place="operator"), shelves.shipped())
    checks = tuple(each.name for each in project.checks) if project else None
    known = {role.name: role for role in roles.roles}
    return Processes(door, project, Catalogue(found, known, functions.SIGNATURES, checks), by, home)


def at_main(door: Door, project: str, *, by: str, apart: bool) -> Processes:
    """Those of *project* at its main branch.

    Raises:
        SettingsError: If there is no such project, or a file of it cannot be used; the message names it.
    """
    found = shelf(door, project)
    return Processes(door, known(door, project, found.commit), found.catalogue, by, commit=found.commit, apart=apart)


def is_file(named: str) -> bool:
    """Whether *named* is the path of a blueprint's file, and no name."""
    return "/" in named or named.endswith(ENDINGS)


def _within_one(folder: Path) -> bool:
    top = folder.absolute()
    return any((each / "nightmill.yaml").is_file() for each in (top, *top.parents))
