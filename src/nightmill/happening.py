"""What an event is, whatever it tells of; what can happen is in `event`."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar

from nightmill.errors import EngineError

__all__ = ["EVENTS", "Emit", "Event", "Forgotten", "from_plain"]

type_name = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")

EVENTS: dict[str, type[Event]] = {}
"""Every event by its name; filled as their classes are read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One fact about one run."""

    name: ClassVar[str] = "event"
    run: str

    def __init_subclass__(cls, **_: Any) -> None:
        cls.name = type_name.sub("_", cls.__name__).lower()
        EVENTS[cls.name] = cls

    @property
    def key(self) -> str | None:
        """What makes this event the same as one told before; None: told anew each time."""
        return None

    def to_plain(self) -> dict[str, Any]:
        """The fields as plain JSON data, without `run` and name, which the ledger keeps in columns."""
        plain = asdict(self)
        del plain["run"]
        return plain


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgotten(Event):
    """What stands in the place of an event *was* whose words were deleted; never told, only read."""

    was: str


def from_plain(*, name: str, run: str, body: dict[str, Any]) -> Event:
    """Rebuild the event *name* of *run*; fields that this version does not know are dropped.

    Raises:
        EngineError: If no event has that name.
    """
    if body.get("forgotten") is True:
        return Forgotten(run=run, was=name)
    kind = EVENTS.get(name)
    if kind is None:
        raise EngineError(
            f"the ledger holds an event {name!r} that this version does not know", hint="upgrade nightmill"
        )
    known = {field.name for field in fields(kind)}
    return kind(run=run, **{field: value for field, value in body.items() if field in known})


Emit = Callable[[Event], None]
"""Tell the ledger; never blocks and never fails the teller."""
