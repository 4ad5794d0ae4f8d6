"""Asking a worker that is alive: over a socket in the home it takes a run in without a wait, or is told to look.

What the store says counts, and a worker that hears nothing looks by itself. So nothing here has to succeed: whoever
gets no answer does the asking itself, under the same id, of which the store takes one.
"""

from __future__ import annotations

import json
import os
import socket
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from nightmill import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nightmill.settings import Settings

__all__ = [
    "CODE",
    "LEAVES",
    "LONGEST",
    "Answer",
    "answered",
    "ask",
    "heard",
    "identifier",
    "place",
    "question",
    "ring",
    "unheard",
]

CODE = f"{__version__} {Path(__file__).parent.parent}"
"""Both ends are the same program, or nothing is said."""

LEAVES = "leaves"
"""The answer of a worker that ends, so that one with the keys and settings of who asks can take its place."""

LONGEST = 1 << 16
"""Bytes of one question or answer."""

PATIENCE = 10.0
"""Seconds for an answer, before the asking is done here."""

ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"


class Answer(NamedTuple):
    """What a worker says.

    Attributes:
        done: Whether it did what is asked.
        unlike: What it holds otherwise than who asks, and goes on holding.
        pid: Its process.
        stays: It is there because a person or a service wants it, and does not end by itself.
    """

    done: bool = False
    unlike: tuple[str, ...] = ()
    pid: int = 0
    stays: bool = False


def place(home: Path) -> Path:
    """Where the socket of the home's newest worker is, if there is one."""
    return home / "worker.sock"


def identifier() -> str:
    """A new run's id: short enough to say, no letters that look alike."""
    number = int.from_bytes(os.urandom(16))
    return "r" + "".join(ALPHABET[number // len(ALPHABET) ** at % len(ALPHABET)] for at in range(7))


def question(settings: Settings, run: str, **words: str | bool | list[str] | Mapping[str, str]) -> dict[str, Any]:
    """What has a worker put *run* in the queue, under these *settings*; *words* are what `Porter` asks for."""
    plain = {name: str(value) if isinstance(value, Path) else value for name, value in asdict(settings).items()}
    return {"run": run, "settings": plain, **words}


def ask(home: Path, question: dict[str, Any]) -> Answer:
    """Ask a worker of this *home* that is alive."""
    with socket.socket(socket.AF_UNIX) as line, suppress(OSError):
        line.settimeout(PATIENCE)
        line.connect(str(place(home)))
        return answered(line, question)
    return Answer()


def ring(home: Path, **words: Mapping[str, str]) -> Answer:
    """Tell a worker of this *home* that something was asked for, by who holds what *words* say; done: there is one."""
    return ask(home, words)


def unheard(home: Path) -> bool:
    """Whether no worker of this *home* listens: none is alive on this machine, or one that is just coming or going."""
    with socket.socket(socket.AF_UNIX) as line:
        try:
            line.connect(str(place(home)))
        except OSError:
            return True
    return False


def heard(said: bytes) -> dict[str, Any] | None:
    """The question that was *said*; None: it is none, or not of this program."""
    asked = json.loads(said)
    return asked if isinstance(asked, dict) and asked.get("code") == CODE else None


def answered(line: socket.socket, question: dict[str, Any]) -> Answer:
    """Ask *question* over *line*. A worker that leaves is gone by then."""
    with suppress(OSError, ValueError):
        line.sendall(json.dumps({"code": CODE, **question}).encode() + b"\n")
        with line.makefile("rb") as said:
            answer = json.loads(said.readline(LONGEST))
            if answer == LEAVES:
                said.read()
            if isinstance(answer, list):
                done, unlike, pid, stays = answer
                return Answer(done, tuple(unlike), pid, stays)
    return Answer()
