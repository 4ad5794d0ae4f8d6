"""Attacks through /proc, paths and descriptors, on PID 1 and on what the host shows."""

# run inside, by the Python that is there, each in a process of its own

import os
import signal
import stat

from wall import apart, attack, call, libc, main, put, through

CANARY = os.environ["CANARY"]
"""A file of the host, which this user could read there; its content begins with its name."""

CONTENT = b"canary:"


def seen(path):
    """Whether *path* leads to the canary."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        return CONTENT in os.read(fd, 1000)
    except OSError:
        return False
    finally:
        os.close(fd)


@attack("view", without="view")
def links_and_climbing_paths_lead_to_no_file_of_the_host():
    os.symlink(CANARY, "/work/repo/link")
    os.symlink("/", "/work/repo/top")
    ways = [
        "",
        "/work/repo/top",
        "/proc/self/root",
        "/proc/1/root",
        "/proc/1/cwd/" + "../" * 20,
        "/oldroot",
        "/newroot",
    ]
    ways += ["/proc/thread-self/root", "/work/" + "../" * 40, "/proc/1/task/1/root", "/dev/fd/../../../../../..", "/.."]
    found = [way for way in ways if seen(way + CANARY)] + [path for path in ("/work/repo/link",) if seen(path)]
    return repr(found) if found else ""


@attack("runner", without="runner")
def descriptors_and_memory_of_pid_1_are_shut():
    links = [f"fd/{number}" for number in range(20)] + ["exe", "root", "cwd", "ns/mnt", "ns/user", "task/1/fd/3"]
    texts = ("environ", "mem", "maps", "smaps", "auxv", "syscall", "pagemap", "io", "personality")
    return through(
        *((f"link {name}", lambda name=name: os.readlink(f"/proc/1/{name}")) for name in links),
        *((f"open {name}", lambda name=name: os.open(f"/proc/1/{name}", os.O_RDONLY)) for name in links),
        *((f"text {name}", lambda name=name: os.read(os.open(f"/proc/1/{name}", os.O_RDONLY), 1)) for name in texts),
        *((f"write {name}", lambda name=name: put(f"/proc/1/{name}", b"0")) for name in ("mem", "clear_refs", "comm")),
    )


@attack("empty")
def no_descriptor_of_the_host_was_inherited():
    here = {
        os.readlink(f"/proc/self/fd/{name}")
        for name in os.listdir("/proc/self/fd")
        if os.path.lexists(f"/proc/self/fd/{name}")
    }
    strange = [each for each in here if not each.startswith(("pipe:", "/proc/", "/dev/null"))]
    return repr(strange) if strange else ""


@attack("runner", "filter", "processes", without="runner")
def pid_1_cannot_be_traced_stopped_or_killed():
    for number in set(range(1, 65)) - {32, 33}:
        try:
            os.kill(1, number)
        except OSError:
            pass
    refused = through(
        ("trace", lambda: call(101 if os.uname().machine == "x86_64" else 117, 0x4206, 1, 0, 0)),
        ("getfd", lambda: call(438, os.pidfd_open(1), 3, 0)),
        ("madvise", lambda: call(440, os.pidfd_open(1), b"\0" * 16, 1, 21, 0)),
        ("kcmp", lambda: call(312, 1, os.getpid(), 0, 0, 0)),
        ("migrate", lambda: call(256, 1, 8, b"\1" + bytes(7), b"\1" + bytes(7))),
    )
    with open("/proc/1/stat") as file:
        state = file.read().rpartition(")")[2].split()[0]
    return refused or ("" if state in "SRD" else state)


@attack("processes")
def processes_of_the_host_cannot_be_signalled():
    host = int(os.environ["HOST_PID"])
    if os.path.exists(f"/proc/{host}"):
        return ""  # one of ours has its number
    return through(
        ("kill", lambda: os.kill(host, 0)),
        ("pidfd", lambda: os.pidfd_open(host)),
        ("group", lambda: os.killpg(host, 0)),
    )


@attack("capabilities", "users")
def identities_cannot_be_mapped_anew():
    return through(
        *((name, lambda name=name: put(f"/proc/self/{name}", b"0 0 4294967295")) for name in ("uid_map", "gid_map")),
        ("setgroups", lambda: put("/proc/self/setgroups", b"allow")),
        ("groups", lambda: os.setgroups([0, 42])),
        ("user", lambda: os.setresuid(1, 1, 1)),
        ("login", lambda: put("/proc/self/loginuid", b"1")),
    )


def nothing(path):
    """Whether /dev/null lies over *path*."""
    try:
        return os.stat(path).st_rdev == os.makedev(1, 3)
    except OSError:
        return False


@attack("covered", "users")
def nothing_in_proc_that_is_the_kernels_can_be_written():
    found = []
    for top, folders, names in os.walk("/proc"):
        if top == "/proc":
            folders[:] = [name for name in folders if not name.isdigit() and name not in ("self", "thread-self", "net")]
        for name in names:
            path = os.path.join(top, name)
            if not os.path.islink(path) and not nothing(path):
                try:
                    os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
                    found.append(path)
                except OSError:
                    pass
    return repr(found) if found else ""


@attack("view", "covered", "capabilities")
def memory_and_tables_of_the_kernel_are_not_read():
    addresses = []
    try:
        with open("/proc/kallsyms") as file:
            addresses = [line for line, _ in zip(file, range(2000)) if int(line.split()[0], 16)]
    except OSError:
        pass
    paths = (
        "/proc/kcore",
        "/dev/mem",
        "/dev/kmem",
        "/proc/kmsg",
        "/dev/kmsg",
        "/sys/kernel",
        "/proc/vmallocinfo",
        "/proc/slabinfo",
    )
    return (
        repr(addresses[:2])
        if addresses
        else through(
            *(
                (path, lambda path=path: open(path, "rb").read(1) or 1 / 0)
                for path in paths
                if path not in ("/proc/slabinfo", "/proc/vmallocinfo", "/proc/kmsg")
            )
        )
    )


@attack("read-only", without="read-only")
def everything_that_can_be_written_is_bounded_or_the_runs_own():
    found = []
    with open("/proc/self/mountinfo") as file:
        for line in file:
            left, _, right = line.partition(" - ")
            point, options, kind = left.split()[4], left.split()[5].split(","), right.split()[0]
            if "rw" not in options or kind in ("proc", "devpts", "mqueue") or point == "/work" or nothing(point):
                continue
            size = os.statvfs(point)
            if kind != "tmpfs" or size.f_blocks * size.f_frsize > 512 << 20:
                found.append((point, kind))
    bare = [
        line
        for line in found
        if line[0] not in ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty")
    ]
    return repr(bare) if bare else ""


@attack("read-only")
def the_runner_and_etc_cannot_be_replaced():
    runner = next(path for path in ("/run/nightmill/runner.pyc", "/run/nightmill/runner.py") if os.path.exists(path))
    paths = [runner, "/etc/passwd", "/etc/hosts", "/etc/nsswitch.conf", "/opt/attacks/wall.py"]
    return through(
        *(
            (f"{verb.__name__} {path}", lambda path=path, verb=verb: verb(path))
            for path in paths
            for verb in (os.unlink, _write, _touch, _shut)
        ),
        *((f"rename over {path}", lambda path=path: os.rename("/tmp/x", path)) for path in paths),
    )


def _write(path):
    open(path, "ab").close()


def _touch(path):
    os.utime(path)


def _shut(path):
    os.chmod(path, stat.S_IMODE(os.stat(path).st_mode) ^ 0o200)


@attack("filter", "users", "capabilities", without="filter users")
def a_mount_planted_in_the_way_is_refused():
    apart()
    paths = (b"/work", b"/proc", b"/tmp")
    return through(
        *((f"{at!r}", lambda at=at: libc.mount(b"none", at, b"tmpfs", 0, None) == 0 or _raise()) for at in paths)
    )


def _raise():
    raise OSError(1, "")


@attack("processes")
def killing_everyone_leaves_pid_1():
    child = os.fork()
    if child == 0:
        os.setsid()
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.kill(1, signal.SIGKILL)
        os._exit(0)
    os.waitpid(child, 0)
    return "" if os.path.exists("/proc/1/stat") else "PID 1 is gone"


if __name__ == "__main__":
    main()
