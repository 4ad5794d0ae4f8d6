"""`run` and `worker`, read without Typer: it takes longer to be loaded than all else until a worker has the run.

Only lines that could be read in no other way; with any doubt Typer reads it, and says what is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

__all__ = ["COMMANDS", "Command", "read"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """The function `call` of this room's *module*, with its parameters by what is typed."""

    module: str
    call: str
    named: dict[str, tuple[str, Callable[[str], Any]]]
    """Options with a value: the parameter, and its type."""
    switches: dict[str, str]
    places: tuple[tuple[str, Callable[[str], Any]], ...] = ()
    """Arguments, all of which there must be."""


COMMANDS = {
    "run": Command(
        module="asking",
        call="run",
        places=(("spec", Path),),
        named={
            "--model": ("model", str),
            "--base-url": ("base_url", str),
            "--project": ("project", Path),
            "--base": ("base", str),
            "--blueprint": ("blueprint", str),
        },
        switches={"--detach": "detach", "-d": "detach", "--json": "json"},
    ),
    "worker": Command(
        module="serve", call="worker", named={"--until-idle": ("until_idle", float)}, switches={"--on-word": "on_word"}
    ),
}


def read(words: Sequence[str]) -> Callable[[], int] | None:
    """What *words* ask for, to be called; it gives the exit status. None: it is for Typer to read."""
    command = COMMANDS.get(words[0]) if words else None
    if command is None:
        return None
    places: list[str] = []
    found: dict[str, Any] = {}
    rest = iter(words[1:])
    try:
        for word in rest:
            name, _, given = word.partition("=")
            if not word.startswith("-"):
                places.append(word)
            elif word in command.switches:
                found[command.switches[word]] = True
            elif name in command.named:
                parameter, kind = command.named[name]
                found[parameter] = kind(given if "=" in word else next(rest))
            else:
                return None
        found |= {name: kind(word) for (name, kind), word in zip(command.places, places, strict=True)}
    except (StopIteration, ValueError):
        return None

    def go() -> int:
        status: int = getattr(import_module(f"nightmill.cli.{command.module}"), command.call)(**found)
        return status

    return go
