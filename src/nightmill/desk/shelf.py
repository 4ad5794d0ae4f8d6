"""What a project has at its main branch: its roles and its processes, with the operator's and the release's."""

from __future__ import annotations

from typing import NamedTuple

from nightmill import crew
from nightmill.blueprint import shelves
from nightmill.blueprint.catalogue import Catalogue
from nightmill.desk.door import Door
from nightmill.errors import SettingsError
from nightmill.estate import file, rules
from nightmill.estate.nouns import Project
from nightmill.line.process import functions
from nightmill.line.prove import baselines_as_json
from nightmill.line.submit import OPERATORS
from nightmill.policy import WINDOW, Policy, records
from nightmill.policy.facts import Record
from nightmill.review import Flake
from nightmill.store import mistakes, projects

__all__ = ["Shelf", "known", "mistaken", "policy", "shelf", "unsteady"]


class Shelf(NamedTuple):
    """The *roles* and the *catalogue* of a project as *commit* has them; "": nothing is in its repository yet."""

    commit: str
    roles: crew.Crew
    catalogue: Catalogue


def shelf(door: Door, project: str) -> Shelf:
    """What *project* has at the head of its main branch on the local forge, whatever any checkout holds.

    Raises:
        SettingsError: If there is no such project, or a file of it cannot be used; the message names it.
    """
    projects.get(door.database, project)
    hub, home = door.hub(project), door.settings.home
    commit = (hub.resolve("HEAD") or "") if hub.path.is_dir() else ""
    roles = crew.find(
        project=crew.at_commit(hub, commit) if commit else {}, operator=crew.in_folder(home, (OPERATORS,))
    )
    own = (shelves.at_commit(hub, commit),) if commit else ()
    held = (*own, shelves.in_folder(home / shelves.OPERATORS, place="operator"), shelves.shipped())
    by_name = {role.name: role for role in roles.roles}
    return Shelf(commit, roles, Catalogue(held, by_name, functions.SIGNATURES, _checks(door, project, commit)))


def known(door: Door, project: str, commit: str) -> Project:
    """*project* as *commit* describes it; "": as its checkout does.

    Raises:
        SettingsError: If there is no such project, or its nightmill.yaml cannot be used.
    """
    root = projects.get(door.database, project).root
    return file.at_commit(door.hub(project), commit, root=root) if commit else door.project(root)


def mistaken(door: Door, project: str, commit: str) -> tuple[Record, ...]:
    """What the roles of *project* did wrong of late, with what follows by the policy that holds at *commit*."""
    found = mistakes.recent(door.database, project, runs=WINDOW)
    return records(policy(door, project, commit).ladder, ((each.role, each.model, each.kind) for each in found))


def unsteady(door: Door, project: str) -> list[tuple[str, str, Flake]]:
    """The tests of *project*, each after its check ("": the check as a whole), that failed on trees which did not break them."""
    kept = projects.latest_baseline(door.database, project=project)
    flakes = baselines_as_json.validate_json(kept).flakes if kept else {}
    return [(check, test, each) for check, tests in flakes.items() for test, each in tests.items() if each.runs]


def policy(door: Door, project: str, commit: str) -> Policy:
    """The policy that holds for *project* at *commit*; an empty one where it cannot be read."""
    try:
        return rules.holding(known(door, project, commit), home=door.settings.home)
    except SettingsError:  # the commands that need it say what is wrong with it
        return Policy()


def _checks(door: Door, project: str, commit: str) -> tuple[str, ...] | None:
    try:
        return tuple(each.name for each in known(door, project, commit).checks) if commit else None
    except SettingsError:  # likewise
        return None
