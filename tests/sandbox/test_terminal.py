"""A person's terminal inside a sandbox: bytes both ways, sizes, signals by keys, an end that leaves nothing."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from nightmill.sandbox import Command, Outcome
from nightmill.sandbox import Terminal as Open
from tests.sandbox.box import Box, Within


class Screen:
    """A terminal and what was shown on it so far."""

    def __init__(self) -> None:
        self.shown, self.changed = b"", asyncio.Event()
        self.terminal: Open

    def take(self, piece: bytes) -> None:
        self.shown += piece
        self.changed.set()

    async def until(self, wanted: bytes) -> None:
        """Wait until *wanted* is shown; what was shown up to there is forgotten."""
        while wanted not in self.shown:
            self.changed.clear()
            await asyncio.wait_for(self.changed.wait(), 60)
        self.shown = self.shown.partition(wanted)[2]

    async def ended(self) -> Outcome:
        return await asyncio.wait_for(self.terminal.ended(), 60)


async def asleep(box: Box) -> None:
    """Wait until `sleep` runs: before that, a shell may take a key for its own."""
    while (await box.sh("pgrep -x sleep")).exit:
        pass


async def screen(box: Box, *argv: str, rows: int = 24, columns: int = 80, **changes: Any) -> Screen:
    """A terminal on which *argv* runs."""
    found = Screen()
    command = Command(argv=argv, cwd="/work", env={"PS1": "> ", "TERM": "xterm"}, **changes)
    found.terminal = await box.sandbox.terminal(command, rows=rows, columns=columns, output=found.take)
    return found


BASH = ("bash", "--norc", "--noprofile", "-i")


@pytest.mark.parametrize("columns", [80, 200])
def test_a_shell_has_a_terminal_of_the_size_that_is_asked_for_and_hears_of_another(
    within: Within, columns: int
) -> None:
    async def scenario(box: Box) -> None:
        shell = await screen(box, *BASH, columns=columns)
        await shell.until(b"> ")
        shell.terminal.type(b"tty; stty size\n")
        await shell.until(b"/dev/pts/0")
        await shell.until(b"24 %d" % columns)
        shell.terminal.type(b"trap 'stty size' WINCH; echo tra''pped\n")
        await shell.until(b"trapped")
        shell.terminal.resize(rows=50, columns=columns + 1)
        shell.terminal.type(b"\n")
        await shell.until(b"50 %d" % (columns + 1))
        shell.terminal.type(b"exit 5\n")
        assert (await shell.ended()).exit == 5

    within(scenario)


def test_keys_interrupt_suspend_and_end(within: Within) -> None:
    async def scenario(box: Box) -> None:
        shell = await screen(box, *BASH)
        shell.terminal.type(b"echo be''gun; sleep 100\n")
        await shell.until(b"begun")
        await asleep(box)
        shell.terminal.type(b"\x03")
        await shell.until(b"> ")  # before that, what follows the key would be thrown away with the line
        shell.terminal.type(b"echo st=$?\n")
        await shell.until(b"st=130")
        shell.terminal.type(b"echo be''gun; sleep 100\n")
        await shell.until(b"begun")
        await asleep(box)
        shell.terminal.type(b"\x1a")
        await shell.until(b"Stopped")
        shell.terminal.type(b"kill -9 %1; while jobs %1; do :; done 2>/dev/null; echo go''ne\n")
        await shell.until(b"gone\r\n")
        await shell.until(b"> ")
        shell.terminal.type(b"\x04")
        assert (await shell.ended()).stopped == ""
        assert (await box.sh("pgrep -x sleep")).exit == 1

    within(scenario)


def test_all_that_is_written_arrives_however_much_it_is(within: Within) -> None:
    async def scenario(box: Box) -> None:
        flood = await screen(box, "bash", "-c", "stty -opost; seq 1 300000")
        assert (await flood.ended()).exit == 0
        assert flood.shown == b"".join(b"%d\n" % number for number in range(1, 300001))

    within(scenario)


def test_typing_to_a_program_that_does_not_read_holds_nothing_up(within: Within) -> None:
    async def scenario(box: Box) -> None:
        deaf = await screen(box, "bash", "-c", "stty raw -echo; echo ready; exec sleep 100")
        await deaf.until(b"ready")
        deaf.terminal.type(b"x" * (4 << 20))
        assert (await box.sh("echo fine")).text == "fine\n"
        deaf.terminal.end()
        assert (await deaf.ended()).stopped == "cancelled"

    within(scenario)


def test_the_end_of_a_terminal_leaves_nothing_of_it_running(within: Within) -> None:
    async def scenario(box: Box) -> None:
        shell = await screen(box, *BASH)
        shell.terminal.type(b"trap '' HUP; (setsid sleep 4242 &); nohup sleep 4242 >/dev/null & echo st''arted\n")
        await shell.until(b"started")
        shell.terminal.end()
        await shell.ended()
        assert (await box.sh("pgrep -f 'sleep 4242'")).exit == 1

    within(scenario)


def test_a_program_that_cannot_start_says_so_on_the_terminal(within: Within) -> None:
    async def scenario(box: Box) -> None:
        shell = await screen(box, "no-such-program")
        assert (await shell.ended()).exit == 127
        assert b"no-such-program: No such file or directory" in shell.shown

    within(scenario)
