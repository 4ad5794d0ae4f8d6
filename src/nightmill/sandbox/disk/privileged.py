"""Read what an agent made unreadable: its files are ours, but mode 000 stops their owner too.

Only then a child process makes a user namespace of its own, in which it may read all files of this user, and
does the work there. It costs some 50 ms, so nothing comes here that can be read as it is.
"""

from __future__ import annotations

import ctypes
import marshal
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from nightmill.errors import SandboxError
from nightmill.sandbox.disk.flatten import flatten
from nightmill.sandbox.disk.layers import remove
from nightmill.sandbox.disk.scan import Below, Seen, record, scan, space

__all__ = ["flatten_layers", "main", "record_upper", "scan_upper", "space_of"]

CLONE_NEWUSER = 0x10000000

PROGRAM = "import sys; sys.path[:0] = sys.argv[1:]; from nightmill.sandbox.disk.privileged import main; main()"


def scan_upper(top: str, old: Seen) -> Seen:
    """`scan.scan`, of whatever modes."""
    try:
        return scan(top, old)
    except PermissionError:
        return Seen(*_in_namespace({"do": "scan", "top": top, "old": tuple(old)}))


def record_upper(*, top: str, target: str, old: Seen, hot: set[str | int], below: Below) -> tuple[Seen, bool]:
    """`scan.record`, of whatever modes."""
    try:
        return record(top=top, target=target, old=old, hot=hot, below=below)
    except PermissionError:
        Path(target).unlink(missing_ok=True)
    asked = {"do": "record", "top": top, "target": target, "old": tuple(old), "hot": list(hot), "below": tuple(below)}
    found, written = _in_namespace(asked)
    return Seen(*found), written


def flatten_layers(layers: list[Path], target: Path, *, below: list[Path]) -> None:
    """`flatten.flatten`, of whatever modes."""
    try:
        flatten(layers, target, below=below)
    except PermissionError:
        remove(target)
        asked = {"do": "flatten", "layers": [str(each) for each in layers], "below": [str(each) for each in below]}
        _in_namespace({**asked, "target": str(target)})


def space_of(top: str) -> int:
    """`scan.space`, of whatever modes."""
    try:
        return space(top)
    except PermissionError:
        return int(_in_namespace({"do": "space", "top": top}))


def main() -> None:
    """In the child: become able to read everything of this user, do what was asked, answer."""
    asked = marshal.loads(sys.stdin.buffer.read())  # noqa: S302 - from our own parent
    user, group = os.getuid(), os.getgid()
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWUSER):
        sys.exit(f"no user namespace: {os.strerror(ctypes.get_errno())}")
    for name, text in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
        Path(f"/proc/self/{name}").write_text(text, "ascii")
    try:
        answer = _do(asked)
    except (OSError, SandboxError) as error:
        sys.exit(str(error))
    sys.stdout.buffer.write(marshal.dumps(answer))


def _do(asked: dict[str, Any]) -> Any:
    if asked["do"] == "flatten":
        layers, below = [Path(each) for each in asked["layers"]], [Path(each) for each in asked["below"]]
        flatten(layers, Path(asked["target"]), below=below)
        return None
    if asked["do"] == "space":
        return space(asked["top"])
    old = Seen(*asked["old"])
    if asked["do"] == "scan":
        return tuple(scan(asked["top"], old))
    hot, stands = set(asked["hot"]), Below(*asked["below"])
    found, written = record(top=asked["top"], target=asked["target"], old=old, hot=hot, below=stands)
    return tuple(found), written


def _in_namespace(asked: dict[str, Any]) -> Any:
    root = str(Path(__file__).parents[3])
    command = [sys.executable, "-I", "-S", "-c", PROGRAM, root]
    done = subprocess.run(command, input=marshal.dumps(asked), env={}, capture_output=True, check=False)
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip()[-300:]
        raise SandboxError(
            f"a snapshot could not be kept whole: {said}", hint="`nightmill doctor` says what is missing"
        )
    return marshal.loads(done.stdout)  # noqa: S302 - from our own child
