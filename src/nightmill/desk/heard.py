"""What a project's forge elsewhere says, taken in: noted once, and looked at now instead of later."""

from __future__ import annotations

from collections.abc import Mapping

from nightmill.desk.door import Door
from nightmill.errors import SettingsError
from nightmill.event import ForgeHeard, SecretKept, SecretRemoved
from nightmill.forge import PullRequest
from nightmill.hook import fresh, is_from, read
from nightmill.hook.hear import Said
from nightmill.store import projects
from nightmill.store.vault import Kept

__all__ = ["deafen", "hear", "listen", "listening", "take_in"]


def listen(door: Door, project: str, *, at: float, by: str) -> str:
    """Hear the forge of *project* from now on; the secret that it has to be given, which replaces the one before.

    Raises:
        SettingsError: If there is no such project.
    """
    projects.get(door.database, project)
    key = fresh()
    door.vault.put(_named(project), key, at=at, by=by)
    door.ledger.append([SecretKept(run="", called=_named(project), project=project, by=by)])
    return key


def listening(door: Door) -> dict[str, Kept]:
    """The projects whose forges are heard, since when, and as who wanted."""
    kept = door.vault.names()
    return {each.id: kept[_named(each.id)] for each in projects.known(door.database) if _named(each.id) in kept}


def deafen(door: Door, project: str, *, by: str) -> None:
    """Hear it no more.

    Raises:
        SettingsError: If it was not heard.
    """
    if _named(project) not in door.vault.names():
        raise SettingsError(
            f"the forge of {project[:80]} is not heard", hint="nightmill webhook hear lists those that are"
        )
    door.vault.remove(_named(project))
    door.ledger.append([SecretRemoved(run="", called=_named(project), project=project, by=by)])


def hear(door: Door, project: str, headers: Mapping[str, str], body: bytes) -> bool:
    """Whether *headers* (lower case) and *body* come from the forge of *project*. One that is not heard is nobody."""
    secret = door.vault.get(_named(project))
    return is_from(secret or fresh(), headers, body) and secret is not None


def take_in(door: Door, project: str, headers: Mapping[str, str], body: bytes) -> bool:
    """Note what was said; whether it was news. What is open there is compared with the repository now.

    Raises:
        SettingsError: If it cannot be read.
    """
    said = read(headers, body)
    if said is None:
        return False
    request = _about(door.forge.all(project=project, state="open"), said)
    told = ForgeHeard(
        run="",  # so that it is once, whatever becomes of the pull request
        project=project,
        forge=said.forge,
        kind=said.kind,
        about=said.about,
        commit=said.commit,
        by=said.by,
        delivery=said.delivery,
        digest=said.digest,
        change=request.number if request else 0,
    )
    if not door.ledger.append([told]):
        return False
    for each in door.forge.all(project=project, state="open"):
        door.forge.get(project=project, number=each.number)
    return True


def _about(requests: list[PullRequest], said: Said) -> PullRequest | None:
    """The one of ours that it is about: by its commit, or by its branch."""
    by_commit = [each for each in requests if each.head == said.commit]
    return next(iter(by_commit or [each for each in requests if each.branch == said.branch]), None)


def _named(project: str) -> str:
    return f"ear.{project}"
