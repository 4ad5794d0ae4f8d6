"""The measure of the host, measured: it sees each kind of change that it is there for, and none where there is none."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.escape import host

ROOT = Path(__file__).parents[2]

APART = r"""
import ctypes, fcntl, json, os, pty, resource, signal, sys, termios
from pathlib import Path
from tests.escape import host

libc, home, user, group = ctypes.CDLL(None, use_errno=True), Path(sys.argv[1]), os.getuid(), os.getgid()

def must(code):
    if code:
        raise OSError(ctypes.get_errno(), "")

# users, mounts, network and host name of its own: what is changed here is changed nowhere else
must(libc.unshare(0x10000000 | 0x20000 | 0x40000000 | 0x4000000))
for name, text in (("setgroups", "deny"), ("uid_map", f"0 {user} 1"), ("gid_map", f"0 {group} 1")):
    Path("/proc/self", name).write_text(text)
must(libc.mount(None, b"/", None, 0x4000 | 0x40000, None))
must(libc.mount(b"none", b"/dev/shm", b"tmpfs", 0, None))

def setting():
    must(libc.sethostname(b"owned", 5))

def file():
    Path("/dev/shm/planted").touch()

def mount():
    must(libc.mount(b"none", os.fsencode(home), b"tmpfs", 0, None))

def process():
    ready, told = os.pipe()
    if os.fork() == 0:
        libc.prctl(1, 9)  # PR_SET_PDEATHSIG: it goes with us
        must(libc.unshare(0x20000))
        must(libc.mount(b"none", os.fsencode(home), b"tmpfs", 0, None))
        os.write(told, b"1")
        signal.pause()
    os.read(ready, 1)
    os.close(ready)
    os.close(told)

def descriptor():
    os.open("/", os.O_RDONLY)

def limit():
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

def standing():
    os.nice(1)

def terminal():
    attributes = termios.tcgetattr(0)
    attributes[3] ^= termios.ECHO
    termios.tcsetattr(0, termios.TCSANOW, attributes)

def nothing():
    pass

if sys.argv[2] == "terminal":
    os.setsid()
    main, other = pty.openpty()
    os.dup2(other, 0)
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
before = host.measured(home)
globals()[sys.argv[2]]()
print(json.dumps(host.changes(before, host.measured(home))))
"""


@pytest.mark.parametrize(
    "kind", ["setting", "file", "mount", "process", "descriptor", "limit", "standing", "terminal", "nothing"]
)
def test_the_measure_sees_a_change_and_only_that(tmp_path: Path, kind: str) -> None:
    command = [sys.executable, "-c", APART, str(tmp_path), kind]

    done = subprocess.run(command, cwd=ROOT, input="", capture_output=True, text=True, check=False)

    if "not permitted" in done.stderr and "unshare" in done.stderr:
        pytest.skip("this user may not make a user namespace")
    assert done.returncode == 0, done.stderr
    found = [line.split()[0].rstrip(":") for line in json.loads(done.stdout)]
    assert found == ([] if kind == "nothing" else [kind])


def test_a_clock_that_was_set_is_a_change_and_one_that_drifts_is_none() -> None:
    assert host.changes({"clock": "1000.0"}, {"clock": "1000.5"}) == []
    assert host.changes({"clock": "1000.0"}, {"clock": "4600.0"})
