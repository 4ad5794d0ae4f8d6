"""A scope of systemd for this process: a control group of version 2 that is its own, with its controllers.

The manager is asked over its bus to move a process that runs already, as `systemd-run --scope` has itself moved before
it becomes the program. So nothing is started again, and no process moves but one that is about to start a sandbox.
"""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import subprocess
import time
from pathlib import Path
from typing import NamedTuple

__all__ = ["BY_HAND", "Refusal", "enter", "refusal"]

BY_HAND = "start nightmill with `systemd-run --user --scope -p Delegate=yes -- nightmill …`"
UNIT = "put `Delegate=yes` into the unit that starts nightmill"

PATIENCE, LOOK = 10.0, 0.005
"""Seconds that systemd may take, and between looks whether this process is where it belongs."""


class Refusal(NamedTuple):
    """Why this process stays where it is, and what would change that."""

    why: str
    fix: str


def enter() -> Refusal | None:
    """Have systemd move this process, all its threads, into a scope of its own; None: it is there."""
    user = os.geteuid()
    if refused := refusal(_group(), user):
        return refused
    name = f"nightmill-{os.getpid()}-{secrets.token_hex(4)}.scope"
    try:
        done = subprocess.run(
            _words(name, user), env=_environment(user), capture_output=True, text=True, timeout=PATIENCE, check=False
        )
    except (OSError, subprocess.SubprocessError) as error:
        return Refusal(f"systemd could not be asked for a scope: {error}", BY_HAND)
    if done.returncode:
        return Refusal(f"systemd gives no scope: {done.stderr.strip()[-200:]}", BY_HAND)
    late = time.monotonic() + PATIENCE
    while not _group().endswith(f"/{name}"):  # it answers when the job is queued
        if time.monotonic() > late:
            return Refusal(f"systemd did not move nightmill into {name!r}", BY_HAND)
        time.sleep(LOOK)
    return None


def refusal(group: str, user: int, *, root: Path = Path("/")) -> Refusal | None:
    """Whether *user*'s process in *group* has to stay there, by what is below *root*; None: systemd may be asked.

    A service is its manager's to end, so it is not left. A scope of a user's manager ends with that manager, which is
    at logout if the user does not linger: whoever is in a login's own scope would live shorter by moving.
    """
    if not (root / "run/systemd/system").is_dir():
        return Refusal("this machine is not run by systemd", "as root, give the user of nightmill a group")
    if group.endswith(".service"):
        return Refusal(f"nightmill is in the service {group.rpartition('/')[2]!r}", UNIT)
    if not shutil.which("busctl"):
        return Refusal("there is no `busctl` to ask systemd with", BY_HAND)
    return None if user == 0 else _unkept(group, user, root)


def _unkept(group: str, user: int, root: Path) -> Refusal | None:
    if not (root / f"run/user/{user}/bus").is_socket():
        return Refusal("this user has no systemd with a bus", "`loginctl enable-linger`, and install dbus-user-session")
    if f"/user@{user}.service/" not in group and not _lingers(user, root):
        return Refusal("systemd ends what it keeps for this user when the user logs out", "`loginctl enable-linger`")
    return None


def _lingers(user: int, root: Path) -> bool:
    try:
        return (root / "var/lib/systemd/linger" / pwd.getpwuid(user).pw_name).exists()
    except KeyError:
        return False


def _group() -> str:
    """The group of version 2 that this process is in."""
    for line in Path("/proc/self/cgroup").read_text("utf-8").splitlines():
        if line.startswith("0::"):
            return line[3:]
    return ""


def _words(name: str, user: int) -> list[str]:
    manager = ["org.freedesktop.systemd1", "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager"]
    properties = [
        ["Description", "s", "nightmill and its sandboxes"],
        ["CollectMode", "s", "inactive-or-failed"],
        ["Delegate", "b", "true"],
        ["PIDs", "au", "1", str(os.getpid())],
    ]
    flat = [word for each in properties for word in each]
    whose = "--system" if user == 0 else "--user"
    call = [shutil.which("busctl") or "busctl", whose, "call", *manager, "StartTransientUnit", "ssa(sv)a(sa(sv))"]
    return [*call, name, "fail", str(len(properties)), *flat, "0"]


def _environment(user: int) -> dict[str, str]:
    """Nothing of the caller's: a bus that is found by the user's number is the user's."""
    return {"PATH": os.defpath, "XDG_RUNTIME_DIR": f"/run/user/{user}"}
