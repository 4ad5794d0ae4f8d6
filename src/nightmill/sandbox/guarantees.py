"""What sandboxes of a machine are guaranteed to hold, and what a run may require of them before anything starts."""

from __future__ import annotations

import ctypes
import os
import platform
from collections.abc import Iterable
from functools import lru_cache

from nightmill.errors import SandboxError, SettingsError
from nightmill.sandbox.cgroup import Tree
from nightmill.sandbox.nouns import GUARANTEES, Guarantee
from nightmill.sandbox.owner import Owner

__all__ = ["known", "of_bubblewrap", "require"]

PR_GET_SECCOMP = 21
COUNTED = (5, 14)
"""Linux from which processes are counted per user and user namespace."""


def known(names: Iterable[str], *, where: str) -> frozenset[str]:
    """*names*, if each is a guarantee.

    Raises:
        SettingsError: If one is not; *where* says who asked.
    """
    wanted = frozenset(names)
    if unknown := sorted(wanted - set(GUARANTEES)):
        raise SettingsError(f"{where} names the guarantee {unknown[0]!r}", hint=f"there are: {', '.join(GUARANTEES)}")
    return wanted


def require(wanted: Iterable[str], given: Iterable[Guarantee]) -> None:
    """Refuse if a guarantee that is *wanted* is not held.

    Raises:
        SandboxError: Which, and what would give it.
    """
    held = {each.name: each for each in given}
    for name in sorted(wanted):
        found = held.get(name)
        if found is None:
            raise SandboxError(
                f"the run requires {name!r}, of which nothing is known here", hint="take it out of `requires`"
            )
        if not found.held:
            hint = found.fix or "take it out of `requires`, or use another backend"
            raise SandboxError(f"the run requires {name!r}, and this machine does not give it: {found.how}", hint=hint)


def of_bubblewrap(*, tree: Tree, owner: Owner | None, shelf: bool) -> tuple[Guarantee, ...]:
    """Those of bubblewrap's sandboxes with control groups in *tree*, given to *owner*."""
    return (
        Guarantee(
            name="kernel_isolated",
            held=False,
            how="the host's kernel serves sandboxes too",
            fix="use the setting `sandbox` = podman or docker with `sandbox_runtime` = runsc, or a machine of its own",
        ),
        _user(owner),
        Guarantee(name="syscall_filter", held=_filtered(), how="a BPF program from the start on"),
        Guarantee(name="no_new_privileges", held=True, how="no_new_privs, no capability, no set-user-ID mounts"),
        Guarantee(
            name="network_policy", held=True, how="a network namespace of its own; the only way out is the proxy"
        ),
        Guarantee(name="live_snapshot", held=True, how="all processes are stopped while what changed is copied"),
        Guarantee(name="fork", held=shelf, how="shared frozen layers" if shelf else "there is no shelf for layers"),
        _memory(tree),
        _processes(tree),
        disk(),
    )


def disk() -> Guarantee:
    """The limit on what /work takes, where nobody but this process counts it."""
    fix = "put nightmill's home on a file system of the size that all sandboxes together may take"
    return Guarantee(name="hard_disk_limit", held=False, how="counted while commands run, and they are ended", fix=fix)


def _user(owner: Owner | None) -> Guarantee:
    if owner:
        return Guarantee(name="user_isolated", held=True, how=f"user {owner.user}, who is nobody else")
    how = f"user {os.geteuid()}, as nightmill itself, in a user namespace"
    fix = "start nightmill as root: it then gives its sandboxes to a user of their own"
    return Guarantee(name="user_isolated", held=False, how=how, fix=fix)


def _memory(tree: Tree) -> Guarantee:
    name = "hard_memory_limit"
    if tree.memory:
        return Guarantee(name=name, held=True, how=_grouped(tree))
    how = f"per process, and the tree is looked at twice a second: {tree.why}"
    return Guarantee(name=name, held=False, how=how, fix=tree.fix)


def _processes(tree: Tree) -> Guarantee:
    name = "hard_process_limit"
    if tree.pids:
        return Guarantee(name=name, held=True, how=_grouped(tree))
    release = tuple(int(part) for part in platform.release().split("-")[0].split(".")[:2])
    how = "counted by the kernel per sandbox"
    fix = "" if release >= COUNTED else "use Linux 5.14 or newer"
    return Guarantee(name=name, held=release >= COUNTED, how=how, fix=fix)


def _grouped(tree: Tree) -> str:
    scoped = tree.memory is not None and tree.memory.suffix == ".scope"
    return f"a control group (cgroup v{tree.version}{' by a systemd scope' if scoped else ''}) per command"


@lru_cache(maxsize=1)
def _filtered() -> bool:
    return bool(ctypes.CDLL(None).prctl(PR_GET_SECCOMP, 0, 0, 0, 0) >= 0)
