"""Who is let in at a server, and what they show: its routes as methods."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from nightmill.access import Act, Grant, NewToken, RoleName, Token, Who
from nightmill.client.connection import Connection
from nightmill.client.path import path
from nightmill.client.reading import field, value

__all__ = ["People"]


class People:
    """A server, as far as people and tokens go. Each method raises as those of `Client`."""

    connection: Connection

    def people(self) -> tuple[Who, ...]:
        """Everybody who was ever let in, or is invited, by address."""
        return field(self.connection.get(path("people")), "people", tuple[Who, ...], of="people")

    def invite(self, address: str, *, grants: Collection[Grant]) -> str:
        """A link with which *address* chooses a password, good once."""
        given = [{"role": each.role, "project": each.project} for each in grants]
        plain = self.connection.post(path("people"), {"address": address, "grants": given})
        return field(plain, "link", str, of="an invitation")

    def grant(self, address: str, project: str, roles: Collection[RoleName]) -> Who:
        """Give *address* exactly *roles* in *project*; "": in every one."""
        asked = {"project": project, "roles": sorted(roles)}
        return value(Who, self.connection.put(path("people", address, "grants"), asked), of="a person")

    def shut_out(self, address: str) -> None:
        """Let *address* in no more."""
        self.connection.delete(path("people", address))

    def tokens(self) -> tuple[Token, ...]:
        """The tokens that are good: everybody's, if one administers everything, else one's own."""
        return field(self.connection.get(path("tokens")), "tokens", tuple[Token, ...], of="tokens")

    def make_token(self, address: str, name: str, *, scopes: Sequence[Act], days: int) -> NewToken:
        """A token of *address*, which is one's own, for *scopes* and so many *days*, or as long as the one that is shown."""
        asked = {"address": address, "name": name, "scopes": list(scopes), "days": days}
        plain = self.connection.post(path("tokens"), asked)
        return value(NewToken, plain, of="a token", secret=field(plain, "token", str, of="a token"))

    def revoke_token(self, address: str, name: str) -> None:
        """End the token *name* of *address*, and those that were made with it."""
        self.connection.delete(path("tokens", name), of=address)
