"""A store on PostgreSQL as one file and back, by PostgreSQL's own programs: only they copy all of it as of one moment."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from nightmill.errors import SettingsError
from nightmill.store.database import SCHEMA

__all__ = ["dump", "fill", "must_have"]

SCHEMAS = (SCHEMA, "dbos")
"""Ours and the engine's; what else is in the database is somebody else's."""


def must_have(program: str) -> str:
    """Where *program* is.

    Raises:
        SettingsError: If it is not on this machine.
    """
    if (found := shutil.which(program)) is None:
        raise SettingsError(
            f"the store is on PostgreSQL, which only its own `{program}` can copy whole, and that is not here",
            hint="install PostgreSQL's client programs, of the server's version or a later one",
        )
    return found


def dump(store: str, file: Path) -> None:
    """Write what *store* holds at one moment to *file*.

    Raises:
        SettingsError: If `pg_dump` is not here or cannot; with what it says.
    """
    schemas = [f"--schema={name}" for name in SCHEMAS]
    _run("pg_dump", store, "--format=custom", "--no-owner", "--no-privileges", *schemas, f"--file={file}")


def fill(store: str, file: Path) -> None:
    """Put what `dump` wrote to *file* into *store*, in which nothing of ours is: all or nothing.

    Raises:
        SettingsError: If `pg_restore` is not here or cannot; with what it says.
    """
    _run("pg_restore", store, "--no-owner", "--no-privileges", "--single-transaction", "--exit-on-error", str(file))


def _run(program: str, store: str, *words: str) -> None:
    with _address(store) as address:
        command = [must_have(program), "--no-password", f"--dbname={address}", *words]
        ran = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if ran.returncode:
        said = ran.stderr.decode("utf-8", "replace").strip().splitlines() or ["it does not say why"]
        raise SettingsError(
            f"{program} could not: {said[0].removeprefix(f'{program}: ')}",
            hint="is the store there, empty for a restore, and the program of its version or a later one?",
        )


@contextmanager
def _address(store: str) -> Iterator[str]:
    """*store* as the programs take it: its password is in a file, since everybody on the machine reads their command lines."""
    url = sa.engine.make_url(store)
    if url.password is None:
        yield store
        return
    with tempfile.NamedTemporaryFile("w", prefix="nightmill-", encoding="utf-8") as file:
        escaped = re.sub(r"([\\:])", r"\\\1", str(url.password))
        file.write(f"*:*:*:*:{escaped}\n")
        file.flush()
        bare = sa.URL.create(url.drivername, url.username, None, url.host, url.port, url.database, url.query)
        yield bare.update_query_dict({"passfile": file.name}).render_as_string()
