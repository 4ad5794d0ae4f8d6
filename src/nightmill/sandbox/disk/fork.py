"""Fork a snapshot: another sandbox's folder that opens where it was, without a copy of what a layer can share.

A snapshot is made a frozen layer of the shelf once, from its packs, and then only mounted. So it can be forked while
its own sandbox goes on: packs never change. Of a snapshot that is next to nothing, the packs themselves are shared.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

from nightmill.errors import SandboxError
from nightmill.sandbox.disk.build import build
from nightmill.sandbox.disk.chain import Body, Stand, loaded, stand
from nightmill.sandbox.disk.packs import plant
from nightmill.sandbox.disk.scan import TRAILER, root_entry
from nightmill.sandbox.disk.shelf import Shelf
from nightmill.sandbox.owner import Owner

__all__ = ["Forks", "layer_name", "plant_on"]

FEW, LITTLE = 24, 1 << 18
"""Entries and bytes of a snapshot up to which writing them again costs less than a layer more to look through."""


class Forks:
    """Makes forks over the layers of *shelf*, which belong to *owner*."""

    def __init__(self, shelf: Shelf, owner: Owner | None) -> None:
        self.shelf, self.owner = shelf, owner

    def make(self, *, source: Path, snapshot: str, directory: Path) -> str:
        """Make the new folder *directory* able to open at the snapshot that this returns: *snapshot* of *source*.

        *source* may be at work meanwhile. A fork that was cut off can be made again.

        Raises:
            SandboxError: If a pack or a layer is missing or damaged, or the disk is full.
        """
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not snapshot:
            return ""
        packs = source / "packs"
        found = stand(packs, snapshot)
        self.shelf.hold(found.layers, directory)
        layer = layer_name(packs, snapshot)
        if not self.shelf.has(layer):
            with loaded(packs, found.chain) as final:
                if _small(final):
                    return _share(packs, found, directory)
        self.shelf.put(layer, directory, lambda top: self._fill(top, packs, found))
        self.shelf.hold([layer], source)  # its next fork finds it, also if this one is destroyed before
        plant_on(self.shelf, directory, [*found.layers, layer], name=layer)
        return layer

    def _fill(self, top: Path, packs: Path, found: Stand) -> None:
        with loaded(packs, found.chain) as final:
            build(final, str(top), self.owner)


def plant_on(shelf: Shelf, directory: Path, layers: list[str], *, name: str) -> None:
    """Write to *directory* the snapshot *name* of nothing on *layers*.

    The root of a mount shows the upper's own mode and time, so those of the topmost layer are kept.

    Raises:
        SandboxError: If it cannot be written.
    """
    if not (directory / "packs" / name).exists():
        try:
            root = root_entry(str(shelf.paths(layers)[-1]))
        except OSError as error:
            raise SandboxError(f"the layer {layers[-1]!r} cannot be read: {error.strerror}") from error
        plant(directory, root=root, layers=layers, name=name)


def _small(final: dict[str, Body]) -> bool:
    return len(final) <= FEW and sum(body.data.get("size", 0) for body in final.values()) <= LITTLE


def _share(packs: Path, found: Stand, directory: Path) -> str:
    """Give *directory* the same packs: a pack is never written again, so a second name is enough."""
    (directory / "packs").mkdir(exist_ok=True)
    for name in found.chain:
        target = directory / "packs" / name
        try:
            os.link(packs / name, target)
        except FileExistsError:
            continue
        except OSError:
            shutil.copyfile(packs / name, target.with_suffix(".tmp"))
            target.with_suffix(".tmp").rename(target)
    return found.chain[-1]


def layer_name(packs: Path, snapshot: str) -> str:
    """The layer that holds what *snapshot* does: the same for all forks of it, another for anything else."""
    try:
        with (packs / snapshot).open("rb") as file:
            file.seek(-TRAILER.size, os.SEEK_END)
            return hashlib.sha256(snapshot.encode() + file.read()).hexdigest()[:16]
    except OSError as error:
        raise SandboxError(f"snapshot {snapshot!r} cannot be read: {error.strerror}") from error
