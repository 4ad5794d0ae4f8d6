"""The prompts that an assistant offers its person by name, such as a command with a slash: how to use the tools, in its words."""

from __future__ import annotations

from dataclasses import dataclass

from nightmill.errors import SettingsError
from nightmill.prompt import render

__all__ = ["PROMPTS", "Offer", "text"]

MOST = 20_000
"""Characters of one argument."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A prompt: *part* is its text, and *takes* what has to be given with it, each with what it is."""

    says: str
    part: str
    takes: dict[str, str]


PROMPTS: dict[str, Offer] = {
    "spec": Offer(
        says="Write a spec that nightmill accepts, together",
        part="assistant/spec",
        takes={"wish": "What is wanted, as one would say it"},
    ),
    "waiting": Offer(says="Go through what waits for me, one after the other", part="assistant/waiting", takes={}),
}
"""By name."""


def text(name: str, given: dict[str, str]) -> str:
    """The prompt *name*, filled in with what was *given*.

    Raises:
        SettingsError: If there is none, or it is given something else than it takes.
    """
    offer = PROMPTS.get(name)
    if offer is None:
        raise SettingsError(f"there is no prompt {name[:80]!r}", hint=f"there are {', '.join(PROMPTS)}")
    if set(given) != set(offer.takes) or not all(each.strip() and len(each) <= MOST for each in given.values()):
        takes = ", ".join(offer.takes) or "nothing"
        raise SettingsError(f"the prompt {name!r} takes {takes}", hint=f"each with 1 to {MOST:,} characters")
    return render(offer.part, **given).text
