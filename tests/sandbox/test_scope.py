"""A scope of systemd: asked for where this process would be none the worse for it, entered, and told."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nightmill.sandbox.cgroup import Tree
from nightmill.sandbox.guarantees import of_bubblewrap
from nightmill.sandbox.scope import refusal

USER = os.geteuid() or pwd.getpwnam("nobody").pw_uid
NAME = pwd.getpwuid(USER).pw_name if USER else ""
LOGIN = f"/user.slice/user-{USER}.slice/session-3.scope"
DESKTOP = f"/user.slice/user-{USER}.slice/user@{USER}.service/app.slice/vte-spawn-1.scope"

systemd = pytest.mark.skipif(not shutil.which("busctl"), reason="no busctl, which asks systemd")

ENTER = """
import os, threading
from pathlib import Path
from nightmill.sandbox.cgroup import find
from nightmill.sandbox.guarantees import of_bubblewrap
before = Path('/proc/self/cgroup').read_text().strip()
waiting = threading.Event()
thread = threading.Thread(target=waiting.wait); thread.start()
tree = find()
groups = {Path(f'/proc/self/task/{task}/cgroup').read_text().strip() for task in os.listdir('/proc/self/task')}
waiting.set()
how = {each.name: each.how for each in of_bubblewrap(tree=tree, owner=None, shelf=False)}
print(before, *groups, tree.memory, how['hard_memory_limit'], sep='\\n')
"""


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """The root folder of a machine: with systemd, with a bus of `USER`, whom it keeps when he logs out."""
    with socket.socket(socket.AF_UNIX) as bus:

        def made(*, booted: bool = True, manager: bool = True, lingers: bool = False) -> Path:
            if booted:
                (tmp_path / "run/systemd/system").mkdir(parents=True)
            if manager:
                (tmp_path / f"run/user/{USER}").mkdir(parents=True)
                bus.bind(str(tmp_path / f"run/user/{USER}/bus"))
            if lingers:
                (tmp_path / "var/lib/systemd/linger").mkdir(parents=True)
                (tmp_path / "var/lib/systemd/linger" / NAME).touch()
            return tmp_path

        yield made


def fix(group: str, root: Path, user: int = USER) -> str | None:
    """What would have to change; None: nothing, systemd is asked."""
    refused = refusal(group, user, root=root)
    return refused and refused.fix


@systemd
def test_a_desktop_s_terminal_is_left_for_a_scope_beside_it(machine: Callable[..., Path]) -> None:
    assert fix(DESKTOP, machine()) is None


@systemd
def test_a_login_is_left_only_if_the_user_s_systemd_outlives_it(machine: Callable[..., Path]) -> None:
    root = machine()
    assert "enable-linger" in str(fix(LOGIN, root))
    (root / "var/lib/systemd/linger").mkdir(parents=True)
    (root / "var/lib/systemd/linger" / NAME).touch()
    assert fix(LOGIN, root) is None


@systemd
def test_root_s_scope_is_the_machine_s_and_needs_no_bus_of_its_own(machine: Callable[..., Path]) -> None:
    assert fix("/user.slice/user-0.slice/session-1.scope", machine(manager=False), user=0) is None


@pytest.mark.parametrize(
    "group", ["/system.slice/mill.service", f"/user.slice/user@{USER}.service/app.slice/m.service"]
)
def test_a_service_stays_where_its_manager_ends_it(machine: Callable[..., Path], group: str) -> None:
    assert "unit" in str(fix(group, machine(lingers=True)))


@systemd
def test_without_systemd_or_without_a_bus_nothing_is_asked(machine: Callable[..., Path], tmp_path: Path) -> None:
    assert fix(DESKTOP, tmp_path) is not None
    assert "dbus" in str(fix(DESKTOP, machine(manager=False)))


def test_the_report_says_that_a_scope_of_systemd_gives_the_groups() -> None:
    inside = Path("/sys/fs/cgroup/user.slice/user@1.service/app.slice/nightmill-7-ab.scope")
    told = {each.name: each for each in of_bubblewrap(tree=Tree(inside, inside, 2), owner=None, shelf=False)}

    assert told["hard_memory_limit"].held
    assert "cgroup v2 by a systemd scope" in told["hard_memory_limit"].how
    assert "cgroup v2 by a systemd scope" in told["hard_process_limit"].how


def in_login() -> bool:
    """Whether this process is where it could enter a scope, and is in none of nightmill's."""
    lines = Path("/proc/self/cgroup").read_text("utf-8").splitlines()
    group = next((line[3:] for line in lines if line.startswith("0::")), "")
    return len(lines) == 1 and "nightmill" not in group and refusal(group, os.geteuid()) is None


@pytest.mark.skipif(not in_login(), reason="not in a login of a machine with systemd and control groups of version 2")
def test_a_process_that_starts_a_sandbox_enters_a_scope_with_all_its_threads() -> None:
    done = subprocess.run([sys.executable, "-c", ENTER], capture_output=True, text=True, check=True)
    before, *groups, memory, how = done.stdout.splitlines()

    assert groups == [f"0::{memory.removeprefix('/sys/fs/cgroup')}/nightmill"]
    assert memory.endswith(".scope")
    assert not before.endswith(memory.removeprefix("/sys/fs/cgroup"))
    assert "cgroup v2 by a systemd scope" in how
