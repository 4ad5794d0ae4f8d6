"""The ledger as JSON lines, with all that its hashes cover: written, and verified without the store."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from nightmill.errors import SettingsError
from nightmill.event import EntriesForgotten
from nightmill.kept import Entry
from nightmill.store import chain
from nightmill.store.chain import Broken

__all__ = ["Exported", "line", "verify"]

COVERED = ("seq", "at", "run", "name", "key", "body", "hash")


class Exported(NamedTuple):
    """From the entry *first* to *last*, and what is *broken*; *hashes* are those of the entries that were asked for.

    Where *first* is not 1, nothing says what it followed: it is taken as it is, and those after it are held against it.
    """

    first: int
    last: int
    broken: Broken | None
    hashes: dict[int, str]


def line(entry: Entry) -> str:
    """One line. A body that was written by another hand is told as text, so that the line does not hold."""
    plain = {name: getattr(entry, name) for name in COVERED}
    with suppress(ValueError, RecursionError):
        body = json.loads(entry.body)
        plain["body"] = body if chain.canonical(body) == entry.body else entry.body
    written = json.dumps(plain, ensure_ascii=False) + "\n"
    return written.encode("utf-8", "backslashreplace").decode()  # half of a surrogate pair is no text, but JSON


def verify(file: Path, *, hashes: Collection[int] = ()) -> Exported:
    """What holds of the lines of *file*, read twice and never whole.

    Raises:
        SettingsError: If it cannot be read, or a line is no entry.
    """
    said, first, last, found = list[tuple[int, Any]](), 0, 0, dict[int, str]()
    for row in _rows(file):
        first, last = first or row["seq"], row["seq"]
        if row["name"] == EntriesForgotten.name:
            said.append((row["seq"], json.loads(row["body"])))
        if row["seq"] in hashes:
            found[row["seq"]] = row["hash"]
    rows = _rows(file)
    after, previous = 0, chain.FIRST
    if first > 1:
        after, previous = first, next(rows)["hash"]
    return Exported(first, last, chain.check(rows, after=after, previous=previous, gone=chain.Gone(said)), found)


def _rows(file: Path) -> Iterator[dict[str, Any]]:
    """The lines as rows of the table; each follows the one before it."""
    previous = chain.FIRST
    try:
        with file.open(encoding="utf-8", errors="replace") as lines:
            for number, text in enumerate(lines, 1):
                row = _row(text, f"{file}:{number}")
                yield row | {"previous": previous}
                previous = row["hash"]
    except OSError as error:
        raise SettingsError(f"{str(file)!r} cannot be read: {error.strerror}", hint="name an export") from error


def _row(text: str, where: str) -> dict[str, Any]:
    try:
        plain = json.loads(text)
        row = {name: plain[name] for name in COVERED}
        return row | {"body": chain.canonical(row["body"]), "seq": int(row["seq"])}
    except (KeyError, RecursionError, TypeError, ValueError) as error:
        raise SettingsError(
            f"{where}: this is no entry of a ledger", hint="`nightmill ledger export` writes one to a line"
        ) from error
