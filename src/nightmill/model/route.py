"""Which model answers: the first of a list that is well. One that failed is tried again by one call, not by a timer."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import NamedTuple

from nightmill.errors import ModelRefused, ModelUnavailable, NightmillError, NotYet, SettingsError

__all__ = ["Choice", "Circuits", "Route", "Trial", "choices"]

LONGEST = 600.0
"""Seconds after which a model that failed is tried again at the latest, and at once one that refused all requests."""

PROBE = 30.0
"""Seconds after which a call looks again whether the one that tries the model has an answer."""


class Choice(NamedTuple):
    """A model by its name, at *base_url*; empty: the provider's own address."""

    name: str
    base_url: str


def choices(names: Sequence[str], *, base_url: str, owner: str) -> tuple[Choice, ...]:
    """The models *names*, each once. `NAME@URL` brings its address along.

    The setting *base_url* is for the models of the provider that *owner*, the setting `model`, names: another
    provider's would not be found there.
    """
    return tuple(dict.fromkeys(_choice(name, base_url, _account(owner)) for name in names if name))


def _choice(text: str, base_url: str, account: str) -> Choice:
    name, at, address = text.partition("@http")
    return Choice(name, f"http{address}" if at else base_url if _account(name) == account else "")


def _account(name: str) -> str:
    return name.partition(":")[0].partition("+")[0].removesuffix("-responses")


@dataclass(slots=True)
class Circuit:
    """What is known of one model: closed while it answers, open after it failed, half open while one call tries it."""

    failures: int = 0
    opened: float = -math.inf
    until: float = -math.inf
    reason: str = ""
    probing: bool = False

    def wait(self, now: float) -> float:
        """Seconds until the model may be asked; 0: now."""
        if not self.reason:
            return 0.0
        return self.until - now if now < self.until else PROBE if self.probing else 0.0

    def fail(self, error: NightmillError, *, began: float, now: float, first: float) -> None:
        """Open for *first* seconds, doubled with each failure; all calls that were under way together count once."""
        if began < self.opened:
            return
        self.failures += not isinstance(error, NotYet)
        own = first * 2.0 ** min(self.failures - 1, 30)
        if isinstance(error, NotYet):
            own = error.seconds
        elif not isinstance(error, ModelUnavailable):
            own = LONGEST
        wish = (error.retry_after or 0.0) if isinstance(error, ModelUnavailable) else 0.0
        self.opened, self.until, self.reason = now, now + max(wish, min(own, LONGEST)), error.message


class Circuits:
    """The circuits of one process, by model and address."""

    def __init__(self, *, clock: Callable[[], float], first: float) -> None:
        self.clock = clock
        self.first = first
        self._found: dict[Choice, Circuit] = {}

    def of(self, choice: Choice) -> Circuit:
        """The circuit of *choice*."""
        return self._found.setdefault(choice, Circuit())


@dataclass(slots=True)
class Trial:
    """One model's turn to answer. As a context it takes a failure that another model may mend.

    Attributes:
        passed: Why the models before it in the list are not asked, or did not answer; "" for the first.
        error: What it failed of.
    """

    choice: Choice
    circuits: Circuits
    passed: str = ""
    error: NightmillError | None = None
    _began: float = 0.0

    def __enter__(self) -> None:
        circuit = self.circuits.of(self.choice)
        circuit.probing = bool(circuit.reason)
        self._began = self.circuits.clock()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        circuit = self.circuits.of(self.choice)
        circuit.probing = False
        if error is None:
            circuit.failures, circuit.reason = 0, ""
        elif isinstance(error, NightmillError) and _mendable(error):
            self.error = error
            circuit.fail(error, began=self._began, now=self.circuits.clock(), first=self.circuits.first)
            return True
        elif isinstance(error, ModelRefused):  # the request's own fault: the model is well
            circuit.failures, circuit.reason = 0, ""
        return False


def _mendable(error: NightmillError) -> bool:
    """Whether another model may answer where *error* was met."""
    return isinstance(error, ModelUnavailable | NotYet | SettingsError) or (
        isinstance(error, ModelRefused) and error.whole
    )


@dataclass(frozen=True, slots=True)
class Route:
    """The models that may answer, best first."""

    choices: tuple[Choice, ...]
    circuits: Circuits = field(repr=False)

    def trials(self, *, start: int = 0) -> Iterator[Trial]:
        """The models to try, one after another, until one answers; from *start* on, those before it last.

        Only a model that is not alone is passed over untried.

        Raises:
            NotYet: If all of several are down; it says when the first may be up.
            NightmillError: What the only one, or the first of those that all refuse, failed of.
        """
        start = min(start, len(self.choices) - 1)
        passed: list[str] = []
        errors: list[NightmillError] = []
        for choice in (*self.choices[start:], *self.choices[:start]):
            circuit = self.circuits.of(choice)
            if len(self.choices) > 1 and circuit.wait(self.circuits.clock()):
                passed.append(circuit.reason)
                continue
            trial = Trial(choice, self.circuits, "; ".join(passed))
            yield trial
            if trial.error is None:
                raise AssertionError("a trial that did not fail is the last")
            passed.append(trial.error.message)
            errors.append(trial.error)
        raise self._nobody(errors, passed)

    def _nobody(self, errors: list[NightmillError], passed: list[str]) -> NightmillError:
        final = [error for error in errors if isinstance(error, ModelRefused | SettingsError)]
        if len(self.choices) == 1 or len(final) == len(self.choices):
            return errors[0]
        now = self.circuits.clock()
        wait = min(self.circuits.of(choice).wait(now) for choice in self.choices)
        return NotYet(f"no model of the list answers: {'; '.join(passed)}", seconds=wait)
