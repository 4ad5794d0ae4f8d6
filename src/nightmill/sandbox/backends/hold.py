"""What other backends are guaranteed to hold, where that is not what bubblewrap's sandboxes hold."""

from __future__ import annotations

from nightmill.sandbox.backends.engine import Engine, Traits
from nightmill.sandbox.nouns import Guarantee
from nightmill.sandbox.owner import Owner

__all__ = ["UNTESTED", "of_container", "of_seatbelt"]

GVISOR = "set `sandbox_runtime` to runsc, which gives containers gVisor's kernel"

UNTESTED = "no Mac has run this backend"

SEATBELT = {
    "kernel_isolated": "the Mac's own kernel serves sandboxes too",
    "user_isolated": "nightmill's own user; Seatbelt is asked to keep everything else of that user from it",
    "syscall_filter": "Seatbelt asks about files, sockets and signals, not about system calls",
    "no_new_privileges": "left to Seatbelt",
    "network_policy": "Seatbelt is asked to allow the proxy's port alone, but in a place with services every port of this Mac's own",
    "live_snapshot": "services are stopped while /work is copied; what a command writes meanwhile may be torn",
    "fork": "a copy that shares its blocks, if the disk is APFS",
    "hard_memory_limit": "what a command's session holds is looked at twice a second",
    "hard_process_limit": "the processes of a command's session are counted twice a second",
    "hard_disk_limit": "nothing counts what /work takes",
}
"""What there is on macOS in place of each guarantee."""


def of_seatbelt() -> tuple[Guarantee, ...]:
    """Those of sandboxes on macOS: none, until somebody has tried."""
    fix = "use Linux, on a machine of its own or in a virtual one"
    return tuple(Guarantee(name=name, held=False, how=f"{how} ({UNTESTED})", fix=fix) for name, how in SEATBELT.items())


def of_container(
    engine: Engine, traits: Traits, *, owner: Owner | None, alike: tuple[Guarantee, ...]
) -> tuple[Guarantee, ...]:
    """Those of containers of *engine*, which *traits* describe; *alike* are bubblewrap's without control groups."""
    found = [_kernel(engine), _user(traits, owner), _filter(), _network(), *_limits(traits)]
    if engine.gvisor:
        how = "the container is paused; what is written through a mapped file may be missed"
        found.append(Guarantee(name="live_snapshot", held=False, how=how, fix="use another `sandbox_runtime`"))
    own = {each.name: each for each in found}
    return tuple(own.get(each.name, each) for each in alike)


def _limits(traits: Traits) -> list[Guarantee]:
    names = ("hard_memory_limit", "hard_process_limit")
    if traits.limits:
        return [Guarantee(name=name, held=True, how="a control group of the whole container") for name in names]
    fix = "give the engine the memory and pids controllers of control groups, version 2"
    how = "the runner looks after each command"
    return [Guarantee(name=name, held=False, how=how, fix=fix) for name in names]


def _kernel(engine: Engine) -> Guarantee:
    if engine.gvisor:
        return Guarantee(name="kernel_isolated", held=True, how="gVisor's kernel answers system calls")
    how = "the host's kernel serves containers too"
    return Guarantee(name="kernel_isolated", held=False, how=how, fix=GVISOR)


def _user(traits: Traits, owner: Owner | None) -> Guarantee:
    name = "user_isolated"
    if owner and not traits.rootless:
        return Guarantee(name=name, held=True, how=f"user {owner.user}, who is nobody else")
    where = "in a user namespace" if traits.rootless else "in no user namespace of its own"
    fix = "start nightmill as root: it then gives its sandboxes to a user of their own"
    return Guarantee(name=name, held=False, how=f"nightmill's own user, {where}", fix=fix)


def _filter() -> Guarantee:
    return Guarantee(name="syscall_filter", held=True, how="the engine's own, and ours on top, loaded by the runner")


def _network() -> Guarantee:
    return Guarantee(name="network_policy", held=True, how="--network none; the only way out is the proxy")
