"""A home as one file, while its workers work; and a home made of such a file, in which their runs go on.

What is taken first is never ahead of what is taken after it: the engine's checkpoints, then the ledger and the tables, then
what both refer to, which is only ever added to. So a backup looks like the home of a machine that lost its power in
that moment, and recovery is all that has to be done. Of a sandbox its snapshots are taken and not what lives.
"""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import NamedTuple

import sqlalchemy as sa

from nightmill import __version__
from nightmill.crew import signers
from nightmill.crew.memory import FOLDER as MEMORY
from nightmill.desk import dump
from nightmill.desk.archive import Head, Packing
from nightmill.desk.laying import unpack
from nightmill.errors import SettingsError
from nightmill.repo import Hub
from nightmill.sandbox.disk.layers import remove
from nightmill.store import Database, tables

__all__ = ["Packed", "backup", "restore"]

DATABASES = ("engine.db", "nightmill.db")
"""In the order in which they are taken: the ledger knows all that the engine has done, never the other way round."""
DUMP = "postgresql.dump"

ORDER = ("keys", "projects", "runs", "layers", "blobs")
"""Folders of the home as they are taken, after all that have no place here: packs name layers, not the other way round."""

LEFT = re.compile(
    r"""
    \.[^/]*                                                     # of a restore
    | worker\.(?:sock|log) | [^/]*\.db(?:-wal|-shm|-journal)?   # alive, or taken otherwise
    | postgresql\.dump | forks
    | (?:.*/)?[^/]*\.lock | runs/.*\.tmp
    | layers/\.[^/]* | blobs/[^/]*/\.[^/]*
    | projects/[^/]*/(?:\.[^/]*|baselines|verified|bases/\.[^/]*)
    | (?:projects/[^/]*/hub|memory)\.git/(?:hooks|objects/(?:incoming-[^/]*|info/(?:http-)?alternates|(?:.*/)?tmp_[^/]*))
    | runs/[^/]*/sandbox/(?:upper[^/]*|work|empty|lock|gone-[^/]*)
    """,
    re.VERBOSE | re.DOTALL,
)
"""What lives, what locks, what is half made, and what is made anew at each need; nothing of it is missed."""
LAYER = re.compile(r"(?:layers|projects/[^/]+/bases)/[^/]+/layer")


class Packed(NamedTuple):
    """What went into an archive."""

    entries: int
    bytes: int


def backup(home: Path, file: Path, *, store: str, at: float) -> Packed:
    """Write *home* to the new *file*, whole or not at all. Runs go on meanwhile.

    What `pg_dump` writes of a *store* on PostgreSQL takes the place of our own databases.

    Raises:
        SettingsError: If *file* cannot be there, or nothing is to be kept.
        OSError: If something cannot be read or written.
    """
    _look(home, file, store=store)
    with ExitStack() as stack:
        beside = file.with_name(f".{file.name}.tmp")
        stack.callback(beside.unlink, missing_ok=True)
        out = stack.enter_context(os.fdopen(_made(beside), "w+b"))
        packing = Packing(out)
        for name in (DUMP,) if store else DATABASES:
            copy = file.with_name(f".{file.name}.{name}")
            stack.callback(copy.unlink, missing_ok=True)
            if store:
                _dump(store, copy)
            elif (home / name).exists():
                _copy(home / name, copy)
            else:
                continue
            packing.add(copy, name)
        for name in _names(home):
            packing.add(home / name, name)
        kind = "postgresql" if store else "sqlite"
        packing.end(Head(version=__version__, at=at, home=str(home), store=kind))
        out.flush()
        os.fsync(out.fileno())
        beside.rename(file)
        return Packed(packing.count, packing.bytes)


def restore(file: Path, home: Path, *, store: str) -> Head:
    """Make the empty or absent folder *home* what *file* holds, whole or not at all; *store* is the setting.

    A *store* on PostgreSQL is filled with what the backup has of it; nothing of ours may be there yet.

    Raises:
        SettingsError: If *home* is in use, or *file* is no backup that can be used.
        OSError: If something cannot be read or written.
    """
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    if any(home.iterdir()):
        raise SettingsError(f"{str(home)!r} is not empty", hint="NIGHTMILL_HOME names another")
    home.chmod(0o700)  # keys come, and what agents made setuid
    made = home / ".restoring"
    made.mkdir(mode=0o700)
    try:
        with file.open("rb") as source:
            head = unpack(source, made, refused=lambda name: name not in {*DATABASES, DUMP} and _has_no_place(name))
        if bool(store) != (head.store == "postgresql"):
            hint = "set NIGHTMILL_STORE to an empty database" if not store else "take the setting `store` away"
            raise SettingsError(f"the backup is of a store on {head.store}, and the settings say otherwise", hint=hint)
        _settle(made, store, home=home)
        # Until the store is there no command sees a home: it comes last.
        for path in sorted(made.iterdir(), key=lambda path: path.name == "nightmill.db"):
            path.rename(home / path.name)
    finally:
        remove(made)
    return head


def _look(home: Path, file: Path, *, store: str) -> None:
    if file.exists():
        raise SettingsError(f"{str(file)!r} is there already", hint="name a new file")
    if Path(os.path.realpath(file)).is_relative_to(os.path.realpath(home)):
        raise SettingsError(
            "a backup in the home is lost with it", hint="name a file elsewhere, best on another machine"
        )
    if not store and not (home / "nightmill.db").exists():
        raise SettingsError(f"there is no store in {str(home)!r}", hint="NIGHTMILL_HOME names the home")


def _made(path: Path) -> int:
    """The new file *path*, which nobody else can read: what lay there, in a folder that is others' too, may be a link of theirs."""
    path.unlink(missing_ok=True)
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def _copy(source: Path, target: Path) -> None:
    """What the SQLite database *source* holds at one moment, whoever writes to it."""
    os.close(_made(target))
    with closing(sqlite3.connect(source, timeout=30)) as old, closing(sqlite3.connect(target)) as new:
        old.backup(new)
        try:
            new.execute("PRAGMA journal_mode=DELETE")  # one file, with nothing beside it
            said = new.execute("PRAGMA quick_check(1)").fetchone()[0]
        except sqlite3.DatabaseError as error:
            said = str(error)
        if said != "ok":
            raise SettingsError(f"{str(source)!r} is damaged: {said}", hint="restore an earlier backup")


def _names(home: Path) -> Iterator[str]:
    """Everything of *home* that is kept, folders before what is in them.

    A folder that is shut to ourselves, as agents make them, is open while what is in it is kept.
    """
    todo: list[str | tuple[Path, int]] = []
    todo += sorted(_children(home, ""), key=lambda name: ORDER.index(name) if name in ORDER else -1, reverse=True)
    try:
        while todo:
            name = todo.pop()
            if isinstance(name, tuple):
                _shut(*name)
                continue
            yield name
            path = home / name
            if not path.is_dir() or path.is_symlink():
                continue
            with suppress(FileNotFoundError):  # it may be gone by now
                if not os.access(path, os.R_OK | os.X_OK):
                    mode = path.lstat().st_mode & 0o7777
                    todo.append((path, mode))
                    path.chmod(mode | 0o500)
            # The refs of a hub before its objects: what they name is there by then.
            inside = sorted(_children(home, name), key=lambda child: (child.endswith(".git/objects"), child))
            todo += reversed(inside)
    finally:
        for each in reversed(todo):
            if isinstance(each, tuple):
                _shut(*each)


def _shut(path: Path, mode: int) -> None:
    with suppress(FileNotFoundError):
        path.chmod(mode)


def _children(home: Path, name: str) -> Iterator[str]:
    try:
        found = [each.name for each in (home / name).iterdir()]
    except (FileNotFoundError, NotADirectoryError):
        return
    for each in found:
        child = f"{name}/{each}" if name else each
        if not _has_no_place(child):
            yield child


def _has_no_place(name: str) -> bool:
    """Whether *name* is in no backup; what would be beside a database is replayed into it, hooks are run."""
    return LAYER.match(name) is None and LEFT.fullmatch(name) is not None


def _dump(store: str, copy: Path) -> None:
    """What the *store* on PostgreSQL holds, in *copy*, which nobody else can read."""
    os.close(_made(copy))
    dump.dump(store, copy)


def _settle(made: Path, store: str, *, home: Path) -> None:
    """Have what was laid in *made*, and the *store*, know where it will be, and that every worker is dead."""
    hubs = {path.parent.name: path for path in made.glob("projects/*/hub.git")}
    for path in (*hubs.values(), *made.glob(MEMORY)):
        Hub(path).settle(signers=signers(home))
    if store:
        dump.fill(store, made / DUMP)
        (made / DUMP).unlink()
    else:
        for name in DATABASES:
            _whole(made / name)
    database = Database.open(store or f"sqlite:///{made / 'nightmill.db'}")
    try:
        with database.write() as connection:
            # Also those that were struck off: the engine's checkpoints are older, and may still name them.
            connection.execute(tables.worker.update().values(beat=0.0, ended=False))
            for project in hubs:
                moved = tables.project.update().where(tables.project.c.id == project)
                connection.execute(moved.values(hub=str(home / "projects" / project / "hub.git")))
        if not store:
            with database.read() as connection:
                connection.execute(sa.text("PRAGMA wal_checkpoint(TRUNCATE)"))
    finally:
        database.close()


def _whole(path: Path) -> None:
    """Look whether the database is one.

    Raises:
        SettingsError: If it is damaged, or absent; the engine's is absent where nothing ever ran.
    """
    if not path.exists():
        if path.name == DATABASES[0]:
            return
        raise SettingsError("the backup holds no store", hint="take another; nothing was changed")
    with closing(sqlite3.connect(path)) as connection:
        try:
            said = connection.execute("PRAGMA quick_check").fetchone()[0]
        except sqlite3.Error as error:
            said = str(error)
    if said != "ok":
        raise SettingsError(f"{path.name} in the backup is damaged: {said}", hint="take another; nothing was changed")
