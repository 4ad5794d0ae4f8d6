"""What is administered, wherever the store is, here or at a server: people, tokens, secrets, webhooks, and whose forges are heard."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from nightmill.access import Act, Grant, NewToken, RoleName, Token, Who
from nightmill.desk.nouns import Use
from nightmill.kept import Kept
from nightmill.told import Dead, Delivery, Hook

__all__ = ["Added", "Doors", "Ear", "Ears", "Held", "Hooks", "Office", "Secrets"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A secret *name*, without what it is.

    Attributes:
        project: Whose own it is or may be; "": the operator's.
        kept: When it was set and by whom; None: it is not there.
        uses: What takes it.
        others: Of the operator's: projects with one of their own. Of a project's: ("",), if the operator's stands in for it.
    """

    name: str
    project: str
    kept: Kept | None
    uses: tuple[Use, ...]
    others: tuple[str, ...]


class Added(NamedTuple):
    """A webhook, and what its letters are signed with, which nothing shows again."""

    hook: Hook
    secret: str


class Ear(NamedTuple):
    """What a forge has to be given to be heard: the *address*, and the *secret*, which nothing shows again."""

    address: str
    secret: str


class Doors(Protocol):
    """Who is let in, and what they show.

    Each raises SettingsError if it cannot be or one may not, EngineError if the store is away; so do the others here.
    """

    def people(self) -> Sequence[Who]:
        """Everybody who was ever let in, or is invited, by address."""
        ...

    def invite(self, address: str, *, grants: Collection[Grant]) -> str:
        """A link with which *address* chooses a password, good once; without the host where that is not known."""
        ...

    def grant(self, address: str, project: str, roles: Collection[RoleName]) -> Who:
        """Give *address* exactly *roles* in *project*."""
        ...

    def shut_out(self, address: str) -> None:
        """Let *address* in no more."""
        ...

    def tokens(self) -> Sequence[Token]:
        """Those that are good, of everybody, or of oneself for who does not administer everything."""
        ...

    def make_token(self, address: str, name: str, *, scopes: Sequence[Act], days: int) -> NewToken:
        """A token of *address* for at most *scopes* and so many *days*."""
        ...

    def revoke_token(self, address: str, name: str) -> None:
        """End the token *name* of *address*, and those that were made with it."""
        ...


class Secrets(Protocol):
    """The secrets that are kept; *project* "" means the operator's."""

    def secrets(self, project: str = "") -> Sequence[Held]:
        """Those that are there or that something takes, by name."""
        ...

    def keep_secret(self, name: str, value: str, *, project: str) -> None:
        """Set *name* to *value*."""
        ...

    def remove_secret(self, name: str, *, project: str) -> None:
        """Delete *name*."""
        ...


class Hooks(Protocol):
    """The webhooks, each by its id."""

    def hooks(self) -> Sequence[Hook]:
        """All of them, oldest first."""
        ...

    def add_hook(self, url: str, *, events: Sequence[str], project: str) -> Added:
        """Tell *url* from now on of *events* (none: of all) in *project* ("": in every one)."""
        ...

    def remove_hook(self, hook: str) -> None:
        """Tell it nothing more."""
        ...

    def pause_hook(self, hook: str) -> None:
        """Send it nothing until it is resumed."""
        ...

    def resume_hook(self, hook: str) -> None:
        """Send it what happened since it was paused, and go on."""
        ...

    def rotate_hook(self, hook: str, *, at_once: bool) -> str:
        """Another secret for it, which nothing shows again. That of now is good for a day more, unless it has to end *at_once*."""
        ...

    def try_hook(self, hook: str) -> None:
        """Send it a letter now; it raises SettingsError, too, if that did not arrive."""
        ...

    def deliveries(self, hook: str) -> Sequence[Delivery]:
        """The last letters to it, newest first."""
        ...

    def dead(self, hook: str = "") -> Sequence[Dead]:
        """What was given up for it, or for all, oldest first."""
        ...

    def resend(self, hook: str, entry: int) -> int:
        """Have *entry* sent once more, 0: all that was given up, and what waits; gives how many that are."""
        ...


class Ears(Protocol):
    """The forges of projects, as they are heard."""

    def heard(self) -> Mapping[str, Kept]:
        """The projects whose forges are heard, since when, and as who wanted."""
        ...

    def hear(self, project: str) -> Ear:
        """Hear the forge of *project* from now on, by a new secret."""
        ...

    def deafen(self, project: str) -> None:
        """Hear it no more."""
        ...

    def bind(self, project: str, login: str, *, address: str) -> None:
        """Take *login* at the forge of *project* for the person with *address* from now on; "": for nobody."""
        ...


class Office(Doors, Secrets, Hooks, Ears, Protocol):
    """All of it, in one's own name."""
