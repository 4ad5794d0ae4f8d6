"""A person at a terminal inside a sandbox: keys go in, what programs write comes out, and the terminal is given back."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from nightmill.sandbox import Command, Limits

if TYPE_CHECKING:
    from nightmill.sandbox import Outcome, Terminal, Workspace

__all__ = ["attend"]

LIMITS = Limits(seconds=7 * 86400.0, memory=8 << 30, processes=4096, file_size=16 << 30, output=0)

AFTER = b"\x1b[!p\x1b[?1049l\x1b[?1000;1002;1003;1006;2004l\x1b[?25h\x1b[0m"
"""Puts a terminal right again: what ran inside may have left it on another screen, or reporting the mouse."""

STANDARD = (24, 80)


async def attend(workspace: Workspace, argv: tuple[str, ...], *, term: str) -> int:
    """Run *argv* for the person at standard input and output; its exit status, as a shell gives it.

    On a terminal it has one of its own, of the same size; otherwise standard input is read to its end first.

    Raises:
        SandboxError: If the sandbox itself failed.
    """
    command = Command(argv=argv, env={"TERM": term, "PS1": r"\w > "}, limits=LIMITS)
    if sys.stdin.isatty() and sys.stdout.isatty():
        outcome = await _on_terminal(workspace, command)
    else:
        given = b"" if sys.stdin.isatty() else await asyncio.to_thread(sys.stdin.buffer.read)
        outcome = await workspace.run(replace(command, stdin=given, patient=True), output=_show)
    return outcome.exit if outcome.exit >= 0 else 128 - outcome.exit


async def _on_terminal(workspace: Workspace, command: Command) -> Outcome:
    loop = asyncio.get_running_loop()
    rows, columns = _size()
    with _raw(sys.stdin.fileno()):
        terminal = await workspace.terminal(command, rows=rows, columns=columns, output=_show)
        loop.add_reader(sys.stdin.fileno(), _type, terminal)
        loop.add_signal_handler(signal.SIGWINCH, _resize, terminal)
        try:
            return await terminal.ended()
        finally:
            loop.remove_signal_handler(signal.SIGWINCH)
            loop.remove_reader(sys.stdin.fileno())
            _show(AFTER)


@contextmanager
def _raw(fd: int) -> Iterator[None]:
    """Have every key come through as it is; the terminal is as before afterwards, whatever happens."""
    before = termios.tcgetattr(fd)
    try:
        tty.setraw(fd)
        yield
    finally:
        termios.tcsetattr(fd, termios.TCSAFLUSH, before)


def _type(terminal: Terminal) -> None:
    try:
        body = os.read(sys.stdin.fileno(), 1 << 16)
    except OSError:
        body = b""  # it was hung up
    if body:
        terminal.type(body)
    else:
        asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
        terminal.end()


def _resize(terminal: Terminal) -> None:
    rows, columns = _size()
    terminal.resize(rows=rows, columns=columns)


def _size() -> tuple[int, int]:
    """Rows and columns of the person's terminal."""
    try:
        columns, rows = os.get_terminal_size(sys.stdin.fileno())
    except OSError:
        return STANDARD
    return (rows, columns) if rows and columns else STANDARD


def _show(body: bytes) -> None:
    """Write all of *body*, and wait for a terminal that is slow or was stopped: what runs inside waits too."""
    view = memoryview(body)
    while view:
        view = view[os.write(sys.stdout.fileno(), view) :]
