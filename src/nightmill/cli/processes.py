"""The blueprints that a project has, as the commands about them see them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nightmill.blueprint.approval import Standing
    from nightmill.blueprint.catalogue import Catalogue, Entry, Place
    from nightmill.cli.door import Door
    from nightmill.estate.nouns import Project
    from nightmill.store.blueprints import Approval

__all__ = ["Processes", "processes"]


@dataclass(frozen=True)
class Processes:
    """The blueprints of the checkout of *project*, None outside of any: then those of the operator and the release."""

    door: Door
    project: Project | None
    catalogue: Catalogue

    @cached_property
    def approvals(self) -> Sequence[Approval]:
        """What people said of this project's; asks nothing of a store that is not there yet."""
        from nightmill.store import blueprints

        settings = self.door.settings
        if self.project is None or not (settings.store or (settings.home / "nightmill.db").exists()):
            return ()
        return blueprints.kept(self.door.database, self.project.id)

    def standing(self, name: str) -> Standing:
        """How *name* stands.

        Raises:
            SettingsError: If there is no such blueprint.
        """
        from nightmill.blueprint.approval import standing

        return standing(self.catalogue, name, self.approvals)

    def found(self, named: str) -> Entry:
        """The blueprint *named*: by its name, or as the path of a file, which may lie anywhere.

        Raises:
            SettingsError: If there is none.
        """
        return self.chosen(named)[0]

    def chosen(self, named: str) -> tuple[Entry, Catalogue]:
        """The blueprint *named*, with the catalogue that it stands in.

        Raises:
            SettingsError: If there is none.
        """
        if "/" not in named and not named.endswith((".yaml", ".yml")):
            return self.catalogue.entry(named), self.catalogue
        return self.with_file(Path(named))

    def file(self, name: str, place: Place) -> bytes | None:
        """The file *name* of *place*, as people are shown it; None if there is none."""
        for shelf in self.catalogue.shelves:
            if shelf.place == place and name in shelf.files:
                return shelf.files[name]
        path = Path(name)
        return path.read_bytes() if place == "project" and path.is_file() else None

    def with_file(self, path: Path) -> tuple[Entry, Catalogue]:
        """The file *path* as an entry, and the catalogue with it in the place of what has its name.

        Raises:
            SettingsError: If it cannot be read.
        """
        from nightmill.blueprint.catalogue import Shelf
        from nightmill.errors import SettingsError

        try:
            with path.open("rb") as file:
                body = file.read((256 << 10) + 1)
        except OSError as error:
            raise SettingsError(
                f"the file {str(path)!r} cannot be read: {error.strerror}", hint="check the path"
            ) from error
        if path.suffix not in {".yaml", ".yml"}:
            raise SettingsError(f"{str(path)!r} is no YAML file", hint="name it NAME.yaml")
        old = self.catalogue
        both = replace(old, shelves=(Shelf("project", {str(path): body}), *old.shelves))
        return both.entry(path.stem), both


def processes(door: Door, folder: Path) -> Processes:
    """The blueprints of the project around *folder*.

    Raises:
        SettingsError: If its nightmill.yaml or one of its roles is wrong.
    """
    from nightmill import crew
    from nightmill.blueprint import shelves
    from nightmill.blueprint.catalogue import Catalogue
    from nightmill.line.process import functions
    from nightmill.line.submit import OPERATORS

    project = door.project(folder) if _within_one(folder) else None
    home = door.settings.home
    own = [shelves.in_folder(project.root, shelves.FOLDER, place="project")] if project else []
    roles = crew.find(
        project=crew.in_folder(project.root) if project else {}, operator=crew.in_folder(home, (OPERATORS,))
    )
    found = (*own, shelves.in_folder(home / shelves.OPERATORS, place="operator"), shelves.shipped())
    checks = tuple(each.name for each in project.checks) if project else None
    known = {role.name: role for role in roles.roles}
    return Processes(door, project, Catalogue(found, known, functions.SIGNATURES, checks))


def _within_one(folder: Path) -> bool:
    top = folder.absolute()
    return any((each / "nightmill.yaml").is_file() for each in (top, *top.parents))
