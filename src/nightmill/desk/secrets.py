"""Secrets as people handle them: which there are, what takes each, who set it when; set and removed, and never shown.

One is the operator's, or a project's own, which takes its place in sandboxes of that project and nowhere else. What a project has its
own of, and where that goes, the operator's credentials say.
"""

from __future__ import annotations

from collections.abc import Iterable

from nightmill.desk.door import Door
from nightmill.desk.nouns import Use
from nightmill.desk.office import Held
from nightmill.errors import SettingsError
from nightmill.event import SecretKept, SecretRemoved
from nightmill.store import projects

__all__ = ["keep", "kept_as", "listed", "of_project", "remove"]

OURS = ("webhook.", "ear.")
"""How names begin that the server gives by itself: they are handled where webhooks are."""


def listed(door: Door) -> list[Held]:
    """The operator's secrets, those among them that something takes and that are not there."""
    kept, uses = door.vault.names(), door.uses()
    names = {_parts(each)[1] for each in kept if not _parts(each)[1].startswith(OURS)} | {each.secret for each in uses}
    return [
        Held(
            name=name,
            project="",
            kept=kept.get(name),
            uses=_of(uses, name),
            others=tuple(sorted(project for project, its in map(_parts, kept) if project and its == name)),
        )
        for name in sorted(names)
    ]


def of_project(door: Door, project: str) -> list[Held]:
    """What *project* may have its own of.

    Raises:
        SettingsError: If there is no such project.
    """
    projects.get(door.database, project)
    kept, uses = door.vault.names(), [each for each in door.uses() if each.host and each.serves(project)]
    return [
        Held(
            name=name,
            project=project,
            kept=kept.get(kept_as(name, project)),
            uses=_of(uses, name),
            others=("",) if name in kept else (),
        )
        for name in sorted({each.secret for each in uses})
    ]


def keep(door: Door, name: str, value: str, *, project: str, by: str, at: float) -> None:
    """Set *name* to *value* for *project* ("": for all that have no own).

    Raises:
        SettingsError: If the name or the value cannot be used, or nothing of the project takes such a secret.
    """
    _ours(name)
    if project and name not in {each.name for each in of_project(door, project)}:
        raise SettingsError(
            f"no credential of {project} takes a secret {name[:80]!r}",
            hint=f"the operator names it in credentials.yaml, as `from: secret:{name[:80]}`",
        )
    door.vault.put(kept_as(name, project), value, at=at, by=by)
    door.hidden.renew()
    door.ledger.append([SecretKept(run="", called=name, project=project, by=by)])


def remove(door: Door, name: str, *, project: str, by: str, even_last: bool = False) -> None:
    """Delete *name* of *project* ("": the operator's).

    Raises:
        SettingsError: If there is none, or, unless *even_last*, a credential would be left without any: no worker starts then.
    """
    _ours(name)
    same = {each for each in door.vault.names() if _parts(each)[1] == name}
    taken = [] if even_last else [each.by for each in _of(door.uses(), name) if each.host]
    if same == {kept_as(name, project)} and taken:
        raise SettingsError(
            f"the credential {taken[0]!r} takes {name}, and there is no other",
            hint="set another in its place, or take the credential out of credentials.yaml first",
        )
    door.vault.remove(kept_as(name, project))
    door.ledger.append([SecretRemoved(run="", called=name, project=project, by=by)])


def kept_as(name: str, project: str) -> str:
    """How the vault calls *name* of *project*."""
    return f"{project}/{name}" if project else name


def _parts(kept: str) -> tuple[str, str]:
    project, _, name = kept.rpartition("/")
    return project, name


def _of(uses: Iterable[Use], name: str) -> tuple[Use, ...]:
    return tuple(each for each in uses if each.secret == name)


def _ours(name: str) -> None:
    if name.startswith(OURS) or "/" in name:
        raise SettingsError(f"{name[:80]!r} is set where webhooks are, and not here", hint="nightmill webhook")
