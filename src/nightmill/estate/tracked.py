"""The tracked files of a checkout or of a commit, read without trusting any of them."""

from __future__ import annotations

import configparser
import hashlib
import json
import os
import re
import stat
import tomllib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from nightmill.errors import SettingsError
from nightmill.repo import Hub

__all__ = ["LARGEST", "Tracked", "at_commit", "in_checkout", "section"]

LARGEST = 1 << 20
LARGEST_SOURCE = 64 << 20
"""Of a file whose hash counts: lock files are long."""

LONGEST_LINE = 500
MOST = 200_000

FILE_MODES, LINK = ("100644", "100755"), "120000"

comments = re.compile(r'"(?:\\.|[^"\\])*(?:"|\Z)|//[^\n]*|/\*.*?(?:\*/|\Z)', re.DOTALL)
commas = re.compile(r'"(?:\\.|[^"\\])*(?:"|\Z)|,(?=\s*[\]}])', re.DOTALL)
"""Strings, which stay, and what JSON with comments has beside JSON; what is not closed ends with the text."""

Read = Callable[[str, int], bytes]
"""The bytes of a regular file, or the target of a symbolic link; of a longer one as many as said and one more.

Raises:
    OSError: If it is neither, or not readable.
"""


class Tracked:
    """Names as git lists them, and the text of some. No link is followed."""

    def __init__(self, names: Iterable[str], *, read: Read, target: Read | None = None) -> None:
        self._read = read
        self._target = target or read
        self.names = tuple(name for name, _ in zip(names, range(MOST), strict=False) if _plain(name))
        self._known = frozenset(self.names)

    def __contains__(self, name: str) -> bool:
        return name in self._known

    def first(self, *names: str) -> str:
        """The first of *names* that is tracked, or ""."""
        return next((name for name in names if name in self._known), "")

    def text(self, name: str) -> str:
        """The text of *name*; "" if it is untracked, no regular file, unreadable or larger than a person writes."""
        if name not in self._known:
            return ""
        try:
            body = self._read(name, LARGEST)
        except OSError:
            return ""
        return "" if len(body) > LARGEST or b"\0" in body else body.decode("utf-8", "replace").removeprefix("\ufeff")

    def lines(self, name: str) -> str:
        """The text of *name* without empty lines, and no more of a line than a person reads.

        A pattern that begins with space takes hours for a million empty lines, and another for one long line.
        """
        kept = (line[:LONGEST_LINE].rstrip() for line in self.text(name).splitlines())
        return "\n".join(line for line in kept if line)

    def digest(self, name: str) -> str | None:
        """The SHA-256 of what *name* holds, of a link that of its target's name; None if it is not there.

        Raises:
            SettingsError: If it is too large to be compared.
        """
        for read in (self._read, self._target):
            try:
                body = read(name, LARGEST_SOURCE)
            except OSError:
                continue
            if len(body) > LARGEST_SOURCE:
                raise SettingsError(
                    f"{name!r} has more than {LARGEST_SOURCE >> 20} MB, too much for a file that decides an installation",
                    hint="take it out of `locks` in nightmill.yaml",
                )
            return hashlib.sha256(body).hexdigest()
        return None

    def toml(self, name: str) -> dict[str, Any]:
        """The table in *name*; empty if it is none."""
        try:
            return tomllib.loads(self.text(name))
        except (tomllib.TOMLDecodeError, RecursionError):
            return {}

    def json(self, name: str) -> Any:
        """What *name* holds, which may have comments and trailing commas; None if it is no JSON."""
        try:
            return json.loads(commas.sub(_kept, comments.sub(_kept, self.text(name))))
        except (ValueError, RecursionError):
            return None

    def ini(self, name: str) -> dict[str, dict[str, str]]:
        """The sections of *name*; empty if it is none."""
        parser = configparser.RawConfigParser(strict=False, allow_no_value=True)
        try:
            parser.read_string(self.text(name))
        except configparser.Error:
            return {}
        return {section: {key: value or "" for key, value in parser.items(section)} for section in parser.sections()}


def in_checkout(root: Path, names: Iterable[str]) -> Tracked:
    """The files *names* below *root*. Nothing outside is read."""
    return Tracked(names, read=partial(_read, root), target=partial(_target, root))


def at_commit(hub: Hub, commit: str, names: Iterable[str]) -> Tracked:
    """Those of *names* that are files of *commit*; a name of a folder means all that is in it."""
    plain = tuple(name for name in names if _plain(name))
    found = {file.path: file for file in hub.files(commit, within=plain)} if plain else {}

    def read(name: str, limit: int) -> bytes:
        if name not in found or found[name].mode not in FILE_MODES:
            raise FileNotFoundError(name)
        return target(name, limit)

    def target(name: str, limit: int) -> bytes:
        if name not in found or found[name].mode not in {*FILE_MODES, LINK}:
            raise FileNotFoundError(name)
        return hub.show(commit, name, limit=limit + 1) if found[name].size <= limit else b" " * (limit + 1)

    return Tracked(found, read=read, target=target)


def section(of: Any, name: str) -> dict[str, Any]:
    """The table *name* in what may be anything."""
    found = of.get(name) if isinstance(of, dict) else None
    return found if isinstance(found, dict) else {}


def _kept(found: re.Match[str]) -> str:
    return found[0] if found[0].startswith('"') else " "


def _plain(name: str) -> bool:
    """A name that can be read and shown; with control characters or broken bytes it is no file that matters here."""
    return name.isprintable() and not {"", ".", ".."} & set(name.split("/"))


def _read(root: Path, name: str, limit: int) -> bytes:
    with _folder(root, name) as (here, last):
        # Not blocking: a fifo under a tracked name must not hold us.
        file = os.open(last, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=here)
    with os.fdopen(file, "rb") as opened:
        return opened.read(limit + 1) if stat.S_ISREG(os.fstat(opened.fileno()).st_mode) else b""


def _target(root: Path, name: str, _limit: int) -> bytes:
    with _folder(root, name) as (here, last):
        return os.fsencode(os.readlink(last, dir_fd=here))


@contextmanager
def _folder(root: Path, name: str) -> Iterator[tuple[int, str]]:
    """The folder of *name* below *root*, open, and the last part of *name*."""
    *folders, last = name.split("/")
    here = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for folder in folders:
            below = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=here)
            os.close(here)
            here = below
        yield here, last
    finally:
        os.close(here)
