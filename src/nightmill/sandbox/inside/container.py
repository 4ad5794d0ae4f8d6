"""What comes before the runner where no bubblewrap has gone before it: the filter, and pipes in place of a socket."""

from __future__ import annotations

import ctypes
import os
import sys
from typing import Dict

from nightmill.sandbox.inside.ferry import OPERATIONS
from nightmill.sandbox.inside.keeper import prctl
from nightmill.sandbox.inside.runner import OWN
from nightmill.sandbox.inside.runner import start as run

__all__ = ["start"]


class Program(ctypes.Structure):
    """`struct sock_fprog`: how many instructions, and where they are."""

    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_char_p)]


def start(filters: Dict[str, bytes]) -> None:
    """Shut the wall, for this process and all that it starts, then become the runner on standard input and output."""
    machine = os.uname().machine
    if machine not in filters:
        sys.exit("no system call filter for the architecture " + machine)
    load(filters[machine])
    if os.getpid() != 1:  # in a pod, where another waits: what a command leaves behind must come here
        prctl(36, 1)  # PR_SET_CHILD_SUBREAPER
    OWN.update(OPERATIONS)
    run(moved(0), moved(1))


def load(program: bytes) -> None:
    """Have the kernel run *program* on each system call from now on; without it nothing may run here."""
    prctl(38, 1)  # PR_SET_NO_NEW_PRIVS
    described = Program(len(program) // 8, program)
    if ctypes.CDLL(None, use_errno=True).prctl(22, 2, ctypes.byref(described), 0, 0):  # PR_SET_SECCOMP
        sys.exit("the system call filter cannot be loaded: " + os.strerror(ctypes.get_errno()))


def moved(fd: int) -> int:
    """Another number for *fd*, whose own leads nowhere from now on: commands inherit the standard ones."""
    found, nothing = os.dup(fd), os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, fd)
    os.close(nothing)
    return found
