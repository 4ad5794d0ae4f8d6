"""What every refusal has in common: it says what, which and what to do, and leaves everything as it was."""

from __future__ import annotations

import io
import os
import sqlite3
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import NamedTuple

import pytest

from nightmill.cli.app import main
from tests.whole import MODELS, Mill, fingerprint

__all__ = ["MODEL", "refused"]

MODEL = ("--model", MODELS["anthropic"], "--base-url", "http://127.0.0.1:9")
"""A model that nobody asks, because nothing comes of it."""


def refused(mill: Mill, *args: str | Path, at: Path, code: int = 1) -> str:
    """Give what the command says on standard error; it must refuse, say why, and make nothing."""
    before = fingerprint(at)
    made = _made(mill)

    done = _here(mill, *args, at=at)

    assert done.code == code, done
    assert done.out == "", "data would be taken for an answer"
    assert done.err.startswith(("error: ", "· ", "note: "))
    assert "\nhint: " in done.err
    assert "Traceback" not in done.err
    assert fingerprint(at) == before, "the owner's checkout was touched"
    assert _made(mill) == made, "something half done was left"
    return done.err


class _Done(NamedTuple):
    code: object
    out: str
    err: str


def _here(mill: Mill, *args: str | Path, at: Path) -> _Done:
    """One command as `Mill.run`, in this process: to start another for each would take most of the time."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        for name in list(os.environ):  # noqa: TID251 - the door of the tests
            patch.delenv(name)
        for name, value in mill.variables().items():
            patch.setenv(name, value)
        patch.chdir(at)
        patch.setattr(sys, "argv", ["nightmill", *map(str, args)])
        patch.setattr(sys, "stdin", io.StringIO())
        with pytest.raises(SystemExit) as ended:
            main()
    return _Done(ended.value.code, *(each.buffer.getvalue().decode("utf-8", "surrogateescape") for each in (out, err)))  # type: ignore[attr-defined]


def _made(mill: Mill) -> tuple[set[str], int]:
    """What there is in the home but for an empty store, and how many runs and workers there are."""
    store = mill.home / "nightmill.db"
    paths = {str(path) for path in mill.home.rglob("*") if not path.name.startswith(store.name)}
    if not store.exists():
        return paths, 0
    connection = sqlite3.connect(store)
    try:
        rows = [connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ("run", "worker")]
    finally:
        connection.close()
    return paths, sum(rows)
