"""Opens one sandbox per file of attacks and prints what got through; a program, so that any user can start it.

usage: drive.py HOME INSIDE [WALLS FILE.NAME…]   (with WALLS: only the named attacks, in sandboxes without those walls)
       drive.py HOME INSIDE ENGINE=RUNTIME           (all, in containers of podman or docker, made by that OCI runtime)
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import json
import os
import resource
import socket
import sys
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import host

from nightmill.sandbox import Command, Limits, Place, Sandboxes, Workspace
from nightmill.sandbox.backends.container import ContainerSandboxes
from nightmill.sandbox.backends.engine import Engine
from nightmill.sandbox.bubblewrap import BubblewrapSandboxes, bundled
from nightmill.sandbox.network.credential import Credential
from nightmill.sandbox.network.reach import Network
from nightmill.sandbox.owner import give, owner

KEY = 0x6E696768
LATE = 40.0
HALVES = ("the-proxys-own-", "secret-canary")
"""What the proxy adds; an attack is told it in two parts, so that it can look for the whole."""
STAYING = "nothing_stays"
"""How the names of those begin that end well and are judged by what they leave."""

LEFT = """
import os, time
mine, end = {1, os.getpid(), os.getppid()}, time.monotonic() + 30
def left():
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        if int(pid) not in mine:
            try:
                found.append("left: " + open(f"/proc/{pid}/stat").read()[:60])
            except OSError:
                pass
    return found
while left() and time.monotonic() < end:  # what has ended is collected a moment later
    time.sleep(0.01)
print("; ".join(left()))
"""


async def attacked(*, home: Path, inside: Path, file: str, names: list[str], env: dict[str, str]) -> dict[str, str]:
    """What each attack of *file* reached, or those of *names*."""
    directory = home / file
    directory.mkdir()
    shown = {f"/opt/attacks/{each}.py": inside / f"{each}.py" for each in ("wall", file)}
    weak = home / "bwrap"
    place = Place(directory=directory, layers=(home / "layer",), files=shown, env=env)
    if file == "network":
        place = replace(place, hosts=("localhost", "secret.example"), credentials=("own",))
    sandbox = await sandboxes(weak).open(place)
    try:
        found = await (burst(sandbox, names, wide=weak.exists()) if file == "bombs" else probed(sandbox, file, names))
        if not weak.exists():
            await sandbox.snapshot()
        return found
    finally:
        await sandbox.close()


def sandboxes(weak: Path) -> Sandboxes:
    """As the words of the command ask for."""
    own = Credential(name="own", host="secret.example", projects=("*",), secret="".join(HALVES))
    network = Network(credentials=(own,))
    backend, _, runtime = "".join(sys.argv[3:4]).partition("=")  # noqa: TID251 - a program of its own
    if backend in {"podman", "docker"}:
        engine = Engine(program=backend, environment=os.environ, runtime=runtime)  # noqa: TID251
        return ContainerSandboxes(engine, network=network)
    return BubblewrapSandboxes(bwrap=weak if weak.exists() else None, network=network)


async def probed(sandbox: Workspace, file: str, names: list[str]) -> dict[str, str]:
    """All of a file by one command, which says itself what it reached."""
    program = ("/usr/bin/python3", f"/opt/attacks/{file}.py", *names)
    ran = await sandbox.run(Command(argv=program, cwd="/work", limits=Limits(seconds=90.0, processes=200)))
    assert not ran.exit, ran.text
    found: dict[str, str] = json.loads(ran.text.splitlines()[-1])
    return found


async def burst(sandbox: Workspace, names: list[str], *, wide: bool) -> dict[str, str]:
    """Each by a command of its own, in limits that are 16 times as *wide* or its own; then what is left of it."""
    import_module("bombs")
    found, known = {}, import_module("wall").LIMITS
    assert names or not wide, "a bomb that gets through could harm the machine: only those that are named"
    for name in names or known:
        limits = {key: value * (16 if wide else 1) for key, value in known[name].items()}
        program = ("/usr/bin/python3", "/opt/attacks/bombs.py", name)
        ran = await sandbox.run(Command(argv=program, cwd="/work", limits=Limits(**limits)))
        left = await sandbox.run(Command(argv=("/usr/bin/python3", "-c", LEFT), cwd="/work"))
        ended = "" if ran.exit or ran.stopped or name.startswith(STAYING) else "it ended with 0"
        found[name] = "; ".join(filter(None, [ended, left.text.strip(), "" if ran.seconds < LATE else "it ended late"]))
    return found


def prepared(home: Path) -> Path:
    """Make what sandboxes stand on, and the file of the host that attacks look for."""
    (home / "layer" / "repo").mkdir(parents=True)
    canary = home / "canary"
    canary.write_text("canary: not for you")
    give(home / "layer", owner())
    return canary


def favour() -> None:
    """Be allowed real time and high priority, as on machines whose people make music: sandboxes could inherit that."""
    for kind, most in ((resource.RLIMIT_RTPRIO, 50), (resource.RLIMIT_NICE, 40)):
        with contextlib.suppress(ValueError, OSError):  # only some roots may
            resource.setrlimit(kind, (most, most))


def weaken(home: Path, walls: str) -> None:
    """Make the program that takes bubblewrap's place."""
    script = home / "bwrap"
    program = Path(__file__).parent / "weak.py"
    script.write_text(f'#!/bin/sh\nexec {sys.executable} {program} {bundled()} {home} {walls} "$@"\n')
    script.chmod(0o755)


def main() -> None:
    """Everything, with things of the host around that an attack could find."""
    home, inside, asked = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[4:]  # noqa: TID251 - a program of its own
    favour()
    sys.path.append(str(inside))
    canary = prepared(home)
    if asked:
        weaken(home, sys.argv[3])  # noqa: TID251
    files = sorted({each.stem for each in inside.glob("*.py")} - {"wall"})
    named = {file: [each.partition(".")[2] for each in asked if each.startswith(f"{file}.")] for file in files}
    before, changed = host.measured(home), {}
    with socket.socket(socket.AF_UNIX) as abstract, socket.create_server(("127.0.0.1", 0)) as listener:
        abstract.bind(f"\0nightmill-escape-{os.getpid()}")
        abstract.listen()
        segment = ctypes.CDLL(None).shmget(KEY, 4096, 0o1666)
        env = {"CANARY": str(canary), "ABSTRACT": f"nightmill-escape-{os.getpid()}", "SHM_KEY": str(KEY)}
        env |= {
            "SECRET_HALVES": " ".join(HALVES),
            "PORT": str(listener.getsockname()[1]),
            "HOST_PID": str(os.getpid()),
            "CORE": str(resource.getrlimit(resource.RLIMIT_CORE)[1] % (1 << 63)),
        }
        found = {}
        try:
            for file in files:
                if named[file] or not asked:
                    first = host.measured(home)
                    work = attacked(home=home, inside=inside, file=file, names=named[file], env=env)
                    found[file] = asyncio.run(work)
                    changed[file] = host.changes(first, host.measured(home))
        finally:
            ctypes.CDLL(None).shmctl(segment, 0, None)
    changed["all"] = host.changes(before, host.measured(home))
    left = sorted(os.listdir(home))  # noqa: PTH208
    told = {"user": os.getuid(), "found": found, "changed": changed, "canary": canary.read_text(), "home": left}
    sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main()
