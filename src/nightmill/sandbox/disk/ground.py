"""What one sandbox stands on: the layers below, its upper, and the packs that say how the upper came to be."""

from __future__ import annotations

import contextlib
import hashlib
from dataclasses import replace
from pathlib import Path

from nightmill.errors import SandboxError
from nightmill.sandbox.disk.chain import Stand, stand
from nightmill.sandbox.disk.folder import clear_work, prepare
from nightmill.sandbox.disk.fork import layer_name, plant_on
from nightmill.sandbox.disk.layers import remove
from nightmill.sandbox.disk.packs import Packs
from nightmill.sandbox.disk.privileged import flatten_layers
from nightmill.sandbox.disk.shelf import Shelf
from nightmill.sandbox.nouns import Place
from nightmill.sandbox.owner import Owner

__all__ = ["Ground", "sweep"]

DEEP = 16
"""Layers of the shelf under an upper from which they are made one: each is one more folder to look into."""


class Ground:
    """The files of one sandbox. For one thread at a time, and only while no process of it runs, unless it is said."""

    def __init__(self, place: Place, *, owner: Owner | None, shelf: Shelf | None) -> None:
        self.directory, self.below = place.directory, place.layers
        self.owner, self.shelf = owner, shelf
        self.packs = Packs(place.directory, owner)

    def find(self, snapshot: str) -> Stand:
        """What to come back to *snapshot* by; its layers stay from now on. Also while processes run.

        A snapshot that is a layer of the shelf needs none of its packs, and many layers may be there as one.

        Raises:
            SandboxError: If something of it is missing or damaged.
        """
        if not snapshot:
            return Stand([], [])
        found = stand(self.packs.folder, snapshot)
        if self.shelf is None:
            if found.layers:
                raise SandboxError("a snapshot stands on layers, and there is no shelf", hint="give the sandboxes one")
            return found
        layer = layer_name(self.packs.folder, snapshot)
        layers = self._fewer(found.layers)
        if self.shelf.has(layer):
            with contextlib.suppress(SandboxError):  # it went just now: the packs are still there
                self.shelf.hold([*layers, layer], self.directory)
                plant_on(self.shelf, self.directory, [*layers, layer], name=layer)
                return Stand([layer], [*layers, layer])
        self.shelf.hold(layers, self.directory)
        return Stand(found.chain, layers)

    def lay(self, found: Stand) -> None:
        """Make the upper anew, as *found* says.

        Raises:
            SandboxError: If a pack is missing or damaged, or the disk is full.
        """
        prepare(self.directory, self.below, found.chain, self.owner)

    def stage(self, place: Place, found: Stand) -> Place:
        """*place* with all layers that *found* needs, made ready to be mounted."""
        clear_work(self.directory, self.owner)
        layers = self.shelf.paths(found.layers) if self.shelf else []
        return replace(place, layers=(*place.layers, *layers))

    def freeze(self, snapshot: str) -> Stand:
        """Make the upper, which is at *snapshot*, a layer of the shelf, and lay an empty one on it.

        Cut off at any point, the packs say the same as before.

        Raises:
            SandboxError: If it cannot be done; then there may be no upper.
        """
        if self.shelf is None:
            raise SandboxError("there is no shelf for a frozen layer")
        layer, upper = layer_name(self.packs.folder, snapshot), self.directory / "upper"
        layers = [*self._fewer(self.packs.stand.layers), layer]
        self.shelf.put(layer, self.directory, upper.rename)
        plant_on(self.shelf, self.directory, layers, name=layer)
        found = Stand([layer], layers)
        self.lay(found)
        return found

    @property
    def deep(self) -> bool:
        """Whether there are so many layers that they should be made one."""
        return self.shelf is not None and len(self.packs.stand.layers) > DEEP

    def flatten(self) -> None:
        """Make one layer of those of the shelf that the sandbox stands on, for the next to stand on. While it runs.

        Raises:
            SandboxError: If it cannot be made.
        """
        layers = list(self.packs.stand.layers)
        if self.shelf is not None and layers:
            paths, below = self.shelf.paths(layers), list(self.below)
            self.shelf.put(_flat(layers), self.directory, lambda top: flatten_layers(paths, top, below=below))

    def _fewer(self, layers: list[str]) -> list[str]:
        """*layers*, with as many of the lowest as there is one layer for given as that one."""
        if self.shelf is not None:
            for number in range(len(layers), 1, -1):
                name = _flat(layers[:number])
                if self.shelf.has(name):
                    with contextlib.suppress(SandboxError):
                        self.shelf.hold([name], self.directory)
                        return [name, *layers[number:]]
        return layers


def sweep(folder: Path) -> None:
    """Delete *folder*, aside; what is left of it goes before the next start."""
    with contextlib.suppress(OSError):
        remove(folder)


def _flat(layers: list[str]) -> str:
    """The layer that all of *layers* make together."""
    return hashlib.sha256("\0".join(["flat", *layers]).encode()).hexdigest()[:16]
