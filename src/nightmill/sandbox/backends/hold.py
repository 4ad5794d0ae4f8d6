"""What containers are guaranteed to hold, where that is not what bubblewrap's sandboxes hold."""

from __future__ import annotations

from nightmill.sandbox.backends.engine import Engine, Traits
from nightmill.sandbox.nouns import Guarantee
from nightmill.sandbox.owner import Owner

__all__ = ["of_container"]

GVISOR = "set `sandbox_runtime` to runsc, which gives containers gVisor's kernel"


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
