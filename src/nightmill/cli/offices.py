"""Where the commands that administer work: the store here, or a server."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from nightmill.cli.desks import opened
from nightmill.cli.door import Door, person
from nightmill.errors import SettingsError

if TYPE_CHECKING:
    from nightmill.access import Act, Grant, NewToken, RoleName, Token, Who
    from nightmill.desk.office import Added, Ear, Held, Office
    from nightmill.kept import Kept
    from nightmill.store.keys import Keys
    from nightmill.store.people import People
    from nightmill.told import Dead, Delivery, Hook

__all__ = ["StoreOffice", "open_office"]


def open_office() -> AbstractContextManager[Office]:
    """The one that the settings name. Raises as `desks.opened`."""
    return opened(StoreOffice, lambda desk: desk.client)


class StoreOffice:
    """An `Office` on the store here, of whoever is at this terminal and may do everything with it anyway."""

    def __init__(self, door: Door) -> None:
        self.door = door

    def people(self) -> Sequence[Who]:
        """Everybody who was ever let in, or is invited."""
        return self._people.everybody()

    def invite(self, address: str, *, grants: Collection[Grant]) -> str:
        """A link without its host, which is not known here."""
        return f"/welcome/{self._people.invite(address, grants=grants, by=person())}"

    def grant(self, address: str, project: str, roles: Collection[RoleName]) -> Who:
        """Give somebody exactly these roles in a project."""
        self._people.grant(address, project, roles, by=person())
        found = self._people.find(address)
        assert found is not None  # noqa: S101 - nobody is ever forgotten
        return found

    def shut_out(self, address: str) -> None:
        """Let somebody in no more."""
        self._people.remove(address, by=person())

    def tokens(self) -> Sequence[Token]:
        """Everybody's."""
        return self._keys.tokens()

    def make_token(self, address: str, name: str, *, scopes: Sequence[Act], days: int) -> NewToken:
        """A token of somebody."""
        from nightmill.access import NewToken
        from nightmill.store.keys import DAY

        owner = self._people.known(address)
        if owner is None:
            raise SettingsError(f"{address} is not let in", hint="nightmill person invite ADDRESS ROLE")
        secret = self._keys.make(name, owner=owner, scopes=scopes, seconds=days * DAY)
        return NewToken(secret, next(each.expires for each in self._keys.tokens(owner.address) if each.name == name))

    def revoke_token(self, address: str, name: str) -> None:
        """End a token of somebody."""
        self._keys.revoke(name, owner=address, by=person())

    def secrets(self, project: str = "") -> Sequence[Held]:
        """Those that are there or that something takes."""
        from nightmill.desk import secrets

        return secrets.of_project(self.door, project) if project else secrets.listed(self.door)

    def keep_secret(self, name: str, value: str, *, project: str) -> None:
        """Set one."""
        from nightmill.desk import secrets

        secrets.keep(self.door, name, value, project=project, by=person(), at=time.time())

    def remove_secret(self, name: str, *, project: str) -> None:
        """Delete one, the last that a credential takes, too: who is here can take that out as well."""
        from nightmill.desk import secrets

        secrets.remove(self.door, name, project=project, by=person(), even_last=True)

    def hooks(self) -> Sequence[Hook]:
        """All of them."""
        return self.door.hooks.all()

    def add_hook(self, url: str, *, events: Sequence[str], project: str) -> Added:
        """Tell an address from now on."""
        from nightmill.desk import hooks

        return hooks.add(self.door, url, events=events, project=project, by=person())

    def remove_hook(self, hook: str) -> None:
        """Tell it nothing more."""
        from nightmill.desk import hooks

        hooks.remove(self.door, hook, by=person())

    def pause_hook(self, hook: str) -> None:
        """Send it nothing until it is resumed."""
        self.door.hooks.change(hook, "paused", by=person())

    def resume_hook(self, hook: str) -> None:
        """Go on."""
        self.door.hooks.change(hook, "resumed", by=person())

    def rotate_hook(self, hook: str, *, at_once: bool) -> str:
        """Another secret for it."""
        from nightmill.desk import hooks

        return hooks.rotate(self.door, hook, by=person(), at=time.time(), at_once=at_once)

    def try_hook(self, hook: str) -> None:
        """Send it a letter now."""
        import asyncio

        from nightmill.desk import hooks
        from nightmill.hook import Undelivered

        try:
            asyncio.run(hooks.try_out(self.door, hook, now=time.time()))
        except Undelivered as error:
            raise SettingsError(f"it did not arrive: {error}", hint=hooks.UNHEARD) from error

    def deliveries(self, hook: str) -> Sequence[Delivery]:
        """The last letters to it."""
        self.door.hooks.get(hook)
        return self.door.hooks.delivered(hook)

    def dead(self, hook: str = "") -> Sequence[Dead]:
        """What was given up."""
        if hook:
            self.door.hooks.get(hook)
        return self.door.hooks.dead(hook)

    def resend(self, hook: str, entry: int) -> int:
        """Have what was given up sent once more."""
        return self.door.hooks.again(hook, entry)

    def heard(self) -> Mapping[str, Kept]:
        """The projects whose forges are heard."""
        from nightmill.desk import heard

        return heard.listening(self.door)

    def hear(self, project: str) -> Ear:
        """Hear the forge of a project; where browsers find the server is not known here."""
        from nightmill.desk import heard
        from nightmill.desk.office import Ear

        secret = heard.listen(self.door, project, at=time.time(), by=person())
        return Ear(f"where browsers find the server, then /api/v1/projects/{project}/heard", secret)

    def deafen(self, project: str) -> None:
        """Hear it no more."""
        from nightmill.desk import heard

        heard.deafen(self.door, project, by=person())

    def bind(self, project: str, login: str, *, address: str) -> None:
        """Take a login at a forge for somebody."""
        from nightmill.desk import remarks

        remarks.bind(self.door, project, login, address=address)

    @property
    def _people(self) -> People:
        from nightmill.store.people import People

        return People(self.door.database, time.time)

    @property
    def _keys(self) -> Keys:
        from nightmill.store.keys import Keys

        return Keys(self.door.database, time.time, known=self._people.known)
