"""Opens one sandbox per file of attacks and prints what got through; a program, so that any user can start it.

usage: drive.py HOME INSIDE
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import socket
import sys
from pathlib import Path

from nightmill.sandbox import Command, Limits, Place
from nightmill.sandbox.bubblewrap import BubblewrapSandboxes
from nightmill.sandbox.owner import give, owner

FILES = ("kernel", "files", "network")
KEY = 0x6E696768


async def attacked(home: Path, inside: Path, name: str, env: dict[str, str]) -> dict[str, str]:
    """What each attack of the file *name* reached."""
    directory = home / name
    directory.mkdir()
    shown = {f"/opt/attacks/{each}.py": inside / f"{each}.py" for each in ("wall", name)}
    hosts = ("localhost",) if name == "network" else ()
    sandbox = await BubblewrapSandboxes().open(
        Place(directory=directory, layers=(home / "layer",), files=shown, hosts=hosts, env=env)
    )
    try:
        program = ("/usr/bin/python3", f"/opt/attacks/{name}.py")
        ran = await sandbox.run(Command(argv=program, cwd="/work", limits=Limits(seconds=60.0, processes=200)))
        assert not ran.exit, ran.text
        found: dict[str, str] = json.loads(ran.text.splitlines()[-1])
        await sandbox.snapshot()
        return found
    finally:
        await sandbox.close()


def main() -> None:
    """Everything, with things of the host around that an attack could find."""
    home, inside = Path(sys.argv[1]), Path(sys.argv[2])  # noqa: TID251 - a program of its own
    (home / "layer" / "repo").mkdir(parents=True)
    give(home / "layer", owner())
    canary = home / "canary"
    canary.write_text("canary: not for you")
    descriptors = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    with socket.socket(socket.AF_UNIX) as abstract, socket.create_server(("127.0.0.1", 0)) as listener:
        abstract.bind(f"\0nightmill-escape-{os.getpid()}")
        abstract.listen()
        segment = ctypes.CDLL(None).shmget(KEY, 4096, 0o1666)
        env = {"CANARY": str(canary), "ABSTRACT": f"nightmill-escape-{os.getpid()}", "SHM_KEY": str(KEY)}
        env |= {"PORT": str(listener.getsockname()[1]), "HOST_PID": str(os.getpid())}
        try:
            found = {name: asyncio.run(attacked(home, inside, name, env)) for name in FILES}
        finally:
            ctypes.CDLL(None).shmctl(segment, 0, None)
    host = {"canary": canary.read_text(), "descriptors": len(os.listdir("/proc/self/fd")) - descriptors}  # noqa: PTH208
    host |= {"mounts": str(home) in Path("/proc/self/mountinfo").read_text(), "home": sorted(os.listdir(home))}  # noqa: PTH208
    sys.stdout.write(json.dumps({"user": os.getuid(), "found": found, "host": host}) + "\n")


if __name__ == "__main__":
    main()
