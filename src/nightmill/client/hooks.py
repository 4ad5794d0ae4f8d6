"""The webhooks of a server, and the forges that it hears: its routes as methods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from nightmill.client.connection import Connection
from nightmill.client.path import path
from nightmill.client.reading import listed, value
from nightmill.desk.office import Added, Ear
from nightmill.kept import Kept
from nightmill.told import Dead, Delivery, Hook

__all__ = ["Hooks"]

_hook = partial(value, Hook, of="a webhook")


class Hooks:
    """A server, as far as it tells programs elsewhere and hears forges. Each method raises as those of `Client`."""

    connection: Connection

    def hooks(self) -> tuple[Hook, ...]:
        """All webhooks, oldest first."""
        return listed(self.connection.get(path("hooks")), "hooks", _hook, of="webhooks")

    def add_hook(self, url: str, *, events: Sequence[str] = (), project: str = "") -> Added:
        """Have *url* told from now on of *events* (none: of all) in *project* ("": in every one)."""
        plain = self.connection.post(path("hooks"), {"url": url, "events": list(events), "project": project})
        secret = value(_Secret, plain, of="a new webhook").secret
        return Added(_hook(plain.get("hook")), secret)

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
        return value(_Secret, plain, of="a secret").secret

    def try_hook(self, hook: str) -> None:
        """Send it a letter now."""
        self.connection.post(path("hooks", hook, "test"))

    def deliveries(self, hook: str) -> tuple[Delivery, ...]:
        """The last letters to it, newest first."""
        plain = self.connection.get(path("hooks", hook, "deliveries"))
        return listed(plain, "deliveries", partial(value, Delivery, of="a letter"), of="a webhook")

    def dead(self, hook: str = "") -> tuple[Dead, ...]:
        """What was given up for it, or for all, oldest first."""
        plain = self.connection.get(path("hooks", "dead"), hook=hook)
        return listed(plain, "dead", partial(value, Dead, of="a letter"), of="webhooks")

    def resend(self, hook: str, entry: int = 0) -> int:
        """Have *entry* sent once more, 0: all that was given up for it; gives how many that are."""
        plain = self.connection.post(path("hooks", hook, "dead"), {"seq": entry})
        return value(_Count, plain, of="what is sent again").count

    def heard(self) -> Mapping[str, Kept]:
        """The projects whose forges are heard, of those that one administers, since when, and as who wanted."""
        plain = self.connection.get(path("heard"))
        found = listed(plain, "heard", lambda each: (value(_Of, each, of="it"), value(Kept, each, of="it")), of="it")
        return {each.project: kept for each, kept in found}

    def hear(self, project: str) -> Ear:
        """Hear the forge of *project* from now on, by a new secret."""
        return value(Ear, self.connection.put(path("projects", project, "heard")), of="what a forge is given")

    def deafen(self, project: str) -> None:
        """Hear it no more."""
        self.connection.delete(path("projects", project, "heard"))

    def bind(self, project: str, login: str, *, address: str = "") -> None:
        """Take *login* at the forge of *project* for the person with *address* from now on; "": for nobody."""
        self.connection.put(path("projects", project, "logins", login), {"address": address})


class _Secret(NamedTuple):
    secret: str


@dataclass(frozen=True, slots=True)
class _Count:
    count: int


class _Of(NamedTuple):
    project: str
