"""Reading, writing and listing without a program."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from pathlib import Path

import pytest

from nightmill.errors import SandboxError, ToolError
from nightmill.sandbox import Command, Entry, Place
from nightmill.sandbox.runner import refuse
from tests.sandbox.box import Box, Within


def test_written_files_are_read_back_with_their_mode_kept(within: Within) -> None:
    async def scenario(box: Box) -> None:
        box_files = box.sandbox
        await box_files.write("/work/repo/new/deep/file.txt", b"one")
        assert await box_files.read("/work/repo/new/deep/file.txt", limit=100) == b"one"
        await box.sh("chmod 755 repo/kept.txt")
        await box_files.write("/work/repo/kept.txt", b"two" * 1_000_000)
        assert await box_files.read("/work/repo/kept.txt", limit=5) == b"twotw"
        assert (await box.sh("stat -c '%a %s' repo/kept.txt; ls -A repo")).text == "755 3000000\ngone\nkept.txt\nnew\n"

    within(scenario)


def test_the_layer_below_is_never_written(within: Within, place: Place) -> None:
    async def scenario(box: Box) -> None:
        await box.sandbox.write("/work/repo/kept.txt", b"changed")
        await box.sh("rm -r repo/gone")

    within(scenario)

    assert (place.layers[0] / "repo" / "kept.txt").read_text() == "kept\n"
    assert (place.layers[0] / "repo" / "gone" / "file.txt").exists()


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/work/repo/absent", "No such file"),
        ("/work/repo", "directory"),
        ("/work/fifo", "not a regular file"),
        ("/dev/zero", "not a regular file"),
        ("/work/loop", "symbolic links"),
        ("relative", "absolute path"),
        ("/work/a\0b", "absolute path"),
    ],
)
def test_what_cannot_be_read_is_told_to_the_model(within: Within, path: str, words: str) -> None:
    async def scenario(box: Box) -> None:
        await box.sh("mkfifo fifo; ln -s loop loop")
        with pytest.raises(ToolError, match=words):
            await box.sandbox.read(path, limit=10)

    within(scenario)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/work/repo", "directory"),
        ("/work/fifo", "not a regular file"),
        ("/work/repo/kept.txt/below", "Not a directory"),
        ("/usr/planted", "Read-only"),
        ("/run/nightmill/runner.pyc", "Read-only|busy"),
        ("/dev/planted", "Read-only"),
        ("/proc/self/planted", "No such file|Permission"),
    ],
)
def test_what_cannot_be_written_is_told_and_leaves_nothing(within: Within, path: str, words: str) -> None:
    async def scenario(box: Box) -> None:
        await box.sh("mkfifo fifo")
        with pytest.raises(ToolError, match=words):
            await box.sandbox.write(path, b"x")
        assert (await box.sh("find /work -name '.*.tmp'")).text == ""

    within(scenario)


def test_symbolic_links_lead_only_inside(within: Within, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")

    async def scenario(box: Box) -> None:
        await box.sh(f"ln -s {secret} link; ln -s {tmp_path} folder; ln -s /etc/passwd passwd")
        for path in ("/work/link", "/work/folder/secret", f"/proc/1/root{secret}", f"/work/../..{secret}"):
            with pytest.raises(ToolError):
                await box.sandbox.read(path, limit=100)
        assert (await box.sandbox.read("/work/passwd", limit=5)) == b"agent"
        with contextlib.suppress(ToolError):  # the same path inside is another one
            await box.sandbox.write("/work/link", b"overwritten")

    within(scenario)
    assert secret.read_text() == "secret"


def test_folders_are_listed_to_a_depth_and_a_limit(within: Within) -> None:
    async def scenario(box: Box) -> None:
        await box.sh("mkdir -p repo/.git/objects; ln -s kept.txt repo/link; chmod 000 repo/gone")
        found = await box.sandbox.list("/work/repo", depth=2, limit=100)
        kinds = {entry.path.removeprefix("/work/repo/"): entry.kind for entry in found}
        assert kinds["kept.txt"] == "file"
        assert kinds["link"] == "link"
        assert kinds[".git"] == "directory"
        assert not any(path.startswith(".git/") for path in kinds)
        assert found == sorted(found, key=lambda entry: entry.path)
        assert Entry(path="/work/repo/kept.txt", kind="file", size=5) in found
        assert len(await box.sandbox.list("/work", depth=9, limit=2)) == 2
        with pytest.raises(ToolError, match="Not a directory"):
            await box.sandbox.list("/work/repo/kept.txt", depth=1, limit=10)

    within(scenario)


def test_a_name_that_is_not_text_is_listed_as_far_as_it_is(within: Within) -> None:
    async def scenario(box: Box) -> None:
        await box.python("open(b'bad\\xff\\n\"name', 'w')")
        found = await box.sandbox.list("/work", depth=1, limit=10)
        assert any(entry.path == '/work/bad\ufffd\n"name' for entry in found)

    within(scenario)


def test_a_full_disk_is_the_sandbox_failing_and_a_full_tmp_is_not(within: Within) -> None:
    async def scenario(box: Box) -> None:
        await box.sh("head -c 600000000 /dev/zero > /tmp/full", memory=2 << 30)
        with pytest.raises(ToolError, match="No space"):
            await box.sandbox.write("/tmp/more", b"x" * 100_000)
        with pytest.raises(SandboxError, match="no disk space"):
            refuse({"op": "write", "path": "/work/x"}, {"error": "ENOSPC", "text": "No space left"})

    within(scenario)


def test_a_file_is_taken_out_whole_or_not_at_all(within: Within, tmp_path: Path) -> None:
    target = tmp_path / "out"

    async def scenario(box: Box) -> None:
        await box.sh("head -c 20000000 /dev/urandom > large; ln -s large link; mkfifo fifo; mkdir d; touch empty")
        size = await box.sandbox.export("/work/large", target, most=20_000_000)
        assert size == target.stat().st_size == 20_000_000
        said = (await box.sh("sha256sum < large")).text.split()[0]
        assert hashlib.sha256(target.read_bytes()).hexdigest() == said
        with pytest.raises(FileExistsError):
            await box.sandbox.export("/work/empty", target, most=1)
        for path, most in (("large", 19_999_999), ("fifo", 100), ("d", 100), ("none", 100)):
            with pytest.raises(ToolError):
                await box.sandbox.export(f"/work/{path}", tmp_path / "other", most=most)
            assert not (tmp_path / "other").exists()
        assert await box.sandbox.export("/work/empty", tmp_path / "other", most=0) == 0
        (tmp_path / "planted").symlink_to(tmp_path / "elsewhere")
        with pytest.raises(OSError, match="exists"):
            await box.sandbox.export("/work/empty", tmp_path / "planted", most=1)
        assert not (tmp_path / "elsewhere").exists()

    within(scenario)


def test_a_file_that_grows_for_ever_is_not_taken_out(within: Within, tmp_path: Path) -> None:
    async def scenario(box: Box) -> None:
        await box.sh("head -c 20000000 /dev/zero > large")
        ready = asyncio.Event()
        growing = Command(argv=("bash", "-c", "echo; while echo more >> large; do :; done"), cwd="/work")
        running = asyncio.create_task(box.sandbox.run(growing, output=lambda _: ready.set()))
        await ready.wait()
        with pytest.raises(ToolError, match="changes meanwhile"):
            await box.sandbox.export("/work/large", tmp_path / "out", most=1 << 30)
        assert not (tmp_path / "out").exists()
        running.cancel()

    within(scenario)
