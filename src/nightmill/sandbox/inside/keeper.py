"""A command's keeper: adopts what the command leaves behind, so that it can be found and ended.

Sessions and process groups can be left and parents can end, but whoever loses its parent comes to the nearest
subreaper above it, which is the keeper. So a command is the tree below its keeper, whatever it did.
"""

from __future__ import annotations

import _ctypes
import _signal as signal  # type: ignore[import-not-found]  # signal.py without its enums
import posix as os  # what os itself would add is slow to import, and never used here
import resource
import struct

from nightmill.sandbox.inside.gate import enter

__all__ = [
    "become",
    "below",
    "close_all_but",
    "crowd",
    "excess",
    "keep",
    "kill",
    "prctl",
    "processes",
    "strays",
    "tend",
]

TYPE_CHECKING = False  # typing itself would be a fifth of the time until a sandbox answers
if TYPE_CHECKING:
    from typing import Any, Dict, List, NoReturn, Optional, Set, Tuple

    Spec = Dict[str, Any]
    """A command as the host sent it."""

    Known = Dict[int, Tuple[int, int, int]]
    """Live processes: pid → (parent, resident pages, threads)."""

LIMITS = {"NPROC": "user", "FSIZE": "file_size", "DATA": "memory"}
"""What each of a process's own limits is called by the host, which says which of them to set."""

FIXED = (("CORE", 1), ("RTPRIO", 0), ("NICE", 0), ("MEMLOCK", 1 << 20), ("MSGQUEUE", 1 << 18), ("SIGPENDING", 4096))
"""The same for every command. At CORE 0 a host that pipes cores would still start its program, outside, as root. Some
users may take real time, which can stop a machine. The last three are budgets of a user, whom an unprivileged nightmill
shares with its sandboxes."""

IGNORED = (signal.SIGINT, signal.SIGPIPE, signal.SIGXFSZ)
"""Signals that this Python ignores and a command must not."""

FEWEST, MOST = 1024, 65536
"""Descriptors of one process."""


def prctl(option: int, value: int) -> None:
    """Set a property of this process; the address of the function is all that is needed of ctypes."""
    _ctypes.call_function(_ctypes.dlsym(_ctypes.dlopen(None, 0), "prctl"), (option, value, 0, 0, 0))  # type: ignore[arg-type]  # None: what is loaded already


def keep(spec: Spec, source: int, sink: int, report: int, groups: List[int]) -> NoReturn:
    """In the keeper: start the command, adopt its orphans, tell its end, go when nothing is left."""
    prctl(36, 1)  # PR_SET_CHILD_SUBREAPER
    close_all_but(source, sink, report, *groups)  # the control socket above all
    tend(spec, source, sink, report, groups)


def tend(spec: Spec, source: int, sink: int, report: int, groups: List[int]) -> NoReturn:
    """Start the command, and stay until nothing of it is left."""
    try:
        enter(groups)
    except OSError as error:
        os.dup2(sink, 2)
        complain("control group", error)
        os.write(report, struct.pack("ii", 126, True))
        os._exit(70)
    main = spawned(spec, source, sink) or os.fork()
    if main == 0:
        become(spec, source, sink)
    os.close(source)
    os.close(sink)
    try:
        while True:
            pid, status = os.waitpid(-1, 0)
            if pid == main:
                code = -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
                os.write(report, struct.pack("ii", code, alone()))
    finally:  # ChildProcessError: nothing is left
        os._exit(0)


def close_all_but(*kept: int) -> None:
    """Close every descriptor above the standard ones but those *kept*."""
    for name in os.listdir("/dev/fd"):
        if int(name) > 2 and int(name) not in kept:  # the three standard ones
            try:
                os.close(int(name))
            except OSError:
                pass


def alone() -> bool:
    """Whether the keeper has no child left."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return True
    return False


def spawned(spec: Spec, source: int, sink: int) -> int:
    """Start the command without a copy of our memory, which takes a millisecond; 0: only `become` can, or says why not.

    Its limits and its folder are ours before; those of memory and of a user's processes would keep us from that.
    """
    if spec["op"] == "terminal" or "DATA" in spec["rlimits"] or "NPROC" in spec["rlimits"]:
        return 0
    try:
        bound(spec)
        os.chdir(spec["cwd"])
        program = next(path for path in programs(spec) if os.access(path, os.X_OK))
        given = [(os.POSIX_SPAWN_DUP2, fd, target) for fd, target in ((source, 0), (sink, 1), (sink, 2))]
        return os.posix_spawn(program, spec["argv"], spec["env"], file_actions=given, setsid=True, setsigdef=IGNORED)
    except (OSError, ValueError, StopIteration, AttributeError, NotImplementedError):
        return 0


def become(spec: Spec, source: int, sink: int) -> NoReturn:
    """In the command: limits, descriptors, folder, then the program itself. Problems are told as a shell does."""
    what, code = "limits", 126
    try:
        os.setsid()
        os.umask(0o022)
        for number in IGNORED:
            signal.signal(number, signal.SIG_DFL)
        for fd, target in ((source, 0), (sink, 1), (sink, 2)):
            os.dup2(fd, target)
        if spec["op"] == "terminal":
            control(0)
        bound(spec)
        what = spec["cwd"]
        os.chdir(what)
        what = spec["argv"][0]
        execute(spec)
    except FileNotFoundError as error:
        code = 126 if what == spec["cwd"] else 127
        complain(what, error)
    except (OSError, ValueError) as error:
        complain(what, error)
    finally:
        os._exit(code)


def control(fd: int) -> None:
    """Make the terminal *fd* what controls this session."""
    import fcntl  # only terminals need it
    import termios

    fcntl.ioctl(fd, termios.TIOCSCTTY, 0)


def bound(spec: Spec) -> None:
    """Take on the limits of a process of the command."""
    if spec["user"] > spec["processes"]:
        os.nice(19)  # the runner alone counts them: it comes first, among thousands, too
    for name in spec["rlimits"]:
        limit(name, spec[LIMITS[name]])
    for name, value in (*FIXED, ("NOFILE", descriptors(spec["processes"]))):
        limit(name, value)


def programs(spec: Spec) -> List[str]:
    """Where the program may be; a name without a slash is looked for in the command's own PATH."""
    name = spec["argv"][0]
    if "/" in name:
        return [name]
    return [(folder or ".") + "/" + name for folder in spec["env"].get("PATH", "/usr/bin:/bin").split(":")]


def execute(spec: Spec) -> NoReturn:
    """Become the program."""
    why: Optional[OSError] = None
    for path in programs(spec):
        try:
            os.execve(path, spec["argv"], spec["env"])
        except (FileNotFoundError, NotADirectoryError) as error:
            why = why or error
        except OSError as error:  # it is there and may not be run: told, if no later one can be
            why = error if why is None or isinstance(why, (FileNotFoundError, NotADirectoryError)) else why
    raise why or FileNotFoundError(2, "No such file or directory")


def complain(what: str, error: Exception) -> None:
    """Say on the command's own output why it could not start."""
    text = "%s: %s\n" % (what, getattr(error, "strerror", None) or error)
    os.write(2, text.encode("utf-8", "replace"))


def descriptors(processes: int) -> int:
    """How many each of *processes* may have, so that all together do not fill the kernel's table of files."""
    try:
        with open("/proc/sys/fs/file-max", "rb") as file:
            return max(FEWEST, min(MOST, int(file.read()) // 4 // processes))
    except (OSError, ValueError):
        return FEWEST


def limit(name: str, value: int) -> None:
    """Set one limit, or keep a lower one that the host has; some are Linux's alone."""
    kind = getattr(resource, "RLIMIT_" + name, None)
    if kind is None:
        return
    hard = resource.getrlimit(kind)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    try:
        resource.setrlimit(kind, (value, value))
    except ValueError:
        pass  # Linux refuses nobody a lower limit; gVisor has not all of them, and there the runner's own count holds


def kill(pid: int, number: int) -> None:
    """Signal *pid*, which may be gone."""
    try:
        os.kill(pid, number)
    except OSError:
        pass


def crowd() -> int:
    """About how many processes there are inside; cheap."""
    return len(os.listdir("/proc")) - 50


def processes() -> Known:
    """Every live process inside. One whose first thread has ended looks like a zombie but has threads."""
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open("/proc/" + name + "/stat", "rb") as file:
                    fields = file.read().rpartition(b")")[2].split()
            except OSError:
                continue
            if fields[0] not in (b"Z", b"X") or int(fields[17]) > 1:
                found[int(name)] = (int(fields[1]), int(fields[21]), int(fields[17]))
    return found


def below(known: Known, top: int) -> Set[int]:
    """All descendants of *top*."""
    children: Dict[int, list[int]] = {}
    for pid, (parent, _, _) in known.items():
        children.setdefault(parent, []).append(pid)
    found: Set[int] = set()
    todo = [top]
    while todo:
        new = children.get(todo.pop(), ())
        found.update(new)
        todo += new
    return found


def strays(known: Known, keepers: Set[int]) -> Set[int]:
    """What has come to the runner, which is PID 1 or stands in for it, because its keeper was killed."""
    runner = os.getpid()
    found = {pid for pid, (parent, _, _) in known.items() if parent == runner and pid not in keepers}
    for pid in list(found):
        found |= below(known, pid)
    return found


def excess(spec: Spec, keeper: int) -> str:
    """Which limit on the whole tree of a command is passed, "" if none: of those that the kernel holds per process."""
    known = processes()
    tree = below(known, keeper)
    if "NPROC" in spec["rlimits"] and sum(known[pid][2] for pid in tree) > spec["processes"]:
        return "processes"
    if "DATA" not in spec["rlimits"]:
        return ""
    if sum(known[pid][1] for pid in tree) * resource.getpagesize() <= spec["memory"]:
        return ""
    total = 0
    for pid in tree:  # shared pages were counted once per process: ask for the exact, slower figure
        try:
            with open("/proc/%d/smaps_rollup" % pid, "rb") as file:
                total += sum(int(line.split()[1]) << 10 for line in file if line.startswith(b"Pss:"))
        except OSError:
            continue
    return "memory" if total > spec["memory"] else ""
