"""What every refusal has in common: it says what, which and what to do, and leaves everything as it was."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from tests.whole import MODELS, Mill, fingerprint

__all__ = ["MODEL", "refused"]

MODEL = ("--model", MODELS["anthropic"], "--base-url", "http://127.0.0.1:9")
"""A model that nobody asks, because nothing comes of it."""


def refused(mill: Mill, *args: str | Path, at: Path, code: int = 1) -> str:
    """Give what the command says on standard error; it must refuse, say why, and make nothing."""
    before = fingerprint(at)
    made = _made(mill)

    done = mill.here(*args, at=at)

    assert done.returncode == code, (done.stdout, done.stderr)
    assert done.stdout == "", "data would be taken for an answer"
    assert done.stderr.startswith(("error: ", "· ", "note: "))
    assert "\nhint: " in done.stderr
    assert "Traceback" not in done.stderr
    assert fingerprint(at) == before, "the owner's checkout was touched"
    assert _made(mill) == made, "something half done was left"
    return done.stderr


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
