"""Programs that tests run inside a sandbox."""

from __future__ import annotations

CHURN = r"""
import os, random, shutil, socket, stat, sys
turn, seed = int(sys.argv[1]), sys.argv[2]
pick = random.Random(f"{seed}-{turn}")
os.chdir("/work/repo")
NAMES = ["a", "b", "c d", "e\nf", "g\udcff", "h'\"", "kept.txt", "gone", "lower"]

def everything():
    found = []
    for folder, folders, files in os.walk("."):
        found += [os.path.join(folder, name) for name in folders + files if folder.count("/") < 4]
    return sorted(found)

def some(kind=None):
    found = [path for path in everything() if kind is None or (os.path.lexists(path) and kind(os.lstat(path).st_mode))]
    return pick.choice(found) if found else "."

def fresh():
    folder = some(stat.S_ISDIR)
    path = os.path.join(folder, pick.choice(NAMES) + str(pick.randrange(6)))
    if os.path.exists(path) and stat.S_ISFIFO(os.stat(path).st_mode):
        raise OSError("opening it would wait for ever")
    return path

def body():
    return pick.randbytes(pick.choice([0, 1, 100, 5000, 70000, 200000]))

def create():
    open(fresh(), "wb").write(body())

def rewrite():
    path = some(stat.S_ISREG)
    before = os.stat(path)
    with open(path, "r+b") as file:
        file.write(pick.randbytes(before.st_size))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

def cut():
    os.truncate(some(stat.S_ISREG), pick.choice([0, 10, 300000]))

def sparse():
    with open(fresh(), "wb") as file:
        file.seek(pick.choice([1 << 16, 1 << 22]))
        file.write(body())
        file.truncate(1 << 23)

def mode():
    path = some()
    if path != "." and not os.path.islink(path):
        modes = [0o644, 0o755, 0o600, 0o4755] + ([0o000] if os.getuid() == 0 or "shut" in sys.argv else [])
        os.chmod(path, pick.choice(modes) | (0o700 if os.path.isdir(path) else 0))

def link():
    os.link(some(stat.S_ISREG), fresh())

def symbolic():
    os.symlink(pick.choice(["kept.txt", "/etc/passwd", "nowhere", ".."]), fresh())

def move():
    os.rename(some(), fresh())

def carry():
    shutil.move(some(stat.S_ISDIR), fresh())

def take_away():
    path = some()
    if path != ".":
        shutil.rmtree(path) if os.path.isdir(path) and not os.path.islink(path) else os.unlink(path)

def replace():
    path = some()
    if path != ".":
        take_away_at(path)
        pick.choice([lambda: os.mkdir(path), lambda: open(path, "wb").write(body()), lambda: os.symlink("x", path)])()

def take_away_at(path):
    shutil.rmtree(path) if os.path.isdir(path) and not os.path.islink(path) else os.unlink(path)

def folder():
    os.makedirs(os.path.join(fresh(), pick.choice(NAMES)))

def attribute():
    path = some(lambda mode: stat.S_ISREG(mode) or stat.S_ISDIR(mode))
    os.setxattr(path, pick.choice(["user.one", "user.two", "user.overlay.opaque"]), pick.randbytes(5))

def special():
    path = fresh()
    if pick.random() < 0.5:
        os.mkfifo(path)
    else:
        socket.socket(socket.AF_UNIX).bind(path)

WORK = [create, create, create, rewrite, rewrite, cut, sparse, mode, mode, link, symbolic, move, move, carry, take_away,
        replace, folder, folder, attribute, attribute, special]
done = 0
for _ in range(30):
    try:
        pick.choice(WORK)()
        done += 1
    except (OSError, ValueError, shutil.Error):
        pass
print(done)
"""

SERVICE = r"""
import mmap, os
os.chdir("/work/repo")
with open("mapped", "wb") as file:
    file.truncate(1 << 16)
file = open("mapped", "r+b")
memory = mmap.mmap(file.fileno(), 1 << 16)
log = open("service.log", "wb", 0)
print("ready", flush=True)
number = 0
while True:
    number += 1
    plain = b"%020d" % number
    memory[(number % 3000) * 20:(number % 3000) * 20 + 20] = plain
    memory[-20:] = plain
    if number % 50 == 0:
        log.write(plain + b"\n")
"""

NAMELESS = r"""
import mmap, os
os.chdir("/work/repo")
open("made", "wb").write(bytes(4096))
memories = []
for name in ("made", "kept.txt"):
    os.truncate(name, 4096)
    with open(name, "r+b") as file:
        memories.append(mmap.mmap(file.fileno(), 4096))
    os.link(name, name + " still")
    os.unlink(name)
print("ready", flush=True)
number = 0
while True:
    number += 1
    for memory in memories:
        memory[:20] = b"%020d" % number
"""

PROBES = r"""
import ctypes, errno, json, os, platform, socket, struct, fcntl
libc = ctypes.CDLL(None, use_errno=True)
column = 0 if platform.machine() == "x86_64" else 1
found = {"descriptors": sorted(os.listdir("/proc/self/fd"))}

def attempt(name, work):
    try:
        work()
        found[name] = "open"
    except OSError as error:
        found[name] = errno.errorcode[error.errno]

def call(number, *words):
    if libc.syscall(number, *words) < 0:
        raise OSError(ctypes.get_errno(), "")

for name, numbers in json.loads(os.environ["CALLS"]).items():
    if numbers[column] >= 0:
        attempt(name, lambda: call(numbers[column], 0, 0, 0, 0, 0))
attempt("clone3", lambda: call(435, 0, 0))
attempt("newuser", lambda: call(56 if column == 0 else 220, 0x10000000 | 17, 0, 0, 0, 0))
for family in (16, 17, 31, 38, 40, 44):
    attempt(f"family {family}", lambda: socket.socket(family, socket.SOCK_RAW, 0 if family != 16 else 9).close())
attempt("family 1", lambda: socket.socket(1, socket.SOCK_STREAM).close())
attempt("family 2", lambda: socket.socket(2, socket.SOCK_STREAM).close())
attempt("family 10", lambda: socket.socket(10, socket.SOCK_STREAM).close())
attempt("family 16 route", lambda: socket.socket(16, socket.SOCK_RAW, 0).close())
attempt("raw", lambda: socket.socket(2, socket.SOCK_RAW, 1).close())
main, other = os.openpty()
attempt("TIOCSTI", lambda: fcntl.ioctl(other, 0x5412, b"x"))
attempt("TIOCSTI with high bits", lambda: call(16 if column == 0 else 29, other, ctypes.c_ulong(0x5412 | 1 << 40), b"x"))
attempt("TIOCLINUX", lambda: fcntl.ioctl(other, 0x541C, b"\x03"))
attempt("fifo", lambda: os.mkfifo("/tmp/fifo"))
attempt("device", lambda: os.mknod("/tmp/device", 0o020600, os.makedev(1, 3)))
attempt("block", lambda: os.mknod("/tmp/block", 0o060600, os.makedev(8, 0)))
attempt("setuid", lambda: os.setuid(4242))
attempt("chown", lambda: os.chown("/work", 4242, 4242))
attempt("write /usr", lambda: open("/usr/bin/planted", "w"))
attempt("write core_pattern", lambda: open("/proc/sys/kernel/core_pattern", "w"))
attempt("write sysrq", lambda: open("/proc/sysrq-trigger", "w"))
for path in ("/", "/etc", "/run", "/run/nightmill", "/dev", "/opt/nightmill/bin", "/var"):
    attempt("write " + path, lambda: open(path + "/planted", "w"))
for path in ("/proc/1/environ", "/proc/1/mem", "/proc/1/maps"):
    attempt("read " + path, lambda: open(path, "rb").read(1))
for path in ("/oldroot", "/newroot", "/sys", "/home", "/root", "/dev/kvm", "/dev/mem", "/dev/fuse", "/etc/shadow", "/etc/ssl/private"):
    attempt("see " + path, lambda: os.stat(path))
attempt("pidfd", lambda: call(438, os.pidfd_open(1), 3, 0))
abstract = socket.socket(1)
attempt("abstract socket", lambda: abstract.connect("\0" + os.environ["ABSTRACT"]))
attempt("host loopback", lambda: socket.create_connection(("127.0.0.1", int(os.environ["PORT"])), 2))
attempt("network", lambda: socket.create_connection(("192.0.2.1", 80), 2))
found["capabilities"] = [line.split()[1] for line in open("/proc/self/status") if line.startswith("Cap")]
found["filter"] = [line.split()[1] for line in open("/proc/self/status") if line.startswith(("NoNewPrivs", "Seccomp:"))]
found["pids"] = len([name for name in os.listdir("/proc") if name.isdigit()])
print(json.dumps(found))
"""

READ_ALL = r"""
import os, sys
want = sys.argv[1][::-1].encode()
hits = []
for top in ("/proc", "/etc", "/run", "/opt", "/work", "/tmp", "/dev/shm"):
    for folder, folders, files in os.walk(top):
        if folder.count("/") > 4:
            folders.clear()
        for name in files:
            path = os.path.join(folder, name)
            if name in ("kmsg", "clear_refs", "pagemap", "kpagecount", "kpageflags", "kpagecgroup", "kcore") or "/task/" in path:
                continue
            try:
                fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
            except OSError:
                continue
            try:
                if want in os.read(fd, 1 << 20):
                    hits.append(path)
            except OSError:
                pass
            os.close(fd)
print(hits)
"""
