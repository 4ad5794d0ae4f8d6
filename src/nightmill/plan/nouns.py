"""What a plan is made of."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Footprint", "Plan", "Task"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Footprint:
    """What a task is expected to touch: repository paths or globs, and symbols ("package.module:name")."""

    paths: tuple[str, ...] = ()
    symbols: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One unit for one run.

    *criteria* are ids of the spec's criteria that this task must show; *depends* are ids of tasks whose result
    this one starts from.
    """

    id: str
    title: str
    instruction: str
    criteria: tuple[str, ...]
    depends: tuple[str, ...] = ()
    footprint: Footprint = Footprint()


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Tasks in an order in which each comes after what it depends on. *source* is "spec" or the role that cut it."""

    tasks: tuple[Task, ...]
    source: str
