"""The shelf: frozen layers that several sandboxes may stand on, each with files that say who holds it.

`<shelf>/<id>/layer` is never written to; `<shelf>/<id>/holders/` has a file for each sandbox's folder that needs it.
Who wants to stand on a layer says so first, and whatever deletes one looks under the same lock: a layer goes only when
nobody holds it. A holder whose folder is gone holds nothing.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from nightmill.errors import SandboxError
from nightmill.sandbox.disk.layers import flush, remove

__all__ = ["Shelf"]


class Shelf:
    """The layers in *folder*. Everything here is safe beside other processes, and against their death at any point."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def paths(self, layers: Iterable[str]) -> list[Path]:
        """Where *layers* are, to be mounted."""
        return [self.folder / layer / "layer" for layer in layers]

    def has(self, layer: str) -> bool:
        """Whether *layer* is there now; only a holder can be sure that it stays."""
        return (self.folder / layer / "layer").is_dir()

    def hold(self, layers: Iterable[str], holder: Path) -> None:
        """Say that the sandbox of the folder *holder* stands on *layers*, so that they stay.

        Raises:
            SandboxError: If one of them is not there.
        """
        for layer in layers:
            if not self._held(layer, holder):
                hint = "start from a snapshot that does not stand on it"
                raise SandboxError(f"the layer {layer!r} is not on the shelf {str(self.folder)!r}", hint=hint)

    def put(self, layer: str, holder: Path, fill: Callable[[Path], object]) -> None:
        """Hold *layer*, and make it if it is not there: *fill* makes the folder that it is given, or moves it there.

        Raises:
            SandboxError: If it cannot be made.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with _alone(self.folder / f".{layer}.lock"):
            if not self._held(layer, holder):
                self._make(layer, holder, fill)

    def holders(self, layer: str) -> list[Path]:
        """The folders of sandboxes that stand on *layer*."""
        named = [self.folder / each.read_text("utf-8") for each in (self.folder / layer / "holders").glob("*")]
        return [Path(os.path.normpath(path)) for path in named if path.is_dir()]

    def release(self, holder: Path, *, keep: Iterable[str] = ()) -> list[str]:
        """Say that the sandbox of *holder* stands on no layer but *keep*; those that nobody holds go. Gives which."""
        kept = set(keep)
        mine = [
            layer for layer in self.layers() if layer not in kept and self._card(self.folder / layer, holder).exists()
        ]
        for layer in mine:
            self._card(self.folder / layer, holder).unlink(missing_ok=True)
        return [layer for layer in mine if self.drop(layer)]

    def layers(self) -> list[str]:
        """Every layer on the shelf."""
        return sorted(path.name for path in self.folder.glob("[!.]*") if path.is_dir())

    def drop(self, layer: str) -> bool:
        """Delete *layer* unless somebody holds it; whether it went."""
        away = self.folder / f".gone-{layer}-{secrets.token_hex(4)}"
        with self._locked(fcntl.LOCK_EX):
            if self.holders(layer) or not self.has(layer):
                return False
            (self.folder / layer).rename(away)
        remove(away)
        return True

    def _held(self, layer: str, holder: Path) -> bool:
        with self._locked(fcntl.LOCK_SH):
            if self.has(layer):
                self._sign(self.folder / layer, holder)
                return True
        return False

    def _make(self, layer: str, holder: Path, fill: Callable[[Path], object]) -> None:
        for stale in self.folder.glob(f".new-{layer}-*"):  # of one that was cut off: the lock of this layer is ours
            remove(stale)
        beside = self.folder / f".new-{layer}-{secrets.token_hex(4)}"
        try:
            (beside / "holders").mkdir(parents=True)
            self._sign(beside, holder)
            fill(beside / "layer")
            flush(beside)
            beside.rename(self.folder / layer)
        except OSError as error:
            remove(beside)
            hint = "free space on the disk that holds nightmill's home"
            raise SandboxError(f"a layer cannot be kept: {error.strerror or error}", hint=hint) from error
        except BaseException:
            remove(beside)
            raise

    def _sign(self, place: Path, holder: Path) -> None:
        """Write the holder's file whole, or not at all; relative to the shelf, because the home may be moved."""
        card = self._card(place, holder)
        if not card.exists():
            beside = place / f".{secrets.token_hex(4)}"
            beside.write_text(os.path.relpath(holder, self.folder), "utf-8")
            beside.rename(card)

    def _card(self, place: Path, holder: Path) -> Path:
        name = hashlib.sha256(os.fsencode(os.path.relpath(holder, self.folder))).hexdigest()[:16]
        return place / "holders" / name

    @contextmanager
    def _locked(self, how: int) -> Iterator[None]:
        self.folder.mkdir(parents=True, exist_ok=True)
        fd = os.open(self.folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, how)
            yield
        finally:
            os.close(fd)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold the lock file *path* while one layer is made. It goes afterwards: who waited for it finds the layer."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
        path.unlink(missing_ok=True)
    finally:
        os.close(fd)
