"""Commands: how they end, what is kept of them, and that nothing of them stays."""

from __future__ import annotations

import asyncio

import pytest

from nightmill.errors import SandboxError
from nightmill.sandbox import Command, Limits, Outcome
from tests.sandbox.box import Box, Within


def test_exit_status_output_and_input_come_through(within: Within) -> None:
    async def scenario(box: Box) -> None:
        failed = await box.sh("echo out; echo err >&2; exit 3")
        assert (failed.exit, failed.stopped, failed.text) == (3, "", "out\nerr\n")
        killed = await box.sh("kill -SEGV $$")
        assert killed.exit == -11
        body = bytes(range(256)) * 4096
        echoed = await box.sandbox.run(Command(argv=("cat",), cwd="/work", stdin=body))
        assert len(echoed.output) == len(body)
        assert echoed.output == body

    within(scenario)


def test_a_program_that_cannot_start_is_an_outcome_that_says_why(within: Within) -> None:
    async def scenario(box: Box) -> None:
        missing = await box.sandbox.run(Command(argv=("no-such-program",), cwd="/work"))
        assert (missing.exit, missing.text) == (127, "no-such-program: No such file or directory\n")
        nowhere = await box.sandbox.run(Command(argv=("true",), cwd="/work/nowhere"))
        assert (nowhere.exit, nowhere.text) == (126, "/work/nowhere: No such file or directory\n")
        with pytest.raises(SandboxError, match="without a program"):
            await box.sandbox.run(Command(argv=()))

    within(scenario)


def test_a_hundred_megabytes_of_output_keep_their_two_ends(within: Within) -> None:
    async def scenario(box: Box) -> Outcome:
        return await box.sh("echo first; head -c 100000000 /dev/zero; echo last", output=10_000)

    outcome = within(scenario)

    assert outcome.exit == 0
    assert len(outcome.output) == 10_000
    assert outcome.dropped == 100_000_000 + len("first\nlast\n") - 10_000
    assert outcome.output.startswith(b"first\n")
    assert outcome.output.endswith(b"last\n")
    assert "bytes left out" in outcome.text


def test_output_without_end_is_stopped_at_the_file_size(within: Within) -> None:
    async def scenario(box: Box) -> Outcome:
        return await box.sh("yes", file_size=20 << 20, seconds=120)

    outcome = within(scenario)

    assert outcome.stopped == "output"
    assert outcome.exit == -9


def test_output_is_told_while_the_command_runs(within: Within) -> None:
    async def scenario(box: Box) -> None:
        heard = asyncio.Event()
        pieces: list[bytes] = []

        def listen(piece: bytes) -> None:
            pieces.append(piece)
            heard.set()

        command = Command(argv=("bash", "-c", "echo early; read < /work/go; echo late"), cwd="/work")
        await box.sh("mkfifo go")
        running = asyncio.create_task(box.sandbox.run(command, output=listen))
        await heard.wait()
        assert pieces == [b"early\n"]
        await box.sh("echo > go")
        outcome = await running
        assert b"".join(pieces) == outcome.output == b"early\nlate\n"

    within(scenario)


@pytest.mark.parametrize(
    "hiding",
    [
        "sleep 1000 &",
        "setsid sleep 1000 &",
        "(setsid bash -c 'trap \"\" TERM INT HUP; sleep 1000 & sleep 1000' &) ; sleep 0.1",
        "(setsid setsid sleep 1000 &) ; kill -9 $PPID; sleep 1000",
        "(setsid sleep 1000 &) ; kill -9 -1",
    ],
    ids=["child", "own session", "orphan deaf to signals", "its keeper killed", "everyone killed"],
)
def test_nothing_of_a_command_outlives_it(within: Within, hiding: str) -> None:
    async def scenario(box: Box) -> str:
        await box.sh(hiding, seconds=60)
        return (await box.sh("ps -e -o args | grep -c '^sleep' ; true")).text

    assert within(scenario) == "0\n"


@pytest.mark.parametrize("text", ["sleep 1000", "setsid sleep 1000 & trap '' TERM INT; sleep 1000"])
def test_a_command_out_of_time_is_killed_whole(within: Within, text: str) -> None:
    async def scenario(box: Box) -> str:
        outcome = await box.sh(f"echo began; {text}", seconds=1.5)
        assert (outcome.stopped, outcome.exit, outcome.text) == ("timeout", -9, "began\n")
        return (await box.sh("ps -e -o args | grep -c '^sleep' ; true")).text

    assert within(scenario) == "0\n"


def test_a_fork_bomb_ends_with_its_command_and_the_sandbox_goes_on(within: Within) -> None:
    async def scenario(box: Box) -> str:
        bomb = await box.python(
            "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass", processes=60, seconds=3
        )
        assert bomb.stopped in {"timeout", "processes"}
        assert (await box.sh("echo alive")).text == "alive\n"
        return (await box.sh("ps -e -o args | grep -c '[o]s.fork' ; true")).text

    assert within(scenario) == "0\n"


def test_memory_of_one_process_and_of_a_whole_tree_is_bounded(within: Within) -> None:
    hold = "b = bytearray(120 << 20); b[::4096] = b'x' * len(b[::4096])"

    async def scenario(box: Box) -> None:
        alone = await box.python("bytearray(400 << 20)", memory=256 << 20)
        assert alone.stopped == "memory" or (alone.exit == 1 and "MemoryError" in alone.text)
        tree = f"import os, time\nfor _ in range(4):\n  if not os.fork():\n    {hold}; time.sleep(60)\ntime.sleep(60)"
        together = await box.python(tree, memory=256 << 20, seconds=60)
        assert together.stopped == "memory"

    within(scenario)


def test_file_size_is_bounded(within: Within) -> None:
    async def scenario(box: Box) -> None:
        outcome = await box.sh("head -c 3000000 /dev/zero > big; stat -c %s big", file_size=1 << 20)
        assert "1048576" in outcome.text

    within(scenario)


def test_commands_run_at_once_and_keep_their_own_statuses(within: Within) -> None:
    async def scenario(box: Box) -> None:
        asked = [box.sh(f"sleep 0.0{number % 7}; echo {number}; exit {number}") for number in range(40)]
        outcomes = await asyncio.gather(*asked)
        assert [outcome.exit for outcome in outcomes] == list(range(40))
        assert [outcome.text for outcome in outcomes] == [f"{number}\n" for number in range(40)]

    within(scenario)


def test_cancelling_the_task_kills_the_command(within: Within) -> None:
    async def scenario(box: Box) -> str:
        heard = asyncio.Event()
        command = Command(argv=("bash", "-c", "echo on; setsid sleep 1000 & sleep 1000"), cwd="/work")
        running = asyncio.create_task(box.sandbox.run(command, output=lambda _: heard.set()))
        await heard.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        return (await box.sh("ps -e -o args | grep -c '^sleep' ; true")).text

    assert within(scenario) == "0\n"


def test_a_closed_sandbox_says_so_to_those_who_wait_and_those_who_come(within: Within) -> None:
    async def scenario(box: Box) -> None:
        waiting = asyncio.create_task(box.sh("sleep 1000"))
        await box.sh("true")
        await box.sandbox.close()
        await box.sandbox.close()
        with pytest.raises(SandboxError):
            await waiting
        with pytest.raises(SandboxError, match="closed"):
            await box.sh("true")

    within(scenario)


def test_what_developers_use_runs(within: Within) -> None:
    text = "import multiprocessing as m, pty, socket, tempfile; m.Lock(); tempfile.mkstemp(); socket.if_nameindex(); pty.openpty()"

    async def scenario(box: Box) -> None:
        for command in (
            f"python3 -c '{text}'",
            "git init -q x && git -C x status --short",
            "getent hosts localhost",
            "mkfifo f",
        ):
            outcome = await box.sh(command)
            assert outcome.exit == 0, (command, outcome.text)
        if (await box.sh("command -v node")).exit == 0:
            node = await box.sh("node -e 'require(\"os\").networkInterfaces(); console.log(1)'")
            assert node.text == "1\n"

    within(scenario)


def test_the_default_limits_are_those_of_the_contract() -> None:
    assert Limits() == Limits(seconds=30.0, processes=512, file_size=1 << 30, memory=256 << 20, output=1 << 20)
