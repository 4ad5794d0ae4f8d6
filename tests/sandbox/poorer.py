"""A Python without what only Linux's has, as far as its documentation tells: what macOS' Python would be asked for in vain.

Imported, it takes these names away from the process. Started as the wall of `unwalled` would be, it becomes the runner.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

ABSENT = {
    "os posix": """
        memfd_create pidfd_open getxattr setxattr listxattr removexattr copy_file_range eventfd splice unshare setns waitid
        sched_getaffinity sched_setaffinity posix_fadvise posix_fallocate getrandom pipe2 fdatasync setresuid setresgid
        getresuid getresgid timerfd_create O_PATH O_TMPFILE O_DIRECT MFD_CLOEXEC
    """,
    "select": "epoll",
    "signal _signal": "pidfd_send_signal sigtimedwait sigwaitinfo SIGPWR SIGPOLL SIGRTMIN SIGSTKFLT SIGCLD",
    "resource": "prlimit RLIMIT_NICE RLIMIT_RTPRIO RLIMIT_MSGQUEUE RLIMIT_SIGPENDING RLIMIT_RTTIME RLIMIT_OFILE",
    "socket _socket": "SCM_CREDENTIALS SO_PEERCRED SO_PASSCRED SOCK_CLOEXEC SOCK_NONBLOCK AF_NETLINK AF_PACKET AF_VSOCK",
}

for modules, names in ABSENT.items():
    for module in map(importlib.import_module, modules.split()):
        for name in names.split():
            if hasattr(module, name):
                delattr(module, name)

if __name__ == "__main__":
    del sys.argv[:5]  # noqa: TID251 - this file, the profile, and the Python with its two options
    runner = sys.argv[0]  # noqa: TID251
    exec(compile(Path(runner).read_text("utf-8"), runner, "exec"), {"__name__": "__main__"})
