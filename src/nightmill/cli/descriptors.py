"""How many files may be open at once, which sockets and pipes are, too: as many as the system lets us have."""

from __future__ import annotations

import resource

from nightmill.errors import SettingsError

__all__ = ["HINT", "SERVER", "has", "of_worker", "raised"]

SERVER = 512
"""Below it a server would answer hardly anybody."""

WORKER, EACH = 128, 16
"""What a worker needs, and what each run that it works on needs besides: 20 at work had 214 open."""

HINT = "`ulimit -n {0}` before it is started, `LimitNOFILE={0}` in its systemd unit, or `--ulimit nofile={0}` of its container"


def raised(need: int, *, what: str) -> int:
    """How many there may be, now that it is all that the system allows to this process; *what* needs at least *need*.

    Debian gives 1,024 and allows a million. A sandbox sets its own limit.

    Raises:
        SettingsError: If it allows fewer.
    """
    most = has()
    if most < need:
        raise SettingsError(f"{most:,} files may be open at once, and {what} needs {need:,}", hint=HINT.format(need))
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return most


def of_worker(runs: int) -> int:
    """How many a worker of so many *runs* at once needs."""
    return WORKER + EACH * runs


def has() -> int:
    """How many files one process here could have open."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return 1 << 20 if hard == resource.RLIM_INFINITY else hard
