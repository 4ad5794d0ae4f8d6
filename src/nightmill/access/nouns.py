"""People at the doors, and what they may do: one pure question, `Person.may`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

__all__ = ["ACTS", "EVERY", "ROLES", "Act", "Grant", "NewToken", "Person", "RoleName", "Token", "Who"]

Act = Literal["view", "operate", "approve", "administer"]
"""See; start, stop, steer and answer; say yes or no to a change; give rights to people."""

ACTS: tuple[Act, ...] = get_args(Act)

RoleName = Literal["viewer", "operator", "approver", "admin"]

ROLES: dict[RoleName, frozenset[Act]] = {
    "viewer": frozenset({"view"}),
    "operator": frozenset({"view", "operate"}),
    "approver": frozenset({"view", "approve"}),
    "admin": frozenset(ACTS),
}
"""What each role may do. Who starts runs does not thereby approve of what comes of them: that is two roles."""

EVERY = ""
"""The name of a grant for every project, those of the future among them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """*role* in the project with the id *project*, or in `EVERY` one."""

    role: RoleName
    project: str = EVERY


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody who has shown who they are.

    Attributes:
        address: Their mail address in lower case, by which they are known in the ledger, in git and to policy.
        grants: Their roles.
        scopes: What the token that they came with may at most do; None: it bounds nothing.
        way: How they came: with a "session" of a browser, a "token", or as the "local" user of this machine.
    """

    name: str
    address: str
    grants: tuple[Grant, ...] = ()
    scopes: frozenset[Act] | None = None
    way: Literal["session", "token", "local"] = "session"

    @property
    def by(self) -> str:
        """As they are written down: "Name <address>"."""
        return f"{self.name} <{self.address}>"

    def may(self, act: Act, project: str = EVERY) -> bool:
        """Whether they may do *act* in *project*; in `EVERY`: whether they may in all of them."""
        if self.scopes is not None and act not in self.scopes:
            return False
        return any(grant.project in {EVERY, project} and act in ROLES[grant.role] for grant in self.grants)

    def somewhere(self, act: Act) -> bool:
        """Whether they may do *act* in some project."""
        return self.projects(act) != frozenset()

    def projects(self, act: Act) -> frozenset[str] | None:
        """The projects in which they may do *act*; None: all."""
        if self.may(act):
            return None
        if self.scopes is not None and act not in self.scopes:
            return frozenset()
        return frozenset(grant.project for grant in self.grants if act in ROLES[grant.role])


@dataclass(frozen=True, slots=True, kw_only=True)
class Who:
    """A person as those who administer see them. Times are Unix seconds.

    Attributes:
        way: "password" or "oidc"; "" for who never came in.
        added: When they came in first; 0: they were only invited.
        removed: When they were shut out; 0: they were not.
        invited: Until when an invitation of theirs is good that nobody has used; 0: there is none.
    """

    address: str
    name: str
    way: str
    added: float
    removed: float = 0.0
    invited: float = 0.0
    grants: tuple[Grant, ...] = ()

    @property
    def let_in(self) -> bool:
        """Whether they come in now."""
        return bool(self.added) and not self.removed


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A token of a person, without what it is shown by. Times are Unix seconds; *used* is right to the minute."""

    name: str
    address: str
    scopes: tuple[Act, ...]
    created: float
    used: float
    expires: float


class NewToken(NamedTuple):
    """A token that was just made: the *secret* that it is shown by, which nothing shows again, and until when it is good.

    *short*: that is no longer than the token that it was made with, and not as long as was asked for.
    """

    secret: str
    expires: float
    short: bool = False
