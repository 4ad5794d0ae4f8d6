"""Runs the attacks of one file inside a sandbox, each in a process of its own, and says which of them got through.

An attack is a function that gives "" if the wall held, else what it reached. Its docstring is its sentence.
"""

# run inside, by the Python that is there, each in a process of its own
# ruff: noqa: ANN001, ANN002, ANN201, BLE001

import ctypes
import json
import os
import signal
import sys
import traceback

SECONDS = 20
ATTACKS = {}

libc = ctypes.CDLL(None, use_errno=True)


def attack(function):
    """Make *function* one of the attacks of this file."""
    ATTACKS[function.__name__] = function
    return function


def call(number, *words):
    """A system call; OSError if it is refused."""
    found = libc.syscall(number, *words)
    if found < 0:
        raise OSError(ctypes.get_errno(), "")
    return found


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
        except BaseException:
            said = "broken: " + traceback.format_exc()
        os.write(sink, said.encode("utf-8", "replace")[:4000])
        os._exit(0)
    os.close(sink)
    with os.fdopen(source, "rb") as file:
        said = file.read().decode()
    status = os.waitpid(child, 0)[1]
    return said or (f"ended by signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else "")


def main():
    """All attacks of the file, as JSON."""
    sys.stdout.write(json.dumps({name: run(name) for name in ATTACKS}) + "\n")
