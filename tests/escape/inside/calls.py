"""Calls that reach into the kernel, one by one, made in a way that would work without the filter."""

# run inside, by the Python that is there, each in a process of its own

import ctypes
import fcntl
import os
import platform
import signal
import struct

from wall import apart, attack, call, libc, main, through

X86 = platform.machine() == "x86_64"


def number(x86, arm):
    """A call's number on this machine."""
    return x86 if X86 else arm


def asleep():
    """A child that waits to be attacked."""
    child = os.fork()
    if child == 0:
        libc.prctl(1, signal.SIGKILL)
        signal.pause()
        os._exit(0)
    return child


@attack("filter", without="filter")
def memory_is_not_moved_between_nodes_or_hidden_from_the_kernel():
    page = ctypes.create_string_buffer(8192)
    at = (ctypes.addressof(page) + 4095) & ~4095
    nodes = ctypes.byref(ctypes.c_ulong(1))
    return through(
        ("bind", lambda: call(number(237, 235), at, 4096, 2, nodes, 64, 0)),
        ("policy", lambda: call(number(238, 237), 2, nodes, 64)),
        ("migrate", lambda: call(number(256, 238), os.getpid(), 64, nodes, nodes)),
        (
            "move",
            lambda: call(
                number(279, 239), 0, 1, ctypes.byref(ctypes.c_ulong(at)), None, ctypes.byref(ctypes.c_int()), 0
            ),
        ),
        ("secret", lambda: call(447, 0)),
    )


@attack("filter", without="filter")
def a_terminal_gets_no_other_line_discipline():
    """The kernel loads its module for anybody who has a pty; that of modems (n_gsm) was a way to root."""
    _, other = os.openpty()
    disciplines = {"slip": 1, "mouse": 2, "ppp": 3, "x25": 6, "hdlc": 13, "slcan": 17, "gsm": 21, "null": 27}
    return through(
        *(
            (name, lambda each=each: fcntl.ioctl(other, 0x5423, struct.pack("i", each)))
            for name, each in disciplines.items()
        )
    )


@attack("filter")
def rings_of_calls_that_no_filter_sees_cannot_be_set_up():
    return through(
        ("setup", lambda: call(425, 8, ctypes.create_string_buffer(120))),
        ("enter", lambda: call(426, 0, 0, 0, 0, None, 0)),
        ("register", lambda: call(427, -1, 23, ctypes.create_string_buffer(64), 1)),
    )


@attack("filter")
def faults_of_pages_cannot_be_held_open():
    return through(
        ("own pages", lambda: call(number(323, 282), 0x80000 | 1)),
        ("any pages", lambda: call(number(323, 282), 0)),
        ("device", lambda: os.open("/dev/userfaultfd", os.O_RDWR)),
    )


@attack("filter", without="filter")
def keyrings_are_not_joined_searched_or_filled():
    keyctl, add, request = number(250, 219), number(248, 217), number(249, 218)
    return through(
        ("session", lambda: call(keyctl, 1, b"_ses")),
        ("user's", lambda: call(keyctl, 0, -4, 0)),
        ("persistent", lambda: call(keyctl, 22, -1, -4)),
        ("add", lambda: call(add, b"user", b"n", b"v", 1, -2)),
        ("request", lambda: call(request, b"user", b"n", None, -2)),
    )


@attack("filter")
def no_program_is_loaded_into_the_kernel():
    code = struct.pack("=BBhi", 0xB7, 0, 0, 0) + struct.pack("=BBhi", 0x95, 0, 0, 0)
    body, licence = ctypes.create_string_buffer(code, len(code)), ctypes.create_string_buffer(b"GPL")
    load = struct.pack("=IIQQ", 1, 2, ctypes.addressof(body), ctypes.addressof(licence)) + bytes(96)
    table = struct.pack("=IIIII", 2, 4, 4, 1, 0) + bytes(100)
    return through(
        ("program", lambda: call(number(321, 280), 5, ctypes.create_string_buffer(load), len(load))),
        ("map", lambda: call(number(321, 280), 0, ctypes.create_string_buffer(table), len(table))),
        ("pinned", lambda: call(number(321, 280), 7, ctypes.create_string_buffer(120), 120)),
    )


@attack("filter")
def nothing_is_counted_or_sampled():
    event = (
        struct.pack("=IIQ", 1, 128, 1) + bytes(24) + struct.pack("=Q", 0b1100001) + bytes(80)
    )  # without the kernel's own
    return through(
        ("software", lambda: call(number(298, 241), ctypes.create_string_buffer(event), 0, -1, -1, 0)),
        ("all", lambda: call(number(298, 241), ctypes.create_string_buffer(event), -1, 0, -1, 0)),
    )


@attack("filter", without="filter")
def no_process_is_traced():
    child, other = asleep(), asleep()
    try:
        return through(
            ("seize", lambda: call(number(101, 117), 0x4206, child, 0, 0)),
            ("attach", lambda: call(number(101, 117), 16, other, 0, 0)),
        )
    finally:
        os.kill(child, signal.SIGKILL)
        os.kill(other, signal.SIGKILL)


@attack("filter", without="filter")
def memory_of_another_process_is_not_read_or_written_by_a_call():
    word = ctypes.create_string_buffer(b"mine", 8)
    child, near = asleep(), struct.pack("QQ", ctypes.addressof(word), 4)
    try:
        return through(
            ("read", lambda: call(number(310, 270), child, near, 1, near, 1, 0)),
            ("write", lambda: call(number(311, 271), child, near, 1, near, 1, 0)),
        )
    finally:
        os.kill(child, signal.SIGKILL)


@attack("filter", without="filter")
def descriptors_of_another_process_are_not_taken():
    child = asleep()
    try:
        return through(("take", lambda: call(438, os.pidfd_open(child), 1, 0)))
    finally:
        os.kill(child, signal.SIGKILL)


@attack("filter", without="filter")
def files_are_not_reached_by_handles_that_know_no_folder():
    """What was used to read a container's host, file by file (shocker)."""
    handle = ctypes.create_string_buffer(struct.pack("Ii", 128, 0) + bytes(128))
    root = ctypes.create_string_buffer(struct.pack("IiQ", 8, 1, 2))
    return through(
        *(
            (f"make {at!r}", lambda at=at: call(number(303, 264), -100, at, handle, ctypes.byref(ctypes.c_int()), 0))
            for at in (b"/usr", b"/tmp")
        ),
        ("open the root", lambda: call(number(304, 265), os.open("/work", os.O_RDONLY), root, os.O_RDONLY)),
    )


@attack("filter")
def a_terminal_is_not_typed_into():
    main_end, other = os.openpty()
    request = number(16, 29)
    return through(
        ("insert", lambda: fcntl.ioctl(other, 0x5412, b"x")),
        ("into the main end", lambda: fcntl.ioctl(main_end, 0x5412, b"x")),
        ("with high bits", lambda: call(request, other, ctypes.c_ulong(0x5412 | 1 << 33), b"x")),
        ("paste", lambda: fcntl.ioctl(other, 0x541C, b"\x03")),
        ("console", lambda: call(request, 0, ctypes.c_ulong(0x541C), b"\x02")),
    )


@attack("filter", without="filter")
def the_layout_of_memory_is_not_made_predictable():
    return through(
        ("no randomness", lambda: call(number(135, 92), 0x0040000)),
        ("executable data", lambda: call(number(135, 92), 0x0400000)),
    )


@attack("filter", "users", "capabilities", without="filter users")
def no_mount_is_made_by_the_newer_calls():
    apart()
    return through(
        ("tree", lambda: call(428, -100, b"/usr", 0)),
        ("copy of a tree", lambda: call(428, -100, b"/usr", 1 | 0x8000)),
        ("file system", lambda: call(430, b"tmpfs", 0)),
        ("pick", lambda: call(433, -100, b"/work", 0)),
        ("set", lambda: call(442, -100, b"/usr", 0, ctypes.create_string_buffer(struct.pack("QQQQ", 0, 1, 0, 0)), 32)),
        ("move", lambda: call(429, -100, b"/tmp", -100, b"/usr", 0)),
    )


@attack("filter", "users", "capabilities", without="filter users")
def the_root_is_not_moved_and_no_namespace_entered():
    apart()
    spaces = ("mnt", "net", "pid", "user", "ipc", "uts", "cgroup")
    return through(
        ("chroot", lambda: os.chroot("/work")),
        ("pivot", lambda: call(number(155, 41), b"/work", b"/work")),
        *(
            (name, lambda name=name: call(number(308, 268), os.open(f"/proc/self/ns/{name}", os.O_RDONLY), 0))
            for name in spaces
        ),
        ("by a process", lambda: call(number(308, 268), os.pidfd_open(os.getppid()), 0x40000000)),
    )


@attack("filter", "users", "capabilities", without="filter users")
def the_machines_name_is_not_changed():
    apart()
    return through(
        ("host", lambda: call(number(170, 161), b"owned", 5)),
        ("domain", lambda: call(number(171, 162), b"owned", 5)),
    )


@attack("filter", "users", "capabilities", without="filter users")
def a_mounted_group_of_processes_runs_nothing_on_the_host():
    """A `release_agent` in cgroup v1 was run by the kernel as root (CVE-2022-0492)."""
    apart()
    kinds = (b"cgroup", b"cgroup2", b"proc", b"sysfs", b"overlay", b"binfmt_misc", b"tracefs", b"debugfs", b"fuse")
    seen = [line.split(" - ")[1].split()[0] for line in open("/proc/self/mountinfo")]
    mounted = through(
        *(
            (kind.decode(), lambda kind=kind: libc.mount(b"none", b"/tmp", kind, 0, None) == 0 or _refused())
            for kind in kinds
        )
    )
    return mounted or repr(
        [kind for kind in seen if kind.startswith(("cgroup", "sysfs", "fuse", "binfmt"))] or ""
    ).strip("'")


def _refused():
    raise OSError(ctypes.get_errno(), "")


@attack("filter", "capabilities")
def the_kernel_is_not_replaced_extended_stopped_or_read():
    dead = 0xDEAD
    return through(
        ("module", lambda: call(number(175, 105), b"x", 1, b"")),
        ("module from a file", lambda: call(number(313, 273), 0, b"", 0)),
        ("unload", lambda: call(number(176, 106), b"no_such_module", 0)),
        ("next kernel", lambda: call(number(246, 104), 0, 0, 0, 0)),
        ("next kernel from a file", lambda: call(number(320, 294), -1, -1, 0, b"", 0)),
        ("restart", lambda: call(number(169, 142), dead, dead, 0, 0)),
        ("log", lambda: call(number(103, 116), 3, ctypes.create_string_buffer(100), 100)),
        ("ports", lambda: call(172, 3) if X86 else _refused()),
        ("accounting", lambda: call(number(163, 89), None)),
        ("swap", lambda: call(number(168, 225), b"/no/such")),
        ("quota", lambda: call(number(179, 60), 0x80000100, None, 0, None)),
    )


@attack("filter", without="filter")
def flags_behind_a_pointer_are_not_read_so_the_call_does_not_exist():
    """clone3 would take a new namespace from where no filter looks."""

    def fork(flags):
        found = call(435, ctypes.create_string_buffer(struct.pack("QQQQQQQQ", flags, 0, 0, 0, 17, 0, 0, 0)), 64)
        if not found:
            os._exit(0)
        return found

    return through(("plain", lambda: fork(0)), ("users", lambda: fork(0x10000000)), ("time", lambda: fork(0x80)))


@attack("filter")
def a_filter_of_ones_own_loosens_nothing():
    allow = ctypes.create_string_buffer(struct.pack("HBBI", 6, 0, 0, 0x7FFF0000))
    program = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", 1, ctypes.addressof(allow)))
    libc.prctl(22, 2, program, 0, 0)
    return through(
        ("namespace", lambda: call(number(272, 97), 0x10000000)),
        ("trace", lambda: call(number(101, 117), 0x4206, os.getppid(), 0, 0)),
        ("strict to none", lambda: libc.prctl(22, 0, 0, 0, 0) == 0 or _refused()),
        ("privileges", lambda: libc.prctl(38, 0, 0, 0, 0) == 0 or _refused()),
    )


@attack("limits")
def a_crash_leaves_no_core_and_starts_no_program_of_the_host():
    """Where cores are piped into a program (apport, systemd-coredump), that runs outside, as root, whatever the limit, but for 1."""
    import resource

    child = os.fork()
    if child == 0:
        os.kill(os.getpid(), signal.SIGSEGV)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    limit, most = resource.getrlimit(resource.RLIMIT_CORE), min(1, int(os.environ["CORE"]))
    return "a core" if os.WCOREDUMP(status) else "" if limit == (most, most) else repr(limit)


if __name__ == "__main__":
    main()
