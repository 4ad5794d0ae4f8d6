"""Control groups: found where they may be made, removed when their sandbox is gone, and gone without when there are none."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from nightmill.errors import SandboxError
from nightmill.sandbox import Command, Limits, Place
from nightmill.sandbox.bubblewrap import BubblewrapSandboxes
from nightmill.sandbox.cgroup import Groups, Tree, find, locate, sweep
from nightmill.sandbox.nouns import Service
from tests.sandbox.box import Box, Within
from tests.sandbox.test_life import HOST

grouped = pytest.mark.skipif(not find().memory, reason=f"no control groups here: {find().why}")

HOLD = "kept = bytearray({0} << 20); kept[::4096] = b'x' * len(kept[::4096])"
OWN = "12:pids:/a.slice\n4:memory:/user/b\n3:cpu,cpuacct:/\n0::/user.slice/user-1.slice/x.scope\n"
MOUNTS = (
    "29 28 0:25 / /sys/fs/cgroup ro - tmpfs tmpfs rw\n"
    "30 29 0:26 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw,nsdelegate\n"
    "31 29 0:27 /user /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory\n"
    "32 29 0:28 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
    "33 29 0:29 /b.slice /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n"
)


def test_the_groups_of_a_process_are_found_below_what_is_mounted() -> None:
    places = locate(OWN, MOUNTS)

    assert places[""] == Path("/sys/fs/cgroup/unified/user.slice/user-1.slice/x.scope")
    assert places["memory"] == Path("/sys/fs/cgroup/memory/b")
    assert places["cpu"] == Path("/sys/fs/cgroup/cpu,cpuacct")
    assert "pids" not in places  # mounted is another part of that tree
    assert locate("0::/\n", "30 29 0:26 / /sys/fs/cgroup rw - cgroup2 none rw\n") == {"": Path("/sys/fs/cgroup")}


@grouped
def test_commands_that_run_at_once_do_not_share_their_memory(within: Within) -> None:
    async def scenario(box: Box) -> list[str]:
        import asyncio  # noqa: PLC0415 - of this scenario only

        small = box.python(f"{HOLD.format(150)}; print('small')", memory=200 << 20)
        large = box.python(f"{HOLD.format(400)}; print('large')", memory=100 << 20)
        return [each.stopped or each.text for each in await asyncio.gather(small, large)]

    assert within(scenario) == ["small\n", "memory"]


@grouped
def test_memory_that_the_kernel_takes_from_one_process_ends_the_whole_command(within: Within) -> None:
    worker = f"import os, time\nif not os.fork():\n    {HOLD.format(300)}\nos.wait(); print('went on', flush=True); time.sleep(60)"

    async def scenario(box: Box) -> tuple[str, str]:
        ended = await box.python(worker, memory=100 << 20, seconds=50)
        return ended.stopped, (await box.sh("ps -e -o args | grep -c '[w]ent on'; true")).text

    assert within(scenario) == ("memory", "0\n")


@grouped
def test_a_kill_that_the_command_made_itself_is_no_memory_limit(within: Within) -> None:
    async def scenario(box: Box) -> tuple[int, str]:
        ended = await box.sh("kill -9 $$")
        return ended.exit, ended.stopped

    assert within(scenario) == (-9, "")


@grouped
def test_a_service_has_a_group_of_its_own(within: Within) -> None:
    hungry = Service(name="hungry", run=f'sleep 0.3; exec python3 -c "{HOLD.format(300)}"', memory=100 << 20)

    async def scenario(box: Box) -> str:
        live = box.sandbox.services.live["hungry"]
        await live.answer
        return box.sandbox.services.states()[0].reason

    assert "memory" in within(scenario, services=(hungry,))


@grouped
def test_threads_are_not_taken_for_memory(within: Within) -> None:
    text = "import threading, time\nfor _ in range(60): threading.Thread(target=time.sleep, args=(1,)).start()\nprint('all')"

    async def scenario(box: Box) -> str:
        return (await box.python(text, memory=128 << 20)).text

    assert within(scenario) == "all\n"


def test_without_groups_each_process_is_bounded_and_the_tree_is_watched(within: Within) -> None:
    tree = f"import os, time\nfor _ in range(4):\n  if not os.fork():\n    {HOLD.format(120)}; time.sleep(60)\ntime.sleep(60)"

    async def scenario(box: Box) -> None:
        alone = await box.python("bytearray(400 << 20)", memory=256 << 20)
        assert (alone.exit, "MemoryError" in alone.text) == (1, True)
        assert (await box.python(tree, memory=256 << 20, seconds=60)).stopped == "memory"

    within(scenario, sandboxes=BubblewrapSandboxes(tree=Tree()))


@grouped
def test_the_groups_of_a_killed_nightmill_go_with_the_next_look(place: Place) -> None:
    def groups() -> set[str]:
        return {each.name for each in find().folders[0].glob("nightmill-*")}

    command = [sys.executable, "-c", HOST, str(place.directory), "", "true", "hold"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as host:
        assert host.stdout is not None
        try:
            number = int(host.stdout.readline().split()[1])
            init = os.pidfd_open(number)
            made = set(re.findall(r"/(nightmill-[0-9a-f]+)", Path(f"/proc/{number}/cgroup").read_text()))
            sweep(find())
            assert made <= groups()  # of one that lives, nothing is removed
        finally:
            host.kill()
    signal_end(init)

    left = made
    while left:  # the kernel lets a group go once the last of it is buried
        sweep(find())
        left = made & groups()
    assert made


def signal_end(init: int) -> None:
    """Wait until a process has ended."""
    import select  # noqa: PLC0415 - of this test only

    assert select.select([init], [], [], 30)[0]
    os.close(init)


@grouped
def test_what_commands_leave_in_memory_is_bounded_for_all_of_them_together() -> None:
    groups = Groups(find(), spare=64 << 20)
    program = f"import os, sys\nsys.stdin.read(1)\n{HOLD.format(200)}\nprint('got it')"
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        for folder in groups.rest.tree.folders:
            (folder / "cgroup.procs").write_text(str(process.pid))
        said, _ = process.communicate(b"x")
    try:
        assert (process.returncode, said) == (-signal.SIGKILL, b"")
        assert groups.rest.killed()
    finally:
        groups.close()


@grouped
def test_the_group_of_the_next_command_is_there_before_it_and_that_of_the_last_is_gone() -> None:
    tree, usual, other = find(), Limits(memory=100 << 20, processes=20), Limits(memory=200 << 20, processes=20)
    groups = Groups(tree, spare=64 << 20)
    above = groups.top.memory
    assert above is not None

    def bounds() -> dict[str, int]:
        file = "memory.max" if tree.version == 2 else "memory.limit_in_bytes"
        return {each.parent.name: int(each.read_text()) for each in above.glob(f"[0-9]*/{file}")}

    try:
        first = groups.admit(1, usual)
        groups.release(first)
        groups.tidy(usual)
        assert list(bounds().values()) == [usual.memory]
        (waiting,) = bounds()
        second = groups.admit(2, usual)
        assert second.tree.memory == above / waiting

        third = groups.admit(3, other)  # beside it: none was ready, and none is taken that bounds otherwise
        assert sorted(bounds().values()) == [usual.memory, other.memory]
        assert groups.most == (64 << 20) + usual.memory + other.memory

        groups.release(second)
        groups.release(third)
        groups.tidy(usual)
        groups.tidy(other)
        groups.tidy(other)
        assert list(bounds().values()) == [other.memory]
    finally:
        groups.close()
    assert not above.exists()
    groups.tidy(usual)
    assert not above.exists()


@grouped
def test_a_command_that_cannot_be_put_into_a_group_does_not_begin(within: Within) -> None:
    async def scenario(box: Box) -> str:
        processes = box.sandbox.processes
        assert processes is not None
        assert processes.groups is not None
        processes.groups.top = Tree(Path("/nowhere"), Path("/nowhere"), 1)
        command = Command(argv=("touch", "/work/begun"), cwd="/work", limits=Limits(memory=1 << 20))
        with pytest.raises(SandboxError, match="cannot be bounded"):
            await box.sandbox.run(command)
        return ",".join(sorted(each.path for each in await box.sandbox.list("/work", depth=1, limit=100)))

    assert "begun" not in within(scenario)
