"""The system calls a sandbox may not make, as a BPF program that the kernel runs; no library is needed.

Everything is allowed but what is denied here: a list of calls that only reach into the kernel or into other
processes, plus a few that are denied by their arguments. Arguments are compared in their low 32 bits, because
that is what the kernel looks at: a comparison of all 64 could be passed by with garbage in the high ones.
"""

from __future__ import annotations

import errno
import platform
import struct
from typing import NamedTuple

from nightmill.errors import SandboxError

__all__ = ["DENIED", "compile_filter"]

ALLOW, KILL, ERRNO = 0x7FFF0000, 0x80000000, 0x00050000

DENIED: dict[str, tuple[int, int]] = {
    # name: (x86-64, aarch64); -1 where the architecture has no such call
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "move_mount": (429, 429),
    "open_tree": (428, 428),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "setns": (308, 268),
    "unshare": (272, 97),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "pidfd_getfd": (438, 438),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "open_by_handle_at": (304, 265),
    "name_to_handle_at": (303, 264),
    "acct": (163, 89),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "reboot": (169, 142),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "syslog": (103, 116),
    "personality": (135, 92),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "clock_adjtime": (305, 266),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "vhangup": (153, 58),
    "iopl": (172, -1),
    "ioperm": (173, -1),
    "modify_ldt": (154, -1),
    "landlock_restrict_self": (446, 446),
    "mbind": (237, 235),
    "set_mempolicy": (238, 237),
    "set_mempolicy_home_node": (450, 450),
    "migrate_pages": (256, 238),
    "move_pages": (279, 239),
    "process_madvise": (440, 440),
    "memfd_secret": (447, 447),
    "fanotify_init": (300, 262),
    "fanotify_mark": (301, 263),
}

NEWER = 467
"""From open_tree_attr (6.15) on, nothing is known here: ENOSYS, and programs fall back to what they used before."""

NAMESPACES = 0x7E020000
"""CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET."""

AF_UNIX, AF_INET, AF_INET6, AF_NETLINK = 1, 2, 10, 16
"""All other families (packet, alg, vsock, xdp, bluetooth, …) are kernel surface."""

PROTOCOLS = (0, 6, 17)
"""Of IP: the usual one of a kind, TCP, UDP. Asking for another (SCTP, DCCP, L2TP, MPTCP, …) has the kernel load it."""


class Machine(NamedTuple):
    """What differs between architectures: the audit number, the column of `DENIED`, the calls looked into."""

    audit: int
    column: int
    clone: int
    ioctl: int
    socket: int
    socketpair: int
    setsockopt: int
    mknod: int
    mknodat: int


MACHINES = {
    "x86_64": Machine(0xC000003E, 0, 56, 16, 41, 53, 54, 133, 259),
    "aarch64": Machine(0xC00000B7, 1, 220, 29, 198, 199, 208, -1, 33),
}


def compile_filter(machine: str = "") -> bytes:
    """The filter for *machine* (empty: this one) as the array of `struct sock_filter` that bubblewrap takes.

    Raises:
        SandboxError: If the architecture is not known here; a filter with wrong numbers would be none.
    """
    name = machine or platform.machine()
    if name not in MACHINES:
        raise SandboxError(f"no system call filter for the architecture {name!r}", hint="use x86_64 or aarch64")
    kind = MACHINES[name]
    program = [_load(4), _jump(0x15, kind.audit, 1, 0), _end(KILL), _load(0)]
    # x32 shares the audit number of x86-64 and has numbers of its own from this bit on
    program += [_jump(0x35, 0x40000000, 0, 1), _end(KILL), _jump(0x35, NEWER, 0, 1), _fail(errno.ENOSYS)]
    program += [_jump(0x15, 435, 0, 1), _fail(errno.ENOSYS)]  # clone3 has its flags behind a pointer; libc uses clone
    for numbers in DENIED.values():
        if numbers[kind.column] >= 0:
            program += [_jump(0x15, numbers[kind.column], 0, 1), _fail(errno.EPERM)]
    for number, checks in _argument_checks(kind):
        if number >= 0:
            program += [_jump(0x15, number, 0, len(checks)), *checks]
    return b"".join([*program, _end(ALLOW)])


def _argument_checks(kind: Machine) -> list[tuple[int, list[bytes]]]:
    """Per call, what runs if it is that call; each list ends by itself."""
    clone = [_argument(0), _jump(0x45, NAMESPACES, 0, 1), _fail(errno.EPERM), _end(ALLOW)]
    # TIOCSTI and TIOCLINUX type into a terminal that a person is looking at; TIOCSETD has the kernel load drivers
    ioctl = [_argument(1), _jump(0x15, 0x5412, 2, 0), _jump(0x15, 0x541C, 1, 0), _jump(0x15, 0x5423, 0, 1)]
    # TCP_ULP puts TLS or another protocol of the kernel's own on a connection
    upper = [
        _argument(1),
        _jump(0x15, 6, 0, 3),
        _argument(2),
        _jump(0x15, 31, 0, 1),
        _fail(errno.ENOPROTOOPT),
        _end(ALLOW),
    ]
    return [
        (kind.clone, clone),
        (kind.ioctl, [*ioctl, _fail(errno.EPERM), _end(ALLOW)]),
        (kind.socket, _socket_check()),
        (kind.socketpair, [_argument(0), *_one_of((AF_UNIX,), errno.EAFNOSUPPORT), _end(ALLOW)]),
        (kind.setsockopt, upper),
        (kind.mknod, _device_check(1)),
        (kind.mknodat, _device_check(2)),
    ]


def _socket_check() -> list[bytes]:
    """Unix sockets; IP with TCP and UDP; of netlink ROUTE, which os.networkInterfaces() and if_nameindex() need."""
    unix = [_jump(0x15, AF_UNIX, 0, 1), _end(ALLOW)]
    route = [_argument(2), *_one_of((0,), errno.EAFNOSUPPORT), _end(ALLOW)]
    ip = [*_one_of((AF_INET, AF_INET6), errno.EAFNOSUPPORT), _argument(2), *_one_of(PROTOCOLS, errno.EPROTONOSUPPORT)]
    return [_argument(0), *unix, _jump(0x15, AF_NETLINK, 0, len(route)), *route, *ip, _end(ALLOW)]


def _one_of(values: tuple[int, ...], number: int) -> list[bytes]:
    """Go on if what was loaded is one of *values*, else fail with *number*."""
    return [*(_jump(0x15, value, len(values) - at, 0) for at, value in enumerate(values)), _fail(number)]


def _device_check(argument: int) -> list[bytes]:
    """Refuse character and block devices; fifos, sockets and files pass."""
    mask = struct.pack("=HBBI", 0x54, 0, 0, 0o170000)
    kinds = [_jump(0x15, 0o020000, 1, 0), _jump(0x15, 0o060000, 0, 1)]
    return [_argument(argument), mask, *kinds, _fail(errno.EPERM), _end(ALLOW)]


def _load(offset: int) -> bytes:
    return struct.pack("=HBBI", 0x20, 0, 0, offset)


def _argument(number: int) -> bytes:
    return _load(16 + 8 * number)  # low half: both architectures are little-endian


def _jump(code: int, value: int, true: int, false: int) -> bytes:
    return struct.pack("=HBBI", code, true, false, value)


def _end(action: int) -> bytes:
    return struct.pack("=HBBI", 0x06, 0, 0, action)


def _fail(number: int) -> bytes:
    return _end(ERRNO | number)
