"""The roles that there are, and catalogues of a few small files."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from nightmill import crew
from nightmill.blueprint import shelves
from nightmill.blueprint.catalogue import Catalogue, Place, Shelf
from nightmill.line.process import functions

ROLES = {role.name: role for role in crew.find().roles}


def text(name: str, *steps: str, more: str = "") -> bytes:
    """A blueprint of *steps*, each as YAML without its id."""
    lines = [f"  - {{id: s{number}, {step}}}" for number, step in enumerate(steps, 1)]
    return "\n".join([f"name: {name}", more, "steps:", *lines, ""]).encode()


def catalogue(**places: Mapping[str, bytes]) -> Catalogue:
    """A catalogue of files by their names, for each place."""
    found = [
        Shelf(place, {f"{place}/{name}.yaml": body for name, body in places[place].items()})
        for place in PLACES
        if place in places
    ]
    return Catalogue(found, ROLES, functions.SIGNATURES)


PLACES: tuple[Place, ...] = ("project", "operator", "shipped")


@pytest.fixture(scope="session")
def shipped() -> Catalogue:
    """What this release ships."""
    return Catalogue([shelves.shipped()], ROLES, functions.SIGNATURES)
