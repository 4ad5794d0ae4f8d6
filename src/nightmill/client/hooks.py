"""The webhooks of a server, and the forges that it hears: its routes as methods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from nightmill.client.connection import Connection
from nightmill.client.path import path
from nightmill.client.reading import field, value
from nightmill.desk.office import Added, Ear
from nightmill.kept import Kept
from nightmill.told import Dead, Delivery, Hook

__all__ = ["Hooks"]


class Hooks:
    """A server, as far as it tells programs elsewhere and hears forges. Each method raises as those of `Client`."""

    connection: Connection

    def hooks(self) -> tuple[Hook, ...]:
        """All webhooks, oldest first."""
        return field(self.connection.get(path("hooks")), "hooks", tuple[Hook, ...], of="webhooks")

    def add_hook(self, url: str, *, events: Sequence[str] = (), project: str = "") -> Added:
        """Have *url* told from now on of *events* (none: of all) in *project* ("": in every one)."""
        plain = self.connection.post(path("hooks"), {"url": url, "events": list(events), "project": project})
        return value(Added, plain, of="a new webhook")

    def remove_hook(self, hook: str) -> None:
        """Tell it nothing more."""
        self.connection.delete(path("hooks", hook))

    def pause_hook(self, hook: str) -> None:
        """Send it nothing until it is resumed."""
        self.connection.post(path("hooks", hook, "pause"))

    def resume_hook(self, hook: str) -> None:
        """Send it what happened since it was paused, and go on."""
        self.connection.post(path("hooks", hook, "resume"))

    def rotate_hook(self, hook: str, *, at_once: bool = False) -> str:
        """Another secret for it. That of now is good for a day more, unless it has to end *at_once*."""
        plain = self.connection.put(path("hooks", hook, "secret"), {"at_once": at_once})
        return field(plain, "secret", str, of="a webhook")

    def try_hook(self, hook: str) -> None:
        """Send it a letter now."""
        self.connection.post(path("hooks", hook, "test"))

    def deliveries(self, hook: str) -> tuple[Delivery, ...]:
        """The last letters to it, newest first."""
        plain = self.connection.get(path("hooks", hook, "deliveries"))
        return field(plain, "deliveries", tuple[Delivery, ...], of="a webhook")

    def dead(self, hook: str = "") -> tuple[Dead, ...]:
        """What was given up for it, or for all, oldest first."""
        plain = self.connection.get(path("hooks", "dead"), hook=hook)
        return field(plain, "dead", tuple[Dead, ...], of="webhooks")

    def resend(self, hook: str, entry: int = 0) -> int:
        """Have *entry* sent once more, 0: all that was given up for it; gives how many that are."""
        plain = self.connection.post(path("hooks", hook, "dead"), {"seq": entry})
        return field(plain, "count", int, of="what is sent again")

    def heard(self) -> Mapping[str, Kept]:
        """The projects whose forges are heard, of those that one administers, since when, and as who wanted."""
        plain = self.connection.get(path("heard"))
        found = field(plain, "heard", tuple[_Heard, ...], of="forges")
        return {each.project: Kept(each.at, each.by) for each in found}

    def hear(self, project: str) -> Ear:
        """Hear the forge of *project* from now on, by a new secret."""
        return value(Ear, self.connection.put(path("projects", project, "heard")), of="what a forge is given")

    def deafen(self, project: str) -> None:
        """Hear it no more."""
        self.connection.delete(path("projects", project, "heard"))

    def bind(self, project: str, login: str, *, address: str = "") -> None:
        """Take *login* at the forge of *project* for the person with *address* from now on; "": for nobody."""
        self.connection.put(path("projects", project, "logins", login), {"address": address})


class _Heard(NamedTuple):
    project: str
    at: float
    by: str
