"""What the conversations of editors are about, in a folder of small files: whoever closes an editor finds them again."""

from __future__ import annotations

import re
import secrets
from pathlib import Path
from typing import NamedTuple

__all__ = ["Kept", "Sessions"]

NAME = re.compile(r"[0-9a-f]{16}")
MOST = 500
"""Conversations that are kept; of more, those are forgotten that were used least lately."""


class Kept(NamedTuple):
    """What is kept of a conversation: the run that it watches, and the question to which the person said no without a reason."""

    run: str = ""
    refusing: str = ""


class Sessions:
    """Names of conversations, and what is kept of each. Its methods block."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def fresh(self) -> str:
        """The name of a new one."""
        name = secrets.token_hex(8)
        self.keep(name, Kept())
        return name

    def keep(self, name: str, kept: Kept) -> None:
        """Note what *name* is about. A name that is no conversation's own is of a run, and says it by itself."""
        if not NAME.fullmatch(name):
            return
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        new = self.folder / f".{name}.{secrets.token_hex(4)}"
        new.write_text("\n".join(kept), encoding="utf-8")
        new.replace(self.folder / name)
        for old in sorted(self.folder.iterdir(), key=_used, reverse=True)[MOST:]:
            old.unlink(missing_ok=True)

    def find(self, name: str) -> Kept | None:
        """What *name* is about, None if nothing is known of it."""
        if not NAME.fullmatch(name):
            return None
        try:
            run, _, refusing = (self.folder / name).read_text(encoding="utf-8").partition("\n")
        except OSError:
            return None
        return Kept(run, refusing)


def _used(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:  # another editor's process forgot it
        return 0.0
