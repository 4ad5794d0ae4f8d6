"""A person inside a run's sandbox, by `nightmill sandbox shell`, on a real terminal and without one."""

from __future__ import annotations

import asyncio
import fcntl
import os
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from nightmill import event
from nightmill import spec as specs
from nightmill.cli.door import Door
from nightmill.cli.site import make_site
from nightmill.desk.sofar import so_far
from nightmill.estate.environment import base, place
from nightmill.estate.file import load
from nightmill.estate.install import prepare
from nightmill.line import submit
from nightmill.line.assignment import Assignment, write
from nightmill.plan import single
from nightmill.repo import Hub
from nightmill.sandbox import Command
from nightmill.settings import Settings
from tests import whole
from tests.whole import PATIENCE, Mill

COUNTER = (
    "services:\n- name: counter\n  run: 'n=$(cat /work/n 2>/dev/null || echo 0); echo $((n + 1)) > /work/n; exec sleep 3333'\n"
    "  ready: pgrep -f '^sleep 3333'\n"
)


LONG = f"5151.{os.getpid()}"
"""Seconds that only these tests sleep for, on a machine where others sleep too."""


@pytest.fixture(scope="module")
def mill(tmp_path_factory: pytest.TempPathFactory) -> Mill:
    """An installation with the run "r1" of two turns, which is over."""
    folder = tmp_path_factory.mktemp("mill")
    files = {**whole.FILES, "nightmill.yaml": whole.FILES["nightmill.yaml"] + COUNTER}
    root = whole.repository(folder / "repo", files)
    (folder / "SPEC.md").write_text(whole.SPEC.format(title=""))
    made = Mill(folder=folder)
    door = Door(Settings(home=made.home, model="anthropic:m"))
    asyncio.run(work(door, root))
    door.ledger.close()
    door.database.close()
    return made


async def work(door: Door, root: Path) -> None:
    """What a worker does in two turns, without a model."""
    project, site = load(root), make_site(door)
    hub = Hub(door.settings.home / "projects" / project.id / "hub.git")
    hub.create()
    commit = hub.advance("main", hub.take(root, "main"))
    found = specs.read(root.parent / "SPEC.md")
    assignment = Assignment(
        kind="task", project=project, spec=found, model="anthropic:m", base_url="", base_branch="main",
        base_commit=commit, target="main", budget=submit.budget(door.settings), max_tokens=1000, thinking=0,
        by="Ada <ada@example.org>", task=single(found).tasks[0],
    )  # fmt: skip
    queued = event.RunQueued(run="r1", kind="task", title="t", project=project.id, spec="s", model="m")
    door.runs.create(queued, assignment=door.blobs.put(write(assignment)))
    ground = await base(project, hub=hub, commit=commit, site=site, progress=lambda _: None)
    directory = door.settings.home / "runs" / "r1" / "sandbox"
    directory.mkdir(parents=True)
    workspace = await site.sandboxes.open(place(project, ground, directory=directory))
    await prepare(workspace, bundle="", commit=commit, services=project.services)
    snapshot = await workspace.snapshot()
    door.ledger.emit(
        event.WorkspacePrepared(run="r1", environment=ground.hash, commit=commit, snapshot=snapshot, seconds=1.0)
    )
    for turn in (1, 2):
        await workspace.run(Command(argv=("bash", "-c", f"echo turn {turn} > notes.txt")))
        snapshot = await workspace.snapshot()
        door.ledger.emit(
            event.TurnFinished(
                run="r1",
                turn=turn,
                role="developer",
                model="m",
                record="x",
                snapshot=snapshot,
                usage={},
                cost=0.0,
                calls=1,
                seconds=1.0,
            )
        )
    await door.ledger.flush()
    await workspace.close()


@dataclass
class Seat:
    """A person's terminal with a command on it."""

    process: subprocess.Popen[bytes]
    ours: int
    theirs: int
    shown: bytes = b""

    def until(self, wanted: bytes) -> None:
        """Wait until *wanted* is shown; what was shown up to there is forgotten."""
        deadline = time.monotonic() + PATIENCE
        while wanted not in self.shown:
            assert time.monotonic() < deadline, self.shown
            if select.select([self.ours], [], [], 1.0)[0]:
                self.shown += os.read(self.ours, 65536)
        self.shown = self.shown.partition(wanted)[2]

    def type(self, text: bytes) -> None:
        os.write(self.ours, text)

    def size(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self.ours, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def ended(self) -> int:
        """Its exit status; what it still shows is read meanwhile."""
        deadline = time.monotonic() + PATIENCE
        while self.process.poll() is None:
            assert time.monotonic() < deadline, self.shown
            if select.select([self.ours], [], [], 0.05)[0]:
                self.shown += os.read(self.ours, 65536)
        return self.process.returncode


@contextmanager
def seat(mill: Mill, *words: str, columns: int = 80) -> Iterator[Seat]:
    """Somebody at a terminal of so many columns who runs `nightmill` with *words*; it is given back as it was."""
    ours, theirs = os.openpty()
    before = termios.tcgetattr(theirs)
    fcntl.ioctl(ours, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    with subprocess.Popen(
        ["setsid", "--ctty", *mill.command(), *words],
        cwd=mill.folder,
        env={**mill.variables(), "TERM": "xterm"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    ) as process:
        try:
            yield Seat(process, ours, theirs)
            assert process.returncode is not None
            assert termios.tcgetattr(theirs) == before
            assert not (mill.home / "forks").exists(), "the fork is gone"
        finally:
            process.kill()
            os.close(ours)
            os.close(theirs)


@pytest.mark.parametrize("columns", [80, 200])
def test_a_person_works_in_a_fork_at_the_width_of_the_terminal(mill: Mill, columns: int) -> None:
    with seat(mill, "sandbox", "shell", "r1", columns=columns) as person:
        person.until(b"a fork of run r1 after turn 2")
        person.until(b"counter ready")
        person.until(b"> ")
        person.type(b"cat notes.txt; stty size; echo $TERM; cat /work/n\n")
        person.until(b"turn 2\r\n24 %d\r\nxterm\r\n3\r\n" % columns)
        person.size(40, columns - 10)
        person.type(b"stty size\n")
        person.until(b"40 %d" % (columns - 10))
        person.type(b"sh -c 'echo be''gun; exec sleep 100'\n")
        person.until(b"begun\r\n")  # before that, an interrupt would be the shell's, which goes on
        person.type(b"\x03")
        person.until(b"> ")
        person.type(b"echo mine > notes.txt; exit 3\n")
        assert person.ended() == 3

    assert mill.run("sandbox", "shell", "r1", "--", "cat", "notes.txt").stdout == "turn 2\n", "the run is untouched"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_shell_that_is_ended_from_outside_gives_the_terminal_back_and_leaves_nothing(
    mill: Mill, number: signal.Signals
) -> None:
    with seat(mill, "sandbox", "shell", "r1") as person:
        person.until(b"> ")
        person.type(f"nohup sleep {LONG} & echo st''arted\n".encode())
        person.until(b"started")
        person.process.send_signal(number)
        assert person.ended() == 128 + signal.SIGTERM

    left = f"sleep\0{LONG}\0".encode()
    assert not [each for each in Path("/proc").glob("[0-9]*/cmdline") if _read(each) == left]


def test_one_command_runs_without_a_terminal_with_what_it_is_given(mill: Mill) -> None:
    done = subprocess.run(
        [*mill.command(), "sandbox", "shell", "r1@1", "--", "bash", "-c", "cat notes.txt -; tty; exit 4"],
        cwd=mill.folder, env=mill.variables(), input=b"from outside\n", capture_output=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (4, b"turn 1\nfrom outside\nnot a tty\n")
    assert b"after turn 1" in done.stderr


def test_all_of_a_long_output_arrives(mill: Mill) -> None:
    done = mill.run("sandbox", "shell", "r1", "--", "seq", "1000000")
    assert done.stdout == "".join(f"{number}\n" for number in range(1, 1_000_001))


def test_a_run_that_is_at_work_is_forked_while_its_sandbox_is_open(mill: Mill) -> None:
    holder = mill.home / "runs" / "r1" / "sandbox" / "lock"
    with holder.open("r+") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert mill.run("sandbox", "shell", "r1", "--", "cat", "notes.txt").stdout == "turn 2\n"


@pytest.mark.parametrize(
    ("at", "said"),
    [("r1@9", "there is no such snapshot"), ("r1@zzzzzz", "there is no such snapshot"), ("nobody", "no run")],
)
def test_what_is_not_there_is_said(mill: Mill, at: str, said: str) -> None:
    done = mill.run("sandbox", "shell", at, "--", "true")
    assert done.returncode == 1
    assert said in done.stderr
    assert not (mill.home / "forks").exists()


def test_moments_are_named_by_turn_or_snapshot(mill: Mill) -> None:
    done = mill.run("sandbox", "shell", "r1@0", "--", "bash", "-c", "test ! -e notes.txt && cat /work/n")
    assert done.stdout == "3\n", "its service was started for the base, for the run, and now"
    snapshot = done.stderr.partition("(snapshot ")[2].partition(")")[0]
    assert "as it was prepared" in mill.run("sandbox", "shell", f"r1@{snapshot[:8]}", "--", "true").stderr


def test_a_kept_fork_is_said_to_be_where_it_is(mill: Mill) -> None:
    done = mill.run("sandbox", "shell", "--keep", "r1", "--", "touch", "new.txt")
    (kept,) = (mill.home / "forks").iterdir()
    assert done.stderr.strip().endswith(f"of {kept}")
    assert (kept / "packs").is_dir()
    for path in (kept, kept.parent):
        subprocess.run(["rm", "-rf", str(path)], check=True)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def test_what_a_turn_changed_is_told_without_running_anything(mill: Mill) -> None:
    told = mill.json("sandbox", "diff", "r1@turn:1", "r1", "--patch")
    assert [(each["path"], each["what"], each["before"], each["after"]) for each in told] == [
        ("repo/notes.txt", "changed", 7, 7)
    ]
    assert told[0]["patch"][-2:] == ["-turn 1", "+turn 2"]
    lines = mill.run("sandbox", "diff", "r1@0", "r1@turn:2").stdout.splitlines()
    assert lines == ["+ repo/notes.txt  7 bytes"]
    assert "nothing differs" in mill.run("sandbox", "diff", "r1@2", "r1").stderr


def test_what_a_run_has_changed_so_far_is_a_diff_as_git_writes_it(mill: Mill) -> None:
    door = Door(Settings(home=mill.home))
    run = door.runs.get("r1")
    assert so_far(door, run).splitlines() == [
        "diff --git a/notes.txt b/notes.txt",
        "new file mode 100644",
        "--- a/notes.txt",
        "+++ b/notes.txt",
        "@@ -0,0 +1 @@",
        "+turn 2",
    ]
    door.runs.create(event.RunQueued(run="r2", kind="task", title="t", project="p", spec="s", model="m"), assignment="")
    assert so_far(door, door.runs.get("r2")) == ""
    door.database.close()


def test_sandboxes_are_listed_with_what_they_stand_on(mill: Mill) -> None:
    (found,) = mill.json("sandbox", "list")
    assert found["run"] == "r1"
    assert [each["turn"] for each in found["snapshots"]] == [0, 1, 2]
    assert found["bytes"] > 0
    assert found["base"]
    assert mill.run("sandbox", "list").stdout.startswith("r1\t")


def test_making_room_says_what_stays_and_why(mill: Mill) -> None:
    told = mill.run("sandbox", "gc", "--quota", "1K", "--dry-run").stdout
    assert "runs/r1/sandbox: the run is queued" in told
    assert "a run or a fork of it is under way" in told
    refused = mill.run("sandbox", "gc", "--quota", "much")
    assert refused.returncode
    assert "is not a size" in refused.stderr
