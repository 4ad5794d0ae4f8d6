"""The macOS backend on Linux, without any wall (see `unwalled`): files, snapshots, forks, as plain copies and not as clones of APFS."""

from __future__ import annotations

import asyncio
import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from nightmill.errors import SandboxError, ToolError
from nightmill.sandbox import Place, Service
from nightmill.sandbox.backends.mac import MacSandbox, MacSandboxes
from nightmill.sandbox.backends.names import Names, settle
from nightmill.sandbox.disk.layers import freeze
from tests.sandbox.unwalled import UNWALLED, Desk, given, lives, unwalled, within, written

LISTING = "cd /work && find . ! -name .nightmill-place -printf '%p %y %m %s %T@ %l\\n' | sort"

NAMES = Names({"/work": Path('/real/it\'s a "run"/upper'), "/tmp": Path("/private/tmp/mill-1")})
WORK = '/real/it\'s a "run"/upper'


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return given(tmp_path)


def test_files_are_read_written_listed_and_taken_out_by_their_names_inside(place: Place, tmp_path: Path) -> None:
    async def scenario(desk: Desk) -> None:
        box = desk.sandbox
        await box.write("/work/repo/new folder/a (/tmp b.txt", b"body")
        assert await box.read("/work/repo/new folder/a (/tmp b.txt", limit=3) == b"bod"
        listed = await box.list("/work/repo/new folder", depth=2, limit=9)
        assert [(each.path, each.kind, each.size) for each in listed] == [
            ("/work/repo/new folder/a (", "directory", listed[0].size),
            ("/work/repo/new folder/a (/tmp b.txt", "file", 4),
        ]
        assert await box.export("/work/repo/kept.txt", tmp_path / "out", most=99) == 5
        assert (tmp_path / "out").read_bytes() == b"kept\n"
        for refused in (
            box.read("/work/absent", limit=9),
            box.export("/work/repo/kept.txt", tmp_path / "more", most=1),
            box.list("/work/repo/kept.txt", depth=1, limit=9),
        ):
            with pytest.raises(ToolError, match="'/work/"):
                await refused
        assert not (tmp_path / "more").exists()

    within(place, scenario)


def test_a_snapshot_comes_back_whole_here_and_in_another_sandbox(place: Place) -> None:
    change = "rm -r repo/gone; echo new > repo/new; chmod 755 repo/new; ln -s kept.txt repo/link; mkfifo pipe; mkdir -m 700 shut"

    async def first(desk: Desk) -> tuple[str, str, str]:
        before = await desk.sandbox.snapshot()
        assert await desk.sandbox.snapshot() == before
        await desk.sh(change)
        after = await desk.sandbox.snapshot()
        wanted = (await desk.sh(LISTING)).text
        assert after != before
        assert "./repo/link l" in wanted
        await desk.sh("echo lost > repo/kept.txt; touch lost")
        await desk.sandbox.roll_back(before)
        assert (await desk.sh("cat repo/kept.txt; ls repo; ls")).text == "kept\ngone\nkept.txt\nhome\nrepo\n"
        await desk.sandbox.roll_back(after)
        assert (await desk.sh(LISTING)).text == wanted
        assert await desk.sandbox.snapshot() == after
        await desk.sandbox.roll_back("")
        assert (await desk.sh("ls repo")).text == "gone\nkept.txt\n"
        return before, after, wanted

    before, after, wanted = within(place, first)

    async def second(desk: Desk) -> None:
        assert (await desk.sh(LISTING)).text == wanted
        await desk.sandbox.roll_back(before)
        assert "gone" in (await desk.sh("ls repo")).text

    within(place, second, snapshot=after)
    assert sorted(path.name for path in place.layers[0].joinpath("repo").iterdir()) == ["gone", "kept.txt"]


def test_a_roll_back_to_nothing_known_leaves_the_sandbox_where_it_was(place: Place) -> None:
    async def scenario(desk: Desk) -> None:
        await desk.sh("echo here > it")
        for unknown in ("0123456789abcdef", "../../layer", "."):
            with pytest.raises(SandboxError, match="not there"):
                await desk.sandbox.roll_back(unknown)
        assert (await desk.sh("cat it")).text == "here\n"

    within(place, scenario)


def test_a_copy_that_fails_is_no_snapshot_and_what_it_left_goes(place: Place) -> None:
    copies = 'cp --archive "$1" "$2" && ! test -e "$1/fail" || { echo no room >&2; exit 1; }'
    failing = MacSandboxes(programs=replace(UNWALLED, clone=("/bin/sh", "-c", copies, "cp")))

    async def scenario(desk: Desk) -> str:
        kept = await desk.sandbox.snapshot()
        await desk.sh("touch fail")
        with pytest.raises(SandboxError, match="no room"):
            await desk.sandbox.snapshot()
        assert [path.name for path in (place.directory / "clones").iterdir()] == [kept]
        await desk.sh("rm fail")
        assert await desk.sandbox.snapshot() != kept
        return kept

    kept = within(place, scenario, sandboxes=failing)
    (place.directory / "clones" / "cut-off.tmp").mkdir()
    within(place, nothing, snapshot=kept)
    assert not list((place.directory / "clones").glob("*.tmp"))


def test_services_are_stopped_for_a_copy_and_started_again_and_left_alone_if_nothing_changed(place: Place) -> None:
    program = "echo $$ > /tmp/pid; trap 'echo clean > /work/state; exit' TERM; echo open > /work/state; while :; do sleep 0.02; done"
    service = Service(name="it", run=program, ready="grep open /work/state", cwd="/work")

    async def scenario(desk: Desk) -> None:
        pid = desk.sandbox.tmp / "pid"
        first = await written(pid)
        kept = await desk.sandbox.snapshot()
        assert (place.directory / "clones" / kept / "state").read_text() == "clean\n"
        assert not lives(first)
        again = await written(pid)
        assert lives(again)
        assert desk.sandbox.services.states()[0].state == "ready"
        await desk.sandbox.services.stop()
        settled = await desk.sandbox.snapshot()
        assert await desk.sandbox.snapshot() == settled
        assert desk.sandbox.services.states()[0].state == "ended"
        await desk.sandbox.roll_back(kept)
        assert desk.sandbox.services.states()[0].state == "ready"
        assert lives(await written(pid))

    within(place, scenario, services=(service,))


def test_two_forks_of_one_snapshot_part_and_their_source_may_be_live(place: Place, tmp_path: Path) -> None:
    async def whole() -> None:
        source = await unwalled().open(place)
        assert isinstance(source, MacSandbox)
        desk = Desk(source, place)
        await desk.sh("echo common > it")
        kept = await source.snapshot()
        await desk.sh("echo source > it")
        opened = []
        for name in ("one", "two"):
            directory = tmp_path / name
            found = await unwalled().fork(source=place.directory, snapshot=kept, directory=directory)
            assert await unwalled().fork(source=place.directory, snapshot=kept, directory=directory) == found
            fork = await unwalled().open(replace(place, directory=directory, snapshot=found))
            assert isinstance(fork, MacSandbox)
            opened.append(Desk(fork, place))
            assert (await opened[-1].sh(f"cat it; echo {name} > it")).text == "common\n"
        assert [(await each.sh("cat it")).text for each in (desk, *opened)] == ["source\n", "one\n", "two\n"]
        with pytest.raises(SandboxError, match="in use"):
            await unwalled().destroy(tmp_path / "one")
        for each in (desk, *opened):
            await each.sandbox.close()
        await unwalled().destroy(tmp_path / "one")
        assert not (tmp_path / "one").exists()
        with pytest.raises(SandboxError, match="not there"):
            await unwalled().fork(source=place.directory, snapshot="0123456789abcdef", directory=tmp_path / "three")

    asyncio.run(whole())


def test_an_environment_works_where_it_is_copied_to(place: Place, tmp_path: Path) -> None:
    build = """set -e
    python3 -m venv --without-pip /work/env
    printf '#!/work/env/bin/python\\nimport sys; print(sys.prefix)\\n' > env/bin/hello
    chmod 555 env/bin/hello
    ln -s /work/env/bin/hello /work/env/bin/again
    printf 'binary\\0/work/env' > env/binary"""

    async def first(desk: Desk) -> None:
        ran = await desk.sh(build)
        assert not ran.exit, ran.text
        assert (await desk.sh("hello; again")).text == "/work/env\n/work/env\n"

    within(replace(place, layers=()), first)
    freeze(place.directory, tmp_path / "base" / "layer")
    base = replace(place, directory=tmp_path / "later", layers=(tmp_path / "base" / "layer",))
    base.directory.mkdir()

    async def second(desk: Desk) -> None:
        assert (await desk.sh("hello; again; python -c 'import sys; print(sys.prefix)'")).text == "/work/env\n" * 3
        status = (base.directory / "upper" / "env/bin/hello").stat()
        assert stat.S_IMODE(status.st_mode) == 0o555
        assert status.st_mtime_ns == (base.layers[0] / "env/bin/hello").stat().st_mtime_ns
        said = await desk.sh(f"grep -rl {place.directory} env")
        assert said.text == "", "but for what is no text"

    within(base, second)


def test_a_lie_about_where_a_folder_was_changes_nothing_outside_it(tmp_path: Path) -> None:
    top, secret = tmp_path / "top", tmp_path / "secret"
    secret.write_text("/was here\n")
    for lie in (str(tmp_path), "/", "", "/was\n", "x" * 5000):
        top.mkdir()
        (top / "link").symlink_to(secret)
        (top / "folder").symlink_to(tmp_path)
        (top / ".nightmill-place").write_text(lie)
        settle(top)
        assert (top / ".nightmill-place").read_text() == str(top)
        (top / ".nightmill-place").unlink()
        (top / ".nightmill-place").symlink_to(secret)
        settle(top)
        assert not (top / ".nightmill-place").is_symlink()
        for path in top.iterdir():
            path.unlink()
        top.rmdir()
    assert secret.read_text() == "/was here\n"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("/work", WORK),
        ("cd /work/repo && x", f"cd {WORK}/repo && x"),
        ("PATH=/work/env/bin:/work/x:/usr/bin", f"PATH={WORK}/env/bin:{WORK}/x:/usr/bin"),
        ("cat '/tmp/a b' >/tmp/c", "cat '/private/tmp/mill-1/a b' >/private/tmp/mill-1/c"),
        ("--root=/work,(/work)", f"--root={WORK},({WORK})"),
        ("/workshop /work-x /work.d /home/work ./work ~/work */work ${X}/work //work a/tmp", ""),
        (f"{WORK}/repo /private/tmp/mill-1/x", ""),
    ],
)
def test_a_name_is_taken_for_its_place_where_no_longer_path_goes_on(text: str, wanted: str) -> None:
    assert NAMES.words(text) == (wanted or text)
    assert NAMES.words(NAMES.words(text)) == NAMES.words(text)


def test_what_is_told_has_the_names_again() -> None:
    said = f"{WORK}/repo/a.py:3 {WORK} {WORK}x /private/tmp/mill-1/y \xff".encode("latin-1")

    assert NAMES.told(said) == f"/work/repo/a.py:3 /work {WORK}x /tmp/y \xff".encode("latin-1")
    assert NAMES.path("/work/a (/tmp") == f"{WORK}/a (/tmp"
    assert NAMES.path("/workshop") == "/workshop"


def test_the_folder_of_temporary_files_is_this_users_alone_and_goes_at_the_end(place: Place) -> None:
    async def scenario(desk: Desk) -> Path:
        tmp = desk.sandbox.tmp
        assert stat.S_IMODE(tmp.stat().st_mode) == 0o700
        assert len(os.fsencode(tmp / ".s.PGSQL.5432")) < 104
        return tmp

    assert not within(place, scenario).exists()


async def nothing(desk: Desk) -> None:
    """Open and close."""
