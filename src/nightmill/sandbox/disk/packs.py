"""Snapshots of a live sandbox: one file per turn ("pack") that holds what changed in the upper since the last.

A pack is written beside its name, flushed and renamed: a name stands for a whole pack.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from nightmill.errors import SandboxError
from nightmill.sandbox.disk.build import alter, unwritten
from nightmill.sandbox.disk.chain import Body, Stand, copy, loaded, stand
from nightmill.sandbox.disk.privileged import record_upper, scan_upper
from nightmill.sandbox.disk.scan import Below, Seen, changed, finish, paths
from nightmill.sandbox.owner import Owner

__all__ = ["Packs", "forget", "plant"]

LONG = 16
"""Packs in a chain from which it is written anew as one: a restore opens as many files."""

NOTHING = Seen({}, {}, {})


class Packs:
    """The snapshots of one run's folder, and what the upper held at the newest. For one thread at a time."""

    def __init__(self, directory: Path, to: Owner | None) -> None:
        self.directory, self.owner = directory, to
        self.folder = directory / "packs"
        self.upper = str(directory / "upper")
        self.seen, self.hot = NOTHING, frozenset[str | int]()
        self.stand = Stand([], [])
        self.at = ""

    def start(self, snapshot: str, found: Stand | None = None) -> None:
        """Take the upper as it is for *snapshot*, made as *found* says: nothing has been written to it since."""
        self.folder.mkdir(exist_ok=True)
        self.hot = frozenset()
        self.at = snapshot
        self.stand = found or stand(self.folder, snapshot) if snapshot else Stand([], [])
        self.seen = scan_upper(self.upper, NOTHING) if snapshot else NOTHING

    def same(self) -> bool:
        """Whether the upper holds what the newest snapshot does."""
        now = scan_upper(self.upper, self.seen)
        return not self.hot and len(now.facts) == len(self.seen.facts) and not changed(self.seen, now, set())

    def take(self, *, name: str, hot: set[str | int]) -> str:
        """Keep the upper as *name*; gives that, or the newest id if nothing changed. All writers must be frozen.

        Raises:
            SandboxError: If it could not be written whole; then nothing of it remains.
        """
        beside = self.folder / f"{name}.tmp"
        try:
            suspects = hot | self.hot  # also those mapped until just now: their last write came before that
            seen, written = record_upper(
                top=self.upper, target=str(beside), old=self.seen, hot=suspects, below=self.stand.below
            )
            if written:
                beside.rename(self.folder / name)
        except OSError as error:
            beside.unlink(missing_ok=True)
            raise unwritten(error) from error
        except SandboxError:
            beside.unlink(missing_ok=True)
            raise
        self.seen, self.hot = seen, frozenset(hot)
        if written:
            self.stand, self.at = Stand([*self.stand.chain, name], self.stand.layers), name
        return self.at

    def go_to(self, wanted: Stand) -> Path | None:
        """Make the upper, which nothing uses any more, what *wanted* says; None: only anew.

        Gives the folder of what had to go, to be deleted in time. Anew is where it stands on other layers, or where
        there is no snapshot to begin from or to go to.

        Raises:
            SandboxError: If a pack is missing or damaged, or the disk is full; the upper is then to be restored.
        """
        if not self.stand.chain or not wanted.chain or wanted.layers != self.stand.layers:
            return None
        now = scan_upper(self.upper, self.seen)
        dirty = set(changed(self.seen, now, paths(self.upper, now, set(self.hot))))
        return alter(self.directory, now=now, dirty=dirty, chains=(self.stand.chain, wanted.chain), owner=self.owner)

    @property
    def long(self) -> bool:
        """Whether the chain is to be consolidated."""
        return len(self.stand.chain) > LONG

    def consolidate(self, *, name: str) -> None:
        """Write what the chain holds as the one pack *name*; the next snapshot stands on that. Old ids stay good."""
        beside = self.folder / f"{name}.tmp"
        try:
            with loaded(self.folder, self.stand.chain) as final, beside.open("xb", 1 << 20) as out:
                finish(out, below=Below((), tuple(self.stand.layers)), gone=[], entries=list(_copied(final, out)))
            beside.rename(self.folder / name)
        except OSError as error:
            beside.unlink(missing_ok=True)
            raise unwritten(error) from error
        self.stand = Stand([name], self.stand.layers)


def plant(directory: Path, *, root: dict[str, Any], layers: list[str], name: str) -> None:
    """Write to *directory* the snapshot *name* of an empty upper, whose folder is the entry *root*, on *layers*.

    Raises:
        SandboxError: If it cannot be written.
    """
    folder = directory / "packs"
    beside = folder / f"{name}.tmp"
    try:
        folder.mkdir(exist_ok=True)
        with beside.open("xb") as out:
            finish(out, below=Below((), tuple(layers)), gone=[], entries=[root])
        beside.rename(folder / name)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise unwritten(error) from error


def forget(directory: Path, keep: set[str]) -> int:
    """Delete packs that no snapshot in *keep* needs and that are older than the newest of them; how many went.

    What is newer belongs to turns that are not recorded yet. With nothing to keep, nothing is known: all stay.

    Raises:
        SandboxError: If a pack to keep is missing or damaged: what it needs is then unknown.
    """
    folder = directory / "packs"
    needed = {each for snapshot in keep for each in stand(folder, snapshot).chain}
    newest = max(((folder / name).stat().st_mtime_ns for name in keep), default=0)
    gone = [path for path in folder.glob("*") if path.name not in needed and path.stat().st_mtime_ns < newest]
    for path in gone:
        path.unlink()
    return len(gone)


def _copied(final: dict[str, Body], out: BinaryIO) -> Iterator[dict[str, Any]]:
    """Entries of one pack with everything that *final* holds, its data copied to *out*."""
    first: dict[tuple[int, str], str] = {}
    for path in sorted(final):
        body = final[path]
        plain, group = body.own, (body.fd, body.group)
        if stat.S_ISREG(plain["mode"]):
            if group in first:
                plain["link"] = first[group]
            else:
                first[group] = path
                plain |= _moved(body, out)
        yield plain


def _moved(body: Body, out: BinaryIO) -> dict[str, Any]:
    starts: list[int] = []
    copy(body, out, begin=lambda _: starts.append(out.tell()))
    spans = [[start, at, length] for (start, _, length), at in zip(body.data["spans"], starts, strict=True)]
    kept = {key: body.data[key] for key in ("size", "check", "xattr")}
    return {**kept, "spans": spans, "of": body.origin}
