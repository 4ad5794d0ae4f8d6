"""Who errs, and how: drawn from a seed for each run, and the same whatever blueprint the run goes by."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

__all__ = ["KINDS", "People"]

KINDS = {"half": 0.4, "wrong": 0.25, "broken": 0.2, "false": 0.15}
"""How a developer errs, and the share of each in all errors.

half: what the example says works, not all of what is asked for, and the developer's own tests pass. wrong: it breaks what
worked, and only the new behaviour was tried. broken: the same, and the old test was weakened until it passed. false: the
same, and it is said that all tests pass, of which none was run.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """How often each of them errs, as shares from 0 to 1.

    Attributes:
        errs: Of a developer's attempts, also of those that answer findings.
        misses: Of the runs in which a role does not see what is wrong, however often it looks.
        alarms: Of the runs in which a role objects to what the spec does not ask for.
        alike: Of what is missed, the part that all roles miss together.
    """

    seed: str = "7"
    errs: float = 0.2
    misses: float = 0.1
    alarms: float = 0.02
    alike: float = 0.0

    def attempt(self, number: int, episode: int) -> str:
        """What becomes of a developer's attempt: "right", or one of `KINDS`."""
        if self._draw(number, "developer", episode) >= self.errs:
            return "right"
        left = self._draw(number, "kind", episode)
        for kind, share in KINDS.items():
            left -= share
            if left < 0:
                return kind
        return "false"

    def sees(self, number: int, role: str) -> bool:
        """Whether *role* sees what is wrong in this run, if anything is."""
        together = self.misses * self.alike
        alone = (self.misses - together) / (1 - together)
        return self._draw(number, "all") >= together and self._draw(number, role, "sees") >= alone

    def alarmed(self, number: int, role: str) -> bool:
        """Whether *role* objects to something in this run that nobody asked for."""
        return self._draw(number, role, "alarm") < self.alarms

    def _draw(self, *what: object) -> float:
        return Random(":".join(map(str, (self.seed, *what)))).random()
