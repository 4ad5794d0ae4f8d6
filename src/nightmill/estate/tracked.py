"""The tracked files of a checkout, read without trusting any of them."""

from __future__ import annotations

import configparser
import os
import stat
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

__all__ = ["Tracked"]

LARGEST = 1 << 20
MOST = 200_000


class Tracked:
    """Names as git lists them, and the text of some. Nothing outside *root* is read, no link is followed."""

    def __init__(self, root: Path, names: Iterable[str]) -> None:
        self.root = root
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
            body = _read(self.root, name)
        except OSError:
            return ""
        return "" if len(body) > LARGEST or b"\0" in body else body.decode("utf-8", "replace").removeprefix("\ufeff")

    def toml(self, name: str) -> dict[str, Any]:
        """The table in *name*; empty if it is none."""
        try:
            return tomllib.loads(self.text(name))
        except (tomllib.TOMLDecodeError, RecursionError):
            return {}

    def ini(self, name: str) -> dict[str, dict[str, str]]:
        """The sections of *name*; empty if it is none."""
        parser = configparser.RawConfigParser(strict=False, allow_no_value=True)
        try:
            parser.read_string(self.text(name))
        except configparser.Error:
            return {}
        return {section: {key: value or "" for key, value in parser.items(section)} for section in parser.sections()}


def _plain(name: str) -> bool:
    """A name that can be read and shown; with control characters or broken bytes it is no file that matters here."""
    return name.isprintable() and not {"", ".", ".."} & set(name.split("/"))


def _read(root: Path, name: str) -> bytes:
    *folders, last = name.split("/")
    here = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for folder in folders:
            below = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=here)
            os.close(here)
            here = below
        # Not blocking: a fifo under a tracked name must not hold us.
        file = os.open(last, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=here)
    finally:
        os.close(here)
    with os.fdopen(file, "rb") as opened:
        return opened.read(LARGEST + 1) if stat.S_ISREG(os.fstat(opened.fileno()).st_mode) else b""
