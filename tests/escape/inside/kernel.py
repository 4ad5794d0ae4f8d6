"""Attacks on the kernel that sandbox and host share; those on single refused calls are in tests/sandbox/test_walls.py."""

# run inside, by the Python that is there, each in a process of its own

import contextlib
import ctypes
import fcntl
import mmap
import os
import platform
import resource
import signal
import socket
import stat
import struct

from wall import apart, attack, call, ended_by, libc, main, put, through

X86 = platform.machine() == "x86_64"
MINE = "/work/repo/mine"


@attack("filter", "capabilities", "users", without="filter users")
def a_namespace_of_any_kind_cannot_be_made():
    flags = {"mnt": 0x20000, "cgroup": 0x2000000, "uts": 0x4000000, "ipc": 0x8000000, "user": 0x10000000}
    flags |= {"pid": 0x20000000, "net": 0x40000000}
    return through(
        *((name, lambda flag=flag: call(56 if X86 else 220, flag | 17, 0, 0, 0, 0)) for name, flag in flags.items())
    )


@attack("filter", without="filter")
def the_calls_of_another_abi_kill():
    if not X86:
        return ""
    page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(bytes.fromhex("b814000000cd80c3"))  # mov eax, getpid; int 0x80; ret
    function = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))
    ends = {"i386": ended_by(function), "x32": ended_by(lambda: libc.syscall(0x40000000 + 39))}
    return "" if set(ends.values()) <= {signal.SIGSYS, signal.SIGSEGV} else repr(ends)


@attack("filter")
def newer_calls_do_not_exist():
    return through(*((str(number), lambda number=number: call(number, 0, 0, 0, 0, 0)) for number in range(467, 480)))


@attack("filter", "capabilities", without="filter")
def a_program_in_memory_runs_behind_the_same_walls():
    try:
        fd = os.memfd_create("program")
    except OSError:
        return ""
    with open("/usr/bin/cat", "rb") as file:
        os.write(fd, file.read())
    source, sink = os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(sink, 1)
        os.execve(fd, ["cat", "/proc/self/status"], {})
    os.close(sink)
    os.waitpid(child, 0)
    text = os.fdopen(source).read().split("\n")
    wanted = ["NoNewPrivs:\t1", "Seccomp:\t2", "CapEff:\t" + "0" * 16, "CapBnd:\t" + "0" * 16]
    return "" if all(line in text for line in wanted) else repr(text)


@attack("capabilities", without="capabilities")
def setuid_and_file_capabilities_give_nothing():
    with open("/usr/bin/cat", "rb") as file, open(MINE, "wb") as copy:
        copy.write(file.read())
    os.chmod(MINE, 0o6755)
    capability = struct.pack("<IIIII", 0x02000001, 0xFFFFFFFF, 0, 0xFFFFFFFF, 0)
    set_ = through(("capability", lambda: os.setxattr(MINE, "security.capability", capability)))
    text = os.popen(
        f"{MINE} /proc/self/status; for p in su mount passwd; do $p </dev/null >/dev/null 2>&1; done"
    ).read()
    return set_ if "CapEff:\t" + "0" * 16 in text else text


@attack("capabilities", without="capabilities")
def capabilities_cannot_be_taken():
    header, data = struct.pack("Ii", 0x20080522, 0), struct.pack("IIIIII", *[0xFFFFFFFF] * 6)
    ambient = [lambda number=number: 1 / (libc.prctl(47, 2, number, 0, 0) + 1) for number in range(41)]
    taken = through(("capset", lambda: call(126 if X86 else 91, header, data)))
    return taken or "".join(str(number) for number, take in enumerate(ambient) if _works(take))


def _works(take):
    try:
        take()
    except ZeroDivisionError:
        return False
    return True


@attack("users", "capabilities", "network", "filter", without="filter users")
def the_network_cannot_be_configured():
    apart()
    plain = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    route = socket.socket(16, socket.SOCK_RAW, 0)
    down = struct.pack("16sh14x", b"lo", 0)
    address = struct.pack("16sHH4s8x", b"lo", 2, 0, socket.inet_aton("192.0.2.9"))

    def link():
        body = struct.pack("BxHiII", 0, 0, 0, 0, 0) + struct.pack("HH4s", 8, 3, b"new\0") + struct.pack("HH", 16, 18)
        body += struct.pack("HH8s", 10, 1, b"dummy\0\0\0")
        route.send(struct.pack("IHHII", 16 + len(body), 16, 0x605, 1, 0) + body)
        code = struct.unpack_from("i", route.recv(4096), 16)[0]
        if code:
            raise OSError(-code, "")

    return through(
        ("interface down", lambda: fcntl.ioctl(plain, 0x8914, down)),
        ("address", lambda: fcntl.ioctl(plain, 0x8916, address)),
        ("new link", link),
        ("firewall", lambda: plain.setsockopt(0, 64, b"\0" * 92)),
        ("low port mark", lambda: plain.setsockopt(1, 36, struct.pack("I", 7))),
        ("tun", lambda: os.open("/dev/net/tun", os.O_RDWR)),
    )


@attack("capabilities")
def priority_and_real_time_cannot_be_taken():
    return through(
        ("nice", lambda: os.setpriority(os.PRIO_PROCESS, 0, -20)),
        ("fifo", lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))),
        (
            "deadline",
            lambda: call(314 if X86 else 274, 0, struct.pack("IIQiIQQQ", 48, 6, 0, 0, 0, 10**6, 10**7, 10**7), 0),
        ),
        ("io", lambda: call(251 if X86 else 30, 1, 0, 1 << 13)),
        ("oom", lambda: put("/proc/self/oom_score_adj", b"-1000")),
    )


@attack("capabilities")
def limits_cannot_be_raised():
    raised = []
    for kind in (resource.RLIMIT_NPROC, resource.RLIMIT_FSIZE, resource.RLIMIT_DATA, resource.RLIMIT_CORE):
        hard = resource.getrlimit(kind)[1]
        if hard == resource.RLIM_INFINITY:  # memory and processes may be a control group's affair: see limits.py
            raised += [kind] * (kind in (resource.RLIMIT_FSIZE, resource.RLIMIT_CORE))
            continue
        try:
            resource.setrlimit(kind, (hard + 1, hard + 1))
            raised.append(kind)
        except (OSError, ValueError):
            pass
    return repr(raised) if raised else ""


@attack("view", "runner", "empty")
def control_groups_cannot_be_reached():
    held = []
    for who in ("self", os.getppid(), 1):
        with contextlib.suppress(OSError):  # of the keeper and the runner nothing can be seen
            held += [each.name for each in os.scandir(f"/proc/{who}/fd") if "cgroup" in os.path.realpath(each.path)]
    with open("/proc/self/mountinfo") as file:
        mounted = [line for line in file if " - cgroup" in line]
    ways = ("/sys/fs/cgroup", "/proc/self/root/sys/fs/cgroup", "/proc/1/root/sys/fs/cgroup")
    reached = through(*((path, lambda path=path: max(os.listdir(path))) for path in ways))
    return repr((held, mounted, reached)) if held or mounted or reached else ""


@attack("capabilities", "filter")
def clocks_cannot_be_set():
    return through(
        ("adjtimex", lambda: call(159 if X86 else 171, struct.pack("IxxxxqQQQ", 0x1, 1000, 0, 0, 0) + bytes(200))),
        ("alarm", lambda: call(283 if X86 else 85, 8, 0)),
    )


@attack("filter", "covered", without="filter")
def keys_of_the_host_are_not_seen():
    names = b""
    with contextlib.suppress(OSError), open("/proc/keys", "rb") as file:
        names = file.read()
    made = through(("add", lambda: call(248 if X86 else 217, b"user", b"n", b"v", 1, -3)))
    return made or (repr(names) if b"_uid" in names or b"builtin" in names else "")


@attack("read-only", "capabilities")
def files_of_the_host_cannot_be_marked_or_held():
    fd = os.open("/usr/bin/env", os.O_RDONLY)
    mine = os.open(MINE, os.O_RDWR | os.O_CREAT)
    immutable, append = struct.pack("l", 0x10), struct.pack("l", 0x20)
    return through(
        ("immutable", lambda: fcntl.ioctl(fd, 0x40086602, immutable)),
        ("times", lambda: os.utime("/usr/bin/env")),
        ("mode", lambda: os.fchmod(fd, 0o777)),
        ("attribute", lambda: os.setxattr("/usr/bin/env", "user.x", b"x")),
        ("link", lambda: os.link("/usr/bin/env", "/work/linked")),
        ("freeze", lambda: fcntl.ioctl(fd, 0xC0045877, 0)),
        ("my own immutable", lambda: fcntl.ioctl(mine, 0x40086602, immutable)),
        ("my own append-only", lambda: fcntl.ioctl(mine, 0x40086602, append)),
    )


@attack("capabilities")
def files_are_not_watched_over_the_whole_disk():
    return through(
        ("content", lambda: call(300 if X86 else 262, 0x4, 0)),
        ("mount", lambda: call(301 if X86 else 263, call(300 if X86 else 262, 0x200, 0), 0x11, 0x20, -100, b"/usr")),
        (
            "file system",
            lambda: call(301 if X86 else 263, call(300 if X86 else 262, 0x200, 0), 0x101, 0x20, -100, b"/usr"),
        ),
    )


@attack("view", "filter")
def devices_are_only_the_harmless_ones():
    known = {
        "null",
        "zero",
        "full",
        "random",
        "urandom",
        "tty",
        "ptmx",
        "pts",
        "shm",
        "fd",
        "core",
        "stdin",
        "stdout",
        "stderr",
    }
    nodes = [name for name in os.listdir("/dev") if stat.S_ISBLK(os.lstat("/dev/" + name).st_mode)]
    strange = [*nodes, *sorted(set(os.listdir("/dev")) - known - {"console"}), *set(os.listdir("/dev/pts")) - {"ptmx"}]
    return repr(strange) if strange else through(("tty", lambda: os.open("/dev/tty", os.O_RDWR)))


@attack("filter", "layers")
def a_mark_of_a_deleted_file_cannot_be_forged():
    made = through(("whiteout", lambda: os.mknod("/work/repo/white", 0o020600, 0)))
    return made or through(("overlay", lambda: os.setxattr("/work/repo", "trusted.overlay.redirect", b"/")))


if __name__ == "__main__":
    main()
