"""The things of one project at a server as methods, one for each of its routes, with what they give as values."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nightmill import spec as specs
from nightmill.blueprint import parse
from nightmill.blueprint.catalogue import Entry
from nightmill.client.connection import Connection
from nightmill.client.path import path
from nightmill.client.reading import field, value
from nightmill.desk.own import Approved, Explained, Process, Remembered, Team, Whole
from nightmill.errors import EngineError, SettingsError
from nightmill.policy import Policy
from nightmill.store.notes import Note

__all__ = ["ProjectClient"]

PAGE = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Notes:
    """A page of notes, newest first; *next* is the cursor of the next one, None at the end."""

    notes: tuple[Note, ...]
    next: str | None


class ProjectClient:
    """A `Belongings` and a `Repertoire` of the project *id* at a server. Raises as `Client`."""

    def __init__(self, connection: Connection, id: str) -> None:
        self.connection = connection
        self.id = id

    def team(self) -> Team:
        """Who acts in it."""
        return value(Team, self._get("crew"), of="the crew")

    def remembered(self, role: str) -> Remembered:
        """What *role* remembers of it."""
        return value(Remembered, self._get("crew", role, "memory"), of="a memory")

    def forget(self, role: str, number: int, note: str) -> None:
        """Take its *note* of that *number* out of what *role* remembers."""
        self._post("crew", role, "forget", number=number, note=note)

    def policy(self) -> Policy:
        """What holds for its changes."""
        return field(self._get("policy"), "policy", Policy, of="a project")

    def notes(self) -> Sequence[Note]:
        """What agents noted, newest first."""
        found: list[Note] = []
        cursor: str | None = ""
        while cursor is not None:
            page = value(Notes, self._get("notes", cursor=cursor, limit=PAGE), of="notes")
            found += page.notes
            cursor = page.next
        return found

    def forget_notes(self, ids: Collection[str] | None) -> int:
        """Delete those notes, None: all."""
        plain = self._post("notes", "forget", ids=list(ids or ()), all=ids is None)
        return field(plain, "notes", int, of="what was deleted")

    def listed(self) -> Sequence[Process]:
        """Its processes, in the order of names."""
        return field(self._get("blueprints"), "blueprints", tuple[Process, ...], of="a project")

    def whole(self, name: str) -> Whole:
        """One of them, with its file."""
        plain = self._get("blueprints", name)
        process = field(plain, "process", Process, of="a blueprint")
        return Whole(process, _entry(process, field(plain, "text", str, of="a blueprint")))

    def approved(self, name: str) -> Approved:
        """What was approved of it last."""
        plain = self._get("blueprints", name, "approved")
        body = field(plain, "text", str, of="what was approved").encode()
        return value(Approved, plain, of="what was approved", body=body)

    def approve(self, name: str, *, closure: str) -> Process:
        """Say yes to it as *closure* has it."""
        return value(Process, self._post("blueprints", name, "approve", closure=closure), of="a blueprint")

    def revoke(self, name: str, *, digest: str) -> Sequence[int]:
        """Take the yes to it back."""
        plain = self._post("blueprints", name, "revoke", digest=digest)
        return field(plain, "versions", tuple[int, ...], of="what was revoked")

    def explained(self, name: str, *, spec: Path | None) -> Explained:
        """What its agents will see, measured with the file *spec*."""
        plain = self._post("blueprints", name, "explain", spec=_text(spec) if spec else "")
        return value(Explained, plain, of="what is seen")

    def _get(self, *place: str, **asked: Any) -> Any:
        return self.connection.get(self._at(*place), **asked)

    def _post(self, *place: str, **said: Any) -> Any:
        return self.connection.post(self._at(*place), said)

    def _at(self, *place: str) -> str:
        """A path below the project's."""
        return path("projects", self.id, *place)


def _entry(process: Process, text: str) -> Entry:
    """The blueprint of *text* as it is read here, which has to be what the server says that it is.

    Raises:
        SettingsError: If it cannot be read here, and can be at the server.
        EngineError: If it is another than the server says.
    """
    body = text.encode()
    read = None
    if process.digest is not None:
        try:
            read = parse(body, source=process.source)
        except SettingsError as error:
            raise SettingsError(
                f"this nightmill cannot read the server's blueprint {process.name!r}: {error.message}",
                hint="have the version of the server here",
            ) from error
        if read.digest != process.digest:
            raise EngineError(f"the server's blueprint {process.name!r} is not the one that it says", hint="ask again")
    return Entry(
        name=process.name,
        place=process.place,
        source=process.source,
        body=body,
        blueprint=read,
        faults=process.faults,
        hint=process.hint,
        hides=process.hides,
    )


def _text(spec: Path) -> str:
    """The text of a spec that is here.

    Raises:
        SpecError: If it cannot be read.
        SettingsError: If it is a folder.
    """
    specs.read(spec)
    if not spec.is_file():
        raise SettingsError(
            f"{str(spec)!r} is no file, and a server takes the text of one", hint="name the spec's file"
        )
    return spec.read_text(encoding="utf-8")
