"""What a project's forge elsewhere says, taken in: noted once, and looked at now instead of later."""

from __future__ import annotations

from collections.abc import Mapping

from nightmill.desk import remarks
from nightmill.desk.door import Door
from nightmill.errors import SettingsError
from nightmill.event import ForgeHeard, ForgeLinked, SecretKept, SecretRemoved
from nightmill.forge import PullRequest
from nightmill.hook import fresh, is_from, read
from nightmill.hook.hear import Said
from nightmill.kept import Kept
from nightmill.store import projects

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
    request = _about(door, project, said)
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
    if request is not None and said.about.startswith("#") and said.branch == request.branch:
        door.ledger.append([_linked(project, said, request.number)])
    if request is not None and said.comment is not None:
        # Before it is noted that the forge said so: if this stops in between, it is said again, and does what is left.
        remarks.take(door, said.comment, request, forge=said.forge, by=said.by)
    if not door.ledger.append([told]):
        return False
    for each in door.forge.all(project=project, state="open"):
        door.forge.get(project=project, number=each.number)
    return True


def _about(door: Door, project: str, said: Said) -> PullRequest | None:
    """The one of ours that it is about: by its commit, by its branch, or by the number that was told with these before."""
    requests = door.forge.all(project=project, state="open")
    by_commit = [each for each in requests if each.head == said.commit]
    by_branch = [each for each in requests if each.branch == said.branch]
    if by_commit or by_branch or not said.about.startswith("#"):
        return next(iter(by_commit or by_branch), None)
    known = door.ledger.find(_linked(project, said, 0))
    linked = known.event() if known else None
    number = linked.change if isinstance(linked, ForgeLinked) else 0
    return next((each for each in requests if each.number == number), None)


def _linked(project: str, said: Said, number: int) -> ForgeLinked:
    return ForgeLinked(run="", project=project, forge=said.forge, about=said.about, change=number)


def _named(project: str) -> str:
    return f"ear.{project}"
