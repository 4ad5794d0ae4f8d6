"""Leaves a link to a folder of the host in a snapshot, opens it again, and prints what is in that folder then.

usage: plant.py HOME [WALLS]   (with WALLS: the second time by a bubblewrap that leaves them out)
"""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import replace
from pathlib import Path

from nightmill.sandbox import Command, Place
from nightmill.sandbox.bubblewrap import BubblewrapSandboxes, bundled
from nightmill.sandbox.owner import give, owner

NAMES = ("repo/evil", "home", "env", "evil", "repo/.git", "tmp", "etc")


async def main() -> None:
    """Plant, and look."""
    home, walls = Path(sys.argv[1]), "".join(sys.argv[2:])  # noqa: TID251 - a program of its own
    victim, layer, run = home / "victim", home / "layer", home / "run"
    for folder in (victim, layer / "repo", run):
        folder.mkdir(parents=True)
    tool = home / "tool"
    tool.write_text("#!/bin/sh\n")
    tool.chmod(0o755)
    give(layer, owner())
    place = Place(directory=run, layers=(layer,), tools={"tool": tool}, files={"/opt/told": tool}, hosts=("localhost",))
    first = await BubblewrapSandboxes().open(place)
    script = "rm -rf home; " + "; ".join(f"ln -s /oldroot{victim} {name}" for name in NAMES)
    await first.run(Command(argv=("bash", "-c", script), cwd="/work"))
    snapshot = await first.snapshot()
    await first.close()
    weak = home / "bwrap"
    if walls:
        program = Path(__file__).parent / "weak.py"
        weak.write_text(f'#!/bin/sh\nexec {sys.executable} {program} {bundled()} {home} {walls} "$@"\n')
        weak.chmod(0o755)
    sandboxes = BubblewrapSandboxes(bwrap=weak if walls else None)
    second = await sandboxes.open(replace(place, snapshot=snapshot))
    await second.write("/work/repo/new/file", b"x")
    await second.close()
    sys.stdout.write(json.dumps({"victim": [path.name for path in victim.iterdir()]}) + "\n")


asyncio.run(main())
