"""Whether people approved of a blueprint, as it is and with all that it calls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from nightmill.blueprint.catalogue import Catalogue, Closure
from nightmill.errors import SettingsError
from nightmill.store.blueprints import Approval

__all__ = ["Allowed", "Standing", "require", "standing"]

RELEASE = "the release"
Word = Literal["shipped", "approved", "changed", "not approved", "broken"]


class Standing(NamedTuple):
    """How a blueprint stands, in a *word* and in a sentence; *last* is the newest approval of its name that stands."""

    word: Word
    said: str
    last: Approval | None = None

    @property
    def may_run(self) -> bool:
        """Whether it may run where only approved ones may."""
        return self.word in {"shipped", "approved"}

    @property
    def answers(self) -> str:
        """Who answers for it as it is: the person who approved of it, or the release; "": nobody."""
        if self.word == "shipped":
            return RELEASE
        return self.last.by if self.word == "approved" and self.last else ""


class Allowed(NamedTuple):
    """A blueprint that may run, with all that it calls, and who *answers* for it, as `Standing.answers`."""

    closure: Closure
    answers: str


def standing(catalogue: Catalogue, name: str, approvals: Sequence[Approval]) -> Standing:
    """How *name* stands by *approvals*, those of its project.

    Raises:
        SettingsError: If there is no such blueprint.
    """
    mine = [each for each in approvals if each.name == name]
    last = next((each for each in mine if each.stands), None)
    catalogue.entry(name)
    try:
        closure = catalogue.closure(name)
    except SettingsError as error:
        return Standing("broken", error.message.splitlines()[0], last)
    if closure.shipped:
        return Standing("shipped", f"approved by {RELEASE}", last)
    now = next((each for each in mine if each.closure == closure.digest), None)
    if now is not None and now.stands:
        return Standing("approved", f"approved by {now.by}", now)
    if now is not None:
        return Standing("not approved", f"revoked by {now.revoked_by}", last)
    if last is None:
        return Standing("not approved", "nobody approved of it")
    return Standing("changed", f"{_changed(closure, last)} since {last.by} approved", last)


def require(catalogue: Catalogue, name: str, approvals: Sequence[Approval], *, policy: str) -> Allowed:
    """The blueprint *name* with all that it calls, if it may run; *policy* is what `policy.blueprints` says.

    Raises:
        SettingsError: If it may not, is broken, or is not there.
    """
    closure = catalogue.closure(name)
    found = standing(catalogue, name, approvals)
    if policy != "any" and not found.may_run:
        look = "diff" if found.last else "show"
        raise SettingsError(
            f"the blueprint {name!r} may not run: {found.said}",
            hint=f"look at it: nightmill blueprint {look} {name}; then: nightmill blueprint approve {name}",
        )
    return Allowed(closure, found.answers)


def _changed(closure: Closure, last: Approval) -> str:
    """What is not as it was approved."""
    before = dict(part.split(" ", 1) for part in last.parts)
    now = dict(part.split(" ", 1) for part in closure.parts)
    names = sorted(name for name in {*before, *now} if before.get(name) != now.get(name))
    own, called = last.name in names, [name for name in names if name != last.name]
    said = ["it changed"] if own else []
    said += [f"{', '.join(called)}, which it calls, changed"] if called and not own else []
    return " and ".join(said) or "something in it changed"
