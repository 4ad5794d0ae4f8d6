"""What this machine's sandboxes hold, said truly; what a run requires and is not held lets nothing start."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from nightmill.errors import SandboxError, SettingsError
from nightmill.sandbox import GUARANTEES, Guarantee
from nightmill.sandbox.backends.choose import Choice, choose
from nightmill.sandbox.bubblewrap import BubblewrapSandboxes
from nightmill.sandbox.cgroup import Tree, find
from tests.sandbox.box import Box, Within


def given(sandboxes: BubblewrapSandboxes) -> dict[str, Guarantee]:
    """By name."""
    return {each.name: each for each in asyncio.run(sandboxes.guarantees())}


def test_every_guarantee_is_reported_and_what_is_not_held_has_a_reason(tmp_path: Path) -> None:
    found = given(BubblewrapSandboxes(shelf=tmp_path))

    assert list(found) == list(GUARANTEES)
    assert all(each.how for each in found.values())
    assert not found["kernel_isolated"].held
    assert found["user_isolated"].held == (os.geteuid() == 0)
    assert found["fork"].held
    assert found["hard_memory_limit"].held == (find().memory is not None)
    assert [name for name, each in found.items() if not each.held and not each.fix] == []


def test_without_groups_memory_is_not_said_to_be_hard() -> None:
    found = given(BubblewrapSandboxes(tree=Tree(why="none here", fix="get some")))

    assert (found["hard_memory_limit"].held, found["hard_memory_limit"].fix) == (False, "get some")
    assert "none here" in found["hard_memory_limit"].how


def test_what_is_required_and_not_held_starts_nothing(within: Within, tmp_path: Path) -> None:
    with pytest.raises(SandboxError, match="requires 'kernel_isolated'") as caught:
        within(nothing, requires=frozenset({"kernel_isolated", "live_snapshot"}))
    assert "runsc" in caught.value.hint
    assert not (tmp_path / "run" / "upper").exists()
    within(nothing, requires=frozenset({"live_snapshot", "network_policy"}))


def test_the_operator_can_require_for_every_run(within: Within) -> None:
    sandboxes = choose(Choice(require=("kernel_isolated",)), environment={})
    with pytest.raises(SandboxError, match="requires 'kernel_isolated'"):
        within(nothing, sandboxes=sandboxes)
    with pytest.raises(SettingsError, match="'hard_limits'"):
        choose(Choice(require=("hard_limits",)), environment={})


async def nothing(box: Box) -> None:
    """Open and close."""
