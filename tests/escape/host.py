"""What an attack that got out would change on this machine, as one flat table to compare before and after."""

from __future__ import annotations

import os
import resource
import stat
import termios
import time
from collections.abc import Iterator
from pathlib import Path

VOLATILE = (
    "debug",
    "dev/cdrom/info",
    "fs/aio-nr",
    "fs/binfmt_misc",
    "fs/dentry-state",
    "fs/file-nr",
    "fs/inode-nr",
    "fs/inode-state",
    "fs/quota",
    "kernel/ns_last_pid",
    "kernel/perf_cpu_time_max_percent",
    "kernel/perf_event_max_sample_rate",
    "kernel/pty/nr",
    "kernel/random",
    "net/netfilter/nf_conntrack_count",
)
"""Settings below /proc/sys that move by themselves."""

FILES = """
    /etc/passwd /etc/group /etc/shadow /etc/hosts /etc/resolv.conf /etc/ld.so.preload /etc/profile /etc/environment
    /etc/crontab /etc/cron.d /etc/sudoers /etc/nsswitch.conf /usr/bin/env /usr/bin/cat /usr/bin/git /usr/bin/python3
    /usr/local/bin /bin /lib /root/.profile /root/.bashrc /root/.ssh/authorized_keys /planted /usr/planted
    /etc/planted /tmp/planted /dev/shm/planted /run/planted
""".split()

SYSTEM = ("/usr", "/etc", "/proc", "/sys", "/dev/", "/boot", "/root")

RLIMITS = 16
"""Kinds of limits on a process that the kernel has."""

CLOCK_STEP = 2
"""Seconds by which a clock may differ from what it was: more is somebody having set it."""


def measured(home: Path) -> dict[str, str]:
    """The machine now, as far as sandboxes below *home* could change it; what cannot be read is not compared."""
    found = {f"setting {name}": text for name, text in _settings()}
    found |= {f"file {path}": _file(path) for path in FILES}
    found |= {f"mount {line}": "" for line in _mounts(home)}
    found |= {f"process {pid}": name for pid, name in _processes(home)}
    found |= {f"descriptor {target} #{number}": "" for target, number in _descriptors()}
    found |= {f"limit {kind}": str(resource.getrlimit(kind)) for kind in range(RLIMITS)}
    found["standing"] = f"{os.nice(0)} {os.sched_getscheduler(0)} {Path('/proc/self/oom_score_adj').read_text()}"
    found["terminal"] = _terminal()
    found["clock"] = str(time.time() - time.clock_gettime(time.CLOCK_BOOTTIME))  # against one that nobody can set
    found["swap"] = Path("/proc/swaps").read_text()
    return found


def changes(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """What came, went or became another."""
    names = before.keys() | after.keys()
    return sorted(f"{name}: {before.get(name)} → {after.get(name)}" for name in names if _differs(name, before, after))


def _differs(name: str, before: dict[str, str], after: dict[str, str]) -> bool:
    if name == "clock" and name in before and name in after:
        return abs(float(after[name]) - float(before[name])) > CLOCK_STEP
    return before.get(name) != after.get(name)


def _settings() -> Iterator[tuple[str, str]]:
    top = "/proc/sys/"
    for folder, folders, names in os.walk(top):
        folders[:] = [each for each in folders if f"{folder}/{each}".removeprefix(top).lstrip("/") not in VOLATILE]
        for name in names:
            path = f"{folder}/{name}".removeprefix(top).lstrip("/")
            if path in VOLATILE:
                continue
            try:
                yield path, Path(top, path).read_text(errors="replace")
            except OSError:
                continue


def _file(path: str) -> str:
    try:
        found = os.lstat(path)
    except OSError:
        return "absent"
    if stat.S_ISDIR(found.st_mode):
        return repr((found.st_mode, found.st_uid, found.st_gid, sorted(os.listdir(path))))  # noqa: PTH208
    return repr((found.st_mode, found.st_uid, found.st_gid, found.st_size, found.st_mtime_ns, found.st_ctime_ns))


def _mounts(home: Path) -> Iterator[str]:
    """Mounts of the system's own folders, and everything that has to do with *home*: others mount things, too."""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        point = line.split()[4]
        if point == "/" or point.startswith(SYSTEM) or str(home) in line:
            yield f"{point} {line.split()[5]} {line.partition(' - ')[2]}"


def _processes(home: Path) -> Iterator[tuple[str, str]]:
    """What this process started, and what runs in a sandbox below *home*: the options of its overlay name it.

    A database of other tests stands for the processes that it starts and ends by itself.
    """
    mine, todo, below = os.readlink("/proc/self/ns/mnt"), [str(os.getpid())], set[str]()  # noqa: PTH115
    while todo:
        parent = todo.pop()
        below.add(parent)
        if _command(parent) == "postgres":
            continue
        for path in Path(f"/proc/{parent}/task").glob("*/children"):
            todo += path.read_text().split()
    for pid in filter(str.isdigit, os.listdir("/proc")):  # noqa: PTH208
        try:
            apart = os.readlink(f"/proc/{pid}/ns/mnt") != mine  # noqa: PTH115
            if pid in below or (apart and str(home) in Path(f"/proc/{pid}/mountinfo").read_text()):
                yield pid, Path(f"/proc/{pid}/comm").read_text().strip()
        except OSError:
            continue


def _command(pid: str) -> str:
    """The name of what *pid* runs, "" if it is over."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def _descriptors() -> Iterator[tuple[str, int]]:
    counted: dict[str, int] = {}
    for fd in os.listdir("/proc/self/fd"):  # noqa: PTH208
        try:
            target = os.readlink(f"/proc/self/fd/{fd}")  # noqa: PTH115
        except OSError:
            continue
        if not target.startswith("/proc/"):
            kind = target.partition(":")[0]
            counted[kind] = counted.get(kind, 0) + 1
            yield kind, counted[kind]


def _terminal() -> str:
    try:
        fd = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
    except OSError:
        return "none"
    try:
        return repr(termios.tcgetattr(fd)[:4])
    finally:
        os.close(fd)
