"""One of each event, and a terminal of a given width."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from nightmill.cli.app import main
from nightmill.event import EVENTS, Event
from nightmill.store.ledger import Entry
from tests.whole import Mill

HOSTILE = "a\x1b[2J\x07\nb\r\t\u202ec\u2028d\x9b"
"""What moves a cursor, ends a line, turns the writing round."""


def sample(kind: type[Event], text: str = "some words", **named: Any) -> Event:
    """An event of *kind* with *text* in every field that takes any."""
    values: dict[str, Any] = {
        "str": text,
        "int": 2,
        "float": 1.5,
        "bool": True,
        "float | None": 0.25,
        "list[str]": [text],
        "list[str] | None": [text],
        "dict[str, int]": {"input": 1000, "output": 20, "cache_read": 500},
        "dict[str, Any]": {"reasons": [text], "counts": {"passed": 3}, "stopped": text},
        "list[dict[str, Any]]": [{"id": "T1", "title": text}],
        "list[dict[str, str]]": [{"text": text, "state": "done"}],
    }
    return kind(**{field.name: values[str(field.type)] for field in fields(kind)} | named)


def entry(told: Event, *, at: float = 0.0) -> Entry:
    """*told* as the ledger gives it."""
    return Entry(seq=1, at=at, run=told.run, name=told.name, key=told.key, body=json.dumps(told.to_plain()), hash="h")


class Terminal(io.StringIO):
    """A place to print to that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], Terminal]:
    """Make standard output a terminal of so many columns."""

    def make(columns: int) -> Terminal:
        made = Terminal()
        monkeypatch.setattr(sys, "stdout", made)
        monkeypatch.setenv("COLUMNS", str(columns))
        monkeypatch.setenv("TERM", "xterm")
        return made

    return make


@pytest.fixture
def mill(tmp_path: Path) -> Mill:
    """An installation that has never been used."""
    return Mill(folder=tmp_path)


class Done(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str


Here = Callable[..., Done]


@pytest.fixture
def here(mill: Mill, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Here:
    """Run a command in this process, which is quicker, in the environment of *mill* and nothing else."""
    for name in os.environ:  # noqa: TID251 - the door of the tests
        if name.startswith(("NIGHTMILL_", "XDG_")):
            monkeypatch.delenv(name)
    for name, value in mill.variables().items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(mill.folder)

    def run(*args: str) -> Done:
        monkeypatch.setattr(sys, "argv", ["nightmill", *args])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        code = ended.value.code
        return Done(code if isinstance(code, int) else 0, *capsys.readouterr())

    return run


def typed(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Have *text* come on standard input."""
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))


__all__ = ["EVENTS", "HOSTILE", "Done", "Here", "Terminal", "entry", "sample", "typed"]
