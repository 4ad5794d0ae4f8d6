"""Make room in nightmill's home: delete what can be made again, or is proven to be elsewhere, and say what stays and why.

Each thing is looked at again under its own lock before it goes, so runs, forks and builds may go on meanwhile; and each
goes by one rename or is of no use to anyone, so a kill at any point leaves only more to be cleared next time.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from nightmill import event
from nightmill.errors import NightmillError
from nightmill.line.origin import held
from nightmill.sandbox.disk.chain import read
from nightmill.sandbox.disk.folder import unused
from nightmill.sandbox.disk.layers import remove
from nightmill.sandbox.disk.shelf import Shelf
from nightmill.store.runs import WAITING

if TYPE_CHECKING:
    from nightmill.repo import Hub
    from nightmill.store.ledger import Ledger
    from nightmill.store.runs import Run, Runs

__all__ = ["Reclaim", "Thing", "size"]

WORK = (event.WorkspacePrepared.name, event.TurnFinished.name, event.CommitMade.name, event.WorkPreserved.name)

REMAINS = ("upper.new", "upper.old", "gone-*", "packs/*.tmp")
"""Of a sandbox's folder: left by what was cut off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Thing:
    """A file or folder of the home: whether it went (or would), how large it is, and why, or why not."""

    path: Path
    kind: str
    bytes: int
    gone: bool
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reclaim:
    """What is to be known to decide. With *pretend*, nothing is deleted."""

    home: Path
    runs: Runs
    ledger: Ledger
    hub: Callable[[str], Hub]
    pretend: bool = False

    def go(self, *, quota: int) -> list[Thing]:
        """Clear what nobody can want; then, as long as the home holds more than *quota* bytes (0: any), what may go.

        The order is the order of loss: the leftovers of crashes, live copies of ended runs, layers that nobody stands
        on; then snapshots of ended runs, oldest first, whose work is on a branch; then bases that can be built again.

        Raises:
            EngineError: If the store cannot be read; nothing was deleted then.
        """
        runs = {run.id: run for run in self.runs.list()}
        things = [*self._remains(), *self._live_copies(runs), *self._layers()]
        over = (size(self.home) - sum(each.bytes for each in things if each.gone and self.pretend)) - quota
        for stage in (self._snapshots(runs), self._bases(runs)) if quota else ():
            for thing in stage:
                if over <= 0 and thing.gone:
                    break
                done = self._done(thing)
                things.append(done)
                over -= done.bytes if done.gone else 0
        if quota and over > 0:
            things.append(_kept(self.home / "blobs", "blobs", "the ledger refers to them"))
        return things

    # What nobody can want

    def _remains(self) -> Iterator[Thing]:
        for folder in self._folders():
            found = [path for pattern in REMAINS for path in folder.glob(pattern)]
            yield from self._in(folder, [(path, "leftover", "of something that was cut off") for path in found])
        for path in (self.home / "layers").glob(".gone-*"):
            yield self._done(_goes(path, "leftover", "of a layer that was being deleted"))
        for path in (self.home / "layers").glob(".new-*"):
            with _alone(path.with_name(f".{path.name.split('-')[1]}.lock")) as free:
                if free:
                    yield self._done(_goes(path, "leftover", "of a layer that was never finished"))
        for path in (self.home / "layers").glob(".spare-*"):
            yield from self._in(path, [(path, "leftover", "of a worker that was killed")])
        for path in (self.home / "projects").glob("*/bases/.*-*"):
            with _alone(path.with_name(f"{path.name[1:].rpartition('-')[0]}.lock")) as free:
                if free:
                    yield self._done(_goes(path, "leftover", "of a base that was never finished"))

    def _live_copies(self, runs: dict[str, Run]) -> Iterator[Thing]:
        for folder in self._folders():
            run = runs.get(folder.parent.name)
            if run is not None and run.over:
                found = [folder / name for name in ("upper", "work") if (folder / name).exists()]
                yield from self._in(folder, [(path, "live copy", "the run has ended; packs hold it") for path in found])

    def _layers(self) -> Iterator[Thing]:
        shelf = Shelf(self.home / "layers")
        for holder in {each for layer in shelf.layers() for each in shelf.holders(layer)}:
            with contextlib.suppress(NightmillError), unused(holder):
                if not self.pretend:
                    shelf.release(holder, keep=_named(holder))
        for layer in shelf.layers():
            path, holders = shelf.folder / layer, shelf.holders(layer)
            if holders:
                yield _kept(path, "layer", f"{len(holders)} stand on it, {str(holders[0])!r} among them")
                continue
            thing = _goes(path, "layer", "nobody stands on it")
            yield (
                thing if self.pretend or shelf.drop(layer) else replace(thing, gone=False, why="it was taken just now")
            )

    # What is elsewhere, or can be made again

    def _snapshots(self, runs: dict[str, Run]) -> Iterator[Thing]:
        for folder in sorted(self._folders(), key=lambda path: path.stat().st_mtime):
            run = runs.get(folder.parent.name)
            if run is None:
                yield _kept(folder, "snapshots", "the store does not know this run")
            elif not run.over:
                yield _kept(folder, "snapshots", f"the run is {run.state}")
            elif (later := self._goes_on(run.id)) is not None:
                yield _kept(folder, "snapshots", f"{later} goes on from a turn of it")
            else:
                where = self._elsewhere(run)
                kind = "snapshots"
                if where:
                    yield _goes(folder, kind, where)
                    yield _goes(folder.parent / "replies", "replies", "the run has ended; the ledger has its turns")
                    yield _goes(folder.parent / "outputs", "outputs", "the run has ended; nobody reads on in them")
                else:
                    yield _kept(folder, kind, "nothing proves that its work is anywhere else")

    def _bases(self, runs: dict[str, Run]) -> Iterator[Thing]:
        busy = {run.project for run in runs.values() if not run.over}
        stood = {
            each.environment
            for folder in self._folders()
            for entry in self.ledger.read(run=folder.parent.name, names=(event.WorkspacePrepared.name,))
            if isinstance(each := entry.event(), event.WorkspacePrepared)
        }
        forked = {path.name.rpartition("-")[0] for path in (self.home / "forks").glob("*")}
        for project in (self.home / "projects").glob("*"):
            bases = sorted(project.glob("bases/[!.]*/record.json"), key=lambda path: path.stat().st_mtime)
            for path in (record.parent for record in bases):
                if project.name in busy or forked:
                    yield _kept(path, "base", "a run or a fork of it is under way")
                elif path == bases[-1].parent:
                    yield _kept(path, "base", "it is the newest of its project")
                elif path.name in stood:
                    yield _kept(path, "base", "snapshots stand on it")
                else:
                    yield _goes(path, "base", "it can be built again")

    def _elsewhere(self, run: Run) -> str:
        """Where the work of the ended *run* is, "" if that is not proven. The hub is asked: the ledger is no proof."""
        prepared, commit = set(), ""
        for entry in self.ledger.read(run=run.id, names=WORK):
            told = entry.event()
            if isinstance(told, event.CommitMade | event.WorkPreserved):
                commit = told.commit
            elif isinstance(told, event.WorkspacePrepared):
                prepared.add(told.snapshot)
            elif isinstance(told, event.TurnFinished) and told.snapshot not in prepared:
                prepared, commit = {told.snapshot}, "?"  # work that no commit after it holds
        if not commit:
            return "it changed nothing"
        if commit != "?":
            hub = self.hub(run.project)
            ran = hub.run("for-each-ref", "--format=%(refname)", f"--contains={commit}", "refs/heads")
            if not ran.exit and ran.out.split():
                return f"its work is on {ran.out.split()[0].decode('utf-8', 'replace')}"
        return ""

    def _goes_on(self, run: str) -> str | None:
        """A run that has not ended and goes on from a turn of *run*."""
        for later in self.runs.list(states=("queued", "running", *WAITING)):
            for entry in self.ledger.read(run=later.id, names=(event.RunQueued.name,)):
                told = entry.event()
                if isinstance(told, event.RunQueued) and told.origin.rpartition("@")[0] == run:
                    return later.id
        return None

    # Doing it

    def _in(self, folder: Path, found: list[tuple[Path, str, str]]) -> Iterator[Thing]:
        """Delete what was *found* in a sandbox's folder, while nobody opens it; in use: as it is."""
        if found:
            try:
                with unused(folder):
                    for path, kind, why in found:
                        yield self._done(_goes(path, kind, why))
            except NightmillError:
                yield _kept(folder, "sandbox", "it is in use")

    def _done(self, thing: Thing) -> Thing:
        if not thing.gone or self.pretend:
            return thing
        try:
            if thing.kind in {"snapshots", "outputs"}:
                return self._without_past(thing)
            if thing.kind == "base":
                return self._without_base(thing)
            remove(thing.path)
        except (NightmillError, OSError) as error:
            return replace(thing, gone=False, why=f"it cannot be deleted: {error}")
        return thing

    def _without_past(self, thing: Thing) -> Thing:
        """Delete what a run could be gone on from with, unless one was asked for meanwhile that does."""
        with held(thing.path.parent):
            if (later := self._goes_on(thing.path.parent.name)) is not None:
                return replace(thing, gone=False, why=f"{later} goes on from a turn of it")
            if thing.kind == "snapshots":
                with unused(thing.path):
                    remove(thing.path)
                Shelf(self.home / "layers").release(thing.path)
            else:
                remove(thing.path)
        return thing

    def _without_base(self, thing: Thing) -> Thing:
        """Move the base away, and back if a run asked for it meanwhile: a run is known before it looks for a base."""
        path = thing.path
        with _alone(path.with_name(f"{path.name}.lock")) as free:
            away = path.with_name(f".{path.name}-gone")
            if not free:
                return replace(thing, gone=False, why="it is being built")
            path.rename(away)
            if any(not run.over for run in self.runs.list(projects=[path.parents[1].name])):
                away.rename(path)
                return replace(thing, gone=False, why="a run of its project began just now")
            remove(away)
        return thing

    def _folders(self) -> list[Path]:
        """Every folder of a run's sandbox."""
        return sorted(path for path in (self.home / "runs").glob("*/sandbox") if path.is_dir())


def size(path: Path) -> int:
    """Bytes of disk that *path* and all below it take; a file with two names counts once."""
    seen: set[tuple[int, int]] = set()
    total, todo = 0, [path]
    while todo:
        here = todo.pop()
        with contextlib.suppress(OSError):  # it is deleted, or shut: then it is small
            status = here.lstat()
            if (status.st_dev, status.st_ino) not in seen:
                seen.add((status.st_dev, status.st_ino))
                total += status.st_blocks * 512
                todo += here.iterdir() if here.is_dir() and not here.is_symlink() else ()
    return total


def _named(holder: Path) -> set[str]:
    """Layers that the packs of *holder* name.

    Raises:
        SandboxError: If one is damaged: what it needs is then unknown.
    """
    packs = holder / "packs"
    return {
        layer for pack in packs.glob("[!.]*") if pack.suffix != ".tmp" for layer in read(packs, pack.name)["layers"]
    }


def _goes(path: Path, kind: str, why: str) -> Thing:
    return Thing(path=path, kind=kind, bytes=size(path), gone=True, why=why)


def _kept(path: Path, kind: str, why: str) -> Thing:
    return Thing(path=path, kind=kind, bytes=size(path), gone=False, why=why)


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[bool]:
    """Hold the lock file *path* if nobody else does; whether it is held."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield True
    except BlockingIOError:
        yield False
    finally:
        os.close(fd)
