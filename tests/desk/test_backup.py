"""A home goes through a file and comes out as it was; a file that is no backup, or is hostile, changes nothing."""

from __future__ import annotations

import io
import json
import os
import secrets
import sqlite3
import sys
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from nightmill import event as e
from nightmill.crew import Memory, Note
from nightmill.crew.memory import Person
from nightmill.desk import backup as module
from nightmill.desk.archive import FACTS
from nightmill.desk.backup import backup, restore
from nightmill.desk.door import Door
from nightmill.errors import SettingsError
from nightmill.sandbox.disk.layers import remove
from nightmill.settings import load
from tests.whole import fingerprint

LAYER = "layers/0123456789abcdef/layer"


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A home with a ledger, a blob, keys, snapshots, and a layer as agents leave them."""
    door = Door(load(file={}, environment={}, flags={"home": tmp_path / "home"}))
    door.ledger.append([e.PhaseStarted(run="r1", phase="work")])
    door.blobs.put(b"a body")
    door.hub("p").create()
    home = door.settings.home
    for name in (
        "runs/r1/sandbox/packs",
        "runs/r1/sandbox/upper",
        "keys/developer",
        LAYER,
    ):
        (home / name).mkdir(parents=True)
    for name in (
        "runs/r1/sandbox/packs/one",
        "runs/r1/sandbox/upper/live",
        "runs/r1/sandbox/lock",
        "keys/developer/key",
    ):
        (home / name).write_text(name)
    (home / "keys/developer/key").chmod(0o600)
    (home / "worker.sock").write_text("no socket, but called so")
    odd(home / LAYER)
    yield home
    door.ledger.close()
    door.database.close()
    remove(home)


def odd(layer: Path) -> None:
    """What an agent may have made."""
    (layer / "script").write_text("#!/bin/sh\n")
    (layer / "script").chmod(0o4755)
    os.link(layer / "script", layer / "another name")
    (layer / "out").symlink_to("/etc/passwd")
    (layer / os.fsdecode(b"no \xff text")).write_bytes(b"\0\xff")
    os.mknod(layer / "gone", 0o020000, 0)
    os.setxattr(layer / "script", "user.overlay.note", b"\0\x01")
    (layer / "shut").mkdir()
    (layer / "shut/in").write_text("secret")
    (layer / "shut/in").chmod(0)
    (layer / "shut").chmod(0)
    with (layer / "sparse").open("wb") as file:
        file.seek(64 << 20)
        file.write(b"end")
    for each in ("script", "sparse"):
        os.utime(layer / each, ns=(1, 1_600_000_000_123_456_789))


def keep(home: Path, file: Path) -> Path:
    backup(home, file, store="", at=1.0)
    return file


def test_a_home_comes_out_of_its_backup_as_it_went_in_without_what_lives(home: Path, tmp_path: Path) -> None:
    file = keep(home, tmp_path / "a.tar")
    made = tmp_path / "made"

    head = restore(file, made, store="")

    assert (head.store, head.home) == ("sqlite", str(home))
    assert file.stat().st_size < 2 << 20, "a sparse file takes what it holds"
    assert fingerprint(made / LAYER) == fingerprint(home / LAYER)
    assert (made / LAYER / "script").stat().st_ino == (made / LAYER / "another name").stat().st_ino
    assert os.getxattr(made / LAYER / "script", "user.overlay.note") == b"\0\x01"
    assert (made / LAYER / "gone").lstat().st_rdev == 0
    assert (made / "runs/r1/sandbox/packs/one").read_text() == "runs/r1/sandbox/packs/one"
    assert sorted(path.name for path in (made / "runs/r1/sandbox").iterdir()) == ["packs"]
    assert not (made / "worker.sock").exists()
    assert (made / "keys/developer/key").stat().st_mode & 0o777 == 0o600
    door = Door(load(file={}, environment={}, flags={"home": made}))
    assert door.ledger.verify() is None
    assert [entry.name for entry in door.ledger.read()] == ["phase_started"]
    door.database.close()
    remove(made)


def test_what_roles_remember_comes_along_and_what_their_repository_says_of_programs_is_not_obeyed(
    home: Path, tmp_path: Path
) -> None:
    note = Note(project="p", role="qa", run="r1", kind="claim", key="k", said="erred", at=1.0)
    commit = Memory(home).add(note, author=Person(name="Ada", email="ada@example.org"))
    kept = Memory(home).folder
    (kept / "hooks").mkdir()
    (kept / "hooks/pre-receive").write_text("#!/bin/sh\n")
    with (kept / "config").open("a") as file:
        file.write(f"[core]\n\thooksPath = {tmp_path}/evil\n")
    made = tmp_path / "made"

    restore(keep(home, tmp_path / "a.tar"), made, store="")

    memory = Memory(made)
    assert memory.page("p", "qa") == Memory(home).page("p", "qa")
    assert not (memory.folder / "hooks").exists()
    assert "evil" not in (memory.folder / "config").read_text()
    assert memory.add(note, author=Person(name="Ada", email="ada@example.org")) == commit
    remove(made)


def test_what_a_repository_in_a_backup_says_of_programs_is_not_obeyed(home: Path, tmp_path: Path) -> None:
    config = home / "projects/p/hub.git/config"
    before = config.read_text()
    with config.open("a") as file:
        file.write(f'[gpg "ssh"]\n\tprogram = {tmp_path}/evil\n[include]\n\tpath = {tmp_path}/more\n')
    made = tmp_path / "made"
    made.mkdir(mode=0o755)

    restore(keep(home, tmp_path / "a.tar"), made, store="")

    config = made / "projects/p/hub.git/config"
    lines = config.read_text().splitlines()
    assert [line for line in before.splitlines() if line not in lines and "llowedSigners" not in line] == []
    assert "evil" not in config.read_text()
    assert "include" not in config.read_text()
    assert sorted(path.name for path in config.parent.parent.iterdir()) == ["hub.git"]
    assert made.stat().st_mode & 0o777 == 0o700
    remove(made)


def test_a_backup_goes_nowhere_where_it_would_be_lost_or_would_replace_something(home: Path, tmp_path: Path) -> None:
    file = keep(home, tmp_path / "a.tar")

    with pytest.raises(SettingsError, match="there already"):
        keep(home, file)
    with pytest.raises(SettingsError, match="lost with it"):
        keep(home, home / "a.tar")
    with pytest.raises(SettingsError, match="not empty"):
        restore(file, home, store="")
    with pytest.raises(SettingsError, match="settings say otherwise"):
        restore(file, tmp_path / "made", store="postgresql://x/y")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tar", "home", "made"]


def test_what_others_left_where_a_backup_goes_is_not_written_to(home: Path, tmp_path: Path) -> None:
    theirs, file = tmp_path / "theirs", tmp_path / "a.tar"
    theirs.write_text("theirs")
    theirs.chmod(0o666)
    (tmp_path / ".a.tar.tmp").symlink_to(theirs)
    os.link(theirs, tmp_path / ".a.tar.nightmill.db")

    keep(home, file)

    assert theirs.read_text() == "theirs"
    assert (file.stat().st_mode & 0o777, file.is_symlink()) == (0o600, False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tar", "home", "theirs"]


@pytest.mark.parametrize("first", [4 << 10, 64 << 10], ids=["all of it", "tables"])
def test_a_store_that_is_damaged_is_said_to_be_and_not_kept(home: Path, tmp_path: Path, first: int) -> None:
    with closing(sqlite3.connect(home / "nightmill.db")) as store:
        store.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with (home / "nightmill.db").open("r+b") as file:
        for at in range(first, file.seek(0, os.SEEK_END), 4 << 10):
            file.seek(at)
            file.write(b"\xff" * 64)

    with pytest.raises(SettingsError, match=r"nightmill\.db' is damaged"):
        keep(home, tmp_path / "a.tar")
    assert [path.name for path in tmp_path.iterdir()] == ["home"]


def test_a_copy_that_was_kept_damaged_makes_no_home(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def copy(_source: Path, target: Path) -> None:
        target.write_bytes(b"SQLite format 3\0" + b"\xff" * 9000)

    monkeypatch.setattr(module, "_copy", copy)
    file = keep(home, tmp_path / "a.tar")

    with pytest.raises(SettingsError, match="in the backup is damaged"):
        restore(file, tmp_path / "made", store="")
    assert list((tmp_path / "made").iterdir()) == []


def test_a_backup_that_is_made_while_others_write_holds_one_moment_of_everything(home: Path, tmp_path: Path) -> None:
    door, stop = Door(load(file={}, environment={}, flags={"home": home})), threading.Event()

    def write() -> None:
        while not stop.is_set():
            digest = door.blobs.put(secrets.token_bytes(2000))
            door.ledger.append([e.PhaseStarted(run="r1", phase=digest)])

    writing = threading.Thread(target=write)
    writing.start()
    try:
        while door.ledger.last() < 20:
            time.sleep(0.01)
        keep(home, tmp_path / "a.tar")
    finally:
        stop.set()
        writing.join()
    door.database.close()
    restore(tmp_path / "a.tar", tmp_path / "made", store="")

    made = Door(load(file={}, environment={}, flags={"home": tmp_path / "made"}))
    assert made.ledger.verify() is None
    told = [each.event() for each in made.ledger.read()]
    digests = [each.phase for each in told if isinstance(each, e.PhaseStarted) and each.phase != "work"]
    assert len(digests) >= 19
    assert all(made.blobs.get(each) for each in digests)
    made.database.close()
    remove(tmp_path / "made")


PROGRAM = f"""#!{sys.executable}
import sys, urllib.parse
(store,) = (word.partition("=")[2] for word in sys.argv if word.startswith("--dbname="))
named = urllib.parse.parse_qs(urllib.parse.urlsplit(store).query).get("passfile", [])
sys.exit(" ".join(["pg_dump:", *map(repr, [open(name).read() for name in named]), *sys.argv]))
"""


def test_of_postgresql_its_own_programs_make_the_copy_and_nobody_reads_its_password_meanwhile(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, programs = "postgresql://ada:se:cret@127.0.0.1:1/none", tmp_path / "programs"
    programs.mkdir()
    monkeypatch.setenv("PATH", str(programs))
    with pytest.raises(SettingsError, match="only its own `pg_dump`"):
        backup(home, tmp_path / "a.tar", store=store, at=1.0)

    (programs / "pg_dump").write_text(PROGRAM)
    (programs / "pg_dump").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.defpath}")
    with pytest.raises(SettingsError) as caught:
        backup(home, tmp_path / "a.tar", store=store, at=1.0)

    assert repr("*:*:*:*:se\\:cret\n") in caught.value.message, "the program was told where its password is"
    assert "se:cret" not in caught.value.message.partition("--")[2]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home", "programs"], "and nothing is left"
    with pytest.raises(SettingsError) as caught:
        backup(home, tmp_path / "a.tar", store=store.replace(":se:cret", ""), at=1.0)
    assert "--dbname=postgresql://ada@127.0.0.1:1/none" in caught.value.message


Change = Callable[[bytes], bytes]


@pytest.mark.parametrize(
    "change",
    [
        lambda body: body[: len(body) // 2],
        lambda body: body[:-20000],
        lambda body: body.replace(b"a body", b"b body"),
        lambda body: body.replace(b"/etc/passwd", b"/etc/shadow"),
        lambda body: b"",
        lambda body: b"no tar at all" * 1000,
    ],
    ids=["half", "no end", "a blob", "a link", "nothing", "no archive"],
)
def test_a_file_that_was_cut_or_changed_leaves_no_home(home: Path, tmp_path: Path, change: Change) -> None:
    file = keep(home, tmp_path / "a.tar")
    file.write_bytes(change(file.read_bytes()))

    with pytest.raises(SettingsError, match="no backup that can be used"):
        restore(file, tmp_path / "made", store="")

    assert list((tmp_path / "made").iterdir()) == []


def member(name: str, kind: bytes = tarfile.REGTYPE, **more: Any) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.mode = kind, 0o700
    for key, value in more.items():
        setattr(made, key, value)
    return made


def told(name: str, **facts: Any) -> tarfile.TarInfo:
    return member(name, pax_headers={FACTS: json.dumps({"mtime": 1, **facts})})


BODIES: dict[int, bytes] = {}


def manifest(**said: Any) -> tarfile.TarInfo:
    """A last entry, true but for what is *said*."""
    head = {
        "nightmill": "backup",
        "format": 1,
        "version": "1",
        "at": 1.0,
        "home": "/h",
        "store": "sqlite",
        "entries": {},
    }
    body = json.dumps(head | said).encode()
    made = member("manifest.json", size=len(body))
    BODIES[id(made)] = body
    return made


HUB = [told(name) for name in ("projects", "projects/p", "projects/p/hub.git", "projects/p/hub.git/objects")]
HUB.append(told("projects/p/hub.git/objects/info"))
FOLDERS = [told(name) for name in ("layers", "layers/a", "layers/a/layer")]
LINK = told("layers/a/layer/link")
LINK.type, LINK.linkname = tarfile.SYMTYPE, "/tmp"
for folder in (*FOLDERS, *HUB):
    folder.type = tarfile.DIRTYPE
HOSTILE = {
    "absolute": ("leads elsewhere", [member("/etc/nightmill")]),
    "climbs": ("leads elsewhere", [member("../beside")]),
    "climbs later": ("leads elsewhere", [*FOLDERS, member("layers/a/layer/../../../../beside")]),
    "through a link": ("in no folder", [*FOLDERS, LINK, member("layers/a/layer/link/beside")]),
    "onto a link": ("twice", [*FOLDERS, LINK, member("layers/a/layer/link")]),
    "a link in the home": ("neither", [member("nightmill.db", tarfile.SYMTYPE, linkname="/etc/passwd")]),
    "another name of a file outside": (
        "of a kind",
        [*FOLDERS, member("layers/a/layer/x", tarfile.LNKTYPE, linkname="/etc/passwd")],
    ),
    "another name of a key": (
        "of a kind",
        [*FOLDERS, told("key"), member("layers/a/layer/x", tarfile.LNKTYPE, linkname="key")],
    ),
    "a disk": ("of a kind", [*FOLDERS, member("layers/a/layer/disk", tarfile.CHRTYPE, devmajor=1, devminor=1)]),
    "a pipe": ("of a kind", [*FOLDERS, member("layers/a/layer/pipe", tarfile.FIFOTYPE)]),
    "a setuid program of the home": ("neither", [member("program", mode=0o4755)]),
    "what would be played into a database": ("no place", [told("nightmill.db-wal")]),
    "a hook": ("no place", [*HUB, told("projects/p/hub.git/hooks")]),
    "objects that are elsewhere": ("no place", [*HUB, told("projects/p/hub.git/objects/info/alternates")]),
    "the folder of a restore": ("no place", [told(".restoring")]),
    "a file larger than any": ("larger than any", [told("one", spans=[], size=1 << 62)]),
    "a file smaller than none": ("larger than any", [told("one", spans=[], size=-1)]),
    "a manifest of another store": ("its store is on", [manifest(store="oracle")]),
    "a manifest of a later format": ("its format is 2", [manifest(format=2)]),
    "a manifest of something else": ("of something else", [manifest(nightmill="another")]),
    "a manifest without a time": ("", [manifest(at="yesterday")]),
    "a manifest that lists what is not there": ("'two' is not what", [manifest(entries={"two": "0" * 64})]),
    "twice": ("twice", [told("one"), told("one")]),
    "less than nothing": ("", [member("one", pax_headers={FACTS: '{"mtime": 1}', "size": "-512"})]),
    "in no folder": ("in no folder", [member("no/folder")]),
    "holes that lie": ("where its data is", [told("one", spans=[[0, 99]], size=1)]),
    "an attribute of the system": ("has the attribute", [told("one", xattr={"security.capability": "AA=="})]),
    "facts that are none": ("", [member("one", pax_headers={FACTS: "[" * 5000})]),
    "a header without end": ("header of it is too large", [member("one", pax_headers={"comment": "x" * (4 << 20)})]),
    "no list": ("cut short", [told("one")]),
}


@pytest.mark.parametrize(("why", "members"), HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_archive_is_refused_and_nothing_of_it_stays(
    tmp_path: Path, why: str, members: list[tarfile.TarInfo]
) -> None:
    file = tmp_path / "a.tar"
    with tarfile.open(file, "w", format=tarfile.PAX_FORMAT) as tar:
        for each in members:
            tar.addfile(each, io.BytesIO(BODIES.get(id(each), b"")))

    with pytest.raises(SettingsError, match=f"no backup that can be used: {why and '.*'}{why or '(?!it was cut)'}"):
        restore(file, tmp_path / "mill" / "home", store="")

    assert list((tmp_path / "mill" / "home").iterdir()) == []
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a.tar", "home", "mill"]
