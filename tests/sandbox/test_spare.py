"""A spare: a whole sandbox that nobody was in, given away once, to who asks for the same, and gone with its worker."""

from __future__ import annotations

import asyncio
import os
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from nightmill.sandbox import Command, Place, spare
from nightmill.sandbox.bubblewrap import BubblewrapSandboxes
from nightmill.sandbox.disk.folder import lock
from nightmill.sandbox.disk.layers import remove
from nightmill.sandbox.live import LiveSandbox
from nightmill.sandbox.owner import give, owner
from nightmill.sandbox.spare import Spare, leftovers
from tests.sandbox.test_walls import attack, stood

KILLED = """
import asyncio, sys
from pathlib import Path
from nightmill.sandbox import Place
from tests.sandbox.test_spare import opened, ready, sandboxes_in

async def main():
    home = Path(sys.argv[1])
    made = sandboxes_in(home)
    await (await opened(made, Place(directory=home / 'first', layers=(home / 'layer',)))).close()
    spare = await ready(made)
    await spare.started[0].find()
    print(spare.started[0].init_pid, flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


def sandboxes_in(home: Path) -> BubblewrapSandboxes:
    """Some that keep a spare, on the shelf in *home*."""
    made = BubblewrapSandboxes(shelf=home / "shelf")
    made.ahead()
    return made


async def opened(made: BubblewrapSandboxes, place: Place) -> LiveSandbox:
    """A sandbox in a new folder."""
    place.directory.mkdir(exist_ok=True)
    sandbox = await made.open(place)
    assert isinstance(sandbox, LiveSandbox)
    return sandbox


async def ready(made: BubblewrapSandboxes) -> Spare:
    """The spare, once its runner answers."""
    assert made.spares is not None
    while made.spares.spare is None:  # noqa: ASYNC110 - nobody tells
        await asyncio.sleep(0.01)
    spare = made.spares.spare
    while not select.select([spare.started[1]], [], [], 0)[0]:  # noqa: ASYNC110 - what there is to read is another's
        await asyncio.sleep(0.01)
    return spare


def with_spare(
    place: Place, scenario: Callable[[BubblewrapSandboxes, Spare], Awaitable[None]], tmp_path: Path
) -> BubblewrapSandboxes:
    """Run *scenario* where a sandbox was opened and closed on *place*'s layers, and a spare is ready; end all."""
    made = sandboxes_in(tmp_path)

    async def whole() -> None:
        try:
            await (await opened(made, replace(place, directory=tmp_path / "first"))).close()
            await scenario(made, await ready(made))
        finally:
            await made.close()

    asyncio.run(whole())
    assert leftovers(tmp_path / "shelf") == []
    return made


def is_of(sandbox: LiveSandbox, spare: Spare) -> bool:
    """Whether the sandbox is what the spare was."""
    return sandbox.processes is spare.started[0]


async def said(sandbox: LiveSandbox, text: str) -> str:
    """What a shell says to *text* in /work/repo."""
    return (await sandbox.run(Command(argv=("bash", "-c", text)))).text


def test_the_next_sandbox_on_a_base_is_the_spare_in_the_run_s_own_folder(place: Place, tmp_path: Path) -> None:
    async def scenario(made: BubblewrapSandboxes, spare: Spare) -> None:
        sandbox = await opened(made, place)
        assert is_of(sandbox, spare)
        assert await said(sandbox, "cat kept.txt; echo new > new.txt; rm -r gone; mv kept.txt moved.txt; ls") == (
            "kept\nmoved.txt\nnew.txt\n"
        )
        assert (place.directory / "upper/repo/new.txt").read_text() == "new\n"
        snapshot = await sandbox.snapshot()
        await said(sandbox, "rm new.txt; echo changed > moved.txt")
        await sandbox.roll_back(snapshot)
        assert await said(sandbox, "cat new.txt moved.txt; ls") == "new\nkept\nmoved.txt\nnew.txt\n"
        await sandbox.close()
        again = await opened(made, replace(place, snapshot=snapshot))
        assert await said(again, "ls") == "moved.txt\nnew.txt\n"
        await again.close()

    with_spare(place, scenario, tmp_path)


def test_the_walls_hold_in_a_spare(place: Place, tmp_path: Path) -> None:
    async def scenario(made: BubblewrapSandboxes, spare: Spare) -> None:
        sandbox = await opened(made, place)
        assert is_of(sandbox, spare)
        with attack() as command:
            stood(await sandbox.run(command))
        await sandbox.close()

    with_spare(place, scenario, tmp_path)


def test_a_spare_is_given_to_one_of_many_who_ask_at_once(place: Place, tmp_path: Path) -> None:
    async def scenario(made: BubblewrapSandboxes, spare: Spare) -> None:
        places = [replace(place, directory=tmp_path / f"run{number}") for number in range(4)]
        found = await asyncio.gather(*(opened(made, each) for each in places))
        assert sum(is_of(each, spare) for each in found) == 1
        await asyncio.gather(*(said(each, f"echo {number} > mine") for number, each in enumerate(found)))
        assert [await said(each, "cat mine; ls /tmp") for each in found] == ["0\n", "1\n", "2\n", "3\n"]
        await asyncio.gather(*(each.close() for each in found))

    with_spare(place, scenario, tmp_path)


def test_whoever_asks_for_something_else_is_not_given_it(place: Place, tmp_path: Path) -> None:
    other, tool = tmp_path / "other", tmp_path / "tool"
    (other / "repo").mkdir(parents=True)
    give(other, owner())
    tool.write_text("#!/bin/sh\n")
    tool.chmod(0o755)

    async def scenario(made: BubblewrapSandboxes, spare: Spare) -> None:
        asked = [
            replace(place, layers=(other,)),
            replace(place, layers=(*place.layers, other)),
            replace(place, tools={"tool": tool}),
            replace(place, hosts=("example.org",)),
            replace(place, trusted=b"-----BEGIN CERTIFICATE-----"),
        ]
        for number, each in enumerate(asked):
            sandbox = await opened(made, replace(each, directory=tmp_path / f"run{number}"))
            assert not is_of(sandbox, spare)
            await sandbox.close()

    with_spare(place, scenario, tmp_path)


def test_a_sandbox_that_shows_a_file_of_its_own_run_takes_no_spare_from_the_next(place: Place, tmp_path: Path) -> None:
    own = tmp_path / "proof" / "commit.bundle"
    own.parent.mkdir()
    own.write_bytes(b"")
    proof = replace(place, directory=own.parent / "run", files={"/mnt/nightmill/base.bundle": own})

    async def scenario(made: BubblewrapSandboxes, spare: Spare) -> None:
        assert made.spares is not None
        waits = made.spares.timer
        sandbox = await opened(made, proof)
        assert not is_of(sandbox, spare)
        await sandbox.close()
        assert made.spares.timer is waits  # else it would soon be ended for another that nobody can be given
        sandbox = await opened(made, place)
        assert is_of(sandbox, spare)
        await sandbox.close()

    with_spare(place, scenario, tmp_path)


def test_a_base_that_was_built_again_by_its_name_is_another(place: Place, tmp_path: Path) -> None:
    async def scenario(made: BubblewrapSandboxes, spare: Spare) -> None:
        remove(place.layers[0])
        (place.layers[0] / "repo").mkdir(parents=True)
        (place.layers[0] / "repo" / "built.txt").write_text("again\n")
        give(place.layers[0], owner())
        sandbox = await opened(made, place)
        assert not is_of(sandbox, spare)
        assert await said(sandbox, "cat *") == "again\n"
        await sandbox.close()

    with_spare(place, scenario, tmp_path)


def test_a_spare_that_has_ended_is_not_given_away(place: Place, tmp_path: Path) -> None:
    async def scenario(made: BubblewrapSandboxes, spare: Spare) -> None:
        processes, sock = spare.started
        processes.process.kill()
        while sock.recv(1 << 16):  # the runner's first word, then its end
            pass
        sandbox = await opened(made, place)
        assert not is_of(sandbox, spare)
        assert await said(sandbox, "cat kept.txt") == "kept\n"
        await sandbox.close()

    with_spare(place, scenario, tmp_path)


def test_a_spare_ends_with_its_worker_and_what_is_left_of_it_goes_with_the_next(place: Place, tmp_path: Path) -> None:
    command = [sys.executable, "-c", KILLED, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]) as worker:
        assert worker.stdout is not None
        init = os.pidfd_open(int(worker.stdout.readline()))
        assert leftovers(tmp_path / "shelf") == []  # of one that lives nothing is touched
        assert len(list((tmp_path / "shelf").glob(".spare-*"))) == 1
        worker.send_signal(signal.SIGKILL)
    assert select.select([init], [], [], 30)[0]
    os.close(init)

    with_spare(place, kept_one, tmp_path)


async def kept_one(_: BubblewrapSandboxes, spare: Spare) -> None:
    """The spare's own folder is the only one there is."""
    assert list(spare.directory.parent.glob(".spare-*")) == [spare.directory]


def test_a_spare_that_nobody_waited_for_is_ended(place: Place, tmp_path: Path) -> None:
    async def scenario(made: BubblewrapSandboxes, spare: Spare) -> None:
        await spare.started[0].find()
        init = os.pidfd_open(spare.started[0].init_pid)
        await made.close()
        assert select.select([init], [], [], 0)[0]
        os.close(init)

    with_spare(place, scenario, tmp_path)


@pytest.mark.parametrize("shelf", [None, Path("/dev/shm")])
def test_without_a_shelf_on_the_disk_of_the_runs_there_is_no_spare(place: Place, shelf: Path | None) -> None:
    async def scenario() -> None:
        made = BubblewrapSandboxes(shelf=shelf and shelf / f"nightmill-{os.getpid()}")
        made.ahead()
        sandbox = await opened(made, place)
        if made.spares:
            made.spares.pause = 0.0
            made.spares.want(place)
            await asyncio.sleep(0.01)
            assert made.spares.spare is None
        await sandbox.close()
        await made.close()

    asyncio.run(scenario())
    if shelf:
        remove(shelf / f"nightmill-{os.getpid()}")


def test_a_folder_that_another_worker_took_for_left_over_fails_nobody(tmp_path: Path) -> None:
    """Of a thousand runs by two workers two ended for it."""
    directory = tmp_path / ".spare-0"
    directory.mkdir()
    held = lock(directory)
    os.close(held)
    held = lock(directory)
    assert spare.leftovers(tmp_path) == [], "it is held"
    shutil.rmtree(directory)

    spare._clear(directory, held)

    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(held)
