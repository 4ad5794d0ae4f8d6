"""The secrets that are kept at a server: its routes as methods."""

from __future__ import annotations

from functools import partial
from typing import Any

from nightmill.client.connection import Connection
from nightmill.client.path import path
from nightmill.client.reading import field, listed, value
from nightmill.desk.nouns import Use
from nightmill.desk.office import Held
from nightmill.kept import Kept

__all__ = ["Secrets"]


class Secrets:
    """A server, as far as secrets go: they are written there and never read. Each method raises as those of `Client`."""

    connection: Connection

    def secrets(self, project: str = "") -> tuple[Held, ...]:
        """The operator's, those that something takes among them; or what *project* may have its own of."""
        return listed(self.connection.get(path(*_of(project), "secrets")), "secrets", _held, of="secrets")

    def keep_secret(self, name: str, value: str, *, project: str = "") -> None:
        """Set the secret *name* to *value*: the operator's, or the own one of *project*."""
        self.connection.put(path(*_of(project), "secrets", name), {"value": value})

    def remove_secret(self, name: str, *, project: str = "") -> None:
        """Delete the secret *name*, unless a credential would be left without any."""
        self.connection.delete(path(*_of(project), "secrets", name))


def _of(project: str) -> tuple[str, ...]:
    return ("projects", project) if project else ()


def _held(plain: Any) -> Held:
    name = field(plain, "name", str, of="a secret")
    kept = None if plain.get("at") is None else value(Kept, plain, of="a secret")
    uses = listed(plain, "uses", partial(value, Use, of="what takes a secret", secret=name), of="a secret")
    return value(Held, plain, of="a secret", kept=kept, uses=uses)
