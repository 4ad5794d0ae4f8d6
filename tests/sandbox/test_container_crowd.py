"""The processes of a command in a container are counted by themselves."""

from __future__ import annotations

import asyncio
from pathlib import Path

from nightmill.sandbox import Place
from tests.sandbox.box import Box, Within
from tests.sandbox.test_container import Make, make, program

__all__ = ["make", "program"]


def test_what_runs_in_one_container_takes_no_process_from_the_commands_of_another(
    make: Make, within: Within, tmp_path: Path
) -> None:
    async def scenario(box: Box) -> None:
        place = Place(directory=tmp_path / "other", layers=box.place.layers)
        place.directory.mkdir()
        other = Box(await make().open(place), place)  # type: ignore[arg-type]
        try:
            crowd = asyncio.create_task(other.sh("for i in $(seq 80); do sleep 987657 & done; wait", processes=100))
            while (await other.sh("ps -e -o args | grep -c '^sleep 987657'")).text != "80\n":
                assert not crowd.done()
            ran = await box.sh("for i in $(seq 30); do true & done; wait; echo all", processes=60)
            crowd.cancel()
            assert (ran.text, ran.stopped) == ("all\n", "")
        finally:
            await other.sandbox.close()

    within(scenario, sandboxes=make())


def test_what_starts_too_many_processes_or_threads_is_stopped(make: Make, within: Within) -> None:
    forked = "import os, time\nfor _ in range(40): os.fork() or (time.sleep(60), os._exit(0))\ntime.sleep(60)"
    threads = "import threading as t\ne = t.Event()\nfor _ in range(40): t.Thread(target=e.wait, daemon=True).start()\ne.wait()"

    async def scenario(box: Box) -> None:
        for text in (forked, threads):
            ran = await box.python(text, processes=30)
            assert ran.stopped == "processes" or (not ran.stopped and ran.exit), "the kernel refuses it where it can"
            assert (await box.sh("for i in $(seq 20); do true & done; wait; echo all", processes=30)).text == "all\n"

    within(scenario, sandboxes=make())
