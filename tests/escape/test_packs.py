"""Snapshots whose index is a lie: what comes back stays in the upper, or nothing comes back."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from nightmill.errors import SandboxError
from nightmill.sandbox import Place
from nightmill.sandbox.bubblewrap import BubblewrapSandboxes
from nightmill.sandbox.disk.build import restore
from nightmill.sandbox.disk.chain import loaded, read, stand
from nightmill.sandbox.disk.layers import remove
from nightmill.sandbox.owner import owner
from tests.escape.forge import FILE, LINK, file, folder, forge, whole
from tests.sandbox.box import Box, Within
from tests.sandbox.conftest import place, within

__all__ = ["place", "within"]  # fixtures

pytestmark = pytest.mark.wall("packs")

LONG = "a/" * 2060 + "a"
HUGE = 1 << 62


def above(path: str) -> list[dict[str, Any]]:
    """A folder for each part of *path* but the last."""
    parts = path.split("/")[:-1]
    return [folder("/".join(parts[: at + 1])) for at in range(len(parts))]


LIES: dict[str, Any] = {
    "climbs": whole(file("../planted")),
    "climbs from a folder": whole(folder("a"), file("a/../../planted")),
    "is absolute": whole(file("/planted")),
    "has a link above it": whole({"path": "a", "mode": LINK, "mtime": 0, "target": ".."}, file("a/planted")),
    "has a link above it that comes later": whole(
        file("b/planted"), {"path": "b", "mode": LINK, "mtime": 0, "target": ".."}
    ),
    "has a file above it": whole(file("a"), file("a/b")),
    "has nothing above it": whole(file("a/b")),
    "is itself a link at the top": {
        "chain": [],
        "layers": [],
        "gone": [],
        "set": [{"path": "", "mode": LINK, "mtime": 0, "target": "/"}],
    },
    "has no top": {"chain": [], "layers": [], "gone": [], "set": [file("a")]},
    "ends the path": whole(file("a\0b")),
    "is a number": whole(file("a") | {"path": 7}),
    "is text of no file system": whole(file("\ud800")),
    "is longer than a name": whole(file("a" * 300)),
    "is longer than a path": whole(*above(LONG), file(LONG)),
    "is a block device": whole({"path": "a", "mode": stat.S_IFBLK | 0o666, "mtime": 0}),
    "is of no kind": whole({"path": "a", "mode": 0o170644, "mtime": 0}),
    "has no mode": whole({"path": "a", "mtime": 0}),
    "has a mode of words": whole(file("a", mode="rwx")),
    "is a link to nothing": whole({"path": "a", "mode": LINK, "mtime": 0}),
    "shares a file that is not there": whole({"path": "a", "mode": FILE, "mtime": 0, "link": "b"}),
    "shares a file that shares it": whole(
        {"path": "a", "mode": FILE, "mtime": 0, "link": "b"}, {"path": "b", "mode": FILE, "mtime": 0, "link": "a"}
    ),
    "shares a folder": whole(folder("b"), {"path": "a", "mode": FILE, "mtime": 0, "link": "b"}),
    "shares a link to the host": whole(
        {"path": "a", "mode": FILE, "mtime": 0, "link": "b"},
        {"path": "b", "mode": LINK, "mtime": 0, "target": "/etc/passwd"},
    ),
    "has data before the pack": whole(file("a", spans=[[0, -100, 2]])),
    "has data beyond the pack": whole(file("a", spans=[[0, HUGE, 2]])),
    "has more data than there is": whole(file("a", spans=[[0, 0, HUGE]])),
    "has data before its beginning": whole(file("a", spans=[[-5, 0, 2]])),
    "has data at the end of the world": whole(file("a", spans=[[1 << 63, 0, 2]])),
    "has a size that no disk has": whole(file("a", size=HUGE)),
    "has a size below nothing": whole(file("a", size=-1)),
    "has spans that are none": whole(file("a", spans=[[0]])),
    "has other contents": whole(file("a", check=1)),
    "has a time of words": whole(file("a", mtime="now")),
    "has a time that is no time": whole(file("a", mtime=1 << 80)),
    "has attributes that are none": whole(file("a", xattr=["user.x"])),
    "has an attribute that is no hex": whole(file("a", xattr={"user.x": "zz"})),
    "has an attribute of a capability": whole(
        file("a", xattr={"security.capability": "0100000200000000000000000000000000000000"})
    ),
    "has an attribute that only root may set": whole(folder("a", xattr={"trusted.overlay.opaque": "79"})),
    "redirects a folder": whole(folder("a", xattr={"user.overlay.redirect": b"/../../..".hex()})),
    "takes its data from elsewhere": whole(file("a", xattr={"user.overlay.metacopy": ""})),
    "stands on what climbs": whole(chain=["../evil"]),
    "stands on a folder": whole(chain=["."]),
    "stands on itself": whole(chain=["evil"]),
    "stands on words": whole(chain="evil"),
    "stands on numbers": whole(chain=[7]),
    "stands on a layer that climbs": whole(layers=["../.."]),
    "stands on a layer by its path": whole(layers=["/etc"]),
    "stands on a layer that nobody has": whole(layers=["0123456789abcdef"]),
    "stands on layers of words": whole(layers="abc"),
    "has no index": None,
    "is a list": [],
    "lacks its parts": {},
    "has entries that are words": whole() | {"set": ["a"]},
    "takes away what cannot be": whole() | {"gone": [["a"]]},
}

HARMLESS = {"stands on itself"}
"""What may also be opened: it is no lie about anything but its own past."""


@pytest.mark.parametrize("lie", LIES)
def test_a_snapshot_brings_back_nothing_outside_if_something_in_it(
    within: Within, place: Place, tmp_path: Path, lie: str
) -> None:
    forge(place.directory / "packs", "evil", LIES[lie])
    (place.directory / "upper").mkdir()
    (place.directory / "upper" / "kept").write_text("kept")
    (place.directory / "lock").touch()
    before = everything(tmp_path)

    async def look(box: Box) -> str:
        return (await box.sh("find / -xdev -name 'planted*' -o -path /work/repo -prune; cat /work/a")).text

    try:
        said = within(look, snapshot="evil", sandboxes=BubblewrapSandboxes(shelf=tmp_path / "shelf"))
    except SandboxError:
        left = {path for path in everything(tmp_path) if "shelf" not in path}
        made = {"run/" + name for name in ("work", "empty", "gone", "net")}
        assert {path for path in left - before if path not in made and not path.startswith("run/work/")} == set()
        assert (place.directory / "upper" / "kept").read_text() == "kept"
        return
    assert lie in HARMLESS, said
    assert "root:" not in said


def everything(top: Path) -> set[str]:
    """Every path below *top*."""
    found = set()
    for folder_, folders, files in os.walk(top):
        found |= {os.path.relpath(os.path.join(folder_, name), top) for name in folders + files}  # noqa: PTH118
    return found


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[" * 100_000, b'{"chain":' + b"9" * 5000 + b"}", b"\xff", b"NaN"], ids=len
)
def test_an_index_that_is_no_text_of_one_is_damage(tmp_path: Path, body: bytes) -> None:
    forge(tmp_path / "packs", "evil", None, raw=body)

    with pytest.raises(SandboxError):
        stand(tmp_path / "packs", "evil")


ANY = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats() | some.text(max_size=8),
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(some.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
PATHS = some.sampled_from(
    ["", "a", "a/b", "a/b/c", "..", "../x", "/x", "a/../x", "a//b", ".", "b", "b/c", "\0", "\ud800"]
)
MODES = some.sampled_from([0o040755, 0o100644, 0o120777, 0o010644, 0o140755, 0o020000, 0o060600, 0, 0o104755, -1])
ENTRY = some.fixed_dictionaries(
    {"path": PATHS, "mode": MODES},
    optional={
        "mtime": some.integers(-(1 << 70), 1 << 70),
        "xattr": some.dictionaries(
            some.sampled_from(["user.a", "trusted.b", "user.overlay.redirect"]), some.text("0af", max_size=4)
        ),
        "target": PATHS,
        "link": PATHS,
        "size": some.integers(-5, 100),
        "spans": some.lists(some.lists(some.integers(-3, 90), min_size=2, max_size=4), max_size=2),
        "check": some.sampled_from([0, 1, 2052712655]),
        "of": ANY,
    },
)
INDEX = some.fixed_dictionaries(
    {
        "chain": some.just([]),
        "layers": some.just([]),
        "gone": some.lists(PATHS, max_size=2),
        "set": some.lists(ENTRY, max_size=5),
    }
)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(index=INDEX | ANY)
def test_whatever_an_index_says_is_restored_inside_or_refused(tmp_path: Path, index: Any) -> None:
    run = tmp_path / "run"
    run.mkdir(exist_ok=True)
    forge(run / "packs", "evil", index)
    try:
        restore(run, stand(run / "packs", "evil").chain, owner())
    except SandboxError:
        assert not (run / "upper.new").exists()
    assert {path.name for path in tmp_path.iterdir()} == {"run"}
    assert {path.name for path in run.iterdir()} <= {"packs", "upper"}
    remove(run / "upper")


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(body=some.binary(max_size=200), at=some.integers(0, 400), to=some.integers(0, 255))
def test_whatever_bytes_are_a_pack_are_read_or_refused(tmp_path: Path, body: bytes, at: int, to: int) -> None:
    """Bytes by chance, and one byte by chance in a sound pack."""
    forge(tmp_path, "sound", whole(folder("a"), file("a/b")))
    sound = bytearray((tmp_path / "sound").read_bytes())
    sound[at % len(sound)] = to
    for bytes_ in (body, bytes(sound)):
        (tmp_path / "evil").write_bytes(bytes_)
        try:
            with loaded(tmp_path, ["evil"]) as final:
                assert set(final) == {"", "a", "a/b"}
            read(tmp_path, "evil")
        except SandboxError:
            continue


def test_a_fork_of_a_forged_snapshot_puts_nothing_on_the_shelf(place: Place, tmp_path: Path) -> None:
    import asyncio  # noqa: PLC0415

    entries = [file(f"file{number}") for number in range(30)]
    forge(place.directory / "packs", "evil", whole(*entries, file("../planted")))

    with pytest.raises(SandboxError):
        asyncio.run(
            BubblewrapSandboxes(shelf=tmp_path / "shelf").fork(
                source=place.directory, snapshot="evil", directory=tmp_path / "fork"
            )
        )

    assert not [path for path in everything(tmp_path) if "planted" in path]
