"""The blueprints that a project can run, from three places: its own go before the operator's, and those before the shipped.

A file that is wrong is listed as broken and hides no other. It keeps its name all the same: that another blueprint of
that name would run in its place is what nobody could see.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import Literal, NamedTuple

from nightmill.blueprint.check import Known, faults
from nightmill.blueprint.nouns import Blueprint, CallStep, walk
from nightmill.blueprint.reading import parse, places
from nightmill.blueprint.shapes import Signature, meant
from nightmill.crew import Role
from nightmill.errors import SettingsError

__all__ = ["ENDINGS", "PLACES", "Catalogue", "Closure", "Entry", "Place", "Shelf"]

Place = Literal["project", "operator", "shipped"]
PLACES: tuple[Place, ...] = ("project", "operator", "shipped")
"""Where blueprints stand; an earlier one goes before a later one."""

TESTS = ".test.yaml"
ENDINGS = (".yaml", ".yml")


class Shelf(NamedTuple):
    """The files of one place by the path that people are shown: bodies, or why one is *unread*."""

    place: Place
    files: Mapping[str, bytes]
    unread: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Closure:
    """A blueprint with all that it calls, itself first: what a run is started with, and what a person approves of."""

    blueprints: tuple[Blueprint, ...]
    places: Mapping[str, Place]

    @property
    def digest(self) -> str:
        """SHA-256 over the names and bytes of all of them. Of shipped ones the name says enough: the release answers."""
        return hashlib.sha256("\n".join(self.parts).encode()).hexdigest()

    @property
    def parts(self) -> tuple[str, ...]:
        """A line for each: its name, and the SHA-256 of its file or the word "shipped"; in the order of names."""
        return tuple(
            f"{each.name} {'shipped' if self.places[each.name] == 'shipped' else each.digest}"
            for each in sorted(self.blueprints, key=lambda each: each.name)
        )

    @property
    def shipped(self) -> bool:
        """Whether all of it is the release's."""
        return set(self.places.values()) == {"shipped"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A name of the catalogue.

    Attributes:
        body: The bytes of its file.
        blueprint: What they say; None if they cannot be read.
        faults: What is wrong with it, a sentence each with file and line; none: it can run.
        hint: What to do about the first of them.
        hides: Files of the same name that it takes the place of.
    """

    name: str
    place: Place
    source: str
    body: bytes
    blueprint: Blueprint | None
    faults: tuple[str, ...] = ()
    hint: str = ""
    hides: tuple[str, ...] = ()


@dataclass(frozen=True)
class Catalogue:
    """What *shelves* hold, judged by the *roles*, *functions* and *checks* that there are. Reads nothing itself."""

    shelves: Sequence[Shelf]
    roles: Mapping[str, Role]
    functions: Mapping[str, Signature] = field(default_factory=dict)
    checks: tuple[str, ...] | None = None

    @cached_property
    def entries(self) -> Mapping[str, Entry]:
        """Every name, in the order of names."""
        read = self._read()
        return {name: self._judged(read[name]) for name in sorted(read)}

    @cached_property
    def known(self) -> Known:
        """What its blueprints may name."""
        whole = {name: each.blueprint for name, each in self._read().items() if each.blueprint is not None}
        return Known(blueprints=whole, roles=self.roles, functions=self.functions, checks=self.checks)

    def entry(self, name: str) -> Entry:
        """The entry *name*, broken or not.

        Raises:
            SettingsError: If there is none.
        """
        found = self.entries.get(name)
        if found is None:
            near = meant(name, tuple(self.entries))
            raise SettingsError(f"there is no blueprint {name!r}{near}", hint="`nightmill blueprint list` lists them")
        return found

    def get(self, name: str) -> Blueprint:
        """The blueprint *name*.

        Raises:
            SettingsError: If there is none, or it is broken.
        """
        found = self.entry(name)
        if found.faults or found.blueprint is None:
            raise SettingsError("\n".join(found.faults), hint=found.hint)
        return found.blueprint

    def closure(self, name: str) -> Closure:
        """The blueprint *name* and all that it calls.

        Raises:
            SettingsError: If one of them is not there, or broken.
        """
        found: dict[str, Blueprint] = {}
        todo = [name]
        while todo:
            at = todo.pop(0)
            if at not in found:
                found[at] = self.get(at)
                todo += [step.call for step in walk(found[at].steps) if isinstance(step, CallStep)]
        return Closure(blueprints=tuple(found.values()), places={each: self.entries[each].place for each in found})

    def _read(self) -> Mapping[str, Entry]:
        found: dict[str, Entry] = {}
        for shelf in sorted(self.shelves, key=lambda each: PLACES.index(each.place)):
            for source in sorted({*shelf.files, *shelf.unread}):
                name = _stem(source)
                if name in found:
                    found[name] = replace(found[name], hides=(*found[name].hides, source))
                elif name:
                    found[name] = _entry(name, shelf, source)
        return found

    def _judged(self, entry: Entry) -> Entry:
        if entry.blueprint is None:
            return entry
        wrong = faults(entry.blueprint, self.known)
        if not wrong:
            return entry
        lines = places(entry.body, source=entry.source)
        placed = sorted((lines.get(each.at, each.line), each) for each in wrong)
        said = tuple(f"{entry.source}:{line}: {each.said}" for line, each in placed)
        return replace(entry, faults=said, hint=placed[0][1].hint)


def _entry(name: str, shelf: Shelf, source: str) -> Entry:
    body = shelf.files.get(source, b"")
    try:
        if source in shelf.unread:
            raise SettingsError(
                f"{source}: {shelf.unread[source]}", hint="it must be a file, no link, that you may read"
            )
        read = parse(body, source=source)
        if read.name != name:
            raise SettingsError(
                f"{source}:1: it calls itself {read.name!r}", hint=f"name the file {read.name}.yaml, or it {name!r}"
            )
    except SettingsError as error:
        broken = Entry(name=name, place=shelf.place, source=source, body=body, blueprint=None)
        return replace(broken, faults=tuple(error.message.splitlines()), hint=error.hint)
    return Entry(name=name, place=shelf.place, source=source, body=body, blueprint=read)


def _stem(source: str) -> str:
    """The name that the file *source* is for; "" for what is no blueprint."""
    last = source.rpartition("/")[2]
    if last.endswith(TESTS) or not last.endswith(ENDINGS):
        return ""
    return last.rpartition(".")[0]
