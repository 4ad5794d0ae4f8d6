"""What is left of a sandbox whose nightmill was killed at the worst moment of its start goes with the next worker."""

from __future__ import annotations

import os
import select
import subprocess

from nightmill.sandbox.bubblewrap import bundled
from nightmill.sandbox.orphans import sweep
from tests.sandbox.box import Box, Within

WORDS = ("--unshare-user", "--unshare-pid", "--ro-bind", "/", "/", "--as-pid-1")


def left_over() -> int:
    """A bwrap that waits for ever, its parent killed; a descriptor of it."""
    waiting, release = os.pipe()
    told, telling = os.pipe()
    command = [str(bundled()), *WORDS, "--block-fd", str(waiting), "--info-fd", str(telling), "--", "/bin/true"]
    with subprocess.Popen(command, pass_fds=(waiting, release, telling)) as outer:
        try:
            pid = int(os.read(told, 1000).decode().split(":")[1].strip(" },\n").split(",")[0])
            held = os.pidfd_open(pid)
        finally:
            outer.kill()
    for fd in (waiting, release, told, telling):
        os.close(fd)
    return held


def waited(held: int) -> bool:
    return bool(select.select([held], [], [], 0.1)[0])


def swept(held: int) -> bool:
    """Whether it is gone; others on this machine may have left some, too."""
    sweep(bundled(), older=1.0)
    return waited(held)


def test_a_left_over_is_ended_and_a_living_sandbox_is_not(within: Within) -> None:
    async def scenario(box: Box) -> None:
        held = left_over()
        try:
            sweep(bundled(), older=3600.0)
            assert not waited(held)
            assert any(swept(held) for _ in range(100))
            assert (await box.sh("echo alive")).text == "alive\n"
        finally:
            os.close(held)

    within(scenario)
