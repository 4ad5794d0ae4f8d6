"""Where the commands about pull requests work: the store here, or a server."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING

from nightmill.cli.desks import at_project, at_server
from nightmill.cli.door import Door, open_door, person, settings
from nightmill.desk.pulls import Pulls, Shown, Yes

if TYPE_CHECKING:
    from pathlib import Path

    from nightmill.forge import PullRequest

__all__ = ["StorePulls", "open_pulls"]


@contextmanager
def open_pulls(folder: Path | None) -> Iterator[Pulls]:
    """Those of the project around *folder*, None: of all, where the settings say.

    Raises:
        SettingsError: If the settings are wrong, or there is no such project.
    """
    if not (found := settings()).server:
        yield StorePulls(open_door(), folder)
        return
    from nightmill.client.pulls import ServerPulls

    if folder is None:
        with at_server(found) as desk:
            yield ServerPulls(desk.client, "")
        return
    with at_project(found, folder) as (desk, project):
        yield ServerPulls(desk.client, project)


class StorePulls:
    """A `Pulls` on the store here, of whoever is at this terminal."""

    def __init__(self, door: Door, folder: Path | None) -> None:
        from nightmill.estate.file import identify

        self.door = door
        self.project = "" if folder is None else identify(door.root(folder))

    def listed(self) -> Sequence[PullRequest]:
        """All. The row of an open one may be behind the repository: its owner can have merged it by hand."""
        local = self.door.forge
        return [
            local.get(project=each.project, number=each.number) if each.state == "open" else each
            for each in local.all(project=self.project)
        ]

    def shown(self, number: int, *, diff: bool) -> Shown:
        """One, and what was written about it; whether one may merge it is seen when one does."""
        from nightmill.desk import remarks

        door, request = self.door, self._get(number)
        text = door.hidden.patch(door.hub(request.project).diff(request.base, request.head).text) if diff else ""
        said = remarks.about(door, request.run)
        return Shown(
            request,
            request.body,
            text,
            {**asdict(request), "diff": text, "comments": [each.to_plain() for each in said]},
            {"open": "free", "merged": "merged"}.get(request.state, ""),
            said=tuple(map(remarks.quoted, said)),
            unheard=any(not each.person for each in said),
        )

    def merge(self, number: int) -> tuple[PullRequest, str]:
        """Merge one. Where its target has moved, the checks run first."""
        from nightmill.cli.merge import prove_merged
        from nightmill.desk import changes

        request = self._get(number)
        merged = changes.merge(self.door, request, tree=prove_merged(self.door, request), by=person())
        path = self.door.hub(self.project).path
        return merged, f"bring it into your checkout: git pull {path} {merged.target}"

    def approve(self, number: int, *, because: str) -> Yes:
        """Say yes to one."""
        from nightmill.desk import changes

        request = self._get(number)
        tree = self.door.forge.merged_tree(project=self.project, number=number)
        judge = changes.gate(self.door, request)
        judge.approve(request, tree, by=person(), because=because)
        reasons = judge.decide(request, tree, now=time.time()).reasons
        return Yes(person(), tree, tuple(each.sentence for each in reasons))

    def send_back(self, number: int, *, because: str) -> tuple[PullRequest, str]:
        """Close one."""
        from nightmill.desk import changes

        closed = changes.send_back(self.door, self._get(number), by=person(), because=because)
        return closed, f"have a run go on from it: nightmill rewind {closed.run}"

    def _get(self, number: int) -> PullRequest:
        return self.door.forge.get(project=self.project, number=number)
