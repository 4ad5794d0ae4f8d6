"""A bubblewrap that leaves walls out: attacks that get through then, and only then, have met the wall that they name.

usage: weak.py BWRAP HOME WALLS [--args FD -- COMMAND…]   (WALLS: names, with commas between)
"""

from __future__ import annotations

import os
import sys

FLAGS = {"network": ["--unshare-net"], "ipc": ["--unshare-ipc"], "users": ["--disable-userns"], "empty": ["--clearenv"]}
"""Words that are a wall by themselves."""

DUMPABLE = """
import _ctypes, marshal, sys
real = _ctypes.call_function
_ctypes.call_function = lambda function, words: 0 if words[:2] == (4, 0) else real(function, words)
sys.argv[:] = ["runner", *sys.argv[1:]]
exec(marshal.loads(open("/run/nightmill/runner.pyc", "rb").read()[16:]), {"__name__": "__main__"})
"""
"""Starts the runner without its PR_SET_DUMPABLE, so that whoever is the same user may open it."""


def weakened(words: list[str], walls: set[str], home: str) -> list[str]:
    """The argument list of bubblewrap without *walls*."""
    dropped = {flag for wall in walls for flag in FLAGS.get(wall, [])}
    kept: list[str] = []
    at = 0
    while at < len(words):
        size = 1 + _operands(words[at])
        option, at = words[at : at + size], at + size
        covering = option[0] == "--ro-bind" and option[2].startswith("/proc")
        gone = (
            option[0] in dropped
            or (option[0] == "--seccomp" and "filter" in walls)
            or (option[0] == "--remount-ro" and "read-only" in walls)
            or (option[0] == "--cap-drop" and "capabilities" in walls)
            or (covering and "covered" in walls)
        )
        kept += [] if gone else option
    if "capabilities" in walls:
        kept += ["--cap-add", "ALL"]
    if "view" in walls:  # before the overlay, of which the words must stay together
        first = kept.index("--overlay-src")
        kept[first:first] = ["--ro-bind", home, home]
    if "order" in walls:
        kept += ["--dir", "/work/repo/evil/planted"]
    return kept


def _operands(option: str) -> int:
    """How many words follow *option*."""
    none = {"--new-session", "--as-pid-1", "--clearenv", "--die-with-parent", "--disable-userns", "--share-net"}
    two = {"--setenv", "--symlink", "--ro-bind", "--ro-bind-try", "--ro-bind-data", "--bind", "--bind-data"}
    if option in none or option.startswith("--unshare"):
        return 0
    if option == "--overlay":
        return 3
    return 2 if option in two else 1


def main() -> None:
    """Read the list, leave walls out, become bubblewrap."""
    bwrap, home, walls = sys.argv[1], sys.argv[2], set(sys.argv[3].split(","))  # noqa: TID251 - a program of its own
    words, command = sys.argv[4:], []  # noqa: TID251
    if "--" in words:
        words, command = words[: words.index("--")], words[words.index("--") + 1 :]
    with os.fdopen(int(words[1]), "rb") as file:
        listed = [os.fsdecode(word) for word in file.read().split(b"\0")[:-1]]
    body = os.memfd_create("weak", 0)
    os.write(body, b"".join(os.fsencode(word) + b"\0" for word in weakened(listed, walls, home)))
    os.lseek(body, 0, os.SEEK_SET)
    if "runner" in walls:
        command[command.index("/run/nightmill/runner.pyc")] = DUMPABLE
        command.insert(command.index(DUMPABLE), "-c")
    environment = {"CANARY_OF_THE_HOST": "canary: not for you"} if "empty" in walls else {}
    os.execve(bwrap, ["bwrap", "--args", str(body), "--", *command], environment)


if __name__ == "__main__":
    main()
