"""What happens to a project's environments; no run, so their `run` is ""."""

from __future__ import annotations

from dataclasses import dataclass

from nightmill.happening import Event

__all__ = ["EnvironmentBuilt", "EnvironmentFailed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentBuilt(Event):
    """A worker that had nothing else to do built the base that the newest *commit* of *project* needs."""

    project: str
    environment: str
    commit: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentFailed(Event):
    """A base could not be built ahead of its runs. Told once for each state of the project, which *mark* names."""

    project: str
    mark: str
    reason: str
    hint: str = ""
    key = property(lambda self: f"environment/{self.project}/{self.mark}")
