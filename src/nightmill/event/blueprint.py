"""What people say of processes; no run, so their `run` is ""."""

from __future__ import annotations

from dataclasses import dataclass

from nightmill.happening import Event

__all__ = ["BlueprintApproved", "BlueprintRevoked"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BlueprintApproved(Event):
    """Somebody approved of a blueprint for *project*: of its file, by its SHA-256 *digest*, and of all that it calls (*closure*)."""

    project: str
    blueprint: str
    version: int
    digest: str
    closure: str
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BlueprintRevoked(Event):
    """Somebody took that approval back: no run starts with it any more, where policy asks for one."""

    project: str
    blueprint: str
    digest: str
    closure: str
    by: str
