"""What a tool is: a name, a rule, what it takes, and what it does. One without a rule cannot be made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from nightmill.access import Act
from nightmill.errors import SettingsError
from nightmill.peer.visit import Visit

__all__ = ["Nothing", "OfRun", "OfTask", "Tool", "call"]

MOST = 10
"""Faults of one call that are named."""


class Nothing(BaseModel):
    """No arguments."""

    model_config = ConfigDict(extra="forbid")


class OfRun(Nothing):
    """A run."""

    run: Annotated[str, Field(min_length=1, max_length=40, description="Id of a run, or its beginning.")]


class OfTask(Nothing):
    """A task that a run left."""

    task: Annotated[str, Field(min_length=1, max_length=120, description="Id of a task, as `waiting` names it.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A tool. One that is about a run gets it after its rule was asked.

    Attributes:
        act: What a person has to be allowed: in the project of the run or the task, or, where none is named, in some project.
        do: Called with the visit and what was asked; if that is `OfRun` or `OfTask`, with the run or the task, too.
        says: What it does, for the model that chooses it.
        changes: Whether anything is different afterwards; *ends*, whether that cannot be taken back; *repeats*, whether it is the
            same if it is done twice.
        starts: Whether it is for where runs can begin only.
    """

    name: str
    act: Act
    says: str
    takes: type[Nothing]
    do: Callable[..., dict[str, Any]]
    changes: bool = False
    ends: bool = False
    repeats: bool = False
    starts: bool = False

    def open_to(self, visit: Visit) -> bool:
        """Whether it is offered to whoever came."""
        return visit.may(self.act) and (visit.starter is not None or not self.starts)


def call(tool: Tool, visit: Visit, arguments: dict[str, Any]) -> dict[str, Any]:
    """What *tool* does for *visit*. Blocks.

    Raises:
        SettingsError: If they may not, or the arguments do not fit.
        NightmillError: As what it does refuses.
    """
    if not tool.open_to(visit):
        raise SettingsError(
            f"{visit.who.address} may not use {tool.name!r} here", hint=f"it needs the right to {tool.act}"
        )
    try:
        asked = tool.takes.model_validate(arguments)
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}"[:300] for each in error.errors()[:MOST]]
        raise SettingsError(f"{tool.name}: {'; '.join(faults)}", hint="see its input schema") from None
    if isinstance(asked, OfRun):
        return tool.do(visit, asked, visit.run(asked.run, tool.act))
    if isinstance(asked, OfTask):
        return tool.do(visit, asked, visit.task(asked.task, tool.act))
    return tool.do(visit, asked)
