"""The pull requests of a server, as people at a terminal look at them and decide about them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from nightmill.client.client import PAGE, Client
from nightmill.client.nouns import Stand
from nightmill.desk.pulls import Change, Shown, Yes
from nightmill.errors import RepoError

__all__ = ["ServerPulls"]


class ServerPulls:
    """A `Pulls` of *project* at a server, "": of all that one may see there. Raises as `Client`, too."""

    def __init__(self, client: Client, project: str) -> None:
        self.client = client
        self.project = project

    def listed(self) -> Sequence[Change]:
        """All, newest first."""
        found: list[Change] = []
        cursor: str | None = ""
        while cursor is not None:
            page = self.client.changes(project=self.project, cursor=cursor, limit=PAGE)
            found += page.changes
            cursor = page.next or None
        return found

    def shown(self, number: int, *, diff: bool) -> Shown:
        """One, and whether one may merge it."""
        stand = self.client.change(self.project, number)
        text = self.client.change_diff(self.project, number) if diff else ""
        plain = {**asdict(stand), "diff": text}
        return Shown(stand.change, stand.body, text, plain, stand.answer, _reasons(stand), stand.hint)

    def merge(self, number: int) -> tuple[Change, str]:
        """Merge one; no checks are run for it here."""
        stand = self.client.change(self.project, number)
        if stand.answer not in {"free", "asks"} or not stand.tree:
            words = (f"pull request {number} cannot be merged now: {stand.answer}", *_reasons(stand))
            raise RepoError("\n  · ".join(words), hint=f"{stand.hint}, at the server" if stand.hint else "")
        return self.client.merge_change(self.project, number, tree=stand.tree).change, ""

    def approve(self, number: int, *, because: str) -> Yes:
        """Say yes to one."""
        tree = self.client.change(self.project, number).tree
        if not tree:
            raise RepoError(f"pull request {number} cannot be merged, so there is nothing to approve of")
        stand = self.client.approve_change(self.project, number, tree=tree, because=because)
        return Yes("", tree, stand.reasons)

    def send_back(self, number: int, *, because: str) -> tuple[Change, str]:
        """Close one."""
        return self.client.send_back(self.project, number, because=because).change, ""


def _reasons(stand: Stand) -> tuple[str, ...]:
    return tuple(filter(None, (stand.barred, *stand.reasons)))
