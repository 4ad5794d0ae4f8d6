"""The keys of nightmill.yaml, once: the reader, the writer, the JSON schema and the reference all follow this."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

__all__ = ["FILE", "Key", "schema"]

Kind = Literal["text", "texts", "map", "number", "count", "size", "record", "records"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One key: what it may hold and what it is for."""

    name: str
    kind: Kind
    doc: str
    choices: tuple[str, ...] = ()
    keys: tuple[Key, ...] = ()
    required: bool = False


CHECK = (
    Key(name="name", kind="text", doc="Short name, shown in reasons and evidence.", required=True),
    Key(name="run", kind="text", doc="Shell text, run at the root of the checkout.", required=True),
    Key(
        name="format",
        kind="text",
        choices=("pytest", "junit", "exit"),
        doc="How the result is read: pytest (a report is added), junit (the file `report`), exit (only the status).",
    ),
    Key(name="report", kind="text", doc="Of junit: the file that the command writes, relative to the repository."),
    Key(name="seconds", kind="number", doc="How long it may take."),
)

SERVICE = (
    Key(name="name", kind="text", doc="Name of the service.", required=True),
    Key(name="run", kind="text", doc="Command that starts it.", required=True),
    Key(name="ready", kind="text", doc="Command that succeeds once it answers."),
)

LIMITS = (
    Key(name="seconds", kind="number", doc="Seconds that one command may take."),
    Key(name="memory", kind="size", doc="Memory of one command, such as 2 GB."),
    Key(name="processes", kind="count", doc="Processes at once."),
    Key(name="file_size", kind="size", doc="Size of the largest file."),
    Key(name="output", kind="size", doc="Output that is kept; the middle of a longer one is dropped."),
)

FILE = (
    Key(
        name="language",
        kind="text",
        choices=("python", "javascript", "go", "rust", "other"),
        doc="What the project is written in.",
    ),
    Key(name="install", kind="texts", doc="Shell lines that install what the project and its tests need, in order."),
    Key(name="hosts", kind="texts", doc="What the install lines may reach: pypi, npm, go, or names of hosts."),
    Key(name="env", kind="map", doc="Environment of every command. Never a secret: agents read it."),
    Key(name="locks", kind="texts", doc="Files that decide what the install lines give; a change builds anew."),
    Key(name="checks", kind="records", keys=CHECK, doc="What proves a change. All have to pass."),
    Key(name="services", kind="records", keys=SERVICE, doc="Programs that tests need beside them (not started yet)."),
    Key(name="instructions", kind="texts", doc="Files whose text agents are given."),
    Key(name="limits", kind="record", keys=LIMITS, doc="Bounds on each command of an agent."),
    Key(name="protected", kind="texts", doc="Paths or globs that no change of an agent may touch."),
    Key(name="co_author", kind="text", doc="Name <address> for the Co-authored-by line of commits."),
)


def schema() -> dict[str, Any]:
    """The JSON schema of nightmill.yaml, for editors."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "nightmill.yaml", **_object(FILE)}


def _object(keys: tuple[Key, ...]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "type": "object",
        "additionalProperties": False,
        "properties": {key.name: _property(key) for key in keys},
    }
    required = [key.name for key in keys if key.required]
    return {**found, "required": required} if required else found


def _property(key: Key) -> dict[str, Any]:
    shapes: dict[Kind, dict[str, Any]] = {
        "text": {"type": "string"},
        "texts": {"type": "array", "items": {"type": "string"}},
        "map": {"type": "object", "additionalProperties": {"type": ["string", "number"]}},
        "number": {"type": "number", "exclusiveMinimum": 0},
        "count": {"type": "integer", "minimum": 1},
        "size": {"type": ["integer", "string"], "pattern": "^[0-9]+ ?([KkMmGg][Bb])?$"},
        "record": _object(key.keys),
        "records": {"type": "array", "items": _object(key.keys)},
    }
    found = {**shapes[key.kind], "description": key.doc}
    return {**found, "enum": list(key.choices)} if key.choices else found
