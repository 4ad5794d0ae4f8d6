"""Pull requests of a server: what prs and pr do where a server is set."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nightmill.cli.desks import at_project, at_server
from nightmill.cli.screen import say
from nightmill.errors import RepoError

if TYPE_CHECKING:
    from pathlib import Path

    from nightmill.client import ServerDesk
    from nightmill.client.nouns import Change, Stand
    from nightmill.settings import Settings

__all__ = ["approve", "found", "listed", "merge", "send_back"]

PAGE = 200


def listed(settings: Settings, folder: Path, *, every: bool) -> list[Change]:
    """The pull requests of the project in *folder*, or of all that one may see, newest first."""
    if not every:
        with at_project(settings, folder) as (desk, project):
            return _all(desk, project)
    with at_server(settings) as desk:
        return _all(desk, "")


def _all(desk: ServerDesk, project: str) -> list[Change]:
    found: list[Change] = []
    cursor: str | None = ""
    while cursor is not None:
        page = desk.client.changes(project=project, cursor=cursor, limit=PAGE)
        found += page.changes
        cursor = page.next or None
    return found


def found(settings: Settings, folder: Path, number: int, *, diff: bool) -> tuple[Stand, str]:
    """One of them, and what it changes."""
    with at_project(settings, folder) as (desk, project):
        stand = desk.client.change(project, number)
        return stand, desk.client.change_diff(project, number) if diff else ""


def merge(settings: Settings, folder: Path, number: int) -> None:
    """Merge it, as it is now.

    Raises:
        RepoError: If that is not proven, not allowed, or not possible.
    """
    with at_project(settings, folder) as (desk, project):
        stand = desk.client.change(project, number)
        if stand.answer not in {"free", "asks"} or not stand.tree:
            reasons = "\n".join(f"  · {each}" for each in (stand.barred, *stand.reasons) if each)
            words = f"pull request {number} cannot be merged now: {stand.answer}\n{reasons}".rstrip()
            raise RepoError(words, hint=f"{stand.hint}, at the server" if stand.hint else "")
        done = desk.client.merge_change(project, number, tree=stand.tree).change
    say(f"merged #{number} into {done.target}: {done.merge_commit[:12]}", style="green")


def approve(settings: Settings, folder: Path, number: int, *, because: str) -> None:
    """Say yes to it, as merging it now would be."""
    with at_project(settings, folder) as (desk, project):
        tree = desk.client.change(project, number).tree
        if not tree:
            raise RepoError(f"pull request {number} cannot be merged, so there is nothing to approve of")
        stand = desk.client.approve_change(project, number, tree=tree, because=because)
    say(f"you approve of #{number} as tree {tree[:10]}")
    for each in stand.reasons:
        say(f"· {each}")


def send_back(settings: Settings, folder: Path, number: int, *, because: str) -> None:
    """Close it, with the reason."""
    with at_project(settings, folder) as (desk, project):
        branch = desk.client.send_back(project, number, because=because).change.branch
    say(f"#{number} went back and is closed; its branch {branch} stays")
