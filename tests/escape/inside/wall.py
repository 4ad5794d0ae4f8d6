"""Runs the attacks of one file inside a sandbox, each in a process of its own, and says which of them got through.

An attack is a function that gives "" if the wall held, else what it reached. Its docstring is its sentence.
"""

# run inside, by the Python that is there, each in a process of its own

import ctypes
import json
import os
import signal
import sys
import traceback

SECONDS = 20
ATTACKS, LIMITS = {}, {}

libc = ctypes.CDLL(None, use_errno=True)


def attack(*walls, without="", limits=None):
    """Make a function one of the attacks of this file: *walls* stop it; *without* these it is seen to get through.

    One with *limits* is a command of its own under these, and gets through if it ends with 0 or leaves something.
    """

    def named(function):
        ATTACKS[function.__name__] = function
        LIMITS[function.__name__] = limits
        return function

    return named


def call(number, *words):
    """A system call; OSError if it is refused."""
    wide = [
        ctypes.c_ulong(word) if isinstance(word, int) else word for word in words
    ]  # else half a word is left as it was
    found = libc.syscall(ctypes.c_long(number), *wide)
    if found < 0:
        raise OSError(ctypes.get_errno(), "")
    return found


def apart():
    """Take all rights over namespaces of one's own, as one who attacks a kernel begins; nothing, where that is refused."""
    user, group = os.getuid(), os.getgid()
    if libc.unshare(0x10000000 | 0x20000 | 0x4000000 | 0x8000000 | 0x40000000 | 0x2000000) == 0:
        for name, text in (("setgroups", "deny"), ("uid_map", f"0 {user} 1"), ("gid_map", f"0 {group} 1")):
            put(f"/proc/self/{name}", text.encode())


def through(*works):
    """What got through of *works* (each a name and a function): "" if all were refused."""
    found = []
    for name, work in works:
        try:
            said = work()
        except (OSError, ValueError, OverflowError):
            continue
        found.append(f"{name}: {said!r}")
    return "; ".join(found)


def put(path, text):
    """Write at once what a file object would only try on its end."""
    fd = os.open(path, os.O_WRONLY)
    try:
        return os.write(fd, text)
    finally:
        os.close(fd)


def ended_by(work):
    """The signal that ends a process which does *work*, 0 for none."""
    child = os.fork()
    if child == 0:
        work()
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0


def run(name):
    """The result of one attack."""
    source, sink = os.pipe()
    child = os.fork()
    if child == 0:
        signal.alarm(SECONDS)
        os.close(source)
        try:
            said = ATTACKS[name]() or ""
        except BaseException:  # noqa: BLE001 - an attack that is broken says so
            said = "broken: " + traceback.format_exc()
        os.write(sink, said.encode("utf-8", "replace")[:4000])
        os._exit(0)
    os.close(sink)
    with os.fdopen(source, "rb") as file:
        said = file.read().decode()
    status = os.waitpid(child, 0)[1]
    return said or (f"ended by signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else "")


def main():
    """All attacks of the file, or those that are named, as JSON."""
    sys.stdout.write(json.dumps({name: run(name) for name in sys.argv[1:] or ATTACKS}) + "\n")
